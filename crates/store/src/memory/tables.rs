//! What is on record, as maps. Ordered, so that walking them is the same in every run.

use crate::{Application, EnrolToken, LibraryFile, Once};
use domain::action::Action;
use domain::audit::StoredEntry;
use domain::history::StoredLine;
use domain::ids::{ActionId, Digest, MachineId};
use domain::lifecycle::Stage;
use domain::machine::Machine;
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Everything on record.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// In the order of their arrival; never one less. An action's place is its number.
    pub(super) actions: Vec<Row>,
    /// Where each action stands in `actions`.
    pub(super) places: BTreeMap<ActionId, usize>,
    /// The actions of a machine that are not final; no entry for a machine without any.
    pub(super) live: BTreeMap<MachineId, BTreeSet<usize>>,
    pub(super) machines: BTreeMap<MachineId, Machine>,
    pub(super) tokens: BTreeMap<Digest, Token>,
    pub(super) applications: BTreeMap<String, Application>,
    pub(super) files: BTreeMap<String, LibraryFile>,
    pub(super) contents: BTreeMap<Digest, Vec<u8>>,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) audit: Vec<StoredEntry>,
    /// By caller and key.
    pub(super) keys: BTreeMap<(String, String), (Once, ActionId)>,
    pub(super) commit_number: u64,
    /// When anything of any action was changed last.
    pub(super) newest_update: Option<Timestamp>,
}

/// An action with what belongs to it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) action: Action,
    pub(super) history: Vec<Kept>,
    /// The contents that it holds for as long as it is not final.
    pub(super) holds: BTreeSet<Digest>,
}

/// A line of a history.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stored: StoredLine,
    /// The stage that the change moved the action to; on the last line of such a change and nowhere else.
    pub(super) moved_to: Option<Stage>,
}

/// An enrolment token and how often it was used.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) limits: EnrolToken,
    pub(super) uses: u32,
}

impl Tables {
    /// Counts a write as a commit, and says its number.
    pub(super) fn count(&mut self) -> u64 {
        self.commit_number += 1;
        self.commit_number
    }

    /// An action's row.
    pub(super) fn row(&self, id: ActionId) -> Option<&Row> {
        self.places.get(&id).map(|place| &self.actions[*place])
    }

    /// The rows of a machine that are not final, in the order of their arrival.
    pub(super) fn live_rows(&self, machine: MachineId) -> impl Iterator<Item = &Row> {
        self.live.get(&machine).into_iter().flatten().map(|place| &self.actions[*place])
    }
}
