//! What server and agent say to each other: binary frames on one WebSocket, versioned.
//!
//! A frame is one version byte and one message in postcard's encoding. Delivery is at-least-once for everything; every
//! message may come late, twice, or not at all. Bodies and testimonies are the domain's own values: both ends are ours,
//! and a test pins their bytes, so that a change of a domain type that changes the wire does not go unnoticed.

mod grant;

use domain::grantee::{Listed, Verdict};
use domain::ids::{ActionId, Epoch, MachineId, Nonce};
use domain::machine::{JournalSeen, Told};
use domain::testimony::Testimony;
use domain::time::Timestamp;
use domain::{JournalId, Kind};
pub use grant::{GrantCore, KEY_ID_CHARS_MAX, SIGNED_PREFIX, SignedGrant, body_bytes};
use serde::{Deserialize, Serialize};

/// The version of these messages, the first byte of every frame.
pub const VERSION: u8 = 1;

/// The longest frame either side accepts, in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The path of the stream on the agent listener.
pub const STREAM_PATH: &str = "/agent/v1/stream";

/// The path of enrolment on the API listener.
pub const ENROL_PATH: &str = "/agent/v1/enrol";

/// The path below which library content lies by digest, on the agent listener.
pub const LIBRARY_PATH: &str = "/agent/v1/library";

/// The path below which artifacts are put (`/{action}/{step}`), on the agent listener.
pub const ARTIFACT_PATH: &str = "/agent/v1/artifacts";

/// Prefix of the machine's name in its certificate: a URI `urn:countermand:machine:{id}:{incarnation}`.
pub const MACHINE_URN: &str = "urn:countermand:machine:";

/// From agent to server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// Opens a session.
    Hello(Box<Hello>),
    /// May I begin?
    Claim {
        /// In which session.
        session: Epoch,
        /// What.
        action: ActionId,
        /// Ties the grant to this claim.
        nonce: Nonce,
        /// The journal that would hold the grant.
        journal: JournalId,
    },
    /// Where an action stands; information only.
    Phase {
        /// Which action.
        action: ActionId,
        /// Under which grant.
        epoch: Epoch,
        /// In which journal.
        journal: JournalId,
        /// On which record.
        sequence: u64,
        /// When, by the machine's clock.
        at: Timestamp,
        /// In plain words.
        what: String,
    },
    /// The end of an action.
    Final {
        /// Which action.
        action: ActionId,
        /// What the journal says.
        testimony: Box<Testimony>,
    },
}

/// From server to agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// The session is open.
    Welcome(Box<Welcome>),
    /// Something waits. A hint without any authority.
    Offer {
        /// Which action.
        action: ActionId,
        /// Of which kind.
        kind: Kind,
    },
    /// The permission to begin.
    Grant(Box<SignedGrant>),
    /// No permission.
    Deny {
        /// Which action.
        action: ActionId,
        /// Why not.
        why: DenyWhy,
    },
    /// Stop it, or never begin it.
    Abort {
        /// Which action.
        action: ActionId,
        /// The grant it speaks of.
        epoch: Epoch,
    },
    /// The testimony is kept.
    FinalAck {
        /// Which action.
        action: ActionId,
        /// The grant it speaks of.
        epoch: Epoch,
    },
    /// The first word on a stream: the machine's newest session. Hello names it, and opens the next one only while it
    /// still is the newest: a Hello that was slow opens nothing.
    Newest {
        /// Its number.
        session: Epoch,
    },
}

/// Opens a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The lowest message version the agent speaks.
    pub version_min: u8,
    /// The highest.
    pub version_max: u8,
    /// The enrolment its certificate was made for.
    pub incarnation: u32,
    /// The session that was the newest when this was said, by the server's word on this stream.
    pub after: Epoch,
    /// What it tells of its machine.
    pub told: Told,
    /// Where its journal stands.
    pub journal: JournalSeen,
    /// What the server has not acknowledged.
    pub listed: Vec<ListedAction>,
}

/// An action that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedAction {
    /// Which action.
    pub action: ActionId,
    /// Under which grant.
    pub epoch: Epoch,
    /// Whether it has begun.
    pub started: bool,
}

/// The session is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version to speak from now on.
    pub version: u8,
    /// The session's number.
    pub session: Epoch,
    /// How each listed action stands.
    pub verdicts: Vec<(ActionId, VerdictWord)>,
    /// The name the server knows this machine by.
    pub machine: MachineId,
}

/// How a listed action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerdictWord {
    /// Go on.
    Continue,
    /// Stop it, or never begin it.
    Abort(Epoch),
    /// The server has ended it.
    Forget,
}

/// Why there is no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenyWhy {
    /// It has ended, or never was.
    Gone,
    /// It was cancelled.
    Cancelled,
    /// It belongs to another machine.
    NotYours,
    /// Something requested earlier needs the same thing.
    Busy,
    /// A newer session of this machine is open.
    OldSession,
    /// The server cannot record a grant now.
    Unavailable,
}

/// A machine asks to become known. JSON, on the API listener, before it has a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The enrolment token.
    pub token: String,
    /// A certificate request, PEM, made on the machine; the key never leaves it.
    pub csr_pem: String,
    /// The machine's own name for itself.
    pub name: String,
}

/// A machine is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolAnswer {
    /// Its id.
    pub machine: String,
    /// How often it was enrolled.
    pub incarnation: u32,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// The authority that server and machines are certified by, PEM.
    pub authority_pem: String,
    /// The agent listener, `host:port`.
    pub agent_address: String,
    /// The id of the key that signs grants.
    pub grant_key_id: String,
    /// That key, Ed25519, 32 bytes in hex.
    pub grant_key_hex: String,
}

/// Why a frame is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes; {FRAME_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Of a version we do not speak.
    #[error("a frame of version {0:?}; we speak {VERSION}")]
    Version(Option<u8>),
    /// Not a message.
    #[error("not a message: {0}")]
    Malformed(String),
}

/// The frame of a message.
///
/// # Errors
/// The message is longer than [`FRAME_BYTES_MAX`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let frame = postcard::to_extend(message, vec![VERSION]).map_err(|e| FrameError::Malformed(e.to_string()))?;
    if frame.len() > FRAME_BYTES_MAX { Err(FrameError::TooLong(frame.len())) } else { Ok(frame) }
}

/// The message of a frame.
///
/// # Errors
/// Too long, of another version, malformed, or with bytes behind the message.
pub fn decode<T: for<'a> Deserialize<'a>>(frame: &[u8]) -> Result<T, FrameError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(frame.len()));
    }
    match frame.split_first() {
        Some((&VERSION, message)) => decode_whole(message),
        other => Err(FrameError::Version(other.map(|(version, _)| *version))),
    }
}

fn decode_whole<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(FrameError::Malformed(format!("{} bytes behind the message", rest.len()))),
        Err(e) => Err(FrameError::Malformed(e.to_string())),
    }
}

impl From<Listed> for ListedAction {
    fn from(listed: Listed) -> Self {
        Self { action: listed.action, epoch: listed.epoch, started: listed.started }
    }
}

impl From<VerdictWord> for Verdict {
    fn from(word: VerdictWord) -> Self {
        match word {
            VerdictWord::Continue => Self::Continue,
            VerdictWord::Abort(epoch) => Self::Abort(epoch),
            VerdictWord::Forget => Self::Forget,
        }
    }
}

#[cfg(test)]
mod tests;
