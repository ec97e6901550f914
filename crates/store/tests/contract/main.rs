//! What every engine must do, said once. The names of the tests are the specification.
//!
//! An engine is named in `engines.rs`; each test then runs on it as well. Nothing here knows of any engine.

mod access;
mod audit;
mod cancel;
mod commit;
mod engines;
mod enrolment;
mod grant;
mod history;
mod insert;
mod integrity;
mod library;
mod listing;
mod machines;
mod once;
mod overdue;
mod races;
mod reenrolment;
mod same_back;
mod stamps;
mod world;
