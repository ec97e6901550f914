//! Reading actions.

use super::tables::Tables;
use crate::ActionQuery;
use domain::action::Action;
use domain::ids::{ActionId, MachineId};
use domain::lifecycle::Stage;
use domain::time::Timestamp;

impl Tables {
    /// One action.
    pub(super) fn action(&self, id: ActionId) -> Option<Action> {
        self.row(id).map(|row| row.action.clone())
    }

    /// Actions that match, newest first.
    pub(super) fn listed(&self, query: &ActionQuery) -> Vec<Action> {
        let matches = |action: &&Action| {
            query.id.is_none_or(|id| action.id == id)
                && query.machine.is_none_or(|machine| action.machine == machine)
                && query.kind.is_none_or(|kind| action.kind() == kind)
                && (query.stages.is_empty() || query.stages.contains(&action.stage()))
        };
        let newest_first = self.actions.iter().rev().map(|row| &row.action);
        newest_first.filter(matches).take(at_most(query.limit)).cloned().collect()
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
