//! Instants as they are written in a filter: more forms than are ever answered.

use crate::defender::time::FIRST_SECOND;
use domain::time::Timestamp;

/// An instant as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// The tick it lies in, or on.
    pub at: Timestamp,
    /// Whether it is that tick, and not a few nanoseconds later.
    pub exact: bool,
}

/// Reads an instant: RFC 3339 with up to nine decimals; without a zone it is UTC; a date alone (`2018-08-01`, or, as
/// documents have it, `2018-08-01Z`) is its first moment. None before year 1: the wire has no word for it.
pub fn instant(text: &str) -> Option<Instant> {
    let nanos = match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant,
        Err(_) => without_zone(text)?,
    }
    .as_nanosecond();
    let at = i64::try_from(nanos.div_euclid(NANOS_PER_TICK)).ok().map(Timestamp)?;
    if at.as_seconds() < FIRST_SECOND {
        return None;
    }
    Some(Instant { at, exact: nanos.rem_euclid(NANOS_PER_TICK) == 0 })
}

const NANOS_PER_TICK: i128 = 100;

fn without_zone(text: &str) -> Option<jiff::Timestamp> {
    let begins_like_one = text.len() >= 10 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    if !begins_like_one {
        return None;
    }
    let utc = jiff::tz::TimeZone::UTC;
    if text.contains(['T', 't']) {
        return text.parse::<jiff::civil::DateTime>().ok().and_then(|moment| utc.to_timestamp(moment).ok());
    }
    let date = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let day: jiff::civil::Date = date.parse().ok()?;
    utc.to_timestamp(day.at(0, 0, 0, 0)).ok()
}
