//! Opening: what is refused, and what stands there afterwards.

use crate::Ground;
use crate::world::{audited, isolate};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use store::{SqliteConfig, SqliteStore, StoreError};

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

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
    assert!(why.contains("newer version (schema 99, this one knows 5)"), "{why}");
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

/// A file as the first version wrote it: a machine with an action that runs and one that waits, and a token used once.
fn write_as_version_1(raw: &mut rusqlite::Connection) {
    raw.pragma_update(None, "application_id", 0x4374_6d64).unwrap();
    migrations::migrations::runner().set_target(refinery::Target::Version(1)).run(raw).unwrap();
    let told = r#"{"os_platform":"Linux","os_version":"","agent_version":"","last_address":null,"boot_id":"","kinds":[],"journal":null}"#;
    raw.execute("INSERT INTO machines VALUES (1, zeroblob(20), 'Old', 'old', 1, 3, 7, 8, ?1)", [told]).unwrap();
    raw.execute_batch(
        r#"INSERT INTO actions SELECT number, id, 1, kind, 'Network', body, 'a', 'b', 'PublicApi', NULL, 1, 1, 9, 1,
               'Pending', NULL, NULL, NULL, NULL, NULL, NULL, NULL
           FROM (SELECT 1 AS number, zeroblob(16) AS id, 'Isolate' AS kind, '{"Isolate":{"scope":"Full"}}' AS body
                 UNION SELECT 2, x'00000000000000000000000000000001', 'Release', '"Release"');
           UPDATE actions SET stage = 'Granted', revision = 2, grant_epoch = 3, grant_journal = zeroblob(16)
               WHERE number = 1;
           INSERT INTO enrol_tokens VALUES (zeroblob(32), 2, 1, 9);"#,
    )
    .unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_version_opens_with_everything_that_is_in_it() {
    let ground = Ground::new();
    write_as_version_1(&mut ground.raw());
    let world = ground.open();
    let machine = world.store.machine(domain::MachineId([0; 20])).await.unwrap().unwrap();
    assert_eq!((machine.name.as_str(), machine.incarnation, machine.session.0), ("Old", 1, 3));
    let live = world.store.live_actions(machine.id).await.unwrap();
    let stages: Vec<_> = live.iter().map(domain::Action::stage).collect();
    assert_eq!(stages, [domain::Stage::Granted, domain::Stage::Pending]);
    let token = world.store.enrol_token(&domain::Digest([0; 32])).await.unwrap().unwrap();
    assert_eq!((token.uses_max, token.machine), (2, None));
    let (new, now) = (world.unknown_machine(), domain::Timestamp(1));
    for expected in [store::Enrolled::Stored, store::Enrolled::UsedUp] {
        assert_eq!(
            world.store.enrol(&new, &token.digest, now, &audited()).await.unwrap(),
            expected,
            "its uses were kept"
        );
    }
    // And what is new works on what is old.
    let bound = world.token_for(machine.id).await;
    let ends = vec![world.decide(live[0].id, domain::hello::on_enrolment(&live[0]).unwrap()).await];
    let again =
        store::Reenrolment { machine: machine.id, incarnation: 2, name: "Old".into(), told: machine.told, ends };
    assert_eq!(world.store.reenrol(&again, &bound.digest, now, &audited()).await.unwrap(), store::Enrolled::Stored);
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
