//! Machines: enrolment, sessions, and what they told.

use super::writer::Unit;
use super::{actions, columns, enrol_tokens};
use crate::query::folded;
use crate::sql::rows::{count, signed, to_json};
use crate::sql::statements;
use crate::{Committed, Enrolled, Reenrolment, StoreError, Tagged};
use domain::audit::Entry;
use domain::ids::{ActionId, Digest, Epoch, MachineId};
use domain::machine::{Machine, TagChange, Told};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// Adds a machine, and uses the token once.
pub(super) fn enrol(
    unit: &mut Unit<'_>,
    machine: &Machine,
    token: &Digest,
    now: Timestamp,
    audit: &Entry,
) -> Result<Enrolled, StoreError> {
    let connection = unit.connection;
    if let Some(why) = enrol_tokens::refused(connection, token, None, now)? {
        return Ok(why);
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
        to_json(&machine.tags)?,
    ])?;
    enrol_tokens::use_once(connection, token)?;
    unit.audit(audit)?;
    unit.count();
    Ok(Enrolled::Stored)
}

/// Enrols a machine again, and ends what is open on it.
pub(super) fn reenrol(
    unit: &mut Unit<'_>,
    again: &Reenrolment,
    token: &Digest,
    now: Timestamp,
    audit: &Entry,
) -> Result<Enrolled, StoreError> {
    let connection = unit.connection;
    if let Some(why) = enrol_tokens::refused(connection, token, Some(again.machine), now)? {
        return Ok(why);
    }
    let (number, incarnation): (i64, u32) = connection
        .prepare_cached(statements::ENROLLED)?
        .query_row([again.machine.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if incarnation.checked_add(1) != Some(again.incarnation) || open_on(connection, number)? != ended_by(again)? {
        return Ok(Enrolled::Moved);
    }
    for change in &again.ends {
        let committed = actions::commit(unit, change, None)?;
        if !matches!(committed, Committed::Stored(_)) {
            return Err(StoreError::Refused(format!("{} does not end: {committed:?}", change.action.id)));
        }
    }
    let told = to_json(&again.told)?;
    let values = params![again.incarnation, again.name, folded(&again.name), told, now.0, number];
    connection.prepare_cached(statements::REENROL)?.execute(values)?;
    enrol_tokens::use_once(connection, token)?;
    unit.audit(audit)?;
    unit.count();
    Ok(Enrolled::Stored)
}

/// What is open on a machine, with the revision at which it stands.
fn open_on(connection: &Connection, machine: i64) -> Result<BTreeSet<(ActionId, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(statements::OPEN_ON)?;
    let open = statement.query_map([machine], |row| Ok((columns::action_id(row)?, row.get(1)?)))?;
    Ok(open.collect::<rusqlite::Result<_>>()?)
}

/// What an enrolment ends, with the revision it was decided on.
fn ended_by(again: &Reenrolment) -> Result<BTreeSet<(ActionId, i64)>, StoreError> {
    again.ends.iter().map(|change| Ok((change.action.id, signed(change.from_revision)?))).collect()
}

/// Changes a machine's tags.
pub(super) fn tag(unit: &mut Unit<'_>, id: MachineId, change: &TagChange, audit: &Entry) -> Result<Tagged, StoreError> {
    let Some(mut machine) = machine(unit.connection, id)? else { return Ok(Tagged::NoMachine) };
    let Ok(tags) = machine.tags_after(change) else { return Ok(Tagged::TooMany) };
    machine.tags = tags;
    unit.connection.prepare_cached(statements::TAG)?.execute(params![to_json(&machine.tags)?, id.0])?;
    unit.audit(audit)?;
    unit.count();
    Ok(Tagged::Stored(Box::new(machine)))
}

/// Opens a session; its number, or none for a machine or incarnation that is not there.
pub(super) fn open_session(
    unit: &mut Unit<'_>,
    (machine, incarnation, after): (MachineId, u32, Epoch),
    told: &Told,
    now: Timestamp,
) -> Result<Option<Epoch>, StoreError> {
    let session: Option<i64> = unit
        .connection
        .prepare_cached(statements::OPEN_SESSION)?
        .query_row(params![to_json(told)?, now.0, machine.0, incarnation, signed(after.0)?], |row| row.get(0))
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
