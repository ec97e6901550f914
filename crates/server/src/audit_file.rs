//! The audit log outside the store: writing it to a file, and seeing whether it holds, there or in the store. What has
//! no end, a log or a file, is read line by line and in pages.

mod line;

pub use domain::audit::Head;
use domain::audit::{Broken, LOG_START, StoredEntry, Walk};
use domain::time::Timestamp;
pub use line::{LINE_BYTES_MAX, LineError, parse, show};
use std::io::{self, BufRead, Read as _, Write};
use store::{Store, StoreError};

/// How many lines are read from the store at once.
const PAGE_LINES: u32 = 500;

/// Where an export begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the line of this number.
    Line(u64),
    /// With the first line that is as late as this or later; all that follow it are exported.
    Since(Timestamp),
}

/// A part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The line before the first, whose hash is taken as given; [`LOG_START`] if nothing is left out.
    pub before: Head,
    /// The last line.
    pub head: Head,
    /// How many lines.
    pub lines: u64,
}

/// Why a log could not be exported, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum AuditFileError {
    /// It does not hold.
    #[error("{0}")]
    Broken(Broken),
    /// Bytes that should be a line are none.
    #[error("line {number} does not read: {why}")]
    Unreadable {
        /// The line's number in the log; where the first of a file does not read, its number in the file.
        number: u64,
        /// Why.
        why: LineError,
    },
    /// A head that was kept is of a line before those that are there, so it says nothing about them.
    #[error("the head {kept} cannot be checked: what is there begins with line {begins}")]
    Before {
        /// The head.
        kept: Head,
        /// The first line that is there.
        begins: u64,
    },
    /// There is nothing to verify.
    #[error("there is no line: nothing can be said of it")]
    Empty,
    /// The line before the first that is asked for is not there, and without its hash nobody could verify an export.
    #[error("line {0} is missing, and without it what comes next cannot be exported: begin later")]
    NoLineBefore(u64),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Goes along the log of a store, past its own account of how far it goes and past the heads that were kept elsewhere.
///
/// # Errors
/// It does not hold; the store.
pub async fn verify_store(store: &dyn Store, kept: &[Head]) -> Result<Extent, AuditFileError> {
    // First: what a server adds meanwhile comes after it.
    let own = store.audit_head().await?;
    let mut along = Along::new(LOG_START, [kept, &[own]].concat())?;
    loop {
        let page = store.audit_lines(along.walk.head().sequence, PAGE_LINES).await?;
        if page.is_empty() {
            break;
        }
        page.iter().try_for_each(|line| along.step(line))?;
    }
    let extent = along.end()?;
    is_owned(extent, store.audit_head().await?)
}

/// The same extent, if the log knows of all of it by its own account, which was asked for afterwards.
fn is_owned(extent: Extent, own: Head) -> Result<Extent, AuditFileError> {
    if own.sequence >= extent.head.sequence {
        return Ok(extent);
    }
    let why = format!("was added behind the store's back: by its own account the log ends with line {}", own.sequence);
    Err(AuditFileError::Broken(Broken { sequence: own.sequence.saturating_add(1), why }))
}

/// Goes along exported lines, past the heads that were kept elsewhere. They may begin with any line of the log; then the
/// hash of the one before it is taken from them.
///
/// # Errors
/// They do not hold, or there are none; they cannot be read.
pub fn verify_file(file: &mut dyn BufRead, kept: &[Head]) -> Result<Extent, AuditFileError> {
    let mut along: Option<Along> = None;
    while let Some(bytes) = next_line(file)? {
        let number = along.as_ref().map_or(1, |along| along.walk.head().sequence.saturating_add(1));
        let (previous, line) = parse(&bytes).map_err(|why| AuditFileError::Unreadable { number, why })?;
        let along = match &mut along {
            Some(along) => along,
            None => {
                let start = Head { sequence: line.sequence.saturating_sub(1), hash: previous };
                along.insert(Along::new(if line.sequence == 1 { LOG_START } else { start }, kept.to_vec())?)
            }
        };
        let before = along.walk.head();
        along.step(&line)?;
        if previous != before.hash {
            let why = "names another hash of the line before it than that line has".to_string();
            return Err(AuditFileError::Broken(Broken { sequence: line.sequence, why }));
        }
    }
    along.ok_or(AuditFileError::Empty)?.end()
}

