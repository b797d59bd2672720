//! What a run did.

use chrono::{DateTime, Utc};

/// What a committed run did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run's id, as in `etl.runs`.
    pub run_id: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its last check was done.
    pub finished_at: DateTime<Utc>,
    /// The warehouse version that it became.
    pub version: u64,
    /// In the order in which they ran.
    pub models: Vec<ModelReport>,
    /// Expectations of the models and checks of the project.
    pub checks: Vec<CheckReport>,
}

/// What became of the rows of a model: `rows_in = loaded + quarantined + deduplicated`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelReport {
    /// `schema.table`.
    pub name: String,
    /// `full`, `view` or `learned`.
    pub kind: &'static str,
    /// Rows that the model's query gave; 0 for a view or a learned model.
    pub rows_in: u64,
    /// Rows in the table.
    pub loaded: u64,
    /// Rows put into `etl.quarantine`.
    pub quarantined: u64,
    /// Rows dropped for another of their key.
    pub deduplicated: u64,
    /// How long the model took.
    pub seconds: f64,
}

/// How an expectation or check came out in a run that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing to complain of.
    Passed,
    /// Rows were quarantined, the rest was loaded.
    Quarantined,
    /// Not run: a table that it reads was never built.
    Skipped,
}

impl Status {
    /// The word in `etl.checks`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Quarantined => "quarantined",
            Status::Skipped => "skipped",
        }
    }
}

/// An expectation or check and how it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The model whose header holds the expectation; none for a check of the project.
    pub model: Option<String>,
    /// The rule's text, or the check's file name.
    pub name: String,
    /// How it came out.
    pub status: Status,
    /// Rows that were quarantined.
    pub failing_rows: u64,
    /// The reason under which they are filed, or what the check is for.
    pub detail: Option<String>,
}
