//! Rows of numbers, and distances between them.

use crate::error::ClusterError;

/// The largest magnitude of a coordinate: squares of it and their sums over any number of rows stay finite.
pub const LARGEST_COORDINATE: f64 = 1e100;

/// Rows of finite numbers, row-major: `rows × columns` values, all within ±1e100. Borrows them.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    values: &'a [f64],
    columns: usize,
}

impl<'a> Points<'a> {
    /// Wraps a row-major slice.
    ///
    /// # Errors
    /// [`ClusterError::NoFeatures`] for 0 columns, [`ClusterError::NoRows`] for an empty slice,
    /// [`ClusterError::Shape`] where it is no whole number of rows, [`ClusterError::OutOfRange`] for a value that is
    /// NaN, infinite or beyond ±1e100.
    pub fn new(values: &'a [f64], columns: usize) -> Result<Self, ClusterError> {
        if columns == 0 {
            return Err(ClusterError::NoFeatures("there are no columns".into()));
        }
        if values.is_empty() {
            return Err(ClusterError::NoRows);
        }
        if !values.len().is_multiple_of(columns) {
            return Err(ClusterError::Shape {
                expected: values.len().div_ceil(columns) * columns,
                got: values.len(),
            });
        }
        match values.iter().position(|value| value.is_nan() || value.abs() > LARGEST_COORDINATE) {
            Some(at) => {
                Err(ClusterError::OutOfRange { value: values[at], row: at / columns, column: at % columns })
            }
            None => Ok(Points { values, columns }),
        }
    }

    /// Number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of columns, at least 1.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row: `columns` values.
    pub fn row(&self, row: usize) -> &'a [f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// All values, row-major.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The values of some rows, row-major, in the order asked for.
    pub(crate) fn gather(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().flat_map(|row| self.row(*row)).copied().collect()
    }

    /// Points that are known to be valid.
    pub(crate) fn trusted(values: &'a [f64], columns: usize) -> Self {
        Points { values, columns }
    }

    /// Mean of every column.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.columns];
        for row in self.values.chunks_exact(self.columns) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let rows = self.rows() as f64;
        mean.iter_mut().for_each(|sum| *sum /= rows);
        mean
    }
}

/// Squared Euclidean distance.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_are_named() {
        assert_eq!(Points::new(&[], 2).unwrap_err(), ClusterError::NoRows);
        assert!(matches!(Points::new(&[1.0], 0), Err(ClusterError::NoFeatures(_))));
        assert_eq!(Points::new(&[1.0; 3], 2).unwrap_err(), ClusterError::Shape { expected: 4, got: 3 });
        for bad in [f64::NAN, f64::INFINITY, -1e300] {
            let error = Points::new(&[0.0, 1.0, 2.0, bad], 2).unwrap_err();
            assert!(matches!(error, ClusterError::OutOfRange { row: 1, column: 1, .. }), "{error}");
        }
    }

    #[test]
    fn rows_and_mean() {
        let points = Points::new(&[1.0, 2.0, 3.0, 6.0], 2).unwrap();
        assert_eq!((points.rows(), points.row(1), points.mean()), (2, &[3.0, 6.0][..], vec![2.0, 4.0]));
        assert_eq!(squared_distance(points.row(0), points.row(1)), 20.0);
    }
}
