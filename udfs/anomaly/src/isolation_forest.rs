//! Isolation forests: outliers are separated from the rest by few random cuts.
//!
//! Liu, Ting & Zhou (2008), "Isolation Forest", *ICDM*, and (2012), "Isolation-Based Anomaly Detection", *ACM TKDD* 6.
//! As in scikit-learn a drawn feature that is constant in a node is put back by drawing another without replacement, so
//! that flat columns don't dilute the trees.
//!
//! Features are moved and scaled to [0, 1] of the training range and kept as `f32`: a cut isn't changed by that, large
//! numbers (dates, paise) lose no digits, and a tree fits into the first-level cache. A tree is a complete binary tree
//! in heap order (the children of `i` are `2i + 1` and `2i + 2`) of a fixed height; where a branch ends early, cuts at
//! infinity lead to its leftmost slot. So a walk has no branches to mispredict and rows walk side by side.
//!
//! The paper grows each tree from ψ = 256 rows and ends at ⌈log₂ ψ⌉ cuts. Here, where there are 4 ψ rows or more, every
//! other tree has half as many rows and a cut less, and its lengths are weighed by c(ψ) / c(ψ / 2); the others have a cut
//! more. Few rows hide less of what lies close together, many meet a row more often that lies alone: grown from 128 rows
//! each, trees found others before the one row that is far from 500, so of few rows every tree has the whole sample. And
//! where rows are few, and trees cost little, there are up to 300. Mean areas under the
//! curve over 40 seeds, and those of the paper's forest (scikit-learn 1.9.1, 20 seeds), on ADBench: annthyroid 0.832 and
//! 0.820, cardio 0.929 and 0.927, musk 0.999 and 0.999, pima 0.680 and 0.670, satellite 0.708 and 0.698, shuttle 0.997 and
//! 0.997.

mod bytes;
mod contribution;
mod grow;
mod judge;
mod score;

pub use judge::{Cutoff, judge_scores};

use crate::{Error, Matrix};

/// How a forest is grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForestOptions {
    /// Number of trees, 1 to 1,000; None for 100, and up to 300 where there are fewer than 180,000
    /// numbers, ten a row added.
    pub trees: Option<usize>,
    /// ψ, rows that a tree is grown from, all where there are fewer; 2 to 4,096. Of 4 ψ rows and more every other tree is
    /// grown from half of them if those are 64 or more.
    pub sample_size: usize,
    /// Seed; tree `i` depends on the seed and `i` alone.
    pub seed: u64,
}

impl Default for ForestOptions {
    /// 256 rows, as in the paper, and trees by the size of the data.
    fn default() -> Self {
        ForestOptions { trees: None, sample_size: 256, seed: 42 }
    }
}

/// A grown forest.
///
/// Memory: 8 bytes a cut and 4 a node, 2 KiB a tree of 128 rows and 8 a tree of 256 (0.5 to 1.5 MiB for the default
/// forest).
#[derive(Debug, Clone, PartialEq)]
pub struct IsolationForest {
    scale: Scale,
    sample: Sample,
    trees: Vec<Tree>,
}

/// What the trees are grown from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    /// ψ.
    rows: usize,
    /// Whether every other tree has half of them.
    halved: bool,
}

/// Maps the training range of each feature to [0, 1].
#[derive(Debug, Clone, PartialEq)]
struct Scale {
    /// Least value, halved.
    least: Vec<f64>,
    /// One over the halved range; 0 for a constant feature.
    factor: Vec<f64>,
}

/// A complete binary tree in heap order.
#[derive(Debug, Clone, PartialEq)]
struct Tree {
    /// 2^height − 1 cuts.
    cuts: Vec<Cut>,
    /// 2^(height + 1) − 1 mean path lengths of the training rows below a node, weighed.
    lengths: Vec<f32>,
}

/// Rows above the threshold go right.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    threshold: f32,
    feature: u32,
}

impl Sample {
    /// ψ of some usable rows: half of a few would tell nothing, and a row that lies alone would be met too seldom.
    fn of(usable: usize, sample_size: usize) -> Sample {
        let rows = sample_size.min(usable);
        Sample { rows, halved: rows >= 2 * LEAST_HALF && usable >= 4 * rows }
    }

    /// The rows that the tree of this number is grown from, and the cuts on each of its paths.
    fn shape(self, tree: usize) -> (usize, u32) {
        let halved = self.halved && !tree.is_multiple_of(2);
        let (rows, deeper) = if halved { (self.rows / 2, 0) } else { (self.rows, 1) };
        (rows, (usize::BITS - (rows - 1).leading_zeros() + deeper).max(LEAST_HEIGHT))
    }
}

