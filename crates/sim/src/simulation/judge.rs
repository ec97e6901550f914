//! Whether everything is as it must be. The judge sees every commit, every effect on a machine, every word that is sent
//! and every answer that a client is shown; what it knows it knows from these alone.

mod commits;
mod effects;
mod ends;

use super::rules::{Breach, Rule};
use super::sights::Sights;
use domain::action::Action;
use domain::ids::{ActionId, Epoch, JournalId, MachineId};
use std::collections::{BTreeMap, BTreeSet};

/// The judge of one run.
#[derive(Debug, Default)]
pub struct Judge {
    rows: BTreeMap<ActionId, Row>,
    sessions: BTreeMap<MachineId, Epoch>,
    incarnations: BTreeMap<MachineId, u32>,
    heard: BTreeMap<JournalId, u64>,
    facts: BTreeMap<ActionId, (JournalId, u64)>,
    breach: Option<Breach>,
    /// What was seen in this run.
    pub sights: Sights,
    /// The number of the use case under way, and what those that look for what is overdue saw.
    pub use_case: u64,
    overdue: BTreeSet<(u64, ActionId)>,
    looked_at: BTreeMap<(u64, MachineId), Epoch>,
    moved: BTreeMap<u64, u32>,
    /// The machine that a use case under way speaks for, and the enrolment it does that under.
    pub speaks_for: Option<(MachineId, u32)>,
    /// The action that a use case under way is about, if it may change no other.
    pub about: Option<ActionId>,
}

/// What the judge knows of an action.
#[derive(Clone, Debug)]
pub struct Row {
    /// As it was committed last.
    pub action: Action,
    /// Its number in the film, from 1.
    pub number: usize,
    /// How often each step was begun on the machine.
    pub starts: BTreeMap<u16, u32>,
    /// The scripts of it that ran.
    pub scripts_ran: u32,
    /// Its isolation was loaded, or what it did was done, and the machine was switched off since.
    pub switched_off_since: bool,
    /// Its machine has said how it ended.
    pub testified: bool,
    /// And was set back since: what it undid may be there again.
    pub set_back_since: bool,
    /// A client was told that its cancel was accepted.
    pub was_accepted: bool,
    /// The machine it is for.
    pub machine: usize,
    /// The how-manieth it was to end.
    pub ended: Option<usize>,
}

impl Judge {
    /// A rule is broken. The first one counts.
    pub fn breaks(&mut self, rule: Rule, why: String) {
        if self.breach.is_none() {
            self.breach = Some(Breach { rule, why });
        }
    }

    /// The rule that is broken, if one is.
    pub fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// What is known of an action.
    pub fn row(&self, action: ActionId) -> Option<&Row> {
        self.rows.get(&action)
    }

    /// Every action, in the order of the requests.
    pub fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by_key(|row| row.number);
        rows
    }

    /// An action's name in the film.
    pub fn name(&self, action: ActionId) -> String {
        match self.rows.get(&action) {
            Some(row) => format!("a{}", row.number),
            None => "a?".into(),
        }
    }

    /// The newest session of a machine.
    pub fn session(&self, machine: MachineId) -> Epoch {
        self.sessions.get(&machine).copied().unwrap_or_default()
    }

    /// Whether every action is final.
    pub fn all_final(&self) -> bool {
        self.rows.values().all(|row| row.action.stage().is_final())
    }
}
