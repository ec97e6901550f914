//! The keys that our own tokens are signed with (ES256), in the data directory.
//!
//! A key's file says in its name from when it signs: `token-key.pk8` is the first, `token-key-1790000000.pk8` signs from
//! that second on. A key is published and verifies as soon as its file is there, and until every token that it can have
//! signed has expired; of those whose time has come, the newest signs. Nothing but the files has to be kept, and a
//! running server looks at them again by itself.

use crate::secret_file::{self, SecretFileError};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Digest;
use domain::time::Timestamp;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The name of the first key's file in the data directory.
pub const TOKEN_KEY_FILE: &str = "token-key.pk8";

/// What the name of a later key's file begins with; then come the seconds since 1970 from which it signs.
const LATER_PREFIX: &str = "token-key-";

/// What it ends with.
const SUFFIX: &str = ".pk8";

/// How many keys there may be at once.
pub const TOKEN_KEYS_MAX: usize = 16;

/// How often the files are looked at, in seconds, if keys are used.
pub const LOOK_AGAIN_SECONDS: i64 = 5;

/// A key outlives the last token that it should have signed by this, in seconds: a server may learn a little late that
/// another key's time has come.
const OUTLIVES_SECONDS: i64 = 60;

/// How much of the public key's hash names the key, in hex digits.
const KEY_ID_CHARS: usize = 32;

/// A public point as X9.62 has it: one byte, and two coordinates of this many bytes.
const COORDINATE_BYTES: usize = 32;

/// One key.
pub struct TokenKey {
    id: String,
    private: EncodingKey,
    verifying: DecodingKey,
    public: Vec<u8>,
    path: PathBuf,
    /// In seconds since 1970; the first key signs from the beginning.
    signs_from: i64,
}

impl TokenKey {
    fn load(path: PathBuf, signs_from: i64) -> Result<Self, SecretFileError> {
        let pkcs8 = secret_file::load_or_make(&path, || Err("it is gone".into()))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map_err(|e| SecretFileError::Make { path: path.clone(), why: e.to_string() })?;
        let public = pair.public_key().as_ref().to_vec();
        let mut id = Digest::of(&public).to_string();
        id.truncate(KEY_ID_CHARS);
        let (private, verifying) = (EncodingKey::from_ec_der(&pkcs8), DecodingKey::from_ec_der(&public));
        Ok(Self { id, private, verifying, public, path, signs_from })
    }

    /// The key's id, as tokens name it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key, as X9.62 has an uncompressed point.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// From when it signs, in seconds since 1970; the first key: from the beginning.
    pub fn signs_from(&self) -> i64 {
        self.signs_from
    }

    pub(super) fn private(&self) -> &EncodingKey {
        &self.private
    }

    pub(super) fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As RFC 7517 has a public key.
    fn jwk(&self) -> Value {
        let coordinate = |at: usize| {
            let bytes = self.public.get(at..at + COORDINATE_BYTES).unwrap_or_default();
            URL_SAFE_NO_PAD.encode(bytes)
        };
        json!({
            "kty": "EC", "use": "sig", "alg": "ES256", "kid": self.id, "crv": "P-256",
            "x": coordinate(1), "y": coordinate(1 + COORDINATE_BYTES),
        })
    }
}

/// The keys of one moment, oldest first; at least one.
pub(super) struct Ring(pub(super) Vec<Arc<TokenKey>>);

impl Ring {
    /// The key that signs at `now`: the newest whose time has come. If the clock was set back before all of them, the
    /// oldest.
    pub(super) fn signing(&self, now: Timestamp) -> Option<&Arc<TokenKey>> {
        let due = self.0.iter().rev().find(|key| key.signs_from <= now.as_seconds());
        due.or(self.0.first())
    }

    /// Whether a key still verifies: nothing it signed can be valid any more once its successor has signed for as long
    /// as a token lives.
    pub(super) fn is_retired(&self, index: usize, lifetime_seconds: i64, now: Timestamp) -> bool {
        let ends = |next: &Arc<TokenKey>| next.signs_from.saturating_add(lifetime_seconds + OUTLIVES_SECONDS);
        self.0.get(index + 1).is_some_and(|next| ends(next) <= now.as_seconds())
    }

    pub(super) fn standing(&self, lifetime_seconds: i64, now: Timestamp) -> impl Iterator<Item = &Arc<TokenKey>> {
        let standing = move |(index, key)| (!self.is_retired(index, lifetime_seconds, now)).then_some(key);
        self.0.iter().enumerate().filter_map(standing)
    }
}

/// The keys in a data directory, as they change.
pub struct TokenKeys {
    dir: PathBuf,
    lifetime_seconds: i64,
    seen: Mutex<Seen>,
}

