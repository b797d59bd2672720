//! Rows of features.

use crate::Error;

/// Most features a row may have.
pub const MAX_COLUMNS: usize = 300;

/// A view of `rows × columns` features, row after row. Values may be NaN or infinite: such rows are not scored.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f64],
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// A view of `values`, `columns` to a row.
    ///
    /// # Errors
    ///
    /// [`Error::Columns`] for none or more than [`MAX_COLUMNS`], [`Error::Shape`] where the last row is not full.
    pub fn new(values: &'a [f64], columns: usize) -> Result<Matrix<'a>, Error> {
        if columns == 0 || columns > MAX_COLUMNS {
            return Err(Error::Columns(columns));
        }
        if !values.len().is_multiple_of(columns) {
            return Err(Error::Shape { values: values.len(), columns });
        }
        Ok(Matrix { values, columns })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of features.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The features of a row.
    pub(crate) fn row(&self, row: usize) -> &'a [f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Whether every feature of a row is a finite number.
    pub(crate) fn is_finite(&self, row: usize) -> bool {
        self.row(row).iter().all(|value| value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        assert_eq!(Matrix::new(&[1.0; 6], 3).unwrap().rows(), 2);
        assert!(matches!(Matrix::new(&[1.0; 7], 3), Err(Error::Shape { values: 7, columns: 3 })));
        assert!(matches!(Matrix::new(&[], 0), Err(Error::Columns(0))));
        assert!(matches!(Matrix::new(&[], 301), Err(Error::Columns(301))));
        assert_eq!(Matrix::new(&[], 5).unwrap().rows(), 0);
    }
}
