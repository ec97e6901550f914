//! Enrolment tokens: who may enrol, how often, and as whom.

use super::writer::Unit;
use crate::sql::rows::count;
use crate::sql::statements;
use crate::{EnrolToken, Enrolled, StoreError};
use domain::audit::Entry;
use domain::ids::{Digest, MachineId};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Adds an enrolment token.
pub(super) fn add(unit: &mut Unit<'_>, token: &EnrolToken, audit: &Entry) -> Result<(), StoreError> {
    let connection = unit.connection;
    let machine: Option<i64> = match token.machine {
        None => None,
        Some(id) => Some(
            connection
                .prepare_cached(statements::MACHINE_NUMBER)?
                .query_row([id.0], |row| row.get(0))
                .optional()?
                .ok_or_else(|| StoreError::Refused(format!("there is no machine {id} to enrol again")))?,
        ),
    };
    connection.prepare_cached(statements::PUT_ENROL_TOKEN)?.execute(params![
        token.digest.0,
        token.uses_max,
        token.expires_at.0,
        machine
    ])?;
    unit.audit(audit)?;
    unit.count();
    Ok(())
}

/// One token.
pub(super) fn token(connection: &Connection, digest: &Digest) -> Result<Option<EnrolToken>, StoreError> {
    Ok(known(connection, digest)?.map(|(token, _)| token))
}

/// Why this token does not enrol: a new machine, or `machine` again. None: it does.
pub(super) fn refused(
    connection: &Connection,
    digest: &Digest,
    machine: Option<MachineId>,
    now: Timestamp,
) -> Result<Option<Enrolled>, StoreError> {
    Ok(match known(connection, digest)? {
        None => Some(Enrolled::UnknownToken),
        Some((token, _)) if now >= token.expires_at => Some(Enrolled::Expired),
        Some((token, uses)) if uses >= u64::from(token.uses_max) => Some(Enrolled::UsedUp),
        Some((token, _)) => (token.machine != machine).then_some(Enrolled::OtherMachine),
    })
}

/// Counts a use.
pub(super) fn use_once(connection: &Connection, digest: &Digest) -> Result<(), StoreError> {
    connection.prepare_cached(statements::USE_ENROL_TOKEN)?.execute([digest.0])?;
    Ok(())
}

/// A token, and how often it was used.
fn known(connection: &Connection, digest: &Digest) -> Result<Option<(EnrolToken, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(statements::ENROL_TOKEN)?;
    let mut rows = statement.query([digest.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let token = EnrolToken {
        digest: *digest,
        uses_max: row.get(0)?,
        expires_at: Timestamp(row.get(2)?),
        machine: row.get::<_, Option<[u8; 20]>>(3)?.map(MachineId),
    };
    Ok(Some((token, count(row.get(1)?)?)))
}
