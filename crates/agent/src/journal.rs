//! What was granted, begun, stopped, undone and finished: on disk, before it happens.
//!
//! An append-only file: a header with the journal's id, then frames of length, CRC-32C, and payload. A payload is the
//! hash of the record before it and the record, so the last hash speaks for all. Every append is on disk (fdatasync)
//! when it returns; an error of write or sync ends the process, since after one nobody knows what is on disk.
//!
//! Behind the last frame lie zeros that are allocated already, so that a stop and its end can be written on a full disk.

mod disk;
mod recover;

pub use disk::Disk;
use domain::grantee::Entry;
use domain::ids::{Digest, JournalId};
use domain::machine::JournalSeen;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The first bytes of every journal.
const MAGIC: &[u8; 8] = b"CMJRNL01";

/// Magic, id, and the CRC of both.
const HEADER_BYTES: u64 = 8 + 16 + 4;

/// Length and CRC before each payload.
const FRAME_HEAD_BYTES: usize = 8;

/// The longest payload, in bytes.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// What is kept allocated behind the last frame, in bytes: room for the stops and ends of everything that runs.
const RESERVE_BYTES: u64 = 1 << 20;

/// A journal that is open.
pub struct Journal {
    disk: Box<dyn Disk>,
    id: JournalId,
    end: u64,
    allocated: u64,
    sequence: u64,
    head: Digest,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk, or the file system.
    #[error("the journal cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// It is not as we left it.
    #[error("the journal is damaged at byte {at}: {why}; it is kept as it is, move it away only if it is truly lost")]
    Damaged {
        /// Where.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// Another agent has it.
    #[error("another agent uses this journal")]
    InUse,
    /// A record is too long to keep.
    #[error("a journal record of {0} bytes; {PAYLOAD_BYTES_MAX} are allowed")]
    TooLong(usize),
}

impl Journal {
    /// Opens the journal in the file at `path`, or makes it with `fresh` as its id. Returns the records in it. It stays
    /// locked while it is open: no second agent uses it.
    ///
    /// # Errors
    /// It cannot be read, is in use, or is damaged anywhere but in a last record that was never announced.
    pub fn open(path: &Path, fresh: JournalId) -> Result<(Self, Vec<Entry>), JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let mut file = match options.open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => create(path, &mut options, fresh)?,
            Err(e) => return Err(e.into()),
        };
        if file.try_lock().is_err() {
            return Err(JournalError::InUse);
        }
        let bytes = file.read_all()?;
        Self::take_up(Box::new(file), &bytes)
    }

    /// Opens the journal on `disk`, or makes it there with `fresh` as its id if nothing is there. Returns the records in
    /// it. For a journal that is no file: a file is made by [`Journal::open`], whole or not at all.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn on(mut disk: Box<dyn Disk>, fresh: JournalId) -> Result<(Self, Vec<Entry>), JournalError> {
        let mut bytes = disk.read_all()?;
        if bytes.is_empty() {
            bytes = header(fresh);
            disk.write_all_at(&bytes, 0)?;
            disk.sync_all()?;
        }
        Self::take_up(disk, &bytes)
    }

    fn take_up(disk: Box<dyn Disk>, bytes: &[u8]) -> Result<(Self, Vec<Entry>), JournalError> {
        let found = recover::recover(bytes)?;
        let mut journal = Self {
            disk,
            id: found.id,
            end: found.end,
            allocated: bytes.len() as u64,
            sequence: found.entries.last().map_or(0, |entry| entry.sequence),
            head: found.head,
        };
        if found.torn {
            journal.clear_behind_the_end()?;
        }
        // What an agent wrote that died before it was on disk can be read back all the same, and be gone after a power cut:
        // nothing is done or said on the word of such a record.
        journal.disk.sync_all()?;
        // A full disk is no reason not to start: there may be something to undo.
        journal.reserve();
        Ok((journal, found.entries))
    }

    /// Makes `entry` durable.
    ///
    /// # Errors
    /// It may or may not be on disk: the process must end without doing anything else.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let mut payload = self.head.0.to_vec();
        payload = postcard::to_extend(entry, payload).map_err(io::Error::other)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(JournalError::TooLong(payload.len()));
        }
        let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + payload.len());
        frame.extend_from_slice(&u32::try_from(payload.len()).map_err(io::Error::other)?.to_le_bytes());
        frame.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
        frame.extend_from_slice(&payload);
        self.disk.write_all_at(&frame, self.end)?;
        self.disk.sync_data()?;
        self.end += frame.len() as u64;
        self.allocated = self.allocated.max(self.end);
        self.sequence = entry.sequence;
        self.head = Digest::of(&payload);
        self.reserve();
        Ok(())
    }

    /// Whether there is room for the end of what is begun now. If not, nothing new may be begun. Where there was none
    /// before it is asked for again: a disk that was full may have room now.
    pub fn has_reserve(&mut self) -> bool {
        self.reserve();
        self.is_reserved()
    }

    /// Where it stands.
    pub fn seen(&self) -> JournalSeen {
        JournalSeen { id: self.id, sequence: self.sequence, head: self.head }
    }

    fn is_reserved(&self) -> bool {
        self.allocated.saturating_sub(self.end) >= RESERVE_BYTES / 2
    }

    fn reserve(&mut self) {
        if self.is_reserved() {
            return;
        }
        match self.disk.allocate(self.end, RESERVE_BYTES) {
            // The new length must be on disk with the rest: a later fdatasync sees to that, as the size changed.
            Ok(()) => self.allocated = self.end + RESERVE_BYTES,
            Err(e) => tracing::error!(error = %e, "no room behind the journal: nothing new is begun"),
        }
    }

    /// A record that was cut off was never announced to anyone. Its bytes go, so that the next one stands alone. On disk
    /// once the caller has synced.
    fn clear_behind_the_end(&mut self) -> Result<(), JournalError> {
        self.disk.set_len(self.end)?;
        self.allocated = self.end;
        Ok(())
    }
}

/// The records in a journal's bytes.
///
/// # Errors
/// They are damaged anywhere but in a last record that was never announced.
pub fn read_back(bytes: &[u8]) -> Result<Vec<Entry>, JournalError> {
    Ok(recover::recover(bytes)?.entries)
}

fn header(id: JournalId) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(id.0.as_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

fn create(path: &Path, options: &mut OpenOptions, id: JournalId) -> Result<File, JournalError> {
    // Under another name first: a journal exists whole or not at all.
    let fresh = path.with_extension("new");
    let mut file = options.create(true).truncate(true).open(&fresh)?;
    Disk::write_all_at(&mut file, &header(id), 0)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
