//! How often a caller may call.

/// How often one application may call one endpoint. The defaults are the documented limits of Defender's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Whether calls are limited at all.
    pub enabled: bool,
    /// Calls per minute.
    pub per_minute: u32,
    /// Calls per hour.
    pub per_hour: u32,
    /// Live responses per minute.
    pub live_response_per_minute: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { enabled: true, per_minute: 100, per_hour: 1500, live_response_per_minute: 10 }
    }
}
