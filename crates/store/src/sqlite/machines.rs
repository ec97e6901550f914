//! Machines: enrolment, sessions, and what they told.

use super::columns;
use super::writer::Unit;
use crate::sql::rows::{count, signed, to_json};
use crate::sql::statements;
use crate::{EnrolToken, Enrolled, MachineQuery, StoreError};
use domain::ids::{Digest, Epoch, MachineId};
use domain::machine::{Machine, Told};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

/// Adds an enrolment token.
pub(super) fn add_enrol_token(unit: &mut Unit<'_>, token: &EnrolToken) -> Result<(), StoreError> {
    unit.connection.prepare_cached(statements::PUT_ENROL_TOKEN)?.execute(params![
        token.digest.0,
        token.uses_max,
        token.expires_at.0
    ])?;
    unit.count();
    Ok(())
}

/// Adds a machine, and uses the token once.
pub(super) fn enrol(
    unit: &mut Unit<'_>,
    machine: &Machine,
    token: &Digest,
    now: Timestamp,
) -> Result<Enrolled, StoreError> {
    let connection = unit.connection;
    let found = connection
        .prepare_cached(statements::ENROL_TOKEN)?
        .query_row([token.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, Timestamp(row.get(2)?))))
        .optional()?;
    let Some((uses_max, uses, expires_at)) = found else { return Ok(Enrolled::UnknownToken) };
    if now >= expires_at {
        return Ok(Enrolled::Expired);
    }
    if uses >= uses_max {
        return Ok(Enrolled::UsedUp);
    }
    connection.prepare_cached(statements::INSERT_MACHINE)?.execute(params![
        machine.id.0,
        machine.name,
        folded(&machine.name),
        machine.incarnation,
        signed(machine.session.0)?,
        machine.first_seen.0,
        machine.last_seen.0,
        to_json(&machine.told)?,
    ])?;
    connection.prepare_cached(statements::USE_ENROL_TOKEN)?.execute([token.0])?;
    unit.count();
    Ok(Enrolled::Stored)
}

/// Opens a session; its number, or none for a machine or incarnation that is not there.
pub(super) fn open_session(
    unit: &mut Unit<'_>,
    machine: MachineId,
    incarnation: u32,
    told: &Told,
    now: Timestamp,
) -> Result<Option<Epoch>, StoreError> {
    let session: Option<i64> = unit
        .connection
        .prepare_cached(statements::OPEN_SESSION)?
        .query_row(params![to_json(told)?, now.0, machine.0, incarnation], |row| row.get(0))
        .optional()?;
    let Some(session) = session else { return Ok(None) };
    unit.count();
    Ok(Some(Epoch(count(session)?)))
}

/// Keeps that the machine was heard of.
pub(super) fn seen(unit: &mut Unit<'_>, machine: MachineId, now: Timestamp) -> Result<(), StoreError> {
    if unit.connection.prepare_cached(statements::SEEN)?.execute(params![now.0, machine.0])? > 0 {
        unit.count();
    }
    Ok(())
}

/// One machine.
pub(super) fn machine(connection: &Connection, id: MachineId) -> Result<Option<Machine>, StoreError> {
    let mut statement = connection.prepare_cached(statements::MACHINE)?;
    Ok(columns::machines(statement.query([id.0])?)?.pop())
}

/// Machines that match, by name.
pub(super) fn machines(connection: &Connection, query: &MachineQuery) -> Result<Vec<Machine>, StoreError> {
    let mut statement = connection.prepare_cached(&statements::machines(query))?;
    let id = query.id.map(|id| id.0);
    let name = query.name.as_deref().map(folded);
    let mut values: Vec<&dyn ToSql> = Vec::with_capacity(3);
    values.extend(id.as_ref().map(|id| id as &dyn ToSql));
    values.extend(name.as_ref().map(|name| name as &dyn ToSql));
    values.push(&query.limit);
    columns::machines(statement.query(values.as_slice())?)
}

/// How a name is compared: folded here and not by the engine, since engines fold differently beyond ASCII.
fn folded(name: &str) -> String {
    name.to_lowercase()
}
