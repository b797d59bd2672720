//! Colours of a shoe: how alike those of two photos are, and their names.

use crate::lab::Lab;
use crate::named_colour::{COUNT, name, place};
use crate::pixels::Pixels;

/// Colours of a part of a photo.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    /// Shares of 8 × 8 × 8 parts of CIELAB; they add up to 1, or are all 0 where there are no pixels.
    pub(crate) histogram: Vec<f32>,
    /// Shares of the colours that have names.
    shares: [f32; COUNT],
}

/// Least share of a colour that is named.
pub(crate) const NAMED: f32 = 0.12;
/// Most colours that are named.
pub(crate) const MOST_NAMED: usize = 3;

/// Colours within `bounds` (left, top, width and height in pixels), or of the whole photo.
///
/// The middle counts most, with the weights of an Epanechnikov kernel, and the corners nothing: they show the
/// background (Comaniciu, Ramesh & Meer 2003, *Kernel-based object tracking*). A colour is shared among the
/// neighbouring parts of CIELAB, so that a little more light changes little.
#[must_use]
pub(crate) fn signature(pixels: &Pixels, bounds: Option<[u32; 4]>) -> Signature {
    let part = match bounds {
        Some([left, top, width, height]) => pixels.cropped(left, top, width, height),
        None => pixels.clone(),
    };
    let mut signature = Signature { histogram: vec![0.0; PARTS * PARTS * PARTS], shares: [0.0; COUNT] };
    if part.rgb.is_empty() {
        return signature;
    }
    let part = part.with_long_side(SIDE);
    let lab = Lab::new();
    let off = |place: usize, length: u32| {
        let half = length as f32 / 2.0;
        (place as f32 + 0.5 - half) / half
    };
    let mut sum = 0.0;
    for (y, row) in part.rgb.chunks_exact(part.width as usize * 3).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            let &[red, green, blue] = pixel else { continue };
            let weight = 1.0 - off(x, part.width).powi(2) - off(y, part.height).powi(2);
            if weight <= 0.0 {
                continue;
            }
            let colour = lab.of([red, green, blue]);
            add(&mut signature.histogram, colour, weight);
            if let Some(share) = signature.shares.get_mut(place(colour)) {
                *share += weight;
            }
            sum += weight;
        }
    }
    if sum > 0.0 {
        signature.histogram.iter_mut().chain(&mut signature.shares).for_each(|share| *share /= sum);
    }
    signature
}

/// How unlike two signatures are: 0 the same, 1 no colour in common (Hellinger's distance, √(1 −
/// Bhattacharyya's coefficient)).
#[must_use]
pub(crate) fn distance(a: &Signature, b: &Signature) -> f64 {
    let root = |a: f32, b: f32| (f64::from(a) * f64::from(b)).sqrt();
    let alike: f64 = a.histogram.iter().zip(&b.histogram).map(|(a, b)| root(*a, *b)).sum();
    (1.0 - alike).max(0.0).sqrt()
}

/// Names of the colours with the largest shares, such as `white, red`; empty where there are no pixels.
#[must_use]
pub(crate) fn describe(signature: &Signature) -> String {
    let mut shares: Vec<(usize, f32)> = signature.shares.iter().copied().enumerate().collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let named =
        shares.iter().enumerate().filter(|(rank, (_, share))| *share >= NAMED || *rank == 0 && *share > 0.0);
    named.take(MOST_NAMED).map(|(_, (place, _))| name(*place)).collect::<Vec<_>>().join(", ")
}

/// Pixels of the longer side that are looked at.
const SIDE: u32 = 96;
const PARTS: usize = 8;

/// Adds a colour to the eight parts whose middles are around it.
fn add(histogram: &mut [f32], [lightness, a, b]: [f32; 3], weight: f32) {
    // Most of sRGB is within ±80 of grey; what is beyond counts as the outermost part.
    let along = |value: f32, least: f32, most: f32| {
        let at = ((value - least) / (most - least) * PARTS as f32 - 0.5).clamp(0.0, (PARTS - 1) as f32);
        let first = (at as usize).min(PARTS - 2);
        [(first, 1.0 - (at - first as f32)), (first + 1, at - first as f32)]
    };
    for (l, of_l) in along(lightness, 0.0, 100.0) {
        for (a, of_a) in along(a, -80.0, 80.0) {
            for (b, of_b) in along(b, -80.0, 80.0) {
                if let Some(share) = histogram.get_mut((l * PARTS + a) * PARTS + b) {
                    *share += weight * of_l * of_a * of_b;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::flat;

    fn of(pixels: &Pixels) -> Signature {
        signature(pixels, None)
    }

    #[test]
    fn a_little_more_light_changes_little() {
        let red = of(&flat(40, 30, [180, 30, 40]));
        assert!(distance(&red, &of(&flat(40, 30, [180, 30, 40]))) < 5e-3);
        assert!(distance(&red, &of(&flat(90, 70, [190, 35, 45]))) < 0.4);
        assert!(distance(&red, &of(&flat(40, 30, [30, 60, 180]))) > 0.99);
        assert!((red.histogram.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn the_middle_counts_and_is_named() {
        let mut pixels = flat(90, 90, [250, 250, 250]);
        for y in 30..60_usize {
            for x in 30..60_usize {
                pixels.rgb[(y * 90 + x) * 3..(y * 90 + x) * 3 + 3].copy_from_slice(&[200, 20, 30]);
            }
        }
        assert_eq!(describe(&of(&pixels)), "white, red");
        assert_eq!(describe(&signature(&pixels, Some([30, 30, 30, 30]))), "red");
    }

    #[test]
    fn no_pixels_have_no_colours() {
        let none = signature(&flat(9, 9, [9; 3]), Some([90, 90, 9, 9]));
        assert_eq!((describe(&none), distance(&none, &none)), (String::new(), 1.0));
    }
}
