//! Reading actions.

use super::tables::Tables;
use crate::{ActionField, ActionQuery, ActionRow, Filter};
use domain::action::Action;
use domain::ids::{ActionId, MachineId};
use domain::lifecycle::Stage;
use domain::time::Timestamp;

impl Tables {
    /// One action.
    pub(super) fn action(&self, id: ActionId) -> Option<Action> {
        self.row(id).map(|row| row.action.clone())
    }

    /// Actions that match, in the order that is asked for.
    pub(super) fn listed(&self, query: &ActionQuery) -> Vec<Action> {
        query.of_rows(self.action_rows()).into_iter().map(|row| row.action.clone()).collect()
    }

    /// How many actions pass.
    pub(super) fn count_listed(&self, filter: &Filter<ActionField>) -> u64 {
        self.action_rows().filter(|row| filter.holds(*row) == Some(true)).count() as u64
    }

    fn action_rows(&self) -> impl Iterator<Item = ActionRow<'_>> {
        let name = |action: &Action| self.machines.get(&action.machine).map_or("", |machine| machine.name.as_str());
        self.actions.iter().map(move |row| ActionRow { action: &row.action, machine_name: name(&row.action) })
    }

    /// The actions of a machine that are not final, in the order of the requests.
    pub(super) fn live_actions(&self, machine: MachineId) -> Vec<Action> {
        let mut found: Vec<Action> = self.live_rows(machine).map(|row| row.action.clone()).collect();
        found.sort_by_key(|action| (action.created_at, action.id));
        found
    }

    /// The machines that have such actions.
    pub(super) fn machines_with_live(&self) -> Vec<MachineId> {
        self.live.keys().copied().collect()
    }

    /// Actions whose time is up: those that wait, by their deadline; then those that are open.
    pub(super) fn overdue(&self, now: Timestamp, unseen_since: Timestamp, limit: u32) -> Vec<ActionId> {
        let silent = |machine: &MachineId| self.machines.get(machine).is_some_and(|seen| seen.last_seen < unseen_since);
        let (mut waiting, mut open) = (Vec::new(), Vec::new());
        for (machine, places) in &self.live {
            for place in places {
                let action = &self.actions[*place].action;
                if action.stage() == Stage::Pending && action.expires_at <= now {
                    waiting.push((action.expires_at, *place));
                } else if action.stage().is_open() && silent(machine) {
                    open.push(*place);
                }
            }
        }
        waiting.sort_unstable();
        open.sort_unstable();
        let places = waiting.into_iter().map(|(_, place)| place).chain(open);
        places.take(at_most(limit)).map(|place| self.actions[place].action.id).collect()
    }
}

/// A limit as a length.
pub(super) fn at_most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
