//! The rows to analyse, column by column.

use crate::error::InsightError;

/// The most dimensions.
pub const MOST_DIMENSIONS: usize = 12;

/// A column whose values make segments, dictionary-coded.
#[derive(Debug, Clone, Copy)]
pub struct Dimension<'a> {
    /// Name of the column.
    pub name: &'a str,
    /// Index into `values` of each row; one beyond them stands for NULL.
    pub codes: &'a [u32],
    /// The distinct values.
    pub values: &'a [String],
}

/// The metric whose change is to be explained.
#[derive(Debug, Clone, Copy)]
pub enum Metric<'a> {
    /// The sum of a column. NaN and infinities stand for NULL.
    Sum(&'a [f64]),
    /// The sum of one column over the sum of another.
    Ratio {
        /// Summed above the line.
        numerator: &'a [f64],
        /// Summed below the line.
        denominator: &'a [f64],
    },
}

/// Rows of interest and rows of reference in one table. Borrows its columns.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// 1 to 12 dimensions.
    pub dimensions: &'a [Dimension<'a>],
    /// The metric.
    pub metric: Metric<'a>,
    /// Whether a row is of interest (test) or of reference (control).
    pub interest: &'a [bool],
}

impl Table<'_> {
    /// Checks the number of columns and their lengths.
    pub(crate) fn check(&self) -> Result<(), InsightError> {
        let rows = self.interest.len();
        if self.dimensions.is_empty() || self.dimensions.len() > MOST_DIMENSIONS {
            return Err(InsightError::Dimensions(self.dimensions.len()));
        }
        if rows > u32::MAX as usize {
            return Err(InsightError::TooManyRows(rows));
        }
        let (first, second) = match self.metric {
            Metric::Sum(values) => (values, values),
            Metric::Ratio { numerator, denominator } => (numerator, denominator),
        };
        let metrics = [("metric", first.len()), ("denominator", second.len())];
        let lengths = self.dimensions.iter().map(|one| (one.name, one.codes.len())).chain(metrics);
        for (column, got) in lengths {
            if got != rows {
                return Err(InsightError::Shape { column: column.to_owned(), expected: rows, got });
            }
        }
        Ok(())
    }

    /// The numbers of the rows in which neither the metric nor a dimension is NULL, ascending.
    pub(crate) fn usable(&self) -> Vec<u32> {
        let rows = 0..self.interest.len();
        rows.filter(|row| {
            let (first, second) = self.values(*row);
            let known = |one: &Dimension| (one.codes[*row] as usize) < one.values.len();
            first.is_finite() && second.is_finite() && self.dimensions.iter().all(known)
        })
        .map(|row| row as u32)
        .collect()
    }

    /// What a row adds above and below the line; nothing below for a sum.
    pub(crate) fn values(&self, row: usize) -> (f64, f64) {
        match self.metric {
            Metric::Sum(values) => (values[row], 0.0),
            Metric::Ratio { numerator, denominator } => (numerator[row], denominator[row]),
        }
    }
}
