//! Which features isolate a row.

use super::IsolationForest;
use crate::{Error, Matrix};

impl IsolationForest {
    /// The share of each feature in what makes a row's paths shorter than usual, for the rows named; shares of a row sum
    /// to 1, or are all 0 where nothing makes its paths shorter (or a value isn't finite).
    ///
    /// A cut that leads from a node whose training rows have the mean path length `a` to one where it is `b` takes
    /// `a − b` off the length. These differences sum to the difference between the mean length and the row's own, so
    /// they are an exact account of the score (Saabas 2014, "Interpreting random forests", for trees; the depth-based
    /// importances of Carletti, Terzi & Susto 2023, "Interpretable Anomaly Detection with DIFFI", do not sum). What
    /// lengthens the path is left out of the shares.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the rows don't have as many features as those the forest was grown from, or a row that
    /// isn't there is named.
    pub fn contributions(&self, matrix: Matrix<'_>, rows: &[usize]) -> Result<Vec<Vec<f64>>, Error> {
        self.check(matrix)?;
        if let Some(missing) = rows.iter().find(|row| **row >= matrix.rows()) {
            return Err(Error::Length { what: "matrix", found: matrix.rows(), expected: missing + 1 });
        }
        Ok(rows.iter().map(|row| self.shares(matrix, *row)).collect())
    }

    fn shares(&self, matrix: Matrix<'_>, row: usize) -> Vec<f64> {
        let mut shares = vec![0.0; matrix.columns()];
        if !matrix.is_finite(row) {
            return shares;
        }
        let values = matrix.row(row).iter().enumerate();
        let values: Vec<f32> = values.map(|(feature, value)| self.scale.apply(feature, *value)).collect();
        for tree in &self.trees {
            let mut at = 0;
            for _ in 0..tree.height() {
                let cut = tree.cuts[at];
                if cut.threshold == f32::INFINITY {
                    break;
                }
                let feature = cut.feature as usize;
                let next = 2 * at + 1 + usize::from(values[feature] > cut.threshold);
                shares[feature] += f64::from(tree.lengths[at]) - f64::from(tree.lengths[next]);
                at = next;
            }
        }
        let sum: f64 = shares.iter().map(|share| share.max(0.0)).sum();
        let part = if sum > 0.0 { 1.0 / sum } else { 0.0 };
        shares.iter().map(|share| share.max(0.0) * part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::square;
    use super::*;
    use crate::ForestOptions;

    #[test]
    fn the_feature_that_is_far_out_is_named() {
        let values = square();
        let matrix = Matrix::new(&values, 2).unwrap();
        let forest = IsolationForest::fit(matrix, ForestOptions::default()).unwrap();
        let shares = forest.contributions(matrix, &[500]).unwrap();
        assert!(shares[0][1] > 0.9, "{shares:?}");
        assert!((shares[0].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(forest.contributions(matrix, &[501]).is_err());
    }
}