struct Seen {
    ring: Arc<Ring>,
    /// In seconds since 1970.
    at: Option<i64>,
}

impl TokenKeys {
    /// Opens the keys in `data_dir`; makes the first one if there is none. Tokens live for `lifetime_seconds`.
    ///
    /// # Errors
    /// A file cannot be read or made, others may read it, or it holds no P-256 key.
    pub fn open(data_dir: &Path, lifetime_seconds: u32) -> Result<Self, SecretFileError> {
        if files(data_dir)?.is_empty() {
            make(&data_dir.join(TOKEN_KEY_FILE))?;
        }
        let seen = Mutex::new(Seen { ring: Arc::new(load(data_dir)?), at: None });
        Ok(Self { dir: data_dir.into(), lifetime_seconds: lifetime_seconds.into(), seen })
    }

    /// The keys as they are; looks at the files now and then. What cannot be read changes nothing.
    pub(super) fn ring(&self, now: Timestamp) -> Arc<Ring> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_seconds();
        if seen.at.is_none_or(|at| !(at..at + LOOK_AGAIN_SECONDS).contains(&now)) {
            seen.at = Some(now);
            match load(&self.dir) {
                Ok(ring) => {
                    tell(&seen.ring, &ring);
                    seen.ring = Arc::new(ring);
                }
                Err(error) => tracing::error!(%error, "the token keys cannot be read; those known are used on"),
            }
        }
        Arc::clone(&seen.ring)
    }

    /// The key that signs at `now`.
    ///
    /// # Errors
    /// There is none, which no opened directory has.
    pub fn signing(&self, now: Timestamp) -> Result<Arc<TokenKey>, String> {
        self.ring(now).signing(now).cloned().ok_or_else(|| "there is no token key".into())
    }

    /// The key of this id, if tokens by it may still be valid.
    pub(super) fn find(&self, id: &str, now: Timestamp) -> Option<Arc<TokenKey>> {
        let ring = self.ring(now);
        ring.standing(self.lifetime_seconds, now).find(|key| key.id == id).cloned()
    }

    /// The public keys, as RFC 7517 has a set of them.
    pub fn jwks(&self, now: Timestamp) -> Value {
        let ring = self.ring(now);
        json!({ "keys": ring.standing(self.lifetime_seconds, now).map(|key| key.jwk()).collect::<Vec<_>>() })
    }
}

/// Says what has changed.
fn tell(before: &Ring, after: &Ring) {
    let ids = |ring: &Ring| ring.0.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
    let (before, after) = (ids(before), ids(after));
    if before != after {
        tracing::info!(?before, ?after, "the token keys have changed");
    }
}

/// Makes a key file, if there is none of this name yet.
pub(super) fn make(path: &Path) -> Result<(), SecretFileError> {
    secret_file::load_or_make(path, || {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|e| e.to_string())?;
        Ok(key.to_pkcs8v1().map_err(|e| e.to_string())?.as_ref().to_vec())
    })
    .map(|_| ())
}

/// The path of a key that signs from `signs_from` on.
pub(super) fn later_path(dir: &Path, signs_from: i64) -> PathBuf {
    dir.join(format!("{LATER_PREFIX}{signs_from}{SUFFIX}"))
}

/// The keys in the directory, oldest first.
pub(super) fn load(dir: &Path) -> Result<Ring, SecretFileError> {
    let mut keys = Vec::new();
    for (signs_from, path) in files(dir)? {
        keys.push(Arc::new(TokenKey::load(path, signs_from)?));
    }
    if keys.is_empty() {
        return Err(SecretFileError::Make { path: dir.into(), why: "there is no token key in it".into() });
    }
    Ok(Ring(keys))
}

/// The key files in the directory, oldest first: from when each signs, and its path.
fn files(dir: &Path) -> Result<Vec<(i64, PathBuf)>, SecretFileError> {
    let failed = |source| SecretFileError::Io { path: dir.into(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(signs_from) = entry.file_name().to_str().and_then(signs_from) {
            files.push((signs_from, entry.path()));
        }
    }
    files.sort();
    if files.len() > TOKEN_KEYS_MAX {
        let why = format!("{} token keys are more than {TOKEN_KEYS_MAX}: remove old ones", files.len());
        return Err(SecretFileError::Make { path: dir.into(), why });
    }
    Ok(files)
}

/// From when the key in a file of this name signs; none for any other file.
fn signs_from(name: &str) -> Option<i64> {
    if name == TOKEN_KEY_FILE {
        return Some(i64::MIN);
    }
    let digits = name.strip_prefix(LATER_PREFIX)?.strip_suffix(SUFFIX)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
