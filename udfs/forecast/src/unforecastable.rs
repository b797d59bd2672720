//! Why a series has no forecast.

/// A reason for which one series of a batch can't be forecast: the batch goes on, the series gets a status row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unforecastable {
    /// Fewer points than the model can learn from.
    #[error("series has {points} points, the model needs at least {needed}")]
    TooShort {
        /// Points on the regular calendar.
        points: usize,
        /// Points that would do.
        needed: usize,
    },
    /// A value is NaN or infinite, or a sum of duplicates became so.
    #[error("value at position {index} is not a finite number")]
    NotFinite {
        /// Position in the input, from 0.
        index: usize,
    },
    /// Times are not in ascending order.
    #[error("time at position {index} is earlier than the one before it; sort the series by time")]
    Unsorted {
        /// Position of the first offender, from 0.
        index: usize,
    },
    /// Filling the gaps would take more points than are worth having.
    #[error(
        "{points} points lie so far apart that more than {limit} gaps would have to be filled; choose a coarser frequency"
    )]
    TooSparse {
        /// Distinct steps that have a value.
        points: usize,
        /// The most gaps that are filled.
        limit: usize,
    },
    /// A time, or a forecast or its bounds, lies outside what the type can hold.
    #[error("{what} is out of range")]
    OutOfRange {
        /// Which quantity.
        what: &'static str,
    },
    /// An argument that no series could satisfy. Callers check arguments when they plan; this is the last guard.
    #[error("{0}")]
    InvalidRequest(&'static str),
}

impl Unforecastable {
    /// A short name for the `status` column: `too_short`, `not_finite`, `unsorted`, `too_sparse`, `out_of_range`,
    /// `invalid_request`.
    pub fn code(&self) -> &'static str {
        match self {
            Unforecastable::TooShort { .. } => "too_short",
            Unforecastable::NotFinite { .. } => "not_finite",
            Unforecastable::Unsorted { .. } => "unsorted",
            Unforecastable::TooSparse { .. } => "too_sparse",
            Unforecastable::OutOfRange { .. } => "out_of_range",
            Unforecastable::InvalidRequest(_) => "invalid_request",
        }
    }
}
