//! Signs that a JPEG was compressed before at another quality.
//!
//! A coefficient that was rounded to multiples of q₁ and then of q₂ leaves a histogram with gaps and peaks
//! (Popescu & Farid 2004, *Statistical tools for digital forensics*). Which q₁ explains them is found as
//! Lukáš & Fridrich (2003), *Estimation of primary quantization matrix in double compressed JPEG images*, do:
//! the histogram before any rounding is taken from the same photo shifted by four pixels, where the blocks of
//! compression don't matter; rounding it by a candidate and then by the known table must give the histogram
//! that is seen. Candidates are the tables of annex K at each quality, so all frequencies have their say in
//! one number.

use std::f32::consts::PI;

use crate::jpeg::JpegFacts;
use crate::jpeg_tables::{LUMINANCE, Table, at_quality};
use crate::pixels::{Pixels, Plane};

/// What the coefficients say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DoubleCompression {
    /// Signs of an earlier compression: 0 none, 1 clear.
    pub(crate) score: f64,
    /// Quality of the earlier compression (annex K), where the score is at least ½.
    pub(crate) earlier_quality: Option<u8>,
    /// The part of the histograms' difference that the earlier compression explains: what the score is made
    /// of.
    pub(crate) explained: f64,
}

/// Part of the difference explained below which there is no sign: of 193 photos of shoes compressed once (192
/// pixels, qualities 75 to 95) none reached it.
pub(crate) const NO_SIGN: f64 = 0.12;
/// Part of the difference explained that is a clear sign: the same photos compressed at 60 and then at 85 or
/// 90 had 0.39 to 0.83, at 75 and then at 90 0.36 to 0.79.
pub(crate) const CLEAR_SIGN: f64 = 0.35;

/// Looks for signs of an earlier compression. `facts` are those of the file, `None` for other formats, whose
/// pixels may have been a JPEG too.
///
/// Only the middle 1024 × 1024 pixels are looked at, so time is bounded. The score is 0 for photos that are
/// too small (fewer than 64 blocks), and where the second compression was at a lower quality little is left
/// to see: 0 does not mean that there was none. A photo that was cropped between compressions, with blocks
/// elsewhere, has none of these signs.
#[must_use]
pub(crate) fn double_compression(pixels: &Pixels, facts: Option<&JpegFacts>) -> DoubleCompression {
    let none = DoubleCompression { score: 0.0, earlier_quality: None, explained: 0.0 };
    let lies = Lies::of(facts.map_or(1, |facts| facts.orientation));
    let (left, top) = lies.blocks_begin(pixels.width, pixels.height);
    let side = |length: u32, begin: u32| {
        let (length, over) = (length.saturating_sub(begin), length.saturating_sub(begin + MOST_SIDE));
        (begin + over / 2 / 8 * 8, length.min(MOST_SIDE))
    };
    let ((left, width), (top, height)) = (side(pixels.width, left), side(pixels.height, top));
    let luma = pixels.cropped(left, top, width, height).luma();
    let table = facts.and_then(|facts| facts.luminance).unwrap_or([1; 64]);
    let table = lies.turned(&table);
    let (Some(seen), Some(before)) = (Coefficients::of(&luma, 0), Coefficients::of(&luma, 4)) else {
        return none;
    };

    let mut weights = 0.0;
    // For each candidate the sum over frequencies of what it explains.
    let mut explained = [0.0; QUALITIES];
    for (place, frequency) in LOW.iter().enumerate() {
        let last = divisor(&table, *frequency);
        let histogram = seen.rounded(place, last);
        let nonzero: f64 = histogram.iter().skip(1).sum();
        if nonzero < FEWEST {
            continue;
        }
        let fine = before.fine(place);
        let once = distance(&histogram, &again(&fine, 1.0, last));
        weights += nonzero * once;
        for (sum, quality) in explained.iter_mut().zip(LEAST_QUALITY..) {
            let first = divisor(&lies.turned(&at_quality(&LUMINANCE, quality)), *frequency);
            if first > 1.0 && first != last {
                *sum += nonzero * (once - distance(&histogram, &again(&fine, first, last)));
            }
        }
    }
    let best = explained.iter().zip(LEAST_QUALITY..).max_by(|a, b| a.0.total_cmp(b.0));
    let Some((explained, quality)) = best.filter(|_| weights > 0.0) else { return none };
    let explained = (explained / weights).max(0.0);
    let score = ((explained - NO_SIGN) / (CLEAR_SIGN - NO_SIGN)).clamp(0.0, 1.0);
    DoubleCompression { score, earlier_quality: (score >= 0.5).then_some(quality), explained }
}

