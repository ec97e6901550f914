//! Two engines, one answer: whatever is asked of them, in whatever order, they say the same and remember the same. The
//! calls are drawn from a few ids, sessions and states, so that most of them meet something; many are such as no
//! decision of the domain makes, and both engines have to refuse them.

#[path = "contract/world.rs"]
#[allow(dead_code, reason = "the contract's world; each suite uses its part of it")]
mod world;

use domain::action::{Action, Body, Cancel, CancelProof, Grant, State, TimedOutWhy};
use domain::decide::{Change, Decision, Event, Needs, decide};
use domain::history::{Line, Source};
use domain::ids::{Digest, Epoch, JournalId, MachineId};
use domain::kind::ResourceClass;
use domain::lifecycle::{STAGES, Stage};
use domain::machine::{Machine, TagChange, Told};
use domain::permission::Permission;
use domain::testimony::{Ending, Testimony};
use domain::time::Timestamp;
use std::fmt::Debug;
use store::query::Value;
use store::{
    ActionField, ActionQuery, Application, EnrolToken, Enrolled, Filter, LibraryFile, MachineQuery, MemoryStore, Once,
    Reenrolment, SqliteConfig, SqliteStore, Store, StoreError, Terms,
};
use uuid::Uuid;
use world::{START, action_id, audited, isolate, run, terms};

/// How many stores are filled, and with how many calls each.
const RUNS: u64 = 12;
const CALLS: u32 = 120;

#[tokio::test]
async fn both_engines_answer_every_call_alike() {
    let mut stored = 0;
    for seed in 0..RUNS {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let sqlite = SqliteStore::open(SqliteConfig::for_testing(folder.path())).expect("a new store opens");
        let memory = MemoryStore::new();
        let mut dice = Dice(seed + 1);
        // Without a machine hardly anything is possible.
        for store in [&sqlite as &dyn Store, &memory] {
            first_machine(store).await;
        }
        for call in 0..CALLS {
            let mut at_memory = dice.clone();
            let before = memory.commit_number().await.expect("a number");
            let said = one_call(&sqlite, &mut dice).await;
            assert_eq!(said, one_call(&memory, &mut at_memory).await, "seed {seed}, call {call}");
            assert_eq!(everything(&sqlite).await, everything(&memory).await, "seed {seed}, call {call}: {said}");
            stored += memory.commit_number().await.expect("a number") - before;
        }
        assert_eq!(sqlite.integrity().await.expect("a look"), memory.integrity().await.expect("a look"), "seed {seed}");
    }
    // Calls that are all refused would prove little.
    assert!(stored > RUNS * u64::from(CALLS) / 5, "{stored} calls changed anything");
}

async fn first_machine(store: &dyn Store) {
    let expires_at = START.plus_seconds(1);
    let token = EnrolToken { digest: Digest::of(b"first"), uses_max: 1, expires_at, machine: None };
    store.add_enrol_token(&token, &audited()).await.expect("a token");
    assert_eq!(
        store.enrol(&machine(MachineId([1; 20])), &token.digest, START, &audited()).await.expect("room"),
        Enrolled::Stored
    );
}

fn machine(id: MachineId) -> Machine {
    Machine {
        id,
        name: "Beta".into(),
        incarnation: 1,
        session: Epoch(0),
        first_seen: START,
        last_seen: START,
        told: Told::default(),
        tags: vec![],
    }
}

/// One call, drawn with `dice`; what was asked, and what was answered.
async fn one_call(store: &dyn Store, dice: &mut Dice) -> String {
    match dice.below(16) {
        0..=2 => insert(store, dice).await,
        3..=8 => commit(store, dice).await,
        9 => {
            let (id, lines) = (action_id(dice.below(ACTIONS)), lines(dice));
            answered("note", (id, &lines), store.note(id, &lines).await)
        }
        10 if dice.below(2) == 0 => reenrol(store, dice).await,
        10 => enrol(store, dice).await,
        11..=12 => {
            let (id, incarnation) = (machine_id(dice), dice.below(4) as u32 / 3 + 1);
            let told = Told { boot_id: dice.below(9).to_string(), ..Told::default() };
            // Mostly after the newest session, as else there is none.
            let newest = store.machine(id).await.ok().flatten().map_or(0, |machine| machine.session.0);
            let after = Epoch(newest.saturating_sub(dice.below(8) / 7));
            let opened = store.open_session(id, incarnation, after, &told, time(dice)).await;
            answered("open_session", (id, incarnation, after), opened)
        }
        13 => {
            let (id, at) = (machine_id(dice), time(dice));
            answered("seen", (id, at), store.seen(id, at).await)
        }
        14 => library(store, dice).await,
        _ => access(store, dice).await,
    }
}

