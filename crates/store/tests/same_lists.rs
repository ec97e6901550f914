//! Any list, one answer: whatever a query asks for, SQLite finds the rows that the evaluation in memory finds, in the same
//! order. Rows and values are drawn from few texts and times, so that most comparisons meet something; among them are
//! what engines like to do differently: case, letters beyond ASCII, wildcards, quotes, NUL, the empty text, and nothing.

#[path = "contract/world.rs"]
#[allow(dead_code, reason = "the contract's world; each suite uses its part of it")]
mod world;

use domain::action::{Action, Body, Cancel, CancelProof, Grant, Request, RequestSource, State, TimedOutWhy};
use domain::ids::{Digest, Epoch, MachineId};
use domain::kind::{KINDS, Scope};
use domain::lifecycle::STAGES;
use domain::machine::{Machine, Told};
use domain::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use store::query::{Comparison, ElementMatch, Field, Form, Key, Order, Query, TextMatch, Value};
use store::{
    ActionField, ActionRow, Committed, EnrolToken, Filter, Inserted, MachineField, MemoryStore, SqliteConfig,
    SqliteStore, Store,
};
use world::{START, action_id, audited, first_lines, forged, journal, terms};

/// How many queries are asked of each table.
const CASES: u32 = 1500;

/// How many rows there are of each.
const ROWS: usize = 60;

const TEXTS: [&str; 14] =
    ["", "a", "A", "ab", "aB", "ba", "b'%_*?[", "'", "é", "É", "ﬃ", "a\u{0}b", "\u{0}", "a-rather-longer-text"];

const ACTION_FIELDS: [ActionField; 15] = [
    ActionField::Id,
    ActionField::Machine,
    ActionField::MachineName,
    ActionField::Kind,
    ActionField::Stage,
    ActionField::Requestor,
    ActionField::Comment,
    ActionField::Source,
    ActionField::Scope,
    ActionField::ExternalId,
    ActionField::CreatedAt,
    ActionField::UpdatedAt,
    ActionField::CancelRequestor,
    ActionField::CancelComment,
    ActionField::CancelAt,
];

const MACHINE_FIELDS: [MachineField; 10] = [
    MachineField::Id,
    MachineField::Name,
    MachineField::FirstSeen,
    MachineField::LastSeen,
    MachineField::SeenAfter(Timestamp(START.0 + 4)),
    MachineField::OsPlatform,
    MachineField::OsVersion,
    MachineField::AgentVersion,
    MachineField::LastAddress,
    MachineField::Tags,
];

struct Ground {
    sqlite: SqliteStore,
    memory: MemoryStore,
    machines: Vec<Machine>,
    actions: Vec<Action>,
    _folder: tempfile::TempDir,
}

fn nth<T: Copy>(all: &[T], number: usize) -> T {
    all[number % all.len()]
}

fn text(number: usize) -> String {
    nth(&TEXTS, number).into()
}

fn time(number: usize) -> Timestamp {
    Timestamp(START.0 + (number % 9) as i64)
}

fn machine_id(number: usize) -> MachineId {
    let mut id = [0xa0; 20];
    id[number % 20] = number as u8;
    MachineId(id)
}

fn machine(number: usize) -> Machine {
    let told = Told {
        os_platform: text(number * 3),
        os_version: text(number / 2),
        agent_version: text(number * 5),
        last_address: (!number.is_multiple_of(3)).then(|| text(number * 7)),
        ..Told::default()
    };
    Machine {
        id: machine_id(number),
        name: text(number),
        incarnation: 1,
        session: Epoch(0),
        first_seen: time(number),
        last_seen: time(number * 2),
        told,
        tags: (0..number % 4).map(|tag| text(number + tag)).collect(),
    }
}

fn state(number: usize) -> Option<State> {
    let cancel = Cancel { requestor: text(number * 3), comment: text(number * 5 + 1), at: time(number) };
    let grant = Grant { epoch: Epoch(1), journal: journal() };
    Some(match number % 6 {
        0 => return None,
        1 => State::Granted { grant },
        2 => State::Stopping { grant, cancel },
        3 => State::TimedOut { why: TimedOutWhy::NoContact, grant: None, cancel: Some(cancel) },
        4 => State::TimedOut { why: TimedOutWhy::NotStarted, grant: None, cancel: None },
        _ => State::Cancelled { cancel, proof: CancelProof::NeverGranted },
    })
}

