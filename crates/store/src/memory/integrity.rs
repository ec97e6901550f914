//! Looking at everything on record, as an auditor would: by reading, not by trusting the guards.

use super::tables::{Row, Tables};
use crate::audit::walk;
use domain::history::verify;
use domain::ids::MachineId;
use domain::kind::ResourceClass;
use domain::lifecycle::Stage;
use std::collections::BTreeMap;

impl Tables {
    /// What does not hold, one line each.
    pub(super) fn look(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.look_at_open(&mut wrong);
        for row in &self.actions {
            look_at_action(row, &mut wrong);
        }
        wrong
    }

    fn look_at_open(&self, wrong: &mut Vec<String>) {
        let mut open: BTreeMap<(MachineId, ResourceClass), usize> = BTreeMap::new();
        for action in self.actions.iter().map(|row| &row.action).filter(|action| action.stage().is_open()) {
            *open.entry((action.machine, action.kind().class())).or_default() += 1;
        }
        for ((machine, class), count) in open.into_iter().filter(|(_, count)| *count > 1) {
            wrong.push(format!("machine {machine} has {count} open actions of class {class:?}"));
        }
    }
}

fn look_at_action(row: &Row, wrong: &mut Vec<String>) {
    let id = row.action.id;
    let lines: Vec<_> = row.history.iter().map(|kept| kept.stored.clone()).collect();
    if let Err(sequence) = verify(id, &lines) {
        wrong.push(format!("action {id}: the hash chain of its history breaks at line {sequence}"));
    }
    let moves: Vec<Stage> = row.history.iter().filter_map(|kept| kept.moved_to).collect();
    wrong.extend(walk(&moves, row.action.stage()).map(|why| format!("action {id}: {why}")));
}
