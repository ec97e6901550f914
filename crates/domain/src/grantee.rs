//! The agent's side: what a machine may do with a grant, as a pure state machine over journal records.
//!
//! The state is the fold of the journal ([`held`]) plus what this process has in hand ([`Live`]). [`Grantee::step`] takes
//! an input and returns what to do, in order; whatever follows an [`Output::Write`] must not happen before that record
//! is durable. After a crash, [`Grantee::boot`] folds the journal again and the same steps go on.
//!
//! Knows nothing about files, processes, sockets or clocks.

pub mod held;
mod outcome;

use crate::action::Body;
use crate::ids::{ActionId, Epoch, JournalId, Nonce};
use crate::kind::Kind;
use crate::mutant::{self, Mutant};
use crate::testimony::{Artifact, Testimony};
use crate::time::Timestamp;
pub use held::{BadRecord, Entry, Held, Phase, Record, StopWhy, UndoRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// After so many repeated offers an unanswered claim is given up and made anew.
const OFFERS_BEFORE_RECLAIM: u8 = 5;

/// What reaches the grantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The server opened a session and says how each action we listed stands.
    Welcome {
        /// The session's number.
        session: Epoch,
        /// One verdict for each listed action.
        verdicts: Vec<(ActionId, Verdict)>,
    },
    /// The stream is gone.
    SessionLost,
    /// Something waits for us. A hint.
    Offered {
        /// Which action.
        action: ActionId,
        /// Fresh random bytes for the claim.
        nonce: Nonce,
    },
    /// A grant whose signature, machine and body hash were verified.
    GrantArrived {
        /// Which action.
        action: ActionId,
        /// The session it was given in, which is its epoch.
        epoch: Epoch,
        /// The claim it answers.
        nonce: Nonce,
        /// What is to be done.
        body: Body,
    },
    /// A grant that answers our claim and cannot be obeyed: it is not signed as it should be, or not understood. Asking
    /// again would bring the same.
    GrantRefused {
        /// Which action.
        action: ActionId,
        /// The claim it answers.
        nonce: Nonce,
        /// Why.
        why: String,
    },
    /// The claim is refused for now or for ever.
    Denied {
        /// Which action.
        action: ActionId,
    },
    /// Stop it, or never begin it.
    AbortArrived {
        /// Which action.
        action: ActionId,
        /// The grant it speaks of.
        epoch: Epoch,
    },
    /// What the steps need lies ready (library content), or cannot be had.
    Prepared {
        /// Which action.
        action: ActionId,
        /// Why not.
        result: Result<(), String>,
    },
    /// A step was planned.
    Planned {
        /// Which action.
        action: ActionId,
        /// Which step.
        step: u16,
        /// What its undo will need, or why it cannot be done.
        result: Result<UndoRecord, String>,
    },
    /// A step ended, by itself or because it was stopped.
    Ran {
        /// Which action.
        action: ActionId,
        /// Which step.
        step: u16,
        /// What it did.
        result: Ran,
    },
    /// Every process of the action is dead.
    Killed {
        /// Which action.
        action: ActionId,
    },
    /// An undo ended.
    UndoEnded {
        /// Which action.
        action: ActionId,
        /// Which step.
        step: u16,
        /// What is left that cannot be undone, or why the undo must be tried again.
        result: Result<Vec<String>, String>,
    },
    /// The server keeps our testimony.
    Acknowledged {
        /// Which action.
        action: ActionId,
        /// The grant it speaks of.
        epoch: Epoch,
    },
    /// Time to try again what failed (a kill, an undo). When it comes does not matter for what is true.
    Retry,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ran {
    /// When its effect began, by the machine's clock.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What went wrong; `None`: done, and looked at.
    pub error: Option<String>,
    /// What it produced, whole or not.
    pub artifact: Option<Artifact>,
}

/// The server's word on an action we listed in Hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is still ours: go on.
    Continue,
    /// Stop it, or never begin it.
    Abort(Epoch),
    /// The server has ended it without us: if it has not begun it never may.
    Forget,
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable before anything that follows.
    Write(Entry),
    /// Work to begin; its end comes back as an input.
    Do(ActionId, Task),
    /// Something to say, if a session is open.
    Send(Say),
}

/// Work on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Fetch what the steps need. Ends in [`Input::Prepared`].
    Prepare(Body),
    /// Read what the step's undo will need. Ends in [`Input::Planned`].
    Plan(Body, u16),
    /// Make the step's effect and look at it. Ends in [`Input::Ran`].
    Run(Body, u16, UndoRecord),
    /// Kill every process of the action and wait until none is left. Ends in [`Input::Killed`].
    Kill,
    /// Undo the step and look that it is undone. Ends in [`Input::UndoEnded`].
    Undo(Body, u16, UndoRecord),
    /// The action is over and acknowledged: its private files may go.
    Retire,
}

