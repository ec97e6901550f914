//! Reading actions. What these need of the indexes is tested by their query plans.

use super::columns;
use crate::sql::statements;
use crate::{ActionQuery, StoreError};
use domain::action::Action;
use domain::ids::{ActionId, MachineId};
use domain::time::Timestamp;
use rusqlite::{Connection, ToSql};

/// One action.
pub(super) fn action(connection: &Connection, id: ActionId) -> Result<Option<Action>, StoreError> {
    let mut statement = connection.prepare_cached(statements::ACTION)?;
    Ok(columns::actions(statement.query([id.0.as_bytes()])?)?.pop())
}

/// Actions that match, newest first.
pub(super) fn actions(connection: &Connection, query: &ActionQuery) -> Result<Vec<Action>, StoreError> {
    let mut statement = connection.prepare_cached(&statements::actions(query))?;
    let id = query.id.map(|id| *id.0.as_bytes());
    let machine = query.machine.map(|machine| machine.0);
    let mut values: Vec<&dyn ToSql> = Vec::with_capacity(3);
    values.extend(id.as_ref().map(|id| id as &dyn ToSql));
    values.extend(machine.as_ref().map(|machine| machine as &dyn ToSql));
    values.push(&query.limit);
    columns::actions(statement.query(values.as_slice())?)
}

/// The actions of a machine that are not final, oldest first.
pub(super) fn live(connection: &Connection, machine: MachineId) -> Result<Vec<Action>, StoreError> {
    let mut statement = connection.prepare_cached(statements::LIVE_ACTIONS)?;
    columns::actions(statement.query([machine.0])?)
}

/// The machines that have such actions.
pub(super) fn machines_with_live(connection: &Connection) -> Result<Vec<MachineId>, StoreError> {
    let mut statement = connection.prepare_cached(statements::MACHINES_WITH_LIVE)?;
    let machines = statement.query_map([], columns::machine_id)?;
    Ok(machines.collect::<rusqlite::Result<_>>()?)
}

/// Actions whose time is up.
pub(super) fn overdue(
    connection: &Connection,
    now: Timestamp,
    unseen_since: Timestamp,
    limit: u32,
) -> Result<Vec<ActionId>, StoreError> {
    let mut statement = connection.prepare_cached(statements::OVERDUE_PENDING)?;
    let mut found = columns::action_ids(statement.query((now.0, limit))?)?;
    let room = i64::from(limit) - found.len() as i64;
    if room > 0 {
        let mut statement = connection.prepare_cached(statements::OVERDUE_OPEN)?;
        found.extend(columns::action_ids(statement.query((unseen_since.0, room))?)?);
    }
    Ok(found)
}
