//! How a [`SqliteStore`](super::SqliteStore) is set up.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the store is set up.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The data file. It is made if there is none, for its owner only; its folder must exist. Beside it stand the
    /// write-ahead log (`-wal`) and its index (`-shm`), which belong to it.
    pub path: PathBuf,
    /// How many long queries run at a time, each on a connection of its own. At least 1. Finding a few rows by a key
    /// does not count.
    pub readers: usize,
    /// The writer's page cache, in KiB.
    pub writer_cache_kib: u32,
    /// Each reader's page cache, in KiB.
    pub reader_cache_kib: u32,
    /// How long to wait while another process writes to the same file.
    pub busy_timeout: Duration,
    /// How many waiting writes one commit takes up at most. At least 1; 1 means a commit for each.
    pub group_max: usize,
}

impl SqliteConfig {
    /// The defaults, for the data file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: READERS,
            writer_cache_kib: WRITER_CACHE_KIB,
            reader_cache_kib: READER_CACHE_KIB,
            busy_timeout: BUSY_TIMEOUT,
            group_max: GROUP_MAX,
        }
    }

    /// A small store in the folder `dir`. As durable as any.
    pub fn for_testing(dir: &Path) -> Self {
        Self { writer_cache_kib: 8 * 1024, reader_cache_kib: 2 * 1024, readers: 2, ..Self::at(dir.join("store.db")) }
    }
}

/// More than this only contend for the few cores this product is sized for.
const READERS: usize = 4;

/// 128 MiB: index pages of some millions of actions stay in memory.
const WRITER_CACHE_KIB: u32 = 128 * 1024;

/// 16 MiB for each reader; what lies beyond comes from the operating system's cache.
const READER_CACHE_KIB: u32 = 16 * 1024;

/// A command such as `app add` writes for milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Past some 64 a group gains little, for then it costs CPU and not the disk; more only delays its first.
const GROUP_MAX: usize = 256;