/// Words for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// May we begin?
    Claim {
        /// In which session.
        session: Epoch,
        /// What.
        action: ActionId,
        /// Ties the grant to this claim.
        nonce: Nonce,
    },
    /// Where the action stands on the machine; information only.
    Phase {
        /// Which action.
        action: ActionId,
        /// Under which grant.
        epoch: Epoch,
        /// The journal record it stands on.
        sequence: u64,
        /// When, by the machine's clock.
        at: Timestamp,
        /// In plain words.
        what: String,
    },
    /// The end.
    Final {
        /// Which action.
        action: ActionId,
        /// What the journal says of it.
        testimony: Box<Testimony>,
    },
}

/// An action that is not yet acknowledged, as listed in Hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed {
    /// Which action.
    pub action: ActionId,
    /// Under which grant.
    pub epoch: Epoch,
    /// Whether it has begun.
    pub started: bool,
}

/// What this process has in hand for an action. Gone with the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Live {
    /// The grant belongs to the session that is open now: it may still be used.
    usable: bool,
    /// A step is being prepared, planned or run by this process.
    busy: bool,
    /// This process saw every process of the action dead.
    killed: bool,
    /// A kill or an undo is under way.
    clearing: bool,
    /// The steps go on in this process (not found half-way in the journal).
    ours: bool,
    /// The server has been heard on this action in this session.
    heard: bool,
}

/// A claim that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Claimed {
    nonce: Nonce,
    offers_since: u8,
}

/// The whole agent side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grantee {
    journal: JournalId,
    next_sequence: u64,
    held: BTreeMap<ActionId, (Held, Live)>,
    session: Option<Epoch>,
    claims: BTreeMap<ActionId, Claimed>,
    isolated_by: Option<ActionId>,
}

impl Grantee {
    /// A grantee with an empty journal.
    pub fn new(journal: JournalId) -> Self {
        Self {
            journal,
            next_sequence: 1,
            held: BTreeMap::new(),
            session: None,
            claims: BTreeMap::new(),
            isolated_by: None,
        }
    }

    /// Folds a journal and says what to do at once: whatever was running is killed and undone, nothing is begun.
    ///
    /// # Errors
    /// A record that does not follow from those before it: the journal is not ours, or not whole.
    pub fn boot(journal: JournalId, entries: &[Entry], now: Timestamp) -> Result<(Self, Vec<Output>), BadRecord> {
        let mut grantee = Self::new(journal);
        for entry in entries {
            grantee.apply(entry)?;
        }
        let mut out = Vec::new();
        let actions: Vec<ActionId> = grantee.held.keys().copied().collect();
        for action in actions {
            grantee.recover(action, now, &mut out);
        }
        Ok((grantee, out))
    }

