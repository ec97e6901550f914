//! The API from outside: the real router over a real store, one file per URL. Time is a clock that the test sets, and
//! what a machine would say is said through the same use cases that its stream calls.

mod audit;
mod conformance;
mod countermand;
mod discovery;
mod fake_issuer;
#[path = "../agents/faulty.rs"]
#[allow(dead_code, reason = "the agents' suite uses more of it")]
mod faulty;
mod idempotency;
mod issuers;
mod libraryfiles;
mod limits;
mod listener;
mod machineactions;
mod machines;
mod matrix;
mod oauth2;
mod openapi;
mod paths;
mod rig;
mod rotation;
mod tokens;
