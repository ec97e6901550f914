//! Remembering. The only crate that knows SQL; it knows nothing of HTTP, of Defender's words, or of agents' messages.
//!
//! [`Store`] speaks the domain's words. Rules are decided in `domain`; an engine commits a decision *if the revision it
//! was decided on is still the one on record*, and refuses below the code (triggers, unique indexes) what may never be.
//! Every call that writes returns only after its transaction is durable; one whose caller stops waiting is still done.
//! A read sees every write that was acknowledged before it began.

mod audit;
mod memory;
pub mod query;
mod sql;
mod sqlite;
mod stamp;

use async_trait::async_trait;
use domain::action::Action;
use domain::audit::{Entry, Head, StoredEntry};
use domain::decide::Change;
use domain::history::{Line, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::permission::Permission;
use domain::time::Timestamp;
pub use memory::MemoryStore;
pub use query::{ActionField, ActionQuery, ActionRow, Filter, MachineField, MachineQuery};
pub use sqlite::{SqliteConfig, SqliteStore};
pub use stamp::Stored;

/// The longest a history gets by notes, in lines: a machine may have much to say, but not without end. What the server
/// decides is written beyond it all the same.
pub const NOTED_LINES_MAX: u64 = 1000;

/// What an engine must do. Each method is one transaction.
#[async_trait]
pub trait Store: Send + Sync {
    /// Adds a Pending action with its first history lines, of which there is at least one, on these terms. An id is used
    /// once. As with every change, its `updated_at` is raised where it is not later than that of every change committed
    /// before. What stands against it is said in this order: the key, the machine, the number of live responses, the kind.
    async fn insert(&self, action: &Action, history: &[Line], terms: &Terms) -> Result<Inserted, StoreError>;

    /// Commits a decided change: the action, its history lines and what it [`needs`](Change::needs), or nothing. What
    /// fails is said in this order: revision, session, class. A change of an unknown action has moved; a change of stage
    /// without a history line is refused. A change that a caller asked for has its audit line with it. What is stored was
    /// changed at the time that was decided, or a little later: in the order of the commits, over all actions,
    /// `updated_at` is distinct and rises.
    async fn commit(&self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError>;

    /// Adds history lines without changing the action (facts of the machine, late evidence). A line whose fact is
    /// already there is left out, and so is what is beyond [`NOTED_LINES_MAX`]. Refused for an unknown action.
    async fn note(&self, action: ActionId, lines: &[Line]) -> Result<(), StoreError>;

    /// One action.
    async fn action(&self, id: ActionId) -> Result<Option<Action>, StoreError>;

    /// Actions that match, in the order that is asked for. Refused: a query that makes no sense.
    async fn actions(&self, query: &ActionQuery) -> Result<Vec<Action>, StoreError>;

    /// How many actions pass.
    async fn count_actions(&self, filter: &Filter<ActionField>) -> Result<u64, StoreError>;

    /// The actions of a machine that are not final, in the order of the requests (time, then id), which is the order in
    /// which those of one resource class can be granted.
    async fn live_actions(&self, machine: MachineId) -> Result<Vec<Action>, StoreError>;

    /// The machines that have an action that is not final.
    async fn machines_with_live_actions(&self) -> Result<Vec<MachineId>, StoreError>;

    /// Actions whose time is up: Pending with a deadline of `now` or before, or open on a machine last seen before
    /// `unseen_since`. At most `limit`.
    async fn overdue(&self, now: Timestamp, unseen_since: Timestamp, limit: u32) -> Result<Vec<ActionId>, StoreError>;

    /// The history of an action, oldest first; empty for an unknown one.
    async fn history(&self, id: ActionId) -> Result<Vec<StoredLine>, StoreError>;

    /// Adds a machine, if the token is known, not expired at `now`, not used up and not for a machine on record; uses it
    /// once. A token expires at its time, not after it. Refused, without a use, for a machine that is on record.
    async fn enrol(
        &self,
        machine: &Machine,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError>;

    /// Enrols a machine that is on record again, with a token that is for it: the next incarnation, a new session, and the
    /// end of everything that is open there, in one transaction. What fails is said in this order: token, then whatever
    /// has moved since the ends were decided.
    async fn reenrol(
        &self,
        again: &Reenrolment,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError>;

    /// One machine.
    async fn machine(&self, id: MachineId) -> Result<Option<Machine>, StoreError>;

    /// Machines that match, in the order that is asked for. Refused: a query that makes no sense.
    async fn machines(&self, query: &MachineQuery) -> Result<Vec<Machine>, StoreError>;

    /// Changes a machine's tags, as [`Machine::tags_after`] has it.
    async fn tag(&self, machine: MachineId, change: &TagChange, audit: &Entry) -> Result<Tagged, StoreError>;

    /// How many machines pass.
    async fn count_machines(&self, filter: &Filter<MachineField>) -> Result<u64, StoreError>;

    /// Opens a session: bumps the machine's session number and keeps what it told. `None` if there is no such machine
    /// of this incarnation, or if `after` is no longer its newest session.
    async fn open_session(
        &self,
        machine: MachineId,
        incarnation: u32,
        after: Epoch,
        told: &Told,
        now: Timestamp,
    ) -> Result<Option<Epoch>, StoreError>;

    /// The machine was heard of. Nothing happens if there is no such machine.
    async fn seen(&self, machine: MachineId, now: Timestamp) -> Result<(), StoreError>;

    /// One enrolment token.
    async fn enrol_token(&self, token: &Digest) -> Result<Option<EnrolToken>, StoreError>;

    /// Adds an enrolment token, known by its digest only. Added again, it takes the new limits and keeps its uses.
    /// Refused: one for an unknown machine, for a machine and more than one use, or added again for another machine.
    async fn add_enrol_token(&self, token: &EnrolToken, audit: &Entry) -> Result<(), StoreError>;

    /// Adds or replaces an application.
    async fn put_application(&self, application: &Application, audit: &Entry) -> Result<(), StoreError>;

    /// One application.
    async fn application(&self, client_id: &str) -> Result<Option<Application>, StoreError>;

    /// Adds a library file; one of that name is replaced only if `replace` is set, and keeps the time of its first upload.
    /// The content stays for as long as an action that is not final names its digest, whatever becomes of the file.
    /// Refused if the content is not what the file's digest and length say.
    async fn put_library_file(
        &self,
        file: &LibraryFile,
        content: &[u8],
        replace: bool,
        audit: &Entry,
    ) -> Result<LibraryPut, StoreError>;

    /// Library files, by name.
    async fn library_files(&self) -> Result<Vec<LibraryFile>, StoreError>;

    /// Library content by its digest.
    async fn library_content(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Deletes a library file; false if there is none of that name.
    async fn delete_library_file(&self, name: &str, audit: &Entry) -> Result<bool, StoreError>;

    /// Adds a line of its own to the audit log: of what changes nothing else. What changes something brings its line along,
    /// and is not done if the line cannot be written.
    async fn audit(&self, entry: &Entry) -> Result<(), StoreError>;

    /// Lines of the audit log after this one, in their order; at most `limit`. One that does not read ends the page, or,
    /// as the first of it, is [`StoreError::Damaged`].
    async fn audit_lines(&self, after: u64, limit: u32) -> Result<Vec<StoredEntry>, StoreError>;

    /// How far the audit log goes, by its own account.
    async fn audit_head(&self) -> Result<Head, StoreError>;

    /// What the caller asked for under this key, and the action it led to; none if there is no such key, or it has
    /// expired at `now`. A key expires at its time, not after it.
    async fn repeated(&self, caller: &str, key: &str, now: Timestamp)
    -> Result<Option<(Digest, ActionId)>, StoreError>;

    /// Forgets keys that have expired at `now`, at most `limit`. Says how many.
    async fn forget_keys(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError>;

    /// A named setting of the installation; `otherwise` is kept if there is none yet, and what stands is returned.
    async fn setting(&self, name: &str, otherwise: &str) -> Result<String, StoreError>;

    /// The number of the last commit. Rises with every one.
    async fn commit_number(&self) -> Result<u64, StoreError>;

    /// Looks at everything on record: every history's hash chain and walk of the lifecycle table, one final line per
    /// ended action, at most one open action per machine and resource class. Returns what does not hold, one line each.
    async fn integrity(&self) -> Result<Vec<String>, StoreError>;
}

/// What comes on record with an action, and what stands against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The line of the audit log.
    pub audit: Entry,
    /// The key under which the caller may ask again without asking twice.
    pub once: Option<Once>,
    /// How many live responses there may be that are not final, if this is another.
    pub live_responses_max: Option<u32>,
}

/// A request that is done once, however often it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Who asks.
    pub caller: String,
    /// The caller's own name for the request.
    pub key: String,
    /// The SHA-256 of the request.
    pub request: Digest,
    /// When the key is forgotten.
    pub expires_at: Timestamp,
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is on record.
    Stored(Stored),
    /// The caller asked for it before, under this key: this is the action it led to.
    Repeated(ActionId),
    /// The caller asked for something else under this key.
    KeyTaken,
    /// As many live responses as there may be are not final yet.
    TooMany,
    /// An action of the same kind on that machine is not final yet: this one.
    AlreadyActive(ActionId),
    /// There is no such machine.
    NoMachine,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is on record.
    Stored(Stored),
    /// The action has moved on: load and decide again.
    Moved,
    /// The session the grant was for is no longer the machine's newest.
    SessionMoved,
    /// An action of the same resource class is in the way on the machine, open or requested earlier and live: this one.
    ClassBusy(ActionId),
}

/// What became of a change of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagged {
    /// The machine is on record so.
    Stored(Box<Machine>),
    /// It would have too many tags.
    TooMany,
    /// There is no such machine.
    NoMachine,
}

/// What became of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The machine is on record.
    Stored,
    /// There is no such token.
    UnknownToken,
    /// The token has expired.
    Expired,
    /// The token was used as often as it may be.
    UsedUp,
    /// The token is for one machine on record, and not for this.
    OtherMachine,
    /// The machine, or an action on it, has moved on: load and decide again. Only where one is enrolled again.
    Moved,
}

/// A machine on record, as it is to be enrolled again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reenrolment {
    /// Which machine.
    pub machine: MachineId,
    /// The incarnation it gets: the next.
    pub incarnation: u32,
    /// Its own name for itself.
    pub name: String,
    /// What is known of it now: nothing that its earlier enrolment told.
    pub told: Told,
    /// The end of each action that is open on it.
    pub ends: Vec<Change>,
}

/// What became of a library upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryPut {
    /// It is on record.
    Stored,
    /// There is a file of that name, and it was not to be replaced.
    Exists,
}

