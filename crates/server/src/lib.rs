//! Everything that serves: the HTTP API, the agents' streams, and the sweep.
//!
//! Handlers read, ask [`actions::Actions`], and answer; only `actions` knows the store, and it decides nothing that
//! `domain` decides. Knows nothing about executors or what runs on a machine.

pub mod actions;
pub mod admin;
pub mod agent_link;
pub mod api;
pub mod audit_file;
pub mod authority;
pub mod clock;
pub mod config;
pub mod links;
pub mod listen;
pub mod secret_file;
pub mod serve;
pub mod signer;
pub mod sweep;
pub mod tls;
pub mod tokens;
pub mod wake;
