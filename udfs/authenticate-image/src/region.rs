//! Where the shoe is: what stands out of the frame's border.
//!
//! The minimum barrier distance of each pixel to the frame's border in CIELAB (Zhang et al. 2015, *Minimum
//! barrier salient object detection at 80 FPS*): how much a path from the border must change to reach it,
//! which is little for a background even where it fades, and much for what stands before it. Like boundary
//! connectivity (Zhu et al. 2014) it needs no training. A shoe that fills the frame to its borders gives the
//! whole frame.

use crate::lab::Lab;
use crate::pixels::Pixels;

/// The part of a photo that the shoe fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Region {
    /// Left, top, width and height in pixels.
    pub(crate) bounds: [u32; 4],
    /// Area of the bounds to that of the frame, 0 to 1.
    pub(crate) coverage: f64,
    /// Whether something stood out; else the bounds are the whole frame.
    pub(crate) found: bool,
    /// Whether the background is plain: the border's deviation is below [`FLAT`].
    pub(crate) flat_background: bool,
    /// Standard deviation of the colours at the frame's border, in units of CIELAB.
    pub(crate) border_deviation: f64,
}

/// Deviation of a plain background: studio sweeps and tables of one colour lie below, carpets and lawns
/// above.
pub(crate) const FLAT: f64 = 8.0;
/// How far the object must be from the background: about ten times what the eye just sees (2.3 in CIELAB).
pub(crate) const STANDS_OUT: f32 = 20.0;

impl Region {
    /// Finds it. Time doesn't depend on the photo's size but for scaling it down.
    #[must_use]
    pub(crate) fn find(pixels: &Pixels) -> Self {
        let small = pixels.with_long_side(SIDE);
        let (width, height) = (small.width as usize, small.height as usize);
        let lab = Lab::new();
        let colours: Vec<[f32; 3]> = small.rgb.chunks_exact(3).map(|p| lab.of([p[0], p[1], p[2]])).collect();
        let border_deviation = border_deviation(&colours, width, height);
        let mut stands_out = vec![0.0; colours.len()];
        for channel in 0..3 {
            let plane: Vec<f32> = colours.iter().map(|colour| colour[channel]).collect();
            for (sum, distance) in stands_out.iter_mut().zip(barrier_distance(&plane, width, height)) {
                *sum += distance;
            }
        }
        let bounds = bounds(&stands_out, width, height);
        let found = bounds.is_some();
        let [left, top, wide, high] = bounds.unwrap_or([0.0, 0.0, 1.0, 1.0]);
        let place = |part: f64, length: u32| (part * f64::from(length)).round() as u32;
        let (left, right) = (place(left, pixels.width), place(left + wide, pixels.width));
        let (top, bottom) = (place(top, pixels.height), place(top + high, pixels.height));
        Region {
            bounds: [left, top, (right - left).max(1), (bottom - top).max(1)],
            coverage: wide * high,
            found,
            flat_background: border_deviation < FLAT,
            border_deviation,
        }
    }
}

/// Pixels of the longer side that are looked at.
const SIDE: u32 = 96;
/// Share of what stands out that is left out at each side: specks.
const SPECKS: f64 = 0.01;

