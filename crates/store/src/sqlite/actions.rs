//! Writing actions: each function is one unit of the writer's transaction, and decides nothing.

use super::writer::Unit;
use super::{columns, history, keys, library};
use crate::sql::rows::{StateRow, signed, to_json};
use crate::sql::statements;
use crate::sql::words::Word;
use crate::stamp::stamp;
use crate::{Committed, Inserted, NOTED_LINES_MAX, StoreError, Stored, Terms};
use domain::action::Action;
use domain::audit::Entry;
use domain::decide::{Change, Needs};
use domain::history::Line;
use domain::ids::ActionId;
use domain::kind::Kind;
use domain::lifecycle::Stage;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Adds a new action.
pub(super) fn insert(
    unit: &mut Unit<'_>,
    action: &Action,
    lines: &[Line],
    terms: &Terms,
) -> Result<Inserted, StoreError> {
    let connection = unit.connection;
    if let Some(once) = &terms.once
        && let Some((request, first)) = keys::repeated(connection, &once.caller, &once.key, action.created_at)?
    {
        return Ok(if request == once.request { Inserted::Repeated(first) } else { Inserted::KeyTaken });
    }
    let machine: Option<i64> = connection
        .prepare_cached(statements::MACHINE_NUMBER)?
        .query_row([action.machine.0], |row| row.get(0))
        .optional()?;
    let Some(machine) = machine else { return Ok(Inserted::NoMachine) };
    if let (Kind::LiveResponse, Some(most)) = (action.kind(), terms.live_responses_max)
        && live_responses(connection)? >= most
    {
        return Ok(Inserted::TooMany);
    }
    let updated_at = next_stamp(connection, action.updated_at)?;
    let Some(number) = insert_row(connection, action, machine, updated_at)? else {
        let active = connection
            .prepare_cached(statements::LIVE_OF_KIND)?
            .query_row(params![machine, action.kind().word()], columns::action_id)?;
        return Ok(Inserted::AlreadyActive(active));
    };
    history::append(connection, action.id, number, lines, Some(action.stage()))?;
    library::hold(connection, number, &action.body)?;
    if let Some(once) = &terms.once {
        keys::keep(connection, once, number)?;
    }
    unit.audit(&terms.audit)?;
    Ok(Inserted::Stored(Stored { number: unit.count(), updated_at }))
}

/// When what is written now was changed.
fn next_stamp(connection: &Connection, decided: Timestamp) -> Result<Timestamp, StoreError> {
    let newest: Option<i64> = connection.prepare_cached(statements::NEWEST_UPDATE)?.query_row([], |row| row.get(0))?;
    stamp(decided, newest.map(Timestamp))
}

/// How many live responses are not final.
fn live_responses(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.prepare_cached(statements::LIVE_RESPONSES)?.query_row([], |row| row.get(0))?)
}

/// The row's number; none if an action of the same kind is live on the machine.
fn insert_row(
    connection: &Connection,
    action: &Action,
    machine: i64,
    updated_at: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let state = StateRow::of(&action.state)?;
    let mut statement = connection.prepare_cached(statements::INSERT_ACTION)?;
    let number = statement.query_row(
        params![
            action.id.0.as_bytes(),
            machine,
            action.kind().word(),
            action.kind().class().word(),
            to_json(&action.body)?,
            action.request.requestor,
            action.request.comment,
            action.request.source.word(),
            action.request.external_id,
            action.created_at.0,
            updated_at.0,
            action.expires_at.0,
            signed(action.revision)?,
            action.stage().word(),
            state.grant_epoch,
            state.grant_journal,
            state.cancel_requestor,
            state.cancel_comment,
            state.cancel_at,
            state.timed_out_why,
            state.testimony,
            action.body.scope().map(Word::word),
        ],
        |row| row.get(0),
    );
    Ok(number.optional()?)
}

/// Where an action stands on record.
struct Standing {
    number: i64,
    revision: i64,
    stage: String,
    machine: i64,
}

/// Commits a change if everything it was decided on still holds.
pub(super) fn commit(unit: &mut Unit<'_>, change: &Change, audit: Option<&Entry>) -> Result<Committed, StoreError> {
    let connection = unit.connection;
    let Some(standing) = standing(connection, change.action.id)? else { return Ok(Committed::Moved) };
    if standing.revision != signed(change.from_revision)? {
        return Ok(Committed::Moved);
    }
    if let Some(needs) = &change.needs
        && let Some(refused) = unmet(connection, &standing, &change.action, needs)?
    {
        return Ok(refused);
    }
    let updated_at = next_stamp(connection, change.action.updated_at)?;
    update_row(connection, &standing, &change.action, updated_at)?;
    let (from, to) = (Stage::read(&standing.stage)?, change.action.stage());
    history::append(connection, change.action.id, standing.number, &change.history, (from != to).then_some(to))?;
    if to.is_final() {
        library::release(connection, standing.number)?;
    }
    if let Some(entry) = audit {
        unit.audit(entry)?;
    }
    Ok(Committed::Stored(Stored { number: unit.count(), updated_at }))
}

/// What a change needs besides its revision, and does not find.
fn unmet(
    connection: &Connection,
    standing: &Standing,
    action: &Action,
    needs: &Needs,
) -> Result<Option<Committed>, StoreError> {
    let session: i64 =
        connection.prepare_cached(statements::MACHINE_SESSION)?.query_row([standing.machine], |row| row.get(0))?;
    if session != signed(needs.session.0)? {
        return Ok(Some(Committed::SessionMoved));
    }
    let Some(class) = needs.class else { return Ok(None) };
    // What is granted already has had its turn: whoever came on record since with an earlier time waits for it.
    let waits_its_turn = Stage::read(&standing.stage)? == Stage::Pending;
    let busy = connection
        .prepare_cached(statements::CLASS_BUSY)?
        .query_row(
            params![
                standing.machine,
                class.word(),
                standing.number,
                waits_its_turn,
                action.created_at.0,
                action.id.0.as_bytes()
            ],
            columns::action_id,
        )
        .optional()?;
    Ok(busy.map(Committed::ClassBusy))
}

fn update_row(
    connection: &Connection,
    standing: &Standing,
    action: &Action,
    updated_at: Timestamp,
) -> Result<(), StoreError> {
    let state = StateRow::of(&action.state)?;
    connection.prepare_cached(statements::UPDATE_ACTION)?.execute(params![
        updated_at.0,
        signed(action.revision)?,
        action.stage().word(),
        state.grant_epoch,
        state.grant_journal,
        state.cancel_requestor,
        state.cancel_comment,
        state.cancel_at,
        state.timed_out_why,
        state.testimony,
        standing.number,
    ])?;
    Ok(())
}

/// Adds lines to an action's history.
pub(super) fn note(unit: &mut Unit<'_>, action: ActionId, lines: &[Line]) -> Result<(), StoreError> {
    let Some(standing) = standing(unit.connection, action)? else {
        return Err(StoreError::Refused(format!("there is no action {action} to note anything of")));
    };
    let room = NOTED_LINES_MAX.saturating_sub(history::length(unit.connection, standing.number)?);
    let lines = lines.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(lines);
    if history::append(unit.connection, action, standing.number, lines, None)? {
        unit.count();
    }
    Ok(())
}

fn standing(connection: &Connection, id: ActionId) -> Result<Option<Standing>, StoreError> {
    let found = connection.prepare_cached(statements::STANDING)?.query_row([id.0.as_bytes()], |row| {
        Ok(Standing { number: row.get(0)?, revision: row.get(1)?, stage: row.get(2)?, machine: row.get(3)? })
    });
    Ok(found.optional()?)
}
