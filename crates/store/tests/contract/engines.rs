//! The engines, and how each is brought to life for one test.

use std::sync::Arc;
use store::{MemoryStore, SqliteConfig, SqliteStore, Store};

/// What an engine brings: an empty store for one test, which is gone with the value.
pub(crate) trait Engine {
    /// Makes it.
    fn create() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn Store>;
}

/// Runs each of the named functions as a test on every engine. A function that nobody names is dead code, and the
/// compiler says so.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        $crate::engines::contract_on!(sqlite, $crate::engines::Sqlite, $($name),+);
        $crate::engines::contract_on!(memory, $crate::engines::Memory, $($name),+);
    };
}

macro_rules! contract_on {
    ($module:ident, $engine:ty, $($name:ident),+) => {
        mod $module {
            use $crate::engines::Engine as _;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    let engine = <$engine>::create();
                    super::$name($crate::world::World::new(engine.store())).await;
                }
            )+
        }
    };
}

pub(crate) use {contract, contract_on};

/// SQLite, in a folder of its own.
pub(crate) struct Sqlite {
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Engine for Sqlite {
    fn create() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let store = SqliteStore::open(SqliteConfig::for_testing(folder.path())).expect("a new store opens");
        Self { store: Arc::new(store), _folder: folder }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }
}

/// Memory.
pub(crate) struct Memory {
    store: Arc<MemoryStore>,
}

impl Engine for Memory {
    fn create() -> Self {
        Self { store: Arc::default() }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }
}
