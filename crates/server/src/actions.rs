//! The use cases: request, cancel, grant, report, expire. The only door to the store.
//!
//! Each of them loads, asks `domain`, commits if the revision is still the one it read, and otherwise does that again.
//! That loop is the whole handling of races.

mod agents;
mod audit;
mod enrolment;
mod library;

use crate::wake::Wake;
pub use agents::{Claimed, Peer, Session, artifact_file_name, artifact_file_prefix};
pub use audit::Origin;
use audit::Repeats;
pub(crate) use audit::token_name;
use domain::action::{Action, Body, Request};
use domain::audit::{Entry, Outcome};
use domain::command::Command;
use domain::decide::{self, Decision, Event, Overdue, Refusal, Tell};
use domain::history::{Line, Source, StoredLine};
use domain::ids::{ActionId, Digest, MachineId, Sha1};
use domain::kind::{Kind, Scope};
use domain::machine::{Incapable, Machine, TAGS_MAX, TagChange};
use domain::permission::{self, Operation, Permission, PermissionType};
use domain::testimony::Artifact;
use domain::time::Timestamp;
pub(crate) use enrolment::unheard;
pub use enrolment::{Enrolled, MACHINE_NAME_BYTES_MAX, Returning};
pub use library::{LIBRARY_FILE_BYTES_MAX, NewLibraryFile};
use std::sync::Arc;
use std::time::Duration;
pub use store::query::{Comparison, ElementMatch, Field, Form, Key, Order, Position, Query, TextMatch, Value};
pub use store::{ActionField, ActionQuery, ActionRow, Filter, LibraryFile, MachineField, MachineQuery};
use store::{Committed, Inserted, Once, Store, StoreError, Tagged, Terms};

/// How often a decision is made anew because the action moved meanwhile. Each time somebody else got on, so this is
/// never reached unless something is very wrong.
const DECIDE_AGAIN_MAX: u32 = 1000;

/// The longest comment, in bytes.
pub const COMMENT_BYTES_MAX: usize = 4096;

/// The most commands of one live response.
pub const COMMANDS_MAX: usize = 64;

/// How long the same request under the same key is not done again, in seconds: a day.
pub const KEY_SECONDS: i64 = 24 * 3600;

/// How often a waiting cancel looks by itself, should every wake be lost.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Who asks, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A sign-in name or an application's id.
    pub name: String,
    /// The application that got a person's token, where the token says so: calls are counted as its own.
    pub through: Option<String>,
    /// Whether the permissions are an application's own, or delegated by a person.
    pub permission_type: PermissionType,
    /// What the token grants.
    pub permissions: Vec<Permission>,
    /// Whence the request came, for the audit log.
    pub origin: Origin,
}

/// What a caller does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// What it is needed for.
    pub operation: Operation,
    /// Of which type.
    pub permission_type: PermissionType,
    /// Any one of these would do.
    pub any_of: &'static [Permission],
}

impl Caller {
    /// Whether this caller may do `operation`.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check(&self, operation: Operation) -> Result<(), Lacking> {
        match permission::unmet(&self.permissions, self.permission_type, operation) {
            None => Ok(()),
            Some(any_of) => Err(Lacking { operation, permission_type: self.permission_type, any_of }),
        }
    }
}

/// A request for an action, before it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAction {
    /// The machine's id as the caller wrote it.
    pub machine: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// Who asks, and why.
    pub request: Request,
    /// The caller's own name for this request, if it is to be done once, however often it arrives.
    pub key: Option<RequestKey>,
}

/// A caller's own name for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The name.
    pub key: String,
    /// The SHA-256 of the request: another one under the same name is refused.
    pub request: Digest,
}

/// What a request for an action came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It is on record now, as Pending.
    Anew(Action),
    /// It was asked for before, under the same key: this is how it stands.
    Before(Action),
}

impl Requested {
    /// The action.
    pub fn action(self) -> Action {
        match self {
            Self::Anew(action) | Self::Before(action) => action,
        }
    }
}

