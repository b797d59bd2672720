//! Boxes that a detector of the YOLO family exports: from its output tensor to regions of the photo.

use crate::backend::Tensor;
use crate::spec::Detector;

/// A region that a detector found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    /// Place of its class in [`Detector::classes`].
    pub(crate) class: usize,
    /// How sure the detector is, 0 to 1.
    pub(crate) score: f32,
    /// Left, top, width and height in pixels of the network's input.
    pub(crate) bounds: [f32; 4],
}

/// The regions in a detector's output, the surest first; of boxes of one class that overlap the surest.
///
/// # Errors
/// When the output is not of the shape that the specification describes.
pub(crate) fn regions(output: &Tensor, spec: &Detector) -> Result<Vec<Region>, String> {
    let wide = 4 + spec.classes.len();
    // 1 × (4 + classes) × boxes, or 1 × boxes × (4 + classes).
    let (boxes, across) = match output.shape.as_slice() {
        [1, rows, boxes] | [rows, boxes] if *rows == wide => (*boxes, true),
        [1, boxes, rows] | [boxes, rows] if *rows == wide => (*boxes, false),
        shape => {
            let classes = spec.classes.len();
            return Err(format!(
                "the detector's output is {shape:?}; {classes} classes want 1 × {wide} × boxes"
            ));
        }
    };
    let value = |place: usize, row: usize| {
        let at = if across { row * boxes + place } else { place * wide + row };
        output.values.get(at).copied().unwrap_or(f32::NAN)
    };
    let mut found = Vec::new();
    for place in 0..boxes {
        let scores = (0..spec.classes.len()).map(|class| (class, value(place, 4 + class)));
        let best = scores.filter(|(_, score)| score.is_finite()).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((class, score)) = best.filter(|(_, score)| *score >= spec.threshold) else { continue };
        let [x, y, width, height] = [0, 1, 2, 3].map(|row| value(place, row));
        let bounds = [x - width / 2.0, y - height / 2.0, width, height];
        if bounds.iter().all(|one| one.is_finite()) && width > 0.0 && height > 0.0 {
            found.push(Region { class, score: score.min(1.0), bounds });
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    // What is kept is compared with each: more boxes than this are no findings that anybody reads.
    const MOST: usize = 300;
    let mut kept: Vec<Region> = Vec::new();
    for region in found {
        if kept.len() == MOST {
            break;
        }
        let apart = |one: &Region| one.class != region.class || overlap(one, &region) <= spec.overlap;
        if kept.iter().all(apart) {
            kept.push(region);
        }
    }
    Ok(kept)
}

/// Intersection over union.
fn overlap(a: &Region, b: &Region) -> f32 {
    let along = |start: usize, size: usize| {
        let end = (a.bounds[start] + a.bounds[size]).min(b.bounds[start] + b.bounds[size]);
        (end - a.bounds[start].max(b.bounds[start])).max(0.0)
    };
    let both = along(0, 2) * along(1, 3);
    let area = |one: &Region| one.bounds[2] * one.bounds[3];
    both / (area(a) + area(b) - both).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ModelSpec;

    fn spec() -> Detector {
        let text = r#"
            kind = "detector"
            classes = [{ name = "logo", means = "authentic" }, { name = "bad stitching", means = "replica" }]
            [input]
            width = 64
            height = 64
        "#;
        match ModelSpec::read(text).unwrap() {
            ModelSpec::Detector(spec) => spec,
            other => panic!("{other:?}"),
        }
    }

    /// Boxes (x, y, width, height, scores) as 1 × 6 × n.
    fn output(boxes: &[[f32; 6]]) -> Tensor {
        let values = (0..6).flat_map(|row| boxes.iter().map(move |one| one[row])).collect();
        Tensor { shape: vec![1, 6, boxes.len()], values }
    }

    #[test]
    fn the_surest_of_boxes_that_overlap_is_kept() {
        let boxes = [
            [20.0, 20.0, 10.0, 10.0, 0.6, 0.1],
            [21.0, 20.0, 10.0, 10.0, 0.9, 0.1],
            [20.0, 20.0, 10.0, 10.0, 0.1, 0.8],
            [50.0, 50.0, 8.0, 4.0, 0.2, 0.1],
        ];
        let found = regions(&output(&boxes), &spec()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].class, found[0].score), (0, 0.9));
        assert_eq!(found[0].bounds, [16.0, 15.0, 10.0, 10.0]);
        assert_eq!(found[1].class, 1);
    }

    #[test]
    fn both_ways_round_read_alike() {
        let boxes = [[20.0, 20.0, 10.0, 10.0, 0.6, 0.1], [50.0, 50.0, 8.0, 4.0, 0.2, 0.7]];
        let across = regions(&output(&boxes), &spec()).unwrap();
        let along = Tensor { shape: vec![1, 2, 6], values: boxes.concat() };
        assert_eq!(regions(&along, &spec()).unwrap(), across);
    }

    #[test]
    fn another_shape_and_bad_numbers_are_refused() {
        let error = regions(&Tensor { shape: vec![1, 85, 3], values: vec![] }, &spec()).unwrap_err();
        assert!(error.contains("[1, 85, 3]; 2 classes want 1 × 6 × boxes"), "{error}");
        let boxes = [[f32::NAN, 20.0, 10.0, 10.0, 0.6, 0.1], [5.0, 5.0, -1.0, 4.0, f32::INFINITY, 0.7]];
        assert!(regions(&output(&boxes), &spec()).unwrap().is_empty());
    }
}
