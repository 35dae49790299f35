//! Randomness for everything that nobody must be kept from guessing: jitter, and who of several is let through. What must
//! not be guessed (session ids, keys, leases) is the host's to give, see `filter::clock`.

/// A generator of pseudo-random numbers: `SplitMix64`, which passes through every 64-bit state before it repeats itself,
/// from whatever seed. One per VM, since asking the host costs more than all else about a random number.
///
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Debug, Clone)]
pub struct Generator(u64);

/// The golden ratio in 64 bits, made odd: the distance between two states.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Generator {
    /// A generator whose numbers follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Generator(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next 32 bits: the upper half of a step, as good as the lower.
    pub fn next_u32(&mut self) -> u32 {
        let [_, _, _, _, upper @ ..] = self.next_u64().to_le_bytes();
        u32::from_le_bytes(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of numbers that are drawn fairly, a count this far (in standard deviations) from its mean is seen once in 10^15.
    const FAR: f64 = 8.0;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        let mut generator = Generator::new(1_234_567);
        let numbers = [(); 5].map(|()| generator.next_u64());
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(numbers, published);
    }

    #[test]
    fn every_bit_is_set_half_of_the_time() {
        let draws = 100_000_u32;
        for seed in [0, 1, u64::MAX] {
            let mut generator = Generator::new(seed);
            let mut set = [0_u32; 32];
            for _ in 0..draws {
                let drawn = generator.next_u32();
                set.iter_mut().zip(0..32).for_each(|(count, bit)| *count += (drawn >> bit) & 1);
            }
            let deviation = f64::from(draws).sqrt() / 2.0;
            for (bit, count) in set.iter().enumerate() {
                let off = (f64::from(*count) - f64::from(draws) / 2.0).abs() / deviation;
                assert!(off < FAR, "seed {seed}: bit {bit} was set {count} times of {draws}");
            }
        }
    }

    #[test]
    fn numbers_fall_evenly_into_a_hundred_shares_and_say_nothing_of_the_next() {
        const SHARES: usize = 10;
        let mut generator = Generator::new(7);
        let mut share = || ((u64::from(generator.next_u32()) * SHARES as u64) >> 32) as usize;
        let mut pairs = [[0_u32; SHARES]; SHARES];
        let draws = 200_000_u32;
        for _ in 0..draws {
            let first = share();
            pairs[first][share()] += 1;
        }
        let mean = f64::from(draws) / (SHARES * SHARES) as f64;
        for count in pairs.iter().flatten() {
            assert!((f64::from(*count) - mean).abs() / mean.sqrt() < FAR, "{count} times, where {mean} are fair");
        }
    }

    #[test]
    fn two_seeds_give_two_sequences_however_close_they_are() {
        let sequence = |seed| {
            let mut generator = Generator::new(seed);
            [(); 8].map(|()| generator.next_u64())
        };
        for seed in [0, 1, 41, u64::MAX] {
            let (one, other) = (sequence(seed), sequence(seed.wrapping_add(1)));
            assert!(one.iter().all(|number| !other.contains(number)), "{seed}");
            // Half of the bits differ, as those of strangers do.
            let differ: u32 = one.iter().zip(&other).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!((150..=362).contains(&differ), "{seed}: {differ} of 512 bits");
        }
    }
}
