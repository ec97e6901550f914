//! The history: lines are added at its end, each bound to all before it.

use super::columns;
use crate::StoreError;
use crate::sql::rows::{count, fact_column, signed};
use crate::sql::statements;
use crate::sql::words::Word;
use domain::history::{CHAIN_START, Line, StoredLine, chain};
use domain::ids::{ActionId, Digest};
use domain::lifecycle::Stage;
use rusqlite::{Connection, OptionalExtension, params};

/// Adds the lines whose fact is not there yet; `moved_to` is the stage they move the action to, and is marked on the
/// last of them. Says whether there was any.
pub(super) fn append(
    connection: &Connection,
    action: ActionId,
    number: i64,
    lines: &[Line],
    moved_to: Option<Stage>,
) -> Result<bool, StoreError> {
    let last = connection
        .prepare_cached(statements::LAST_LINE)?
        .query_row([number], |row| Ok((row.get::<_, i64>(0)?, Digest(row.get(1)?))))
        .optional()?;
    let (mut sequence, mut hash) = match last {
        Some((sequence, hash)) => (count(sequence)?, hash),
        None => (0, CHAIN_START),
    };
    let new = unknown(connection, number, lines)?;
    let Some(last) = new.len().checked_sub(1) else {
        return match moved_to {
            None => Ok(false),
            Some(stage) => Err(StoreError::Refused(format!("{action} moves to {stage} without a line in its history"))),
        };
    };
    let mut statement = connection.prepare_cached(statements::INSERT_LINE)?;
    for (index, line) in new.into_iter().enumerate() {
        sequence += 1;
        hash = chain(hash, action, sequence, line);
        statement.execute(params![
            number,
            signed(sequence)?,
            line.at.0,
            line.source.word(),
            line.what,
            line.stage.word(),
            moved_to.filter(|_| index == last).map(Word::word),
            line.fact.map(|(journal, _)| *journal.0.as_bytes()),
            line.fact.map(|(_, number)| fact_column(number)),
            hash.0,
        ])?;
    }
    Ok(true)
}

/// How many lines there are.
pub(super) fn length(connection: &Connection, number: i64) -> Result<u64, StoreError> {
    let last = connection.prepare_cached(statements::LAST_LINE)?.query_row([number], |row| row.get(0)).optional()?;
    last.map_or(Ok(0), count)
}

/// The lines that are not there yet. A fact told twice within `lines` counts once.
fn unknown<'a>(connection: &Connection, number: i64, lines: &'a [Line]) -> Result<Vec<&'a Line>, StoreError> {
    let mut new: Vec<&Line> = Vec::with_capacity(lines.len());
    let mut told = std::collections::HashSet::new();
    for line in lines {
        if let Some((journal, fact)) = line.fact {
            let known = connection.prepare_cached(statements::FACT_KNOWN)?.exists(params![
                number,
                journal.0.as_bytes(),
                fact_column(fact)
            ])?;
            if known || !told.insert((journal, fact)) {
                continue;
            }
        }
        new.push(line);
    }
    Ok(new)
}

/// The history of an action, oldest first.
pub(super) fn read(connection: &Connection, action: ActionId) -> Result<Vec<StoredLine>, StoreError> {
    let mut statement = connection.prepare_cached(statements::HISTORY)?;
    let mut rows = statement.query([action.0.as_bytes()])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(columns::line(row)?.read()?);
    }
    Ok(lines)
}
