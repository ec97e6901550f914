//! What machines look like when everything is over.

use super::{Judge, Row};
use crate::simulation::machine::Machine;
use crate::simulation::rules::Rule;
use domain::action::{State, TimedOutWhy};
use domain::{Kind, Stage};

impl Judge {
    /// Everything has ended: the machine is as the ends of its actions say.
    pub fn at_the_end(&mut self, machine: &Machine) {
        if let Some(group) = machine.children.keys().next() {
            let why = format!("group {group} still lives on m{}", machine.index + 1);
            self.breaks(Rule::MachinesAreAsTold, why);
        }
        let mut rows: Vec<Row> = self.rows.values().filter(|row| row.machine == machine.index).cloned().collect();
        // What was requested later may have been granted earlier: no clock decides.
        rows.sort_by_key(|row| row.ended);
        if machine.was_set_back {
            return; // It knows no more what it was told, and nobody else does.
        }
        for row in &rows {
            let (stage, unknown) = (row.action.stage(), is_unknown(row));
            let undone = matches!(stage, Stage::Cancelled | Stage::Failed) || (stage == Stage::TimedOut && !unknown);
            if let (true, Some(left)) = (undone && !row.switched_off_since, machine.left_of(row.action.id)) {
                self.breaks(Rule::MachinesAreAsTold, format!("a{} is {stage}, and {left}", row.number));
            }
        }
        self.isolation_is_as_told(machine, &rows);
    }

    /// Isolated if, and only if, the last action that says so says so; unless somebody had to say that he does not know.
    fn isolation_is_as_told(&mut self, machine: &Machine, rows: &[Row]) {
        let network = rows.iter().filter(|row| matches!(row.action.kind(), Kind::Isolate | Kind::Release));
        let mut doubtful = machine.boots > 1;
        let mut expected = None;
        for row in network {
            doubtful |= is_unknown(row);
            match (row.action.stage(), row.action.kind()) {
                (Stage::Succeeded, Kind::Isolate) => expected = Some(row.action.id.to_string()),
                (Stage::Succeeded, _) => expected = None,
                _ => {}
            }
        }
        let there = machine.isolation.as_ref().map(|table| table.mark.clone());
        if !doubtful && there != expected {
            let why = format!("m{} is isolated by {there:?}, expected is {expected:?}", machine.index + 1);
            self.breaks(Rule::MachinesAreAsTold, why);
        }
    }
}

/// Nobody can say what became of it.
fn is_unknown(row: &Row) -> bool {
    let State::TimedOut { why, .. } = &row.action.state else { return false };
    *why != TimedOutWhy::NotStarted
}
