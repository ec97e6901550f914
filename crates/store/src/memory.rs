//! The memory engine: plain ordered maps behind one lock, for the simulator and for tests.
//!
//! It answers as SQLite does, refusals included, and the contract suite holds both to that. It reads no clock, rolls no
//! dice and walks ordered maps only: the same calls give the same answers in every run. What it holds is lost with it,
//! so no command of the product offers it.

mod actions;
mod audit;
mod guards;
mod history;
mod integrity;
mod keys;
mod library;
mod listing;
mod machines;
mod tables;

use crate::{
    ActionField, ActionQuery, Application, Committed, EnrolToken, Enrolled, Filter, Inserted, LibraryFile, LibraryPut,
    MachineField, MachineQuery, Reenrolment, Store, StoreError, Tagged, Terms,
};
use async_trait::async_trait;
use domain::action::Action;
use domain::audit::{Entry, Head, StoredEntry};
use domain::decide::Change;
use domain::history::{Line, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::time::Timestamp;
use std::sync::{Mutex, MutexGuard};
use tables::Tables;

/// A store that keeps everything in memory. Each call takes the one lock, and so is one transaction; what is refused is
/// refused before anything is changed.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        // A call that panicked may have left half of its work behind.
        self.tables.lock().map_err(|_| StoreError::Unavailable("an earlier call panicked".into()))
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn insert(&self, action: &Action, history: &[Line], terms: &Terms) -> Result<Inserted, StoreError> {
        self.tables()?.insert(action, history, terms)
    }

    async fn commit(&self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
        self.tables()?.commit(change, audit)
    }

    async fn note(&self, action: ActionId, lines: &[Line]) -> Result<(), StoreError> {
        self.tables()?.note(action, lines)
    }

    async fn action(&self, id: ActionId) -> Result<Option<Action>, StoreError> {
        Ok(self.tables()?.action(id))
    }

    async fn actions(&self, query: &ActionQuery) -> Result<Vec<Action>, StoreError> {
        query.check()?;
        Ok(self.tables()?.listed(query))
    }

    async fn count_actions(&self, filter: &Filter<ActionField>) -> Result<u64, StoreError> {
        filter.check()?;
        Ok(self.tables()?.count_listed(filter))
    }

    async fn live_actions(&self, machine: MachineId) -> Result<Vec<Action>, StoreError> {
        Ok(self.tables()?.live_actions(machine))
    }

    async fn machines_with_live_actions(&self) -> Result<Vec<MachineId>, StoreError> {
        Ok(self.tables()?.machines_with_live())
    }

    async fn overdue(&self, now: Timestamp, unseen_since: Timestamp, limit: u32) -> Result<Vec<ActionId>, StoreError> {
        Ok(self.tables()?.overdue(now, unseen_since, limit))
    }

    async fn history(&self, id: ActionId) -> Result<Vec<StoredLine>, StoreError> {
        Ok(self.tables()?.history(id))
    }

    async fn enrol(
        &self,
        machine: &Machine,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        self.tables()?.enrol(machine, token, now, audit)
    }

    async fn reenrol(
        &self,
        again: &Reenrolment,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        self.tables()?.reenrol(again, token, now, audit)
    }

    async fn machine(&self, id: MachineId) -> Result<Option<Machine>, StoreError> {
        Ok(self.tables()?.machines.get(&id).cloned())
    }

    async fn machines(&self, query: &MachineQuery) -> Result<Vec<Machine>, StoreError> {
        query.check()?;
        Ok(self.tables()?.machines_listed(query))
    }

    async fn tag(&self, machine: MachineId, change: &TagChange, audit: &Entry) -> Result<Tagged, StoreError> {
        Ok(self.tables()?.tag(machine, change, audit))
    }

    async fn count_machines(&self, filter: &Filter<MachineField>) -> Result<u64, StoreError> {
        filter.check()?;
        Ok(self.tables()?.count_machines(filter))
    }

    async fn open_session(
        &self,
        machine: MachineId,
        incarnation: u32,
        after: Epoch,
        told: &Told,
        now: Timestamp,
    ) -> Result<Option<Epoch>, StoreError> {
        self.tables()?.open_session(machine, incarnation, after, told, now)
    }

    async fn seen(&self, machine: MachineId, now: Timestamp) -> Result<(), StoreError> {
        self.tables()?.seen(machine, now);
        Ok(())
    }

    async fn add_enrol_token(&self, token: &EnrolToken, audit: &Entry) -> Result<(), StoreError> {
        self.tables()?.add_enrol_token(token, audit)
    }

    async fn enrol_token(&self, token: &Digest) -> Result<Option<EnrolToken>, StoreError> {
        Ok(self.tables()?.tokens.get(token).map(|known| known.limits.clone()))
    }

    async fn put_application(&self, application: &Application, audit: &Entry) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        tables.applications.insert(application.client_id.clone(), application.clone());
        tables.append_audit(audit);
        tables.count();
        Ok(())
    }

    async fn application(&self, client_id: &str) -> Result<Option<Application>, StoreError> {
        Ok(self.tables()?.applications.get(client_id).cloned())
    }

    async fn put_library_file(
        &self,
        file: &LibraryFile,
        content: &[u8],
        replace: bool,
        audit: &Entry,
    ) -> Result<LibraryPut, StoreError> {
        self.tables()?.put_library_file(file, content, replace, audit)
    }

    async fn library_files(&self) -> Result<Vec<LibraryFile>, StoreError> {
        Ok(self.tables()?.files.values().cloned().collect())
    }

    async fn library_content(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables()?.contents.get(sha256).cloned())
    }

    async fn delete_library_file(&self, name: &str, audit: &Entry) -> Result<bool, StoreError> {
        Ok(self.tables()?.delete_library_file(name, audit))
    }

    async fn audit(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut tables = self.tables()?;
        tables.append_audit(entry);
        tables.count();
        Ok(())
    }

    async fn audit_lines(&self, after: u64, limit: u32) -> Result<Vec<StoredEntry>, StoreError> {
        Ok(self.tables()?.audit_lines(after, limit))
    }

    async fn audit_head(&self) -> Result<Head, StoreError> {
        Ok(self.tables()?.audit_head())
    }

    async fn repeated(
        &self,
        caller: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<(Digest, ActionId)>, StoreError> {
        Ok(self.tables()?.repeated(caller, key, now))
    }

    async fn forget_keys(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        Ok(self.tables()?.forget_keys(now, limit))
    }

    async fn setting(&self, name: &str, otherwise: &str) -> Result<String, StoreError> {
        let mut tables = self.tables()?;
        if let Some(stands) = tables.settings.get(name) {
            return Ok(stands.clone());
        }
        tables.settings.insert(name.into(), otherwise.into());
        tables.count();
        Ok(otherwise.into())
    }

    async fn commit_number(&self) -> Result<u64, StoreError> {
        Ok(self.tables()?.commit_number)
    }

    async fn integrity(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.tables()?.look())
    }
}
