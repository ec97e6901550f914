//! The server's decisions: (action, event, now) to a change or a refusal. Everything not allowed is a refusal that
//! names the stage and the event.

use crate::action::{Action, Cancel, CancelProof, Grant, State, TimedOutWhy};
use crate::history::{Line, Source};
use crate::ids::{Epoch, JournalId};
use crate::kind::ResourceClass;
use crate::lifecycle::{EventKind, Next, Stage, next};
use crate::mutant::{self, Mutant};
use crate::testimony::{Ending, Testimony};
use crate::time::Timestamp;
use std::fmt;

/// What happened to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its machine asks to begin it. An agent claims only what its journal says it has not started.
    Claimed {
        /// The session the claim came in, which the store checks is the machine's newest.
        session: Epoch,
        /// The claiming journal.
        journal: JournalId,
    },
    /// A caller asked for a cancel.
    CancelRequested {
        /// Who.
        requestor: String,
        /// Why.
        comment: String,
    },
    /// Its machine testifies.
    Reported(Testimony),
    /// Its time is up, as it was seen to be; it may have moved on since.
    DeadlinePassed(Overdue),
    /// Its machine came back with another journal, or was enrolled anew.
    Disowned {
        /// Which of these.
        why: TimedOutWhy,
        /// The machine's newest session when that was seen, which the store checks still is. What is heard in a newer one
        /// is more than this journal's Hello told of, and no sign that it forgot. None: the change is fenced otherwise.
        newest: Option<Epoch>,
    },
}

/// Why an action's time is up. Whoever looks for what is overdue decides later than it looks: this says what it saw, so
/// that an action which is somewhere else by then is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// Pending past its deadline.
    NotGranted,
    /// Open, and its machine was not heard of for longer than the horizon.
    Silent {
        /// The machine's newest session then: whoever opens another is not silent, and the store checks that nobody did.
        session: Epoch,
    },
}

/// The outcome of deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Commit this, then tell the agent.
    Change(Box<Change>, Tell),
    /// Nothing to commit.
    Stay(Tell),
    /// The action's end stands; keep what the machine says as late evidence, then tell the agent.
    Late(Vec<Line>, Tell),
}

/// A change to commit if the action's revision is still the one it was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The action as it will be.
    pub action: Action,
    /// The revision it was decided on.
    pub from_revision: u64,
    /// What else must still hold at the commit.
    pub needs: Option<Needs>,
    /// The lines that commit with it.
    pub history: Vec<Line>,
}

/// What a change needs besides the action's own revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// This session is still the machine's newest.
    pub session: Epoch,
    /// For a grant: no other action of this class is open on the machine, or requested earlier and still live.
    pub class: Option<ResourceClass>,
}

/// What the agent is to be told. Advice only: if it is lost, the next Hello, claim or sweep says it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Nothing.
    Nothing,
    /// The permission to begin.
    Grant(Grant),
    /// Stop it, or never begin it.
    Abort(Epoch),
    /// There is nothing to begin.
    Gone,
    /// Its testimony is kept; it need not be repeated.
    Acknowledge,
}

/// A refusal: this event is not allowed in this stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where the action stands.
    pub stage: Stage,
    /// What was tried.
    pub event: EventKind,
    /// What is wrong with it, where the stage alone does not say.
    pub why: Why,
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The stage does not allow it.
    Stage,
    /// It speaks of another grant than the one on record.
    OtherEpoch,
    /// It comes from an older session than the grant on record.
    OldSession,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::Stage => "",
            Why::OtherEpoch => ": it speaks of another grant",
            Why::OldSession => ": it comes from an older session",
        };
        write!(f, "{} refuses {:?}{why}", self.stage, self.event)
    }
}

impl std::error::Error for Refusal {}

/// Decides what `event` does to `action`.
pub fn decide(action: &Action, event: Event, now: Timestamp) -> Result<Decision, Refusal> {
    match event {
        Event::Claimed { session, journal } => claimed(action, session, journal, now),
        Event::CancelRequested { requestor, comment } => cancel_requested(action, requestor, comment, now),
        Event::Reported(testimony) => reported(action, testimony, now),
        Event::DeadlinePassed(overdue) => deadline_passed(action, overdue, now),
        Event::Disowned { why, newest } => {
            let decision = disowned(action, why, now)?;
            Ok(match newest {
                Some(session) => needing(decision, Needs { session, class: None }),
                None => decision,
            })
        }
    }
}