fn action(number: usize) -> Action {
    let scopes = [Scope::Full, Scope::Selective, Scope::Quick];
    let body = match number % 4 {
        0..=2 => Body::Isolate { scope: nth(&scopes, number / 3) },
        _ => Body::Release,
    };
    let request = Request {
        requestor: text(number / 3),
        comment: text(number * 9),
        source: if number.is_multiple_of(5) { RequestSource::Portal } else { RequestSource::PublicApi },
        external_id: number.is_multiple_of(2).then(|| text(number / 2)),
    };
    Action::requested(action_id(number as u64 * 77 % 101), machine_id(number), body, request, time(number * 4))
}

impl Ground {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let sqlite = SqliteStore::open(SqliteConfig::for_testing(folder.path())).expect("a new store opens");
        let memory = MemoryStore::new();
        for store in [&sqlite as &dyn Store, &memory] {
            fill(store).await;
        }
        let actions = memory.actions(&Query::all(1000)).await.expect("a read");
        let machines = memory.machines(&Query::all(1000)).await.expect("a read");
        assert_eq!((actions.len(), machines.len()), (ROWS, ROWS));
        Self { sqlite, memory, machines, actions, _folder: folder }
    }

    fn name_of(&self, action: &Action) -> &str {
        let machine = self.machines.iter().find(|machine| machine.id == action.machine);
        &machine.expect("the machine is on record").name
    }
}

async fn fill(store: &dyn Store) {
    let expires_at = START.plus_seconds(100);
    let token = EnrolToken { digest: Digest::of(b"all"), uses_max: 1000, expires_at, machine: None };
    store.add_enrol_token(&token, &audited()).await.expect("a token");
    for number in 0..ROWS {
        store.enrol(&machine(number), &token.digest, START, &audited()).await.expect("a machine");
        let action = action(number);
        let inserted = store.insert(&action, &first_lines(&action), &terms()).await.expect("an action");
        assert!(matches!(inserted, Inserted::Stored(_)), "{inserted:?}");
        if let Some(state) = state(number) {
            let committed = store.commit(&forged(&action, state), None).await.expect("a change");
            assert!(matches!(committed, Committed::Stored(_)), "{committed:?}");
        }
    }
}

/// A value that a field may have, and some row often has.
fn value<F: Field>(field: F, own: fn(F) -> Vec<Value>) -> BoxedStrategy<Value> {
    match field.form() {
        Form::Action => (0..101u64).prop_map(|number| Value::Action(action_id(number))).boxed(),
        Form::Machine => (0..ROWS + 2).prop_map(|number| Value::Machine(machine_id(number))).boxed(),
        Form::Text | Form::Name => select(&TEXTS[..]).prop_map(|text| Value::Text(text.into())).boxed(),
        Form::Time => (0..130usize).prop_map(|ticks| Value::Time(Timestamp(START.0 - 2 + ticks as i64))).boxed(),
        Form::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
        // Not compared as a whole, and not sorted by.
        Form::Word | Form::List => select(own(field)).boxed(),
    }
}

fn words(field: ActionField) -> Vec<Value> {
    match field {
        ActionField::Kind => KINDS.iter().map(|row| Value::Kind(row.kind)).collect(),
        ActionField::Stage => STAGES.map(Value::Stage).to_vec(),
        ActionField::Source => [RequestSource::PublicApi, RequestSource::Portal].map(Value::Source).to_vec(),
        _ => [Scope::Full, Scope::Selective, Scope::Quick].map(Value::Scope).to_vec(),
    }
}

fn leaf<F: Field>(field: F, own: fn(F) -> Vec<Value>) -> BoxedStrategy<Filter<F>> {
    if field.form() == Form::List {
        let how = select(vec![ElementMatch::Is, ElementMatch::StartsWith]);
        return (how, select(&TEXTS[..])).prop_map(move |(how, text)| Filter::Element(field, how, text.into())).boxed();
    }
    let of_order = [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
    ];
    let ordered = !matches!(field.form(), Form::Word | Form::Flag);
    let comparisons = if ordered { &of_order[..] } else { &of_order[..2] }.to_vec();
    let compared = (select(comparisons), value(field, own));
    let compared = compared.prop_map(move |(comparison, value)| Filter::Compare(field, comparison, value));
    let listed = proptest::collection::vec(value(field, own), 0..4);
    let listed = listed.prop_map(move |values| Filter::OneOf(field, values));
    let known = prop_oneof![Just(Filter::Known(true)), Just(Filter::Known(false)), Just(Filter::Unknown)];
    let rest = prop_oneof![compared, listed, Just(Filter::IsNull(field)), known];
    if matches!(field.form(), Form::Time | Form::Flag | Form::Word) {
        return rest.boxed();
    }
    let how = select(vec![TextMatch::Contains, TextMatch::StartsWith, TextMatch::EndsWith]);
    let looked_for = prop_oneof![select(&TEXTS[..]), select(vec!["a0", "00000000-", "-", "00", "5"])];
    let held = (how, looked_for).prop_map(move |(how, text)| Filter::Text(field, how, text.into()));
    prop_oneof![2 => rest, 1 => held].boxed()
}

