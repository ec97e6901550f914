//! How often an application may call an endpoint. Exact sliding windows, so that no burst at a window's border gets
//! through twice; time is passed in.

use crate::config::LimitsConfig;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::time::{TICKS_PER_SECOND, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// A minute, in ticks.
const MINUTE: i64 = 60 * TICKS_PER_SECOND;

/// The headers that say what is left.
const LIMIT_HEADER: &str = "x-ratelimit-limit";
const REMAINING_HEADER: &str = "x-ratelimit-remaining";
const RESET_HEADER: &str = "x-ratelimit-reset";

/// An hour, in ticks.
const HOUR: i64 = 60 * MINUTE;

/// The most pairs of application and endpoint that are remembered. Idle ones are forgotten first, then those that called
/// least lately: whoever is forgotten too early may call a little more often.
const PAIRS_MAX: usize = 10_000;

/// The part of them that is forgotten at once, so that making room is seldom.
const FORGOTTEN_AT_ONCE: usize = PAIRS_MAX / 10;

/// Which limit an endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// That of most endpoints.
    Standard,
    /// That of live responses.
    LiveResponse,
    /// That of links to investigation packages.
    Package,
    /// That of investigations.
    Investigation,
}

/// How much of a limit is left: of the minute or of the hour, whichever leaves less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls in all.
    pub limit: u32,
    /// Calls that are left now.
    pub remaining: u32,
    /// After so many whole seconds there is one more.
    pub reset_seconds: u64,
}

/// Counts calls.
pub struct Limits {
    config: LimitsConfig,
    calls: Mutex<Calls>,
}

