//! Error-level analysis: how much each part of a photo changes when it is compressed anew.
//!
//! Parts that were compressed as often as the rest change alike; a part that was pasted in changes more or
//! less (Krawetz 2007, *A picture's worth: digital image analysis and forensics*). Edges and texture change
//! more than plain areas in any photo, so this is a hint where to look and no proof.

use image::ExtendedColorType;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ImageDecoder};

use crate::blobs::blobs;
use crate::pixels::Pixels;

/// Quality of the new compression, as Krawetz has it.
pub(crate) const QUALITY: u8 = 90;
/// Pixels a side of the blocks that are compared.
pub(crate) const BLOCK: u32 = 16;
/// Pixels a side that are looked at, in the middle: time is bounded.
pub(crate) const MOST_SIDE: u32 = 1024;
/// Standard deviation of a block's green below which it is plain and changes little in any photo: of a
/// studio's background there may be any share.
pub(crate) const PLAIN: f64 = 2.0;
/// Least median that the ratio is taken to: what was compressed at this quality before hardly changes.
pub(crate) const LEAST_MEDIAN: f64 = 0.1;

/// Levels of change: mean absolute differences of a block's colours, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Levels {
    /// Mean over all blocks.
    pub(crate) mean: f64,
    /// The strongest block's.
    pub(crate) max: f64,
    /// Median of the blocks that aren't plain.
    pub(crate) median: f64,
    /// Mean of the strongest hundredth of the blocks, divided by the median: 1.2 to 3.6 for 99 of 100 photos
    /// of shoes.
    pub(crate) ratio: f64,
    /// Left, top, width and height in pixels of the strongest group of blocks.
    pub(crate) bounds: [u32; 4],
}

/// Compresses `pixels` anew and compares. `None` for fewer than four blocks, and where all blocks are plain.
/// Colours count alike.
#[must_use]
pub(crate) fn analyse(pixels: &Pixels) -> Option<Levels> {
    let middle = |length: u32| length.saturating_sub(MOST_SIDE) / 2 / BLOCK * BLOCK;
    let (left, top) = (middle(pixels.width), middle(pixels.height));
    let whole = |length: u32| length.min(MOST_SIDE) / BLOCK * BLOCK;
    let (width, height) = (whole(pixels.width), whole(pixels.height));
    let across = (width / BLOCK) as usize;
    if across * ((height / BLOCK) as usize) < 4 {
        return None;
    }
    let part = pixels.cropped(left, top, width, height);
    let blocks = levels(&part, &again(&part)?, across);
    let levels: Vec<f32> = blocks.iter().map(|(level, _)| *level).collect();
    let mut sorted: Vec<f32> =
        blocks.iter().filter(|(_, deviation)| *deviation > PLAIN).map(|(level, _)| *level).collect();
    sorted.sort_by(f32::total_cmp);
    let median = f64::from(*sorted.get(sorted.len() / 2)?).max(LEAST_MEDIAN);
    let strongest = sorted.get(sorted.len() - sorted.len().div_ceil(100)..)?;
    let top_mean = mean(strongest);
    let max = levels.iter().copied().fold(0.0, f32::max);
    // What hangs together above half the way from the median to the top; at least the strongest block.
    let threshold = ((median + top_mean) / 2.0).min(f64::from(max) * 0.999) as f32;
    let groups = blobs(&levels, across, threshold);
    let strongest = groups.iter().max_by(|a, b| a.weight.total_cmp(&b.weight))?;
    let [first, last, upper, lower] = strongest.box_.map(|block| block as u32);
    Some(Levels {
        mean: mean(&levels),
        max: f64::from(max),
        median,
        ratio: top_mean / median,
        bounds: [
            left + first * BLOCK,
            top + upper * BLOCK,
            (last + 1 - first) * BLOCK,
            (lower + 1 - upper) * BLOCK,
        ],
    })
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64
}

fn again(pixels: &Pixels) -> Option<Pixels> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.encode(&pixels.rgb, pixels.width, pixels.height, ExtendedColorType::Rgb8).ok()?;
    let decoder = JpegDecoder::new(std::io::Cursor::new(bytes)).ok()?;
    let (width, height) = decoder.dimensions();
    let rgb = DynamicImage::from_decoder(decoder).ok()?.into_rgb8().into_raw();
    Some(Pixels { width, height, rgb })
}

/// Of each block, `across` a row, the mean absolute difference and the standard deviation of green before.
fn levels(before: &Pixels, after: &Pixels, across: usize) -> Vec<(f32, f64)> {
    let row = (before.width as usize * 3).max(1);
    let block = BLOCK as usize;
    let mut levels = Vec::new();
    let bands = before.rgb.chunks_exact(row * block).zip(after.rgb.chunks_exact(row * block));
    for (before, after) in bands {
        // Differences, sum of green and sum of its squares.
        let mut sums = vec![[0_u32; 3]; across];
        for (before, after) in before.chunks_exact(row).zip(after.chunks_exact(row)) {
            let blocks = before.chunks_exact(block * 3).zip(after.chunks_exact(block * 3));
            for ([difference, sum, squares], (before, after)) in sums.iter_mut().zip(blocks) {
                *difference += before.iter().zip(after).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
                for green in before.iter().skip(1).step_by(3).map(|green| u32::from(*green)) {
                    *sum += green;
                    *squares += green * green;
                }
            }
        }
        let count = f64::from(BLOCK * BLOCK);
        levels.extend(sums.iter().map(|[difference, sum, squares]| {
            let variance = f64::from(*squares) / count - (f64::from(*sum) / count).powi(2);
            ((f64::from(*difference) / (3.0 * count)) as f32, variance.max(0.0).sqrt())
        }));
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{Limits, Photo};
    use crate::testing::{Random, flat, jpeg, scene};

    #[test]
    fn what_was_pasted_stands_out() {
        let saved = jpeg(&scene(3, 256, 192), 90);
        let mut pixels = Photo::decode(&saved, &Limits::default()).unwrap().pixels;
        let before = analyse(&pixels).unwrap();
        // A patch that no JPEG has touched.
        let mut random = Random(7);
        for y in 64..112 {
            for x in 96..160 {
                let at = (y * 256 + x) * 3;
                let change = (random.next() % 60) as u8;
                pixels.rgb[at..at + 3].iter_mut().for_each(|v| *v = v.wrapping_div(2) + change);
            }
        }
        let after = analyse(&pixels).unwrap();
        assert!(after.ratio > 1.5 * before.ratio, "{before:?} {after:?}");
        let [left, top, width, height] = after.bounds;
        assert_eq!((left, top, width, height), (96, 64, 64, 48));
    }

    #[test]
    fn small_and_plain_photos_say_nothing() {
        assert_eq!(analyse(&flat(31, 31, [9; 3])), None);
        assert_eq!(analyse(&flat(64, 64, [255; 3])), None);
        assert_eq!(analyse(&flat(0, 0, [0; 3])), None);
        assert!(analyse(&scene(1, 32, 32)).is_some());
    }
}
