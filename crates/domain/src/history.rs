//! The history of one action: what happened, when, and who attests it. Append-only and hash-chained, so that a line
//! cannot be altered, dropped or moved without it showing.

use crate::ids::{ActionId, Digest, JournalId};
use crate::lifecycle::Stage;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One line, before it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Line {
    /// When, by the clock of its source.
    pub at: Timestamp,
    /// Who says so.
    pub source: Source,
    /// What happened, in plain words.
    pub what: String,
    /// The stage after it.
    pub stage: Stage,
    /// For a machine's fact, where it stands in the machine's journal: the same fact told twice is stored once.
    pub fact: Option<(JournalId, u64)>,
}

/// Who attests a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// Our own record of a caller's request.
    Caller,
    /// Our own record.
    Server,
    /// The machine's journal.
    Machine,
}

/// One line as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLine {
    /// Its number within the action, from 1, without gaps.
    pub sequence: u64,
    /// The line.
    pub line: Line,
    /// The chain up to and including it.
    pub hash: Digest,
}

/// The hash that starts every action's chain.
pub const CHAIN_START: Digest = Digest([0; 32]);

/// The chain after `line`, which is number `sequence` of `action`.
pub fn chain(previous: Digest, action: ActionId, sequence: u64, line: &Line) -> Digest {
    let mut bytes = Vec::with_capacity(160 + line.what.len());
    bytes.extend_from_slice(b"countermand history 1\0");
    bytes.extend_from_slice(&previous.0);
    bytes.extend_from_slice(action.0.as_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&line.at.0.to_be_bytes());
    bytes.push(line.source as u8);
    bytes.push(line.stage as u8);
    match line.fact {
        None => bytes.push(0),
        Some((journal, number)) => {
            bytes.push(1);
            bytes.extend_from_slice(journal.0.as_bytes());
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
    // Last and of open length, so nothing can move across a field border.
    bytes.extend_from_slice(line.what.as_bytes());
    Digest::of(&bytes)
}

/// Checks a whole history; the error is the number of the first line that does not fit.
pub fn verify(action: ActionId, lines: &[StoredLine]) -> Result<(), u64> {
    let mut previous = CHAIN_START;
    for (index, stored) in lines.iter().enumerate() {
        let expected = chain(previous, action, index as u64 + 1, &stored.line);
        if stored.sequence != index as u64 + 1 || stored.hash != expected {
            return Err(stored.sequence);
        }
        previous = expected;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn lines(action: ActionId) -> Vec<StoredLine> {
        let mut previous = CHAIN_START;
        (1..=4)
            .map(|sequence| {
                let line = Line {
                    at: Timestamp(sequence as i64),
                    source: Source::Server,
                    what: format!("line {sequence}"),
                    stage: Stage::Pending,
                    fact: (sequence % 2 == 0).then_some((JournalId(Uuid::from_u128(5)), sequence)),
                };
                previous = chain(previous, action, sequence, &line);
                StoredLine { sequence, line, hash: previous }
            })
            .collect()
    }

    #[test]
    fn altering_dropping_or_moving_a_line_shows() {
        let action = ActionId(Uuid::from_u128(9));
        assert_eq!(verify(action, &lines(action)), Ok(()));
        let mut altered = lines(action);
        altered[1].line.what.push('!');
        assert_eq!(verify(action, &altered), Err(2));
        let mut dropped = lines(action);
        dropped.remove(1);
        assert_eq!(verify(action, &dropped), Err(3));
        let mut moved = lines(action);
        moved.swap(2, 3);
        assert!(verify(action, &moved).is_err());
        assert!(verify(ActionId(Uuid::from_u128(8)), &lines(action)).is_err(), "a line of another action");
    }
}
