//! A machine that says anything to the server, in any order.

use crate::desk::block_on;
use crate::scenario::play;
use crate::world::World;
use std::sync::Arc;
use store::MemoryStore;

/// Plays the run against a server of its own. [`play`] says what must hold.
pub(crate) fn check(bytes: &[u8]) {
    let world = block_on(World::new(Arc::new(MemoryStore::new())));
    play(&world, bytes);
}

/// Runs of choices, as `scenario` and `words` read them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // The first two are its own journal and the honest machine's. Its own actions are 0 to 4, the honest machine's 5 to
    // 9: done, cancelled, an isolation that was granted in session 1, a live response and a release that wait.
    let own = hello(0);
    let mut seeds = vec![vec![], own.to_vec()];
    let mut run = |words: &[&[u8]]| seeds.push(words.concat());
    for action in 0..=10 {
        run(&[&own, &claim(action, 0), &LOOK]);
        run(&[&own, &end(action, 0, FINISHED), &end(action, 0, STOPPED), &CLAIM_OLD]);
        // In the name of the honest machine's journal.
        run(&[&hello(1), &claim(action, 1), &phase(action, 1), &end(action, 1, FINISHED)]);
    }
    run(&[&own, &CANCEL_ISOLATION, &LOOK, &end(2, 0, STOPPED), &end(2, 0, STOPPED)]);
    run(&[&own, &phase(2, 0), &phase(2, 0), &end(2, 0, BROKE)]);
    run(&[&own, &REQUEST_ISOLATION, &HEARTBEAT, &TIME, &LOOK, &claim(4, 0), &TIME, &TIME, &own]);
    run(&[&own, &claim(3, 0), &hello(2), &LOOK, &own]);
    run(&[&own, &claim(3, 0), &FLOOD]);
    // A Hello that is slow, and long words about itself with more listed than may be.
    run(&[&own, &[0, 0, 0, 5, 3, 0, 220, 1, 255, 255, 255, 0, 255, 0, 0]]);
    for listed in [0, 255] {
        run(&[&[0, 0, 0, 5, 3, 0, 0, 180, 1, 255, 180, 0, 200, 255, 1, 239, 3, 255, 181, 2, 99, 255, listed], &LOOK]);
    }
    seeds
}

const LOOK: [u8; 2] = [8, 0];
const HEARTBEAT: [u8; 2] = [8, 1];
const CANCEL_ISOLATION: [u8; 2] = [9, 2];
const REQUEST_ISOLATION: [u8; 2] = [10, 0];
const TIME: [u8; 2] = [11, 255];
const FINISHED: u8 = 0;
const STOPPED: u8 = 1;
const BROKE: u8 = 4;

/// A claim of a session that is over.
const CLAIM_OLD: [u8; 6] = [2, 100, 1, 3, 7, 0];

/// An end with more steps, residue and facts than are kept.
const FLOOD: [u8; 9] = [5, 3, 0, 0, BROKE, 9, 255, 255, 255];

/// A Hello that lists nothing and tells nothing.
fn hello(journal: u8) -> [u8; 14] {
    [0, 0, journal, 5, 3, 0, 0, 255, 255, 255, 0, 255, 0, 0]
}

fn claim(action: u8, journal: u8) -> [u8; 5] {
    [2, 0, action, 7, journal]
}

/// A phase under the grant of session 1.
fn phase(action: u8, journal: u8) -> [u8; 11] {
    [4, action, 100, 1, journal, 9, 5, 0, 2, b'x', b'y']
}

/// An end under the grant of session 1, with one step that is done.
fn end(action: u8, journal: u8, ending: u8) -> [u8; 17] {
    let why = if ending == BROKE { 255 } else { 9 };
    [5, action, 100, 1, journal, ending, why, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0]
}