/// Distance of each pixel to the border by raster scans: forward, backward and forward again.
fn barrier_distance(plane: &[f32], width: usize, height: usize) -> Vec<f32> {
    let border = |at: usize| {
        let (x, y) = (at % width, at / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    // Of the best path so far: its barrier, and the highest and lowest value on it.
    let mut paths: Vec<[f32; 3]> = plane
        .iter()
        .enumerate()
        .map(|(at, value)| [if border(at) { 0.0 } else { f32::INFINITY }, *value, *value])
        .collect();
    let last = paths.len();
    for pass in 0..3 {
        for step in 0..last {
            let at = if pass == 1 { last - 1 - step } else { step };
            if border(at) {
                continue;
            }
            let (beside, above) = if pass == 1 { (at + 1, at + width) } else { (at - 1, at - width) };
            let (Some(value), Some(mut best)) = (plane.get(at), paths.get(at).copied()) else { continue };
            for neighbour in [beside, above] {
                let Some([known, high, low]) = paths.get(neighbour).copied() else { continue };
                let (high, low) = (high.max(*value), low.min(*value));
                if known.is_finite() && high - low < best[0] {
                    best = [high - low, high, low];
                }
            }
            if let Some(path) = paths.get_mut(at) {
                *path = best;
            }
        }
    }
    paths.iter().map(|[barrier, ..]| if barrier.is_finite() { *barrier } else { 0.0 }).collect()
}

fn border_deviation(colours: &[[f32; 3]], width: usize, height: usize) -> f64 {
    let thick = (width.min(height) / 24).max(1);
    let at_border = |(at, _): &(usize, &[f32; 3])| {
        let (x, y) = (at % width.max(1), at / width.max(1));
        x < thick || y < thick || x + thick >= width || y + thick >= height
    };
    let ring: Vec<[f32; 3]> =
        colours.iter().enumerate().filter(at_border).map(|(_, colour)| *colour).collect();
    let count = ring.len().max(1) as f64;
    let variance = |channel: usize| {
        let mean = ring.iter().map(|colour| f64::from(colour[channel])).sum::<f64>() / count;
        ring.iter().map(|colour| (f64::from(colour[channel]) - mean).powi(2)).sum::<f64>() / count
    };
    (variance(0) + variance(1) + variance(2)).sqrt()
}

/// Left, top, width and height as parts of the frame of what stands out; `None` where nothing does.
fn bounds(stands_out: &[f32], width: usize, height: usize) -> Option<[f64; 4]> {
    let threshold = otsu(stands_out);
    let strong = |value: f32| if value > threshold { f64::from(value) } else { 0.0 };
    let (mut columns, mut rows) = (vec![0.0; width], vec![0.0; height]);
    let (mut sum, mut count) = (0.0, 0);
    for (line, row) in stands_out.chunks_exact(width.max(1)).zip(&mut rows) {
        for (value, column) in line.iter().zip(&mut columns) {
            let value = strong(*value);
            *column += value;
            *row += value;
            sum += value;
            count += usize::from(value > 0.0);
        }
    }
    if count == 0 || sum / (count as f64) < f64::from(STANDS_OUT) {
        return None;
    }
    let along = |sums: &[f64]| {
        let first = edge(sums.iter(), sum * SPECKS);
        let last = sums.len() - edge(sums.iter().rev(), sum * SPECKS);
        // One more on each side: edges are soft.
        let (first, last) = (first.saturating_sub(1), (last + 1).min(sums.len()));
        let length = sums.len() as f64;
        (first as f64 / length, (last.max(first + 1) - first) as f64 / length)
    };
    let ((left, wide), (top, high)) = (along(&columns), along(&rows));
    Some([left, top, wide, high])
}

/// How many sums together don't exceed `least`.
fn edge<'a>(sums: impl Iterator<Item = &'a f64>, least: f64) -> usize {
    let mut total = 0.0;
    sums.take_while(|sum| {
        total += **sum;
        total <= least
    })
    .count()
}

/// The threshold that parts values best in two classes (Otsu 1979).
fn otsu(values: &[f32]) -> f32 {
    const BINS: usize = 128;
    let most = values.iter().copied().fold(0.0, f32::max);
    let scale = BINS as f32 / (most + 1e-6);
    let mut counts = [0.0; BINS];
    for value in values {
        counts[((value * scale) as usize).min(BINS - 1)] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    let weighted: f64 = counts.iter().enumerate().map(|(bin, count)| bin as f64 * count).sum();
    let (mut below, mut below_weighted) = (0.0, 0.0);
    let mut best = (0.0, 0);
    for (bin, count) in counts.iter().enumerate() {
        below += count;
        below_weighted += bin as f64 * count;
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let gap = below_weighted / below - (weighted - below_weighted) / above;
            let between = below * above * gap * gap;
            if between > best.0 {
                best = (between, bin);
            }
        }
    }
    (best.1 + 1) as f32 / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, flat};

    fn paint(pixels: &mut Pixels, [left, top, width, height]: [u32; 4], colour: [u8; 3]) {
        for y in top..top + height {
            for x in left..left + width {
                let at = ((y * pixels.width + x) * 3) as usize;
                pixels.rgb[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    #[test]
    fn what_stands_before_a_background_is_found() {
        for background in [[255; 3], [40, 60, 90]] {
            let mut pixels = flat(400, 300, background);
            paint(&mut pixels, [120, 90, 160, 105], [200, 30, 30]);
            let region = Region::find(&pixels);
            let near = region.bounds.iter().zip([120, 90, 160, 105]).all(|(a, b)| a.abs_diff(b) <= 14);
            assert!(near && region.found && region.flat_background, "{region:?}");
            assert!((region.coverage - 0.14).abs() < 0.06, "{region:?}");
        }
    }

    #[test]
    fn a_restless_background_is_not_flat() {
        let mut random = Random(3);
        let mut pixels = flat(200, 200, [0; 3]);
        for y in (0..200).step_by(8) {
            for x in (0..200).step_by(8) {
                let grey = (random.next() % 200) as u8;
                paint(&mut pixels, [x, y, 8, 8], [grey, 255 - grey, grey / 2]);
            }
        }
        assert!(!Region::find(&pixels).flat_background);
    }

    #[test]
    fn nothing_to_be_seen_is_the_whole_frame() {
        for (width, height) in [(50, 40), (1, 1), (1, 3000), (2, 2)] {
            let region = Region::find(&flat(width, height, [128; 3]));
            assert_eq!((region.bounds, region.found), ([0, 0, width, height], false));
            assert_eq!((region.coverage, region.flat_background), (1.0, true));
        }
        let _ = Region::find(&flat(0, 0, [0; 3]));
    }
}
