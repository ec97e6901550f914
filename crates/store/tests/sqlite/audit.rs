//! The audit log under somebody who has the file in hand and the guards taken off; and under a process that is killed.

use crate::Ground;
use crate::crash::{again, part, read_until};
use crate::world::{World, action_id, audited, cancel, first_lines, isolate, terms};
use domain::audit::{Broken, Head, LOG_START, Walk};
use domain::ids::ActionId;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::process::Stdio;
use store::{Store, Terms};
use tokio::task::JoinSet;

/// How many lines the log has that is tampered with.
const LINES: u64 = 6;

/// How many writes must have been acknowledged before the kill.
const ACKNOWLEDGED: usize = 300;

/// Walks the log in pages of three, as a verifier does.
async fn walked(store: &dyn Store) -> Result<Head, Broken> {
    let mut walk = Walk::new(LOG_START, vec![store.audit_head().await.unwrap()]);
    loop {
        let page = match store.audit_lines(walk.head().sequence, 3).await {
            Ok(page) if page.is_empty() => return walk.end(),
            Ok(page) => page,
            Err(error) => {
                let why = error.to_string();
                return Err(Broken { sequence: walk.head().sequence + 1, why });
            }
        };
        page.iter().try_for_each(|line| walk.step(line))?;
    }
}

fn guards_off(raw: &Connection) {
    raw.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let guards = "SELECT group_concat('DROP TRIGGER ' || name, '; ') FROM sqlite_schema WHERE type = 'trigger'";
    let off: String = raw.query_row(guards, [], |row| row.get(0)).unwrap();
    raw.execute_batch(&off).unwrap();
}

/// The first line that does not hold after `tampering`.
async fn found_after(tampering: &str) -> Option<u64> {
    let ground = Ground::new();
    let world = ground.open();
    for _ in 0..LINES {
        world.store.audit(&audited()).await.unwrap();
    }
    assert_eq!(walked(&*world.store).await.unwrap().sequence, LINES);
    let raw = ground.raw();
    guards_off(&raw);
    raw.execute_batch(tampering).unwrap();
    walked(&*world.store).await.err().map(|broken| broken.sequence)
}

#[tokio::test]
async fn a_deleted_line_is_named_wherever_it_stood() {
    for line in 1..=LINES {
        assert_eq!(found_after(&format!("DELETE FROM audit WHERE sequence = {line}")).await, Some(line));
        let cut_off = format!("DELETE FROM audit WHERE sequence >= {line}");
        assert_eq!(found_after(&cut_off).await, Some(line), "cut off");
    }
}

#[tokio::test]
async fn an_altered_line_is_named_whatever_was_altered() {
    let columns = Ground::new();
    columns.open();
    let raw = columns.raw();
    let mut columns =
        raw.prepare("SELECT name, type FROM pragma_table_info('audit') WHERE name <> 'sequence'").unwrap();
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>().unwrap();
    assert_eq!(columns.len(), 16);
    for (number, (column, sort)) in columns.iter().enumerate() {
        let line = number as u64 % LINES + 1;
        let other = match sort.as_str() {
            "INTEGER" => format!("coalesce({column}, 0) + 1"),
            "BLOB" => "randomblob(32)".into(),
            _ => format!("coalesce({column}, '') || 'x'"),
        };
        let altered = format!("UPDATE audit SET {column} = {other} WHERE sequence = {line}");
        assert_eq!(found_after(&altered).await, Some(line), "{altered}");
        // To nothing, where there may be nothing.
        let nothing =
            format!("UPDATE OR IGNORE audit SET {column} = NULL WHERE sequence = {line} AND {column} IS NOT NULL");
        let nullable = ["address", "machine", "comment"].contains(&column.as_str());
        if nullable {
            assert_eq!(found_after(&nothing).await, Some(line), "{nothing}");
        }
    }
}

#[tokio::test]
async fn lines_that_changed_places_are_named() {
    for line in 1..LINES {
        let next = line + 1;
        let swapped = format!(
            "UPDATE audit SET sequence = -1 WHERE sequence = {line}; UPDATE audit SET sequence = {line} \
             WHERE sequence = {next}; UPDATE audit SET sequence = {next} WHERE sequence = -1"
        );
        assert_eq!(found_after(&swapped).await, Some(line));
    }
}

#[tokio::test]
async fn a_line_that_was_slipped_in_is_named() {
    let copy = |from: u64, to: u64| {
        format!(
            "INSERT INTO audit SELECT {to}, at, kind, caller, address, operation, machine, action, object, outcome, \
             status, code, correlation, comment, content, times, hash FROM audit WHERE sequence = {from}"
        )
    };
    assert_eq!(found_after(&copy(2, LINES + 1)).await, Some(LINES + 1));
    let pushed = format!("UPDATE audit SET sequence = {} WHERE sequence = {LINES}; {}", LINES + 1, copy(1, LINES));
    assert_eq!(found_after(&pushed).await, Some(LINES));
}

