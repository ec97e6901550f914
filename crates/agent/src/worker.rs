//! Drives `domain::grantee`: writes what it says, then does what it says. One input at a time, so that what is in the
//! journal is all there is to know.
//!
//! Knows nothing about sockets or the machine: words come and go through [`Event`] and [`Outgoing`], and work on the
//! machine is begun through a [`Crew`] and comes back as an input.

use crate::crash;
use crate::journal::{Journal, JournalError};
use domain::action::Body;
use domain::grantee::{BadRecord, Entry, Grantee, Input, Listed, Output, Record, Say, Task};
use domain::ids::{ActionId, MachineId, Nonce};
use domain::machine::JournalSeen;
use domain::testimony::Ending;
use domain::time::Timestamp;
use protocol::agent::{SignedGrant, ToAgent, ToServer};
use std::time::Duration;

/// How long the end of an action that was told to stop waits for the handing in of what its steps had produced by then.
/// Whoever cancelled waits for the end, and nobody for the results.
pub const STOPPED_WAITS_AT_MOST: Duration = Duration::from_secs(10);

/// Whoever does the work on the machine. `begin` returns at once; the end of the work comes back as an [`Input`].
pub trait Crew {
    /// Begins a task.
    fn begin(&mut self, action: ActionId, task: Task);
}

/// Who this agent is, and whose grants it obeys.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This machine.
    pub machine: MachineId,
    /// This enrolment of it.
    pub incarnation: u32,
    /// The id of the key that signs grants.
    pub grant_key_id: String,
    /// That key, Ed25519.
    pub grant_key: [u8; 32],
}

/// What the worker is told.
#[derive(Debug)]
pub enum Event {
    /// The server said something in the session that is open.
    Heard(Box<ToAgent>),
    /// The session is gone.
    Lost,
    /// Work ended.
    Ended(Input),
    /// Time to try again what failed.
    Retry,
}

/// What goes to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message.
    pub message: ToServer,
    /// The steps whose artifacts are to be there before it.
    pub artifacts: Vec<u16>,
    /// How long it waits for them, from when they are first tried to be handed in; none: for as long as it takes.
    pub waits_at_most: Option<Duration>,
}

impl Outgoing {
    /// A message that waits for nothing.
    pub(crate) fn plain(message: ToServer) -> Self {
        Self { message, artifacts: vec![], waits_at_most: None }
    }
}

/// What Hello says of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub journal: JournalSeen,
    /// What the server has not acknowledged.
    pub listed: Vec<Listed>,
}

/// Why the worker cannot go on. The process must end.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal says what cannot be.
    #[error("the journal cannot be understood: {0}")]
    Record(#[from] BadRecord),
}

/// The worker.
pub struct Worker<C> {
    grantee: Grantee,
    journal: Journal,
    crew: C,
    identity: Identity,
}

impl<C: Crew> Worker<C> {
    /// Takes up the journal: whatever a dead agent left half-done is killed and undone, nothing is begun.
    pub fn boot(
        journal: Journal,
        entries: &[Entry],
        crew: C,
        identity: Identity,
        now: Timestamp,
    ) -> Result<Self, WorkerError> {
        let (grantee, out) = Grantee::boot(journal.seen().id, entries, now)?;
        let mut worker = Self { grantee, journal, crew, identity };
        worker.carry_out(out)?;
        Ok(worker)
    }

    /// What Hello says.
    pub fn standing(&self) -> Standing {
        Standing { journal: self.journal.seen(), listed: self.grantee.listed() }
    }

    /// What the journal adds up to.
    pub fn grantee(&self) -> &Grantee {
        &self.grantee
    }

    /// One event. `nonce` is used if it leads to a claim.
    pub fn handle(&mut self, event: Event, nonce: Nonce, now: Timestamp) -> Result<Vec<Outgoing>, WorkerError> {
        let Some(input) = self.input(event, nonce) else { return Ok(vec![]) };
        let out = self.grantee.step(input, now);
        self.carry_out(out)
    }

