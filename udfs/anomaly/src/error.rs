//! Why nothing could be computed.

/// An input that can't be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too few usable rows.
    #[error("{found} usable rows, {needed} needed")]
    TooFew {
        /// Rows without missing or infinite values.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// No features, or too many.
    #[error("{0} feature columns, between 1 and 300 needed")]
    Columns(usize),
    /// The last row is not full.
    #[error("{values} values don't fill rows of {columns}")]
    Shape {
        /// Number of values.
        values: usize,
        /// Number of features.
        columns: usize,
    },
    /// Two inputs that belong together have different lengths.
    #[error("{what} has {found} values, {expected} expected")]
    Length {
        /// Which input.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length of the series.
        expected: usize,
    },
    /// An argument is out of its range.
    #[error("{name} must be {range}")]
    Argument {
        /// The argument.
        name: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// A method for days has something else.
    #[error("forecast needs a value a day; use method => 'stl' or 'robust_z'")]
    NotDaily,
    /// Bytes that are no serialised forest of a known version.
    #[error("not an isolation forest: {0}")]
    Bytes(&'static str),
}
