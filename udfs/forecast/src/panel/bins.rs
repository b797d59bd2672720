//! Features as small whole numbers: which of at most 62 intervals a value lies in.

use smartsneaks_table_function::{Run, for_each};

/// Rows of a job.
const PIECE: usize = 8_192;

/// Bins of a feature: 0 for a missing value, then one an interval.
pub(crate) const BINS: usize = 64;

/// Rows that the cut points are taken from.
const SAMPLE: usize = 40_000;

/// Ascending cut points of each feature; a value belongs left of a cut if it is at most it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bins {
    cuts: Vec<Vec<f32>>,
}

impl Bins {
    /// Cuts at even quantiles of each of `width` features, from `rows` (row by row; NaN is missing).
    pub(crate) fn new(rows: &[f32], width: usize, run: Run<'_>) -> Bins {
        let count = rows.len() / width.max(1);
        let stride = count.div_ceil(SAMPLE).max(1);
        let mut of_features = vec![Vec::new(); width];
        for_each(run, &mut of_features, |feature, found| {
            let column = rows.iter().skip(feature).step_by(width * stride);
            let mut values: Vec<f32> = column.copied().filter(|value| !value.is_nan()).collect();
            values.sort_unstable_by(f32::total_cmp);
            *found = cuts(&values);
        });
        Bins { cuts: of_features }
    }

    /// The cut to the right of a bin: values of all bins up to this one are at most it.
    pub(crate) fn cut(&self, feature: usize, bin: usize) -> f32 {
        if bin == 0 { f32::NEG_INFINITY } else { self.cuts[feature][bin - 1] }
    }

    /// Bins that a feature has.
    pub(crate) fn count(&self, feature: usize) -> usize {
        self.cuts[feature].len() + 2
    }

    /// The bin of every value, row by row.
    pub(crate) fn assign(&self, rows: &[f32], run: Run<'_>) -> Vec<u8> {
        let width = self.cuts.len().max(1);
        let mut bins = vec![0; rows.len()];
        let mut pieces: Vec<&mut [u8]> = bins.chunks_mut(width * PIECE).collect();
        for_each(run, &mut pieces, |piece, bins| {
            let rows = rows[piece * width * PIECE..].chunks_exact(width);
            for (row, bins) in rows.zip(bins.chunks_exact_mut(width)) {
                for ((value, cuts), bin) in row.iter().zip(&self.cuts).zip(bins) {
                    *bin = if value.is_nan() { 0 } else { 1 + cuts.partition_point(|cut| cut < value) as u8 };
                }
            }
        });
        bins
    }
}

/// Distinct values halfway to the next, where there are few; else those at even quantiles.
fn cuts(sorted: &[f32]) -> Vec<f32> {
    let mut distinct: Vec<f32> = sorted.to_vec();
    distinct.dedup();
    let most = BINS - 2;
    if distinct.len() <= most {
        return distinct.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2.0).collect();
    }
    let mut cuts: Vec<f32> = (1..most).map(|part| sorted[part * sorted.len() / most]).collect();
    cuts.dedup();
    // A cut at the largest value divides nothing.
    cuts.retain(|cut| *cut < sorted[sorted.len() - 1]);
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartsneaks_table_function::in_order;

    #[test]
    fn values_fall_between_their_cuts() {
        let rows: Vec<f32> = (0..2000)
            .flat_map(|row| [row as f32, if row % 3 == 0 { f32::NAN } else { (row % 2) as f32 }])
            .collect();
        let bins = Bins::new(&rows, 2, &in_order);
        let assigned = bins.assign(&rows, &in_order);
        assert!(assigned.iter().all(|bin| usize::from(*bin) < BINS));
        assert_eq!((bins.count(1), assigned[1]), (3, 0));
        for (row, bin) in rows.chunks_exact(2).zip(assigned.chunks_exact(2)) {
            let bin = usize::from(bin[0]);
            assert!(row[0] > bins.cut(0, bin - 1));
            assert!(bin + 1 == bins.count(0) || row[0] <= bins.cut(0, bin));
        }
    }

    #[test]
    fn constants_and_nothing_have_no_cuts() {
        assert_eq!(Bins::new(&[2.0; 10], 1, &in_order).count(0), 2);
        assert_eq!(Bins::new(&[], 1, &in_order).count(0), 2);
        assert_eq!(Bins::new(&[f32::NAN; 4], 1, &in_order).assign(&[f32::NAN], &in_order), [0]);
    }
}