    fn input(&mut self, event: Event, nonce: Nonce) -> Option<Input> {
        Some(match event {
            Event::Lost => Input::SessionLost,
            Event::Retry => Input::Retry,
            Event::Ended(input) => input,
            Event::Heard(message) => match *message {
                ToAgent::Welcome(welcome) => {
                    let verdicts = welcome.verdicts.into_iter().map(|(action, word)| (action, word.into())).collect();
                    Input::Welcome { session: welcome.session, verdicts }
                }
                ToAgent::Offer { action, .. } => {
                    // No durable intent, no work: what could not be ended on disk is not asked for.
                    if !self.journal.has_reserve() {
                        tracing::error!(%action, "not claimed: there is no room left for the journal");
                        return None;
                    }
                    Input::Offered { action, nonce }
                }
                ToAgent::Grant(grant) => self.check(*grant)?,
                ToAgent::Deny { action, why } => {
                    tracing::info!(%action, ?why, "claim denied");
                    Input::Denied { action }
                }
                ToAgent::Abort { action, epoch } => Input::AbortArrived { action, epoch },
                ToAgent::FinalAck { action, epoch } => Input::Acknowledged { action, epoch },
                // For the link, before a session is open.
                ToAgent::Newest { .. } => return None,
            },
        })
    }

    /// A grant counts if it is for this machine and enrolment, signed by the key we were enrolled with, over these very
    /// bytes. Session and claim are the grantee's to compare.
    fn check(&self, grant: SignedGrant) -> Option<Input> {
        let core = &grant.core;
        if core.machine != self.identity.machine || core.incarnation != self.identity.incarnation {
            tracing::error!(action = %core.action, "a grant for another machine is ignored");
            return None;
        }
        let (action, nonce, epoch) = (core.action, core.nonce, core.epoch);
        Some(match self.checked_body(&grant) {
            Ok(body) => Input::GrantArrived { action, epoch, nonce, body },
            Err(why) => {
                tracing::error!(%action, why, "a grant is refused");
                Input::GrantRefused { action, nonce, why: format!("the machine refuses the grant: {why}") }
            }
        })
    }

    fn checked_body(&self, grant: &SignedGrant) -> Result<Body, String> {
        if grant.core.key_id != self.identity.grant_key_id {
            return Err("it is signed with a key this machine was not enrolled with".into());
        }
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, self.identity.grant_key);
        key.verify(&grant.core.signed_bytes(), &grant.signature).map_err(|_| "its signature does not hold")?;
        grant.checked_body().map_err(|e| e.to_string())
    }

    fn carry_out(&mut self, out: Vec<Output>) -> Result<Vec<Outgoing>, WorkerError> {
        let mut said = Vec::new();
        for output in out {
            match output {
                Output::Write(entry) => self.write(&entry)?,
                Output::Do(action, task) => self.crew.begin(action, task),
                Output::Send(say) => said.push(self.outgoing(say)),
            }
        }
        Ok(said)
    }

    fn write(&mut self, entry: &Entry) -> Result<(), WorkerError> {
        let name = record_name(&entry.record);
        tracing::debug!(sequence = entry.sequence, action = %entry.action, record = name, "journal");
        crash::reached(&format!("journal.before.{name}"));
        self.journal.append(entry)?;
        crash::reached(&format!("journal.after.{name}"));
        Ok(())
    }

    fn outgoing(&self, say: Say) -> Outgoing {
        let journal = self.journal.seen().id;
        match say {
            Say::Claim { session, action, nonce } => {
                Outgoing::plain(ToServer::Claim { session, action, nonce, journal })
            }
            Say::Phase { action, epoch, sequence, at, what } => {
                Outgoing::plain(ToServer::Phase { action, epoch, journal, sequence, at, what })
            }
            Say::Final { action, testimony } => {
                let with_artifact = testimony.steps.iter().filter(|step| step.artifact.is_some());
                let artifacts = with_artifact.map(|step| step.index).collect();
                let was_stopped = matches!(testimony.ending, Ending::Stopped { .. });
                let waits_at_most = was_stopped.then_some(STOPPED_WAITS_AT_MOST);
                Outgoing { message: ToServer::Final { action, testimony }, artifacts, waits_at_most }
            }
        }
    }
}

fn record_name(record: &Record) -> &'static str {
    match record {
        Record::Granted { .. } => "granted",
        Record::Started => "started",
        Record::Intent { .. } => "intent",
        Record::Done { .. } => "done",
        Record::Stopped { .. } => "stopped",
        Record::Undone { .. } => "undone",
        Record::UndoFailed { .. } => "undo-failed",
        Record::Final { .. } => "final",
        Record::Acknowledged => "acknowledged",
    }
}

#[cfg(test)]
mod tests;
