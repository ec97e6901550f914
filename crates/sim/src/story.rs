//! A way through the model, in words for a reader.

use crate::model::state::State;
use crate::model::step::Step;
use domain::Action;
use std::fmt::Write as _;

/// One line for each step, with what became of the rows where they changed.
pub fn words(way: &[(Step, State)]) -> String {
    let mut out = String::new();
    let mut before = None;
    for (number, (step, state)) in way.iter().enumerate() {
        let now = stages(state);
        let shown = if before.as_ref() == Some(&now) { String::new() } else { format!("  -> {now}") };
        let _ = writeln!(out, "    {:>3} {step}{shown}", number + 1);
        before = Some(now);
    }
    out
}

/// As [`words`], with the journal after each step that wrote to it, and what stands on the machine.
pub fn details(way: &[(Step, State)]) -> String {
    let mut out = String::new();
    let mut written = 0;
    for (number, (step, state)) in way.iter().enumerate() {
        let _ = writeln!(out, "{:>3} {step}  -> {}", number + 1, stages(state));
        let entries = &state.disk.entries;
        for entry in entries.iter().skip(written.min(entries.len())) {
            let _ = writeln!(out, "      journal {} record {}: {:?}", state.disk.journal, entry.sequence, entry.record);
        }
        written = entries.len();
        for (index, marks) in state.marks.iter().enumerate().filter(|(_, marks)| **marks != Default::default()) {
            let _ = writeln!(out, "      machine, action {index}: {marks:?}");
        }
    }
    out
}

fn stages(state: &State) -> String {
    let stages: Vec<String> = state.rows.iter().map(Action::stage).map(|stage| stage.to_string()).collect();
    stages.join(", ")
}
