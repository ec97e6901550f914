//! Reading actions, and lists of machines. What these need of the indexes is tested by their query plans.

use super::columns;
use super::query::{self, Statement};
use crate::sql::rows::count;
use crate::sql::statements;
use crate::{ActionField, ActionQuery, Filter, MachineField, MachineQuery, StoreError};
use domain::action::Action;
use domain::ids::{ActionId, MachineId};
use domain::machine::Machine;
use domain::time::Timestamp;
use rusqlite::{Connection, params_from_iter};

/// One action.
pub(super) fn action(connection: &Connection, id: ActionId) -> Result<Option<Action>, StoreError> {
    let mut statement = connection.prepare_cached(statements::ACTION)?;
    Ok(columns::actions(statement.query([id.0.as_bytes()])?)?.pop())
}

/// Actions that match, in the order that is asked for. Not kept prepared: what callers ask for would drive out of the
/// cache what is run all the time.
pub(super) fn actions(connection: &Connection, query: &ActionQuery) -> Result<Vec<Action>, StoreError> {
    let Statement { text, values } = query::actions(query);
    columns::actions(connection.prepare(&text)?.query(params_from_iter(values))?)
}

/// How many actions pass.
pub(super) fn count_actions(connection: &Connection, filter: &Filter<ActionField>) -> Result<u64, StoreError> {
    counted(connection, query::count_actions(filter))
}

/// Machines that match, in the order that is asked for.
pub(super) fn machines(connection: &Connection, query: &MachineQuery) -> Result<Vec<Machine>, StoreError> {
    let Statement { text, values } = query::machines(query);
    columns::machines(connection.prepare(&text)?.query(params_from_iter(values))?)
}

/// How many machines pass.
pub(super) fn count_machines(connection: &Connection, filter: &Filter<MachineField>) -> Result<u64, StoreError> {
    counted(connection, query::count_machines(filter))
}

fn counted(connection: &Connection, statement: Statement) -> Result<u64, StoreError> {
    let Statement { text, values } = statement;
    count(connection.prepare(&text)?.query_row(params_from_iter(values), |row| row.get(0))?)
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
