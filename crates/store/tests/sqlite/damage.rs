//! The audit finds what somebody with the file in hand, and the guards taken off, has done to it.

use crate::Ground;
use crate::world::{STOPPED, World, cancel, isolate, report};

/// An isolation that was stopped, and the audit after `tampering` with the guards off.
async fn audit_after(tampering: &str) -> Vec<String> {
    let ground = Ground::new();
    let world = ground.open();
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    world.drive(action.id, cancel()).await;
    world.drive(action.id, report(&action, STOPPED)).await;
    let raw = ground.raw();
    raw.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
    let guards = "SELECT group_concat('DROP ' || type || ' ' || name, '; ') FROM sqlite_schema \
                  WHERE type = 'trigger' OR name IN ('history_one_end', 'actions_open')";
    let off: String = raw.query_row(guards, [], |row| row.get(0)).unwrap();
    raw.execute_batch(&off).unwrap();
    raw.execute_batch(tampering).unwrap();
    audit(&world).await
}

async fn audit(world: &World) -> Vec<String> {
    world.store.integrity().await.unwrap()
}

#[track_caller]
fn one(found: &[String], words: &str) {
    assert!(found.iter().any(|line| line.contains(words)), "{words:?} not among {found:#?}");
}

#[tokio::test]
async fn an_untouched_store_is_sound() {
    assert_eq!(audit_after("SELECT 1").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_altered_line_is_found() {
    one(&audit_after("UPDATE history SET what = 'requested by nobody' WHERE sequence = 1").await, "breaks at line 1");
}

#[tokio::test]
async fn a_missing_line_is_found() {
    one(&audit_after("DELETE FROM history WHERE sequence = 3").await, "breaks at line 4");
}

#[tokio::test]
async fn a_stage_that_the_history_does_not_know_is_found() {
    one(
        &audit_after("UPDATE actions SET stage = 'Succeeded'").await,
        "it is Succeeded, and its history says Cancelled",
    );
    one(&audit_after("UPDATE actions SET stage = 'Granted'").await, "its history ends it 1 times");
}

#[tokio::test]
async fn a_move_that_the_lifecycle_does_not_have_is_found() {
    let skipped = "UPDATE history SET moved_to = NULL WHERE moved_to = 'Stopping'";
    one(&audit_after(skipped).await, "no event leads from Granted to Cancelled");
    one(&audit_after("UPDATE history SET moved_to = NULL").await, "does not begin in Pending");
}

#[tokio::test]
async fn a_second_end_is_found() {
    let again = "INSERT INTO history (action, sequence, at, source, what, stage, moved_to, hash) \
                 VALUES (1, 7, 0, 'Server', 'again', 'Cancelled', 'Cancelled', randomblob(32))";
    let found = audit_after(again).await;
    one(&found, "breaks at line 7");
    one(&found, "no event leads from Cancelled to Cancelled");
}

#[tokio::test]
async fn two_open_actions_of_a_class_are_found() {
    let two = "INSERT INTO actions SELECT number + n, randomblob(16), machine, kind || n, class, body, requestor, \
               comment, source, external_id, created_at, updated_at + n, expires_at, revision, 'Granted', grant_epoch, \
               grant_journal, NULL, NULL, NULL, NULL, NULL, scope FROM actions, (SELECT 1 AS n UNION SELECT 2)";
    one(&audit_after(two).await, "has 2 open actions of class Network");
}

#[tokio::test]
async fn what_does_not_read_is_found() {
    one(&audit_after("UPDATE actions SET body = '{}'").await, "does not read");
    one(&audit_after("UPDATE actions SET testimony = NULL").await, "lacks what belongs to that stage");
    one(&audit_after("UPDATE history SET source = 'Nobody' WHERE sequence = 2").await, "its history does not read");
}

#[tokio::test]
async fn a_history_without_its_action_is_found() {
    one(&audit_after("DELETE FROM actions").await, "names another that is not there");
}
