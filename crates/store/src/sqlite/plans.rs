//! The plans of the statements that run often: none walks a whole table, however full the tables are.

use super::{SqliteConfig, open, query};
use crate::query::{Comparison, Key, Order, Position, Value};
use crate::sql::statements;
use crate::{ActionField, ActionQuery, Filter, MachineField, MachineQuery};
use domain::ids::{ActionId, MachineId};
use domain::kind::Kind;
use domain::lifecycle::{STAGES, Stage};
use domain::time::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

/// An index of which all may be walked: it holds only what is live, or open, and that is little.
const SMALL: [&str; 3] = ["actions_live", "actions_open", "live_responses_live"];

/// What every request, claim, report and sweep runs.
const HOT: [&str; 39] = [
    statements::MACHINE_NUMBER,
    statements::NEWEST_UPDATE,
    statements::LIVE_OF_KIND,
    statements::STANDING,
    statements::MACHINE_SESSION,
    statements::CLASS_BUSY,
    statements::UPDATE_ACTION,
    statements::ACTION,
    statements::LIVE_ACTIONS,
    statements::MACHINES_WITH_LIVE,
    statements::OVERDUE_PENDING,
    statements::OVERDUE_OPEN,
    statements::LAST_LINE,
    statements::FACT_KNOWN,
    statements::HISTORY,
    statements::MOVES,
    statements::CHUNK_OF_ACTIONS,
    statements::OPEN_TWICE,
    statements::MACHINE,
    statements::OPEN_SESSION,
    statements::SEEN,
    statements::ENROL_TOKEN,
    statements::USE_ENROL_TOKEN,
    statements::APPLICATION,
    statements::LIBRARY_FILE_CONTENT,
    statements::LIBRARY_CONTENT,
    statements::DELETE_LIBRARY_FILE,
    statements::END_USES,
    statements::FORGET_CONTENT,
    statements::APPEND_AUDIT,
    statements::AUDIT_LINES,
    statements::AUDIT_HEAD,
    statements::SET_AUDIT_HEAD,
    statements::KEY,
    statements::FORGET_KEYS,
    statements::LIVE_RESPONSES,
    statements::SETTING,
    statements::COMMIT_NUMBER,
    statements::SET_COMMIT_NUMBER,
];

/// Lists that are asked for often.
fn listings() -> Vec<String> {
    use {ActionField as A, MachineField as M};
    let machine = Value::Machine(MachineId([0; 20]));
    let live = Filter::OneOf(A::Stage, [Stage::Pending, Stage::Granted, Stage::Stopping].map(Value::Stage).to_vec());
    let of_machine = Filter::is(A::Machine, machine.clone());
    let isolations = Filter::is(A::Kind, Value::Kind(Kind::Isolate));
    let ended = Filter::OneOf(A::Stage, STAGES[3..].iter().copied().map(Value::Stage).collect());
    let since = |field| Filter::Compare(field, Comparison::Greater, Value::Time(Timestamp(7)));
    let by = |field, descending| vec![Order { by: Key::Field(field), descending }];
    let id = Value::Action(ActionId(Uuid::nil()));
    let after = Some(Position { keys: vec![Some(Value::Time(Timestamp(5)))], id: id.clone() });
    let of_actions = [
        ActionQuery::all(5),
        ActionQuery { after: after.clone(), ..ActionQuery::all(5) },
        ActionQuery { order: by(A::UpdatedAt, false), after, ..ActionQuery::of(since(A::UpdatedAt), 5) },
        ActionQuery { order: by(A::UpdatedAt, false), ..ActionQuery::of(since(A::UpdatedAt), 5) },
        ActionQuery::of(since(A::CreatedAt), 5),
        ActionQuery::of(Filter::is(A::Id, id), 5),
        ActionQuery::of(of_machine.clone(), 5),
        ActionQuery::of(Filter::All(vec![of_machine.clone(), isolations.clone()]), 5),
        ActionQuery::of(Filter::All(vec![of_machine.clone(), ended]), 5),
        ActionQuery::of(Filter::is(A::MachineName, Value::Text("laptop".into())), 5),
        ActionQuery::of(Filter::is(A::Stage, Value::Stage(Stage::Succeeded)), 5),
        ActionQuery::of(isolations, 5),
        ActionQuery::of(live.clone(), 5),
        ActionQuery::of(Filter::All(vec![of_machine, live]), 5),
        ActionQuery::of(Filter::is(A::Stage, Value::Stage(Stage::Pending)), 5),
    ];
    let of_machines =
        [MachineQuery::all(5), MachineQuery::of(Filter::is(M::Id, machine), 5), MachineQuery::named("laptop", 5)];
    let of_actions = of_actions.iter().map(query::actions);
    of_actions.chain(of_machines.iter().map(query::machines)).map(|statement| statement.text).collect()
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    for placeholder in 1..=explained.parameter_count() {
        explained.raw_bind_parameter(placeholder, 1).unwrap();
    }
    let mut rows = explained.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps
}

