//! Why drivers can't be found.

/// A table or option that has no answer. Displays in lower case, without a final period.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InsightError {
    /// No dimension, or more than twelve.
    #[error("dimension_cols must name between 1 and 12 columns, got {0}")]
    Dimensions(usize),
    /// A column has another number of rows than the labels of interest.
    #[error("column '{column}' has {got} rows, expected {expected}")]
    Shape {
        /// Name of the column.
        column: String,
        /// Rows of the labels.
        expected: usize,
        /// Rows of the column.
        got: usize,
    },
    /// More rows than can be numbered.
    #[error("at most 4294967295 rows can be analysed, got {0}")]
    TooManyRows(usize),
    /// No row is left after those without a metric or a dimension value.
    #[error("no rows to analyse: every row lacks a metric or a dimension value")]
    NoRows,
    /// All rows are of interest, or none is.
    #[error("the interest label is {0} in every row; both sides are needed")]
    OneSided(bool),
    /// The metric sums up to more than a double can hold.
    #[error("the sum of the metric is out of range")]
    OutOfRange,
    /// An option outside its range.
    #[error("{name} must be {expected}, got {got}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// What is valid, in words.
        expected: &'static str,
        /// What was given.
        got: f64,
    },
    /// More segments reach the support than can be kept.
    #[error(
        "more than {limit} segments reach a support of {support}; raise min_apriori_support or name fewer columns"
    )]
    TooManySegments {
        /// Most segments.
        limit: usize,
        /// The support asked for.
        support: f64,
    },
}
