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
    /// Links to investigation packages per minute.
    pub package_per_minute: u32,
    /// Links to investigation packages per hour.
    pub package_per_hour: u32,
    /// Investigations per hour.
    pub investigation_per_hour: u32,
    /// Live responses that are not final, at once, of all applications together.
    pub live_response_sessions: u32,
}

impl LimitsConfig {
    /// How many live responses there may be at once; none: any number.
    pub fn live_response_sessions_max(&self) -> Option<u32> {
        self.enabled.then_some(self.live_response_sessions)
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            per_minute: 100,
            per_hour: 1500,
            live_response_per_minute: 10,
            package_per_minute: 2,
            package_per_hour: 120,
            investigation_per_hour: 50,
            live_response_sessions: 25,
        }
    }
}