/// Rows of a tree that is grown from half of the sample, at the least.
const LEAST_HALF: usize = 64;
/// Cuts on a path at the least.
const LEAST_HEIGHT: u32 = 3;
/// Largest sample.
const MAX_SAMPLE: usize = 4_096;
/// Most trees.
const MAX_TREES: usize = 1_000;
/// Trees of a forest whose number nobody gives.
const TREES: std::ops::RangeInclusive<usize> = 100..=300;
/// Numbers times trees that are worth more than the fewest trees.
const WORK: usize = 18_000_000;

impl IsolationForest {
    /// Grows a forest from the rows without NaN or infinite values. Takes O(rows · columns) for the ranges, and then
    /// O(trees · ψ log ψ) whatever the number of rows (more only where many features are constant in small nodes).
    ///
    /// # Errors
    ///
    /// [`Error::TooFew`] below two usable rows, [`Error::Argument`] for options out of their ranges.
    pub fn fit(matrix: Matrix<'_>, options: ForestOptions) -> Result<IsolationForest, Error> {
        if options.trees.is_some_and(|trees| !(1..=MAX_TREES).contains(&trees)) {
            return Err(Error::Argument { name: "trees", range: "between 1 and 1000" });
        }
        if !(2..=MAX_SAMPLE).contains(&options.sample_size) {
            return Err(Error::Argument { name: "sample_size", range: "between 2 and 4096" });
        }
        let usable: Vec<usize> = (0..matrix.rows()).filter(|row| matrix.is_finite(*row)).collect();
        if usable.len() < 2 {
            return Err(Error::TooFew { found: usable.len(), needed: 2 });
        }
        // To walk a row down a tree takes as long as to draw cuts from ten columns more.
        let numbers = usable.len() * (matrix.columns() + 10);
        let by_size = || (WORK / numbers.max(1)).clamp(*TREES.start(), *TREES.end());
        let trees = options.trees.unwrap_or_else(by_size);
        let scale = Scale::of(matrix, &usable);
        let sample = Sample::of(usable.len(), options.sample_size);
        let grow = |number| {
            let (rows, height) = sample.shape(number);
            let mut tree = grow::tree(matrix, &usable, &scale, height, rows, (options.seed, number as u64));
            let weight = (average_length(sample.rows) / average_length(rows)) as f32;
            tree.lengths.iter_mut().for_each(|length| *length *= weight);
            tree
        };
        let trees = (0..trees).map(grow).collect();
        Ok(IsolationForest { scale, sample, trees })
    }

    /// Number of features of a row.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.scale.least.len()
    }

    /// 2^(−mean path length / c(ψ)) for a sum of path lengths over all trees.
    fn anomaly_score(&self, sum: f64) -> f64 {
        (-sum / self.trees.len() as f64 / average_length(self.sample.rows)).exp2()
    }
}

impl Tree {
    /// Cuts on every path.
    fn height(&self) -> u32 {
        self.cuts.len().trailing_ones()
    }
}

impl Scale {
    fn of(matrix: Matrix<'_>, usable: &[usize]) -> Scale {
        let mut least = vec![f64::INFINITY; matrix.columns()];
        let mut most = vec![f64::NEG_INFINITY; matrix.columns()];
        for row in usable {
            for ((least, most), value) in least.iter_mut().zip(&mut most).zip(matrix.row(*row)) {
                *least = least.min(*value);
                *most = most.max(*value);
            }
        }
        // Halves, since the difference of the largest and the least number there is would be infinite.
        let ranges = most.iter().zip(&least).map(|(most, least)| most / 2.0 - least / 2.0);
        let factor =
            ranges.map(|range| if range > 0.0 { (1.0 / range).min(f64::MAX) } else { 0.0 }).collect();
        Scale { least: least.iter().map(|least| least / 2.0).collect(), factor }
    }

    /// The scaled value. Beyond the training range it may leave [0, 1], but it's always finite.
    fn apply(&self, feature: usize, value: f64) -> f32 {
        let scaled = (value / 2.0 - self.least[feature]) * self.factor[feature];
        scaled.clamp(-1e30, 1e30) as f32
    }
}

