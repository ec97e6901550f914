//! Opening connections: to a file that is ours and not newer than we are, with settings that keep what is
//! acknowledged, or not at all.

use super::SqliteConfig;
use crate::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Keeps every other store from opening a file in the same folder, in this process and in others, until it is dropped.
/// Making a file, changing to a write-ahead log and migrating are each safe alone, but SQLite does not wait for its turn
/// in all of them.
pub(super) struct Turn {
    _folder: File,
}

impl Turn {
    /// Waits as long as a write would.
    pub(super) fn take(config: &SqliteConfig) -> Result<Self, StoreError> {
        let folder = folder(&config.path);
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("cannot lock the folder {}: {error}", folder.display()))
        };
        let opened = File::open(folder).map_err(|error| failed(&error))?;
        let mut waited = Duration::ZERO;
        loop {
            match opened.try_lock() {
                Ok(()) => return Ok(Self { _folder: opened }),
                Err(TryLockError::WouldBlock) if waited < config.busy_timeout => {
                    std::thread::sleep(TURN_STEP);
                    waited += TURN_STEP;
                }
                Err(error) => return Err(failed(&error)),
            }
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the data file if there is none, and brings it to this version's schema.
pub(super) fn prepare(config: &SqliteConfig) -> Result<(), StoreError> {
    if config.path.as_os_str().is_empty() || config.path == Path::new(":memory:") {
        return Err(StoreError::Unsafe("name a file: what is only in memory is lost at the first crash".into()));
    }
    make_file(&config.path)?;
    let mut connection = connect(config, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    claim_file(&mut connection, &config.path)?;
    keep_safe(&connection, &config.path)?;
    migrate(&mut connection, &config.path)?;
    // The planner needs to know how the tables are filled; at an untuned guess it walks whole tables.
    connection.execute_batch("PRAGMA optimize = 0x10002")?;
    Ok(())
}

/// The connection that writes.
pub(super) fn writer(config: &SqliteConfig) -> Result<Connection, StoreError> {
    let connection = connect(config, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    keep_safe(&connection, &config.path)?;
    connection.pragma_update(None, "cache_size", -i64::from(config.writer_cache_kib))?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(config: &SqliteConfig) -> Result<Connection, StoreError> {
    let connection = connect(config, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(config.reader_cache_kib))?;
    Ok(connection)
}

/// The connection that moves the write-ahead log into the data file.
pub(super) fn checkpointer(config: &SqliteConfig) -> Result<Connection, StoreError> {
    let connection = connect(config, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    keep_safe(&connection, &config.path)?;
    // It holds up the writer for as long as it waits for a reader.
    connection.busy_timeout(CHECKPOINT_WAIT)?;
    Ok(connection)
}

/// Made before SQLite opens it, so that it never stands there for others to read. SQLite gives the files beside it the
/// same mode.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let failed =
        |doing: &str, error: std::io::Error| StoreError::Unavailable(format!("{doing} {}: {error}", path.display()));
    match OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path) {
        Ok(file) => {
            file.sync_all().map_err(|error| failed("cannot write", error))?;
            File::open(folder(path))
                .and_then(|folder| folder.sync_all())
                .map_err(|error| failed("cannot write the folder of", error))
        }
        // Never opened here when it exists: closing it again would drop the locks of a store open in this process.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = fs::metadata(path).map_err(|error| failed("cannot look at", error))?;
            if found.permissions().mode() & 0o777 != OWNER_ONLY {
                fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))
                    .map_err(|error| failed("cannot keep others from reading", error))?;
            }
            Ok(())
        }
        Err(error) => Err(failed("cannot make", error)),
    }
}

