//! GET machines.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use super::get_machine::MACHINES;
use super::query::{self, TOP_MAX};
use crate::actions::MachineQuery;
use axum::response::Response;
use domain::ids::MachineId;
use domain::machine::Machine;
use protocol::defender::machine::MachineEntity;

/// Machines, by name. None at all is an empty list, as clients expect, though documents speak of a 404.
pub(super) async fn list_machines(call: &mut Call) -> Result<Response, ApiError> {
    let options = query::options(&call.query)?;
    let limit = if options.count { TOP_MAX } else { options.top };
    let mut query = MachineQuery { limit, ..MachineQuery::default() };
    let mut possible = true;
    match options.filter {
        None => {}
        Some((property, value)) => match property.as_str() {
            "computerdnsname" => query.name = Some(value),
            "id" => {
                query.id = MachineId::parse(&value);
                possible = query.id.is_some();
            }
            other => return Err(query::unknown_property(other)),
        },
    }
    let found = if possible { call.state.actions.machines(&call.caller, &query).await? } else { vec![] };
    let count = options.count.then_some(found.len() as u64);
    let shown = found.len().min(options.top as usize);
    Ok(answer_with(call, &found[..shown], count))
}

/// A list of these machines.
pub(super) fn answer_with(call: &Call, machines: &[Machine], count: Option<u64>) -> Response {
    let items = machines.iter().map(|machine| MachineEntity::of(machine, call.now)).collect();
    answer::collection(&call.base_url, MACHINES, items, count)
}
