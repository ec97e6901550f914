//! What only SQLite has: its file, its settings, its triggers, its log. What every engine must do stands in `contract`.

mod audit;
mod crash;
mod damage;
mod group;
mod guards;
mod opening;
#[path = "../contract/world.rs"]
#[allow(dead_code, reason = "the contract's world; each suite uses its part of it")]
mod world;

use std::sync::Arc;
use store::{SqliteConfig, SqliteStore};
use world::World;

/// A store in a folder of its own, and the way to its file past the store.
struct Ground {
    config: SqliteConfig,
    _folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        Self { config: SqliteConfig::for_testing(folder.path()), _folder: folder }
    }

    /// Opens the store, for as long as the world lasts.
    fn open(&self) -> World {
        World::new(Arc::new(SqliteStore::open(self.config.clone()).expect("the store opens")))
    }

    /// A connection that knows nothing of the store.
    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.config.path).expect("the file opens")
    }
}
