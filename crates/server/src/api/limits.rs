//! How often an application may call an endpoint. Exact sliding windows, so that no burst at a window's border gets
//! through twice; time is passed in.

use crate::config::LimitsConfig;
use domain::time::{TICKS_PER_SECOND, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// A minute, in ticks.
const MINUTE: i64 = 60 * TICKS_PER_SECOND;

/// An hour, in ticks.
const HOUR: i64 = 60 * MINUTE;

/// Pairs of application and endpoint beyond which idle ones are forgotten.
const PAIRS_MAX: usize = 10_000;

/// Which limit an endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That of most endpoints.
    Standard,
    /// That of live responses.
    LiveResponse,
}

/// Counts calls.
pub struct Limits {
    config: LimitsConfig,
    calls: Mutex<HashMap<(String, &'static str), VecDeque<i64>>>,
}

impl Limits {
    /// With these limits.
    pub fn new(config: LimitsConfig) -> Self {
        Self { config, calls: Mutex::default() }
    }

    /// Counts a call of `application` to `endpoint` at `now`.
    ///
    /// # Errors
    /// It is one too many, and is not counted: after so many whole seconds the next one is taken.
    pub fn count(&self, application: &str, endpoint: &'static str, limit: Limit, now: Timestamp) -> Result<(), u64> {
        if !self.config.enabled {
            return Ok(());
        }
        let per_minute = match limit {
            Limit::Standard => self.config.per_minute,
            Limit::LiveResponse => self.config.live_response_per_minute,
        };
        let mut pairs = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.len() >= PAIRS_MAX {
            pairs.retain(|_, calls| calls.back().is_some_and(|last| (now.0 - HOUR..=now.0).contains(last)));
        }
        let calls = pairs.entry((application.to_string(), endpoint)).or_default();
        // A clock that was set back must not shut anyone out until it has caught up.
        while calls.back().is_some_and(|last| *last > now.0) {
            calls.pop_back();
        }
        while calls.front().is_some_and(|first| *first <= now.0 - HOUR) {
            calls.pop_front();
        }
        let free_at = |per_window: u32, window: i64| {
            let Some(before) = calls.len().checked_sub(per_window as usize) else { return now.0 };
            // With a limit of none there is no call to wait for.
            calls.get(before).map_or(now.0 + window, |oldest| oldest + window)
        };
        let free_at = free_at(per_minute, MINUTE).max(free_at(self.config.per_hour, HOUR));
        if free_at > now.0 {
            let seconds = (free_at - now.0 + TICKS_PER_SECOND - 1) / TICKS_PER_SECOND;
            return Err(u64::try_from(seconds).unwrap_or(1));
        }
        calls.push_back(now.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn limits(per_minute: u32, per_hour: u32) -> Limits {
        Limits::new(LimitsConfig { per_minute, per_hour, ..LimitsConfig::default() })
    }

    #[test]
    fn a_minute_and_an_hour_slide() {
        let limits = limits(3, 5);
        let count = |seconds| limits.count("app", "list", Limit::Standard, at(seconds));
        assert_eq!([count(0), count(30), count(59)], [Ok(()); 3]);
        assert_eq!(count(59), Err(1), "until the call at 0 is a minute old");
        assert_eq!(count(60), Ok(()));
        assert_eq!(count(61), Err(29));
        assert_eq!(count(120), Ok(()));
        assert_eq!(count(200), Err(3400), "the hour is full until the call at 0 is an hour old");
        assert_eq!(count(3600), Ok(()));
        assert_eq!(count(3600), Err(30));
    }

    #[test]
    fn applications_and_endpoints_are_counted_apart() {
        let limits = limits(1, 1);
        assert_eq!(limits.count("a", "list", Limit::Standard, at(0)), Ok(()));
        assert_eq!(limits.count("b", "list", Limit::Standard, at(0)), Ok(()));
        assert_eq!(limits.count("a", "get", Limit::Standard, at(0)), Ok(()));
        assert_eq!(limits.count("a", "list", Limit::Standard, at(0)), Err(3600));
    }

    #[test]
    fn a_clock_set_back_shuts_nobody_out() {
        let limits = limits(1, 1);
        assert_eq!(limits.count("a", "list", Limit::Standard, at(1_000_000)), Ok(()));
        assert_eq!(limits.count("a", "list", Limit::Standard, at(0)), Ok(()));
        assert!(limits.count("a", "list", Limit::Standard, at(0)).is_err());
    }

    #[test]
    fn switched_off_and_set_to_none() {
        let off = Limits::new(LimitsConfig { enabled: false, per_minute: 0, ..LimitsConfig::default() });
        assert_eq!(off.count("a", "list", Limit::Standard, at(0)), Ok(()));
        assert_eq!(limits(0, 9).count("a", "list", Limit::Standard, at(0)), Err(60));
    }
}