fn connect(config: &SqliteConfig, access: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(&config.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(config.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // One plan for a statement, whatever values come: or SQLite prepares it again for each, at several times the cost of
    // running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Marks an empty file as ours, before anything else is written to it; leaves alone what another program made.
fn claim_file(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let no_database = |error: rusqlite::Error| match StoreError::from(error) {
        StoreError::Damaged(why) => StoreError::Unsafe(format!("{} is no SQLite database: {why}", path.display())),
        other => other,
    };
    if owner(connection).map_err(no_database)? == APPLICATION_ID {
        return Ok(());
    }
    // Looked at again under the lock: another process may be making the same store.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match owner(&transaction)? {
        APPLICATION_ID => Ok(()),
        0 if tables == 0 => {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            Ok(transaction.commit()?)
        }
        _ => Err(StoreError::Unsafe(format!(
            "{} is a database of another program; name another file for the store",
            path.display()
        ))),
    }
}

fn owner(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Sets what durability and the guards need, then reads back what stands: SQLite answers a setting that it cannot
/// follow with silence.
fn keep_safe(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without it, REPLACE deletes rows past the triggers.
    connection.pragma_update(None, "recursive_triggers", true)?;
    // A commit must not stop to move the log into the data file; the checkpoint thread does.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    check_safe(connection, path)
}

/// Refuses settings under which an acknowledged write could be lost.
fn check_safe(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if !journal.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Unsafe(format!(
            "SQLite's write-ahead log does not work at {} (journal_mode is {journal}); put the data file on a local disk \
             and see that no other program has it open",
            path.display()
        )));
    }
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if synchronous != SYNCHRONOUS_FULL && synchronous != SYNCHRONOUS_EXTRA {
        return Err(StoreError::Unsafe(format!(
            "synchronous is {synchronous} at {}, and an acknowledged write could be lost in a power cut; use a SQLite \
             built to allow FULL (2)",
            path.display()
        )));
    }
    let foreign_keys: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    if !foreign_keys {
        return Err(StoreError::Unsafe("this SQLite was built without foreign keys; use one with them".into()));
    }
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    refuse_newer(connection, path)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    migrations::migrations::runner().run(connection).map_err(|error| {
        StoreError::Unsafe(format!("{} cannot be brought to this version's schema: {error}", path.display()))
    })?;
    Ok(())
}

fn refuse_newer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let known = migrations::migrations::runner().get_migrations().iter().map(|one| i64::from(one.version())).max();
    let migrated: bool = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'",
        [],
        |row| row.get(0),
    )?;
    if !migrated {
        return Ok(());
    }
    let found: Option<i64> =
        connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Unsafe(format!(
            "{} was written by a newer version (schema {}, this one knows {}); start that version, or restore a backup \
             made before it",
            path.display(),
            found.unwrap_or_default(),
            known.unwrap_or_default()
        )));
    }
    Ok(())
}

/// Read and write for the owner, nothing for others.
const OWNER_ONLY: u32 = 0o600;

/// Marks a data file as ours: "Ctmd".
const APPLICATION_ID: i64 = 0x4374_6d64;

/// What `PRAGMA synchronous` says for FULL and for EXTRA.
const SYNCHRONOUS_FULL: i64 = 2;
const SYNCHRONOUS_EXTRA: i64 = 3;

/// How many prepared statements a connection keeps: all there are, and the commoner shapes of a listing.
const STATEMENTS_KEPT: usize = 96;

/// How long to wait before asking for a turn again.
const TURN_STEP: Duration = Duration::from_millis(5);

/// How long a checkpoint that empties the log waits for readers.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaker_settings_are_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let config = SqliteConfig::for_testing(folder.path());
        prepare(&config).unwrap();
        let weaker = |pragma: &str| {
            let connection = writer(&config).unwrap();
            connection.execute_batch(pragma).unwrap();
            check_safe(&connection, &config.path)
        };
        for pragma in ["PRAGMA synchronous = NORMAL", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF"] {
            assert!(matches!(weaker(pragma), Err(StoreError::Unsafe(_))), "{pragma}");
        }
        assert!(weaker("PRAGMA synchronous = EXTRA").is_ok());
        assert!(
            matches!(weaker("PRAGMA journal_mode = DELETE"), Err(StoreError::Unsafe(why)) if why.contains("local disk"))
        );
    }

    #[test]
    fn a_database_on_which_the_log_does_not_work_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        assert!(matches!(keep_safe(&connection, Path::new("memory")), Err(StoreError::Unsafe(_))));
    }
}