async fn insert(store: &dyn Store, dice: &mut Dice) -> String {
    let mut action =
        Action::requested(action_id(dice.below(ACTIONS)), machine_id(dice), body(dice), request(), time(dice));
    if dice.below(8) == 0 {
        (action.state, action.revision) = (state(dice), dice.below(3));
    }
    let mut lines = lines(dice);
    lines.push(line(dice, &action));
    let terms = terms_of(dice);
    answered("insert", (&action, &lines, &terms), store.insert(&action, &lines, &terms).await)
}

/// Few keys and requests, so that they meet; seldom room for live responses.
fn terms_of(dice: &mut Dice) -> Terms {
    let once = Once {
        caller: dice.below(2).to_string(),
        key: dice.below(2).to_string(),
        request: Digest::of(&[dice.below(2) as u8]),
        expires_at: time(dice),
    };
    let once = (dice.below(3) == 0).then_some(once);
    Terms { once, live_responses_max: (dice.below(3) == 0).then(|| dice.below(3) as u32), ..terms() }
}

async fn commit(store: &dyn Store, dice: &mut Dice) -> String {
    let id = action_id(dice.below(ACTIONS));
    let stands = store.action(id).await.expect("a read");
    let known = stands.is_some();
    let stands = stands.unwrap_or_else(|| Action::requested(id, MachineId([1; 20]), isolate(), request(), START));
    let mut action = stands.clone();
    action.state = state(dice);
    // Often what a decision would do: keep the grant and the cancel that are there.
    if let (State::Stopping { grant, cancel }, Some(held), true) = (&mut action.state, stands.state.grant(), known) {
        *grant = held;
        *cancel = stands.state.cancel().cloned().unwrap_or_else(|| cancel.clone());
    }
    action.updated_at = time(dice);
    action.revision = action.revision + 1 - u64::from(dice.below(12) == 0);
    let needs = (dice.below(3) == 0).then(|| Needs {
        session: Epoch(dice.below(4)),
        class: [Some(ResourceClass::Network), Some(ResourceClass::Shell), None][dice.below(3) as usize],
    });
    let mut history = lines(dice);
    if dice.below(8) > 0 {
        history.push(line(dice, &action));
    }
    let from_revision = stands.revision.saturating_sub(u64::from(dice.below(12) == 0));
    let change = Change { action, from_revision, needs, history };
    let audit = (dice.below(2) == 0).then(audited);
    answered("commit", (&change, audit.is_some()), store.commit(&change, audit.as_ref()).await)
}

async fn enrol(store: &dyn Store, dice: &mut Dice) -> String {
    let digest = Digest::of(&[dice.below(3) as u8]);
    if dice.below(2) == 0 {
        let machine = (dice.below(2) == 0).then(|| machine_id(dice));
        let (uses_max, expires_at) = (dice.below(3) as u32, time(dice).plus_seconds(5));
        let token = EnrolToken { digest, uses_max, expires_at, machine };
        return answered("add_enrol_token", &token, store.add_enrol_token(&token, &audited()).await);
    }
    if dice.below(3) == 0 {
        let (id, tag) = (machine_id(dice), dice.below(3).to_string());
        let change = if dice.below(2) == 0 { TagChange::Add(tag) } else { TagChange::Remove(tag) };
        return answered("tag", (id, &change), store.tag(id, &change, &audited()).await);
    }
    let name = ["Beta", "alpha"][dice.below(2) as usize].into();
    let machine = Machine { name, last_seen: time(dice), ..machine(machine_id(dice)) };
    let now = time(dice);
    answered("enrol", (&machine, digest, now), store.enrol(&machine, &digest, now, &audited()).await)
}

