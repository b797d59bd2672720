//! Colours as people see them: CIELAB (CIE 1976, D65) of sRGB (IEC 61966-2-1).

/// Turns sRGB into CIELAB.
#[derive(Debug)]
pub(crate) struct Lab {
    linear: [f32; 256],
}

impl Lab {
    pub(crate) fn new() -> Self {
        let linear = |value: usize| {
            let value = value as f32 / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        Self { linear: std::array::from_fn(linear) }
    }

    /// Lightness 0 to 100, and green to red and blue to yellow, about -110 to 110.
    pub(crate) fn of(&self, [red, green, blue]: [u8; 3]) -> [f32; 3] {
        let [red, green, blue] = [red, green, blue].map(|value| self.linear[usize::from(value)]);
        let x = (0.412_456 * red + 0.357_576 * green + 0.180_438 * blue) / 0.950_47;
        let y = 0.212_673 * red + 0.715_152 * green + 0.072_175 * blue;
        let z = (0.019_334 * red + 0.119_192 * green + 0.950_304 * blue) / 1.088_83;
        let root = |t: f32| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let (x, y, z) = (root(x), root(y), root(z));
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours() {
        // skimage.color.rgb2lab
        let lab = Lab::new();
        for (rgb, expected) in [
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([0, 0, 0], [0.0, 0.0, 0.0]),
            ([255, 0, 0], [53.24, 80.09, 67.20]),
            ([0, 0, 255], [32.30, 79.19, -107.86]),
        ] {
            let found = lab.of(rgb);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.1), "{rgb:?} {found:?}");
        }
    }
}
