//! GET machineactions.

use super::answer;
use super::call::Call;
use super::create::ACTIONS;
use super::error::ApiError;
use super::query::actions::properties;
use super::query::{Options, Page};
use crate::actions::ActionRow;
use axum::response::Response;
use domain::ids::MachineId;
use protocol::defender::action::MachineAction;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Actions, newest first if nothing else is asked for. A filter that matches nothing is an empty list.
pub(super) async fn list_actions(call: &mut Call) -> Result<Response, ApiError> {
    let (options, properties) = (Options::read(&call.query, &[])?, properties());
    let page = Page::of(call, &options);
    let (query, selected) = (options.query(&properties, page.limit())?, options.selected(&properties)?);
    let actions = &call.state.actions;
    let count = match options.count {
        true => Some(actions.count_actions(&call.caller, &query.filter).await?),
        false => None,
    };
    let mut found = actions.actions(&call.caller, &query).await?;
    let more = page.cut(&mut found);
    let mut names: HashMap<MachineId, Option<String>> = HashMap::new();
    let mut items = Vec::with_capacity(found.len());
    for action in &found {
        let name = match names.entry(action.machine) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(actions.machine_name(action.machine).await?),
        };
        items.push(MachineAction::of(action, name.as_deref()));
    }
    let last = found.last().filter(|_| more).map(|action| {
        let machine_name = names.get(&action.machine).and_then(Option::as_deref).unwrap_or_default();
        query.position(ActionRow { action, machine_name })
    });
    let next = last.map(|place| page.next_link(call, "/api/machineactions", &options, &place));
    let mut answer = answer::page(&call.base_url, ACTIONS, items, selected.as_deref(), (count, next));
    page.confirm(&mut answer);
    Ok(answer)
}

/// How many actions match: a bare number.
pub(super) async fn count_actions(call: &mut Call) -> Result<Response, ApiError> {
    let filter = Options::read(&call.query, &[])?.condition(&properties())?;
    Ok(answer::number(call.state.actions.count_actions(&call.caller, &filter).await?))
}