/// The next line, with the end of line that it should have; at most a byte more than a line may have.
fn next_line(file: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes)?;
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// Writes the lines of a store's log as they stand: whether they hold is for whoever reads them to see.
///
/// # Errors
/// A line that would not read back; the store; what is written to.
pub async fn export(store: &dyn Store, begin: Begin, to: &mut dyn Write) -> Result<Extent, AuditFileError> {
    // With a line that is not wanted, but for its hash.
    let mut last = LOG_START;
    let mut after = match begin {
        Begin::Line(first) => first.saturating_sub(2),
        Begin::Since(_) => 0,
    };
    let mut extent: Option<Extent> = None;
    loop {
        let page = store.audit_lines(after, PAGE_LINES).await?;
        for line in &page {
            let is_wanted = extent.is_some()
                || match begin {
                    Begin::Line(first) => line.sequence >= first,
                    Begin::Since(instant) => line.entry.at >= instant,
                };
            if is_wanted {
                if extent.is_none() && last.sequence.saturating_add(1) != line.sequence {
                    return Err(AuditFileError::NoLineBefore(line.sequence.saturating_sub(1)));
                }
                let number = line.sequence;
                let text = show(last.hash, line).map_err(|why| AuditFileError::Unreadable { number, why })?;
                to.write_all(text.as_bytes())?;
                extent.get_or_insert(Extent { before: last, head: last, lines: 0 }).lines += 1;
            }
            last = Head { sequence: line.sequence, hash: line.hash };
        }
        match page.last() {
            Some(line) => after = line.sequence,
            None => break,
        }
    }
    to.flush()?;
    Ok(extent.map_or(Extent { before: last, head: last, lines: 0 }, |extent| Extent { head: last, ..extent }))
}

/// A walk that counts.
struct Along {
    before: Head,
    walk: Walk,
    lines: u64,
}

impl Along {
    fn new(before: Head, kept: Vec<Head>) -> Result<Self, AuditFileError> {
        for head in &kept {
            if head.sequence < before.sequence {
                let begins = before.sequence.saturating_add(1);
                return Err(AuditFileError::Before { kept: *head, begins });
            }
            if head.sequence == before.sequence && head.hash != before.hash {
                let why = "is not the one whose hash was kept: the log was written anew".to_string();
                return Err(AuditFileError::Broken(Broken { sequence: head.sequence, why }));
            }
        }
        Ok(Self { before, walk: Walk::new(before, kept), lines: 0 })
    }

    fn step(&mut self, line: &StoredEntry) -> Result<(), AuditFileError> {
        self.lines += 1;
        self.walk.step(line).map_err(AuditFileError::Broken)
    }

    fn end(&self) -> Result<Extent, AuditFileError> {
        let head = self.walk.end().map_err(AuditFileError::Broken)?;
        Ok(Extent { before: self.before, head, lines: self.lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::audit::{CallerKind, Entry};
    use store::MemoryStore;

    async fn log(lines: i64) -> MemoryStore {
        let store = MemoryStore::default();
        for number in 0..lines {
            let entry = Entry::new(Timestamp(number), CallerKind::Server, "", "make key");
            store.audit(&entry).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn a_log_of_several_pages_is_verified_and_exported_whole() {
        let lines = i64::from(2 * PAGE_LINES + 1);
        let store = log(lines).await;
        let whole = verify_store(&store, &[]).await.unwrap();
        assert_eq!((whole.before, whole.lines), (LOG_START, lines as u64));
        for (begin, left_out) in [
            (Begin::Line(1), 0),
            (Begin::Line(2), 1),
            (Begin::Line(u64::from(PAGE_LINES) + 1), PAGE_LINES.into()),
            (Begin::Since(Timestamp(700)), 700),
            (Begin::Since(Timestamp(i64::MIN)), 0),
        ] {
            let mut file = Vec::new();
            let exported = export(&store, begin, &mut file).await.unwrap();
            assert_eq!((exported.before.sequence, exported.head), (left_out, whole.head), "{begin:?}");
            assert_eq!(verify_file(&mut &file[..], &[whole.head]).unwrap(), exported, "{begin:?}");
        }
        let nothing = export(&store, Begin::Line(u64::MAX), &mut io::sink()).await.unwrap();
        assert_eq!(nothing.lines, 0);
    }

    #[tokio::test]
    async fn a_line_that_the_log_knows_nothing_of_is_named() {
        let extent = verify_store(&log(3).await, &[]).await.unwrap();
        let own = Head { sequence: 2, ..extent.head };
        assert!(is_owned(extent, own).unwrap_err().to_string().starts_with("line 3: was added behind"));
        assert_eq!(is_owned(extent, extent.head).unwrap(), extent);
        assert_eq!(is_owned(extent, Head { sequence: 4, ..extent.head }).unwrap(), extent, "a server runs on");
    }

    #[tokio::test]
    async fn what_no_server_wrote_is_not_exported() {
        let store = log(1).await;
        let entry =
            Entry { object: Some("\n".repeat(LINE_BYTES_MAX)), ..Entry::new(Timestamp(0), CallerKind::Server, "", "") };
        store.audit(&entry).await.unwrap();
        let said = export(&store, Begin::Line(1), &mut io::sink()).await.unwrap_err().to_string();
        assert!(said.starts_with("line 2 does not read: it is longer"), "{said}");
        let store = log(0).await;
        store.audit(&Entry::new(Timestamp(i64::MAX), CallerKind::Server, "", "")).await.unwrap();
        assert!(export(&store, Begin::Line(1), &mut io::sink()).await.is_err(), "an instant that does not read back");
    }
}
