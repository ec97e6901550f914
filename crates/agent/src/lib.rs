//! The agent: runs as root on a managed machine, takes grants, does what they say, and can truly stop it again.
//!
//! [`link`] talks to the server, [`worker`] drives `domain::grantee` over the [`journal`], [`crew`] does the work through
//! the [`executors`], and [`host`] is the machine. [`boot`] takes up what an earlier run left, and [`run`] puts them
//! together.

pub mod boot;
pub mod crash;
pub mod crew;
pub mod executors;
pub mod host;
pub mod identity;
pub mod journal;
pub mod link;
pub mod options;
pub mod run;
pub mod worker;
