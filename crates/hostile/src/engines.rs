//! The same run against both engines of the store: the same answers, and the same rows in the end. What holds in memory,
//! where most runs are played, then holds on disk.

use crate::desk::block_on;
use crate::scenario::{Heard, play};
use crate::world::World;
use std::sync::Arc;
use store::{MemoryStore, SqliteConfig, SqliteStore, Store};

/// Plays the run twice and compares.
pub(crate) fn check(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = SqliteStore::open(SqliteConfig::for_testing(folder.path())).expect("a store");
    assert_eq!(played(Arc::new(sqlite), bytes), played(Arc::new(MemoryStore::new()), bytes));
}

fn played(store: Arc<dyn Store>, bytes: &[u8]) -> Heard {
    let world = block_on(World::new(store));
    play(&world, bytes)
}

/// Some of the runs: each opens a store on a disk.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const ONE_OF: usize = 4;
    crate::talk::seeds().into_iter().step_by(ONE_OF).collect()
}
