//! Quantisation tables of JPEG, and the quality that they stand for.

/// One table: divisors of the 64 frequencies, row by row (the lowest frequency first).
pub(crate) type Table = [u16; 64];

/// Luminance table of ITU-T T.81, annex K.1.
pub(crate) const LUMINANCE: Table = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// Chrominance table of ITU-T T.81, annex K.2.
pub(crate) const CHROMINANCE: Table = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// Place in a [`Table`] of the n-th number of a file (ITU-T T.81, figure A.6).
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The table that libjpeg makes of `table` for a quality of 1 to 100; others count as the nearest.
#[must_use]
pub(crate) fn at_quality(table: &Table, quality: u8) -> Table {
    let quality = u32::from(quality.clamp(1, 100));
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|divisor| ((u32::from(divisor) * scale + 50) / 100).clamp(1, 255) as u16)
}

/// The quality, 1 to 100, at which `standard` is nearest to `table` (sum of differences), and whether it is
/// the same.
#[must_use]
pub(crate) fn nearest_quality(table: &Table, standard: &Table) -> (u8, bool) {
    let mut best = (u32::MAX, 1);
    // From above: where the tables of two qualities are alike, the higher one was more likely asked for.
    for quality in (1..=100).rev() {
        let other = at_quality(standard, quality);
        let distance = table.iter().zip(&other).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        if distance < best.0 {
            best = (distance, quality);
        }
    }
    (best.1, best.0 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_is_found_again() {
        for quality in 1..=100 {
            let (found, same) = nearest_quality(&at_quality(&LUMINANCE, quality), &LUMINANCE);
            assert!(same);
            assert_eq!(at_quality(&LUMINANCE, found), at_quality(&LUMINANCE, quality), "{quality} {found}");
        }
        assert_eq!(at_quality(&LUMINANCE, 50), LUMINANCE);
        assert_eq!(at_quality(&CHROMINANCE, 100), [1; 64]);
        // Q 75 of libjpeg, as `djpeg -verbose -verbose` prints it
        assert_eq!(at_quality(&LUMINANCE, 75)[..8], [8, 6, 5, 8, 12, 20, 26, 31]);
    }

    #[test]
    fn a_table_of_its_own_has_about_a_quality() {
        let mut table = at_quality(&LUMINANCE, 80);
        table[9] += 1;
        assert_eq!(nearest_quality(&table, &LUMINANCE), (80, false));
        assert_eq!(nearest_quality(&[u16::MAX; 64], &LUMINANCE).0, 1);
    }

    #[test]
    fn zigzag_is_a_permutation() {
        let mut places = ZIGZAG;
        places.sort_unstable();
        assert!(places.iter().enumerate().all(|(at, place)| at == usize::from(*place)));
    }
}
