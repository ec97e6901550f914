//! GET machines/{id}/logonusers.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use axum::response::Response;
use domain::permission::Operation;
use protocol::defender::machine::LogonUser;

/// Who signed in on a machine. No sign-ins are kept, so nobody is known: an empty list, which is what the service says of
/// a machine without any.
pub(super) async fn logon_users(call: &mut Call) -> Result<Response, ApiError> {
    call.state.actions.machine_for(&call.caller, Operation::LogonUsers, call.param(0)?).await?;
    Ok(answer::collection::<LogonUser>(&call.base_url, "Users", vec![], None))
}
