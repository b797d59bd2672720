//! Least squares by the normal equations, with a trace of ridge.

/// Sums of products, from which coefficients follow.
#[derive(Debug)]
pub(crate) struct Normal {
    /// Lower triangle of X'X.
    matrix: Vec<Vec<f64>>,
    right: Vec<f64>,
}

/// Added to each diagonal element, in parts of it: a column that is another's multiple shares its coefficient.
const RIDGE: f64 = 1e-9;

impl Normal {
    /// Coefficients of `columns` that come nearest to `target`, and the sum of squares that they leave. None where a
    /// number is not finite. Work: rows × columns².
    pub(crate) fn fit(columns: &[Vec<f64>], target: &[f64]) -> Option<(Vec<f64>, f64)> {
        if columns.is_empty() {
            let squares: f64 = target.iter().map(|value| value * value).sum();
            return squares.is_finite().then_some((Vec::new(), squares));
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let triangle = |row: usize| (0..=row).map(|column| dot(&columns[row], &columns[column])).collect();
        let normal = Normal {
            matrix: (0..columns.len()).map(triangle).collect(),
            right: columns.iter().map(|column| dot(column, target)).collect(),
        };
        let coefficients = normal.solve(0.0)?;
        let squares = (0..target.len())
            .map(|row| {
                let fitted: f64 = columns.iter().zip(&coefficients).map(|(column, c)| c * column[row]).sum();
                (target[row] - fitted).powi(2)
            })
            .sum::<f64>();
        squares.is_finite().then_some((coefficients, squares))
    }

    /// Solves by Cholesky's decomposition, `ridge` more added to each diagonal element in parts of it.
    fn solve(mut self, ridge: f64) -> Option<Vec<f64>> {
        let size = self.right.len();
        let largest = (0..size).map(|row| self.matrix[row][row]).fold(0.0, f64::max);
        for row in 0..size {
            self.matrix[row][row] +=
                (RIDGE + ridge) * self.matrix[row][row] + 1e-14 * largest + f64::MIN_POSITIVE;
            for column in 0..=row {
                let known: f64 = (0..column).map(|k| self.matrix[row][k] * self.matrix[column][k]).sum();
                let rest = self.matrix[row][column] - known;
                self.matrix[row][column] = if row > column {
                    rest / self.matrix[column][column]
                } else if rest > 0.0 {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        for row in 0..size {
            let known: f64 = (0..row).map(|k| self.matrix[row][k] * self.right[k]).sum();
            self.right[row] = (self.right[row] - known) / self.matrix[row][row];
        }
        for row in (0..size).rev() {
            let known: f64 = (row + 1..size).map(|k| self.matrix[k][row] * self.right[k]).sum();
            self.right[row] = (self.right[row] - known) / self.matrix[row][row];
        }
        self.right.iter().all(|value| value.is_finite()).then_some(self.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::assert_close;

    #[test]
    fn a_line_is_found() {
        // numpy.polyfit of 3, 5, 4, 8 on 0 to 3: slope 1.4, intercept 2.9, squares left 4.2.
        let columns = vec![vec![1.0; 4], vec![0.0, 1.0, 2.0, 3.0]];
        let (coefficients, squares) = Normal::fit(&columns, &[3.0, 5.0, 4.0, 8.0]).unwrap();
        assert_close(&coefficients, &[2.9, 1.4], 1e-6);
        assert_close(&[squares], &[4.2], 1e-6);
    }

    #[test]
    fn columns_of_zeros_and_doubles_do_no_harm() {
        let columns = vec![vec![1.0; 4], vec![0.0; 4], vec![2.0; 4]];
        let (coefficients, squares) = Normal::fit(&columns, &[3.0; 4]).unwrap();
        assert!(squares < 1e-6 && coefficients.iter().all(|c| c.is_finite()), "{coefficients:?}");
        assert!(Normal::fit(&columns, &[f64::MAX; 4]).is_none());
    }
}
