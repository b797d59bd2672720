//! From a photo to a network's input, and from places in that input back to the photo.

use crate::photo::Pixels;
use crate::spec::{Colours, Fit, Input, Layout};

/// A photo as a network takes it, and how its places lie in the photo.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// One photo in the layout of the specification.
    pub(crate) values: Vec<f32>,
    /// Dimensions of the tensor, the first is 1.
    pub(crate) shape: [usize; 4],
    /// Pixels of the photo to a pixel of the input, across and down.
    scale: [f32; 2],
    /// Where the photo's left upper corner lies, in pixels of the input.
    corner: [f32; 2],
}

/// The grey of bars beside a letterboxed photo, as YOLO was trained with.
const BAR: u8 = 114;

/// Makes `photo` the input that `input` describes; `mirrored`: left and right changed.
#[must_use]
pub(crate) fn prepare(photo: &Pixels, input: &Input, mirrored: bool) -> Prepared {
    let turned = mirrored.then(|| photo.mirrored());
    let photo = turned.as_ref().unwrap_or(photo);
    let (width, height) = (input.width, input.height);
    let (wide, high) = (photo.width.max(1) as f32, photo.height.max(1) as f32);
    let sized = |w: usize, h: usize| photo.resized(w as u32, h as u32);
    let (pixels, scale, corner) = match input.fit {
        Fit::Squeeze => (sized(width, height), [wide / width as f32, high / height as f32], [0.0; 2]),
        Fit::Crop => {
            let factor = (wide / width as f32).min(high / height as f32);
            let across = ((width as f32 * factor).round() as u32).clamp(1, photo.width.max(1));
            let down = ((height as f32 * factor).round() as u32).clamp(1, photo.height.max(1));
            let (left, top) = ((photo.width - across) / 2, (photo.height - down) / 2);
            let cropped = photo.cropped(left, top, across, down).resized(width as u32, height as u32);
            (cropped, [factor; 2], [-(left as f32) / factor, -(top as f32) / factor])
        }
        Fit::Letterbox => {
            let factor = (wide / width as f32).max(high / height as f32);
            let across = ((wide / factor).round() as usize).clamp(1, width);
            let down = ((high / factor).round() as usize).clamp(1, height);
            let (left, top) = ((width - across) / 2, (height - down) / 2);
            let small = sized(across, down);
            let mut rgb = vec![BAR; width * height * 3];
            for (row, line) in small.rgb.chunks_exact(across * 3).enumerate() {
                let start = ((top + row) * width + left) * 3;
                if let Some(place) = rgb.get_mut(start..start + across * 3) {
                    place.copy_from_slice(line);
                }
            }
            let boxed = Pixels { width: width as u32, height: height as u32, rgb };
            (boxed, [factor; 2], [left as f32, top as f32])
        }
    };
    let (values, shape) = tensor(&pixels, input);
    Prepared { values, shape, scale, corner }
}

fn tensor(pixels: &Pixels, input: &Input) -> (Vec<f32>, [usize; 4]) {
    let (width, height) = (input.width, input.height);
    let mut values = vec![0.0; width * height * 3];
    // One table a colour: 256 values instead of a division a pixel.
    let tables = [0, 1, 2].map(|colour| {
        let table: Vec<f32> =
            (0..=255).map(|value| (value as f32 - input.mean[colour]) / input.deviation[colour]).collect();
        table
    });
    let of = |colour: usize| if input.colours == Colours::Rgb { colour } else { 2 - colour };
    for (row, line) in pixels.rgb.chunks_exact(width * 3).take(height).enumerate() {
        for (column, pixel) in line.chunks_exact(3).enumerate() {
            for colour in 0..3 {
                let at = match input.layout {
                    Layout::Nchw => (colour * height + row) * width + column,
                    Layout::Nhwc => (row * width + column) * 3 + colour,
                };
                let value = usize::from(pixel[of(colour)]);
                if let (Some(place), Some(value)) = (values.get_mut(at), tables[colour].get(value)) {
                    *place = *value;
                }
            }
        }
    }
    let shape = match input.layout {
        Layout::Nchw => [1, 3, height, width],
        Layout::Nhwc => [1, height, width, 3],
    };
    (values, shape)
}

impl Prepared {
    /// Left, top, width and height in pixels of the input as pixels of the photo.
    #[must_use]
    pub(crate) fn in_photo(&self, bounds: [f32; 4], photo: &Pixels) -> [u32; 4] {
        let along = |axis: usize, size: u32| {
            let start = ((bounds[axis] - self.corner[axis]) * self.scale[axis]).clamp(0.0, size as f32);
            let end = bounds[axis] + bounds[axis + 2] - self.corner[axis];
            let end = (end * self.scale[axis]).clamp(start, size as f32);
            (start.round() as u32, (end - start).round() as u32)
        };
        let ((left, width), (top, height)) = (along(0, photo.width), along(1, photo.height));
        [left, top, width, height]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(fit: &str) -> Input {
        let text =
            format!("width = 8\nheight = 8\nfit = \"{fit}\"\nmean = [1, 2, 3]\ndeviation = [2, 2, 2]\n");
        toml::from_str(&text).unwrap()
    }

    /// Left half red, right half blue.
    fn halves(width: u32, height: u32) -> Pixels {
        let pixel = |x: u32| if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] };
        let rgb = (0..height).flat_map(|_| (0..width).flat_map(pixel)).collect();
        Pixels { width, height, rgb }
    }

    #[test]
    fn colours_lie_in_planes_and_are_normalised() {
        let prepared = prepare(&halves(16, 8), &input("squeeze"), false);
        assert_eq!(prepared.shape, [1, 3, 8, 8]);
        assert_eq!(prepared.values[0], 127.0);
        assert_eq!(prepared.values[64], -1.0);
        assert_eq!(prepared.values[128 + 7], 126.0);
        let mirrored = prepare(&halves(16, 8), &input("squeeze"), true);
        assert_eq!(mirrored.values[7], 127.0);
        assert_eq!(mirrored.values[128], 126.0);
    }

    #[test]
    fn bars_fill_what_a_photo_leaves_free_and_boxes_find_back() {
        let photo = halves(16, 8);
        let prepared = prepare(&photo, &input("letterbox"), false);
        assert_eq!(prepared.values[0], (114.0 - 1.0) / 2.0);
        assert_eq!(prepared.values[2 * 8], 127.0);
        assert_eq!(prepared.in_photo([0.0, 2.0, 8.0, 4.0], &photo), [0, 0, 16, 8]);
        assert_eq!(prepared.in_photo([4.0, 2.0, 100.0, 2.0], &photo), [8, 0, 8, 4]);
    }

    #[test]
    fn a_crop_is_the_middle() {
        let photo = halves(16, 8);
        let prepared = prepare(&photo, &input("crop"), false);
        assert_eq!(prepared.in_photo([0.0, 0.0, 8.0, 8.0], &photo), [4, 0, 8, 8]);
    }

    #[test]
    fn one_pixel_is_a_photo() {
        let photo = Pixels { width: 1, height: 1, rgb: vec![9, 9, 9] };
        for fit in ["squeeze", "crop", "letterbox"] {
            assert_eq!(prepare(&photo, &input(fit), false).values.len(), 192);
        }
    }
}