/// When each pair of application and endpoint called within the last hour, oldest first.
type Calls = HashMap<(String, &'static str), VecDeque<i64>>;

impl Limits {
    /// With these limits.
    pub fn new(config: LimitsConfig) -> Self {
        Self { config, calls: Mutex::default() }
    }

    /// Counts a call of `application` to `endpoint` at `now`, and says what is left; nothing, where nothing is limited.
    ///
    /// # Errors
    /// It is one too many, and is not counted: when the quota says, the next one is taken.
    pub fn count(
        &self,
        application: &str,
        endpoint: &'static str,
        limit: Limit,
        now: Timestamp,
    ) -> Result<Option<Quota>, Quota> {
        if !self.config.enabled {
            return Ok(None);
        }
        let mut pairs = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (application.to_string(), endpoint);
        if pairs.len() >= PAIRS_MAX && !pairs.contains_key(&pair) {
            make_room(&mut pairs, now);
        }
        let calls = pairs.entry(pair).or_default();
        // A clock that was set back must not shut anyone out until it has caught up.
        while calls.back().is_some_and(|last| *last > now.0) {
            calls.pop_back();
        }
        while calls.front().is_some_and(|first| *first <= now.0 - HOUR) {
            calls.pop_front();
        }
        let (per_minute, per_hour) = self.of(limit);
        let left = |calls: &VecDeque<i64>| {
            let (minute, hour) = (left(calls, per_minute, MINUTE, now), left(calls, per_hour, HOUR, now));
            if (minute.remaining, hour.reset_seconds) < (hour.remaining, minute.reset_seconds) { minute } else { hour }
        };
        let before = left(calls);
        if before.remaining == 0 {
            return Err(before);
        }
        calls.push_back(now.0);
        Ok(Some(left(calls)))
    }

    /// Calls per minute and per hour.
    fn of(&self, limit: Limit) -> (u32, u32) {
        let config = &self.config;
        match limit {
            Limit::Standard => (config.per_minute, config.per_hour),
            Limit::LiveResponse => (config.live_response_per_minute, config.per_hour),
            Limit::Package => (config.package_per_minute, config.package_per_hour),
            Limit::Investigation => (config.per_minute, config.investigation_per_hour),
        }
    }
}

/// What these calls leave of so many in a window that ends now.
fn left(calls: &VecDeque<i64>, limit: u32, window: i64, now: Timestamp) -> Quota {
    let begun = calls.partition_point(|call| *call <= now.0 - window);
    let within = calls.len() - begun;
    let remaining = limit.saturating_sub(u32::try_from(within).unwrap_or(u32::MAX));
    // The call whose end makes room: the oldest, or a later one where there are more than there may be. With a limit of
    // none there is no call to wait for.
    let over = within.saturating_sub(limit as usize);
    let ends = calls.get(begun + over).map_or(now.0 + window, |call| call + window);
    let seconds = (ends - now.0 + TICKS_PER_SECOND - 1) / TICKS_PER_SECOND;
    Quota { limit, remaining, reset_seconds: u64::try_from(seconds).unwrap_or(1) }
}

/// Forgets pairs that have not called within the hour, or else those that called least lately.
fn make_room(pairs: &mut Calls, now: Timestamp) {
    pairs.retain(|_, calls| calls.back().is_some_and(|last| (now.0 - HOUR..=now.0).contains(last)));
    if pairs.len() < PAIRS_MAX {
        return;
    }
    let mut lasts: Vec<i64> = pairs.values().filter_map(|calls| calls.back().copied()).collect();
    let (_, &mut newest_forgotten, _) = lasts.select_nth_unstable(FORGOTTEN_AT_ONCE);
    pairs.retain(|_, calls| calls.back().is_some_and(|last| *last > newest_forgotten));
}

/// Says in an answer's headers what is left.
pub(super) fn show(quota: &Quota, headers: &mut HeaderMap) {
    let numbers = [u64::from(quota.limit), u64::from(quota.remaining), quota.reset_seconds];
    for (name, number) in [LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER].into_iter().zip(numbers) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
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
        let count = |seconds| {
            let counted = limits.count("app", "list", Limit::Standard, at(seconds));
            counted.map(|quota| quota.unwrap().remaining).map_err(|quota| quota.reset_seconds)
        };
        assert_eq!([count(0), count(30), count(59)], [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(count(59), Err(1), "until the call at 0 is a minute old");
        assert_eq!(count(60), Ok(0));
        assert_eq!(count(61), Err(29));
        assert_eq!(count(120), Ok(0), "the hour's last");
        assert_eq!(count(200), Err(3400), "the hour is full until the call at 0 is an hour old");
        assert_eq!(count(3600), Ok(0));
        assert_eq!(count(3600), Err(30));
    }

    #[test]
    fn applications_and_endpoints_are_counted_apart() {
        let limits = limits(1, 1);
        assert!(limits.count("a", "list", Limit::Standard, at(0)).is_ok());
        assert!(limits.count("b", "list", Limit::Standard, at(0)).is_ok());
        assert!(limits.count("a", "get", Limit::Standard, at(0)).is_ok());
        let refused = Quota { limit: 1, remaining: 0, reset_seconds: 3600 };
        assert_eq!(limits.count("a", "list", Limit::Standard, at(0)), Err(refused));
    }

    #[test]
    fn a_clock_set_back_shuts_nobody_out() {
        let limits = limits(1, 1);
        assert!(limits.count("a", "list", Limit::Standard, at(1_000_000)).is_ok());
        assert!(limits.count("a", "list", Limit::Standard, at(0)).is_ok());
        assert!(limits.count("a", "list", Limit::Standard, at(0)).is_err());
    }

    #[test]
    fn switched_off_and_set_to_none() {
        let off = Limits::new(LimitsConfig { enabled: false, per_minute: 0, ..LimitsConfig::default() });
        assert_eq!(off.count("a", "list", Limit::Standard, at(0)), Ok(None));
        let none = Quota { limit: 0, remaining: 0, reset_seconds: 60 };
        assert_eq!(limits(0, 9).count("a", "list", Limit::Standard, at(0)), Err(none));
    }

    #[test]
    fn each_class_has_its_own_limits() {
        for (limit, per_minute, per_hour) in [
            (Limit::Standard, 100, 1500),
            (Limit::LiveResponse, 10, 1500),
            (Limit::Package, 2, 120),
            (Limit::Investigation, 50, 50),
        ] {
            let limits = Limits::new(LimitsConfig::default());
            // Spread over the hour, and as many as there may be in its first minute.
            let taken = |seconds| limits.count("a", "x", limit, at(seconds)).is_ok();
            assert_eq!((0..200).filter(|_| taken(0)).count(), per_minute, "{limit:?}");
            let in_the_hour = (60..3600).filter(|second| taken(*second)).count() + per_minute;
            assert_eq!(in_the_hour, per_hour.min(in_the_hour), "{limit:?}");
            assert!(in_the_hour == per_hour || limit == Limit::LiveResponse, "{limit:?}: {in_the_hour}");
        }
    }

    #[test]
    fn what_is_said_to_be_left_is_what_is_left() {
        let limits = limits(3, 100);
        let count = |seconds| limits.count("a", "x", Limit::Standard, at(seconds));
        let quota = |remaining, reset_seconds| Quota { limit: 3, remaining, reset_seconds };
        assert_eq!(count(0), Ok(Some(quota(2, 60))));
        assert_eq!(count(10), Ok(Some(quota(1, 50))));
        assert_eq!(count(10), Ok(Some(quota(0, 50))));
        assert_eq!(count(20), Err(quota(0, 40)));
        assert_eq!(count(60), Ok(Some(quota(0, 10))));
    }

    #[test]
    fn callers_that_come_and_go_take_no_more_room() {
        let limits = limits(9, 9);
        for number in 0..3 * PAIRS_MAX {
            limits.count(&number.to_string(), "x", Limit::Standard, at(number as i64 / 100)).unwrap();
            assert!(limits.calls.lock().unwrap().len() <= PAIRS_MAX);
        }
        // Who called lately is remembered.
        let last = (3 * PAIRS_MAX - 1).to_string();
        let seconds = 3 * PAIRS_MAX as i64 / 100;
        assert_eq!(limits.count(&last, "x", Limit::Standard, at(seconds)).unwrap().unwrap().remaining, 7);
        // All at one instant, too.
        let crowd = super::tests::limits(9, 9);
        for number in 0..2 * PAIRS_MAX {
            crowd.count(&number.to_string(), "x", Limit::Standard, at(0)).unwrap();
            assert!(crowd.calls.lock().unwrap().len() <= PAIRS_MAX);
        }
    }
}
