//! The guards below the code: raw SQL, past the store, still cannot do what may never be.

use crate::world::{World, audited, cancel, claim, isolate, report};
use crate::{Ground, world};
use domain::action::Body;
use domain::testimony::Ending;
use rusqlite::Connection;

/// Tries it, and expects to be refused for this reason.
#[track_caller]
fn refused(connection: &Connection, statement: &str, reason: &str) {
    let error = connection.execute(statement, []).expect_err(statement).to_string();
    assert!(error.contains(reason), "{statement}: {error}");
}

/// On machine 1, an isolation that has ended (1), a release that is stopping (2), and a script that waits (3).
async fn three_actions(world: &World) {
    let (machine, session) = world.connected().await;
    let ended = world.action(machine.id, isolate()).await;
    world.drive(ended.id, claim(session)).await;
    world.drive(ended.id, report(&world.load(ended.id).await, Ending::Finished)).await;
    let stopping = world.action(machine.id, Body::Release).await;
    world.drive(stopping.id, claim(session)).await;
    world.drive(stopping.id, cancel()).await;
    world.action(machine.id, world::run(&[b"true"])).await;
}

#[tokio::test]
async fn a_final_action_never_changes_in_any_column() {
    let ground = Ground::new();
    three_actions(&ground.open()).await;
    let raw = ground.raw();
    let mut columns = raw.prepare("SELECT name FROM pragma_table_info('actions')").unwrap();
    let columns: Vec<String> = columns.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(columns.len() > 20);
    for column in columns {
        let statement = format!("UPDATE actions SET revision = revision + 1, {column} = {column} WHERE number = 1");
        let statement = statement.replace("revision = revision + 1, revision = revision", "revision = revision + 1");
        let error = raw.execute(&statement, []).expect_err(&statement).to_string();
        assert!(error.contains("never changes"), "{statement}: {error}");
    }
    let cancelled = "UPDATE actions SET revision = revision + 1, stage = 'Cancelled' WHERE number = 1";
    refused(&raw, cancelled, "a final action never changes");
}

#[tokio::test]
async fn a_cancel_that_is_set_never_changes_and_no_grant_follows_it() {
    let ground = Ground::new();
    three_actions(&ground.open()).await;
    let raw = ground.raw();
    for assignment in ["cancel_at = cancel_at + 1", "cancel_requestor = 'x'", "cancel_comment = ''"] {
        let statement = format!("UPDATE actions SET revision = revision + 1, {assignment} WHERE number = 2");
        refused(&raw, &statement, "an accepted cancel never changes");
    }
    for assignment in ["grant_epoch = grant_epoch + 1", "grant_journal = randomblob(16)"] {
        let statement = format!("UPDATE actions SET revision = revision + 1, {assignment} WHERE number = 2");
        refused(&raw, &statement, "grant");
    }
    let taken_back = "UPDATE actions SET revision = revision + 1, stage = 'Granted', cancel_at = NULL, \
                      cancel_requestor = NULL, cancel_comment = NULL WHERE number = 2";
    refused(&raw, taken_back, "an accepted cancel never changes");
}

#[tokio::test]
async fn a_request_never_changes_and_a_revision_rises_by_one() {
    let ground = Ground::new();
    three_actions(&ground.open()).await;
    let raw = ground.raw();
    for column in ["number", "id", "machine", "kind", "class", "body", "requestor", "comment", "expires_at"] {
        let statement = format!("UPDATE actions SET revision = revision + 1, {column} = {column} WHERE number = 3");
        refused(&raw, &statement, "what was requested never changes");
    }
    for revision in ["revision", "revision + 2", "revision - 1"] {
        let statement = format!("UPDATE actions SET revision = {revision} WHERE number = 3");
        refused(&raw, &statement, "rises by one");
    }
}

#[tokio::test]
async fn a_stage_has_the_data_that_belongs_to_it() {
    let ground = Ground::new();
    three_actions(&ground.open()).await;
    let raw = ground.raw();
    let granted = "grant_epoch = 1, grant_journal = randomblob(16)";
    let cancelled = "cancel_at = 1, cancel_requestor = 'x', cancel_comment = 'x'";
    for assignment in [
        "stage = 'Done'".to_string(),
        "stage = 'Granted'".into(),
        "stage = 'Cancelled'".into(),
        "stage = 'Succeeded'".into(),
        "stage = 'TimedOut'".into(),
        format!("stage = 'Stopping', {cancelled}"),
        format!("stage = 'Stopping', {granted}"),
        format!("stage = 'Cancelled', {granted}, {cancelled}"),
        format!("stage = 'Cancelled', {cancelled}, testimony = '{{}}'"),
        format!("stage = 'Granted', {granted}, testimony = '{{}}'"),
        "grant_epoch = 1".into(),
        "cancel_at = 1".into(),
    ] {
        let statement = format!("UPDATE actions SET revision = revision + 1, {assignment} WHERE number = 3");
        refused(&raw, &statement, "CHECK constraint failed");
    }
}

#[tokio::test]
async fn nothing_is_deleted() {
    let ground = Ground::new();
    three_actions(&ground.open()).await;
    let raw = ground.raw();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    refused(&raw, "DELETE FROM actions WHERE number = 3", "an action is never deleted");
    refused(&raw, "DELETE FROM history WHERE action = 3", "only ever added to");
    refused(&raw, "UPDATE history SET what = 'nothing to see' WHERE action = 3", "only ever added to");
    refused(&raw, "UPDATE history SET hash = hash WHERE action = 3", "only ever added to");
}

