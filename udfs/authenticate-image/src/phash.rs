//! Perceptual hash: photos that look alike have hashes that differ in few bits.
//!
//! That of the library pHash (Zauner 2010, *Implementation and benchmarking of perceptual image hash
//! functions*): the lowest 8 × 8 frequencies, without those that are constant across or down, of the discrete
//! cosine transform of a 32 × 32 picture in grey, each against their median.

use std::f64::consts::PI;

use crate::pixels::Pixels;

/// The hash of a photo.
#[must_use]
pub(crate) fn phash(pixels: &Pixels) -> u64 {
    bits(&frequencies(pixels))
}

/// The hashes of a photo as it is, mirrored, and of both turned by 90, 180 and 270 degrees: a photo that is
/// used again turned or mirrored has the hash of one of them.
///
/// In the order of EXIF's orientations 1 to 8, so the first one is [`phash`].
#[must_use]
pub(crate) fn variants(pixels: &Pixels) -> [u64; 8] {
    let whole = frequencies(pixels);
    // Mirroring changes the sign of odd frequencies, transposing exchanges across and down: no need to look
    // again.
    let turned = |transposed: bool, mirrored: bool, flipped: bool| {
        let mut parts = [[0.0; KEPT]; KEPT];
        for (v, row) in parts.iter_mut().enumerate() {
            for (u, part) in row.iter_mut().enumerate() {
                let (from_u, from_v) = if transposed { (v, u) } else { (u, v) };
                // The first frequency that is kept is 1: places 0, 2, … are odd frequencies.
                let odd = usize::from(mirrored && u % 2 == 0) + usize::from(flipped && v % 2 == 0);
                let value = whole[from_v & 7][from_u & 7];
                *part = if odd == 1 { -value } else { value };
            }
        }
        bits(&parts)
    };
    [
        turned(false, false, false),
        turned(false, true, false),
        turned(false, true, true),
        turned(false, false, true),
        turned(true, false, false),
        turned(true, true, false),
        turned(true, true, true),
        turned(true, false, true),
    ]
}

/// Bits in which two hashes differ, 0 to 64.
#[must_use]
pub(crate) fn hamming(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

const SIDE: usize = 32;
const KEPT: usize = 8;

fn frequencies(pixels: &Pixels) -> [[f64; KEPT]; KEPT] {
    let grey = pixels.resized(SIDE as u32, SIDE as u32).luma();
    let waves: [[f64; SIDE]; KEPT] = std::array::from_fn(|frequency| {
        std::array::from_fn(|place| {
            (PI * (frequency + 1) as f64 * (2 * place + 1) as f64 / (2 * SIDE) as f64).cos()
        })
    });
    let rows: Vec<[f64; KEPT]> = grey
        .rows()
        .map(|row| waves.map(|wave| row.iter().zip(wave).map(|(value, w)| f64::from(*value) * w).sum()))
        .collect();
    waves.map(|wave| {
        let mut parts = [0.0; KEPT];
        for (row, w) in rows.iter().zip(wave) {
            for (part, value) in parts.iter_mut().zip(row) {
                *part += value * w;
            }
        }
        parts
    })
}

fn bits(parts: &[[f64; KEPT]; KEPT]) -> u64 {
    let mut sorted: Vec<f64> = parts.iter().flatten().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = sorted.get(middle - 1..=middle).map_or(0.0, |pair| pair.iter().sum::<f64>() / 2.0);
    // Sums of one colour are not quite zero: without this margin plain photos would have hashes of rounding
    // errors.
    let above = |part: f64| part > median + 1e-3;
    parts.iter().flatten().enumerate().fold(0, |hash, (bit, part)| hash | u64::from(above(*part)) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::{Limits, Photo};
    use crate::testing::{flat, jpeg, scene};

    #[test]
    fn scale_light_and_compression_change_little_and_another_scene_much() {
        let one = phash(&scene(1, 400, 300));
        assert!(hamming(one, phash(&scene(1, 400, 300).resized(200, 150))) <= 2);
        let mut brighter = scene(1, 400, 300);
        brighter.rgb.iter_mut().for_each(|value| *value = value.saturating_add(12));
        assert!(hamming(one, phash(&brighter)) <= 4);
        let saved = Photo::decode(&jpeg(&scene(1, 400, 300), 40), &Limits::default()).unwrap();
        assert!(hamming(one, phash(&saved.pixels)) <= 3);
        for other in 2..12 {
            assert!(hamming(one, phash(&scene(other, 400, 300))) > 14);
        }
    }

    #[test]
    fn a_turned_photo_is_found() {
        let pixels = scene(2, 300, 220);
        let all = variants(&pixels);
        assert_eq!(all[0], phash(&pixels));
        assert!(hamming(all[1], phash(&pixels.mirrored())) <= 1);
        let turned = |orientation: u8| {
            let whole = image::RgbImage::from_raw(300, 220, pixels.rgb.clone()).unwrap();
            let mut image = image::DynamicImage::ImageRgb8(whole);
            image.apply_orientation(image::metadata::Orientation::from_exif(orientation).unwrap());
            Pixels { width: image.width(), height: image.height(), rgb: image.into_rgb8().into_raw() }
        };
        for (orientation, hash) in (1..=8).zip(all) {
            assert!(hamming(hash, phash(&turned(orientation))) <= 2, "{orientation}");
        }
    }

    #[test]
    fn plain_photos_have_one_hash() {
        for colour in [0, 7, 255] {
            assert_eq!(phash(&flat(50, 30, [colour; 3])), 0);
        }
        assert_eq!(variants(&flat(0, 0, [0; 3])), [0; 8]);
    }
}