/// Pixels a side that are looked at, a multiple of eight.
const MOST_SIDE: u32 = 1024;
/// Fewest blocks, and fewest coefficients of one frequency that aren't zero.
const FEWEST_BLOCKS: usize = 64;
const FEWEST: f64 = 48.0;
/// The lowest quality that is tried, and how many are.
const LEAST_QUALITY: u8 = 30;
const QUALITIES: usize = 69;
/// Frequencies that are looked at, across and down: of the others most coefficients are zero.
const LOW: [(usize, usize); 9] = [(1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (3, 0), (0, 3)];
/// Bins of a histogram of rounded coefficients, without their signs.
const BINS: usize = 25;
/// Bins of a histogram of coefficients before rounding, and bins to a unit.
const FINE_BINS: usize = 1024;
const FINE: f64 = 4.0;

type Histogram = [f64; BINS];

fn divisor(table: &Table, (across, down): (usize, usize)) -> f64 {
    f64::from(table.get(down * 8 + across).copied().unwrap_or(1).max(1))
}

/// How blocks of the file lie in the photo that was turned the right way up.
#[derive(Debug, Clone, Copy)]
struct Lies {
    transposed: bool,
    from_right: bool,
    from_bottom: bool,
}

impl Lies {
    fn of(orientation: u8) -> Self {
        Self {
            transposed: orientation >= 5,
            from_right: matches!(orientation, 2 | 3 | 6 | 7),
            from_bottom: matches!(orientation, 3 | 4 | 7 | 8),
        }
    }

    /// Where the first whole block begins.
    fn blocks_begin(self, width: u32, height: u32) -> (u32, u32) {
        (if self.from_right { width % 8 } else { 0 }, if self.from_bottom { height % 8 } else { 0 })
    }

    fn turned(self, table: &Table) -> Table {
        if !self.transposed {
            return *table;
        }
        std::array::from_fn(|place| table.get(place % 8 * 8 + place / 8).copied().unwrap_or(1))
    }
}

/// Coefficients of the discrete cosine transform of each block, without signs: those of [`LOW`].
struct Coefficients(Vec<[f32; LOW.len()]>);

impl Coefficients {
    /// Of the blocks that begin `shift` pixels from the corner; `None` where there are too few.
    fn of(luma: &Plane, shift: usize) -> Option<Self> {
        let waves: [[f32; 8]; 4] = std::array::from_fn(|frequency| {
            let scale = if frequency == 0 { 0.125_f32.sqrt() } else { 0.5 };
            std::array::from_fn(|place| scale * (PI * frequency as f32 * (2 * place + 1) as f32 / 16.0).cos())
        });
        let (across, down) = (luma.width.saturating_sub(shift) / 8, luma.height.saturating_sub(shift) / 8);
        if across * down < FEWEST_BLOCKS {
            return None;
        }
        let mut blocks = Vec::with_capacity(across * down);
        let rows: Vec<&[f32]> = luma.rows().skip(shift).take(down * 8).collect();
        for band in rows.chunks_exact(8) {
            for left in (0..across).map(|block| shift + block * 8) {
                // Down first, so that what is left is four rows of eight.
                let mut columns = [[0.0_f32; 8]; 4];
                for (place, row) in band.iter().enumerate() {
                    let Some(values) = row.get(left..left + 8) else { continue };
                    for (sums, wave) in columns.iter_mut().zip(&waves) {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum += wave[place & 7] * value;
                        }
                    }
                }
                blocks.push(LOW.map(|(u, v)| {
                    let products = columns[v & 3].iter().zip(&waves[u & 3]).map(|(value, wave)| value * wave);
                    products.sum::<f32>().abs()
                }));
            }
        }
        Some(Self(blocks))
    }

    fn rounded(&self, place: usize, divisor: f64) -> Histogram {
        let mut histogram = [0.0; BINS];
        for value in self.0.iter().filter_map(|block| block.get(place)) {
            let bin = (f64::from(*value) / divisor).round() as usize;
            if let Some(count) = histogram.get_mut(bin) {
                *count += 1.0;
            }
        }
        histogram
    }

    fn fine(&self, place: usize) -> Vec<f64> {
        let mut histogram = vec![0.0; FINE_BINS];
        for value in self.0.iter().filter_map(|block| block.get(place)) {
            if let Some(count) = histogram.get_mut((f64::from(*value) * FINE) as usize) {
                *count += 1.0;
            }
        }
        histogram
    }
}

