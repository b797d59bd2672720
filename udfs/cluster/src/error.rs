//! Why rows can't be clustered.

/// A request that has no answer. Displays in lower case, without a final period.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClusterError {
    /// There is not one row.
    #[error("there are no rows to cluster")]
    NoRows,
    /// Every column was dropped, or none was given.
    #[error("no feature is left to cluster by: {0}")]
    NoFeatures(String),
    /// The columns don't have the same number of rows, or a slice is no whole number of rows.
    #[error("expected {expected} values, got {got}")]
    Shape {
        /// Number of values that the other arguments ask for.
        expected: usize,
        /// Number of values given.
        got: usize,
    },
    /// A value is NaN, infinite, or beyond 1e100 in magnitude, where squares would overflow.
    #[error("value {value} in row {row}, column {column} is out of range")]
    OutOfRange {
        /// The value.
        value: f64,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
    },
    /// A number of clusters that the rows or the limits don't allow.
    #[error("k must be between {least} and {most}, got {k}")]
    ClusterCount {
        /// What was asked for.
        k: usize,
        /// Smallest number allowed.
        least: usize,
        /// Largest number allowed for these rows.
        most: usize,
    },
    /// A parameter outside its range.
    #[error("{name} must be {expected}, got {got}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What is valid, in words.
        expected: &'static str,
        /// What was given.
        got: f64,
    },
    /// More rows than the method can do in bounded time.
    #[error("{method} takes at most {limit} rows, got {rows}")]
    TooManyRows {
        /// Name of the method.
        method: &'static str,
        /// Rows given.
        rows: usize,
        /// Largest number of rows.
        limit: usize,
    },
    /// Bytes that are no saved centroids.
    #[error("saved centroids can't be read: {0}")]
    Saved(&'static str),
}
