//! The seeded simulator: the real core, store and worker over a host, a network, a disk and clocks that are not.
//!
//! One seed is one run, in one thread, the same every time. [`world::World`] holds the parts and decides what happens
//! next; [`judge::Judge`] sees every commit, every effect and every answer; [`rules`] says what must hold.

pub mod dice;
mod disk;
pub mod engine;
pub mod film;
mod gate;
pub mod ground;
mod host;
#[cfg(feature = "mutants")]
pub mod hunt;
pub mod inject;
mod job;
pub mod judge;
mod library;
mod machine;
pub mod report;
pub mod rules;
pub mod run;
pub mod scenarios;
pub mod setting;
pub mod sights;
pub mod world;