fn claimed(action: &Action, session: Epoch, journal: JournalId, now: Timestamp) -> Result<Decision, Refusal> {
    let stage = action.stage();
    if let Some(grant) = action.state.grant().filter(|_| stage.is_open()) {
        // First of all: an older session, and the journal it had, know nothing of a newer grant.
        if grant.epoch > session {
            return Err(Refusal { stage, event: EventKind::Granted, why: Why::OldSession });
        }
        if grant.journal != journal && !mutant_trusts_any_journal(stage) {
            // An empty journal cannot testify, and what the lost one began may still run: never re-grant, never abort.
            return disowned(action, TimedOutWhy::JournalLost, now).map(|decision| retell(decision, Tell::Gone));
        }
        if stage == Stage::Granted && grant.epoch == session {
            return Ok(Decision::Stay(Tell::Grant(grant)));
        }
        if stage == Stage::Stopping {
            return Ok(Decision::Stay(Tell::Abort(grant.epoch)));
        }
    }
    match next(stage, EventKind::Granted) {
        Next::To(Stage::Granted) => {
            let grant = Grant { epoch: session, journal };
            if mutant::is_on(Mutant::NoClaimStep) {
                return Ok(Decision::Stay(Tell::Grant(grant)));
            }
            let mut change = change(action, State::Granted { grant }, now);
            change.needs = Some(Needs { session, class: Some(action.kind().class()) });
            change.line(Source::Server, format!("granted to the machine's session {session}"));
            Ok(Decision::Change(Box::new(change), Tell::Grant(grant)))
        }
        _ => Err(refusal(stage, EventKind::Granted)),
    }
}

fn cancel_requested(action: &Action, requestor: String, comment: String, now: Timestamp) -> Result<Decision, Refusal> {
    let stage = action.stage();
    if stage.is_final() && mutant::is_on(Mutant::CancelOverwritesFinal) {
        return Ok(mutated_cancel(action, requestor, comment, now));
    }
    match (next(stage, EventKind::CancelRequested), &action.state) {
        (Next::Stay, state) => Ok(Decision::Stay(match (stage, state.grant()) {
            (Stage::Stopping, Some(grant)) => Tell::Abort(grant.epoch),
            _ => Tell::Nothing,
        })),
        (Next::To(Stage::Cancelled), State::Pending) => {
            let at = now.after(action.updated_at);
            let cancel = Cancel { requestor, comment, at };
            let said = format!("cancel requested by {}", cancel.requestor);
            let state = State::Cancelled { cancel, proof: CancelProof::NeverGranted };
            let mut change = change(action, state, now);
            change.line(Source::Caller, said);
            change.line(Source::Server, "cancelled: no grant was ever given, it never starts".into());
            Ok(Decision::Change(Box::new(change), Tell::Nothing))
        }
        (Next::To(Stage::Stopping), State::Granted { grant }) => {
            let grant = *grant;
            if mutant::is_on(Mutant::CancelNotRecorded) {
                return Ok(Decision::Stay(Tell::Abort(grant.epoch)));
            }
            if mutant::is_on(Mutant::CancelledWhileGranted) {
                return Ok(mutated_cancel(action, requestor, comment, now));
            }
            let at = now.after(action.updated_at);
            let cancel = Cancel { requestor, comment, at };
            let said = format!("cancel requested by {}; waiting for the machine's testimony", cancel.requestor);
            let mut change = change(action, State::Stopping { grant, cancel }, now);
            change.line(Source::Caller, said);
            Ok(Decision::Change(Box::new(change), Tell::Abort(grant.epoch)))
        }
        _ => Err(refusal(stage, EventKind::CancelRequested)),
    }
}

