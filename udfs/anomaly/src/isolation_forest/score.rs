//! Scores of many rows.

use super::{Cut, IsolationForest, Tree};
use crate::{Error, Matrix};

/// Rows that walk side by side.
const LANES: usize = 16;
/// Groups that go down a level before any goes further: what a level takes to begin is shared by them.
const GROUPS: usize = 4;
/// Cuts on a path that are made for all rows at once.
const TOP: u32 = super::LEAST_HEIGHT;
/// Room for features, at least [`MAX_COLUMNS`](crate::MAX_COLUMNS).
const WIDEST: usize = 512;
/// Scaled values held at a time, 64 KiB: a block of rows stays in the cache while all trees pass over it.
const BLOCK_VALUES: usize = 16_384;

impl IsolationForest {
    /// The anomaly score of every row, in (0, 1): near 1 for outliers, below 0.5 for ordinary rows; NaN for a row with a
    /// NaN or infinite value. A row's score doesn't depend on the others'. Working memory is at most
    /// 500 KiB, of which 70 KiB are touched.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the rows don't have as many features as those the forest was grown from.
    pub fn scores(&self, matrix: Matrix<'_>) -> Result<Vec<f64>, Error> {
        self.check(matrix)?;
        Ok(match matrix.columns() {
            ..=16 => self.scores_of::<16>(matrix),
            17..=64 => self.scores_of::<64>(matrix),
            _ => self.scores_of::<WIDEST>(matrix),
        })
    }

    /// The scores, with room for `WIDTH` features in a group: a power of two, so that a masked number needs no check.
    fn scores_of<const WIDTH: usize>(&self, matrix: Matrix<'_>) -> Vec<f64> {
        let groups = (BLOCK_VALUES / (LANES * matrix.columns())).clamp(1, 64);
        let mut block = vec![[[0.0_f32; LANES]; WIDTH]; groups];
        let mut sums = vec![[0.0_f64; LANES]; groups];
        let mut scores = Vec::with_capacity(matrix.rows());
        let mut first = 0;
        while first < matrix.rows() {
            let rows = (matrix.rows() - first).min(groups * LANES);
            self.load(matrix, first, rows, &mut block);
            sums.fill([0.0; LANES]);
            let used = rows.div_ceil(LANES);
            for tree in &self.trees {
                for (sums, groups) in sums[..used].chunks_mut(GROUPS).zip(block[..used].chunks(GROUPS)) {
                    tree.add_lengths(groups, sums);
                }
            }
            for row in 0..rows {
                let finite = matrix.is_finite(first + row);
                let sum = sums[row / LANES][row % LANES];
                scores.push(if finite { self.anomaly_score(sum) } else { f64::NAN });
            }
            first += rows;
        }
        scores
    }

    pub(super) fn check(&self, matrix: Matrix<'_>) -> Result<(), Error> {
        let (found, expected) = (matrix.columns(), self.columns());
        if found == expected { Ok(()) } else { Err(Error::Length { what: "row", found, expected }) }
    }

    /// Scales rows into groups of [`LANES`], feature by feature. What is left in the last group is walked for nothing.
    fn load<const WIDTH: usize>(
        &self,
        matrix: Matrix<'_>,
        first: usize,
        rows: usize,
        block: &mut [[[f32; LANES]; WIDTH]],
    ) {
        for row in 0..rows {
            let group = &mut block[row / LANES];
            for (feature, value) in matrix.row(first + row).iter().enumerate() {
                group[feature][row % LANES] = self.scale.apply(feature, *value);
            }
        }
    }
}

impl Tree {
    /// Adds the path length of each row of some groups.
    fn add_lengths<const WIDTH: usize>(&self, groups: &[[[f32; LANES]; WIDTH]], sums: &mut [[f64; LANES]]) {
        let height = self.height();
        // Counted from the left of each level, from 0. No tree is lower than TOP.
        let mut at = [[0; LANES]; GROUPS];
        for (at, group) in at.iter_mut().zip(groups) {
            *at = self.top(group);
        }
        for level in TOP..height {
            let (cuts, at) = (&self.cuts, &mut at);
            match level {
                3 => step::<8, WIDTH>(cuts, groups, at),
                4 => step::<16, WIDTH>(cuts, groups, at),
                5 => step::<32, WIDTH>(cuts, groups, at),
                6 => step::<64, WIDTH>(cuts, groups, at),
                7 => step::<128, WIDTH>(cuts, groups, at),
                8 => step::<256, WIDTH>(cuts, groups, at),
                9 => step::<512, WIDTH>(cuts, groups, at),
                10 => step::<1_024, WIDTH>(cuts, groups, at),
                11 => step::<2_048, WIDTH>(cuts, groups, at),
                // The largest sample makes trees of thirteen levels.
                _ => step::<4_096, WIDTH>(cuts, groups, at),
            }
        }
        let lengths = &self.lengths[(1 << height) - 1..];
        for (sum, at) in sums.as_flattened_mut().iter_mut().zip(at.as_flattened()) {
            *sum += f64::from(lengths[*at as usize]);
        }
    }

