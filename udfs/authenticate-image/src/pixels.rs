//! Pixels, and what is done to them before they are looked at.

use fast_image_resize::images::{Image, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Pixels of eight bits a colour: red, green, blue; row by row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
    /// `width` × `height` × 3 bytes.
    pub(crate) rgb: Vec<u8>,
}

/// One number a pixel, row by row from the top left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane {
    /// Pixels across.
    pub(crate) width: usize,
    /// Pixels down.
    pub(crate) height: usize,
    /// `width` × `height` numbers.
    pub(crate) values: Vec<f32>,
}

impl Pixels {
    /// Scaled with a triangle filter that grows with the scale (so there is no aliasing), as Pillow's
    /// `BILINEAR`.
    ///
    /// A side of 0 counts as 1. Pixels that don't have as many bytes as they say give black.
    #[must_use]
    pub(crate) fn resized(&self, width: u32, height: u32) -> Pixels {
        let (width, height) = (width.max(1), height.max(1));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let mut scaled = Image::new(width, height, PixelType::U8x3);
        let source = TypedImageRef::<U8x3>::from_buffer(self.width, self.height, &self.rgb);
        if let (Ok(source), Some(mut target)) = (source, scaled.typed_image_mut::<U8x3>()) {
            // It fails for pictures without pixels only, and black is what they scale to. The call for one kind of
            // pixels: that for all of them takes a minute and a half to compile.
            let _ = Resizer::new().resize_typed(&source, &mut target, &options);
        }
        Pixels { width, height, rgb: scaled.into_vec() }
    }

    /// Scaled so that the longer side has `side` pixels.
    #[must_use]
    pub(crate) fn with_long_side(&self, side: u32) -> Pixels {
        let long = f64::from(self.width.max(self.height).max(1));
        let scaled = |length: u32| (f64::from(length) * f64::from(side) / long).round().max(1.0) as u32;
        self.resized(scaled(self.width), scaled(self.height))
    }

    /// The part that begins `left` and `top` pixels from the corner: as much of `width` × `height` as there
    /// is.
    #[must_use]
    pub(crate) fn cropped(&self, left: u32, top: u32, width: u32, height: u32) -> Pixels {
        let (left, top) = (left.min(self.width), top.min(self.height));
        let (width, height) = (width.min(self.width - left), height.min(self.height - top));
        let (start, length) = (left as usize * 3, width as usize * 3);
        // Bytes are reserved for what is there, whatever the pixels say to have.
        let mut rgb = Vec::with_capacity((length * height as usize).min(self.rgb.len()));
        for row in self.rows().skip(top as usize).take(height as usize) {
            rgb.extend_from_slice(row.get(start..start + length).unwrap_or_default());
        }
        Pixels { width, height, rgb }
    }

    /// Left and right exchanged.
    #[must_use]
    pub(crate) fn mirrored(&self) -> Pixels {
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for row in self.rows() {
            for pixel in row.rchunks_exact(3) {
                rgb.extend_from_slice(pixel);
            }
        }
        Pixels { width: self.width, height: self.height, rgb }
    }

    /// Brightness, 0 to 255: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as JPEG has it.
    #[must_use]
    pub(crate) fn luma(&self) -> Plane {
        let brightness = |pixel: &[u8]| match *pixel {
            [red, green, blue] => 0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue),
            _ => 0.0,
        };
        let values = self.rgb.chunks_exact(3).map(brightness).collect();
        Plane { width: self.width as usize, height: self.height as usize, values }
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rgb.chunks_exact((self.width as usize * 3).max(1))
    }
}

impl Plane {
    /// The rows from the top.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Mean and standard deviation; zeros where there is nothing.
    #[must_use]
    pub(crate) fn spread(&self) -> (f64, f64) {
        let count = self.values.len().max(1) as f64;
        let mean =
            self.values.iter().map(|value| f64::from(*value)).fold(0.0, |sum, value| sum + value) / count;
        let squares = self.values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
        (mean, (squares / count).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_mirrors() {
        let pixels = Pixels { width: 3, height: 2, rgb: (0..18).collect() };
        assert_eq!(pixels.cropped(1, 1, 9, 9), Pixels { width: 2, height: 1, rgb: (12..18).collect() });
        assert!(pixels.cropped(7, 7, 9, 9).rgb.is_empty());
        assert_eq!(pixels.mirrored().rgb[..9], [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        assert_eq!(pixels.mirrored().mirrored(), pixels);
    }

    #[test]
    fn brightness_is_that_of_bt_601() {
        let luma = Pixels { width: 2, height: 1, rgb: vec![255, 255, 255, 255, 0, 0] }.luma();
        assert!((luma.values[0] - 255.0).abs() < 1e-3 && (luma.values[1] - 76.245).abs() < 1e-3);
        assert_eq!(luma.rows().count(), 1);
    }

    #[test]
    fn scales_as_pillow_does() {
        let rgb = (0..13 * 9).flat_map(|at| [(at * 7 % 256) as u8, (at * at % 256) as u8, (255 - at) as u8]);
        let pixels = Pixels { width: 13, height: 9, rgb: rgb.collect() };
        for (width, height, expected) in [(5, 4, PILLOW_DOWN.as_slice()), (15, 2, PILLOW_BOTH.as_slice())] {
            let scaled = pixels.resized(width, height).rgb;
            assert_eq!(scaled.len(), expected.len());
            assert!(scaled.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1), "{scaled:?}");
        }
    }

    #[test]
    fn sizes_that_lie_do_no_harm() {
        let lying = Pixels { width: 100, height: 100, rgb: vec![1; 7] };
        assert_eq!(lying.resized(4, 4).rgb.len(), 48);
        assert_eq!(lying.cropped(0, 0, 4, 4).rgb.len(), 0);
        let none = Pixels { width: 0, height: 0, rgb: Vec::new() };
        assert_eq!(none.with_long_side(8).rgb.len(), 3);
        assert_eq!(none.mirrored(), none);
    }

    // Pillow 13.0.0: Image.resize(size, Image.BILINEAR)
    #[rustfmt::skip]
    const PILLOW_DOWN: [u8; 60] = [
        82, 108, 243, 99, 54, 241, 117, 76, 238, 134, 121, 235, 116, 99, 233, 98, 154, 217, 115, 125,
        215, 133, 118, 212, 146, 100, 209, 114, 97, 207, 132, 109, 187, 149, 106, 185, 167, 122, 182, 127,
        129, 179, 96, 129, 177, 148, 94, 161, 165, 126, 159, 117, 103, 156, 106, 113, 153, 123, 163, 151,
    ];
    #[rustfmt::skip]
    const PILLOW_BOTH: [u8; 90] = [
        94, 149, 227, 100, 140, 226, 106, 113, 225, 112, 96, 224, 118, 83, 224, 124, 84, 223, 130, 115,
        222, 136, 89, 221, 142, 91, 220, 148, 120, 219, 143, 133, 218, 142, 100, 218, 128, 80, 217, 93,
        115, 216, 99, 98, 215, 122, 137, 179, 128, 83, 178, 134, 107, 177, 140, 135, 176, 146, 123, 176,
        152, 99, 175, 153, 117, 174, 124, 139, 173, 130, 90, 172, 136, 113, 171, 114, 116, 170, 101, 127,
        170, 106, 155, 169, 110, 160, 168, 116, 98, 167,
    ];
}
