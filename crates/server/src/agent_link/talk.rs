//! What is said on one machine's stream, without the stream: Hello and Welcome, then messages in and answers out. Knows
//! nothing about sockets, frames or timeouts, so that a simulation can hold the same talk as `stream.rs`.

use crate::actions::{ActionError, Actions, Claimed, Peer, Session};
use crate::clock::Clock;
use crate::signer::Signer;
use domain::grantee::{Listed, Verdict};
use domain::hello::Outstanding;
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId, Nonce};
use domain::time::Timestamp;
use protocol::agent::{
    DenyWhy, GrantCore, Hello, SignedGrant, ToAgent, ToServer, VERSION, VerdictWord, Welcome, body_bytes,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most actions one Hello may list. An agent has as many open as there are resource classes; the rest is testimony
/// that was not acknowledged.
pub const LISTED_MAX: usize = 4096;

/// What a talk needs.
#[derive(Clone)]
pub struct Desk {
    /// The use cases.
    pub actions: Actions,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Signs grants.
    pub signer: Arc<dyn Signer>,
}

/// A talk with one machine, in one session.
pub struct Talk {
    desk: Desk,
    peer: Peer,
    session: Epoch,
    journal: JournalId,
    /// What the agent may hold: listed in its Hello or granted since, and not acknowledged. One that is ended without it
    /// is not among what is outstanding.
    held: Mutex<BTreeSet<ActionId>>,
}

/// What is to be said now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The messages, in this order.
    pub messages: Vec<ToAgent>,
    /// Why the stream must end when these are said; none: it goes on.
    pub ends: Option<&'static str>,
}

