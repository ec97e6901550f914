//! Changing bytes a little, the way a fuzzer does, but the same way every time.

/// `seed`, changed in a few places; `other` lends bytes. `round` says how: the same number, the same change.
pub fn changed(seed: &[u8], other: &[u8], round: u64) -> Vec<u8> {
    let mut random = Random(round);
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        change(&mut bytes, other, &mut random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(7) {
        0 => bytes.insert(at, random.byte()),
        1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random.byte()][random.below(6)],
        3 => bytes.truncate(at),
        4 => {
            let end = at + random.below(bytes.len() - at + 1);
            bytes.drain(at..end);
        }
        5 => {
            let end = at + random.below(bytes.len() - at + 1);
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        _ => {
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            bytes.splice(at..at, other[from..to].iter().copied());
        }
    }
}

/// SplitMix64: repeatable, and good enough to choose places.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