/// A step that walks a table, or an index over all of it.
fn walks(step: &str) -> bool {
    let Some(walked) = step.strip_prefix("SCAN ") else { return false };
    !(SMALL.iter().any(|index| walked.ends_with(index)) || walked == "CONSTANT ROW")
}

#[track_caller]
fn none_walks(connection: &Connection) {
    let listings = listings();
    for statement in HOT.into_iter().chain(listings.iter().map(String::as_str)) {
        let steps = plan(connection, statement);
        // In the order of an index and up to a limit, a walk ends early.
        let narrows = statement.contains("WHERE") && !statement.contains("WHERE 1 ORDER");
        let ends_early = statement.contains("LIMIT") && !narrows;
        let bad: Vec<&String> = steps.iter().filter(|step| walks(step) && !ends_early).collect();
        assert!(bad.is_empty(), "{statement}\n{steps:#?}");
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
        assert!(!(ends_early && sorts), "{statement}\n{steps:#?}");
    }
}

/// A fleet of which most actions have ended.
const FILL: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO machines SELECT i, randomblob(20), 'm' || i, 'm' || i, 1, 1, 1, 1, '{}', '[]' FROM n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO actions SELECT i, randomblob(16), i % 500 + 1, 'Isolate', 'Network', '{}', 'r', 'c', 'PublicApi', NULL,
        i, i, i, 1, iif(i > 19500, 'Pending', 'Cancelled'), NULL, NULL, iif(i > 19500, NULL, 'r'),
        iif(i > 19500, NULL, 'c'), iif(i > 19500, NULL, 1), NULL, NULL, 'Full' FROM n;
    INSERT INTO history SELECT number, 1, 1, 'Server', 'w', 'Pending', 'Pending', NULL, NULL, randomblob(32) FROM actions;
    ANALYZE;
";

#[test]
fn no_statement_that_runs_often_walks_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::for_testing(folder.path());
    open::prepare(&config).unwrap();
    none_walks(&open::reader(&config).unwrap());
    let connection = open::writer(&config).unwrap();
    connection.execute_batch("DROP TRIGGER actions_begin_pending").unwrap();
    connection.execute_batch(FILL).unwrap();
    none_walks(&open::reader(&config).unwrap());
}

/// Placeholders mean the same to every engine only if they first occur in order.
#[test]
fn placeholders_first_occur_in_order() {
    let listings = listings();
    for statement in HOT.into_iter().chain(listings.iter().map(String::as_str)) {
        let mut highest = 0;
        for part in statement.split('$').skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            let number: u32 = digits.parse().unwrap();
            assert!(number <= highest + 1, "{statement}");
            highest = highest.max(number);
        }
    }
}

/// The words of the partial indexes are the stages that the domain calls live and open.
#[test]
fn the_indexes_know_which_stages_are_live_and_open() {
    let words = |wanted: fn(Stage) -> bool| {
        let words: Vec<String> =
            STAGES.into_iter().filter(|stage| wanted(*stage)).map(|stage| format!("'{stage}'")).collect();
        format!("stage IN ({})", words.join(", "))
    };
    let schema = include_str!("../../migrations/sqlite/V1__initial.sql");
    for (name, condition) in [
        ("actions_live", words(|stage| !stage.is_final())),
        ("actions_open", words(Stage::is_open)),
        ("history_one_end", words(Stage::is_final).replace("stage IN", "moved_to IN")),
    ] {
        let index = schema.split("INDEX ").find(|part| part.starts_with(name)).unwrap();
        assert!(index.split(';').next().unwrap().ends_with(&format!("WHERE {condition}")), "{name}: {condition}");
    }
}
