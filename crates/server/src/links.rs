//! Links that carry their own authority: whoever has one may fetch one result, for a while, without a token.

use crate::secret_file::{self, SecretFileError};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use domain::ids::{ActionId, Digest};
use domain::time::Timestamp;
use std::path::Path;

/// The name of the key file in the data directory.
pub const LINK_KEY_FILE: &str = "link-key";

/// How long a link is good, in seconds: thirty minutes, as documented for live response.
pub const LINK_SECONDS: i64 = 30 * 60;

/// The length of the key, in bytes.
const KEY_BYTES: usize = 32;

/// What is signed begins with this, so that it can never be anything else.
const SIGNED_PREFIX: &[u8] = b"countermand link 1\0";

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The action.
    pub action: ActionId,
    /// The step whose result it is.
    pub step: u16,
    /// The result's content.
    pub sha256: Digest,
    /// When it ends, in seconds since the epoch.
    pub expires: i64,
}

/// Signs links and checks them.
pub struct Links {
    key: Key,
}

impl Links {
    /// Opens the key in `data_dir`; makes it of `random` at the first start.
    ///
    /// # Errors
    /// The file cannot be read or made, others may read it, or it has another length.
    pub fn open(data_dir: &Path, random: [u8; KEY_BYTES]) -> Result<Self, SecretFileError> {
        let path = data_dir.join(LINK_KEY_FILE);
        let bytes = secret_file::load_or_make(&path, || Ok(random.to_vec()))?;
        if bytes.len() != KEY_BYTES {
            return Err(SecretFileError::Make { path, why: format!("it does not hold {KEY_BYTES} bytes") });
        }
        Ok(Self { key: Key::new(HMAC_SHA256, &bytes) })
    }

    /// A link's signature, in hex.
    pub fn sign(&self, link: &Link) -> String {
        let tag = hmac::sign(&self.key, &signed_bytes(link));
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the signature is the link's and the link is still good at `now`.
    pub fn is_good(&self, link: &Link, signature: &str, now: Timestamp) -> bool {
        let Some(tag) = Digest::parse(signature) else { return false };
        let signed = hmac::verify(&self.key, &signed_bytes(link), &tag.0).is_ok();
        signed && now.as_seconds() < link.expires
    }
}

fn signed_bytes(link: &Link) -> Vec<u8> {
    // Every field has a fixed length, so nothing can move across a field border.
    let mut bytes = SIGNED_PREFIX.to_vec();
    bytes.extend_from_slice(link.action.0.as_bytes());
    bytes.extend_from_slice(&link.step.to_be_bytes());
    bytes.extend_from_slice(&link.sha256.0);
    bytes.extend_from_slice(&link.expires.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_link_is_good_for_what_it_was_made_for_and_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let links = Links::open(dir.path(), [7; KEY_BYTES]).unwrap();
        let action = ActionId(Uuid::from_u128(1));
        let link = Link { action, step: 2, sha256: Digest([3; 32]), expires: 1000 };
        let signature = links.sign(&link);
        let at = Timestamp::from_seconds;
        assert!(links.is_good(&link, &signature, at(999)));
        assert!(!links.is_good(&link, &signature, at(1000)), "expired");
        for other in [
            Link { action: ActionId(Uuid::from_u128(2)), ..link },
            Link { step: 3, ..link },
            Link { sha256: Digest([4; 32]), ..link },
            Link { expires: 2000, ..link },
        ] {
            assert!(!links.is_good(&other, &signature, at(0)), "{other:?}");
        }
        let flipped = if signature.starts_with('0') { "1" } else { "0" }.to_string() + &signature[1..];
        for bad in ["", "zz", &signature[1..], &flipped] {
            assert!(!links.is_good(&link, bad, at(0)), "{bad}");
        }
        // The key stays across starts, whatever randomness the next start brings.
        assert!(Links::open(dir.path(), [8; KEY_BYTES]).unwrap().is_good(&link, &signature, at(0)));
    }
}
