//! What can go wrong in the lake, told apart by whose fault it is.

use datafusion::error::DataFusionError;
use deltalake::DeltaTableError;

/// An error of the lake. [`Conflict`](LakeError::Conflict) is the one that a caller may answer by running again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// Another run committed first and wrote what this one wrote too; nothing of this run is visible.
    #[error(
        "another run committed first: {what}; nothing of this run was kept, run again on the new version"
    )]
    Conflict {
        /// What both wrote, and which version won.
        what: String,
    },
    /// The warehouse has no such version.
    #[error("no warehouse version {wanted}: {found}")]
    NoVersion {
        /// The number or the instant that was asked for.
        wanted: String,
        /// What there is instead.
        found: String,
    },
    /// A manifest that can't be read.
    #[error("manifest of version {number} is not readable: {reason}")]
    BadManifest {
        /// The version's number.
        number: u64,
        /// What was expected and what was found.
        reason: String,
    },
    /// The root is not a place where this build can keep a warehouse.
    #[error("can't keep a warehouse at `{root}`: {reason}")]
    BadRoot {
        /// The path or URL as given.
        root: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A table name that can't be stored.
    #[error("bad table name `{name}`: {reason}")]
    BadName {
        /// The name as given.
        name: String,
        /// What was expected.
        reason: String,
    },
    /// A column that Delta Lake can't hold, or rows that don't fit the table.
    #[error("table {table}, column `{column}`: {reason}")]
    BadColumn {
        /// Name of the table, `schema.table`.
        table: String,
        /// Name of the column.
        column: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The table's files need a Delta feature that this warehouse doesn't read.
    #[error("table {table}: {reason}")]
    Unsupported {
        /// Name or address of the table.
        table: String,
        /// Which feature.
        reason: String,
    },
    /// The stream of rows to write ended with an error.
    #[error(transparent)]
    Input(DataFusionError),
    /// The object store or the disk failed.
    #[error("storage failed: {0}")]
    Store(#[from] object_store::Error),
    /// A Delta log could not be read or written.
    #[error("delta log of table {table}: {source}")]
    Delta {
        /// Name or address of the table.
        table: String,
        /// What delta-rs said.
        source: Box<DeltaTableError>,
    },
    /// Arrow refused a conversion.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet refused to encode.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl LakeError {
    /// Wraps an error of delta-rs with the table it belongs to.
    pub(crate) fn delta(table: &str, source: DeltaTableError) -> Self {
        Self::Delta { table: table.to_owned(), source: Box::new(source) }
    }
}

impl From<LakeError> for DataFusionError {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Input(inner) => inner,
            other => DataFusionError::External(Box::new(other)),
        }
    }
}
