//! Whether a photo is good enough to be judged.
//!
//! Measures are taken of the photo scaled to 256 pixels a side, so they don't depend on its resolution;
//! thresholds are constants that say where they come from.

use crate::blobs::blobs;
use crate::pixels::{Pixels, Plane};

/// Pixels of the shorter side below which details of a shoe can't be told apart: a logo of a fortieth of it
/// has 4.
pub(crate) const LEAST_SIDE: u32 = 160;
/// Variance of the Laplacian below which a photo is blurred: 771 photos of shoes (256 pixels) have 285 to
/// 12,400, half of them above 2,000; scaled down to a third and up again 99% of them have less than 142.
pub(crate) const BLURRED: f64 = 150.0;
/// Mean brightness of the shoe below which it is too dark: the same photos have 42 to 185.
pub(crate) const DARK: f64 = 28.0;
/// Share of black pixels above which too much is lost: the same photos have at most 0.51.
pub(crate) const CLIPPED_DARK: f64 = 0.60;
/// Mean brightness of the shoe above which it is too bright: white shoes on white reach 235.
pub(crate) const BRIGHT: f64 = 244.0;
/// Share of white pixels above which too much is lost: the same photos have at most 0.38; white shoes on
/// white have more.
pub(crate) const CLIPPED_BRIGHT: f64 = 0.85;
/// Share of the shoe above which reflections hide it: the same photos have at most 0.06.
pub(crate) const GLARE: f64 = 0.10;
/// Range of brightness, from the 5th to the 95th of 100, below which all is mist: the same photos have at
/// least 94.
pub(crate) const LEAST_CONTRAST: f64 = 40.0;

/// Share of the frame that the shoe's bounds fill, below which too little of it can be seen: in the same photos, where
/// anything stands out (740 of them), they fill 0.16 to 1, half of them more than 0.62.
pub(crate) const LEAST_COVERAGE: f64 = 0.12;

/// Why a photo is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Issue {
    /// Too few pixels.
    LowResolution,
    /// Out of focus or shaken.
    Blurred,
    /// Too little light.
    TooDark,
    /// Too much light.
    TooBright,
    /// Reflections.
    Glare,
    /// Everything of about one brightness.
    LowContrast,
    /// The shoe fills little of the frame.
    ShoeTooSmall,
    /// Nothing like the photos of shoes that the model learned from.
    NoShoeSeen,
}

impl Issue {
    /// A word for programs.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Issue::LowResolution => "low_resolution",
            Issue::Blurred => "blurred",
            Issue::TooDark => "too_dark",
            Issue::TooBright => "too_bright",
            Issue::Glare => "glare",
            Issue::LowContrast => "low_contrast",
            Issue::ShoeTooSmall => "shoe_too_small",
            Issue::NoShoeSeen => "no_shoe_seen",
        }
    }

    /// What to do about it, for people.
    #[must_use]
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Issue::LowResolution => "send the photo as the camera took it, not a preview",
            Issue::Blurred => "hold the camera still and focus on the shoe",
            Issue::TooDark => "take the photo in more light",
            Issue::TooBright => "take the photo in less light",
            Issue::Glare => "turn off the flash or move the lamp",
            Issue::LowContrast => "clean the lens and put the shoe before another background",
            Issue::ShoeTooSmall => "go nearer, so that the shoe fills most of the photo",
            Issue::NoShoeSeen => "send a photograph of the shoe, whole and alone",
        }
    }
}

/// What was measured, and what is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quality {
    /// What is wrong, in a fixed order; empty for a good photo.
    pub(crate) issues: Vec<Issue>,
    /// Pixels of the shorter side.
    pub(crate) short_side: u32,
    /// Variance of the Laplacian (Pech-Pacheco et al. 2000), mean of the sharpest quarter of 8 × 8 tiles: a
    /// plain background and a soft one don't count as blur.
    pub(crate) sharpness: f64,
    /// Mean brightness of the shoe, 0 to 255.
    pub(crate) brightness: f64,
    /// Share of the shoe's pixels of brightness 8 or less.
    pub(crate) dark: f64,
    /// Share of the shoe's pixels of brightness 250 or more.
    pub(crate) bright: f64,
    /// Share of the shoe that bright spots without colour fill, each small, apart from the background and
    /// with a sharp fall of brightness around.
    pub(crate) glare: f64,
    /// Range of brightness of the whole photo, from the 5th to the 95th of 100 pixels, 0 to 255.
    pub(crate) contrast: f64,
}

