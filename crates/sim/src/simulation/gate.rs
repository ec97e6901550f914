//! What stands between a replica and the store: every call waits its turn, may fail on either side of what it does, and
//! is shown to the judge.

use super::ground::{Ground, Place, Side, lock};
use super::machine::Site;
use super::sights::Sight;
use async_trait::async_trait;
use domain::Stage;
use domain::action::Action;
use domain::audit::{Entry, Head, StoredEntry};
use domain::decide::Change;
use domain::history::{Line, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::mutant::{Mutant, is_on};
use domain::time::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use store::{
    ActionField, ActionQuery, Application, Committed, EnrolToken, Enrolled, Filter, Inserted, LibraryFile, LibraryPut,
    MachineField, MachineQuery, Reenrolment, Store, StoreError, Stored, Tagged, Terms,
};

/// A record's number in the key of a fact; late evidence sets a bit above.
const SEQUENCES: u64 = (1 << 62) - 1;

/// How often in a thousand a use case gives way between two calls: often enough for everything to come in between.
const GIVES_WAY_PER_MILLE: u64 = 600;

/// The store as one replica reaches it.
pub(super) struct GatedStore {
    inner: Arc<dyn Store>,
    ground: Arc<Ground>,
    sites: Arc<Vec<(MachineId, Site)>>,
    /// What a replica remembers that grants on what it remembers. Only a mutant does.
    remembered: Mutex<BTreeMap<ActionId, Action>>,
}

/// Gives way once.
struct Turn<'a> {
    ground: &'a Ground,
    was_given: bool,
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.was_given, true) {
            return Poll::Ready(());
        }
        if self.ground.dice().chance(GIVES_WAY_PER_MILLE) {
            self.ground.give_way();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl GatedStore {
    /// In front of this store.
    pub(super) fn new(inner: Arc<dyn Store>, ground: Arc<Ground>, sites: Arc<Vec<(MachineId, Site)>>) -> Self {
        Self { inner, ground, sites, remembered: Mutex::default() }
    }

    /// Waits its turn, then does it; or fails on one side of it.
    async fn pass<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        Turn { ground: &self.ground, was_given: false }.await;
        let fails = self.ground.fails(Place::Store, name);
        if fails.is_some() {
            self.ground.judge().sights.see(Sight::StoreFailed);
        }
        if fails == Some(Side::Before) {
            return Err(StoreError::Unavailable("injected, nothing was done".into()));
        }
        let outcome = call.await;
        if let Err(StoreError::Refused(why) | StoreError::Damaged(why)) = &outcome {
            let rule = super::rules::Rule::NothingImpossibleIsTried;
            self.ground.judge().breaks(rule, format!("the store refuses {name}: {why}"));
        }
        match fails {
            Some(_) => Err(StoreError::Unavailable("injected, though it was done".into())),
            None => outcome,
        }
    }

    fn site(&self, machine: MachineId) -> Option<&Site> {
        self.sites.iter().find(|(id, _)| *id == machine).map(|(_, site)| site)
    }

    /// The commit as it is shown to the judge.
    async fn committed(&self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
        let committed = self.mutated(change, audit).await?;
        let mut judge = self.ground.judge();
        match committed {
            Committed::Stored(stored) => {
                if let Some(site) = self.site(change.action.machine) {
                    let action = Action { updated_at: stored.updated_at, ..change.action.clone() };
                    judge.committed(&action, &lock(site));
                }
                let said = match (change.action.state.grant(), change.action.stage()) {
                    (Some(grant), Stage::Granted) => format!(", grant {}", grant.epoch),
                    _ => String::new(),
                };
                let name = judge.name(change.action.id);
                drop(judge);
                self.ground.note(|| format!("store: {name} is {}{said}", change.action.stage()));
            }
            Committed::Moved => {
                judge.sights.see(Sight::Moved);
                judge.has_moved();
            }
            Committed::SessionMoved => judge.sights.see(Sight::SessionMoved),
            Committed::ClassBusy(_) => judge.sights.see(Sight::ClassBusy),
        }
        Ok(committed)
    }

    /// The commit, as a store makes it that some mutants have in its place.
    async fn mutated(&self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
        let mut change = change.clone();
        if is_on(Mutant::StoreLosesCommit)
            && change.action.stage() == Stage::Cancelled
            && self.ground.dice().chance(300)
        {
            return Ok(unkept(&change));
        }
        if is_on(Mutant::NoSessionFence)
            && let Some(needs) = &mut change.needs
            && let Some(machine) = self.inner.machine(change.action.machine).await?
        {
            needs.session = machine.session;
        }
        let committed = self.inner.commit(&change, audit).await?;
        let granted = change.action.stage() == Stage::Granted;
        let lied = match committed {
            Committed::Moved => granted && is_on(Mutant::StaleReplicaGrants),
            Committed::ClassBusy(_) => is_on(Mutant::NoClassGuard),
            Committed::SessionMoved | Committed::Stored(_) => false,
        };
        Ok(if lied { unkept(&change) } else { committed })
    }

    /// The action as on record, or as this replica remembers it.
    async fn recalled(&self, id: ActionId) -> Result<Option<Action>, StoreError> {
        let found = self.inner.action(id).await?;
        if is_on(Mutant::StaleReplicaGrants) {
            let mut remembered = lock(&self.remembered);
            if let Some(action) = remembered.get(&id)
                && self.ground.dice().chance(500)
            {
                return Ok(Some(action.clone()));
            }
            if let Some(action) = found.clone().filter(|action| action.stage() == Stage::Pending) {
                remembered.insert(id, action);
            }
            return Ok(found);
        }
        self.ground.judge().read(id, found.as_ref());
        Ok(found)
    }
}

