//! Tokens that were verified, by their SHA-256, until they expire. Bounded.

use super::Verified;
use domain::ids::Digest;
use domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tokens that were verified.
pub(super) struct Remembered {
    tokens: Mutex<HashMap<Digest, Arc<Verified>>>,
    tokens_max: usize,
}

impl Remembered {
    pub(super) fn new(tokens_max: usize) -> Self {
        Self { tokens: Mutex::default(), tokens_max }
    }

    /// What is known of a token, if it is still valid at `now`.
    pub(super) fn get(&self, token: &Digest, now: Timestamp) -> Option<Arc<Verified>> {
        self.tokens().get(token).filter(|verified| verified.is_valid_at(now)).map(Arc::clone)
    }

    pub(super) fn put(&self, token: Digest, verified: Arc<Verified>, now: Timestamp) {
        if self.tokens_max == 0 {
            return;
        }
        let mut tokens = self.tokens();
        if tokens.len() >= self.tokens_max {
            tokens.retain(|_, verified| verified.is_valid_at(now));
        }
        if tokens.len() >= self.tokens_max {
            // All are valid: whoever comes next is verified once more, which is only slower.
            tokens.clear();
        }
        tokens.insert(token, verified);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tokens().len()
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Verified>>> {
        // Whole after every statement above, so a panic elsewhere leaves nothing half-done in it.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
