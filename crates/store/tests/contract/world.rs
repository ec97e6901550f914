//! A store with machines and actions to test on, and the loop that the server drives it with.

use domain::action::{Action, Body, Request, RequestSource, State};
use domain::audit::{CallerKind, Entry};
use domain::command::{Command, LibraryRef};
use domain::decide::{Change, Decision, Event, Overdue, Refusal, Tell, decide};
use domain::history::{Line, Source, StoredLine};
use domain::ids::{ActionId, Digest, Epoch, JournalId, MachineId};
use domain::kind::Scope;
use domain::lifecycle::{EVENTS, Next, Stage, next};
use domain::machine::{Machine, Told};
use domain::testimony::{Ending, Fact, Testimony};
use domain::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Committed, EnrolToken, Enrolled, Inserted, Once, Store, Stored, Terms};
use uuid::Uuid;

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp(17_000_000_000_000_000);

/// A store and a source of new names. A clone is the same world, for another task.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    last_name: Arc<AtomicU64>,
}

/// What the server's loop came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Driven {
    /// It is committed.
    Changed(Tell),
    /// Nothing was to be changed.
    Stayed(Tell),
    /// It is kept as late evidence.
    Late,
    /// The lifecycle does not allow it.
    Refused(Refusal),
    /// The store does not allow it now.
    NotNow(Committed),
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, last_name: Arc::default() }
    }

    /// A number that was not given out before.
    pub(crate) fn fresh(&self) -> u64 {
        self.last_name.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A machine that is not on record yet.
    pub(crate) fn unknown_machine(&self) -> Machine {
        let number = self.fresh();
        let mut id = [0; 20];
        id[12..].copy_from_slice(&number.to_be_bytes());
        Machine {
            id: MachineId(id),
            name: format!("machine-{number:05}"),
            incarnation: 1,
            session: Epoch(0),
            first_seen: START,
            last_seen: START,
            told: told(),
            tags: vec![],
        }
    }

    /// A token on record, for so many uses, that does not expire soon.
    pub(crate) async fn token(&self, uses_max: u32) -> EnrolToken {
        let digest = Digest::of(&self.fresh().to_be_bytes());
        let token = EnrolToken { digest, uses_max, expires_at: START.plus_seconds(3_600), machine: None };
        self.store.add_enrol_token(&token, &audited()).await.unwrap();
        token
    }

    /// A token on record that enrols this machine again.
    pub(crate) async fn token_for(&self, machine: MachineId) -> EnrolToken {
        let digest = Digest::of(&self.fresh().to_be_bytes());
        let expires_at = START.plus_seconds(3_600);
        let token = EnrolToken { digest, uses_max: 1, expires_at, machine: Some(machine) };
        self.store.add_enrol_token(&token, &audited()).await.unwrap();
        token
    }

    /// A machine on record, before its first session.
    pub(crate) async fn machine(&self) -> Machine {
        let (machine, token) = (self.unknown_machine(), self.token(1).await);
        assert_eq!(self.store.enrol(&machine, &token.digest, START, &audited()).await.unwrap(), Enrolled::Stored);
        machine
    }

    /// A machine's newest session.
    pub(crate) async fn newest(&self, machine: MachineId) -> Epoch {
        self.store.machine(machine).await.unwrap().expect("the machine is on record").session
    }

    /// A new session of a machine, whoever else opens one meanwhile.
    pub(crate) async fn session(&self, machine: &Machine) -> Epoch {
        loop {
            let newest = self.newest(machine.id).await;
            let opened = self.store.open_session(machine.id, machine.incarnation, newest, &machine.told, START).await;
            if let Some(session) = opened.unwrap() {
                return session;
            }
            assert!(self.newest(machine.id).await > newest, "refused, and nobody else opened one");
        }
    }

    /// A machine on record with a session.
    pub(crate) async fn connected(&self) -> (Machine, Epoch) {
        let machine = self.machine().await;
        let session = self.session(&machine).await;
        (machine, session)
    }

    /// An action that is not on record yet. Later ones are requested later.
    pub(crate) fn unknown_action(&self, machine: MachineId, body: Body) -> Action {
        let number = self.fresh();
        let at = START.plus_seconds(number as i64);
        Action::requested(action_id(number), machine, body, request(), at)
    }

    /// An action on record.
    pub(crate) async fn action(&self, machine: MachineId, body: Body) -> Action {
        let action = self.unknown_action(machine, body);
        self.insert(&action).await
    }

    /// Puts an action on record; it as it stands there.
    pub(crate) async fn insert(&self, action: &Action) -> Action {
        let inserted = self.store.insert(action, &first_lines(action), &terms()).await.unwrap();
        let Inserted::Stored(Stored { updated_at, .. }) = inserted else { panic!("{inserted:?}") };
        Action { updated_at, ..action.clone() }
    }

    /// An action that its machine's newest session was granted.
    pub(crate) async fn granted(&self, machine: &Machine, body: Body) -> Action {
        let session = self.session(machine).await;
        let action = self.action(machine.id, body).await;
        assert!(matches!(self.drive(action.id, claim(session)).await, Driven::Changed(Tell::Grant(_))));
        self.load(action.id).await
    }

    /// An action on record, as it stands there.
    pub(crate) async fn load(&self, id: ActionId) -> Action {
        self.store.action(id).await.unwrap().expect("the action is on record")
    }

    /// What deciding `event` on the action as it stands leads to.
    pub(crate) async fn decide(&self, id: ActionId, event: Event) -> Change {
        let action = self.load(id).await;
        match decide(&action, event, later(&action)) {
            Ok(Decision::Change(change, _)) => *change,
            other => panic!("no change: {other:?}"),
        }
    }

    /// As the server does it: load, decide, commit if it still stands so, or else again.
    pub(crate) async fn drive(&self, id: ActionId, event: Event) -> Driven {
        loop {
            let action = self.load(id).await;
            match decide(&action, event.clone(), later(&action)) {
                Err(refusal) => return Driven::Refused(refusal),
                Ok(Decision::Stay(tell)) => return Driven::Stayed(tell),
                Ok(Decision::Late(lines, _)) => {
                    self.store.note(id, &lines).await.unwrap();
                    return Driven::Late;
                }
                Ok(Decision::Change(change, tell)) => match self.store.commit(&change, None).await.unwrap() {
                    Committed::Stored(_) => return Driven::Changed(tell),
                    Committed::Moved => {}
                    other => return Driven::NotNow(other),
                },
            }
        }
    }

    /// The action's time is up, as the sweep sees it now.
    pub(crate) async fn time_out(&self, id: ActionId) -> Driven {
        let action = self.load(id).await;
        let machine = self.store.machine(action.machine).await.unwrap().expect("the machine is on record");
        self.drive(id, time_up(&action, machine.session)).await
    }

    /// What the history of an action is, after a look at its chain and its walk through the lifecycle.
    pub(crate) async fn sound_history(&self, id: ActionId) -> Vec<StoredLine> {
        let lines = self.store.history(id).await.unwrap();
        assert_eq!(domain::history::verify(id, &lines), Ok(()), "the chain of {id}");
        let mut stages: Vec<Stage> = own_lines(&lines).map(|stored| stored.line.stage).collect();
        stages.dedup();
        assert_eq!(stages.first(), Some(&Stage::Pending), "{id}");
        for pair in stages.windows(2) {
            let leads = EVENTS.iter().any(|event| next(pair[0], *event) == Next::To(pair[1]));
            assert!(leads, "{id}: no event leads from {} to {}", pair[0], pair[1]);
        }
        assert_eq!(stages.last().copied(), Some(self.load(id).await.stage()), "{id}");
        lines
    }
}