#[tokio::test]
async fn the_guards_refuse_all_of_that() {
    let ground = Ground::new();
    let world = ground.open();
    world.store.audit(&audited()).await.unwrap();
    let raw = ground.raw();
    let copy = |to: i64| {
        format!(
            "INSERT OR REPLACE INTO audit SELECT {to}, at, kind, caller, address, operation, machine, action, object, \
             outcome, status, code, correlation, comment, content, times, hash FROM audit WHERE sequence = 1"
        )
    };
    raw.pragma_update(None, "recursive_triggers", true).unwrap();
    for (statement, reason) in [
        ("DELETE FROM audit".to_string(), "only ever added to"),
        ("UPDATE audit SET caller = caller".into(), "only ever added to"),
        (copy(1), "comes after the last"),
        (copy(3), "comes after the last"),
        ("UPDATE audit_head SET sequence = sequence".into(), "only rises"),
        ("DELETE FROM audit_head".into(), "stays"),
        ("INSERT INTO audit_head VALUES (2, 1, zeroblob(32))".into(), "CHECK constraint failed"),
    ] {
        let error = raw.execute(&statement, []).expect_err(&statement).to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
}

/// Deny by default: a log that cannot be added to takes every change of a caller with it.
#[tokio::test]
async fn without_its_line_no_change_is_made() {
    let ground = Ground::new();
    let world = ground.open();
    let machine = world.machine().await;
    let waits = world.action(machine.id, isolate()).await;
    let cancel = world.decide(waits.id, cancel()).await;
    let raw = ground.raw();
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END";
    raw.execute_batch(full).unwrap();
    world.store.commit(&cancel, Some(&audited())).await.unwrap_err();
    let release = world.unknown_action(machine.id, domain::Body::Release);
    world.store.insert(&release, &first_lines(&release), &terms()).await.unwrap_err();
    assert_eq!(world.load(waits.id).await, waits);
    assert_eq!(world.store.action(release.id).await.unwrap(), None);
    raw.execute_batch("DROP TRIGGER full").unwrap();
    world.store.commit(&cancel, Some(&audited())).await.unwrap();
    assert!(walked(&*world.store).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_every_change_has_its_line_and_every_line_its_change() {
    if let Some(world) = part() {
        return write_for_ever(world).await;
    }
    let ground = Ground::new();
    let name = "audit::after_a_kill_every_change_has_its_line_and_every_line_its_change";
    let mut child = again(name, &ground, "").stdout(Stdio::piped()).spawn().unwrap();
    let acknowledged = read_until(&mut child, ACKNOWLEDGED);
    child.kill().unwrap();
    child.wait().unwrap();
    let world = ground.open();
    let head = walked(&*world.store).await.unwrap();
    let mut of_action: BTreeMap<ActionId, u32> = BTreeMap::new();
    for line in world.store.audit_lines(0, u32::MAX).await.unwrap() {
        if let Some(action) = line.entry.action.and_then(|action| ActionId::parse(&action)) {
            *of_action.entry(action).or_default() += 1;
        }
    }
    assert!(head.sequence > ACKNOWLEDGED as u64);
    let query = store::ActionQuery { limit: u32::MAX, ..store::ActionQuery::default() };
    let actions = world.store.actions(&query).await.unwrap();
    assert!(acknowledged.iter().all(|number| of_action.contains_key(&action_id(*number))));
    assert_eq!(actions.len(), of_action.len(), "as many actions as the log tells of");
    for action in actions {
        let expected = 1 + u32::from(action.stage().is_final());
        assert_eq!(of_action.get(&action.id), Some(&expected), "{action:?}");
    }
}

/// Requests and cancels, several at once, so that the kill falls into a group; each with its line.
async fn write_for_ever(world: World) {
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        writers.spawn(async move {
            let machine = world.machine().await;
            loop {
                let action = world.unknown_action(machine.id, isolate());
                let terms = Terms { audit: audited().action(action.id), ..terms() };
                world.store.insert(&action, &first_lines(&action), &terms).await.unwrap();
                println!("acknowledged {}", action.id.0.as_u128());
                let change = world.decide(action.id, cancel()).await;
                world.store.commit(&change, Some(&terms.audit)).await.unwrap();
            }
        });
    }
    writers.join_next().await.unwrap().unwrap()
}
