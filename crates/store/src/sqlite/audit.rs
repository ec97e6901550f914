//! The audit log: lines are added at its end, each bound to all before it.

use super::columns;
use crate::StoreError;
use crate::sql::rows::{count, signed};
use crate::sql::statements;
use domain::audit::{Entry, Head, StoredEntry};
use domain::ids::Digest;
use rusqlite::{Connection, params};

/// Adds a line after `before`, and says how far the log goes with it.
pub(super) fn append(connection: &Connection, before: Head, entry: &Entry) -> Result<Head, StoreError> {
    let head = before.after(entry);
    let refusal = entry.outcome.refusal();
    connection.prepare_cached(statements::APPEND_AUDIT)?.execute(params![
        signed(head.sequence)?,
        entry.at.0,
        entry.kind.word(),
        entry.caller,
        entry.address,
        entry.operation,
        entry.machine,
        entry.action,
        entry.object,
        entry.outcome.word(),
        refusal.map(|(status, _)| status),
        refusal.map(|(_, code)| code),
        entry.correlation,
        entry.comment.map(|digest| digest.0),
        entry.content.map(|digest| digest.0),
        entry.times,
        head.hash.0,
    ])?;
    Ok(head)
}

/// How far the log goes.
pub(super) fn head(connection: &Connection) -> Result<Head, StoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, Digest(row.get(1)?)));
    let (sequence, hash) = connection.prepare_cached(statements::AUDIT_HEAD)?.query_row([], read)?;
    Ok(Head { sequence: count(sequence)?, hash })
}

/// Keeps how far the log goes.
pub(super) fn set_head(connection: &Connection, head: Head) -> rusqlite::Result<()> {
    let sequence = i64::try_from(head.sequence).unwrap_or(i64::MAX);
    connection.prepare_cached(statements::SET_AUDIT_HEAD)?.execute(params![sequence, head.hash.0])?;
    Ok(())
}

/// Lines after this one, up to one that does not read.
pub(super) fn lines(connection: &Connection, after: u64, limit: u32) -> Result<Vec<StoredEntry>, StoreError> {
    let mut statement = connection.prepare_cached(statements::AUDIT_LINES)?;
    let mut rows = statement.query(params![signed(after)?, limit])?;
    let mut found: Vec<StoredEntry> = Vec::new();
    while let Some(row) = rows.next()? {
        match columns::audit_line(row) {
            Ok(line) => found.push(line),
            Err(_) if !found.is_empty() => break,
            Err(StoreError::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
            Err(error) => {
                let next = after.saturating_add(1);
                return Err(StoreError::Damaged(format!("line {next} of the audit log does not read: {error}")));
            }
        }
    }
    Ok(found)
}
