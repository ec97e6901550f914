//! POST machines/{id}/startInvestigation.

use super::body::BODY_BYTES_MAX;
use super::call::Call;
use super::create::check_comment;
use super::error::ApiError;
use axum::response::Response;
use domain::permission::Operation;
use protocol::defender::error::Code;
use protocol::defender::request;

/// Refuses: nothing here investigates by itself, and an investigation that is only on paper would be waited for. What is
/// wrong with the request itself is said first.
pub(super) async fn start_investigation(call: &mut Call) -> Result<Response, ApiError> {
    call.state.actions.machine_for(&call.caller, Operation::Investigate, call.param(0)?).await?;
    let asked = request::comment_only(&call.bytes(BODY_BYTES_MAX).await?)?;
    check_comment(&asked.comment)?;
    Err(ApiError::new(Code::DisabledFeature, "Automated investigation is not a feature of this server."))
}