/// A commit that was said to be kept, and was not.
fn unkept(change: &Change) -> Committed {
    Committed::Stored(Stored { number: 0, updated_at: change.action.updated_at })
}

#[async_trait]
impl Store for GatedStore {
    async fn insert(&self, action: &Action, history: &[Line], terms: &Terms) -> Result<Inserted, StoreError> {
        self.pass("insert", async {
            let inserted = self.inner.insert(action, history, terms).await?;
            match &inserted {
                Inserted::Stored(stored) => {
                    let machine = self.sites.iter().position(|(id, _)| *id == action.machine).unwrap_or_default();
                    let action = Action { updated_at: stored.updated_at, ..action.clone() };
                    self.ground.judge().inserted(&action, machine);
                    let name = self.ground.judge().name(action.id);
                    self.ground.note(|| format!("store: {name} is on record, {:?} on m{}", action.kind(), machine + 1));
                }
                Inserted::AlreadyActive(_) => self.ground.judge().sights.see(Sight::AlreadyActive),
                Inserted::NoMachine | Inserted::Repeated(_) | Inserted::KeyTaken | Inserted::TooMany => {}
            }
            Ok(inserted)
        })
        .await
    }

    async fn commit(&self, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
        let committed = self.pass("commit", self.committed(change, audit)).await;
        if matches!(&committed, Err(StoreError::Unavailable(why)) if why.ends_with("though it was done")) {
            self.ground.judge().sights.see(Sight::CommittedUnheard);
        }
        committed
    }

    async fn note(&self, action: ActionId, lines: &[Line]) -> Result<(), StoreError> {
        if lines.iter().any(|line| line.what.starts_with("late evidence")) {
            self.ground.judge().sights.see(Sight::LateEvidence);
        }
        let noted = self.pass("note", self.inner.note(action, lines)).await;
        for (journal, sequence) in lines.iter().filter_map(|line| line.fact).filter(|_| noted.is_ok()) {
            self.ground.judge().heard_of(action, journal, sequence & SEQUENCES);
        }
        noted
    }

    async fn action(&self, id: ActionId) -> Result<Option<Action>, StoreError> {
        self.pass("action", self.recalled(id)).await
    }

    async fn actions(&self, query: &ActionQuery) -> Result<Vec<Action>, StoreError> {
        self.pass("actions", self.inner.actions(query)).await
    }

    async fn count_actions(&self, filter: &Filter<ActionField>) -> Result<u64, StoreError> {
        self.pass("count_actions", self.inner.count_actions(filter)).await
    }

    async fn live_actions(&self, machine: MachineId) -> Result<Vec<Action>, StoreError> {
        self.pass("live_actions", self.inner.live_actions(machine)).await
    }

    async fn machines_with_live_actions(&self) -> Result<Vec<MachineId>, StoreError> {
        self.pass("machines_with_live_actions", self.inner.machines_with_live_actions()).await
    }

    async fn overdue(&self, now: Timestamp, unseen_since: Timestamp, limit: u32) -> Result<Vec<ActionId>, StoreError> {
        let overdue = self.pass("overdue", self.inner.overdue(now, unseen_since, limit)).await?;
        self.ground.judge().told_overdue(&overdue);
        Ok(overdue)
    }

    async fn history(&self, id: ActionId) -> Result<Vec<StoredLine>, StoreError> {
        self.pass("history", self.inner.history(id)).await
    }

    async fn enrol(
        &self,
        machine: &Machine,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        self.pass("enrol", self.inner.enrol(machine, token, now, audit)).await
    }