    /// Where the rows are after [`TOP`] cuts. There are so few of those that all are tried for all rows at once, which
    /// takes vector instructions instead of lookups.
    fn top<const WIDTH: usize>(&self, group: &[[f32; LANES]; WIDTH]) -> [u32; LANES] {
        let right = |cut: usize| {
            let Cut { threshold, feature } = self.cuts[cut];
            group[feature as usize & (WIDTH - 1)].map(|value| if value > threshold { u32::MAX } else { 0 })
        };
        let choose = |which: [u32; LANES], left: [u32; LANES], right: [u32; LANES]| {
            let mut chosen = [0; LANES];
            for lane in 0..LANES {
                chosen[lane] = left[lane] ^ ((left[lane] ^ right[lane]) & which[lane]);
            }
            chosen
        };
        let first = right(0);
        let second = choose(first, right(1), right(2));
        let (left, beside) = (choose(second, right(3), right(4)), choose(second, right(5), right(6)));
        let third = choose(first, left, beside);
        let mut at = [0; LANES];
        for lane in 0..LANES {
            at[lane] = (4 & first[lane]) | (2 & second[lane]) | (1 & third[lane]);
        }
        at
    }
}

/// One cut more for each row of some groups, in a level of `CUTS` cuts. The sizes are powers of two, so that masked numbers
/// stand for the same cuts and features and need no check.
fn step<const CUTS: usize, const WIDTH: usize>(
    cuts: &[Cut],
    groups: &[[[f32; LANES]; WIDTH]],
    at: &mut [[u32; LANES]; GROUPS],
) {
    let Some(level) = cuts.get(CUTS - 1..).and_then(<[Cut]>::first_chunk::<CUTS>) else { return };
    for (group, at) in groups.iter().zip(at) {
        for (lane, at) in at.iter_mut().enumerate() {
            let cut = level[*at as usize & (CUTS - 1)];
            let right = group[cut.feature as usize & (WIDTH - 1)][lane] > cut.threshold;
            *at = 2 * *at + u32::from(right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::square;
    use super::*;
    use crate::ForestOptions;

    #[test]
    fn a_row_scores_the_same_alone() {
        let values = square();
        let matrix = Matrix::new(&values, 2).unwrap();
        let forest = IsolationForest::fit(matrix, ForestOptions::default()).unwrap();
        let together = forest.scores(matrix).unwrap();
        for row in [0, 7, 8, 255, 500] {
            let alone = forest.scores(Matrix::new(matrix.row(row), 2).unwrap()).unwrap();
            assert_eq!(alone[0].to_bits(), together[row].to_bits());
        }
        assert!(forest.scores(Matrix::new(&values, 3).unwrap()).is_err());
        assert_eq!(forest.scores(Matrix::new(&[], 2).unwrap()).unwrap(), [0.0; 0]);
    }

    #[test]
    fn a_single_tree_of_three_rows_has_known_lengths() {
        // Any cut separates 0 and 1 from 100, or 0 from the other two: lengths are 1 for one end and 2 for the rest.
        let options = ForestOptions { trees: Some(1), sample_size: 3, seed: 1 };
        let values = [0.0, 1.0, 100.0];
        let matrix = Matrix::new(&values, 1).unwrap();
        let forest = IsolationForest::fit(matrix, options).unwrap();
        let scores = forest.scores(matrix).unwrap();
        let length = |score: f64| -score.log2() * crate::isolation_forest::average_length(3);
        assert!((length(scores[2]) - 1.0).abs() < 1e-6 || (length(scores[0]) - 1.0).abs() < 1e-6);
        assert!((length(scores[1]) - 2.0).abs() < 1e-6);
    }
}
