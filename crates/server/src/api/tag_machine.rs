//! POST machines/{id}/tags.

use super::answer;
use super::body::BODY_BYTES_MAX;
use super::call::Call;
use super::error::ApiError;
use super::get_machine::MACHINES;
use axum::http::StatusCode;
use axum::response::Response;
use domain::permission::Operation;
use protocol::defender::machine::MachineEntity;
use protocol::defender::request;

/// Adds a tag to a machine or takes it away: 200 with the machine as it is then, also where nothing had to change.
pub(super) async fn tag_machine(call: &mut Call) -> Result<Response, ApiError> {
    let actions = call.state.actions.clone();
    let machine = actions.machine_for(&call.caller, Operation::Tag, call.param(0)?).await?;
    let change = request::tag(&call.bytes(BODY_BYTES_MAX).await?)?;
    let machine = actions.tag(&call.caller, machine.id, &change, call.now).await?;
    let entity = MachineEntity::of(&machine, call.now);
    Ok(answer::entity(StatusCode::OK, &call.base_url, MACHINES, entity))
}