#[tokio::test]
async fn an_action_ends_once() {
    let ground = Ground::new();
    three_actions(&ground.open()).await;
    let again = "INSERT INTO history (action, sequence, at, source, what, stage, moved_to, hash) \
                 VALUES (1, 99, 0, 'Server', 'again', 'Cancelled', 'Cancelled', randomblob(32))";
    refused(&ground.raw(), again, "UNIQUE constraint failed: history.action");
}

#[tokio::test]
async fn the_one_line_of_a_change_that_moved_the_stage_says_where_to() {
    let ground = Ground::new();
    let world = ground.open();
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    // Granted again, to a newer session: no move.
    world.drive(action.id, claim(world.session(&machine).await)).await;
    world.drive(action.id, cancel()).await;
    world.drive(action.id, report(&world.load(action.id).await, world::STOPPED)).await;
    let raw = ground.raw();
    let mut moves = raw.prepare("SELECT sequence, moved_to FROM history WHERE moved_to IS NOT NULL").unwrap();
    let moves = moves.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let moves: Vec<(u32, String)> = moves.collect::<Result<_, _>>().unwrap();
    let expected = [(1, "Pending"), (2, "Granted"), (4, "Stopping"), (7, "Cancelled")];
    assert_eq!(moves, expected.map(|(at, to)| (at, to.to_string())));
}

#[tokio::test]
async fn one_is_open_for_a_class_and_one_is_live_of_a_kind() {
    let ground = Ground::new();
    let world = ground.open();
    let (machine, session) = world.connected().await;
    let open = world.action(machine.id, isolate()).await;
    world.drive(open.id, claim(session)).await;
    world.action(machine.id, Body::Release).await;
    let raw = ground.raw();
    let rival = "UPDATE actions SET revision = 2, stage = 'Granted', grant_epoch = 1, \
                 grant_journal = randomblob(16) WHERE number = 2";
    refused(&raw, rival, "UNIQUE constraint failed: actions.machine, actions.class");
    let twin = "INSERT INTO actions SELECT NULL, randomblob(16), machine, kind, class, body, requestor, comment, \
                source, external_id, created_at, updated_at, expires_at, 1, 'Pending', NULL, NULL, NULL, NULL, NULL, \
                NULL, NULL, scope FROM actions WHERE number = 1";
    refused(&raw, twin, "UNIQUE constraint failed: actions.machine, actions.kind");
}

#[tokio::test]
async fn what_only_rises_never_falls() {
    let ground = Ground::new();
    let world = ground.open();
    let (machine, _) = world.connected().await;
    let token = world.token(1).await;
    world.store.enrol(&world.unknown_machine(), &token.digest, world::START, &audited()).await.unwrap();
    let raw = ground.raw();
    for assignment in ["session = session - 1", "incarnation = 0", "id = randomblob(20)"] {
        refused(&raw, &format!("UPDATE machines SET {assignment}"), "only rise");
    }
    refused(&raw, "UPDATE commits SET number = number - 1", "only rises");
    refused(&raw, "INSERT INTO commits VALUES (2, 1)", "CHECK constraint failed");
    refused(&raw, "UPDATE enrol_tokens SET uses = uses + 1", "at most as often as it may be");
    assert_eq!(world.session(&machine).await.0, 2);
}

#[tokio::test]
async fn a_machine_is_enrolled_again_only_with_nothing_open_and_in_a_new_session() {
    let ground = Ground::new();
    let world = ground.open();
    let machine = world.machine().await;
    let open = world.granted(&machine, isolate()).await;
    let raw = ground.raw();
    let again = "UPDATE machines SET incarnation = incarnation + 1, session = session + 1";
    refused(&raw, again, "with nothing open on it");
    world.drive(open.id, report(&open, Ending::Finished)).await;
    refused(&raw, "UPDATE machines SET incarnation = incarnation + 1", "in a new session");
    world.action(machine.id, Body::Release).await;
    assert_eq!(raw.execute(again, []), Ok(1), "what waits is no grant");
    let token = world.token_for(machine.id).await;
    refused(&raw, "UPDATE enrol_tokens SET machine = NULL WHERE machine IS NOT NULL", "stays with its machine");
    refused(&raw, "UPDATE enrol_tokens SET uses_max = 2 WHERE machine IS NOT NULL", "CHECK constraint failed");
    assert_eq!(world.store.enrol_token(&token.digest).await.unwrap(), Some(token));
}

#[tokio::test]
async fn a_change_is_stamped_later_than_every_change_before_it() {
    let ground = Ground::new();
    let world = ground.open();
    three_actions(&world).await;
    let raw = ground.raw();
    let newest: i64 = raw.query_row("SELECT max(updated_at) FROM actions", [], |row| row.get(0)).unwrap();
    for at in [0, newest - 1, newest] {
        let change = format!("UPDATE actions SET revision = revision + 1, updated_at = {at} WHERE number = 3");
        refused(&raw, &change, "later than every change before it");
        let twin = format!(
            "INSERT INTO actions (id, machine, kind, class, body, requestor, comment, source, created_at, updated_at, \
             expires_at, revision, stage) SELECT randomblob(16), machine, 'Scan', class, body, requestor, comment, \
             source, created_at, {at}, expires_at, 1, 'Pending' FROM actions WHERE number = 3"
        );
        refused(&raw, &twin, "later than every change before it");
    }
    refused(&raw, "UPDATE actions SET scope = 'Quick'", "never changes");
    let change = format!("UPDATE actions SET revision = revision + 1, updated_at = {newest} + 1 WHERE number = 3");
    assert_eq!(raw.execute(&change, []), Ok(1));
}
