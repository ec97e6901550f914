//! Looking at everything on record, as an auditor would: by reading, not by trusting the guards.

use super::{columns, history};
use crate::StoreError;
use crate::audit::walk;
use crate::sql::statements;
use crate::sql::words::Word;
use domain::history::verify;
use domain::ids::ActionId;
use domain::lifecycle::Stage;
use rusqlite::Connection;
use uuid::Uuid;

/// What does not hold, one line each.
pub(super) fn look(connection: &Connection) -> Result<Vec<String>, StoreError> {
    // One snapshot for all of it.
    let transaction = connection.unchecked_transaction()?;
    let mut wrong = Vec::new();
    look_at_file(&transaction, &mut wrong)?;
    look_at_open(&transaction, &mut wrong)?;
    let mut after = 0;
    loop {
        let chunk = chunk(&transaction, after)?;
        let Some(last) = chunk.last() else { break };
        after = last.number;
        for entry in &chunk {
            look_at_action(&transaction, entry, &mut wrong)?;
        }
    }
    Ok(wrong)
}

struct Entry {
    number: i64,
    id: ActionId,
    stage: String,
}

fn chunk(connection: &Connection, after: i64) -> Result<Vec<Entry>, StoreError> {
    let mut statement = connection.prepare_cached(statements::CHUNK_OF_ACTIONS)?;
    let entries = statement.query_map((after, CHUNK), |row| {
        Ok(Entry { number: row.get(0)?, id: ActionId(Uuid::from_bytes(row.get(1)?)), stage: row.get(2)? })
    })?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

fn look_at_file(connection: &Connection, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let mut statement = connection.prepare("PRAGMA quick_check")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        let line = line?;
        if line != "ok" {
            wrong.push(format!("the data file is damaged: {line}"));
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    for table in statement.query_map([], |row| row.get::<_, String>(0))? {
        wrong.push(format!("a row of {} names another that is not there", table?));
    }
    Ok(())
}

fn look_at_open(connection: &Connection, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(statements::OPEN_TWICE)?;
    let twice = statement
        .query_map([], |row| Ok((columns::machine_id(row)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?;
    for found in twice {
        let (machine, class, count) = found?;
        wrong.push(format!("machine {machine} has {count} open actions of class {class}"));
    }
    Ok(())
}

fn look_at_action(connection: &Connection, entry: &Entry, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    let id = entry.id;
    match history::read(connection, id) {
        Ok(lines) => {
            if let Err(sequence) = verify(id, &lines) {
                wrong.push(format!("action {id}: the hash chain of its history breaks at line {sequence}"));
            }
        }
        Err(StoreError::Damaged(why)) => wrong.push(format!("action {id}: its history does not read: {why}")),
        Err(other) => return Err(other),
    }
    if let Err(StoreError::Damaged(why)) = super::listing::action(connection, id) {
        wrong.push(format!("action {id} does not read: {why}"));
    }
    let mut statement = connection.prepare_cached(statements::MOVES)?;
    let words: Vec<String> = statement.query_map([entry.number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let moves = words.iter().map(|word| Stage::read(word)).collect::<Result<Vec<_>, _>>();
    match (moves, Stage::read(&entry.stage)) {
        (Ok(moves), Ok(stage)) => wrong.extend(walk(&moves, stage).map(|why| format!("action {id}: {why}"))),
        _ => wrong.push(format!("action {id}: its stages do not read")),
    }
    Ok(())
}

/// How many actions are looked at between two reads.
const CHUNK: i64 = 1_000;
