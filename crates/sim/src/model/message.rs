//! What was ever sent: each message may arrive at any time, any number of times, or never.
//!
//! A message holds what a decision needs of it and no more, so that two that differ in words only are one.

use domain::grantee::Say;
use domain::ids::{ActionId, Epoch, JournalId, MachineId, Nonce};
use domain::machine::JournalSeen;
use domain::testimony::{Ending, Testimony};
use domain::{Digest, Timestamp};
use uuid::Uuid;

/// The one instant of the model: no clock decides anything.
pub const NOW: Timestamp = Timestamp(1_000);

/// The one machine.
pub const MACHINE: MachineId = MachineId([1; 20]);

/// A message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// To the agent: something waits.
    Offer {
        /// Which action.
        action: u8,
    },
    /// To the server: may we begin?
    Claim {
        /// Which action.
        action: u8,
        /// In which session.
        session: u8,
        /// The how-manieth claim of the session.
        attempt: u8,
        /// The claiming journal.
        journal: u8,
        /// By the enrolment whose certificate it came with.
        of: u8,
    },
    /// To the agent: begin.
    Grant {
        /// Which action.
        action: u8,
        /// The grant's number.
        epoch: u8,
        /// The session of the claim it answers.
        session: u8,
        /// Which claim of that session.
        attempt: u8,
        /// To the enrolment on whose stream it was said.
        of: u8,
    },
    /// To the agent: not now, or never.
    Deny {
        /// Which action.
        action: u8,
        /// To the enrolment on whose stream it was said.
        of: u8,
    },
    /// To the agent: stop it, or never begin it.
    Abort {
        /// Which action.
        action: u8,
        /// The grant it speaks of.
        epoch: u8,
        /// To the enrolment on whose stream it was said.
        of: u8,
    },
    /// To the server: the end.
    Final {
        /// Which action.
        action: u8,
        /// The grant it speaks of.
        epoch: u8,
        /// The journal it stands in.
        journal: u8,
        /// How it ended.
        end: End,
        /// Whether something is listed that cannot be undone.
        residue: bool,
        /// By the enrolment whose certificate it came with.
        of: u8,
    },
    /// To the agent: the testimony is kept.
    Acknowledge {
        /// Which action.
        action: u8,
        /// The grant it speaks of.
        epoch: u8,
        /// To the enrolment on whose stream it was said.
        of: u8,
    },
    /// A Hello that a replica still has in hand although its stream is gone.
    Hello {
        /// The session it opened.
        session: u8,
        /// The journal it told of.
        journal: u8,
        /// Whether that had gone back in time.
        went_back: bool,
        /// By the enrolment whose certificate it came with.
        of: u8,
    },
    /// Within the server: the sweep saw that an action is overdue, and has not acted on it yet.
    Overdue {
        /// Which action.
        action: u8,
        /// The machine's newest session, if the action was open; 0: it was Pending.
        silent_in: u8,
    },
}

/// How an action ended on its machine, without the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// All done.
    Finished,
    /// Stopped before it began.
    NeverBegan,
    /// Stopped and undone.
    Undone,
    /// Did not finish.
    Broke,
}

impl Message {
    /// The enrolment on whose stream the agent hears it; none for what anybody may say, and for what is not for agents.
    pub fn stream(&self) -> Option<u8> {
        match *self {
            Self::Grant { of, .. } | Self::Deny { of, .. } | Self::Abort { of, .. } | Self::Acknowledge { of, .. } => {
                Some(of)
            }
            Self::Offer { .. }
            | Self::Claim { .. }
            | Self::Final { .. }
            | Self::Hello { .. }
            | Self::Overdue { .. } => None,
        }
    }
}

/// The id of the action with this index.
pub fn action_id(index: usize) -> ActionId {
    ActionId(Uuid::from_u128(index as u128 + 1))
}

/// The index of the action with this id.
pub fn action_index(id: ActionId) -> usize {
    usize::try_from(id.0.as_u128() - 1).unwrap_or(usize::MAX)
}

/// The id of the journal with this number.
pub fn journal_id(number: u8) -> JournalId {
    JournalId(Uuid::from_u128(1_000 + u128::from(number)))
}

/// The number of the journal with this id.
pub fn journal_number(id: JournalId) -> u8 {
    u8::try_from(id.0.as_u128() - 1_000).unwrap_or(u8::MAX)
}

/// A journal as Hello tells of it.
pub fn journal_seen(number: u8, sequence: u64) -> JournalSeen {
    JournalSeen { id: journal_id(number), sequence, head: Digest([0; 32]) }
}

/// A grant's number, small.
pub fn small(epoch: Epoch) -> u8 {
    u8::try_from(epoch.0).unwrap_or(u8::MAX)
}

/// The nonce of a claim.
pub fn nonce(session: u8, attempt: u8) -> Nonce {
    let mut bytes = [0; 16];
    (bytes[0], bytes[1]) = (session, attempt);
    Nonce(bytes)
}

/// What an agent with this journal and of this enrolment says; `None` for what changes nothing anywhere.
pub fn said(say: &Say, journal: u8, of: u8) -> Option<Message> {
    match say {
        Say::Claim { session, action, nonce } => Some(Message::Claim {
            action: action_index(*action) as u8,
            session: small(*session),
            attempt: nonce.0[1],
            journal,
            of,
        }),
        Say::Phase { .. } => None,
        Say::Final { action, testimony } => Some(Message::Final {
            action: action_index(*action) as u8,
            epoch: small(testimony.epoch),
            journal: journal_number(testimony.journal),
            end: End::of(&testimony.ending),
            residue: !testimony.residue.is_empty(),
            of,
        }),
    }
}

/// The testimony that a final message stands for.
pub fn testimony(epoch: u8, journal: u8, end: End, residue: bool) -> Testimony {
    Testimony {
        epoch: Epoch(u64::from(epoch)),
        journal: journal_id(journal),
        sequence: 0,
        ending: end.ending(),
        steps: vec![],
        residue: if residue { vec!["it ran".into()] } else { vec![] },
        facts: vec![],
    }
}

impl End {
    /// Without the words.
    pub fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Finished => Self::Finished,
            Ending::Stopped { began: false } => Self::NeverBegan,
            Ending::Stopped { began: true } => Self::Undone,
            Ending::Broke { .. } => Self::Broke,
        }
    }

    fn ending(self) -> Ending {
        match self {
            Self::Finished => Ending::Finished,
            Self::NeverBegan => Ending::Stopped { began: false },
            Self::Undone => Ending::Stopped { began: true },
            Self::Broke => Ending::Broke { why: "it broke".into() },
        }
    }
}
