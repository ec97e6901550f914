//! The journal's records, and what they add up to for one action. `fold` is the only reader of records: a running agent
//! and one that starts after a crash know the same.

use super::Ran;
use crate::action::Body;
use crate::ids::{ActionId, Epoch, JournalId};
use crate::mutant::{self, Mutant};
use crate::testimony::{Ending, Fact, StepReport, StepStatus, Testimony};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One journal entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// When it was written, by the machine's clock; for display.
    pub at: Timestamp,
    /// The action it speaks of.
    pub action: ActionId,
    /// What it says.
    pub record: Record,
}

/// What a journal entry says. Each is durable before the step it announces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A grant was taken.
    Granted {
        /// Its number.
        epoch: Epoch,
        /// What is to be done.
        body: Body,
    },
    /// The action begins.
    Started,
    /// A step begins; this is what its undo will need.
    Intent {
        /// Which step.
        step: u16,
        /// The undo record.
        undo: UndoRecord,
    },
    /// A step ended.
    Done {
        /// Which step.
        step: u16,
        /// How.
        result: Ran,
    },
    /// The action stops here; written before anything is done about it. The first record of an action: a tombstone.
    Stopped {
        /// The grant that the stop speaks of.
        epoch: Epoch,
        /// Why.
        why: StopWhy,
    },
    /// A step is undone, and was looked at.
    Undone {
        /// Which step.
        step: u16,
        /// What is left that cannot be undone.
        residue: Vec<String>,
    },
    /// An undo failed and will be tried again.
    UndoFailed {
        /// Which step.
        step: u16,
        /// Why.
        why: String,
    },
    /// The end.
    Final {
        /// All done; otherwise stopped and clean.
        finished: bool,
    },
    /// The server keeps the testimony; from now on this is a tombstone.
    Acknowledged,
}

/// Why an action stops.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopWhy {
    /// The server said so.
    Cancelled,
    /// A step could not be done.
    Broke {
        /// Why, for the responder.
        why: String,
    },
    /// The agent died in the middle of it.
    Interrupted,
}

/// What an undo needs, in its executor's own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UndoRecord(pub Vec<u8>);

/// What the journal says of one action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The grant.
    pub epoch: Epoch,
    /// What is to be done; `None` for a tombstone of an action never granted here.
    pub body: Option<Body>,
    /// How far it came.
    pub phase: Phase,
    /// The steps that were begun, in order.
    pub steps: Vec<Step>,
    /// The records so far, in plain words.
    pub facts: Vec<Fact>,
    /// Undos that failed and are tried again.
    pub undo_troubles: Vec<String>,
    started: bool,
    why: Option<StopWhy>,
}

/// How far an action came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Granted, not begun.
    Granted,
    /// Begun.
    Started,
    /// Stopping.
    Stopped {
        /// Why.
        why: StopWhy,
    },
    /// Ended.
    Final {
        /// All done.
        finished: bool,
        /// The number of the final record.
        sequence: u64,
        /// The server keeps our testimony.
        acknowledged: bool,
    },
}

/// A step that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// What its undo needs.
    pub undo: UndoRecord,
    /// When it was journalled.
    pub intended_at: Timestamp,
    /// How it ended, if it did.
    pub result: Option<Ran>,
    /// What its undo left, if it is undone.
    pub undone: Option<Vec<String>>,
}

/// A record that does not follow from those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Its number.
    pub sequence: u64,
    /// The action it speaks of.
    pub action: ActionId,
    /// What is wrong.
    pub why: &'static str,
}

impl BadRecord {
    pub(super) fn new(entry: &Entry, why: &'static str) -> Self {
        Self { sequence: entry.sequence, action: entry.action, why }
    }
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal record {} of action {}: {}", self.sequence, self.action, self.why)
    }
}

impl std::error::Error for BadRecord {}