/// Again, with the ends of all or of some of what is open, or of what is not.
async fn reenrol(store: &dyn Store, dice: &mut Dice) -> String {
    let id = machine_id(dice);
    let mut ends = Vec::new();
    for action in store.live_actions(id).await.expect("a read") {
        let (event, left_out) = (Event::Disowned { why: TimedOutWhy::Reenrolled, newest: None }, dice.below(6) == 0);
        let cancel = Event::CancelRequested { requestor: "someone".into(), comment: String::new() };
        let event = if dice.below(10) == 0 { cancel } else { event };
        if let (Ok(Decision::Change(change, _)), false) = (decide(&action, event, time(dice)), left_out) {
            ends.push(*change);
        }
    }
    let stands = store.machine(id).await.expect("a read").map_or(0, |machine| machine.incarnation);
    let incarnation = stands + 1 - (dice.below(6) as u32) / 5;
    let again = Reenrolment { machine: id, incarnation, name: "anew".into(), told: Told::default(), ends };
    let (digest, now) = (Digest::of(&[dice.below(3) as u8]), time(dice));
    answered("reenrol", (&again, digest, now), store.reenrol(&again, &digest, now, &audited()).await)
}

async fn library(store: &dyn Store, dice: &mut Dice) -> String {
    let name = ["a.sh", "b.sh"][dice.below(2) as usize];
    if dice.below(3) == 0 {
        return answered("delete_library_file", name, store.delete_library_file(name, &audited()).await);
    }
    let (content, replace) = (content(dice), dice.below(2) == 0);
    let file = LibraryFile {
        name: name.into(),
        sha256: Digest::of(if dice.below(8) == 0 { b"other" } else { content }),
        size_bytes: content.len() as u64,
        description: None,
        parameters_description: None,
        has_parameters: false,
        created_by: "someone".into(),
        created_at: time(dice),
        updated_at: time(dice),
    };
    answered("put_library_file", (&file, replace), store.put_library_file(&file, content, replace, &audited()).await)
}

async fn access(store: &dyn Store, dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => return answered("audit", "", store.audit(&audited()).await),
        1 => {
            let (now, limit) = (time(dice), dice.below(3) as u32);
            return answered("forget_keys", (now, limit), store.forget_keys(now, limit).await);
        }
        _ => {}
    }
    let name = ["one", "other"][dice.below(2) as usize];
    if dice.below(2) == 0 {
        let otherwise = dice.below(9).to_string();
        return answered("setting", (name, &otherwise), store.setting(name, &otherwise).await);
    }
    let application = Application {
        client_id: name.into(),
        name: dice.below(9).to_string(),
        secret_hash: String::new(),
        permissions: vec![Permission::MachineReadAll],
        created_at: time(dice),
    };
    answered("put_application", &application, store.put_application(&application, &audited()).await)
}

/// All that a store shows, as text.
async fn everything(store: &dyn Store) -> String {
    let mut seen = Vec::new();
    for number in 0..ACTIONS {
        let id = action_id(number);
        seen.push(answered("action", id, store.action(id).await));
        seen.push(answered("history", id, store.history(id).await));
    }
    for stages in [vec![], STAGES[..3].to_vec(), STAGES[3..].to_vec()] {
        let filter = if stages.is_empty() { Filter::Known(true) } else { among(stages) };
        let query = ActionQuery::of(filter, 5);
        seen.push(answered("actions", &query, store.actions(&query).await));
    }
    for number in 0..MACHINES {
        let id = MachineId([number as u8 + 1; 20]);
        seen.push(answered("machine", id, store.machine(id).await));
        seen.push(answered("live_actions", id, store.live_actions(id).await));
    }
    let machines = MachineQuery::all(5);
    seen.push(answered("machines", "", store.machines(&machines).await));
    seen.push(answered("machines_with_live", "", sorted(store.machines_with_live_actions().await)));
    let far = START.plus_seconds(1_000_000);
    for (now, unseen_since) in [(far, START), (START, far), (START.plus_seconds(5), START.plus_seconds(5))] {
        let overdue = sorted(store.overdue(now, unseen_since, 100).await);
        seen.push(answered("overdue", (now, unseen_since), overdue));
    }
    seen.push(answered("library_files", "", store.library_files().await));
    for content in CONTENTS {
        seen.push(answered("library_content", "", store.library_content(&Digest::of(content)).await));
    }
    for number in 0..3 {
        seen.push(answered("enrol_token", number, store.enrol_token(&Digest::of(&[number])).await));
    }
    for name in ["one", "other"] {
        seen.push(answered("application", name, store.application(name).await));
    }
    seen.push(answered("audit_head", "", store.audit_head().await));
    let head = store.audit_head().await.expect("a head").sequence;
    seen.push(answered("audit_lines", head, store.audit_lines(head.saturating_sub(3), 2).await));
    for (caller, key) in [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")] {
        for now in [START, START.plus_seconds(5)] {
            seen.push(answered("repeated", (caller, key, now), store.repeated(caller, key, now).await));
        }
    }
    seen.push(answered("commit_number", "", store.commit_number().await));
    seen.join("\n")
}

