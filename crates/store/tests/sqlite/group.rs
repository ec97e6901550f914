//! Group commit: what waits together is committed together, and answered only then.

use crate::Ground;
use crate::world::{World, first_lines, isolate, terms};
use domain::action::Action;
use rusqlite::Connection;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use store::{Inserted, SqliteConfig, StoreError};

type Answer = Pin<Box<dyn Future<Output = Result<Inserted, StoreError>> + Send>>;

/// Asks for each insert, and returns once all wait. Nobody can have been answered: somebody else holds the write lock.
fn ask(world: &World, actions: &[Action]) -> Vec<Answer> {
    let mut context = Context::from_waker(Waker::noop());
    let ask_one = |action: &Action| {
        let (store, action) = (world.store.clone(), action.clone());
        let mut answer: Answer = Box::pin(async move { store.insert(&action, &first_lines(&action), &terms()).await });
        assert!(matches!(answer.as_mut().poll(&mut context), Poll::Pending), "answered before it was committed");
        answer
    };
    actions.iter().map(ask_one).collect()
}

/// How many commits stand in the log. A frame that ends one says how large the database is after it.
fn commits(config: &SqliteConfig) -> usize {
    const HEADER_BYTES: usize = 32;
    const FRAME_HEADER_BYTES: usize = 24;
    let log = std::fs::read(wal(&config.path)).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page_bytes = number(8) as usize;
    let salt = &log[16..24];
    log[HEADER_BYTES..]
        .chunks_exact(FRAME_HEADER_BYTES + page_bytes)
        .take_while(|frame| frame[8..16] == *salt)
        .filter(|frame| frame[4..8] != [0; 4])
        .count()
}

fn wal(path: &Path) -> std::path::PathBuf {
    path.with_file_name("store.db-wal")
}

fn hold_write_lock(ground: &Ground) -> Connection {
    let raw = ground.raw();
    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    raw
}

/// Isolations of as many machines, not on record yet.
async fn waiting(world: &World, count: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..count {
        let machine = world.machine().await;
        actions.push(world.unknown_action(machine.id, isolate()));
    }
    actions
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_together_is_one_commit() {
    let ground = Ground::new();
    let world = ground.open();
    let actions = waiting(&world, 100).await;
    let before = commits(&ground.config);
    let lock = hold_write_lock(&ground);
    let answers = ask(&world, &actions);
    lock.execute_batch("ROLLBACK").unwrap();
    for answer in answers {
        assert!(matches!(answer.await.unwrap(), Inserted::Stored(_)));
    }
    assert_eq!(commits(&ground.config) - before, 1);
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_a_limit() {
    let mut ground = Ground::new();
    ground.config.group_max = 10;
    let world = ground.open();
    let actions = waiting(&world, 100).await;
    let before = commits(&ground.config);
    let lock = hold_write_lock(&ground);
    let answers = ask(&world, &actions);
    lock.execute_batch("ROLLBACK").unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(commits(&ground.config) - before, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_takes_no_other_with_it() {
    let ground = Ground::new();
    let world = ground.open();
    let mut actions = waiting(&world, 9).await;
    // The fourth has the second's id, the sixth an unknown machine, the eighth is a second isolation of the first's.
    actions[3].id = actions[1].id;
    actions[5].machine = world.unknown_machine().id;
    actions[7].machine = actions[0].machine;
    let (before, number) = (commits(&ground.config), world.store.commit_number().await.unwrap());
    let lock = hold_write_lock(&ground);
    let answers = ask(&world, &actions);
    lock.execute_batch("ROLLBACK").unwrap();
    for (index, answer) in answers.into_iter().enumerate() {
        match (index, answer.await) {
            (3, Err(StoreError::Refused(_))) | (5, Ok(Inserted::NoMachine)) => {}
            (7, Ok(Inserted::AlreadyActive(active))) => assert_eq!(active, actions[0].id),
            (_, Ok(Inserted::Stored(_))) => assert_eq!(world.load(actions[index].id).await, actions[index]),
            (_, other) => panic!("{index}: {other:?}"),
        }
    }
    assert_eq!(commits(&ground.config) - before, 1);
    assert_eq!(world.store.commit_number().await.unwrap(), number + 6);
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_lock_that_is_not_let_go_makes_writes_unavailable_and_reads_go_on() {
    let mut ground = Ground::new();
    ground.config.busy_timeout = std::time::Duration::from_millis(50);
    let world = ground.open();
    let machine = world.machine().await;
    let lock = hold_write_lock(&ground);
    let action = world.unknown_action(machine.id, isolate());
    assert!(matches!(
        world.store.insert(&action, &first_lines(&action), &terms()).await,
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(world.store.machine(machine.id).await.unwrap(), Some(machine));
    assert_eq!(world.store.action(action.id).await.unwrap(), None);
    lock.execute_batch("ROLLBACK").unwrap();
    world.insert(&action).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_done_even_if_nobody_waits_for_its_answer() {
    let ground = Ground::new();
    let world = ground.open();
    let actions = waiting(&world, 1).await;
    let lock = hold_write_lock(&ground);
    drop(ask(&world, &actions));
    lock.execute_batch("ROLLBACK").unwrap();
    // Writes are done in the order in which they were asked for.
    world.machine().await;
    assert_eq!(world.load(actions[0].id).await, actions[0]);
}