/// What `entry` makes of what was held before it.
///
/// # Errors
/// The record does not follow.
pub fn fold(before: Option<Held>, entry: &Entry) -> Result<Held, BadRecord> {
    let bad = |why| Err(BadRecord::new(entry, why));
    let Some(mut held) = before else {
        let mut held = match &entry.record {
            Record::Granted { epoch, body } => Held::new(*epoch, Some(body.clone()), Phase::Granted),
            Record::Stopped { epoch, why } => {
                let mut held = Held::new(*epoch, None, Phase::Stopped { why: why.clone() });
                held.why = Some(why.clone());
                held
            }
            _ => return bad("the action was never granted here"),
        };
        held.note(entry);
        return Ok(held);
    };
    match (&entry.record, &held.phase) {
        (Record::Granted { epoch, body }, Phase::Granted) if *epoch >= held.epoch => {
            (held.epoch, held.body) = (*epoch, Some(body.clone()));
        }
        (Record::Started, Phase::Granted) => {
            held.started = true;
            held.phase = Phase::Started;
        }
        (Record::Intent { step, undo }, Phase::Started) if held.next_step() == Some(*step) => {
            let step = Step { undo: undo.clone(), intended_at: entry.at, result: None, undone: None };
            held.steps.push(step);
        }
        (Record::Done { step, result }, Phase::Started | Phase::Stopped { .. }) if held.intended(*step) => {
            held.steps[usize::from(*step)].result = Some(result.clone());
        }
        (Record::Stopped { epoch, why }, Phase::Granted) if *epoch >= held.epoch => held.stop(*epoch, why),
        (Record::Stopped { epoch, why }, Phase::Started) if *epoch == held.epoch => held.stop(*epoch, why),
        (Record::Stopped { epoch, why }, Phase::Stopped { why: StopWhy::Interrupted }) => held.stop(*epoch, why),
        (Record::Undone { step, residue }, Phase::Stopped { .. })
            if held.next_undo().map(|(next, _)| next) == Some(*step) =>
        {
            held.steps[usize::from(*step)].undone = Some(residue.clone());
        }
        (Record::UndoFailed { why, .. }, Phase::Stopped { .. }) => held.undo_troubles.push(why.clone()),
        (Record::Final { finished: true }, Phase::Started) if held.all_done() => held.end(true, entry),
        (Record::Final { finished: false }, Phase::Stopped { .. }) if held.all_undone() => {
            held.end(false, entry);
        }
        (Record::Acknowledged, Phase::Final { finished, sequence, .. }) => {
            held.phase = Phase::Final { finished: *finished, sequence: *sequence, acknowledged: true };
            // What is left is a tombstone; the server keeps the rest.
            held.body = None;
            held.steps.clear();
            held.facts.clear();
        }
        _ => return bad("it does not follow from the records before it"),
    }
    held.note(entry);
    Ok(held)
}

impl Held {
    fn new(epoch: Epoch, body: Option<Body>, phase: Phase) -> Self {
        Self { epoch, body, phase, steps: vec![], facts: vec![], undo_troubles: vec![], started: false, why: None }
    }

    /// Whether it has begun and not ended.
    pub fn started(&self) -> bool {
        matches!(self.phase, Phase::Started) || (self.started && matches!(self.phase, Phase::Stopped { .. }))
    }

    /// Whether it ever began here.
    pub fn ever_started(&self) -> bool {
        self.started
    }

    /// Whether the server keeps our testimony.
    pub fn acknowledged(&self) -> bool {
        matches!(self.phase, Phase::Final { acknowledged: true, .. })
    }

    /// Whether this step was begun and has not ended.
    pub fn intended(&self, step: u16) -> bool {
        usize::from(step) + 1 == self.steps.len() && self.steps[usize::from(step)].result.is_none()
    }

    /// The step to begin next; none while one runs or when all are done.
    pub fn next_step(&self) -> Option<u16> {
        let done = self.steps.iter().all(|step| matches!(&step.result, Some(ran) if ran.error.is_none()));
        let next = u16::try_from(self.steps.len()).ok()?;
        (done && next < self.step_count()).then_some(next)
    }

    /// Whether every step is done.
    pub fn all_done(&self) -> bool {
        let done = self.steps.iter().filter(|step| matches!(&step.result, Some(ran) if ran.error.is_none()));
        done.count() == usize::from(self.step_count())
    }

    /// The last step that is not undone yet, with what its undo needs.
    pub fn next_undo(&self) -> Option<(u16, UndoRecord)> {
        let (index, step) = self.steps.iter().enumerate().rev().find(|(_, step)| step.undone.is_none())?;
        Some((u16::try_from(index).ok()?, step.undo.clone()))
    }

