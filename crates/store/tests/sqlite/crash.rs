//! A process that is killed, and a disk that is full: what was acknowledged is there, and nothing else was.
//!
//! The process to be killed is this test program again, told by a variable to play that part.

use crate::Ground;
use crate::world::{World, action_id, audited, first_lines, isolate, terms};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use store::{Inserted, SqliteConfig, SqliteStore, StoreError};
use tokio::task::JoinSet;

/// The folder of the store to write to, for the process that plays the part.
const FOLDER: &str = "STORE_TEST_FOLDER";

/// How many writes must have been acknowledged before the kill.
const ACKNOWLEDGED: usize = 500;

/// This program again, as the test of this name, in that folder.
pub(crate) fn again(test: &str, ground: &Ground, before: &str) -> Command {
    let folder = ground.config.path.parent().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    let line = format!("{before} exec \"$0\" \"$@\"");
    command.args(["-c", &line]).arg(program).args(["--exact", test, "--nocapture"]).env(FOLDER, folder);
    command
}

/// The store to write to, in the process that plays the part.
pub(crate) fn part() -> Option<World> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    let store = SqliteStore::open(SqliteConfig::for_testing(&folder)).expect("the store opens");
    Some(World::new(Arc::new(store)))
}

/// Inserts one more isolation on a machine of its own, and says its number once it is acknowledged.
async fn write_one(world: &World) -> Result<u64, StoreError> {
    let machine = world.unknown_machine();
    let token = domain::Digest::of(b"token");
    world.store.enrol(&machine, &token, crate::world::START, &audited()).await?;
    let action = world.unknown_action(machine.id, isolate());
    assert!(matches!(world.store.insert(&action, &first_lines(&action), &terms()).await?, Inserted::Stored(_)));
    Ok(u64::try_from(action.id.0.as_u128()).unwrap())
}

async fn add_token(world: &World) {
    let token = store::EnrolToken {
        digest: domain::Digest::of(b"token"),
        uses_max: u32::MAX,
        expires_at: crate::world::START.plus_seconds(1),
        machine: None,
    };
    world.store.add_enrol_token(&token, &audited()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_has_kept_what_it_acknowledged() {
    if let Some(world) = part() {
        return write_for_ever(world).await;
    }
    let ground = Ground::new();
    let mut child = again("crash::a_killed_process_has_kept_what_it_acknowledged", &ground, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let acknowledged = read_until(&mut child, ACKNOWLEDGED);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(acknowledged.len() >= ACKNOWLEDGED);
    let world = ground.open();
    for number in acknowledged {
        world.sound_history(action_id(number)).await;
    }
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

/// Several at once, so that the kill falls into a group.
async fn write_for_ever(world: World) {
    add_token(&world).await;
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        writers.spawn(async move {
            loop {
                println!("acknowledged {}", write_one(&world).await.unwrap());
            }
        });
    }
    writers.join_next().await.unwrap().unwrap()
}

pub(crate) fn read_until(child: &mut Child, enough: usize) -> Vec<u64> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let numbers = lines.filter_map(|line| line.unwrap().strip_prefix("acknowledged ")?.parse().ok());
    numbers.take(enough).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_makes_writes_unavailable_and_loses_nothing_acknowledged() {
    if let Some(world) = part() {
        return write_until_full(world).await;
    }
    let ground = Ground::new();
    // A limit on the length of a file stands in for the end of the disk: 2,048 blocks of 512 bytes.
    let name = "crash::a_full_disk_makes_writes_unavailable_and_loses_nothing_acknowledged";
    let ended = again(name, &ground, "trap '' XFSZ; ulimit -S -f 2048;").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let world = ground.open();
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

async fn write_until_full(world: World) {
    add_token(&world).await;
    let mut acknowledged = Vec::new();
    let refused = loop {
        match write_one(&world).await {
            Ok(number) => acknowledged.push(number),
            Err(refused) => break refused,
        }
        assert!(acknowledged.len() < 100_000, "the disk does not fill");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(!acknowledged.is_empty());
    assert!(matches!(write_one(&world).await, Err(StoreError::Unavailable(_))), "still full");
    for number in &acknowledged {
        world.sound_history(action_id(*number)).await;
    }
    let freed =
        Command::new("prlimit").args(["--fsize=unlimited", "--pid", &std::process::id().to_string()]).status().unwrap();
    assert!(freed.success());
    let number = write_one(&world).await.expect("there is room again");
    for number in acknowledged.into_iter().chain([number]) {
        world.sound_history(action_id(number)).await;
    }
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}
