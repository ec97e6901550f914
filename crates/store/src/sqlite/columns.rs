//! Between SQLite's columns and plain rows.

use crate::sql::rows::{ActionRow, LineRow, StateRow, count, from_json};
use crate::{LibraryFile, StoreError};
use domain::audit::{CallerKind, Entry, Outcome, StoredEntry};
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::Machine;
use domain::time::Timestamp;
use rusqlite::Row;
use uuid::Uuid;

/// Every action of a statement that selects actions.
pub(super) fn actions(mut rows: rusqlite::Rows<'_>) -> Result<Vec<domain::Action>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(action(row)?.read()?);
    }
    Ok(found)
}

/// Every machine of a statement that selects machines.
pub(super) fn machines(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Machine>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(machine(row)?);
    }
    Ok(found)
}

/// Every action id in the first column.
pub(super) fn action_ids(rows: rusqlite::Rows<'_>) -> Result<Vec<ActionId>, StoreError> {
    Ok(rows.mapped(action_id).collect::<rusqlite::Result<_>>()?)
}

/// The action id in the first column.
pub(super) fn action_id(row: &Row<'_>) -> rusqlite::Result<ActionId> {
    Ok(ActionId(Uuid::from_bytes(row.get(0)?)))
}

/// The machine id in the first column.
pub(super) fn machine_id(row: &Row<'_>) -> rusqlite::Result<MachineId> {
    Ok(MachineId(row.get(0)?))
}

/// The digest in the first column.
pub(super) fn digest(row: &Row<'_>) -> rusqlite::Result<Digest> {
    Ok(Digest(row.get(0)?))
}

fn action(row: &Row<'_>) -> rusqlite::Result<ActionRow> {
    Ok(ActionRow {
        id: row.get(0)?,
        machine: row.get(1)?,
        body: row.get(2)?,
        requestor: row.get(3)?,
        comment: row.get(4)?,
        source: row.get(5)?,
        external_id: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
        expires_at: row.get(9)?,
        revision: row.get(10)?,
        stage: row.get(11)?,
        state: StateRow {
            grant_epoch: row.get(12)?,
            grant_journal: row.get(13)?,
            cancel_requestor: row.get(14)?,
            cancel_comment: row.get(15)?,
            cancel_at: row.get(16)?,
            timed_out_why: row.get(17)?,
            testimony: row.get(18)?,
        },
    })
}

/// A history line.
pub(super) fn line(row: &Row<'_>) -> rusqlite::Result<LineRow> {
    Ok(LineRow {
        sequence: row.get(0)?,
        at: row.get(1)?,
        source: row.get(2)?,
        what: row.get(3)?,
        stage: row.get(4)?,
        journal: row.get(5)?,
        fact: row.get(6)?,
        hash: row.get(7)?,
    })
}

fn machine(row: &Row<'_>) -> Result<Machine, StoreError> {
    let (told, tags): (String, String) = (row.get(6)?, row.get(7)?);
    Ok(Machine {
        id: machine_id(row)?,
        name: row.get(1)?,
        incarnation: row.get(2)?,
        session: Epoch(count(row.get(3)?)?),
        first_seen: Timestamp(row.get(4)?),
        last_seen: Timestamp(row.get(5)?),
        told: from_json(&told)?,
        tags: from_json(&tags)?,
    })
}

/// A library file.
pub(super) fn library_file(row: &Row<'_>) -> Result<LibraryFile, StoreError> {
    Ok(LibraryFile {
        name: row.get(0)?,
        sha256: Digest(row.get(1)?),
        size_bytes: count(row.get(2)?)?,
        description: row.get(3)?,
        parameters_description: row.get(4)?,
        has_parameters: row.get(5)?,
        created_by: row.get(6)?,
        created_at: Timestamp(row.get(7)?),
        updated_at: Timestamp(row.get(8)?),
    })
}

/// A line of the audit log.
pub(super) fn audit_line(row: &Row<'_>) -> Result<StoredEntry, StoreError> {
    let (kind, outcome): (String, String) = (row.get(2)?, row.get(9)?);
    let damaged = |what: &str| StoreError::Damaged(format!("its {what} is not one"));
    Ok(StoredEntry {
        sequence: count(row.get(0)?)?,
        entry: Entry {
            at: Timestamp(row.get(1)?),
            kind: CallerKind::from_word(&kind).ok_or_else(|| damaged("kind"))?,
            caller: row.get(3)?,
            address: row.get(4)?,
            operation: row.get(5)?,
            machine: row.get(6)?,
            action: row.get(7)?,
            object: row.get(8)?,
            outcome: Outcome::from_parts(&outcome, row.get(10)?, row.get(11)?).ok_or_else(|| damaged("outcome"))?,
            correlation: row.get(12)?,
            comment: row.get::<_, Option<[u8; 32]>>(13)?.map(Digest),
            content: row.get::<_, Option<[u8; 32]>>(14)?.map(Digest),
            times: row.get(15)?,
        },
        hash: Digest(row.get(16)?),
    })
}
