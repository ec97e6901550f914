//! The signed permission to begin.

use super::{FrameError, decode_whole};
use domain::action::Body;
use domain::ids::{ActionId, Digest, Epoch, MachineId, Nonce};
use serde::{Deserialize, Serialize};

/// What the signature is over begins with this, so that it can never be one over anything else.
pub const SIGNED_PREFIX: &[u8] = b"countermand grant 1\0";

/// The longest key id, in characters.
pub const KEY_ID_CHARS_MAX: usize = 64;

/// What a grant binds together: this machine, this enrolment, this session, this claim, these bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantCore {
    /// For which machine.
    pub machine: MachineId,
    /// For which enrolment of it.
    pub incarnation: u32,
    /// For which action.
    pub action: ActionId,
    /// In which session, which is also the grant's number.
    pub epoch: Epoch,
    /// The claim it answers.
    pub nonce: Nonce,
    /// The SHA-256 of the body's bytes.
    pub body_sha256: Digest,
    /// The key it is signed with.
    pub key_id: String,
}

/// A grant as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedGrant {
    /// What is bound together.
    pub core: GrantCore,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// The Ed25519 signature over [`GrantCore::signed_bytes`].
    pub signature: Vec<u8>,
}

impl GrantCore {
    /// The bytes that are signed.
    pub fn signed_bytes(&self) -> Vec<u8> {
        // Plain values of bounded size: this cannot fail but for want of memory.
        postcard::to_extend(self, SIGNED_PREFIX.to_vec()).unwrap_or_default()
    }
}

/// The bytes of a body, as they are hashed and sent.
pub fn body_bytes(body: &Body) -> Vec<u8> {
    postcard::to_stdvec(body).unwrap_or_default()
}

impl SignedGrant {
    /// The body, if its bytes are the ones the core names.
    ///
    /// # Errors
    /// Other bytes than were signed, or bytes that are no body.
    pub fn checked_body(&self) -> Result<Body, FrameError> {
        if Digest::of(&self.body) != self.core.body_sha256 {
            return Err(FrameError::Malformed("the body is not the one that was signed".into()));
        }
        decode_whole(&self.body)
    }
}
