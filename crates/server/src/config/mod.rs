//! What can be set: one struct per concern, with documented fields, units and defaults. Knows nothing about command
//! lines or environment variables.

mod agents;
mod cancel;
mod data;
mod issuers;
mod limits;
mod listen;
mod tokens;

pub use agents::AgentsConfig;
pub use cancel::CancelConfig;
pub use data::DataConfig;
pub use issuers::IssuerConfig;
pub use limits::LimitsConfig;
pub use listen::ListenConfig;
pub use tokens::TokensConfig;

use std::path::Path;

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where it listens, and how patiently.
    pub listen: ListenConfig,
    /// Where it keeps things.
    pub data: DataConfig,
    /// How often a caller may call.
    pub limits: LimitsConfig,
    /// What the tokens say that it issues and takes.
    pub tokens: TokensConfig,
    /// How a cancel is answered.
    pub cancel: CancelConfig,
    /// What agents are told.
    pub agents: AgentsConfig,
}

impl Config {
    /// For tests: free ports on loopback, everything below `dir`.
    pub fn for_testing(dir: &Path) -> Self {
        Self { listen: ListenConfig::for_testing(), data: DataConfig::for_testing(dir), ..Self::default() }
    }
}
