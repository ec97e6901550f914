//! A store under which a server dies, or is overtaken, at a call that the test names.

use async_trait::async_trait;
use domain::action::Action;
use domain::audit::{Entry, Head, StoredEntry};
use domain::decide::Change;
use domain::history::{Line, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::time::Timestamp;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use store::{
    ActionField, ActionQuery, Application, Committed, EnrolToken, Enrolled, Filter, Inserted, LibraryFile, LibraryPut,
    MachineField, MachineQuery, Reenrolment, Store, StoreError, Tagged, Terms,
};

/// What happens at a call.
pub(crate) enum Fault {
    /// The server dies before it.
    DiesBefore,
    /// The server dies after it: it is done, and nobody hears of it.
    DiesAfter,
    /// Something else happens first.
    Meanwhile(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// A store with at most one fault ahead.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    ahead: Mutex<Option<(&'static str, u32, Fault)>>,
}

impl Faulty {
    pub(crate) fn over(inner: Arc<dyn Store>) -> Self {
        Self { inner, ahead: Mutex::default() }
    }

    /// At the `nth` call of this name from now on, counted from 1.
    pub(crate) fn at(&self, call: &'static str, nth: u32, fault: Fault) {
        *self.ahead.lock().unwrap() = Some((call, nth, fault));
    }

    /// Whether the fault has come.
    pub(crate) fn is_over(&self) -> bool {
        self.ahead.lock().unwrap().is_none()
    }

    fn take(&self, call: &str) -> Option<Fault> {
        let mut ahead = self.ahead.lock().unwrap();
        let (of, left, _) = ahead.as_mut()?;
        if *of != call {
            return None;
        }
        *left -= 1;
        if *left > 0 { None } else { ahead.take().map(|(_, _, fault)| fault) }
    }

    async fn pass<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let died = || Err(StoreError::Unavailable(format!("died at {call}")));
        match self.take(call) {
            None => work.await,
            Some(Fault::DiesBefore) => died(),
            Some(Fault::DiesAfter) => {
                work.await?;
                died()
            }
            Some(Fault::Meanwhile(other)) => {
                other.await;
                work.await
            }
        }
    }
}

macro_rules! passed {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Store for Faulty {
            $(
                async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                    self.pass(stringify!($name), self.inner.$name($($arg),*)).await
                }
            )+
        }
    };
}

passed! {
    insert(action: &Action, history: &[Line], terms: &Terms) -> Inserted;
    commit(change: &Change, audit: Option<&Entry>) -> Committed;
    note(action: ActionId, lines: &[Line]) -> ();
    action(id: ActionId) -> Option<Action>;
    actions(query: &ActionQuery) -> Vec<Action>;
    count_actions(filter: &Filter<ActionField>) -> u64;
    live_actions(machine: MachineId) -> Vec<Action>;
    machines_with_live_actions() -> Vec<MachineId>;
    overdue(now: Timestamp, unseen_since: Timestamp, limit: u32) -> Vec<ActionId>;
    history(id: ActionId) -> Vec<StoredLine>;
    enrol(machine: &Machine, token: &Digest, now: Timestamp, audit: &Entry) -> Enrolled;
    reenrol(again: &Reenrolment, token: &Digest, now: Timestamp, audit: &Entry) -> Enrolled;
    machine(id: MachineId) -> Option<Machine>;
    machines(query: &MachineQuery) -> Vec<Machine>;
    count_machines(filter: &Filter<MachineField>) -> u64;
    open_session(machine: MachineId, incarnation: u32, after: Epoch, told: &Told, now: Timestamp) -> Option<Epoch>;
    tag(machine: MachineId, change: &TagChange, audit: &Entry) -> Tagged;
    seen(machine: MachineId, now: Timestamp) -> ();
    enrol_token(token: &Digest) -> Option<EnrolToken>;
    add_enrol_token(token: &EnrolToken, audit: &Entry) -> ();
    put_application(application: &Application, audit: &Entry) -> ();
    application(client_id: &str) -> Option<Application>;
    put_library_file(file: &LibraryFile, content: &[u8], replace: bool, audit: &Entry) -> LibraryPut;
    library_files() -> Vec<LibraryFile>;
    library_content(sha256: &Digest) -> Option<Vec<u8>>;
    delete_library_file(name: &str, audit: &Entry) -> bool;
    audit(entry: &Entry) -> ();
    audit_lines(after: u64, limit: u32) -> Vec<StoredEntry>;
    audit_head() -> Head;
    repeated(caller: &str, key: &str, now: Timestamp) -> Option<(Digest, ActionId)>;
    forget_keys(now: Timestamp, limit: u32) -> u32;
    setting(name: &str, otherwise: &str) -> String;
    commit_number() -> u64;
    integrity() -> Vec<String>;
}
