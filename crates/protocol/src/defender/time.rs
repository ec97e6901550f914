//! Instants on the wire: UTC with `Z` and up to seven decimals, trailing zeros trimmed, as recorded responses have them.

use domain::time::{TICKS_PER_SECOND, Timestamp};

/// The first second of year 1: clients' own dates begin there, and end with year 9999.
pub(crate) const FIRST_SECOND: i64 = -62_135_596_800;

/// An instant as the wire has it. One that clients cannot read, as a machine's clock may tell it, is shown as the first
/// or the last that they can.
pub fn show(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(TICKS_PER_SECOND);
    let ticks = at.0.rem_euclid(TICKS_PER_SECOND);
    if seconds < FIRST_SECOND {
        return String::from("0001-01-01T00:00:00Z");
    }
    let Ok(instant) = jiff::Timestamp::from_second(seconds) else {
        return String::from("9999-12-31T23:59:59.9999999Z");
    };
    let whole = instant.strftime("%Y-%m-%dT%H:%M:%S");
    if ticks == 0 {
        return format!("{whole}Z");
    }
    let decimals = format!("{ticks:07}");
    format!("{whole}.{}Z", decimals.trim_end_matches('0'))
}

/// Reads an RFC 3339 instant; digits past the seventh are cut off.
pub fn parse(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(instant.as_nanosecond().div_euclid(100)).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_trimmed_and_read_back() {
        for (ticks, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (17_040_672_001_234_567, "2024-01-01T00:00:00.1234567Z"),
            (17_040_672_009_200_000, "2024-01-01T00:00:00.92Z"),
            (-1, "1969-12-31T23:59:59.9999999Z"),
        ] {
            assert_eq!(show(Timestamp(ticks)), shown);
            assert_eq!(parse(shown), Some(Timestamp(ticks)));
        }
        assert_eq!(parse("2025-03-24T08:11:54.039281399Z"), parse("2025-03-24T08:11:54.0392813Z"));
        assert_eq!(parse("yesterday"), None);
        assert_eq!(show(Timestamp(i64::MAX)), "9999-12-31T23:59:59.9999999Z");
        for before in [i64::MIN, FIRST_SECOND * TICKS_PER_SECOND - 1, FIRST_SECOND * TICKS_PER_SECOND] {
            assert_eq!(show(Timestamp(before)), "0001-01-01T00:00:00Z");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_instant_of_ours_reads_back_and_has_no_trailing_zero(
            // Years 1 to 9999, which is what clients can read.
            ticks in -621_355_968_000_000_000_i64..253_402_200_000_i64 * TICKS_PER_SECOND,
            zeros in 0_u32..8,
        ) {
            // Often with zeros at the end, as else there hardly ever are any.
            let ticks = ticks - ticks.rem_euclid(10_i64.pow(zeros));
            let shown = show(Timestamp(ticks));
            proptest::prop_assert_eq!(parse(&shown), Some(Timestamp(ticks)), "{}", shown);
            let (whole, decimals) = shown.strip_suffix('Z').unwrap().split_at(19);
            proptest::prop_assert!(whole.len() == 19 && whole.as_bytes()[10] == b'T', "{}", shown);
            if let Some(decimals) = decimals.strip_prefix('.') {
                proptest::prop_assert!((1..=7).contains(&decimals.len()) && !decimals.ends_with('0'), "{}", shown);
            } else {
                proptest::prop_assert_eq!(decimals, "");
            }
        }
    }
}
