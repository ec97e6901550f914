//! What an administrator does to the token keys in a data directory; a running server follows within seconds.

use super::keys::{self, Ring, TOKEN_KEYS_MAX};
use crate::secret_file::SecretFileError;
use domain::time::Timestamp;
use std::fs;
use std::path::Path;

/// What a key is for at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKeyState {
    /// It is published and verifies; its time to sign has not come.
    Waits,
    /// It signs.
    Signs,
    /// A newer one signs; tokens by this one may still be valid.
    Verifies,
    /// No token by it can be valid.
    Retired,
}

/// A key, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKeyRow {
    /// Its id, as tokens name it.
    pub id: String,
    /// What it is for.
    pub state: TokenKeyState,
    /// From when it signs, in seconds since 1970; none for the first key.
    pub signs_from: Option<i64>,
}

/// Why the keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The files.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// There are as many as there may be.
    #[error("there are {TOKEN_KEYS_MAX} token keys already: wait until old ones are retired, or remove some")]
    TooMany,
    /// There is no such key.
    #[error("there is no token key {0}")]
    Unknown(String),
    /// It is the only one.
    #[error("{0} is the only key that can sign: rotate first, with --after-minutes 0")]
    Last(String),
}

/// The keys, oldest first.
///
/// # Errors
/// They cannot be read.
pub fn list(dir: &Path, lifetime_seconds: u32, now: Timestamp) -> Result<Vec<TokenKeyRow>, RotationError> {
    let ring = keys::load(dir)?;
    Ok(rows(&ring, lifetime_seconds, now))
}

fn rows(ring: &Ring, lifetime_seconds: u32, now: Timestamp) -> Vec<TokenKeyRow> {
    let signing = ring.signing(now).map(|key| key.id().to_string());
    let row = |(index, key): (usize, &std::sync::Arc<keys::TokenKey>)| {
        let state = if signing.as_deref() == Some(key.id()) {
            TokenKeyState::Signs
        } else if ring.is_retired(index, lifetime_seconds.into(), now) {
            TokenKeyState::Retired
        } else if key.signs_from() > now.as_seconds() {
            TokenKeyState::Waits
        } else {
            TokenKeyState::Verifies
        };
        let signs_from = (key.signs_from() != i64::MIN).then_some(key.signs_from());
        TokenKeyRow { id: key.id().to_string(), state, signs_from }
    };
    ring.0.iter().enumerate().map(row).collect()
}

/// Adds a key that is published at once and signs after so many seconds; takes away those that are retired. Returns its
/// id.
///
/// # Errors
/// Too many keys; the files.
pub fn rotate(dir: &Path, lifetime_seconds: u32, after_seconds: u32, now: Timestamp) -> Result<String, RotationError> {
    let ring = keys::load(dir)?;
    let kept = prune(&ring, lifetime_seconds, now)?;
    if kept >= TOKEN_KEYS_MAX {
        return Err(RotationError::TooMany);
    }
    let mut signs_from = now.as_seconds().saturating_add(after_seconds.into());
    while keys::later_path(dir, signs_from).exists() {
        // Two keys cannot have one name; a second later is as good.
        signs_from += 1;
    }
    keys::make(&keys::later_path(dir, signs_from))?;
    let key = keys::load(dir)?.0.into_iter().find(|key| key.signs_from() == signs_from);
    key.map(|key| key.id().to_string()).ok_or_else(|| RotationError::Unknown(format!("from {signs_from}")))
}

/// Takes away the files of keys that are retired; returns how many are left.
fn prune(ring: &Ring, lifetime_seconds: u32, now: Timestamp) -> Result<usize, RotationError> {
    let mut kept = 0;
    for (index, key) in ring.0.iter().enumerate() {
        if ring.is_retired(index, lifetime_seconds.into(), now) {
            take_away(key.path())?;
        } else {
            kept += 1;
        }
    }
    Ok(kept)
}

/// Takes a key away at once: tokens by it are refused from then on.
///
/// # Errors
/// No such key; it is the only one whose time to sign has come; the files.
pub fn remove(dir: &Path, id: &str, now: Timestamp) -> Result<(), RotationError> {
    let ring = keys::load(dir)?;
    let key = ring.0.iter().find(|key| key.id() == id).ok_or_else(|| RotationError::Unknown(id.into()))?;
    let others = ring.0.iter().filter(|other| other.id() != id && other.signs_from() <= now.as_seconds());
    if others.count() == 0 {
        return Err(RotationError::Last(id.into()));
    }
    take_away(key.path())
}

fn take_away(path: &Path) -> Result<(), RotationError> {
    let removed = fs::remove_file(path);
    removed.map_err(|source| SecretFileError::Io { path: path.into(), source }.into())
}
