//! The proof: the production deciders, run through every order of events that bounds allow.
//!
//! [`model`] puts `domain::decide`, `domain::hello` and `domain::grantee` between a row, a network that loses, repeats,
//! delays and reorders everything, and a machine that crashes between any two things it does. Nothing is decided here:
//! what is written anew is only the store's compare-and-set, the crew's work on the machine, and the network.
//! [`model::rules`] says what must hold. [`search`] looks for the shortest way to break it and for states from which
//! no end can be reached any more.

pub mod bounds;
pub mod model;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod search;
pub mod simulation;
pub mod story;
