//! A journal's bytes: any bytes, and those of a real journal that were cut, changed or put together anew. What is
//! accepted says the same when it is written down again, and what was made durable before the change is never changed
//! silently: it is there, or the journal is called damaged.

use crate::dice::Dice;
use crate::memory_disk::MemoryDisk;
use agent::journal::{Journal, JournalError, read_back};
use domain::action::Body;
use domain::grantee::{Entry, Grantee, Ran, Record, StopWhy, UndoRecord};
use domain::ids::{ActionId, Epoch, JournalId};
use domain::kind::Scope;
use domain::time::Timestamp;
use uuid::Uuid;

/// The most records that are written before something happens to them.
const RECORDS_MAX: usize = 12;

/// The first byte chooses between any bytes and a journal to which something happens.
pub(crate) fn check(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    if dice.flag() {
        any(dice.rest());
    } else {
        happens(&mut dice);
    }
}

fn id() -> JournalId {
    JournalId(Uuid::from_u128(42))
}

/// Reading never panics; what is read is read the same from a journal that it is written into.
fn any(bytes: &[u8]) {
    let Ok(entries) = read_back(bytes) else { return };
    let disk = MemoryDisk::default();
    let (mut journal, _) = Journal::on(Box::new(disk.clone()), id()).expect("a fresh journal");
    for entry in &entries {
        journal.append(entry).expect("what was in a journal fits into one");
    }
    assert_eq!(read_back(&disk.bytes()).expect("reads"), entries);
    // What was on this disk is taken up, and goes on from there.
    let disk = MemoryDisk::holding(bytes);
    let (mut journal, again) = Journal::on(Box::new(disk.clone()), id()).expect("what is read is opened");
    assert_eq!(again, entries);
    let next = Entry { sequence: entries.len() as u64 + 1, ..entry(&mut Dice::new(&[])) };
    journal.append(&next).expect("appends");
    let mut expected = entries;
    expected.push(next);
    assert_eq!(read_back(&disk.bytes()).expect("reads"), expected);
    // Records in an order that nobody writes are refused, not believed.
    let _ = Grantee::boot(id(), &expected, Timestamp(0));
}

fn happens(dice: &mut Dice<'_>) {
    let disk = MemoryDisk::default();
    let (mut journal, _) = Journal::on(Box::new(disk.clone()), id()).expect("a fresh journal");
    let mut entries = vec![];
    for number in 0..dice.below(RECORDS_MAX) {
        let next = Entry { sequence: number as u64 + 1, ..entry(dice) };
        journal.append(&next).expect("appends");
        entries.push(next);
    }
    let mut bytes = disk.bytes();
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let at = usize::from(dice.byte()) << 8 | usize::from(dice.byte());
    let at = at % written;
    match dice.below(4) {
        0 => bytes.truncate(at),
        1 => bytes[at..].fill(0),
        2 => bytes[at] ^= dice.byte(),
        _ => {
            let some = dice.some();
            bytes.splice(at..at, some.iter().copied());
        }
    }
    match read_back(&bytes) {
        Ok(found) => assert!(entries.starts_with(&found), "{found:?} was never written"),
        Err(JournalError::Damaged { .. }) => {}
        Err(e) => panic!("reading bytes cannot fail otherwise: {e}"),
    }
}

/// A record; its number is the caller's.
fn entry(dice: &mut Dice<'_>) -> Entry {
    let epoch = Epoch(dice.number());
    let step = u16::from(dice.byte());
    let record = match dice.below(9) {
        0 => Record::Granted { epoch, body: Body::Isolate { scope: Scope::Full } },
        1 => Record::Started,
        2 => Record::Intent { step, undo: UndoRecord(dice.some().to_vec()) },
        3 => {
            let (started_at, ended_at) = (Timestamp(dice.instant(0)), Timestamp(dice.instant(0)));
            Record::Done { step, result: Ran { started_at, ended_at, error: Some(dice.text()), artifact: None } }
        }
        4 => Record::Stopped { epoch, why: StopWhy::Broke { why: dice.text() } },
        5 => Record::Undone { step, residue: dice.list(3, 20, |dice| dice.text()) },
        6 => Record::UndoFailed { step, why: dice.text() },
        7 => Record::Final { finished: dice.flag() },
        _ => Record::Acknowledged,
    };
    let action = ActionId(Uuid::from_u128(u128::from(dice.byte())));
    Entry { sequence: 0, at: Timestamp(dice.instant(0)), action, record }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let disk = MemoryDisk::default();
    let (mut journal, _) = Journal::on(Box::new(disk.clone()), id()).expect("a fresh journal");
    let mut seeds = vec![[&[1][..], &disk.bytes()[..28]].concat()];
    for record in 0..9 {
        let next = Entry { sequence: u64::from(record) + 1, ..entry(&mut Dice::new(&[7, 1, record, 2, 3, 4, 5])) };
        journal.append(&next).expect("appends");
    }
    let bytes = disk.bytes();
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    seeds.push([&[1][..], &bytes[..written]].concat());
    seeds.push([&[1][..], &bytes[..written + 9]].concat());
    for what in 0..4 {
        seeds.push(vec![0, 3, 1, 2, 0, 1, 5, 0, 2, 1, 4, 7, 7, 7, 1, 1, 0, 40, what, 9, 1, 2]);
    }
    seeds
}