    /// One input. The outputs are to be carried out in order.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Welcome { session, verdicts } => self.welcome(session, verdicts, now, &mut out),
            Input::SessionLost => self.session_lost(),
            Input::Offered { action, nonce } => self.offered(action, nonce, &mut out),
            Input::GrantArrived { action, epoch, nonce, body } => {
                self.grant_arrived(action, epoch, nonce, body, now, &mut out);
            }
            Input::GrantRefused { action, nonce, why } => self.grant_refused(action, nonce, why, now, &mut out),
            Input::Denied { action } => {
                self.claims.remove(&action);
            }
            Input::AbortArrived { action, epoch } => self.abort_arrived(action, epoch, now, &mut out),
            Input::Prepared { action, result } => self.prepared(action, result, now, &mut out),
            Input::Planned { action, step, result } => self.planned(action, step, result, now, &mut out),
            Input::Ran { action, step, result } => self.ran(action, step, result, now, &mut out),
            Input::Killed { action } => self.killed(action, now, &mut out),
            Input::UndoEnded { action, step, result } => self.undo_ended(action, step, result, now, &mut out),
            Input::Acknowledged { action, epoch } => self.acknowledged(action, epoch, now, &mut out),
            Input::Retry => self.retry(now, &mut out),
        }
        out
    }

    /// What Hello lists: everything the server has not acknowledged.
    pub fn listed(&self) -> Vec<Listed> {
        let live = self.held.iter().filter(|(_, (held, _))| !held.acknowledged());
        live.map(|(action, (held, _))| Listed { action: *action, epoch: held.epoch, started: held.started() }).collect()
    }

    /// The action whose isolation stands on the machine, if one does.
    pub fn isolated_by(&self) -> Option<ActionId> {
        self.isolated_by
    }

    /// What the journal holds of an action.
    pub fn held(&self, action: ActionId) -> Option<&Held> {
        self.held.get(&action).map(|(held, _)| held)
    }

    /// Every action the journal knows.
    pub fn all(&self) -> impl Iterator<Item = (&ActionId, &Held)> {
        self.held.iter().map(|(action, (held, _))| (action, held))
    }

    /// The open session, if any.
    pub fn session(&self) -> Option<Epoch> {
        self.session
    }

    fn welcome(&mut self, session: Epoch, verdicts: Vec<(ActionId, Verdict)>, now: Timestamp, out: &mut Vec<Output>) {
        self.session_lost();
        self.session = Some(session);
        for (action, verdict) in verdicts {
            match verdict {
                Verdict::Continue => {}
                Verdict::Abort(epoch) => self.abort_arrived(action, epoch, now, out),
                Verdict::Forget => self.forget(action, now, out),
            }
            if let Some((_, live)) = self.held.get_mut(&action) {
                live.heard = true;
            }
        }
        let actions: Vec<ActionId> = self.held.keys().copied().collect();
        for action in actions {
            match self.held.get(&action).map(|(held, _)| &held.phase) {
                Some(Phase::Stopped { .. }) => self.conclude(action, now, out),
                _ => self.say_final(action, out),
            }
        }
    }

    /// Losing the session voids every grant that was not used and every claim that was not answered.
    fn session_lost(&mut self) {
        self.session = None;
        self.claims.clear();
        for (_, live) in self.held.values_mut() {
            live.usable = false;
            live.heard = false;
        }
    }

    fn offered(&mut self, action: ActionId, nonce: Nonce, out: &mut Vec<Output>) {
        let Some(session) = self.session else { return };
        if let Some((held, live)) = self.held.get(&action)
            && (held.phase != Phase::Granted || live.usable)
        {
            self.say_final(action, out);
            return;
        }
        if let Some(claim) = self.claims.get_mut(&action)
            && claim.offers_since < OFFERS_BEFORE_RECLAIM
        {
            claim.offers_since += 1;
            return;
        }
        self.claims.insert(action, Claimed { nonce, offers_since: 0 });
        out.push(Output::Send(Say::Claim { session, action, nonce }));
    }

    fn grant_arrived(
        &mut self,
        action: ActionId,
        epoch: Epoch,
        nonce: Nonce,
        body: Body,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let asked = self.claims.get(&action).is_some_and(|claim| claim.nonce == nonce);
        let startable = self.held.get(&action).is_none_or(|(held, _)| held.phase == Phase::Granted);
        let fenced = self.session != Some(epoch) && !mutant::is_on(Mutant::NoSessionFence);
        if !asked || fenced || !startable {
            return;
        }
        self.claims.remove(&action);
        self.write(action, Record::Granted { epoch, body }, now, out);
        self.live(action).usable = true;
        self.start(action, now, out);
    }

    /// It never begins, and the server is told so: otherwise the action would be InProgress for ever.
    fn grant_refused(&mut self, action: ActionId, nonce: Nonce, why: String, now: Timestamp, out: &mut Vec<Output>) {
        let asked = self.claims.get(&action).is_some_and(|claim| claim.nonce == nonce);
        let unbegun = self.held.get(&action).is_none_or(|(held, _)| held.phase == Phase::Granted);
        if let (true, true, Some(epoch)) = (asked, unbegun, self.session) {
            self.claims.remove(&action);
            self.stop(action, epoch, StopWhy::Broke { why }, now, out);
        }
    }

    fn start(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        let Some((held, live)) = self.held.get(&action) else { return };
        let (Some(body), true) = (held.body.clone(), live.usable && held.phase == Phase::Granted) else { return };
        self.write(action, Record::Started, now, out);
        let live = self.live(action);
        (live.usable, live.ours, live.busy) = (false, true, true);
        out.push(Output::Do(action, Task::Prepare(body)));
    }

    fn abort_arrived(&mut self, action: ActionId, epoch: Epoch, now: Timestamp, out: &mut Vec<Output>) {
        self.claims.remove(&action);
        match self.held.get(&action) {
            // Never heard of: a tombstone, so that a grant that was overtaken is refused when it comes.
            None if mutant::is_on(Mutant::NoTombstone) => {}
            None => self.stop(action, epoch, StopWhy::Cancelled, now, out),
            Some((held, live)) => match &held.phase {
                Phase::Granted if epoch > held.epoch && mutant::is_on(Mutant::ExactEpochAbort) => {}
                // Equal, or greater where the newer grant was lost on its way.
                Phase::Granted if epoch >= held.epoch => self.stop(action, epoch, StopWhy::Cancelled, now, out),
                Phase::Started if epoch == held.epoch => self.stop(action, epoch, StopWhy::Cancelled, now, out),
                // Found half-way after a crash and already being undone: what was asked for is what it is called.
                Phase::Stopped { why: StopWhy::Interrupted } if epoch == held.epoch && !live.ours => {
                    self.write(action, Record::Stopped { epoch, why: StopWhy::Cancelled }, now, out);
                    self.conclude(action, now, out);
                }
                Phase::Final { .. } => self.say_final(action, out),
                _ => {}
            },
        }
    }

    /// The server ended the action without us. Not begun: it never may. Begun: stop and undo as for a cancel.
    fn forget(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        if let Some((held, _)) = self.held.get(&action) {
            let epoch = held.epoch;
            self.abort_arrived(action, epoch, now, out);
        }
    }

    /// Records the stop before anything is done about it, then kills, or ends at once what never began.
    fn stop(&mut self, action: ActionId, epoch: Epoch, why: StopWhy, now: Timestamp, out: &mut Vec<Output>) {
        self.write(action, Record::Stopped { epoch, why }, now, out);
        self.live(action).usable = false;
        self.clear(action, now, out);
    }

    fn acknowledged(&mut self, action: ActionId, epoch: Epoch, now: Timestamp, out: &mut Vec<Output>) {
        let Some((held, _)) = self.held.get(&action) else { return };
        if held.epoch == epoch && matches!(held.phase, Phase::Final { acknowledged: false, .. }) {
            self.write(action, Record::Acknowledged, now, out);
            out.push(Output::Do(action, Task::Retire));
        }
    }

    fn retry(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let actions: Vec<ActionId> = self.held.keys().copied().collect();
        for action in actions {
            self.clear(action, now, out);
        }
    }

    /// After a crash: everything of the dead agent is killed, and what was half-way is undone without waiting for
    /// anybody. Nothing is begun or resumed.
    fn recover(&mut self, action: ActionId, now: Timestamp, out: &mut Vec<Output>) {
        let Some((held, _)) = self.held.get(&action) else { return };
        match held.phase {
            Phase::Started if held.all_done() => self.finish(action, now, out),
            Phase::Started => {
                let epoch = held.epoch;
                self.stop(action, epoch, StopWhy::Interrupted, now, out);
            }
            Phase::Stopped { .. } => self.clear(action, now, out),
            Phase::Granted | Phase::Final { .. } => {}
        }
    }

    /// Tells what was just written, while it goes on; the final message repeats it.
    fn say_phase(&self, action: ActionId, sequence: u64, at: Timestamp, out: &mut Vec<Output>) {
        if let (Some((held, _)), Some(_)) = (self.held.get(&action), self.session)
            && let Some(fact) = held.facts.last().filter(|fact| fact.sequence == sequence)
        {
            let (epoch, what) = (held.epoch, fact.what.clone());
            out.push(Output::Send(Say::Phase { action, epoch, sequence, at, what }));
        }
    }

    fn say_final(&self, action: ActionId, out: &mut Vec<Output>) {
        if let (Some((held, _)), Some(_)) = (self.held.get(&action), self.session)
            && let Some(testimony) = held.testimony(self.journal)
        {
            out.push(Output::Send(Say::Final { action, testimony: Box::new(testimony) }));
        }
    }

    /// Writes a record and holds what it says. A record that does not fit is a fault of ours, not of the journal.
    fn write(&mut self, action: ActionId, record: Record, at: Timestamp, out: &mut Vec<Output>) {
        let entry = Entry { sequence: self.next_sequence, at, action, record };
        let applied = self.apply(&entry);
        assert!(applied.is_ok(), "a record of our own does not follow: {applied:?}");
        if mutant::is_on(Mutant::CancelOnlyInMemory) && matches!(entry.record, Record::Stopped { .. }) {
            self.next_sequence -= 1;
            return;
        }
        let fact = (entry.sequence, !matches!(entry.record, Record::Final { .. } | Record::Acknowledged));
        out.push(Output::Write(entry));
        if let (sequence, true) = fact {
            self.say_phase(action, sequence, at, out);
        }
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), BadRecord> {
        let before = self.held.remove(&entry.action);
        let (held, live) = before.map_or((None, Live::default()), |(held, live)| (Some(held), live));
        let after = held::fold(held, entry)?;
        if entry.sequence != self.next_sequence {
            return Err(BadRecord::new(entry, "its number does not follow"));
        }
        self.next_sequence = entry.sequence + 1;
        if let Phase::Final { finished: true, acknowledged: false, .. } = after.phase {
            match after.body.as_ref().map(Body::kind) {
                Some(Kind::Isolate) => self.isolated_by = Some(entry.action),
                Some(Kind::Release) => self.isolated_by = None,
                _ => {}
            }
        }
        self.held.insert(entry.action, (after, live));
        Ok(())
    }

    fn live(&mut self, action: ActionId) -> &mut Live {
        match self.held.get_mut(&action) {
            Some((_, live)) => live,
            None => unreachable!("an action is held from its first record on"),
        }
    }
}

#[cfg(test)]
mod tests;
