//! One state of the world: the store's rows, the machine, everything that was ever sent.

use super::kept::Kept;
use super::message::{Message, journal_id};
use super::rules::Rule;
use domain::grantee::{Entry, Grantee, Listed, Verdict};
use domain::ids::ActionId;
use domain::machine::JournalSeen;
use domain::{Action, Digest};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The most actions a model has.
pub const ACTIONS_MAX: usize = 2;

/// The most steps an action of the model has.
pub const STEPS_MAX: usize = 2;

/// Everything there is at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The store: the number of the machine's newest session.
    pub session: u8,
    /// The store: how often the machine was enrolled.
    pub incarnation: u8,
    /// The store: where the machine's journal stood at the last Hello; noted only if journals can go back.
    pub seen: Option<JournalSeen>,
    /// The store: whether it ever saw the journal go back.
    pub noticed: bool,
    /// The store: the actions.
    pub rows: Kept<Vec<Action>>,
    /// The machine: what is on its disk.
    pub disk: Kept<Disk>,
    /// The machine: the agent's process, if one runs.
    pub process: Option<Kept<Process>>,
    /// The machine: what each action did to it.
    pub marks: [Marks; ACTIONS_MAX],
    /// The machine: the enrolment that its certificate is for.
    pub enrolled: u8,
    /// Another host, on which the agent of an earlier enrolment goes on with its own certificate.
    pub elsewhere: Option<Kept<Host>>,
    /// What was ever sent, in order of kind.
    pub sent: Kept<Vec<Message>>,
    /// One bit for each action that a client was ever shown as Cancelled.
    pub shown: u8,
    /// One bit for each action whose cancel was accepted while it was open.
    pub accepted: u8,
    /// The rules that are broken, one bit each.
    pub broken: u32,
    /// How much of the bounds is used up.
    pub spent: Spent,
}

/// A host with an agent, as far as it is not the one that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// The enrolment that its certificate is for.
    pub enrolled: u8,
    /// What is on its disk.
    pub disk: Kept<Disk>,
    /// Its agent's process, if one runs.
    pub process: Option<Kept<Process>>,
    /// What each action did to it.
    pub marks: [Marks; ACTIONS_MAX],
}

/// What is on the machine's disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    /// Which journal: the how-manieth of this machine.
    pub journal: u8,
    /// Its records.
    pub entries: Vec<Entry>,
}

/// What is gone when the agent dies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The production state machine.
    pub grantee: Grantee,
    /// Its link to the server.
    pub link: Link,
    /// The session that its link is for; 0: it has none.
    pub session: u8,
    /// Tasks that were begun and have not ended, in order of kind.
    pub jobs: Vec<(u8, Job)>,
    /// One bit for each action whose work was told to stop.
    pub stop: u8,
    /// One bit for each action that this process began.
    pub began: u8,
    /// How many claims of each action were made in this session.
    pub claims: [u8; ACTIONS_MAX],
}

/// The agent's link to the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// None.
    Down,
    /// Hello is on its way.
    Dialling {
        /// What it lists.
        listed: Vec<Listed>,
        /// Whether the server saw the journal further on before.
        went_back: bool,
    },
    /// Welcome is on its way.
    Answered {
        /// What it says.
        verdicts: Vec<(ActionId, Verdict)>,
    },
    /// Welcome has arrived.
    Open,
}

/// A task of the crew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Fetch what the steps need.
    Prepare,
    /// Read what the step's undo will need.
    Plan(u8),
    /// Make the step's effect; nothing of it runs yet.
    Run(u8),
    /// Make the step's effect; its process was started.
    Running(u8),
    /// Kill every process of the action.
    Kill,
    /// Undo the step.
    Undo(u8),
    /// The step is undone; nobody was told yet.
    Undone(u8),
}

/// What an action did to the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// A process that makes an effect. It outlives the agent.
    pub child: Option<Child>,
    /// How often each step's process was started; 2 stands for more.
    pub starts: [u8; STEPS_MAX],
    /// One bit for each step whose effect was ever made.
    pub made: u8,
    /// One bit for each step whose effect stands and could be taken away.
    pub standing: u8,
}

/// A process of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Child {
    /// Which step it carries out.
    pub step: u8,
    /// Whether its effect is made.
    pub acted: bool,
    /// Whether the agent that started it is dead.
    pub orphan: bool,
    /// The journal of the agent that started it.
    pub journal: u8,
}

/// How much of the bounds is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Crashes of the agent.
    pub crashes: u8,
    /// Journals lost.
    pub wipes: u8,
    /// Journals set back in time.
    pub rollbacks: u8,
    /// Tasks that ended in an error.
    pub errors: u8,
    /// Undos that failed.
    pub undo_failures: u8,
    /// Enrolments of the machine under its own record.
    pub reenrolments: u8,
    /// Looks of the sweep that are acted upon later.
    pub slow_sweeps: u8,
}

impl State {
    /// What each action did to any host.
    pub fn all_marks(&self, action: usize) -> impl Iterator<Item = Marks> {
        let elsewhere = self.elsewhere.as_ref().map(|host| host.marks[action]);
        std::iter::once(self.marks[action]).chain(elsewhere)
    }

    /// The action's row.
    pub fn row(&self, action: usize) -> &Action {
        &self.rows[action]
    }

    /// Notes that a rule is broken.
    pub fn breaks(&mut self, rule: Rule) {
        self.broken |= rule.bit();
    }

    /// Whether the journal was set back and has grown beyond what the server saw of it, so that no Hello can show it.
    /// That is beyond the fault model.
    pub fn set_back_unseen(&self) -> bool {
        let now = self.disk.seen();
        let grown = self.seen.is_some_and(|seen| seen.id == now.id && seen.sequence < now.sequence);
        self.spent.rollbacks > 0 && grown && !self.noticed
    }

    /// Whether every action has ended.
    pub fn all_final(&self) -> bool {
        self.rows.iter().all(|row| row.stage().is_final())
    }
}

impl Disk {
    /// The journal as Hello tells of it.
    pub fn seen(&self) -> JournalSeen {
        let head = self.entries.iter().fold(0u64, |head, entry| {
            let mut hasher = DefaultHasher::new();
            (head, entry).hash(&mut hasher);
            hasher.finish()
        });
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&head.to_be_bytes());
        JournalSeen { id: journal_id(self.journal), sequence: self.entries.len() as u64, head: Digest(bytes) }
    }

    /// Whether the action was ever begun, as far as this journal knows.
    pub fn holds(&self, action: ActionId, wanted: impl Fn(&domain::grantee::Record) -> bool) -> bool {
        self.entries.iter().any(|entry| entry.action == action && wanted(&entry.record))
    }
}

impl Process {
    /// Takes a task off the list.
    pub fn done(&mut self, action: usize, job: Job) {
        if let Some(index) = self.jobs.iter().position(|known| *known == (action as u8, job)) {
            self.jobs.remove(index);
        }
    }

    /// Puts a task on the list.
    pub fn begin(&mut self, action: usize, job: Job) {
        self.jobs.push((action as u8, job));
        self.jobs.sort_unstable();
    }

    /// Whether the action's work was told to stop.
    pub fn stopped(&self, action: usize) -> bool {
        self.stop & (1 << action) != 0
    }
}