/// The nearest whole number of one that isn't negative: `f64::round` costs ten times as much without SSE 4.1.
fn nearest(value: f64) -> f64 {
    f64::from((value + 0.5) as u32)
}

/// The histogram that rounding by `first` and then by `last` gives.
fn again(fine: &[f64], first: f64, last: f64) -> Histogram {
    let mut histogram = [0.0; BINS];
    let mut add = |bin: f64, count: f64| {
        if let Some(sum) = histogram.get_mut(bin as usize) {
            *sum += count;
        }
    };
    for (bin, count) in fine.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        let value = (bin as f64 + 0.5) / FINE;
        let once = if first > 1.0 { nearest(value / first) * first } else { value };
        let twice = once / last;
        // Pixels are rounded between the two: what lies in the middle goes either way.
        if first > 1.0 && (twice + 0.5 - nearest(twice)).abs() < 1e-9 {
            add(nearest(twice), count / 2.0);
            add(nearest(twice) - 1.0, count / 2.0);
        } else {
            add(nearest(twice), *count);
        }
    }
    histogram
}

/// Sum of the differences of two histograms' shares, 0 to 2. The zeros are left out: shifting makes fewer of
/// them.
fn distance(a: &Histogram, b: &Histogram) -> f64 {
    let total = |histogram: &Histogram| histogram.iter().skip(1).sum::<f64>().max(1.0);
    let (of_a, of_b) = (total(a), total(b));
    a.iter().zip(b).skip(1).map(|(a, b)| (a / of_a - b / of_b).abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{Limits, Photo};
    use crate::testing::{jpeg, scene};

    fn looked_at(bytes: &[u8]) -> DoubleCompression {
        let photo = Photo::decode(bytes, &Limits::default()).unwrap();
        double_compression(&photo.pixels, photo.jpeg.as_ref())
    }

    fn compressed(pixels: &Pixels, quality: u8) -> Pixels {
        Photo::decode(&jpeg(pixels, quality), &Limits::default()).unwrap().pixels
    }

    #[test]
    fn an_earlier_compression_is_seen_and_none_is_not() {
        for seed in 1..4 {
            let pixels = scene(seed, 320, 240);
            for last in [75, 85, 95] {
                let once = looked_at(&jpeg(&pixels, last));
                assert!(once.score < 0.2, "{seed} {last} {once:?}");
            }
            for (first, last) in [(60, 85), (60, 90), (75, 90), (50, 75)] {
                let twice = looked_at(&jpeg(&compressed(&pixels, first), last));
                assert!(twice.score > 0.5, "{seed} {first} {last} {twice:?}");
                assert!(
                    twice.earlier_quality.is_some_and(|q| q.abs_diff(first) <= 4),
                    "{first} {last} {twice:?}"
                );
            }
        }
    }

    #[test]
    fn blocks_of_a_turned_photo_are_found() {
        let pixels = compressed(&scene(5, 325, 243), 60);
        let upright = double_compression(&compressed(&pixels, 90), None);
        let turned = Photo::decode(&jpeg(&pixels, 90), &Limits::default()).unwrap();
        let facts = JpegFacts { orientation: 2, ..turned.jpeg.unwrap() };
        let mirrored = double_compression(&turned.pixels.mirrored(), Some(&facts));
        assert!(mirrored.score > 0.5 && mirrored.earlier_quality.is_some(), "{mirrored:?} {upright:?}");
    }

    #[test]
    fn small_and_flat_photos_have_no_signs() {
        for pixels in
            [scene(1, 20, 20), crate::testing::flat(200, 200, [128; 3]), crate::testing::flat(0, 0, [0; 3])]
        {
            assert_eq!(double_compression(&pixels, None).score, 0.0);
        }
    }
}
