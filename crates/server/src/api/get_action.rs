//! GET machineactions/{id}.

use super::answer;
use super::call::Call;
use super::create::ACTIONS;
use super::error::ApiError;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::defender::action::MachineAction;

/// One action.
pub(super) async fn get_action(call: &mut Call) -> Result<Response, ApiError> {
    let actions = &call.state.actions;
    let action = actions.action(&call.caller, call.param(0)?).await?;
    let name = actions.machine_name(action.machine).await?;
    let entity = MachineAction::of(&action, name.as_deref());
    Ok(answer::entity(StatusCode::OK, &call.base_url, ACTIONS, entity))
}
