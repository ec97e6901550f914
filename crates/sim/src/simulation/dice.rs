//! Where a run's luck comes from. A generator of our own, of a dozen lines: a seed must mean the same run for years, and
//! a crate's next version may roll otherwise.

/// A generator of pseudo-random numbers: SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always roll the same for the same seed.
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed ^ 0x5851_f42d_4c95_7f2d);
        dice.roll();
        dice
    }

    /// Dice of their own, so that what is rolled with them changes nothing for whoever holds these.
    pub fn split(&mut self) -> Self {
        Self::new(self.roll())
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The bias of the high product is far below what anybody could notice.
        ((u128::from(self.roll()) * u128::from(limit)) >> 64) as u64
    }

    /// An index below `length`.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let rolled = self.roll().to_le_bytes();
            chunk.copy_from_slice(&rolled[..chunk.len()]);
        }
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_rolls_the_same() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            [dice.roll(), dice.below(10), dice.between(3, 5), u64::from(dice.chance(500))]
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1)[0], rolls(2)[0]);
        // Written down: a change of the generator would make every seed in a report worthless.
        assert_eq!(Dice::new(7).roll(), 7_046_236_936_444_258_700);
    }

    #[test]
    fn numbers_stay_within_their_limits() {
        let mut dice = Dice::new(3);
        for _ in 0..1000 {
            assert!(dice.below(7) < 7 && (2..=4).contains(&dice.between(2, 4)));
            assert!(dice.chance(1000) && !dice.chance(0));
        }
        assert_eq!(dice.below(0), 0);
    }
}
