//! What agents are told.

/// What agents are told at enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentsConfig {
    /// Where machines dial the agent listener, `host:port`. The host must be among the names of the server's
    /// certificate.
    pub address: String,
    /// How long an open action's machine may be silent before its outcome is unknown, in seconds.
    pub horizon_seconds: i64,
}

impl Default for AgentsConfig {
    fn default() -> Self {
        Self { address: "localhost:8444".into(), horizon_seconds: 72 * 3600 }
    }
}
