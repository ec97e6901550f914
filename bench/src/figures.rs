//! Lengths of time, counted and shown.

use serde::Serialize;
use std::time::Duration;

/// What is shown of many lengths of time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// How many there were.
    pub(crate) count: usize,
    /// Half are not longer.
    pub(crate) p50_ms: f64,
    /// Nine in ten are not longer.
    pub(crate) p90_ms: f64,
    /// Ninety-nine in a hundred are not longer.
    pub(crate) p99_ms: f64,
    /// None is longer.
    pub(crate) max_ms: f64,
}

impl Spread {
    /// Of these; all zero for none.
    pub(crate) fn of(mut lengths: Vec<Duration>) -> Self {
        lengths.sort_unstable();
        let at = |percent: usize| {
            // The smallest that is not shorter than so many percent of all.
            let rank = (lengths.len() * percent).div_ceil(100).max(1) - 1;
            lengths.get(rank).map_or(0.0, |length| millis(*length))
        };
        Self { count: lengths.len(), p50_ms: at(50), p90_ms: at(90), p99_ms: at(99), max_ms: at(100) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, p50_ms, p90_ms, p99_ms, max_ms } = self;
        write!(f, "{count} x: p50 {p50_ms:.1} ms, p90 {p90_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms")
    }
}

/// So many milliseconds.
pub(crate) fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}

/// So many a second.
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// The upper ends of the histogram's bars, in milliseconds.
const BARS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// How long the longest bar is, in characters.
const BAR_CHARACTERS: usize = 40;

/// How many lengths of time fall between two marks of the scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Bar {
    /// Its upper end, in milliseconds; none: the last one has no end.
    pub(crate) up_to_ms: Option<u64>,
    /// How many.
    pub(crate) count: usize,
}

/// The bars that are not empty.
pub(crate) fn bars(lengths: &[Duration]) -> Vec<Bar> {
    let mut counts = vec![0usize; BARS_MS.len() + 1];
    for length in lengths {
        let bar = BARS_MS.iter().position(|end| *length <= Duration::from_millis(*end)).unwrap_or(BARS_MS.len());
        counts[bar] += 1;
    }
    let bars = counts.into_iter().enumerate().map(|(bar, count)| Bar { up_to_ms: BARS_MS.get(bar).copied(), count });
    bars.filter(|bar| bar.count > 0).collect()
}

/// The bars for people to see, one a line.
pub(crate) fn drawn(bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let line = |bar: &Bar| {
        let scale = bar.up_to_ms.map_or_else(|| "   more".to_string(), |end| format!("<= {end:>4}"));
        let drawn = "#".repeat((bar.count * BAR_CHARACTERS).div_ceil(most));
        format!("    {scale} ms {:>6}  {drawn}\n", bar.count)
    };
    bars.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let spread = Spread::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(spread, Spread { count: 100, p50_ms: 50.0, p90_ms: 90.0, p99_ms: 99.0, max_ms: 100.0 });
        assert_eq!(Spread::of(vec![]), Spread::default());
        let one = Spread::of(vec![Duration::from_millis(3)]);
        assert_eq!((one.p50_ms, one.p99_ms, one.max_ms), (3.0, 3.0, 3.0));
    }

    #[test]
    fn every_length_stands_in_one_bar() {
        let bars = bars(&[1, 2, 2, 9000].map(Duration::from_millis));
        assert_eq!(
            bars.iter().map(|bar| (bar.up_to_ms, bar.count)).collect::<Vec<_>>(),
            [(Some(1), 1), (Some(2), 2), (None, 1)]
        );
        let text = drawn(&bars);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("more"), "{text}");
    }
}
