//! GET machineactions.

use super::answer;
use super::call::Call;
use super::create::ACTIONS;
use super::error::ApiError;
use super::query::{self, Options, TOP_MAX};
use crate::actions::ActionQuery;
use axum::response::Response;
use domain::ids::{ActionId, MachineId};
use domain::kind::Kind;
use protocol::defender::action::{MachineAction, stages_of};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Actions, newest first. A filter that matches nothing is an empty list.
pub(super) async fn list_actions(call: &mut Call) -> Result<Response, ApiError> {
    let options = query::options(&call.query)?;
    let actions = &call.state.actions;
    let mut found = match selection(&options)? {
        Some(query) => actions.actions(&call.caller, &query).await?,
        None => vec![],
    };
    let count = options.count.then_some(found.len() as u64);
    found.truncate(options.top as usize);
    let mut names: HashMap<MachineId, Option<String>> = HashMap::new();
    let mut items = Vec::with_capacity(found.len());
    for action in &found {
        let name = match names.entry(action.machine) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(actions.machine_name(action.machine).await?),
        };
        items.push(MachineAction::of(action, name.as_deref()));
    }
    Ok(answer::collection(&call.base_url, ACTIONS, items, count))
}

/// Which actions are asked for; `None`: a value that none can have.
fn selection(options: &Options) -> Result<Option<ActionQuery>, ApiError> {
    // How many match is more than how many are shown.
    let limit = if options.count { TOP_MAX } else { options.top };
    let mut query = ActionQuery { limit, ..ActionQuery::default() };
    let Some((property, value)) = &options.filter else { return Ok(Some(query)) };
    let known = match property.as_str() {
        "id" => {
            query.id = ActionId::parse(value);
            query.id.is_some()
        }
        "machineid" => {
            query.machine = MachineId::parse(value);
            query.machine.is_some()
        }
        "type" => {
            query.kind = Kind::from_wire(value);
            query.kind.is_some()
        }
        "status" => {
            query.stages = stages_of(value).unwrap_or_default().to_vec();
            !query.stages.is_empty()
        }
        other => return Err(query::unknown_property(other)),
    };
    Ok(known.then_some(query))
}