/// c(n): mean path length of an unsuccessful search in a binary search tree of n rows.
fn average_length(rows: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let rows = rows as f64;
            2.0 * ((rows - 1.0).ln() + EULER) - 2.0 * (rows - 1.0) / rows
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// 500 rows in a square and one far out.
    pub(super) fn square() -> Vec<f64> {
        let mut random = Random::new(7, 7);
        let mut values: Vec<f64> = (0..1_000).map(|_| random.unit()).collect();
        values.extend([0.5, 9.0]);
        values
    }

    #[test]
    fn average_lengths_agree_with_scikit_learn() {
        // scikit-learn 1.9.1, sklearn.ensemble._iforest._average_path_length([1, 2, 5, 999]).
        for (rows, expected) in [(1, 0.0), (2, 1.0), (5, 2.327020052042847), (999, 12.967939884427995)] {
            assert!((average_length(rows) - expected).abs() < 1e-12, "{rows}");
        }
    }

    #[test]
    fn the_row_far_out_scores_highest_and_a_copy_elsewhere_alike() {
        let values = square();
        let matrix = Matrix::new(&values, 2).unwrap();
        for seed in 0..20 {
            let options = ForestOptions { seed, ..ForestOptions::default() };
            let scores = IsolationForest::fit(matrix, options).unwrap().scores(matrix).unwrap();
            let most = scores[..500].iter().copied().fold(0.0, f64::max);
            assert!(scores[500] > most, "{seed}: {} {most}", scores[500]);
        }
        // The paper's number of trees.
        let options = ForestOptions { trees: Some(100), ..ForestOptions::default() };
        let scores = IsolationForest::fit(matrix, options).unwrap().scores(matrix).unwrap();
        assert!(scores[500] > 0.72 && scores[..500].iter().all(|score| *score < 0.7), "{}", scores[500]);
        // Scaling and moving a feature changes nothing.
        let moved: Vec<f64> = values.iter().map(|value| value * 1e6 + 1e9).collect();
        let matrix = Matrix::new(&moved, 2).unwrap();
        let moved = IsolationForest::fit(matrix, options).unwrap().scores(matrix).unwrap();
        assert!(moved.iter().zip(&scores).all(|(one, two)| (one - two).abs() < 1e-3));
    }

    #[test]
    fn of_many_rows_every_other_tree_has_half_the_sample() {
        let rows = |usable, sample_size, tree| Sample::of(usable, sample_size).shape(tree);
        assert_eq!([rows(1_023, 256, 0), rows(1_023, 256, 1)], [(256, 9), (256, 9)]);
        assert_eq!([rows(1_024, 256, 0), rows(1_024, 256, 1)], [(256, 9), (128, 7)]);
        assert_eq!([rows(100_000, 127, 0), rows(100_000, 127, 1)], [(127, 8), (127, 8)]);
        assert_eq!([rows(50, 256, 0), rows(50, 256, 1)], [(50, 7), (50, 7)]);
    }

    #[test]
    fn a_row_far_out_of_few_is_found() {
        for count in 5..150 {
            let mut values = square()[..2 * count].to_vec();
            values[2 * count - 1] = 50.0;
            let matrix = Matrix::new(&values, 2).unwrap();
            let forest = IsolationForest::fit(matrix, ForestOptions::default()).unwrap();
            let scores = forest.scores(matrix).unwrap();
            let most = scores[..count - 1].iter().copied().fold(0.0, f64::max);
            assert!(scores[count - 1] > most, "{count}: {} {most}", scores[count - 1]);
            // Fewer rows than eight are too soon apart.
            assert!(scores[count - 1] > 0.6 || count < 8, "{count}: {}", scores[count - 1]);
        }
    }

    #[test]
    fn hostile_numbers_are_survived() {
        let mut values = square();
        values[0] = f64::MAX;
        values[3] = f64::MIN;
        values[4] = f64::NAN;
        values[7] = f64::INFINITY;
        let matrix = Matrix::new(&values, 2).unwrap();
        let forest = IsolationForest::fit(matrix, ForestOptions::default()).unwrap();
        let scores = forest.scores(matrix).unwrap();
        assert!(scores[2].is_nan() && scores[3].is_nan());
        assert!(scores.iter().filter(|score| score.is_finite()).count() == 499);
        assert!(scores[0] > 0.6 && scores[1] > 0.6, "{} {}", scores[0], scores[1]);
        let constant = [3.0; 600];
        let matrix = Matrix::new(&constant, 300).unwrap();
        let forest = IsolationForest::fit(matrix, ForestOptions::default()).unwrap();
        let scores = forest.scores(matrix).unwrap();
        assert_eq!(scores[0], scores[1]);
        let one = Matrix::new(&constant[..3], 3).unwrap();
        assert_eq!(
            IsolationForest::fit(one, ForestOptions::default()),
            Err(Error::TooFew { found: 1, needed: 2 })
        );
    }
}
