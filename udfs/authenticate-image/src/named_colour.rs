//! Names of colours.

/// Names, from dark to colourful.
pub(crate) const NAMES: [&str; 12] = [
    "black",
    "grey",
    "white",
    "red",
    "orange",
    "yellow",
    "green",
    "turquoise",
    "blue",
    "purple",
    "pink",
    "brown",
];

/// Place of `beige` after [`NAMES`]: light and hardly colourful yellow.
pub(crate) const COUNT: usize = NAMES.len() + 1;

/// The name at a place below [`COUNT`].
pub(crate) fn name(place: usize) -> &'static str {
    NAMES.get(place).copied().unwrap_or("beige")
}

/// The place of the name of a colour in CIELAB.
///
/// Borders of hue are those between the sRGB colours of these names; chroma below 10 is what people call
/// grey.
pub(crate) fn place(lab: [f32; 3]) -> usize {
    let [lightness, a, b] = lab;
    let chroma = a.hypot(b);
    let hue = b.atan2(a).to_degrees().rem_euclid(360.0);
    let name = match (lightness, chroma, hue) {
        (..20.0, ..14.0, _) => "black",
        (l, ..10.0, _) if l < 27.0 => "black",
        (l, ..10.0, _) if l >= 78.0 => "white",
        (_, ..10.0, _) => "grey",
        (l, c, h) if (20.0..110.0).contains(&h) && c < 32.0 => {
            if l >= 65.0 && h >= 50.0 {
                "beige"
            } else if l >= 65.0 {
                "pink"
            } else {
                "brown"
            }
        }
        (l, _, h) if !(20.0..340.0).contains(&h) => {
            if l >= 55.0 {
                "pink"
            } else {
                "red"
            }
        }
        (l, _, ..48.0) => {
            if l >= 68.0 {
                "pink"
            } else {
                "red"
            }
        }
        (l, _, ..75.0) => {
            if l < 48.0 {
                "brown"
            } else {
                "orange"
            }
        }
        (l, _, ..110.0) => {
            if l < 48.0 {
                "brown"
            } else {
                "yellow"
            }
        }
        (_, _, ..175.0) => "green",
        (_, _, ..235.0) => "turquoise",
        (_, _, ..309.0) => "blue",
        _ => "purple",
    };
    NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    #[test]
    fn colours_of_css_have_their_names() {
        let lab = Lab::new();
        for (rgb, expected) in [
            ([0, 0, 0], "black"),
            ([30, 30, 34], "black"),
            ([255, 255, 255], "white"),
            ([128, 128, 128], "grey"),
            ([255, 0, 0], "red"),
            ([178, 34, 34], "red"),
            ([255, 165, 0], "orange"),
            ([255, 255, 0], "yellow"),
            ([0, 128, 0], "green"),
            ([64, 224, 208], "turquoise"),
            ([0, 0, 255], "blue"),
            ([0, 0, 128], "blue"),
            ([70, 130, 180], "blue"),
            ([128, 0, 128], "purple"),
            ([255, 192, 203], "pink"),
            ([139, 69, 19], "brown"),
            ([245, 222, 179], "beige"),
        ] {
            assert_eq!(name(place(lab.of(rgb))), expected, "{rgb:?}");
        }
    }
}
