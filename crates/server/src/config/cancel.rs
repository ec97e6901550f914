//! How a cancel is answered.

use std::time::Duration;

/// How a cancel is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelConfig {
    /// How long the answer to a cancel waits for the machine's testimony before it says InProgress.
    pub wait_budget: Duration,
    /// Whether a cancel asks for the permission of the action's own kind. Otherwise any of the seven permissions that
    /// allow a request will do, as in Defender's API.
    pub strict: bool,
}

impl Default for CancelConfig {
    fn default() -> Self {
        Self { wait_budget: Duration::from_secs(3), strict: false }
    }
}