impl Quality {
    /// Measures `pixels`, and within `bounds` (left, top, width, height) what concerns the shoe.
    #[must_use]
    pub(crate) fn measure(pixels: &Pixels, bounds: Option<[u32; 4]>) -> Self {
        let short_side = pixels.width.min(pixels.height);
        let whole = pixels.with_long_side(SIDE).luma();
        let shoe = match bounds {
            Some([left, top, width, height]) if width > 0 && height > 0 => {
                pixels.cropped(left, top, width, height).with_long_side(SIDE)
            }
            _ => pixels.with_long_side(SIDE),
        };
        let luma = shoe.luma();
        let share = |within: &dyn Fn(f32) -> bool| {
            luma.values.iter().filter(|value| within(**value)).count() as f64
                / luma.values.len().max(1) as f64
        };
        let mut quality = Quality {
            issues: Vec::new(),
            short_side,
            sharpness: sharpness(&whole),
            brightness: luma.spread().0,
            dark: share(&|value| value <= 8.0),
            bright: share(&|value| value >= 250.0),
            glare: glare(&shoe, &luma),
            contrast: range(&whole),
        };
        quality.issues = quality.found();
        quality
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub(crate) fn is_good(&self) -> bool {
        self.issues.is_empty()
    }

    fn found(&self) -> Vec<Issue> {
        let issues = [
            (self.short_side < LEAST_SIDE, Issue::LowResolution),
            (self.sharpness < BLURRED, Issue::Blurred),
            (self.brightness < DARK || self.dark > CLIPPED_DARK, Issue::TooDark),
            (self.brightness > BRIGHT || self.bright > CLIPPED_BRIGHT, Issue::TooBright),
            (self.glare > GLARE, Issue::Glare),
            (self.contrast < LEAST_CONTRAST, Issue::LowContrast),
        ];
        issues.into_iter().filter_map(|(wrong, issue)| wrong.then_some(issue)).collect()
    }
}

/// Pixels of the longer side at which measures are taken.
const SIDE: u32 = 256;
const TILES: usize = 8;
/// A spot's share of the shoe: smaller ones are highlights, larger ones white parts.
const SPOT: std::ops::Range<f64> = 0.0015..0.12;

/// Mean variance of the Laplacian of the sharpest quarter of the tiles.
fn sharpness(luma: &Plane) -> f64 {
    let rows: Vec<&[f32]> = luma.rows().collect();
    // Of each tile: count, sum and sum of squares.
    let mut tiles = [[0.0_f64; 3]; TILES * TILES];
    for (y, lines) in rows.windows(3).enumerate() {
        let [above, line, below] = lines else { continue };
        let inner = line.windows(3).zip(above.iter().skip(1)).zip(below.iter().skip(1));
        for (x, ((around, up), down)) in inner.enumerate() {
            let [left, middle, right] = around else { continue };
            let laplacian = f64::from(left + right + up + down - 4.0 * middle);
            let tile = y * TILES / luma.height.max(1) * TILES + x * TILES / luma.width.max(1);
            if let Some([count, sum, squares]) = tiles.get_mut(tile) {
                *count += 1.0;
                *sum += laplacian;
                *squares += laplacian * laplacian;
            }
        }
    }
    let variance = |[count, sum, squares]: [f64; 3]| squares / count - (sum / count).powi(2);
    let mut variances: Vec<f64> = tiles.into_iter().filter(|[n, ..]| *n > 0.0).map(variance).collect();
    variances.sort_by(|a, b| b.total_cmp(a));
    let quarter = variances.len().div_ceil(4);
    variances.iter().take(quarter).fold(0.0, |sum, variance| sum + variance) / quarter.max(1) as f64
}

/// Share that bright spots without colour fill.
fn glare(pixels: &Pixels, luma: &Plane) -> f64 {
    let white = |pixel: &[u8]| {
        let (least, most) = (pixel.iter().min(), pixel.iter().max());
        matches!((least, most), (Some(least), Some(most)) if *least >= 245 && most - least <= 10)
    };
    let marks: Vec<f32> = pixels.rgb.chunks_exact(3).map(|pixel| f32::from(u8::from(white(pixel)))).collect();
    let area = marks.len().max(1) as f64;
    let spots = blobs(&marks, luma.width, 0.5).into_iter().filter(|spot| {
        let [left, right, top, bottom] = spot.box_;
        let inside = left > 0 && top > 0 && right + 1 < luma.width && bottom + 1 < luma.height;
        let filled = spot.area as f64 / ((right + 1 - left) * (bottom + 1 - top)) as f64;
        inside && SPOT.contains(&(spot.area as f64 / area)) && filled > 0.35 && falls(luma, spot.box_)
    });
    spots.map(|spot| spot.area).sum::<usize>() as f64 / area
}

/// Whether brightness around a box is far below white: reflections lie on something darker, white leather
/// does not.
fn falls(luma: &Plane, [left, right, top, bottom]: [usize; 4]) -> bool {
    let (left, top) = (left.saturating_sub(3), top.saturating_sub(3));
    let (right, bottom) = (right + 3, bottom + 3);
    let mut around = (0.0, 0.0);
    for (y, row) in luma.rows().enumerate().skip(top).take(bottom + 1 - top) {
        for (x, value) in row.iter().enumerate().skip(left).take(right + 1 - left) {
            if y == top || y == bottom || x == left || x == right {
                around = (around.0 + value, around.1 + 1.0);
            }
        }
    }
    around.0 < 150.0 * around.1
}

fn range(luma: &Plane) -> f64 {
    let mut counts = [0_usize; 256];
    for value in &luma.values {
        counts[usize::from(*value as u8)] += 1;
    }
    let at = |part: usize| {
        let mut below = 0;
        let reached = |count: &usize| {
            below += count;
            below * 100 > luma.values.len() * part
        };
        counts.iter().position(reached).unwrap_or(0) as f64
    };
    at(95) - at(5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{flat, scene};

    fn issues(pixels: &Pixels) -> Vec<Issue> {
        Quality::measure(pixels, None).issues
    }

    #[test]
    fn a_good_photo_has_no_issues_at_any_resolution() {
        for side in [256, 512, 1024] {
            assert_eq!(issues(&scene(1, side, side)), [], "{side}");
        }
        assert_eq!(issues(&scene(1, 320, 159)), [Issue::LowResolution]);
    }

    #[test]
    fn blur_is_seen_at_any_resolution() {
        for side in [256, 1024] {
            let blurred = scene(1, 512, 512).resized(24, 24).resized(side, side);
            assert_eq!(issues(&blurred), [Issue::Blurred], "{side}");
        }
    }

    #[test]
    fn light_is_measured() {
        let changed = |change: &dyn Fn(u8) -> u8| {
            let mut pixels = scene(1, 256, 256);
            pixels.rgb.iter_mut().for_each(|value| *value = change(*value));
            issues(&pixels)
        };
        assert!(changed(&|value| value / 12).contains(&Issue::TooDark));
        assert!(changed(&|value| 245 + value / 26).contains(&Issue::TooBright));
        assert!(changed(&|value| 120 + value / 16).contains(&Issue::LowContrast));
    }

    #[test]
    fn reflections_on_something_dark_are_glare() {
        let mut pixels = flat(256, 256, [60, 40, 40]);
        for y in 0..256_usize {
            for x in 0..256_usize {
                let (u, v) = (x % 64, y % 64);
                if (20..44).contains(&u) && (20..44).contains(&v) {
                    pixels.rgb[(y * 256 + x) * 3..(y * 256 + x) * 3 + 3].fill(255);
                }
            }
        }
        assert!(issues(&pixels).contains(&Issue::Glare));
        assert!(Quality::measure(&pixels, None).glare > 0.13);
        assert_eq!(Quality::measure(&flat(256, 256, [255; 3]), None).glare, 0.0);
    }

    #[test]
    fn tiny_photos_are_measured() {
        for side in [0, 1, 2, 3] {
            assert!(issues(&flat(side, side, [9; 3])).contains(&Issue::LowResolution));
        }
        let _ = Quality::measure(&flat(9, 9, [9; 3]), Some([8, 8, 9, 9]));
        let _ = Quality::measure(&flat(9, 9, [9; 3]), Some([90, 90, 9, 9]));
    }
}