/// What is wanted; library files by name still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Cut the machine from the network.
    Isolate(Scope),
    /// Lift an isolation.
    Release,
    /// Run commands.
    LiveResponse(Vec<WantedCommand>),
    /// Look for malware.
    Scan(Scope),
    /// Let only trusted programs run.
    RestrictExecution,
    /// Lift that restriction.
    UnrestrictExecution,
    /// Gather evidence.
    CollectPackage,
    /// Stop a file and put it out of reach.
    QuarantineFile(Sha1),
    /// Take the machine out of management.
    Offboard,
}

/// A command; library files by name still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedCommand {
    /// Put a library file.
    PutFile(String),
    /// Run a library script, with arguments.
    RunScript(String, Option<String>),
    /// Get a file.
    GetFile(String),
}

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The caller lacks the permission.
    #[error("none of the permissions that {:?} asks for", .0.operation)]
    Forbidden(Lacking),
    /// There is no such machine, action or file, or it is not for this caller.
    #[error("{0} was not found")]
    NotFound(String),
    /// An action of the same kind is active on the machine.
    #[error("Action is already in progress")]
    AlreadyActive(ActionId),
    /// Something else was asked for under this key.
    #[error("the idempotency key was used for another request")]
    KeyTaken,
    /// So many live responses are not final yet, and there may be no more.
    #[error("{0} live response sessions are active, which is as many as there may be")]
    TooManyLiveResponses(u32),
    /// The action has ended.
    #[error("the action is already {}", .0.stage)]
    Refused(Refusal),
    /// The machine cannot do this.
    #[error("{0}")]
    NotSupported(String),
    /// The machine's agent does not say that it can do this.
    #[error("{}", incapable_words(machine, *kind, *why))]
    Incapable {
        /// The machine's name.
        machine: String,
        /// What it cannot do.
        kind: Kind,
        /// Why.
        why: Incapable,
    },
    /// The request cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ActionError {
    /// Whether the store cannot answer now, but may later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable(_)))
    }
}

/// The use cases.
#[derive(Clone)]
pub struct Actions {
    store: Arc<dyn Store>,
    wake: Arc<Wake>,
    strict_cancel: bool,
    repeats: Arc<Repeats>,
    live_responses_max: Option<u32>,
}

impl Actions {
    /// Over this store, waking through this.
    pub fn new(store: Arc<dyn Store>, wake: Arc<Wake>) -> Self {
        Self { store, wake, repeats: Arc::default(), live_responses_max: None, strict_cancel: false }
    }

    /// The same; whether a cancel asks for the permission of the action's own kind, not for any of those that allow a
    /// request.
    pub fn with_strict_cancel(self, strict_cancel: bool) -> Self {
        Self { strict_cancel, ..self }
    }

    /// The same, with so many live responses at once that are not final.
    pub fn with_live_responses_max(self, live_responses_max: Option<u32>) -> Self {
        Self { live_responses_max, ..self }
    }