/// Why there is no talk, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The machine said what it may not say.
    #[error("{0}")]
    Refused(&'static str),
    /// A use case failed.
    #[error(transparent)]
    Action(#[from] ActionError),
}

impl Talk {
    /// The first word on a stream, before Hello.
    ///
    /// # Errors
    /// There is no such machine, or the store cannot answer.
    pub async fn first_word(desk: &Desk, peer: Peer) -> Result<ToAgent, TalkError> {
        let newest = desk.actions.newest_session(peer.machine).await?;
        let session = newest.ok_or(TalkError::Refused("no such machine"))?;
        Ok(ToAgent::Newest { session })
    }

    /// Opens a session for the machine that `peer` names. `address` is where it dials from, as the socket tells.
    ///
    /// # Errors
    /// It is no Hello, not one of this enrolment, without bounds, or slow; or the store cannot answer.
    pub async fn open(
        desk: Desk,
        peer: Peer,
        address: Option<String>,
        hello: ToServer,
    ) -> Result<(Self, ToAgent), TalkError> {
        let ToServer::Hello(hello) = hello else { return Err(TalkError::Refused("not a Hello")) };
        let Hello { version_min, version_max, incarnation, after, mut told, journal, listed } = *hello;
        if !(version_min..=version_max).contains(&VERSION) {
            return Err(TalkError::Refused("no version in common"));
        }
        if incarnation != peer.incarnation || listed.len() > LISTED_MAX {
            return Err(TalkError::Refused("a Hello of another enrolment, or without bounds"));
        }
        told.last_address = address;
        told.journal = Some(journal);
        let listed: Vec<Listed> = listed
            .into_iter()
            .map(|item| Listed { action: item.action, epoch: item.epoch, started: item.started })
            .collect();
        let now = desk.clock.now();
        let opened = desk.actions.open_session(peer, after, &told, journal, &listed, now).await?;
        let Some(Session { number, verdicts }) = opened else {
            return Err(TalkError::Refused("no such machine of this enrolment, or another session was opened"));
        };
        let held = listed.iter().map(|item| item.action).collect();
        let verdicts = verdicts.into_iter().map(|(action, verdict)| (action, word(verdict))).collect();
        let welcome = Welcome { version: VERSION, session: number, verdicts, machine: peer.machine };
        let talk = Self { desk, peer, session: number, journal: journal.id, held: Mutex::new(held) };
        Ok((talk, ToAgent::Welcome(Box::new(welcome))))
    }

    /// The session's number.
    pub fn session(&self) -> Epoch {
        self.session
    }

    /// The machine on the other end.
    pub fn machine(&self) -> MachineId {
        self.peer.machine
    }

    /// The machine is there, whatever it says or does not say; then as [`Talk::look`].
    ///
    /// # Errors
    /// The store cannot answer.
    pub async fn heartbeat(&self) -> Result<Said, TalkError> {
        self.desk.actions.seen(self.peer, self.desk.clock.now()).await?;
        self.look().await
    }

    /// What is outstanding, if this is still the machine's newest talk. One that is not ends, whatever still comes
    /// through it: the machine is on another by now, or dials again.
    ///
    /// # Errors
    /// The store cannot answer.
    pub async fn look(&self) -> Result<Said, TalkError> {
        if !self.desk.actions.is_newest(self.machine(), self.session).await? {
            return Ok(Said { messages: vec![], ends: Some("a newer session is open") });
        }
        self.outstanding().await
    }

    /// What is outstanding, in the order of the requests.
    ///
    /// # Errors
    /// The store cannot answer.
    pub async fn outstanding(&self) -> Result<Said, TalkError> {
        let mut outstanding = self.desk.actions.outstanding(self.machine(), self.session).await?;
        let held: Vec<ActionId> = self.held().iter().copied().collect();
        outstanding.extend(self.desk.actions.given_up(self.machine(), held).await?);
        let messages = outstanding.into_iter().map(|item| match item {
            Outstanding::Offer(action, kind) => ToAgent::Offer { action, kind },
            Outstanding::Abort(action, epoch) => ToAgent::Abort { action, epoch },
        });
        Ok(Said { messages: messages.collect(), ends: None })
    }

    /// The machine said something; what is to be answered.
    ///
    /// # Errors
    /// It may not say that now, or the store cannot answer.
    pub async fn heard(&self, message: ToServer) -> Result<Said, TalkError> {
        let now = self.desk.clock.now();
        match message {
            ToServer::Hello(_) => Err(TalkError::Refused("a second Hello")),
            ToServer::Claim { session, action, nonce, journal } => {
                Ok(self.claimed(Claim { session, action, nonce, journal }).await)
            }
            ToServer::Phase { action, epoch, journal, sequence, at, what } => {
                let fact = (journal, sequence);
                self.desk.actions.note_phase(self.peer, action, epoch, fact, at, what).await?;
                Ok(Said::default())
            }
            ToServer::Final { action, testimony } => {
                let epoch = testimony.epoch;
                if testimony.journal != self.journal {
                    tracing::warn!(machine = %self.machine(), %action, "testimony of another journal: nothing is changed");
                    return Ok(Said::default());
                }
                match self.desk.actions.report(self.peer, action, *testimony, now).await? {
                    true => {
                        self.held().remove(&action);
                        Ok(Said { messages: vec![ToAgent::FinalAck { action, epoch }], ends: None })
                    }
                    false => Ok(Said::default()),
                }
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<ActionId>> {
        // The set is whole after every statement that has it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn claimed(&self, claim: Claim) -> Said {
        let action = claim.action;
        let ours = claim.session == self.session && claim.journal == self.journal;
        let answer = if ours {
            self.answer_claim(claim, self.desk.clock.now()).await
        } else {
            tracing::warn!(machine = %self.machine(), %action, "a claim of another session or journal");
            ToAgent::Deny { action, why: DenyWhy::OldSession }
        };
        let ends = match answer {
            ToAgent::Deny { why: DenyWhy::OldSession, .. } => Some("a claim of an old session"),
            // The grant may be on record although the store did not say so, and what is granted to this session is not
            // offered in it again. The next session offers it.
            ToAgent::Deny { why: DenyWhy::Unavailable, .. } => Some("a claim could not be decided"),
            _ => None,
        };
        Said { messages: vec![answer], ends }
    }

    async fn answer_claim(&self, claim: Claim, now: Timestamp) -> ToAgent {
        let Claim { session, action, nonce, journal } = claim;
        let Peer { machine, incarnation } = self.peer;
        let deny = |why| ToAgent::Deny { action, why };
        match self.desk.actions.claim(machine, session, action, journal, now).await {
            Ok(Claimed::Grant { epoch, body }) => {
                self.held().insert(action);
                let body = body_bytes(&body);
                let body_sha256 = Digest::of(&body);
                let key_id = self.desk.signer.key_id().to_string();
                let core = GrantCore { machine, incarnation, action, epoch, nonce, body_sha256, key_id };
                let signature = self.desk.signer.sign(&core.signed_bytes());
                ToAgent::Grant(Box::new(SignedGrant { core, body, signature }))
            }
            Ok(Claimed::Abort(epoch)) => ToAgent::Abort { action, epoch },
            Ok(Claimed::Gone) => deny(DenyWhy::Gone),
            Ok(Claimed::Cancelled) => deny(DenyWhy::Cancelled),
            Ok(Claimed::NotYours) => {
                tracing::warn!(%machine, %action, "a claim of another machine's action");
                deny(DenyWhy::NotYours)
            }
            Ok(Claimed::Busy) => deny(DenyWhy::Busy),
            Ok(Claimed::OldSession) => deny(DenyWhy::OldSession),
            Err(e) => {
                tracing::error!(%machine, %action, error = %e, "a claim could not be decided");
                deny(DenyWhy::Unavailable)
            }
        }
    }
}

/// May it begin?
struct Claim {
    session: Epoch,
    action: ActionId,
    nonce: Nonce,
    journal: JournalId,
}

fn word(verdict: Verdict) -> VerdictWord {
    match verdict {
        Verdict::Continue => VerdictWord::Continue,
        Verdict::Abort(epoch) => VerdictWord::Abort(epoch),
        Verdict::Forget => VerdictWord::Forget,
    }
}
