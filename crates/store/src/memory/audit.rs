//! The audit log: lines are added at its end, each bound to all before it.

use super::listing::at_most;
use super::tables::Tables;
use domain::audit::{Entry, Head, LOG_START, StoredEntry};

impl Tables {
    /// Adds a line.
    pub(super) fn append_audit(&mut self, entry: &Entry) {
        let head = self.audit_head().after(entry);
        self.audit.push(StoredEntry { sequence: head.sequence, entry: entry.clone(), hash: head.hash });
    }

    /// How far the log goes.
    pub(super) fn audit_head(&self) -> Head {
        self.audit.last().map_or(LOG_START, |last| Head { sequence: last.sequence, hash: last.hash })
    }

    /// Lines after this one.
    pub(super) fn audit_lines(&self, after: u64, limit: u32) -> Vec<StoredEntry> {
        self.audit.iter().skip_while(|line| line.sequence <= after).take(at_most(limit)).cloned().collect()
    }
}
