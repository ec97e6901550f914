//! Choices that come from bytes: any bytes are a run of choices, and a changed byte is another choice.

/// Bytes, read as choices. When they are used up every choice is the first one.
pub(crate) struct Dice<'a> {
    bytes: &'a [u8],
}

impl<'a> Dice<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether nothing is left to choose with.
    pub(crate) fn is_spent(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A number below `limit`, which is at most 256.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of these; there is at least one.
    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number, mostly small, sometimes at an edge.
    pub(crate) fn number(&mut self) -> u64 {
        const EDGES: [u64; 8] =
            [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 53, 1 << 32, (1 << 31) - 1, 1 << 16];
        match self.byte() {
            small @ 0..=199 => u64::from(small),
            200..=239 => EDGES[self.below(EDGES.len())],
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// An instant, mostly near `now`, sometimes at an edge.
    pub(crate) fn instant(&mut self, now: i64) -> i64 {
        match self.byte() {
            near @ 0..=199 => now + i64::from(near),
            200..=219 => i64::MIN,
            220..=239 => i64::MAX,
            _ => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// The next bytes, as many as the first of them says and there are.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.bytes.len());
        let (some, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        some
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// A text: empty, as given, without end, or of characters that mean something somewhere.
    pub(crate) fn text(&mut self) -> String {
        const ODD: [&str; 10] = [
            "\0",
            "\r\n\r\n",
            "\u{1b}[2J",
            "\u{202e}gpj.exe",
            "'; DROP TABLE actions; --",
            "../../../etc/passwd",
            "%00%2f",
            "{\"a\":1}",
            "<script>alert(1)</script>",
            "=cmd|' /C calc'!A0",
        ];
        match self.byte() {
            0..=99 => String::from_utf8_lossy(self.some()).into_owned(),
            100..=179 => self.of(&ODD).into(),
            180..=239 => self.of(&["x", "é", "\u{10ffff}", "\n"]).repeat(usize::from(self.byte()) * 64),
            _ => String::new(),
        }
    }

    /// Up to `most` things, now and then `flood` of the smallest.
    pub(crate) fn list<T: Clone>(
        &mut self,
        most: usize,
        flood: usize,
        mut thing: impl FnMut(&mut Dice<'_>) -> T,
    ) -> Vec<T> {
        match self.byte() {
            255 => vec![thing(&mut Dice::new(&[])); flood],
            count => (0..usize::from(count) % (most + 1)).map(|_| thing(self)).collect(),
        }
    }
}