    /// Whether nothing is left to undo.
    pub fn all_undone(&self) -> bool {
        self.next_undo().is_none()
            || mutant::is_on(Mutant::UndoNotAwaited)
            || mutant::is_on(Mutant::UndoSkippedAfterCrash)
    }

    /// The testimony, once there is an end to testify to.
    pub fn testimony(&self, journal: JournalId) -> Option<Testimony> {
        let Phase::Final { finished, sequence, acknowledged: false } = self.phase else { return None };
        let ending = match (finished, &self.why) {
            (true, _) => Ending::Finished,
            (false, Some(StopWhy::Broke { why })) => Ending::Broke { why: why.clone() },
            (false, Some(StopWhy::Interrupted)) => {
                Ending::Broke { why: "the agent was interrupted in the middle of it".into() }
            }
            (false, Some(StopWhy::Cancelled) | None) => Ending::Stopped { began: self.started },
        };
        let residue = self.steps.iter().rev().filter_map(|step| step.undone.clone()).flatten().collect();
        let steps = (0..self.step_count()).map(|index| self.step_report(index)).collect();
        Some(Testimony { epoch: self.epoch, journal, sequence, ending, steps, residue, facts: self.facts.clone() })
    }

    fn step_count(&self) -> u16 {
        self.body.as_ref().map_or(0, Body::steps)
    }

    fn step_report(&self, index: u16) -> StepReport {
        let Some(step) = self.steps.get(usize::from(index)) else { return StepReport::created(index) };
        match &step.result {
            None => StepReport {
                index,
                status: StepStatus::Failed,
                started_at: Some(step.intended_at),
                ended_at: None,
                errors: vec!["stopped before it ended".into()],
                artifact: None,
            },
            Some(ran) => StepReport {
                index,
                status: if ran.error.is_none() { StepStatus::Completed } else { StepStatus::Failed },
                started_at: Some(ran.started_at),
                ended_at: Some(ran.ended_at),
                errors: ran.error.iter().cloned().collect(),
                artifact: ran.artifact.clone(),
            },
        }
    }

    fn stop(&mut self, epoch: Epoch, why: &StopWhy) {
        self.epoch = epoch;
        self.phase = Phase::Stopped { why: why.clone() };
        self.why = Some(why.clone());
    }

    fn end(&mut self, finished: bool, entry: &Entry) {
        self.phase = Phase::Final { finished, sequence: entry.sequence, acknowledged: false };
    }

    fn note(&mut self, entry: &Entry) {
        if let Some(what) = words(entry, self.step_count(), self.started) {
            self.facts.push(Fact { sequence: entry.sequence, at: entry.at, what });
        }
    }
}

fn words(entry: &Entry, steps: u16, started: bool) -> Option<String> {
    let number = |step: &u16| format!("step {} of {steps}", step + 1);
    Some(match &entry.record {
        Record::Granted { epoch, .. } => format!("took the grant of session {epoch}"),
        Record::Started => "started".into(),
        Record::Intent { step, .. } => format!("{} begins; its undo record is kept", number(step)),
        Record::Done { step, result } => match &result.error {
            None => format!("{} done, looked at", number(step)),
            Some(why) => format!("{} ended: {why}", number(step)),
        },
        Record::Stopped { why, .. } => match why {
            StopWhy::Cancelled if started => "stop recorded: cancelled".into(),
            StopWhy::Cancelled => "tombstone: cancelled, never to begin".into(),
            StopWhy::Broke { why } => format!("stop recorded: {why}"),
            StopWhy::Interrupted => "stop recorded: the agent was interrupted".into(),
        },
        Record::Undone { step, residue } if residue.is_empty() => format!("{} undone, looked at", number(step)),
        Record::Undone { step, residue } => format!("{} undone; left behind: {}", number(step), residue.join("; ")),
        Record::UndoFailed { step, why } => format!("{}: undo failed, will be tried again: {why}", number(step)),
        Record::Final { finished: true } => "final: finished".into(),
        Record::Final { finished: false } if started => "final: every process dead, everything undone".into(),
        Record::Final { finished: false } => "final: never began".into(),
        Record::Acknowledged => return None,
    })
}