/// A token that lets a machine enrol. The secret itself is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolToken {
    /// The SHA-256 of the secret.
    pub digest: Digest,
    /// How often it may be used.
    pub uses_max: u32,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The machine on record that it enrols again; none: it enrols new ones.
    pub machine: Option<MachineId>,
}

/// An application that may call the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id, a GUID.
    pub client_id: String,
    /// Its name, for people.
    pub name: String,
    /// Its secret, hashed (argon2, PHC string).
    pub secret_hash: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A library file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryFile {
    /// Its name, unique.
    pub name: String,
    /// The SHA-256 of its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What it is for.
    pub description: Option<String>,
    /// What its parameters are.
    pub parameters_description: Option<String>,
    /// Whether it takes parameters.
    pub has_parameters: bool,
    /// Who uploaded it.
    pub created_by: String,
    /// When it was first uploaded.
    pub created_at: Timestamp,
    /// When it was last replaced.
    pub updated_at: Timestamp,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot write or read now: full disk, lost file, lost connection. Nothing was acknowledged; whether the last
    /// write stands is unknown until it is read again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Something that may never be was tried, and refused below the code.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// What is on record cannot be read: written by a newer version, or damaged.
    #[error("the store holds something unreadable: {0}")]
    Damaged(String),
    /// The store would not keep what it acknowledges, or belongs to a newer version: it does not open.
    #[error("the store does not open: {0}")]
    Unsafe(String),
}