/// A call and its answer as text. Of an error only its sort: each engine has its own words.
fn answered<T: Debug>(call: &str, asked: impl Debug, answer: Result<T, StoreError>) -> String {
    let answer = match answer {
        Ok(value) => format!("{value:?}"),
        Err(StoreError::Refused(_)) => "Refused".into(),
        Err(other) => panic!("{call} {asked:?}: {other}"),
    };
    format!("{call} {asked:?}: {answer}")
}

/// Where the order is not promised.
fn sorted<T: Ord>(found: Result<Vec<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    found.map(|mut found| {
        found.sort();
        found
    })
}

fn among(stages: Vec<Stage>) -> Filter<ActionField> {
    Filter::OneOf(ActionField::Stage, stages.into_iter().map(Value::Stage).collect())
}

fn lines(dice: &mut Dice) -> Vec<Line> {
    let pending = Action::requested(action_id(0), MachineId([1; 20]), isolate(), request(), START);
    (0..dice.below(3)).map(|_| line(dice, &pending)).collect()
}

/// A line at the stage of `action`, or, at times, of another; at times a fact.
fn line(dice: &mut Dice, action: &Action) -> Line {
    let stage = if dice.below(10) == 0 { STAGES[dice.below(7) as usize] } else { action.stage() };
    let fact = (dice.below(3) == 0).then(|| (journal(dice), dice.below(3)));
    Line { at: time(dice), source: Source::Server, what: dice.below(9).to_string(), stage, fact }
}

fn state(dice: &mut Dice) -> State {
    let grant = Grant { epoch: Epoch(dice.below(3) + 1), journal: journal(dice) };
    let cancel = Cancel { requestor: "someone".into(), comment: "case".into(), at: time(dice) };
    let testimony = Testimony {
        epoch: grant.epoch,
        journal: grant.journal,
        sequence: 9,
        ending: Ending::Stopped { began: true },
        steps: vec![],
        residue: vec![],
        facts: vec![],
    };
    match dice.below(10) {
        0 => State::Pending,
        1..=3 => State::Granted { grant },
        4..=6 => State::Stopping { grant, cancel },
        7 => State::TimedOut { why: TimedOutWhy::NoContact, grant: Some(grant), cancel: None },
        8 => State::Cancelled { cancel, proof: CancelProof::NeverGranted },
        _ => State::Succeeded { testimony, cancel: None },
    }
}

fn body(dice: &mut Dice) -> Body {
    match dice.below(3) {
        0 => isolate(),
        1 => Body::Release,
        _ => run(&[content(dice), content(dice)]),
    }
}

fn request() -> domain::action::Request {
    domain::action::Request {
        requestor: "someone".into(),
        comment: "case".into(),
        source: domain::action::RequestSource::PublicApi,
        external_id: None,
    }
}

fn content(dice: &mut Dice) -> &'static [u8] {
    CONTENTS[dice.below(3) as usize]
}

fn machine_id(dice: &mut Dice) -> MachineId {
    // One of them has most to do.
    MachineId([dice.below(MACHINES + 3).saturating_sub(3) as u8 + 1; 20])
}

fn journal(dice: &mut Dice) -> JournalId {
    JournalId(Uuid::from_u128(u128::from(dice.below(2))))
}

fn time(dice: &mut Dice) -> Timestamp {
    START.plus_seconds(dice.below(10) as i64)
}

const ACTIONS: u64 = 8;
const MACHINES: u64 = 3;
const CONTENTS: [&[u8]; 3] = [b"", b"one", b"two"];

/// Numbers that look random and are the same in every run.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