fn filter<F: Field>(fields: &'static [F], own: fn(F) -> Vec<Value>) -> BoxedStrategy<Filter<F>> {
    let leaf = select(fields).prop_flat_map(move |field| leaf(field, own));
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    });
    tree.boxed()
}

fn order<F: Field>(fields: &'static [F], own: fn(F) -> Vec<Value>) -> BoxedStrategy<Vec<Order<F>>> {
    let sorted: Vec<F> = fields.iter().copied().filter(|field| field.form() != Form::List).collect();
    let key = (select(sorted), any::<bool>(), any::<u8>()).prop_map(move |(field, descending, shift)| {
        let ranks = |values: Vec<Value>| {
            let rank = |index: usize| ((index + usize::from(shift)) % 3) as i64;
            values.into_iter().enumerate().skip(1).map(|(index, value)| (value, rank(index))).collect()
        };
        let by = if field.form() == Form::Word { Key::Rank(field, ranks(own(field))) } else { Key::Field(field) };
        Order { by, descending }
    });
    proptest::collection::vec(key, 0..4).boxed()
}

/// A query, but for where it goes on: after this of the rows, if after any.
fn query<F: Field>(fields: &'static [F], own: fn(F) -> Vec<Value>) -> impl Strategy<Value = (Query<F>, Option<usize>)> {
    let limit = prop_oneof![Just(1000), 0..20u32];
    let skip = prop_oneof![3 => Just(0), 1 => 0..70u64];
    (filter(fields, own), order(fields, own), proptest::option::of(0..ROWS), skip, limit)
        .prop_map(|(filter, order, after, skip, limit)| (Query { filter, order, after: None, skip, limit }, after))
}

fn runner() -> TestRunner {
    // The same cases in every run.
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn any_list_of_actions_is_the_same() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ground = runtime.block_on(Ground::new());
    let found = std::cell::Cell::new(0);
    let outcome = runner().run(&query(&ACTION_FIELDS, words), |(mut query, after)| {
        query.after = after.map(|index| {
            let action = &ground.actions[index];
            query.position(ActionRow { action, machine_name: ground.name_of(action) })
        });
        let ids = |store: &dyn Store| {
            let found = runtime.block_on(store.actions(&query)).expect("a list");
            let count = runtime.block_on(store.count_actions(&query.filter)).expect("a count");
            (found.iter().map(|action| action.id).collect::<Vec<_>>(), count)
        };
        let of_memory = ids(&ground.memory);
        prop_assert_eq!(&ids(&ground.sqlite), &of_memory);
        found.set(found.get() + of_memory.0.len());
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
    // Lists that are all empty would prove little.
    assert!(found.get() > CASES as usize, "{} rows in all", found.get());
}

#[test]
fn any_list_of_machines_is_the_same() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ground = runtime.block_on(Ground::new());
    let found = std::cell::Cell::new(0);
    let outcome = runner().run(&query(&MACHINE_FIELDS, |_| vec![]), |(mut query, after)| {
        query.after = after.map(|index| query.position(&ground.machines[index]));
        let ids = |store: &dyn Store| {
            let found = runtime.block_on(store.machines(&query)).expect("a list");
            let count = runtime.block_on(store.count_machines(&query.filter)).expect("a count");
            (found.iter().map(|machine| machine.id).collect::<Vec<_>>(), count)
        };
        let of_memory = ids(&ground.memory);
        prop_assert_eq!(&ids(&ground.sqlite), &of_memory);
        found.set(found.get() + of_memory.0.len());
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
    assert!(found.get() > CASES as usize, "{} rows in all", found.get());
}
