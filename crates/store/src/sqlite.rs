//! The SQLite engine: one file, one writer that commits in groups, a few readers, and a thread that keeps the
//! write-ahead log short.

mod access;
mod actions;
mod audit;
mod checkpoint;
mod columns;
mod config;
mod enrol_tokens;
mod failure;
mod history;
mod integrity;
mod keys;
mod library;
mod listing;
mod machines;
mod open;
#[cfg(test)]
mod plans;
mod query;
mod readers;
mod writer;

use crate::{
    ActionField, ActionQuery, Application, Committed, EnrolToken, Enrolled, Filter, Inserted, LibraryFile, LibraryPut,
    MachineField, MachineQuery, Reenrolment, Store, StoreError, Tagged, Terms,
};
use async_trait::async_trait;
use checkpoint::Checkpointer;
pub use config::SqliteConfig;
use domain::action::Action;
use domain::audit::{Entry, Head, StoredEntry};
use domain::decide::Change;
use domain::history::{Line, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::time::Timestamp;
use readers::Readers;
use writer::Writer;

/// A store in one SQLite file. Dropped, it finishes what it was asked to write, and closes the file.
pub struct SqliteStore {
    // Dropped in this order: the writer's last commits go into the file with the checkpoint thread's last round.
    writer: Writer,
    _checkpointer: Checkpointer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the store, makes it if there is none, and brings it to this version's schema.
    ///
    /// Refuses with [`StoreError::Unsafe`] a file of a newer version, a file of another program, and a place or a
    /// library where SQLite would not keep what it acknowledges (`journal_mode` WAL with `synchronous` FULL).
    pub fn open(config: SqliteConfig) -> Result<Self, StoreError> {
        let _turn = open::Turn::take(&config)?;
        open::prepare(&config)?;
        let checkpointer = Checkpointer::start(&config)?;
        let writer = Writer::start(&config, checkpointer.wal())?;
        let readers = Readers::start(&config)?;
        Ok(Self { writer, _checkpointer: checkpointer, readers })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn insert(&self, action: &Action, history: &[Line], terms: &Terms) -> Result<Inserted, StoreError> {
        let (action, lines, terms) = (action.clone(), history.to_vec(), terms.clone());
        self.writer.write(move |unit| actions::insert(unit, &action, &lines, &terms)).await
    }

    async fn commit(&self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
        let (change, audit) = (change.clone(), audit.cloned());
        self.writer.write(move |unit| actions::commit(unit, &change, audit.as_ref())).await
    }

    async fn note(&self, action: ActionId, lines: &[Line]) -> Result<(), StoreError> {
        let lines = lines.to_vec();
        self.writer.write(move |unit| actions::note(unit, action, &lines)).await
    }

    async fn action(&self, id: ActionId) -> Result<Option<Action>, StoreError> {
        self.readers.look_up(|connection| listing::action(connection, id))
    }

    async fn actions(&self, query: &ActionQuery) -> Result<Vec<Action>, StoreError> {
        query.check()?;
        let query = query.clone();
        self.readers.read(move |connection| listing::actions(connection, &query)).await
    }

    async fn count_actions(&self, filter: &Filter<ActionField>) -> Result<u64, StoreError> {
        filter.check()?;
        let filter = filter.clone();
        self.readers.read(move |connection| listing::count_actions(connection, &filter)).await
    }

    async fn live_actions(&self, machine: MachineId) -> Result<Vec<Action>, StoreError> {
        self.readers.look_up(|connection| listing::live(connection, machine))
    }

    async fn machines_with_live_actions(&self) -> Result<Vec<MachineId>, StoreError> {
        self.readers.read(listing::machines_with_live).await
    }

    async fn overdue(&self, now: Timestamp, unseen_since: Timestamp, limit: u32) -> Result<Vec<ActionId>, StoreError> {
        self.readers.read(move |connection| listing::overdue(connection, now, unseen_since, limit)).await
    }

    async fn history(&self, id: ActionId) -> Result<Vec<StoredLine>, StoreError> {
        self.readers.read(move |connection| history::read(connection, id)).await
    }

    async fn enrol(
        &self,
        machine: &Machine,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        let (machine, token, audit) = (machine.clone(), *token, audit.clone());
        self.writer.write(move |unit| machines::enrol(unit, &machine, &token, now, &audit)).await
    }

    async fn reenrol(
        &self,
        again: &Reenrolment,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        let (again, token, audit) = (again.clone(), *token, audit.clone());
        self.writer.write(move |unit| machines::reenrol(unit, &again, &token, now, &audit)).await
    }

    async fn machine(&self, id: MachineId) -> Result<Option<Machine>, StoreError> {
        self.readers.look_up(|connection| machines::machine(connection, id))
    }

    async fn machines(&self, query: &MachineQuery) -> Result<Vec<Machine>, StoreError> {
        query.check()?;
        let query = query.clone();
        self.readers.read(move |connection| listing::machines(connection, &query)).await
    }

    async fn count_machines(&self, filter: &Filter<MachineField>) -> Result<u64, StoreError> {
        filter.check()?;
        let filter = filter.clone();
        self.readers.read(move |connection| listing::count_machines(connection, &filter)).await
    }

    async fn tag(&self, machine: MachineId, change: &TagChange, audit: &Entry) -> Result<Tagged, StoreError> {
        let (change, audit) = (change.clone(), audit.clone());
        self.writer.write(move |unit| machines::tag(unit, machine, &change, &audit)).await
    }

    async fn open_session(
        &self,
        machine: MachineId,
        incarnation: u32,
        after: Epoch,
        told: &Told,
        now: Timestamp,
    ) -> Result<Option<Epoch>, StoreError> {
        let told = told.clone();
        self.writer.write(move |unit| machines::open_session(unit, (machine, incarnation, after), &told, now)).await
    }

    async fn seen(&self, machine: MachineId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |unit| machines::seen(unit, machine, now)).await
    }

    async fn add_enrol_token(&self, token: &EnrolToken, audit: &Entry) -> Result<(), StoreError> {
        let (token, audit) = (token.clone(), audit.clone());
        self.writer.write(move |unit| enrol_tokens::add(unit, &token, &audit)).await
    }

    async fn enrol_token(&self, token: &Digest) -> Result<Option<EnrolToken>, StoreError> {
        self.readers.look_up(|connection| enrol_tokens::token(connection, token))
    }

    async fn put_application(&self, application: &Application, audit: &Entry) -> Result<(), StoreError> {
        let (application, audit) = (application.clone(), audit.clone());
        self.writer.write(move |unit| access::put_application(unit, &application, &audit)).await
    }

    async fn application(&self, client_id: &str) -> Result<Option<Application>, StoreError> {
        self.readers.look_up(|connection| access::application(connection, client_id))
    }

    async fn put_library_file(
        &self,
        file: &LibraryFile,
        content: &[u8],
        replace: bool,
        audit: &Entry,
    ) -> Result<LibraryPut, StoreError> {
        let (file, content, audit) = (file.clone(), content.to_vec(), audit.clone());
        self.writer.write(move |unit| library::put(unit, &file, &content, replace, &audit)).await
    }

    async fn library_files(&self) -> Result<Vec<LibraryFile>, StoreError> {
        self.readers.read(library::files).await
    }

    async fn library_content(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let sha256 = *sha256;
        self.readers.read(move |connection| library::content(connection, &sha256)).await
    }

    async fn delete_library_file(&self, name: &str, audit: &Entry) -> Result<bool, StoreError> {
        let (name, audit) = (name.to_string(), audit.clone());
        self.writer.write(move |unit| library::delete(unit, &name, &audit)).await
    }

    async fn audit(&self, entry: &Entry) -> Result<(), StoreError> {
        let entry = entry.clone();
        self.writer
            .write(move |unit| {
                unit.audit(&entry)?;
                unit.count();
                Ok(())
            })
            .await
    }

    async fn audit_lines(&self, after: u64, limit: u32) -> Result<Vec<StoredEntry>, StoreError> {
        self.readers.read(move |connection| audit::lines(connection, after, limit)).await
    }

    async fn audit_head(&self) -> Result<Head, StoreError> {
        self.readers.look_up(audit::head)
    }

    async fn repeated(
        &self,
        caller: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<(Digest, ActionId)>, StoreError> {
        self.readers.look_up(|connection| keys::repeated(connection, caller, key, now))
    }

    async fn forget_keys(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.writer.write(move |unit| keys::forget(unit, now, limit)).await
    }

    async fn setting(&self, name: &str, otherwise: &str) -> Result<String, StoreError> {
        if let Some(stands) = self.readers.look_up(|connection| access::setting(connection, name))? {
            return Ok(stands);
        }
        let (name, otherwise) = (name.to_string(), otherwise.to_string());
        self.writer.write(move |unit| access::put_setting(unit, &name, &otherwise)).await
    }

    async fn commit_number(&self) -> Result<u64, StoreError> {
        self.readers.look_up(access::commit_number)
    }

    async fn integrity(&self) -> Result<Vec<String>, StoreError> {
        self.readers.read(integrity::look).await
    }
}
