//! GET machines.

use super::answer;
use super::call::Call;
use super::error::ApiError;
use super::get_machine::MACHINES;
use super::query::machines::properties;
use super::query::{Options, Page};
use axum::response::Response;
use domain::machine::Machine;
use protocol::defender::machine::MachineEntity;

/// Machines, by name if nothing else is asked for. None at all is an empty list, as clients expect, though documents
/// speak of a 404.
pub(super) async fn list_machines(call: &mut Call) -> Result<Response, ApiError> {
    let (options, properties) = (Options::read(&call.query, &[])?, properties(call.now));
    let page = Page::of(call, &options);
    let (query, selected) = (options.query(&properties, page.limit())?, options.selected(&properties)?);
    let actions = &call.state.actions;
    let count = match options.count {
        true => Some(actions.count_machines(&call.caller, &query.filter).await?),
        false => None,
    };
    let mut found = actions.machines(&call.caller, &query).await?;
    let more = page.cut(&mut found);
    let items = found.iter().map(|machine| MachineEntity::of(machine, call.now)).collect();
    let last = found.last().filter(|_| more).map(|machine| query.position(machine));
    let next = last.map(|place| page.next_link(call, "/api/machines", &options, &place));
    let mut answer = answer::page(&call.base_url, MACHINES, items, selected.as_deref(), (count, next));
    page.confirm(&mut answer);
    Ok(answer)
}

/// How many machines match: a bare number.
pub(super) async fn count_machines(call: &mut Call) -> Result<Response, ApiError> {
    let filter = Options::read(&call.query, &[])?.condition(&properties(call.now))?;
    Ok(answer::number(call.state.actions.count_machines(&call.caller, &filter).await?))
}

/// A list of these machines.
pub(super) fn answer_with(call: &Call, machines: &[Machine], count: Option<u64>) -> Response {
    let items = machines.iter().map(|machine| MachineEntity::of(machine, call.now)).collect();
    answer::collection(&call.base_url, MACHINES, items, count)
}