fn reported(action: &Action, testimony: Testimony, now: Timestamp) -> Result<Decision, Refusal> {
    let stage = action.stage();
    let event = match testimony.ending {
        Ending::Finished => EventKind::Finished,
        Ending::Stopped { .. } => EventKind::Stopped,
        Ending::Broke { .. } => EventKind::Broke,
    };
    if stage.is_final() && !mutant::is_on(Mutant::LateResultOverwrites) {
        return Ok(late(action, &testimony, event));
    }
    let Some(grant) = action.state.grant() else { return Err(refusal(stage, event)) };
    if testimony.epoch != grant.epoch {
        return Err(Refusal { stage, event, why: Why::OtherEpoch });
    }
    if testimony.journal != grant.journal && !mutant::is_on(Mutant::WipedAgentTrusted) {
        return disowned(action, TimedOutWhy::JournalLost, now).map(|decision| retell(decision, Tell::Acknowledge));
    }
    let from = if mutant::is_on(Mutant::LateResultOverwrites) { Stage::Stopping } else { stage };
    let Next::To(to) = next(from, event) else { return Err(refusal(stage, event)) };
    let facts = fact_lines(&testimony, stage);
    let said = ended_words(&testimony);
    let cancel = action.state.cancel().cloned();
    let state = match (to, cancel) {
        (Stage::Succeeded, cancel) => State::Succeeded { testimony, cancel },
        (Stage::Failed, cancel) => State::Failed { testimony, cancel },
        (Stage::Cancelled, Some(cancel)) => State::Cancelled { cancel, proof: CancelProof::Testified { testimony } },
        _ => return Err(refusal(stage, event)),
    };
    let mut change = change(action, state, now);
    change.history.extend(facts);
    change.line(Source::Server, said);
    Ok(Decision::Change(Box::new(change), Tell::Acknowledge))
}

/// A testimony for an action that already ended: acknowledged, so that the machine can forget it; kept, if it is new.
fn late(action: &Action, testimony: &Testimony, event: EventKind) -> Decision {
    let same = |kept: &Testimony| kept.journal == testimony.journal && kept.sequence == testimony.sequence;
    if action.state.testimony().is_some_and(same) {
        return Decision::Stay(Tell::Acknowledge);
    }
    let stage = action.stage();
    let mut lines = fact_lines(testimony, stage);
    lines.push(Line {
        at: testimony.facts.last().map_or(action.updated_at, |fact| fact.at),
        source: Source::Machine,
        what: format!("late evidence ({event:?}): {}", ended_words(testimony)),
        stage,
        // Beyond every record number, so that it stands once beside the final record's own line.
        fact: Some((testimony.journal, testimony.sequence | LATE_EVIDENCE)),
    });
    Decision::Late(lines, Tell::Acknowledge)
}

/// Marks the key of a late-evidence line; record numbers stay far below.
const LATE_EVIDENCE: u64 = 1 << 62;

fn deadline_passed(action: &Action, overdue: Overdue, now: Timestamp) -> Result<Decision, Refusal> {
    if let (State::Stopping { cancel, .. }, true) = (&action.state, mutant::is_on(Mutant::LeaseBecomesCancelled)) {
        return Ok(mutated_cancel(action, cancel.requestor.clone(), cancel.comment.clone(), now));
    }
    let (stage, stale) = (action.stage(), mutant::is_on(Mutant::ExpiryOfWhatMovedOn));
    let granted_since = |session| action.state.grant().is_some_and(|grant| grant.epoch > session);
    match overdue {
        _ if stale => {
            let why = if stage == Stage::Pending { TimedOutWhy::NotStarted } else { TimedOutWhy::NoContact };
            time_out(action, EventKind::DeadlinePassed, why, now)
        }
        Overdue::NotGranted if stage == Stage::Pending => {
            time_out(action, EventKind::DeadlinePassed, TimedOutWhy::NotStarted, now)
        }
        Overdue::Silent { session } if stage.is_open() && !granted_since(session) => {
            let decision = time_out(action, EventKind::DeadlinePassed, TimedOutWhy::NoContact, now)?;
            Ok(needing(decision, Needs { session, class: None }))
        }
        // It moved on since it was looked at.
        Overdue::NotGranted | Overdue::Silent { .. } => Ok(Decision::Stay(Tell::Nothing)),
    }
}

