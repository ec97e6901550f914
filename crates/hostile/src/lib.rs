//! What must hold whatever bytes come in. Each door of the product that somebody else's bytes pass through has a function
//! here that takes any bytes, puts them through the code that ships, and panics if something does not hold.
//!
//! The fuzzer (`fuzz/`) and the tests of this crate call the same functions: the fuzzer for as long as it is given, the
//! tests on every run with each seed and some thousand changed ones.

mod api;
mod bodies;
mod change;
mod desk;
mod dice;
mod engines;
mod enrol;
mod frames;
mod hello;
mod ids;
mod journal;
mod keys;
mod links;
mod memory_disk;
mod odata;
mod rows;
mod scenario;
mod sign_in;
mod talk;
mod tokens;
mod words;
mod worker;
mod world;

pub use change::changed;

/// A door, and what must hold there.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Takes any bytes; panics if something does not hold.
    pub check: fn(&[u8]),
    /// Bytes that lead deep into the code, to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What one round of it costs: tests play so many times fewer rounds of it than of a cheap one.
    pub cost: usize,
}

/// Every door.
pub static TARGETS: [Target; 15] = [
    Target { name: "frames", check: frames::check, seeds: frames::seeds, cost: 1 },
    Target { name: "hello", check: hello::check, seeds: hello::seeds, cost: 4 },
    Target { name: "talk", check: talk::check, seeds: talk::seeds, cost: 20 },
    Target { name: "engines", check: engines::check, seeds: engines::seeds, cost: 400 },
    Target { name: "worker", check: worker::check, seeds: worker::seeds, cost: 2 },
    Target { name: "journal", check: journal::check, seeds: journal::seeds, cost: 2 },
    Target { name: "bodies", check: bodies::check, seeds: bodies::seeds, cost: 1 },
    Target { name: "odata", check: odata::check, seeds: odata::seeds, cost: 1 },
    Target { name: "ids", check: ids::check, seeds: ids::seeds, cost: 1 },
    Target { name: "api", check: api::check, seeds: api::seeds, cost: 4 },
    Target { name: "tokens", check: tokens::check, seeds: tokens::seeds, cost: 4 },
    Target { name: "keys", check: keys::check, seeds: keys::seeds, cost: 2 },
    Target { name: "links", check: links::check, seeds: links::seeds, cost: 2 },
    Target { name: "enrol", check: enrol::check, seeds: enrol::seeds, cost: 20 },
    Target { name: "sign-in", check: sign_in::check, seeds: sign_in::seeds, cost: 100 },
];

/// The door of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
