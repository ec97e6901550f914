//! Applications and settings.

use super::writer::Unit;
use crate::sql::rows::{count, from_json, to_json};
use crate::sql::statements;
use crate::{Application, StoreError};
use domain::audit::Entry;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Adds or replaces an application.
pub(super) fn put_application(unit: &mut Unit<'_>, application: &Application, audit: &Entry) -> Result<(), StoreError> {
    unit.connection.prepare_cached(statements::PUT_APPLICATION)?.execute(params![
        application.client_id,
        application.name,
        application.secret_hash,
        to_json(&application.permissions)?,
        application.created_at.0,
    ])?;
    unit.audit(audit)?;
    unit.count();
    Ok(())
}

/// One application.
pub(super) fn application(connection: &Connection, client_id: &str) -> Result<Option<Application>, StoreError> {
    let mut statement = connection.prepare_cached(statements::APPLICATION)?;
    let mut rows = statement.query([client_id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let permissions: String = row.get(3)?;
    Ok(Some(Application {
        client_id: row.get(0)?,
        name: row.get(1)?,
        secret_hash: row.get(2)?,
        permissions: from_json(&permissions)?,
        created_at: Timestamp(row.get(4)?),
    }))
}

/// A setting, if there is one of that name.
pub(super) fn setting(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    Ok(connection.prepare_cached(statements::SETTING)?.query_row([name], |row| row.get(0)).optional()?)
}

/// Keeps a setting if there is none of that name yet, and says what stands.
pub(super) fn put_setting(unit: &mut Unit<'_>, name: &str, otherwise: &str) -> Result<String, StoreError> {
    if unit.connection.prepare_cached(statements::PUT_SETTING)?.execute([name, otherwise])? > 0 {
        unit.count();
    }
    let stands = setting(unit.connection, name)?;
    stands.ok_or_else(|| StoreError::Damaged(format!("the setting {name} is neither there nor can it be kept")))
}

/// The number of the last commit.
pub(super) fn commit_number(connection: &Connection) -> Result<u64, StoreError> {
    count(connection.prepare_cached(statements::COMMIT_NUMBER)?.query_row([], |row| row.get(0))?)
}
