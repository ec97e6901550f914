//! Values that many states share: kept once, compared and hashed by what they are.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// So many locks, so that threads rarely wait for one another.
const SHARDS: usize = 64;

/// A value that is kept once, with its hash.
pub struct Kept<T> {
    hash: u64,
    value: Arc<T>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { hash: self.hash, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value) || (self.hash == other.hash && self.value == other.value)
    }
}

impl<T: Eq> Eq for Kept<T> {}

impl<T> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl<T: fmt::Debug> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Where values of one type are kept. Never emptied: there are few of them compared with the states that share them.
pub struct Pool<T> {
    shards: Vec<Mutex<HashMap<u64, Vec<Arc<T>>>>>,
}

impl<T: Hash + Eq> Pool<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The kept value that equals `value`.
    pub fn keep(&self, value: T) -> Kept<T> {
        // Without random keys: the same value has the same hash in every run.
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let hash = hasher.finish();
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let mut values = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        let same_hash = values.entry(hash).or_default();
        if let Some(known) = same_hash.iter().find(|known| ***known == value) {
            return Kept { hash, value: Arc::clone(known) };
        }
        let value = Arc::new(value);
        same_hash.push(Arc::clone(&value));
        Kept { hash, value }
    }
}

impl<T: Hash + Eq> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}
