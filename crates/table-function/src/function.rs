//! What a table function brings, what it is told, and the set of those that a session knows.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;

use crate::argument::Arguments;
use crate::error::ArgumentError;
use crate::series::Series;
use crate::signature::Signature;

/// A function over series: one relation in, rows out series by series.
pub trait TableFunction: Debug + Send + Sync {
    /// Name, arguments and documentation.
    fn signature(&self) -> &'static Signature;

    /// The output columns that follow the id columns. `time` is the type of the series' time column (Date32, Date64 or
    /// a Timestamp); nothing else may decide the columns, so that a statement can be described before it is bound.
    fn columns(&self, time: &DataType) -> Vec<Field>;

    /// Checks the arguments and makes the operator that runs. Called when the statement is planned, with the arguments
    /// that are known by then, and again when all are.
    fn operator(&self, call: &Call) -> Result<Arc<dyn SeriesOperator>, ArgumentError>;
}

/// One call as a function sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The arguments, with defaults filled in.
    pub arguments: Arguments,
    /// Type of the time column.
    pub time: DataType,
    /// The warehouse version that the statement reads.
    pub version: i64,
}

/// The work on one series at a time; shared by all partitions.
pub trait SeriesOperator: Debug + Send + Sync {
    /// What changes its behaviour, for EXPLAIN: `horizon=14, model=auto`.
    fn describe(&self) -> String;

    /// The output rows of one series: one array per column of [`TableFunction::columns`], all equally long.
    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>>;

    /// The one row that says why a series has no result.
    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>>;
}

/// The table functions that a session knows.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    functions: Vec<Arc<dyn TableFunction>>,
}

impl Registry {
    /// A registry of `functions`.
    pub fn new(functions: impl IntoIterator<Item = Arc<dyn TableFunction>>) -> Self {
        Self { functions: functions.into_iter().collect() }
    }

    /// The function that `name` (already in lower case) calls.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn TableFunction>> {
        self.functions.iter().find(|function| function.signature().answers_to(name))
    }

    /// All of them, in order of registration.
    pub fn functions(&self) -> &[Arc<dyn TableFunction>] {
        &self.functions
    }
}

/// Which columns of a table make it a set of series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSpec {
    /// Columns that tell one series from another; the first is the key that a bare `'SKU1'` means.
    pub id: Vec<String>,
    /// Column of the dates or timestamps.
    pub time: String,
    /// Column of the values; rows with the same id and time are summed.
    pub value: String,
}

/// What a warehouse version knows about its series tables.
pub trait SeriesCatalog: Debug + Send + Sync {
    /// The table that a bare key is looked up in: its name (`["public", "sku_city_daily"]`) and its series.
    fn default_series(&self) -> Option<(Vec<String>, SeriesSpec)>;

    /// The series of the table named by `parts`, as they stand in the statement and in lower case unless quoted
    /// (`["fact"]`, `["public", "fact"]`, `["@12", "fact"]`); `None` when it has no series header.
    fn series(&self, parts: &[String]) -> Option<SeriesSpec>;
}

/// What planning a call needs to know beyond the statement.
#[derive(Debug, Clone)]
pub struct PlanContext {
    /// The warehouse version that the statement reads.
    pub version: i64,
    /// The series tables of that version.
    pub series: Arc<dyn SeriesCatalog>,
}
