//! Places that hang together.

/// A group of marked places that touch at sides or corners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Blob {
    /// How many places.
    pub(crate) area: usize,
    /// Sum of their weights.
    pub(crate) weight: f64,
    /// First and last column, first and last row.
    pub(crate) box_: [usize; 4],
}

/// The groups of places whose weight is above `threshold`, in the order of their first place; `width` places
/// a row.
///
/// Each place is visited once, without recursion.
pub(crate) fn blobs(weights: &[f32], width: usize, threshold: f32) -> Vec<Blob> {
    let width = width.max(1);
    let height = weights.len() / width;
    let mut open: Vec<bool> = weights.iter().map(|weight| *weight > threshold).collect();
    let mut found = Vec::new();
    let mut waiting = Vec::new();
    for start in 0..open.len() {
        if !take(&mut open, start) {
            continue;
        }
        let mut blob = Blob { area: 0, weight: 0.0, box_: [width, 0, height, 0] };
        waiting.push(start);
        while let Some(place) = waiting.pop() {
            let (x, y) = (place % width, place / width);
            let [left, right, top, bottom] = blob.box_;
            blob.box_ = [left.min(x), right.max(x), top.min(y), bottom.max(y)];
            blob.area += 1;
            blob.weight += weights.get(place).copied().map_or(0.0, f64::from);
            for row in y.saturating_sub(1)..(y + 2).min(height) {
                for column in x.saturating_sub(1)..(x + 2).min(width) {
                    if take(&mut open, row * width + column) {
                        waiting.push(row * width + column);
                    }
                }
            }
        }
        found.push(blob);
    }
    found
}

fn take(open: &mut [bool], place: usize) -> bool {
    open.get_mut(place).is_some_and(std::mem::take)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found() {
        let weights = [1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 3.0, 0.0, 0.0, 0.0, 3.0];
        let found = blobs(&weights, 4, 0.5);
        assert_eq!(
            found,
            [
                Blob { area: 2, weight: 3.0, box_: [0, 1, 0, 1] },
                Blob { area: 2, weight: 6.0, box_: [3, 3, 1, 2] }
            ]
        );
        assert!(blobs(&[], 4, 0.5).is_empty());
    }
}