/// The lines of a history that we wrote ourselves: a machine's facts may come late.
fn own_lines(lines: &[StoredLine]) -> impl Iterator<Item = &StoredLine> {
    lines.iter().filter(|stored| stored.line.source != Source::Machine)
}

/// A moment after the action's last change.
fn later(action: &Action) -> Timestamp {
    action.updated_at.plus_seconds(1)
}

/// The id with this number.
pub(crate) fn action_id(number: u64) -> ActionId {
    ActionId(Uuid::from_u128(u128::from(number)))
}

/// The journal that holds every grant unless a test says otherwise.
pub(crate) fn journal() -> JournalId {
    JournalId(Uuid::from_u128(7))
}

/// A claim by that journal.
pub(crate) fn claim(session: Epoch) -> Event {
    Event::Claimed { session, journal: journal() }
}

/// A cancel.
pub(crate) fn cancel() -> Event {
    Event::CancelRequested { requestor: "analyst@example.test".into(), comment: "false positive".into() }
}

/// A testimony about a granted action.
pub(crate) fn testimony(action: &Action, ending: Ending) -> Testimony {
    let grant = action.state.grant().expect("the action was granted");
    let fact = |sequence| Fact { sequence, at: START, what: format!("record {sequence}") };
    Testimony {
        epoch: grant.epoch,
        journal: grant.journal,
        sequence: 12,
        ending,
        steps: vec![],
        residue: vec![],
        facts: vec![fact(10), fact(11)],
    }
}

