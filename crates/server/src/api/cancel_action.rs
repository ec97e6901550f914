//! POST machineactions/{id}/cancel.

use super::answer;
use super::body::BODY_BYTES_MAX;
use super::call::Call;
use super::create::{ACTIONS, check_comment};
use super::error::ApiError;
use axum::http::StatusCode;
use axum::response::Response;
use domain::permission::Operation;
use protocol::defender::action::MachineAction;
use protocol::defender::request;

/// Cancels an action: 200 with the action as it stands, Cancelled only when that is true.
///
/// One that no machine has begun is Cancelled at once. One that a machine holds is told to stop, and the answer waits a
/// little for that machine's testimony; without it, it is InProgress with the cancellation fields set. One that ended
/// before is refused; one that is Cancelled already is the same 200 again.
pub(super) async fn cancel_action(call: &mut Call) -> Result<Response, ApiError> {
    let actions = call.state.actions.clone();
    let action = actions.action_for(&call.caller, Operation::Cancel, call.param(0)?).await?;
    let comment = request::cancel(&call.bytes(BODY_BYTES_MAX).await?)?.unwrap_or_default();
    check_comment(&comment)?;
    let mut action = actions.cancel(&call.caller, &action.id.to_string(), comment, call.now).await?;
    #[cfg(feature = "mutants")]
    if lies() {
        let entity = MachineAction { status: "Cancelled".into(), ..MachineAction::of(&action, None) };
        return Ok(answer::entity(StatusCode::OK, &call.base_url, ACTIONS, entity));
    }
    if !action.stage().is_final() {
        action = actions.wait_final(action.id, call.state.config.cancel.wait_budget).await?;
    }
    let name = actions.machine_name(action.machine).await?;
    let entity = MachineAction::of(&action, name.as_deref());
    Ok(answer::entity(StatusCode::OK, &call.base_url, ACTIONS, entity))
}

/// Whether the mutant `ack-while-granted` is asked for: a cancel is answered with Cancelled whatever the machine does.
#[cfg(feature = "mutants")]
fn lies() -> bool {
    std::env::var_os("COUNTERMAND_MUTANT").is_some_and(|name| name == "ack-while-granted")
}
