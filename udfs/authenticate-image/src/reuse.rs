//! Photos that other listings of the same statement show.

use std::collections::HashMap;

use crate::phash::hamming;

/// Perceptual hashes of the photos so far, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hashes: Vec<(u64, String)>,
    /// Where hashes stand that have these 16 bits at this place: two that differ in fewer than four bits share one of four.
    bands: HashMap<(u8, u16), Vec<u32>>,
}

/// Bits in which two hashes of one photo may differ: scaling and compression change few, another photo about 32 of 64.
pub(crate) const NEAR: u32 = 3;
/// Photos that are remembered. One more is compared, but not remembered: memory is bounded.
const MOST: usize = 1_000_000;
/// Photos with the same 16 bits that are compared: many are flat or all alike, and quadratic work is what they would ask for.
const COMPARED: usize = 256;

impl Seen {
    /// The earlier photo that this one is, and in how many bits they differ; then remembers it.
    pub(crate) fn look(&mut self, hash: Option<u64>, name: &str) -> Option<(String, u32)> {
        let hash = hash?;
        let bands = || (0..4_u8).map(|band| (band, (hash >> (16 * u32::from(band))) as u16));
        let known = bands().filter_map(|band| self.bands.get(&band));
        let near = known.flat_map(|places| places.iter().take(COMPARED)).filter_map(|place| {
            let (other, name) = self.hashes.get(*place as usize)?;
            let distance = hamming(hash, *other);
            (distance <= NEAR).then_some((distance, *place, name))
        });
        let found = near.min_by_key(|(distance, place, _)| (*distance, *place));
        let found = found.map(|(distance, _, name)| (name.clone(), distance));
        if self.hashes.len() < MOST {
            let place = self.hashes.len() as u32;
            self.hashes.push((hash, name.to_owned()));
            for band in bands() {
                self.bands.entry(band).or_default().push(place);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_had_the_photo_is_named() {
        let mut seen = Seen::default();
        assert_eq!(seen.look(Some(0xABCD_0123_4567_89EF), "one"), None);
        assert_eq!(seen.look(Some(0x1111_2222_3333_4444), "two"), None);
        let near = 0xABCD_0123_4567_89EF ^ 0b1000_0000_0000_0000_0001;
        assert_eq!(seen.look(Some(near), "three"), Some(("one".to_owned(), 2)));
        assert_eq!(seen.look(Some(near), "four"), Some(("three".to_owned(), 0)));
        assert_eq!(seen.look(None, "five"), None);
    }

    #[test]
    fn three_bits_apart_are_found_wherever_they_lie() {
        let hash = 0x0F0F_3333_5555_9999_u64;
        for bits in [[0, 16, 32], [15, 31, 63], [1, 2, 3]] {
            let mut seen = Seen::default();
            seen.look(Some(hash), "one");
            let other = bits.iter().fold(hash, |hash, bit| hash ^ (1 << bit));
            assert_eq!(seen.look(Some(other), "two"), Some(("one".to_owned(), 3)));
        }
    }
}
