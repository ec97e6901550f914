//! The keys under which callers repeat a request.

use super::listing::at_most;
use super::tables::Tables;
use crate::Once;
use domain::ids::{ActionId, Digest};
use domain::time::Timestamp;

impl Tables {
    /// What was asked for under a key that has not expired at `now`, and the action it led to.
    pub(super) fn repeated(&self, caller: &str, key: &str, now: Timestamp) -> Option<(Digest, ActionId)> {
        let kept = self.keys.get(&(caller.to_string(), key.to_string()));
        kept.filter(|(once, _)| once.expires_at > now).map(|(once, action)| (once.request, *action))
    }

    /// Keeps what was asked for under a key that is free, or has expired.
    pub(super) fn keep_key(&mut self, once: &Once, action: ActionId) {
        self.keys.insert((once.caller.clone(), once.key.clone()), (once.clone(), action));
    }

    /// Forgets keys that have expired, the longest expired first; how many.
    pub(super) fn forget_keys(&mut self, now: Timestamp, limit: u32) -> u32 {
        let ended = |once: &Once| once.expires_at <= now;
        let mut expired: Vec<_> = self.keys.values().map(|(once, _)| once).filter(|once| ended(once)).collect();
        expired.sort_by_key(|once| once.expires_at);
        let names: Vec<_> =
            expired.into_iter().take(at_most(limit)).map(|once| (once.caller.clone(), once.key.clone())).collect();
        for name in &names {
            self.keys.remove(name);
        }
        if !names.is_empty() {
            self.count();
        }
        u32::try_from(names.len()).unwrap_or(u32::MAX)
    }
}
