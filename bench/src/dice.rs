//! Randomness that follows from a seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64: small, good enough to choose moments by, and the same for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// What follows from this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of their own for the part called `number`: what one part throws changes nothing for the others.
    pub(crate) fn part(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    /// A number from 0 to `limit` - 1; 0 for a limit of 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The bias of the remainder is far below what any of our counts could show.
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// A length of time up to `limit`, to the microsecond.
    pub(crate) fn within(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Puts the items in a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The seed that was asked for, or one from the clock.
pub(crate) fn seed_or_new(asked: Option<u64>) -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()));
    asked.unwrap_or_else(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_throws() {
        let throws = |seed| {
            (0..8)
                .map({
                    let mut dice = Dice::new(seed);
                    move |_| dice.below(1000)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        assert_ne!(Dice::part(7, 1).below(1 << 40), Dice::part(7, 2).below(1 << 40));
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut items: Vec<u32> = (0..100).collect();
        Dice::new(3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
