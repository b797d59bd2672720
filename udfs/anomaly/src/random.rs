//! Random numbers that are the same on every machine and for every order of calls.

/// A SplitMix64 stream.
///
/// Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", *OOPSLA*. 64 bits of state are plenty
/// for the few thousand draws a tree takes.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream number `stream` of a seed; streams of one seed are unrelated.
    pub(crate) fn new(seed: u64, stream: u64) -> Random {
        Random {
            state: mix(mix(seed.wrapping_add(GOLDEN)) ^ mix(stream.wrapping_mul(GOLDEN).wrapping_add(1))),
        }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `bound`; 0 for a bound of 0. Its bias is below `bound` / 2^64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// `count` different numbers below `bound`, ascending (Floyd's algorithm); all of them where `count` ≥ `bound`.
    pub(crate) fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut drawn: Vec<usize> = Vec::with_capacity(count.min(bound));
        for last in bound.saturating_sub(count)..bound {
            let candidate = self.below(last + 1);
            match drawn.binary_search(&candidate) {
                // `last` is above all that were drawn.
                Ok(_) => drawn.push(last),
                Err(place) => drawn.insert(place, candidate),
            }
        }
        drawn
    }
}

fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_that_of_splitmix64() {
        // First outputs of the reference implementation (Vigna, splitmix64.c) for the seed 1234567.
        let mut random = Random { state: 1_234_567 };
        assert_eq!(
            [random.bits(), random.bits(), random.bits()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn distinct_numbers_are_distinct_and_uniform() {
        let mut random = Random::new(1, 2);
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            let drawn = random.distinct(3, 10);
            assert!(drawn.len() == 3 && drawn.is_sorted_by(|a, b| a < b));
            drawn.iter().for_each(|number| counts[*number] += 1);
        }
        assert!(counts.iter().all(|count| (2_850..3_150).contains(count)), "{counts:?}");
        assert_eq!(random.distinct(5, 3), [0, 1, 2]);
        assert_eq!(random.distinct(5, 0), [0_usize; 0]);
    }
}
