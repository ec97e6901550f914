//! Opening: what is refused, and what stands there afterwards.

use crate::Ground;
use crate::world::isolate;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use store::{SqliteConfig, SqliteStore, StoreError};

fn refusal(config: &SqliteConfig) -> String {
    match SqliteStore::open(config.clone()) {
        Err(StoreError::Unsafe(why)) => why,
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(_) => panic!("opened"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_of_a_newer_schema_is_refused_and_left_alone() {
    let ground = Ground::new();
    drop(ground.open());
    let newer = "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '0')";
    ground.raw().execute(newer, []).unwrap();
    let before = fs::read(&ground.config.path).unwrap();
    let why = refusal(&ground.config);
    assert!(why.contains("newer version (schema 99, this one knows 1)"), "{why}");
    assert_eq!(fs::read(&ground.config.path).unwrap(), before);
}

#[test]
fn a_migration_that_was_altered_since_is_refused() {
    let ground = Ground::new();
    drop(ground.open());
    ground.raw().execute("UPDATE refinery_schema_history SET checksum = '1'", []).unwrap();
    let why = refusal(&ground.config);
    assert!(why.contains("cannot be brought to this version's schema"), "{why}");
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let ground = Ground::new();
    ground.raw().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let before = fs::read(&ground.config.path).unwrap();
    let why = refusal(&ground.config);
    assert!(why.contains("another program"), "{why}");
    assert_eq!(fs::read(&ground.config.path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let ground = Ground::new();
    let text = "Dear diary, ".repeat(100);
    fs::write(&ground.config.path, &text).unwrap();
    let why = refusal(&ground.config);
    assert!(why.contains("no SQLite database"), "{why}");
    assert_eq!(fs::read_to_string(&ground.config.path).unwrap(), text);
}

#[test]
fn memory_is_refused() {
    for path in [":memory:", ""] {
        let why = refusal(&SqliteConfig::at(path));
        assert!(why.contains("name a file"), "{why}");
        assert!(!Path::new(":memory:").exists());
    }
}

#[test]
fn a_missing_folder_is_not_made() {
    let ground = Ground::new();
    let config = SqliteConfig::at(ground.config.path.with_file_name("missing").join("store.db"));
    assert!(matches!(SqliteStore::open(config), Err(StoreError::Unavailable(_))));
}

#[test]
fn a_file_that_another_program_keeps_without_a_log_is_not_opened() {
    let ground = Ground::new();
    drop(ground.open());
    let other = ground.raw();
    other.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM actions").unwrap();
    let config = SqliteConfig { busy_timeout: Duration::from_millis(20), ..ground.config.clone() };
    assert!(matches!(SqliteStore::open(config), Err(StoreError::Unavailable(_) | StoreError::Unsafe(_))));
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let ground = Ground::new();
    let world = ground.open();
    world.machine().await;
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        assert_eq!(mode(&ground.config.path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_others_can_read_is_closed_to_them() {
    let ground = Ground::new();
    drop(ground.open());
    fs::set_permissions(&ground.config.path, Permissions::from_mode(0o644)).unwrap();
    let _world = ground.open();
    assert_eq!(mode(&ground.config.path), 0o600);
}

#[tokio::test]
async fn everything_is_still_there_after_opening_again_and_the_log_is_gone() {
    let ground = Ground::new();
    let world = ground.open();
    let machine = world.machine().await;
    let action = world.granted(&machine, isolate()).await;
    let number = world.store.commit_number().await.unwrap();
    drop(world);
    let log = fs::metadata(ground.config.path.with_file_name("store.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "closing moved the log into the file");
    let world = ground.open();
    assert_eq!(world.load(action.id).await, action);
    assert_eq!(world.store.commit_number().await.unwrap(), number);
    assert_eq!(world.store.integrity().await.unwrap(), Vec::<String>::new());
}

#[test]
fn several_may_make_the_same_store_at_once() {
    let ground = Ground::new();
    let gate = Arc::new(Barrier::new(8));
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let (gate, config) = (Arc::clone(&gate), ground.config.clone());
            std::thread::spawn(move || {
                gate.wait();
                SqliteStore::open(config).map(drop)
            })
        })
        .collect();
    for opener in openers {
        opener.join().unwrap().expect("opens");
    }
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_other_and_count_commits_together() {
    let ground = Ground::new();
    let (one, other) = (ground.open(), ground.open());
    let machine = one.machine().await;
    for _ in 0..20 {
        let before = one.store.commit_number().await.unwrap();
        one.store.seen(machine.id, crate::world::START).await.unwrap();
        other.session(&machine).await;
        assert_eq!(one.store.commit_number().await.unwrap(), before + 2);
    }
    let session = one.store.machine(machine.id).await.unwrap().unwrap().session;
    assert_eq!(session.0, 20);
}
