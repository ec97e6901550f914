//! The store's engines, as a run uses them.

use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use store::{MemoryStore, SqliteConfig, SqliteStore, Store, StoreError};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Maps in memory.
    Memory,
    /// A file, in a folder that lies in memory where there is one.
    Sqlite,
}

/// Where files are written that need not outlive this process: memory, on Linux.
const MEMORY_FOLDER: &str = "/dev/shm";

thread_local! {
    /// Some calls of the SQLite engine go to threads of their own, and ask for a runtime to get there.
    static RUNTIME: RefCell<Option<tokio::runtime::Runtime>> = const { RefCell::new(None) };
}

/// A store, and what goes away with it.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

impl Engine {
    /// How a command is told to use it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Memory => "",
            Self::Sqlite => " --engine sqlite",
        }
    }

    /// An empty store.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn open(self) -> Result<Opened, StoreError> {
        match self {
            Self::Memory => Ok(Opened { store: Arc::new(MemoryStore::new()), _folder: None }),
            Self::Sqlite => {
                let unusable = |error: std::io::Error| StoreError::Unavailable(error.to_string());
                let shm = Path::new(MEMORY_FOLDER);
                let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
                let folder = folder.map_err(unusable)?;
                let store = SqliteStore::open(SqliteConfig::for_testing(folder.path()))?;
                Ok(Opened { store: Arc::new(store), _folder: Some(folder) })
            }
        }
    }
}

/// Waits for what needs no other part of this run to go on.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.build().expect("a runtime without a driver needs nothing")
        });
        runtime.block_on(future)
    })
}
