//! The library. Content stands apart from the files, by its digest, for as long as a file or an action that is not
//! final names it; an action runs the bytes that were authorised, whatever became of the file since.

use super::columns;
use super::writer::Unit;
use crate::sql::rows::signed;
use crate::sql::statements;
use crate::{LibraryFile, LibraryPut, StoreError};
use domain::action::Body;
use domain::audit::Entry;
use domain::ids::Digest;
use rusqlite::{Connection, OptionalExtension, params};

/// Adds or replaces a file.
pub(super) fn put(
    unit: &mut Unit<'_>,
    file: &LibraryFile,
    content: &[u8],
    replace: bool,
    audit: &Entry,
) -> Result<LibraryPut, StoreError> {
    if Digest::of(content) != file.sha256 || content.len() as u64 != file.size_bytes {
        return Err(StoreError::Refused(format!("the content of {} is not what its digest and length say", file.name)));
    }
    let connection = unit.connection;
    let before = connection
        .prepare_cached(statements::LIBRARY_FILE_CONTENT)?
        .query_row([&file.name], columns::digest)
        .optional()?;
    if before.is_some() && !replace {
        return Ok(LibraryPut::Exists);
    }
    connection.prepare_cached(statements::PUT_CONTENT)?.execute(params![file.sha256.0, content])?;
    connection.prepare_cached(statements::PUT_LIBRARY_FILE)?.execute(params![
        file.name,
        file.sha256.0,
        signed(file.size_bytes)?,
        file.description,
        file.parameters_description,
        file.has_parameters,
        file.created_by,
        file.created_at.0,
        file.updated_at.0,
    ])?;
    if let Some(before) = before {
        forget_unnamed(connection, &before)?;
    }
    unit.audit(audit)?;
    unit.count();
    Ok(LibraryPut::Stored)
}

/// Deletes a file; false if there is none of that name.
pub(super) fn delete(unit: &mut Unit<'_>, name: &str, audit: &Entry) -> Result<bool, StoreError> {
    let sha256 = unit
        .connection
        .prepare_cached(statements::DELETE_LIBRARY_FILE)?
        .query_row([name], columns::digest)
        .optional()?;
    let Some(sha256) = sha256 else { return Ok(false) };
    forget_unnamed(unit.connection, &sha256)?;
    unit.audit(audit)?;
    unit.count();
    Ok(true)
}

/// Holds the contents that a new action names.
pub(super) fn hold(connection: &Connection, action: i64, body: &Body) -> Result<(), StoreError> {
    for file in body.commands().iter().filter_map(|command| command.library()) {
        connection.prepare_cached(statements::USE_CONTENT)?.execute(params![action, file.sha256.0])?;
    }
    Ok(())
}

/// Lets go of the contents that an action held, now that it is final.
pub(super) fn release(connection: &Connection, action: i64) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(statements::END_USES)?;
    let held: Vec<Digest> = statement.query_map([action], columns::digest)?.collect::<rusqlite::Result<_>>()?;
    for sha256 in held {
        forget_unnamed(connection, &sha256)?;
    }
    Ok(())
}

fn forget_unnamed(connection: &Connection, sha256: &Digest) -> Result<(), StoreError> {
    connection.prepare_cached(statements::FORGET_CONTENT)?.execute([sha256.0])?;
    Ok(())
}

/// Library files, by name.
pub(super) fn files(connection: &Connection) -> Result<Vec<LibraryFile>, StoreError> {
    let mut statement = connection.prepare_cached(statements::LIBRARY_FILES)?;
    let mut rows = statement.query([])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(columns::library_file(row)?);
    }
    Ok(files)
}

/// Library content by its digest.
pub(super) fn content(connection: &Connection, sha256: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(connection.prepare_cached(statements::LIBRARY_CONTENT)?.query_row([sha256.0], |row| row.get(0)).optional()?)
}