    async fn reenrol(
        &self,
        again: &Reenrolment,
        token: &Digest,
        now: Timestamp,
        audit: &Entry,
    ) -> Result<Enrolled, StoreError> {
        self.pass("reenrol", async {
            let enrolled = self.inner.reenrol(again, token, now, audit).await?;
            if enrolled == Enrolled::Moved {
                self.ground.judge().has_moved();
            }
            if enrolled == Enrolled::Stored {
                let session = self.inner.machine(again.machine).await?.map(|machine| machine.session);
                let mut ended = Vec::with_capacity(again.ends.len());
                for change in &again.ends {
                    ended.extend(self.inner.action(change.action.id).await?);
                }
                let mut judge = self.ground.judge();
                if let Some(site) = self.site(again.machine) {
                    ended.iter().for_each(|action| judge.committed(action, &lock(site)));
                }
                judge.enrolled_again(again.machine, again.incarnation, session.unwrap_or_default());
            }
            Ok(enrolled)
        })
        .await
    }

    async fn machine(&self, id: MachineId) -> Result<Option<Machine>, StoreError> {
        let machine = self.pass("machine", self.inner.machine(id)).await?;
        if let Some(machine) = &machine {
            self.ground.judge().looked_at(id, machine.session);
        }
        Ok(machine)
    }

    async fn machines(&self, query: &MachineQuery) -> Result<Vec<Machine>, StoreError> {
        self.pass("machines", self.inner.machines(query)).await
    }

    async fn tag(&self, machine: MachineId, change: &TagChange, audit: &Entry) -> Result<Tagged, StoreError> {
        self.pass("tag", self.inner.tag(machine, change, audit)).await
    }

    async fn count_machines(&self, filter: &Filter<MachineField>) -> Result<u64, StoreError> {
        self.pass("count_machines", self.inner.count_machines(filter)).await
    }

    async fn open_session(
        &self,
        machine: MachineId,
        incarnation: u32,
        after: Epoch,
        told: &Told,
        now: Timestamp,
    ) -> Result<Option<Epoch>, StoreError> {
        self.pass("open_session", async {
            let opened = self.inner.open_session(machine, incarnation, after, told, now).await?;
            if let Some(session) = opened {
                let mut judge = self.ground.judge();
                judge.session_opened(machine, session);
                if let (Some(site), Some(journal)) = (self.site(machine), told.journal) {
                    judge.hello(&mut lock(site), journal);
                }
            }
            Ok(opened)
        })
        .await
    }

    async fn seen(&self, machine: MachineId, now: Timestamp) -> Result<(), StoreError> {
        self.pass("seen", self.inner.seen(machine, now)).await
    }

    async fn enrol_token(&self, token: &Digest) -> Result<Option<EnrolToken>, StoreError> {
        self.pass("enrol_token", self.inner.enrol_token(token)).await
    }

    async fn add_enrol_token(&self, token: &EnrolToken, audit: &Entry) -> Result<(), StoreError> {
        self.pass("add_enrol_token", self.inner.add_enrol_token(token, audit)).await
    }

    async fn put_application(&self, application: &Application, audit: &Entry) -> Result<(), StoreError> {
        self.pass("put_application", self.inner.put_application(application, audit)).await
    }

    async fn application(&self, client_id: &str) -> Result<Option<Application>, StoreError> {
        self.pass("application", self.inner.application(client_id)).await
    }

    async fn put_library_file(
        &self,
        file: &LibraryFile,
        content: &[u8],
        replace: bool,
        audit: &Entry,
    ) -> Result<LibraryPut, StoreError> {
        self.pass("put_library_file", self.inner.put_library_file(file, content, replace, audit)).await
    }

    async fn library_files(&self) -> Result<Vec<LibraryFile>, StoreError> {
        self.pass("library_files", self.inner.library_files()).await
    }

    async fn library_content(&self, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.pass("library_content", self.inner.library_content(sha256)).await
    }

    async fn delete_library_file(&self, name: &str, audit: &Entry) -> Result<bool, StoreError> {
        self.pass("delete_library_file", self.inner.delete_library_file(name, audit)).await
    }

    async fn audit(&self, entry: &Entry) -> Result<(), StoreError> {
        self.pass("audit", self.inner.audit(entry)).await
    }

    async fn audit_lines(&self, after: u64, limit: u32) -> Result<Vec<StoredEntry>, StoreError> {
        self.pass("audit_lines", self.inner.audit_lines(after, limit)).await
    }

    async fn audit_head(&self) -> Result<Head, StoreError> {
        self.pass("audit_head", self.inner.audit_head()).await
    }

    async fn repeated(
        &self,
        caller: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<(Digest, ActionId)>, StoreError> {
        self.pass("repeated", self.inner.repeated(caller, key, now)).await
    }

    async fn forget_keys(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.pass("forget_keys", self.inner.forget_keys(now, limit)).await
    }

    async fn setting(&self, name: &str, otherwise: &str) -> Result<String, StoreError> {
        self.pass("setting", self.inner.setting(name, otherwise)).await
    }

    async fn commit_number(&self) -> Result<u64, StoreError> {
        self.pass("commit_number", self.inner.commit_number()).await
    }

    async fn integrity(&self) -> Result<Vec<String>, StoreError> {
        self.pass("integrity", self.inner.integrity()).await
    }
}
