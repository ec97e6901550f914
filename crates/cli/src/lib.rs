//! The binary `countermand` as a library: what its commands, and the benchmark, are made of.

pub mod client;
pub mod commands;
pub mod demo;
pub mod exit;
pub mod fleet;
pub mod output;
pub mod stage;
