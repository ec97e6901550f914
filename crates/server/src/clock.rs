//! The one place that reads the clock and rolls dice. Everything else is given a [`Clock`], so that a test decides what
//! time it is.

use domain::Timestamp;
use domain::time::TICKS_PER_SECOND;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds in one tick of a [`Timestamp`].
const NANOSECONDS_PER_TICK: u32 = 100;

/// Time and randomness.
pub trait Clock: Send + Sync {
    /// The time, in UTC.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` with unguessable randomness.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Clock + '_ {
    /// `N` unguessable bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's clock and random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 1970: time decides only about display and expiry.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX / TICKS_PER_SECOND);
        let ticks = since.subsec_nanos() / NANOSECONDS_PER_TICK;
        Timestamp(seconds.saturating_mul(TICKS_PER_SECOND).saturating_add(i64::from(ticks)))
    }

    fn fill(&self, bytes: &mut [u8]) {
        // Without the kernel's random source no id, key or token here would be worth anything.
        getrandom::fill(bytes).expect("the kernel's random source failed");
    }
}

/// A fresh GUID from `clock`, lower case with hyphens.
pub fn guid(clock: &dyn Clock) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(clock.random()).into_uuid()
}
