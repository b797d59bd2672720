//! Pictures that tests look at.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};

use crate::pixels::Pixels;

/// A file of `image`.
pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG of `pixels` with a quality of 1 to 100.
pub(crate) fn jpeg(pixels: &Pixels, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.encode(&pixels.rgb, pixels.width, pixels.height, image::ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// Colours that change everywhere.
pub(crate) fn picture(width: u32, height: u32) -> DynamicImage {
    let colour = |x, y| image::Rgb([(x * 3) as u8, (y * 5) as u8, ((x * y) % 251) as u8]);
    DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, colour))
}

/// One colour, 0 to 255.
pub(crate) fn flat(width: u32, height: u32, colour: [u8; 3]) -> Pixels {
    Pixels { width, height, rgb: colour.repeat((width * height) as usize) }
}

/// Something like a photo: soft shapes, edges and a little noise; another for each seed.
pub(crate) fn scene(seed: u64, width: u32, height: u32) -> Pixels {
    let mut random = Random(seed);
    let shapes: Vec<[f64; 7]> = (0..24).map(|_| std::array::from_fn(|_| random.unit())).collect();
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let mut colour = [90.0 + 60.0 * u, 110.0 + 40.0 * v, 120.0];
            for [left, top, size, red, green, blue, wave] in &shapes {
                let away = ((u - left).powi(2) + (v - top).powi(2)).sqrt();
                if away < 0.02 + 0.2 * size {
                    let shade = 0.75 + 0.25 * (away * 60.0 * wave).cos();
                    colour = [red, green, blue].map(|part| 255.0 * part * shade);
                }
            }
            rgb.extend(colour.map(|part| (part + 8.0 * (random.unit() - 0.5)).clamp(0.0, 255.0) as u8));
        }
    }
    Pixels { width, height, rgb }
}

/// Numbers that look random and are the same in each run (Knuth's MMIX).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() & 0xFF_FFFF) as f64 / f64::from(1 << 24)
    }
}
