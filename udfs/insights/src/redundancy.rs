//! Leaves out segments that a more precise one says all about.

use std::collections::HashMap;

use crate::search::{Key, Segment};

/// Removes each segment whose figures equal those of a segment with the same and more dimension values: all that it
/// measures comes from rows of that one. Order is kept. Memory: the keys once more.
pub(crate) fn prune(segments: Vec<Segment>) -> Vec<Segment> {
    // Only looked up, never walked, so that its order can't reach a result.
    let place: HashMap<&Key, usize> = segments.iter().enumerate().map(|(at, one)| (&one.key, at)).collect();
    let mut redundant = vec![false; segments.len()];
    for segment in &segments {
        let width = segment.key.len();
        for set in 1u32..(1 << width) - 1 {
            let part: Key = (0..width).filter(|at| set & (1 << at) != 0).map(|at| segment.key[at]).collect();
            if let Some(at) = place.get(&part)
                && segments[*at].sums.same_metrics(&segment.sums)
            {
                redundant[*at] = true;
            }
        }
    }
    let mut keep = redundant.into_iter().map(|redundant| !redundant);
    segments.into_iter().filter(|_| keep.next().unwrap_or(true)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::Sums;

    #[test]
    fn the_more_precise_of_equal_ones_stays() {
        let segment = |key: &[(u8, u32)], interest: f64| {
            let sums = Sums { interest, ..Sums::default() };
            Segment { key: key.to_vec(), sums }
        };
        let kept = prune(vec![
            segment(&[(0, 1)], 5.0),
            segment(&[(1, 2)], 7.0),
            segment(&[(0, 1), (1, 2)], 5.0),
            segment(&[(0, 1), (1, 2), (2, 3)], 5.0),
            segment(&[(2, 4)], 5.0),
        ]);
        let keys: Vec<usize> = kept.iter().map(|segment| segment.key.len()).collect();
        assert_eq!(keys, [1, 3, 1]);
    }
}