    /// Requests an action: checks permission, machine, kind and files, and records it as Pending. One that was requested
    /// before under the same key is not requested again.
    pub async fn request(
        &self,
        caller: &Caller,
        new: NewAction,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<Requested, ActionError> {
        let kind = new.wanted.kind();
        authorise(caller, Operation::Request(kind))?;
        // Before all else: whatever has become of machine, files and limits since.
        if let Some(key) = &new.key
            && let Some((request, first)) = self.store.repeated(&caller.name, &key.key, now).await?
        {
            return if request == key.request {
                self.before(caller, first, now).await
            } else {
                Err(ActionError::KeyTaken)
            };
        }
        // The machine comes first: clients test the connection with an id that is none.
        let machine = self.find_machine(&new.machine).await?;
        if let Some(why) = machine.cannot(kind) {
            return Err(ActionError::Incapable { machine: machine.name, kind, why });
        }
        let body = self.body(new.wanted).await?;
        let id = ActionId::from_parts(now.as_millis(), random);
        let action = Action::requested(id, machine.id, body, new.request, now);
        let what = format!("requested by {}", action.request.requestor);
        let line = Line { at: now, source: Source::Caller, what, stage: action.stage(), fact: None };
        let entry = caller.entry(now).machine(machine.id).action(id).comment(&action.request.comment);
        let terms = Terms {
            audit: Entry { content: audit::body_digest(&action.body), ..entry },
            once: new.key.map(|key| Once {
                caller: caller.name.clone(),
                key: key.key,
                request: key.request,
                expires_at: now.plus_seconds(KEY_SECONDS),
            }),
            live_responses_max: self.live_responses_max,
        };
        match self.store.insert(&action, &[line], &terms).await? {
            Inserted::Stored(stored) => {
                self.wake.machine(action.machine);
                Ok(Requested::Anew(Action { updated_at: stored.updated_at, ..action }))
            }
            Inserted::Repeated(first) => self.before(caller, first, now).await,
            Inserted::KeyTaken => Err(ActionError::KeyTaken),
            Inserted::TooMany => Err(ActionError::TooManyLiveResponses(self.live_responses_max.unwrap_or_default())),
            Inserted::AlreadyActive(other) => Err(ActionError::AlreadyActive(other)),
            Inserted::NoMachine => Err(ActionError::NotFound(format!("Machine {}", new.machine))),
        }
    }

    /// The action that a request led to when it was made before.
    async fn before(&self, caller: &Caller, id: ActionId, now: Timestamp) -> Result<Requested, ActionError> {
        let action = self.store.action(id).await?.ok_or_else(|| not_found_action(&id.to_string()))?;
        let entry = caller.entry(now).machine(action.machine).action(id);
        self.told(Entry { outcome: Outcome::Unchanged, ..entry }).await?;
        Ok(Requested::Before(action))
    }

    /// Forgets keys of requests that have expired, at most `limit`. Returns how many.
    pub async fn forget_keys(&self, now: Timestamp, limit: u32) -> Result<u32, ActionError> {
        Ok(self.store.forget_keys(now, limit).await?)
    }

    /// Accepts a cancel, or says why it comes too late. A Pending action is Cancelled when this returns; a granted one
    /// is Stopping until its machine testifies.
    pub async fn cancel(
        &self,
        caller: &Caller,
        id: &str,
        comment: String,
        now: Timestamp,
    ) -> Result<Action, ActionError> {
        let action = self.action_for(caller, Operation::Cancel, id).await?;
        let entry = caller.entry(now).machine(action.machine).action(action.id).comment(&comment);
        let event = Event::CancelRequested { requestor: caller.name.clone(), comment };
        match self.decide_for(action.id, event, now, Some(&entry)).await? {
            Decided { action, refusal: None, changed, .. } => {
                if !changed {
                    self.told(Entry { outcome: Outcome::Unchanged, ..entry }).await?;
                }
                self.wake.machine(action.machine);
                Ok(action)
            }
            Decided { refusal: Some(refusal), .. } => Err(ActionError::Refused(refusal)),
        }
    }

    /// The action once it is final, or as it stands when the budget is spent.
    pub async fn wait_final(&self, id: ActionId, budget: Duration) -> Result<Action, ActionError> {
        let mut changes = self.wake.changes();
        let deadline = tokio::time::Instant::now() + budget;
        loop {
            let action = self.store.action(id).await?.ok_or_else(|| not_found_action(&id.to_string()))?;
            if action.stage().is_final() || tokio::time::Instant::now() >= deadline {
                return Ok(action);
            }
            let look_again = deadline.min(tokio::time::Instant::now() + LOOK_AGAIN);
            // Lagged or closed: look again, which is all a change means anyway.
            let changed = async { while changes.recv().await.is_ok_and(|changed| changed != id) {} };
            let _ = tokio::time::timeout_at(look_again, changed).await;
        }
    }

    /// One action.
    pub async fn action(&self, caller: &Caller, id: &str) -> Result<Action, ActionError> {
        self.action_for(caller, Operation::Read, id).await
    }

    /// The action an operation is to be about, before the rest of what is asked is looked at.
    pub async fn action_for(&self, caller: &Caller, operation: Operation, id: &str) -> Result<Action, ActionError> {
        authorise(caller, operation)?;
        let action = self.find(id).await?;
        if operation == Operation::Cancel && self.strict_cancel {
            authorise(caller, Operation::CancelOwn(action.kind()))?;
        }
        Ok(action)
    }

    /// What a step of an action produced; none if there is no such action or step, or it produced nothing. Without a
    /// caller: whoever asks has shown a link that was made for one.
    pub async fn artifact(&self, id: ActionId, step: u16) -> Result<Option<Artifact>, ActionError> {
        let action = self.store.action(id).await?;
        let testimony = action.as_ref().and_then(|action| action.state.testimony());
        let report = testimony.and_then(|words| words.steps.iter().find(|report| report.index == step));
        Ok(report.and_then(|report| report.artifact.clone()))
    }

    /// Actions that match, in the order that is asked for.
    pub async fn actions(&self, caller: &Caller, query: &ActionQuery) -> Result<Vec<Action>, ActionError> {
        authorise(caller, Operation::Read)?;
        Ok(self.store.actions(query).await?)
    }

    /// How many actions pass.
    pub async fn count_actions(&self, caller: &Caller, filter: &Filter<ActionField>) -> Result<u64, ActionError> {
        authorise(caller, Operation::Read)?;
        Ok(self.store.count_actions(filter).await?)
    }

    /// The history of an action.
    pub async fn history(&self, caller: &Caller, id: &str) -> Result<(Action, Vec<StoredLine>), ActionError> {
        let action = self.action(caller, id).await?;
        let lines = self.store.history(action.id).await?;
        Ok((action, lines))
    }

    /// One machine, by id or by name.
    pub async fn machine(&self, caller: &Caller, id_or_name: &str) -> Result<Machine, ActionError> {
        self.machine_for(caller, Operation::Read, id_or_name).await
    }

    /// The machine an operation is to be about, before the rest of what is asked is looked at.
    pub async fn machine_for(
        &self,
        caller: &Caller,
        operation: Operation,
        id_or_name: &str,
    ) -> Result<Machine, ActionError> {
        authorise(caller, operation)?;
        self.find_machine(id_or_name).await
    }

    /// Machines that match, in the order that is asked for.
    pub async fn machines(&self, caller: &Caller, query: &MachineQuery) -> Result<Vec<Machine>, ActionError> {
        authorise(caller, Operation::Read)?;
        Ok(self.store.machines(query).await?)
    }

    /// Changes a machine's tags; the machine as it is then.
    pub async fn tag(
        &self,
        caller: &Caller,
        machine: MachineId,
        change: &TagChange,
        now: Timestamp,
    ) -> Result<Machine, ActionError> {
        authorise(caller, Operation::Tag)?;
        let entry = caller.entry(now).machine(machine);
        let entry = match change {
            TagChange::Add(tag) => entry.object(format_args!("add tag {tag}")),
            TagChange::Remove(tag) => entry.object(format_args!("remove tag {tag}")),
        };
        match self.store.tag(machine, change, &entry).await? {
            Tagged::Stored(machine) => Ok(*machine),
            Tagged::TooMany => Err(ActionError::Invalid(format!("a machine has at most {TAGS_MAX} tags"))),
            Tagged::NoMachine => Err(ActionError::NotFound(format!("Machine {machine}"))),
        }
    }

    /// How many machines pass.
    pub async fn count_machines(&self, caller: &Caller, filter: &Filter<MachineField>) -> Result<u64, ActionError> {
        authorise(caller, Operation::Read)?;
        Ok(self.store.count_machines(filter).await?)
    }

    /// The name of a machine, for showing an action; none if it is gone.
    pub async fn machine_name(&self, id: MachineId) -> Result<Option<String>, ActionError> {
        Ok(self.store.machine(id).await?.map(|machine| machine.name))
    }

    /// Ends what is overdue. Returns how many actions were ended. A machine that is connected is not out of contact,
    /// whatever the clock says of its last word.
    pub async fn expire(&self, now: Timestamp, unseen_since: Timestamp, limit: u32) -> Result<u32, ActionError> {
        let mut ended = 0;
        for id in self.store.overdue(now, unseen_since, limit).await? {
            let Some(overdue) = self.looks_overdue(id, unseen_since).await? else { continue };
            let decided = self.decide(id, Event::DeadlinePassed(overdue), now).await?;
            ended += u32::from(decided.changed);
        }
        Ok(ended)
    }

    /// Why an action's time looks to be up, for a decision that comes later; none if it does not.
    async fn looks_overdue(&self, id: ActionId, unseen_since: Timestamp) -> Result<Option<Overdue>, ActionError> {
        let Some(action) = self.store.action(id).await? else { return Ok(None) };
        if !action.stage().is_open() {
            return Ok(Some(Overdue::NotGranted));
        }
        // The machine is looked at again: it may have come back since the list was made.
        let machine = self.store.machine(action.machine).await?;
        let silent = machine.filter(|machine| machine.last_seen < unseen_since && !self.wake.is_connected(machine.id));
        Ok(silent.map(|machine| Overdue::Silent { session: machine.session }))
    }

    /// Decides what no caller asked for.
    async fn decide(&self, id: ActionId, event: Event, now: Timestamp) -> Result<Decided, ActionError> {
        self.decide_for(id, event, now, None).await
    }

    /// Load, decide, commit if nothing moved, with the audit line of whoever asked; otherwise again.
    async fn decide_for(
        &self,
        id: ActionId,
        event: Event,
        now: Timestamp,
        audit: Option<&Entry>,
    ) -> Result<Decided, ActionError> {
        for _ in 0..DECIDE_AGAIN_MAX {
            let action = self.store.action(id).await?.ok_or_else(|| not_found_action(&id.to_string()))?;
            let (change, tell) = match decide::decide(&action, event.clone(), now) {
                Ok(Decision::Change(change, tell)) => (change, tell),
                Ok(Decision::Stay(tell)) => return Ok(Decided::unchanged(action, tell)),
                Ok(Decision::Late(lines, tell)) => {
                    self.store.note(id, &lines).await?;
                    return Ok(Decided::unchanged(action, tell));
                }
                Err(refusal) => {
                    return Ok(Decided { refusal: Some(refusal), ..Decided::unchanged(action, Tell::Nothing) });
                }
            };
            match self.store.commit(&change, audit).await? {
                Committed::Stored(stored) => {
                    self.wake.changed(id);
                    if change.action.stage().is_final() {
                        // What waited for the same resource may go now.
                        self.wake.machine(change.action.machine);
                    }
                    let action = Action { updated_at: stored.updated_at, ..change.action };
                    return Ok(Decided { action, tell, changed: true, busy: None, refusal: None });
                }
                Committed::Moved => {}
                Committed::SessionMoved => {
                    return Ok(Decided { busy: Some(Busy::OldSession), ..Decided::unchanged(action, Tell::Nothing) });
                }
                Committed::ClassBusy(_) => {
                    return Ok(Decided { busy: Some(Busy::Class), ..Decided::unchanged(action, Tell::Nothing) });
                }
            }
        }
        Err(StoreError::Unavailable(format!("action {id} moved {DECIDE_AGAIN_MAX} times under one decision")).into())
    }

    async fn find(&self, id: &str) -> Result<Action, ActionError> {
        let parsed = ActionId::parse(id).ok_or_else(|| not_found_action(id))?;
        self.store.action(parsed).await?.ok_or_else(|| not_found_action(id))
    }

    async fn find_machine(&self, id_or_name: &str) -> Result<Machine, ActionError> {
        let found = match MachineId::parse(id_or_name) {
            Some(id) => self.store.machine(id).await?,
            None => {
                let query = MachineQuery::named(id_or_name, 2);
                let mut found = self.store.machines(&query).await?;
                if found.len() > 1 {
                    // A host that was installed anew keeps its old record: which one is meant is not ours to guess.
                    let why = format!("the name {id_or_name} is ambiguous: give the machine's id");
                    return Err(ActionError::Invalid(why));
                }
                found.pop()
            }
        };
        found.ok_or_else(|| ActionError::NotFound(format!("Machine {id_or_name}")))
    }

    /// Ties library names to the content they have now: what runs later is what was authorised.
    async fn body(&self, wanted: Wanted) -> Result<Body, ActionError> {
        let wanted = match wanted {
            Wanted::Isolate(Scope::Full) => return Ok(Body::Isolate { scope: Scope::Full }),
            Wanted::Isolate(_) => {
                return Err(ActionError::NotSupported("Selective isolation is not available on Linux".into()));
            }
            Wanted::Release => return Ok(Body::Release),
            Wanted::LiveResponse(wanted) => wanted,
            // An agent newer than this server may offer what there is no action for yet.
            other => {
                let kind = other.kind().row().wire;
                return Err(ActionError::NotSupported(format!("{kind} is not carried out by this server")));
            }
        };
        if wanted.is_empty() || wanted.len() > COMMANDS_MAX {
            return Err(ActionError::Invalid(format!("Commands must hold 1 to {COMMANDS_MAX} commands")));
        }
        let files = self.store.library_files().await?;
        let mut commands = Vec::with_capacity(wanted.len());
        for command in wanted {
            commands.push(match command {
                WantedCommand::PutFile(name) => Command::PutFile { file: library::find(&files, &name)? },
                WantedCommand::RunScript(name, args) => {
                    Command::RunScript { script: library::find(&files, &name)?, args }
                }
                WantedCommand::GetFile(path) => Command::GetFile { path },
            });
        }
        Ok(Body::LiveResponse { commands })
    }
}

impl Wanted {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Isolate(_) => Kind::Isolate,
            Self::Release => Kind::Release,
            Self::LiveResponse(_) => Kind::LiveResponse,
            Self::Scan(_) => Kind::Scan,
            Self::RestrictExecution => Kind::RestrictExecution,
            Self::UnrestrictExecution => Kind::UnrestrictExecution,
            Self::CollectPackage => Kind::CollectPackage,
            Self::QuarantineFile(_) => Kind::QuarantineFile,
            Self::Offboard => Kind::Offboard,
        }
    }
}

/// What a decision came to.
struct Decided {
    action: Action,
    tell: Tell,
    changed: bool,
    busy: Option<Busy>,
    refusal: Option<Refusal>,
}

/// Why a grant has to wait.
enum Busy {
    OldSession,
    Class,
}

impl Decided {
    fn unchanged(action: Action, tell: Tell) -> Self {
        Self { action, tell, changed: false, busy: None, refusal: None }
    }
}

fn authorise(caller: &Caller, operation: Operation) -> Result<(), ActionError> {
    caller.check(operation).map_err(ActionError::Forbidden)
}

fn incapable_words(machine: &str, kind: Kind, why: Incapable) -> String {
    let kind = kind.row().wire;
    match why {
        Incapable::Machine => {
            format!("{kind} is not supported on {machine}: its agent says that it cannot do it there")
        }
        Incapable::Agent => format!("{kind} is not supported by the agent of {machine} as far as it has said"),
    }
}

fn not_found_action(id: &str) -> ActionError {
    ActionError::NotFound(format!("Machine action {id}"))
}
