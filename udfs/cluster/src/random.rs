//! A small random generator whose stream is part of the product: the same seed gives the same clusters in every
//! version.

/// SplitMix64: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", *OOPSLA*.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The generator of a seed and a stream number; streams of one seed are independent of each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Random { state: seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03) };
        random.state = random.next();
        random
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [0, 1) with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A whole number in 0..`bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// `wanted` of the numbers 0..`all` without repetition, in ascending order; all of them where `wanted` is larger.
    ///
    /// Knuth (1997), *The Art of Computer Programming* 2, 3.4.2, algorithm S.
    pub(crate) fn sample(&mut self, all: usize, wanted: usize) -> Vec<usize> {
        let wanted = wanted.min(all);
        let mut chosen = Vec::with_capacity(wanted);
        for number in 0..all {
            if self.below(all - number) < wanted - chosen.len() {
                chosen.push(number);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut random = Random { state: 1_234_567 };
        // The published test vector of SplitMix64 for this seed.
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_sample_is_ascending_and_complete() {
        let sample = Random::new(1, 2).sample(1000, 100);
        assert_eq!(sample.len(), 100);
        assert!(sample.windows(2).all(|pair| pair[0] < pair[1]) && sample[99] < 1000);
        assert_eq!(Random::new(1, 2).sample(3, 9), [0, 1, 2]);
        assert!(Random::new(1, 2).sample(0, 9).is_empty());
    }

    #[test]
    fn units_fill_the_interval() {
        let mut random = Random::new(7, 0);
        let mean = (0..10_000).map(|_| random.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert_eq!(random.below(1), 0);
    }
}
