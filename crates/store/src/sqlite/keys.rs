//! The keys under which callers repeat a request.

use super::columns;
use super::writer::Unit;
use crate::sql::statements;
use crate::{Once, StoreError};
use domain::ids::{ActionId, Digest};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// What was asked for under a key that has not expired at `now`, and the action it led to.
pub(super) fn repeated(
    connection: &Connection,
    caller: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<(Digest, ActionId)>, StoreError> {
    let found = connection.prepare_cached(statements::KEY)?.query_row(params![caller, key, now.0], |row| {
        Ok((columns::digest(row)?, ActionId(Uuid::from_bytes(row.get(1)?))))
    });
    Ok(found.optional()?)
}

/// Keeps what was asked for under a key that is free, or has expired.
pub(super) fn keep(connection: &Connection, once: &Once, action: i64) -> Result<(), StoreError> {
    connection.prepare_cached(statements::FORGET_KEY)?.execute([&once.caller, &once.key])?;
    connection.prepare_cached(statements::KEEP_KEY)?.execute(params![
        once.caller,
        once.key,
        once.request.0,
        action,
        once.expires_at.0
    ])?;
    Ok(())
}

/// Forgets keys that have expired; how many.
pub(super) fn forget(unit: &mut Unit<'_>, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
    let forgotten = unit.connection.prepare_cached(statements::FORGET_KEYS)?.execute(params![now.0, limit])?;
    if forgotten > 0 {
        unit.count();
    }
    Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
}
