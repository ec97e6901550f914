//! GET machines/{id}.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::defender::machine::MachineEntity;

/// The name of the set that machines are in.
pub(super) const MACHINES: &str = "Machines";

/// One machine, by id or name.
pub(super) async fn get_machine(call: &mut Call) -> Result<Response, ApiError> {
    let machine = call.state.actions.machine(&call.caller, call.param(0)?).await?;
    let entity = MachineEntity::of(&machine, call.now);
    Ok(answer::entity(StatusCode::OK, &call.base_url, MACHINES, entity))
}