fn needing(decision: Decision, needs: Needs) -> Decision {
    match decision {
        Decision::Change(change, tell) => Decision::Change(Box::new(Change { needs: Some(needs), ..*change }), tell),
        other => other,
    }
}

fn disowned(action: &Action, why: TimedOutWhy, now: Timestamp) -> Result<Decision, Refusal> {
    time_out(action, EventKind::Disowned, why, now)
}

fn time_out(action: &Action, event: EventKind, why: TimedOutWhy, now: Timestamp) -> Result<Decision, Refusal> {
    let stage = action.stage();
    match next(stage, event) {
        Next::Stay => Ok(Decision::Stay(Tell::Nothing)),
        Next::To(Stage::TimedOut) => {
            let (grant, cancel) = (action.state.grant(), action.state.cancel().cloned());
            let mut change = change(action, State::TimedOut { why, grant, cancel }, now);
            change.line(Source::Server, timed_out_words(why).into());
            Ok(Decision::Change(Box::new(change), Tell::Nothing))
        }
        _ => Err(refusal(stage, event)),
    }
}

fn change(action: &Action, state: State, now: Timestamp) -> Change {
    let mut next = action.clone();
    next.state = state;
    next.updated_at = now.after(action.updated_at);
    next.revision += 1;
    Change { action: next, from_revision: action.revision, needs: None, history: vec![] }
}

impl Change {
    fn line(&mut self, source: Source, what: String) {
        let (at, stage) = (self.action.updated_at, self.action.stage());
        self.history.push(Line { at, source, what, stage, fact: None });
    }
}

fn fact_lines(testimony: &Testimony, stage: Stage) -> Vec<Line> {
    let line = |fact: &crate::testimony::Fact| Line {
        at: fact.at,
        source: Source::Machine,
        what: fact.what.clone(),
        stage,
        fact: Some((testimony.journal, fact.sequence)),
    };
    testimony.facts.iter().map(line).collect()
}

fn ended_words(testimony: &Testimony) -> String {
    let mut said = match &testimony.ending {
        Ending::Finished => "the machine testifies: finished".to_string(),
        Ending::Stopped { began: false } => "the machine testifies: it never began, and never will".to_string(),
        Ending::Stopped { began: true } => {
            "the machine testifies: stopped, every process dead, reversible effects undone".to_string()
        }
        Ending::Broke { why } => format!("the machine testifies: did not finish: {why}"),
    };
    for line in &testimony.residue {
        said.push_str("; left behind: ");
        said.push_str(line);
    }
    said
}

fn timed_out_words(why: TimedOutWhy) -> &'static str {
    match why {
        TimedOutWhy::NotStarted => "timed out: no grant was given in time, it never starts",
        TimedOutWhy::JournalLost => "outcome unknown: the machine came back without the journal that held the grant",
        TimedOutWhy::NoContact => "outcome unknown: the machine was not heard of for too long",
        TimedOutWhy::Reenrolled => "outcome unknown: the machine was enrolled anew",
    }
}

fn retell(decision: Decision, tell: Tell) -> Decision {
    match decision {
        Decision::Change(change, _) => Decision::Change(change, tell),
        Decision::Stay(_) => Decision::Stay(tell),
        Decision::Late(lines, _) => Decision::Late(lines, tell),
    }
}

/// Whether a journal is believed that does not hold the grant. Only two mutants do.
pub(crate) fn mutant_trusts_any_journal(stage: Stage) -> bool {
    mutant::is_on(Mutant::RegrantAfterWipe) || (stage == Stage::Stopping && mutant::is_on(Mutant::WipedAgentTrusted))
}

/// Cancelled without proof: what some mutants do, and nothing else.
fn mutated_cancel(action: &Action, requestor: String, comment: String, now: Timestamp) -> Decision {
    let cancel = Cancel { requestor, comment, at: now.after(action.updated_at) };
    let state = State::Cancelled { cancel, proof: CancelProof::NeverGranted };
    let mut change = change(action, state, now);
    change.line(Source::Server, "cancelled without proof".into());
    Decision::Change(Box::new(change), Tell::Nothing)
}

fn refusal(stage: Stage, event: EventKind) -> Refusal {
    Refusal { stage, event, why: Why::Stage }
}

#[cfg(test)]
mod tests;
