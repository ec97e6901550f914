//! How a cancel is answered.

use std::time::Duration;

/// How a cancel is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelConfig {
    /// How long the answer to a cancel waits for the machine's testimony before it says InProgress.
    pub wait_budget: Duration,
}

impl Default for CancelConfig {
    fn default() -> Self {
        Self { wait_budget: Duration::from_secs(3) }
    }
}
