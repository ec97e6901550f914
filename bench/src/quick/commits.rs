//! How many rows this disk and this SQLite take a second at best: the same settings and the same groups as the store's,
//! by one thread that does nothing else.

use crate::figures;
use rusqlite::{Connection, params};
use std::time::{Duration, Instant};

/// How many rows are committed together, like the store's groups under this load.
const GROUP: usize = 64;

/// For how long rows are written.
const FOR: Duration = Duration::from_secs(3);

/// A row like that of an action, and a line like that of its history.
const TABLES: &str = "
CREATE TABLE actions (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, machine INTEGER NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, requestor TEXT NOT NULL, comment TEXT NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, revision INTEGER NOT NULL, stage TEXT NOT NULL
) STRICT;
CREATE INDEX actions_of_machine ON actions (machine);
CREATE TABLE history (
    action INTEGER NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, source TEXT NOT NULL,
    what TEXT NOT NULL, stage TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (action, sequence)
) STRICT, WITHOUT ROWID;
";

/// Measures it.
///
/// # Errors
/// The disk, or SQLite.
pub(super) fn per_second() -> anyhow::Result<f64> {
    // Beside the fleet's own folder: on the same disk.
    let folder = tempfile::Builder::new().prefix("countermand-bench-").tempdir()?;
    let mut connection = Connection::open(folder.path().join("limit.db"))?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLES)?;
    let began = Instant::now();
    let mut rows = 0;
    while began.elapsed() < FOR {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for _ in 0..GROUP {
            rows += 1;
            write(&transaction, rows)?;
        }
        transaction.commit()?;
    }
    let rate = figures::per_second(rows, began.elapsed());
    drop(connection);
    folder.close()?;
    Ok(rate)
}

fn write(connection: &Connection, row: usize) -> rusqlite::Result<()> {
    let number = i64::try_from(row).unwrap_or(i64::MAX);
    // Ids that rise, as those of actions do.
    let id = (row as u128).to_be_bytes();
    let hash = [row.to_le_bytes(); 4].concat();
    connection
        .prepare_cached("INSERT INTO actions VALUES (?1, ?2, ?3, 'LiveResponse', ?4, ?5, ?6, ?7, ?7, 1, 'Pending')")?
        .execute(params![number, id, number % 1000, BODY, REQUESTOR, "bench 000001", number])?;
    connection
        .prepare_cached("INSERT INTO history VALUES (?1, 1, ?2, 'Caller', ?3, 'Pending', ?4)")?
        .execute(params![number, number, WHAT, hash])?;
    Ok(())
}

/// Texts as long as real ones.
const BODY: &str = "{\"LiveResponse\":{\"commands\":[{\"RunScript\":{\"script\":{\"name\":\"noop.sh\",\"sha256\":\
                    \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"},\"args\":null}}]}}";
const REQUESTOR: &str = "01234567-89ab-cdef-0123-456789abcdef";
const WHAT: &str = "requested by 01234567-89ab-cdef-0123-456789abcdef";
