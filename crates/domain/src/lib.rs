//! The rules of Countermand, and nothing else: no I/O, no clock, no async, no wire format.
//!
//! Whether an action may be requested, granted, cancelled or ended is decided here, by pure functions over tables:
//! [`kind`], [`permission`] and [`lifecycle`] are the tables, [`decide`] is the server's side and [`grantee`] the
//! agent's. Time and randomness come in as arguments, so the code that ships is the code that is model-checked.
//!
//! This crate knows nothing about HTTP, SQL, tokio, files, or the spelling of Defender's API.

pub mod action;
pub mod audit;
pub mod command;
pub mod decide;
pub mod grantee;
pub mod hello;
pub mod history;
pub mod ids;
pub mod kind;
pub mod lifecycle;
pub mod machine;
pub mod mutant;
pub mod permission;
pub mod testimony;
pub mod time;

pub use action::{Action, Body, Cancel, Grant, State};
pub use ids::{ActionId, Digest, Epoch, JournalId, MachineId, Nonce};
pub use kind::{Kind, ResourceClass};
pub use lifecycle::{EventKind, Stage};
pub use time::Timestamp;
