//! The key that signs grants. Behind a trait, so that it can become a process of its own.

use crate::secret_file::{self, SecretFileError};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use domain::Digest;
use std::path::Path;

/// The name of the key file in the data directory.
pub const GRANT_KEY_FILE: &str = "grant-key.pk8";

/// How much of the public key's hash names the key, in hex digits.
const KEY_ID_CHARS: usize = 16;

/// Signs grants with Ed25519.
pub trait Signer: Send + Sync {
    /// The key's id, at most [`protocol::agent::KEY_ID_CHARS_MAX`] characters.
    fn key_id(&self) -> &str;

    /// The public key.
    fn public_key(&self) -> [u8; 32];

    /// The signature over `bytes`, 64 bytes.
    fn sign(&self, bytes: &[u8]) -> Vec<u8>;
}

/// A signer whose key lies in a file of the server's own.
pub struct FileSigner {
    key_id: String,
    public_key: [u8; 32],
    key: Ed25519KeyPair,
}

impl FileSigner {
    /// Opens the key in `data_dir`; makes it at the first start.
    ///
    /// # Errors
    /// The file cannot be read or made, others may read it, or it holds no Ed25519 key.
    pub fn open(data_dir: &Path) -> Result<Self, SecretFileError> {
        let path = data_dir.join(GRANT_KEY_FILE);
        let bytes = secret_file::load_or_make(&path, || {
            let document = Ed25519KeyPair::generate().and_then(|key| key.to_pkcs8()).map_err(|e| e.to_string())?;
            Ok(document.as_ref().to_vec())
        })?;
        let unusable = |why: String| SecretFileError::Make { path: path.clone(), why };
        let key = Ed25519KeyPair::from_pkcs8(&bytes).map_err(|e| unusable(e.to_string()))?;
        let public_key: [u8; 32] =
            key.public_key().as_ref().try_into().map_err(|_| unusable("the public key is not 32 bytes".into()))?;
        let mut key_id = Digest::of(&public_key).to_string();
        key_id.truncate(KEY_ID_CHARS);
        Ok(Self { key_id, public_key, key })
    }
}

impl Signer for FileSigner {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.key.sign(bytes).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    #[test]
    fn the_key_stays_and_its_signatures_verify() {
        let dir = tempfile::tempdir().unwrap();
        let signer = FileSigner::open(dir.path()).unwrap();
        let again = FileSigner::open(dir.path()).unwrap();
        assert_eq!((signer.key_id(), signer.public_key()), (again.key_id(), again.public_key()));
        let public = UnparsedPublicKey::new(&ED25519, signer.public_key());
        assert!(public.verify(b"grant", &again.sign(b"grant")).is_ok());
        assert!(public.verify(b"other", &again.sign(b"grant")).is_err());
    }
}
