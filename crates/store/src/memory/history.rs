//! The history: lines are added at its end, each bound to all before it.

use super::tables::{Kept, Tables};
use domain::history::{CHAIN_START, Line, StoredLine, chain};
use domain::ids::{ActionId, JournalId};
use domain::lifecycle::Stage;
use std::collections::BTreeSet;

/// The lines whose fact is not in `history` yet. A fact told twice within `lines` counts once.
pub(super) fn unknown<'a>(history: &[Kept], lines: &'a [Line]) -> Vec<&'a Line> {
    let mut told: BTreeSet<(JournalId, u64)> = history.iter().filter_map(|kept| kept.stored.line.fact).collect();
    lines.iter().filter(|line| line.fact.is_none_or(|fact| told.insert(fact))).collect()
}

/// Adds `lines`, the last of which moves the action to `moved_to`.
pub(super) fn append(action: ActionId, history: &mut Vec<Kept>, lines: &[&Line], moved_to: Option<Stage>) {
    let mut hash = history.last().map_or(CHAIN_START, |kept| kept.stored.hash);
    for (index, line) in lines.iter().enumerate() {
        let sequence = history.len() as u64 + 1;
        hash = chain(hash, action, sequence, line);
        let stored = StoredLine { sequence, line: (*line).clone(), hash };
        history.push(Kept { stored, moved_to: moved_to.filter(|_| index + 1 == lines.len()) });
    }
}

impl Tables {
    /// The history of an action, oldest first.
    pub(super) fn history(&self, id: ActionId) -> Vec<StoredLine> {
        let kept = self.row(id).into_iter().flat_map(|row| &row.history);
        kept.map(|kept| kept.stored.clone()).collect()
    }
}
