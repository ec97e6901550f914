use super::*;
use domain::grantee::{Record, StopWhy};
use domain::{ActionId, Epoch, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use uuid::Uuid;

fn entry(sequence: u64) -> Entry {
    let record = Record::Stopped { epoch: Epoch(sequence), why: StopWhy::Broke { why: "x".repeat(40) } };
    Entry { sequence, at: Timestamp(1), action: ActionId(Uuid::from_u128(sequence.into())), record }
}

fn id() -> JournalId {
    JournalId(Uuid::from_u128(42))
}

/// A journal of three records, and where each of them ends.
fn three(folder: &Path) -> (std::path::PathBuf, Vec<u64>) {
    let path = folder.join("journal");
    let (mut journal, entries) = Journal::open(&path, id()).expect("fresh");
    assert!(entries.is_empty());
    let mut ends = vec![];
    for sequence in 1..=3 {
        journal.append(&entry(sequence)).expect("appends");
        ends.push(journal.end);
    }
    (path, ends)
}

fn reopened(path: &Path) -> Result<Vec<Entry>, JournalError> {
    Journal::open(path, JournalId(Uuid::from_u128(1))).map(|(_, entries)| entries)
}

#[test]
fn what_was_appended_is_there_again_with_the_same_id_and_head() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, _) = three(folder.path());
    let (first, _) = Journal::open(&path, id()).expect("opens");
    let seen = first.seen();
    drop(first);
    let (mut again, entries) = Journal::open(&path, JournalId(Uuid::from_u128(9))).expect("opens");
    assert_eq!(entries, [entry(1), entry(2), entry(3)]);
    assert_eq!((again.seen(), again.seen().id), (seen, id()));
    again.append(&entry(4)).expect("appends");
    drop(again);
    assert_eq!(reopened(&path).expect("opens").len(), 4);
}

#[test]
fn a_record_cut_off_anywhere_is_dropped_and_the_rest_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, ends) = three(folder.path());
    let whole = std::fs::read(&path).expect("reads");
    let (second, third) = (ends[1] as usize, ends[2] as usize);
    for cut in second..third {
        // What was not written is zero, as in space that is allocated and not written yet.
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        std::fs::write(&path, &torn).expect("writes");
        // The frame's own last bytes may be zeros; then nothing was lost.
        let kept = if torn[..third] == whole[..third] { 3 } else { 2 };
        assert_eq!(reopened(&path).expect("opens").len(), kept, "cut at {cut}");
        std::fs::write(&path, &whole[..cut]).expect("writes");
        assert_eq!(reopened(&path).expect("opens").len(), 2, "file ends at {cut}");
    }
}

#[test]
fn a_flipped_bit_before_the_last_record_is_damage_and_never_repaired() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, ends) = three(folder.path());
    let whole = std::fs::read(&path).expect("reads");
    for at in 0..ends[1] as usize {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&path, &flipped).expect("writes");
        assert!(matches!(reopened(&path), Err(JournalError::Damaged { .. })), "flipped at {at}");
    }
}

#[test]
fn a_record_taken_out_of_the_middle_is_damage() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, ends) = three(folder.path());
    let whole = std::fs::read(&path).expect("reads");
    let without: Vec<u8> = [&whole[..ends[0] as usize], &whole[ends[1] as usize..]].concat();
    std::fs::write(&path, without).expect("writes");
    assert!(matches!(reopened(&path), Err(JournalError::Damaged { .. })));
}

#[test]
fn two_agents_cannot_use_one_journal() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, _) = three(folder.path());
    let (_held, _) = Journal::open(&path, id()).expect("opens");
    assert!(matches!(Journal::open(&path, id()), Err(JournalError::InUse)));
}

#[test]
fn room_for_the_end_of_what_runs_is_kept_behind_the_last_record() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, _) = three(folder.path());
    let (mut journal, _) = Journal::open(&path, id()).expect("opens");
    assert!(journal.has_reserve());
    let length = std::fs::metadata(&path).expect("is there").len();
    assert!(length >= journal.end + RESERVE_BYTES / 2, "allocated, not only promised");
}

/// A disk in memory that fails from some operation on, and has no room to give while it is full.
#[derive(Default)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    operations_left: u32,
    is_full: Arc<AtomicBool>,
}

impl Memory {
    fn operation(&mut self) -> io::Result<MutexGuard<'_, Vec<u8>>> {
        self.operations_left = self.operations_left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(self.bytes.lock().expect("whole"))
    }
}

impl Disk for Memory {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.operation()?.clone())
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (start, mut disk) = (offset as usize, self.operation()?);
        let length = disk.len().max(start + bytes.len());
        disk.resize(length, 0);
        disk[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.operation().map(drop)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.operation()?.resize(bytes as usize, 0);
        Ok(())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.operation().map(drop)
    }

    fn allocate(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut disk = self.operation()?;
        let length = disk.len().max((offset + bytes) as usize);
        disk.resize(length, 0);
        Ok(())
    }
}

#[test]
fn a_journal_on_any_disk_is_the_same_bytes_and_says_when_an_operation_fails() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, ends) = three(folder.path());
    let file = std::fs::read(&path).expect("reads");
    let written = |operations_left| {
        let bytes = Arc::default();
        let disk = Memory { bytes: Arc::clone(&bytes), operations_left, ..Memory::default() };
        let result = Journal::on(Box::new(disk), id())
            .and_then(|(mut journal, _)| (1..=3).try_for_each(|n| journal.append(&entry(n))));
        let bytes = bytes.lock().expect("whole").clone();
        (result, bytes)
    };
    // Reading, the header and its sync, the sync of what was read, room behind it, and three times a record and its sync.
    let (whole, failing) = (11, 0..11);
    let (result, bytes) = written(whole);
    result.expect("appends");
    assert_eq!(bytes, file);
    assert_eq!(read_back(&bytes).expect("reads"), [entry(1), entry(2), entry(3)]);
    for operations in failing {
        let (result, bytes) = written(operations);
        // Only the room behind the end may be missing; no later operation then succeeds either.
        assert!(matches!(result, Err(JournalError::Io(_))), "{operations}");
        assert!(bytes.len() <= HEADER_BYTES as usize || read_back(&bytes).expect("reads").len() <= 3, "{operations}");
    }
    assert!(ends[2] < file.len() as u64);
}

#[test]
fn nothing_counts_that_was_read_back_and_may_not_be_on_disk() {
    let folder = tempfile::tempdir().expect("folder");
    let (path, _) = three(folder.path());
    let bytes = Arc::new(Mutex::new(std::fs::read(&path).expect("reads")));
    let opened = |operations_left| {
        let disk = Memory { bytes: Arc::clone(&bytes), operations_left, ..Memory::default() };
        Journal::on(Box::new(disk), id()).map(|(_, entries)| entries.len())
    };
    assert!(matches!(opened(1), Err(JournalError::Io(_))), "read, and not synced");
    assert_eq!(opened(2).expect("opens"), 3);
}

#[test]
fn a_disk_that_was_full_is_asked_again() {
    let is_full = Arc::new(AtomicBool::new(true));
    let disk = Memory { operations_left: u32::MAX, is_full: Arc::clone(&is_full), ..Memory::default() };
    let (mut journal, _) = Journal::on(Box::new(disk), id()).expect("a full disk is no reason not to start");
    assert!(!journal.has_reserve());
    is_full.store(false, Ordering::Relaxed);
    assert!(journal.has_reserve());
}
