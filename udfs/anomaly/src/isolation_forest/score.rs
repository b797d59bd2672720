//! Scores of many rows.

use super::{Cut, IsolationForest, Tree};
use crate::{Error, Matrix};

/// Rows that walk side by side.
const LANES: usize = 16;
/// Cuts on a path that are made for all rows at once.
const TOP: u32 = 3;
/// Scaled values held at a time, 64 KiB: a block of rows stays in the cache while all trees pass over it.
const BLOCK_VALUES: usize = 16_384;

impl IsolationForest {
    /// The anomaly score of every row, in (0, 1): near 1 for outliers, below 0.5 for ordinary rows; NaN for a row with a
    /// NaN or infinite value. A row's score doesn't depend on the others'. Working memory is about 80 KiB.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the rows don't have as many features as those the forest was grown from.
    pub fn scores(&self, matrix: Matrix<'_>) -> Result<Vec<f64>, Error> {
        self.check(matrix)?;
        let columns = matrix.columns();
        let groups = (BLOCK_VALUES / (LANES * columns)).clamp(1, 64);
        let mut block = vec![[0.0_f32; LANES]; groups * columns];
        let mut sums = vec![[0.0_f64; LANES]; groups];
        let mut scores = Vec::with_capacity(matrix.rows());
        let mut first = 0;
        while first < matrix.rows() {
            let rows = (matrix.rows() - first).min(groups * LANES);
            self.load(matrix, first, rows, &mut block);
            sums.fill([0.0; LANES]);
            let used = rows.div_ceil(LANES);
            for tree in &self.trees {
                for (sum, group) in sums[..used].iter_mut().zip(block.chunks_exact(columns)) {
                    tree.add_lengths(self.height, group, sum);
                }
            }
            for row in 0..rows {
                let finite = matrix.is_finite(first + row);
                let sum = sums[row / LANES][row % LANES];
                scores.push(if finite { self.anomaly_score(sum) } else { f64::NAN });
            }
            first += rows;
        }
        Ok(scores)
    }

    pub(super) fn check(&self, matrix: Matrix<'_>) -> Result<(), Error> {
        let (found, expected) = (matrix.columns(), self.columns());
        if found == expected { Ok(()) } else { Err(Error::Length { what: "row", found, expected }) }
    }

    /// Scales rows into groups of [`LANES`], feature by feature. What is left in the last group is walked for nothing.
    fn load(&self, matrix: Matrix<'_>, first: usize, rows: usize, block: &mut [[f32; LANES]]) {
        let columns = matrix.columns();
        for row in 0..rows {
            let group = row / LANES * columns;
            for (feature, value) in matrix.row(first + row).iter().enumerate() {
                block[group + feature][row % LANES] = self.scale.apply(feature, *value);
            }
        }
    }
}

impl Tree {
    /// Adds the path length of each row of a group.
    fn add_lengths(&self, height: u32, group: &[[f32; LANES]], sums: &mut [f64; LANES]) {
        let (mut at, walked) = if height >= TOP { (self.top(group), TOP) } else { ([0; LANES], 0) };
        for _ in walked..height {
            for (lane, at) in at.iter_mut().enumerate() {
                let cut = self.cuts[*at as usize];
                let right = group[cut.feature as usize][lane] > cut.threshold;
                *at = 2 * *at + 1 + u32::from(right);
            }
        }
        for (sum, at) in sums.iter_mut().zip(at) {
            *sum += f64::from(self.lengths[at as usize]);
        }
    }

    /// Where the rows are after [`TOP`] cuts. There are so few of those that all are tried for all rows at once, which
    /// takes vector instructions instead of lookups.
    fn top(&self, group: &[[f32; LANES]]) -> [u32; LANES] {
        let right = |cut: usize| {
            let Cut { threshold, feature } = self.cuts[cut];
            group[feature as usize].map(|value| u32::from(value > threshold))
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
            at[lane] = 7 + 4 * first[lane] + 2 * second[lane] + third[lane];
        }
        at
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
        let options = ForestOptions { trees: 1, sample_size: 3, seed: 1 };
        let values = [0.0, 1.0, 100.0];
        let matrix = Matrix::new(&values, 1).unwrap();
        let forest = IsolationForest::fit(matrix, options).unwrap();
        let scores = forest.scores(matrix).unwrap();
        let length = |score: f64| -score.log2() * crate::isolation_forest::average_length(3);
        assert!((length(scores[2]) - 1.0).abs() < 1e-6 || (length(scores[0]) - 1.0).abs() < 1e-6);
        assert!((length(scores[1]) - 2.0).abs() < 1e-6);
    }
}