/// The testimony as an event.
pub(crate) fn report(action: &Action, ending: Ending) -> Event {
    Event::Reported(testimony(action, ending))
}

/// Its time is up, as the sweep sees it in its machine's newest session.
pub(crate) fn time_up(action: &Action, session: Epoch) -> Event {
    let open = action.stage().is_open();
    Event::DeadlinePassed(if open { Overdue::Silent { session } } else { Overdue::NotGranted })
}

/// It stopped after it had begun.
pub(crate) const STOPPED: Ending = Ending::Stopped { began: true };

/// Isolation.
pub(crate) fn isolate() -> Body {
    Body::Isolate { scope: Scope::Full }
}

/// A live response that runs these contents.
pub(crate) fn run(contents: &[&[u8]]) -> Body {
    let script = |content: &&[u8]| Command::RunScript {
        script: LibraryRef { name: "script.sh".into(), sha256: Digest::of(content), size_bytes: content.len() as u64 },
        args: Some("-v".into()),
    };
    Body::LiveResponse { commands: contents.iter().map(script).collect() }
}

/// The lines that an action begins its history with.
pub(crate) fn first_lines(action: &Action) -> Vec<Line> {
    vec![line(action, Source::Caller, "requested")]
}

/// A line at the stage that the action is in.
pub(crate) fn line(action: &Action, source: Source, what: &str) -> Line {
    Line { at: action.updated_at, source, what: what.into(), stage: action.stage(), fact: None }
}

/// A line of the audit log.
pub(crate) fn audited() -> Entry {
    let entry = Entry::new(START, CallerKind::Application, "app", "POST /api/machines/{id}/isolate");
    Entry { address: Some("192.0.2.7".into()), ..entry.machine("web-03").comment("malware") }
}

/// Without a key, and with any number of live responses.
pub(crate) fn terms() -> Terms {
    Terms { audit: audited(), once: None, live_responses_max: None }
}

/// Under a key of the caller's, for this request, for an hour from the start.
pub(crate) fn once(caller: &str, key: &str, request: &str) -> Terms {
    let request = Digest::of(request.as_bytes());
    let once = Once { caller: caller.into(), key: key.into(), request, expires_at: START.plus_seconds(3_600) };
    Terms { once: Some(once), ..terms() }
}

/// A change that nobody decided: the action as it stands, with this state.
pub(crate) fn forged(action: &Action, state: State) -> Change {
    let mut next = action.clone();
    next.state = state;
    next.revision += 1;
    next.updated_at = later(action);
    let history = vec![line(&next, Source::Server, "forged")];
    Change { action: next, from_revision: action.revision, needs: None, history }
}

/// Who asks, and why.
pub(crate) fn request() -> Request {
    Request {
        requestor: "analyst@example.test".into(),
        comment: "malware".into(),
        source: RequestSource::PublicApi,
        external_id: Some("case 12".into()),
    }
}

fn told() -> Told {
    Told { os_platform: "Linux".into(), agent_version: "0.1.0".into(), boot_id: "b".into(), ..Told::default() }
}
