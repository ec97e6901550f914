//! Instants as values. Nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// An instant: ticks of 100 nanoseconds since 1970-01-01T00:00:00Z. The tick is the wire's seventh decimal.
///
/// Used for display, for the life of a Pending action and for tokens. It never decides between a grant and a cancel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// Ticks in one second.
pub const TICKS_PER_SECOND: i64 = 10_000_000;

impl Timestamp {
    /// From whole milliseconds since the epoch.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(TICKS_PER_SECOND / 1000))
    }

    /// From whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(TICKS_PER_SECOND))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND)
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND / 1000)
    }

    /// The instant `seconds` later; saturates at the ends.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(TICKS_PER_SECOND)))
    }

    /// `self`, or one tick after `floor` where the clock stood still or went back: a row's updates stay distinct and
    /// rising, so a client that pages on "greater than the last one I saw" loses nothing of that row.
    pub fn after(self, floor: Timestamp) -> Self {
        self.max(Self(floor.0.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_rises_even_when_the_clock_goes_back() {
        assert_eq!(Timestamp(5).after(Timestamp(9)), Timestamp(10));
        assert_eq!(Timestamp(12).after(Timestamp(9)), Timestamp(12));
    }

    #[test]
    fn seconds_round_down_before_the_epoch_too() {
        assert_eq!(Timestamp(-1).as_seconds(), -1);
        assert_eq!(Timestamp::from_seconds(3).as_millis(), 3000);
    }
}
