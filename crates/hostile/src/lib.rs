//! What must hold whatever bytes come in. Each door of the product that somebody else's bytes pass through has a function
//! here that takes any bytes, puts them through the code that ships, and panics if something does not hold.
//!
//! The fuzzer (`fuzz/`) and the tests of this crate call the same functions: the fuzzer for as long as it is given, the
//! tests on every run with each seed and some thousand changed ones.

mod api;
mod audit;
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
    /// What fuzzing found on its way and is kept: a line of hexadecimal digits for each input, see [`Target::kept`].
    pub corpus: &'static str,
    /// What one round of it costs: tests play so many times fewer rounds of it than of a cheap one.
    pub cost: usize,
}

macro_rules! target {
    ($name:literal, $door:ident, $cost:literal) => {
        Target {
            name: $name,
            check: $door::check,
            seeds: $door::seeds,
            corpus: include_str!(concat!("../corpus/", $name, ".txt")),
            cost: $cost,
        }
    };
}

impl Target {
    /// Inputs that reached something no other did while this was fuzzed (`cargo xtask fuzz --keep`).
    pub fn kept(&self) -> Vec<Vec<u8>> {
        self.corpus.lines().map(bytes).collect()
    }
}

/// The bytes that a line stands for; what is no digit ends it.
fn bytes(line: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    line.as_bytes().chunks_exact(2).map_while(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Every door.
pub static TARGETS: [Target; 16] = [
    target!("frames", frames, 1),
    target!("hello", hello, 4),
    target!("talk", talk, 20),
    target!("engines", engines, 400),
    target!("worker", worker, 2),
    target!("journal", journal, 2),
    target!("bodies", bodies, 1),
    target!("odata", odata, 1),
    target!("ids", ids, 1),
    target!("api", api, 4),
    target!("tokens", tokens, 4),
    target!("keys", keys, 2),
    target!("links", links, 2),
    target!("enrol", enrol, 20),
    target!("sign-in", sign_in, 100),
    target!("audit", audit, 2),
];

/// The door of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
