//! Numbers that follow from a seed and nothing else (splitmix64), so that a seed is a whole run's faults and calls.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    /// The stream for `purpose` under `seed`; streams for different purposes have nothing to do with each other.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut start = Seeded(seed);
        Seeded(start.next() ^ purpose.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to and not including `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }

    /// One of the items, each as often as its weight says.
    pub(crate) fn pick<'a, T>(&mut self, weighted: &'a [(u64, T)]) -> &'a T {
        let mut left = self.between(0, weighted.iter().map(|(weight, _)| weight).sum());
        let drawn = weighted.iter().find(|(weight, _)| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        &drawn.expect("weights that add up").1
    }
}
