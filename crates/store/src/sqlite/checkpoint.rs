//! Moving the write-ahead log into the data file, on a thread of its own, so that no commit waits for it.

use super::{SqliteConfig, open};
use crate::StoreError;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What writer and checkpoint thread know of the log, in pages of 4 KiB.
pub(super) struct Wal {
    /// Its length after the last commit.
    pages: AtomicU32,
    /// How much of it already stands in the data file.
    moved: AtomicU32,
    bell: SyncSender<Bell>,
}

enum Bell {
    Long,
    Close,
}

/// The thread.
pub(super) struct Checkpointer {
    wal: Arc<Wal>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(config: &SqliteConfig) -> Result<Self, StoreError> {
        let (bell, rings) = sync_channel(1);
        let wal = Arc::new(Wal { pages: AtomicU32::new(0), moved: AtomicU32::new(0), bell });
        let desk = Desk { connection: open::checkpointer(config)?, wal: Arc::clone(&wal), empty_from: EMPTY_PAGES };
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || desk.run(&rings))
            .map_err(|error| StoreError::Unavailable(format!("no thread for the checkpoints: {error}")))?;
        Ok(Self { wal, thread: Some(thread) })
    }

    /// What the writer tells.
    pub(super) fn wal(&self) -> Arc<Wal> {
        Arc::clone(&self.wal)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        let closing = self.wal.bell.send(Bell::Close).is_ok();
        if let Some(thread) = self.thread.take()
            && (thread.join().is_err() || !closing)
        {
            tracing::error!("the store's checkpoint thread panicked; the log stays beside the data file");
        }
    }
}

impl Wal {
    /// The log is so long after a commit.
    pub(super) fn grew_to(&self, pages: u32) {
        if pages < self.pages.swap(pages, Ordering::Relaxed) {
            // All of it had been moved, and it began again from its start.
            self.moved.store(0, Ordering::Relaxed);
        }
    }

    /// Wakes the thread if enough has gathered.
    pub(super) fn ask_for_checkpoint(&self) {
        if self.waiting() >= CHECKPOINT_PAGES {
            // Full means that it has been woken already.
            let _ = self.bell.try_send(Bell::Long);
        }
    }

    fn waiting(&self) -> u32 {
        self.pages.load(Ordering::Relaxed).saturating_sub(self.moved.load(Ordering::Relaxed))
    }
}

struct Desk {
    connection: Connection,
    wal: Arc<Wal>,
    /// From which length on the writer has to wait until the log is empty, in pages.
    empty_from: u32,
}

/// What SQLite says of a checkpoint.
struct Outcome {
    /// A reader or a writer was in the way of emptying the log.
    blocked: bool,
    /// Pages in the log after it.
    pages: u32,
    /// How many of these stand in the data file.
    moved: u32,
}

impl Desk {
    fn run(mut self, rings: &Receiver<Bell>) {
        let mut pages_before = 0;
        loop {
            match rings.recv_timeout(IDLE_AFTER) {
                Ok(Bell::Long) => self.move_log(),
                Ok(Bell::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let pages = self.wal.pages.load(Ordering::Relaxed);
                    if pages > 0 && pages == pages_before {
                        self.empty_log();
                        self.look_at_tables();
                    }
                    pages_before = pages;
                }
            }
        }
        self.look_at_tables();
        self.empty_log();
    }

    /// Moves what can be moved while others read and write. Only when the log has become very long does the writer wait.
    fn move_log(&mut self) {
        if self.wal.waiting() < CHECKPOINT_PAGES {
            return;
        }
        match self.checkpoint("PASSIVE") {
            Ok(outcome) => self.wal.moved.store(outcome.moved, Ordering::Relaxed),
            Err(error) => tracing::warn!("the write-ahead log was not moved, and grows: {error}"),
        }
        // Under steady load it never stands still for long enough to begin again from its start by itself.
        if self.wal.pages.load(Ordering::Relaxed) >= self.empty_from {
            self.empty_log();
        }
    }

    fn empty_log(&mut self) {
        match self.checkpoint("TRUNCATE") {
            Ok(Outcome { blocked: false, .. }) => {
                self.empty_from = EMPTY_PAGES;
                self.wal.grew_to(0);
            }
            // Somebody reads for long. The writer waited in vain, and is not made to again before much more has gathered.
            Ok(outcome) => self.empty_from = outcome.pages.saturating_add(EMPTY_PAGES),
            Err(error) => tracing::warn!("the write-ahead log was not emptied, and stays: {error}"),
        }
    }

    /// Keeps the planner's statistics fresh; cheap when little has changed.
    fn look_at_tables(&self) {
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::debug!("the planner's statistics stay as they are: {error}");
        }
    }

    fn checkpoint(&self, mode: &str) -> rusqlite::Result<Outcome> {
        self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            // Both counts are -1 where there is no log.
            let pages = |value: i64| u32::try_from(value).unwrap_or(0);
            Ok(Outcome { blocked: row.get(0)?, pages: pages(row.get(1)?), moved: pages(row.get(2)?) })
        })
    }
}

/// So much of the log waits before it is moved: 4,096 pages, 16 MiB.
const CHECKPOINT_PAGES: u32 = 4_096;

/// So long the log may become before the writer has to wait until it is empty: 32,768 pages, 128 MiB.
const EMPTY_PAGES: u32 = 32_768;

/// Nothing written for so long: a good time to empty the log.
const IDLE_AFTER: Duration = Duration::from_secs(5);
