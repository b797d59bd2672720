//! Draws that depend on what is drawn, not on when: a hash of seed and position.
//!
//! Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", OOPSLA: the finaliser of SplitMix64.

/// A number for a seed and two positions, uniform over all of `u64`.
pub(crate) fn hash(seed: u64, first: u64, second: u64) -> u64 {
    let mut state = seed;
    for part in [first, second] {
        state = mix(state
            .wrapping_add(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(part.wrapping_mul(0xD1B5_4A32_D192_ED03)));
    }
    state
}

/// A whole number below `limit` (0 for a limit of 0).
pub(crate) fn below(hash: u64, limit: usize) -> usize {
    ((u128::from(hash) * limit as u128) >> 64) as usize
}

fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_evenly() {
        let mut counts = [0_u32; 10];
        for position in 0..10_000 {
            counts[below(hash(7, position, 3), 10)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_ne!(hash(1, 2, 3), hash(1, 3, 2));
        assert_eq!(below(u64::MAX, 0), 0);
    }
}
