//! Columns as they come from a table.

use crate::error::ClusterError;

/// A column to cluster by.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Name of the column.
    pub name: String,
    /// One value a row.
    pub values: Values,
}

/// The values of a column, one a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers; NaN and infinities count as missing.
    Number(Vec<f64>),
    /// Truth values.
    Boolean(Vec<Option<bool>>),
    /// Categories: indices into their names; an index beyond them counts as missing.
    Category {
        /// Index of each row's category.
        codes: Vec<Option<u32>>,
        /// Names of the categories.
        names: Vec<String>,
    },
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Values::Number(values) => values.len(),
            Values::Boolean(values) => values.len(),
            Values::Category { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the row has no usable value.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Values::Number(values) => !values[row].is_finite(),
            Values::Boolean(values) => values[row].is_none(),
            Values::Category { codes, names } => codes[row].is_none_or(|code| code as usize >= names.len()),
        }
    }
}

/// Number of rows of the features.
///
/// # Errors
/// [`ClusterError::NoFeatures`] for no feature, [`ClusterError::NoRows`] for no row, [`ClusterError::Shape`] for
/// columns of different length.
pub(crate) fn rows(features: &[Feature]) -> Result<usize, ClusterError> {
    let Some(first) = features.first() else {
        return Err(ClusterError::NoFeatures("none was given".into()));
    };
    let rows = first.values.len();
    if let Some(other) = features.iter().find(|other| other.values.len() != rows) {
        return Err(ClusterError::Shape { expected: rows, got: other.values.len() });
    }
    if rows == 0 { Err(ClusterError::NoRows) } else { Ok(rows) }
}
