//! What a table function brings, what it is told, and the set of those that a session knows.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::FunctionArg;

use crate::argument::Arguments;
use crate::desugar::argument_name;
use crate::error::ArgumentError;
use crate::relation::RelationFunction;
use crate::series::Series;
use crate::signature::Signature;
use crate::sql_function::SqlFunction;
use crate::stored::{Purpose, StoredModel, Trainer};
use crate::workers::Workers;

/// A function over series: one relation in, rows out series by series.
pub trait TableFunction: Debug + Send + Sync {
    /// Name, arguments and documentation.
    fn signature(&self) -> &'static Signature;

    /// The output columns that follow the id columns. `time` is the type of the series' time column (Date32, Date64 or
    /// a Timestamp); nothing else may decide the columns, so that a statement can be described before it is bound.
    fn columns(&self, time: &DataType) -> Vec<Field>;

    /// Checks the arguments and makes the operator that runs. Called when the statement is planned, with the arguments
    /// that are known by then, and again when all are.
    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError>;

    /// Whether `model => 'name'` means one of the function's own models, so that none can be kept under that name.
    fn is_model(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Checks the arguments of a call that trains or judges a model to keep ([`Call::purpose`]), as
    /// [`operator`](Self::operator) does.
    ///
    /// # Errors
    /// Where the function has nothing to keep, and for arguments that a model can't have.
    fn trainer(&self, call: &Call) -> Result<Arc<dyn Trainer>, ArgumentError> {
        let _ = call;
        Err(ArgumentError::new(self.signature().name, "learns nothing that could be kept as a model"))
    }
}

/// How the series of a call are worked on.
#[derive(Debug, Clone)]
pub enum Operator {
    /// One at a time, as they come: memory for one series a partition, and the first rows at once.
    Series(Arc<dyn SeriesOperator>),
    /// All together, where they learn from each other: memory for all of them.
    Panel(Arc<dyn PanelOperator>),
}

/// Takes the rows of a series, one series after the other.
pub type Sink<'a> = dyn FnMut(Vec<ArrayRef>) -> Result<()> + Send + 'a;

/// Works on the series of a panel one by one.
#[derive(Debug)]
struct OneByOne(Arc<dyn SeriesOperator>);

impl PanelOperator for OneByOne {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        workers.rows(panel.len(), |at| self.0.process(&panel[at]), out)
    }

    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.0.refuse(series, status, detail)
    }
}

impl Operator {
    /// Series one at a time, or all of a panel one by one where `call` has a second relation or columns beside the value.
    pub fn alone(call: &Call, operator: Arc<dyn SeriesOperator>) -> Operator {
        if call.known.is_empty() {
            Operator::Series(operator)
        } else {
            Operator::Panel(Arc::new(OneByOne(operator)))
        }
    }

    /// What changes its behaviour, for EXPLAIN.
    pub(crate) fn describe(&self) -> String {
        match self {
            Operator::Series(operator) => operator.describe(),
            Operator::Panel(operator) => operator.describe(),
        }
    }
}

/// One call as a function sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The arguments, with defaults filled in.
    pub arguments: Arguments,
    /// Type of the time column.
    pub time: DataType,
    /// Name of the value column, for sentences.
    pub value: String,
    /// Names of the numbers that are known of each time, ahead as well; where columns are read beside the value, the
    /// names of the arguments of `Kind::Column` that are given, and the numbers are sums as the values are. Empty unless
    /// the call has a second relation or such columns, and then its operator has to be [`Operator::Panel`].
    pub known: Vec<String>,
    /// Names of the id columns.
    pub ids: Vec<String>,
    /// The warehouse version that the statement reads.
    pub version: i64,
    /// The kept model that argument `model` names; `None` where it names none.
    pub stored: Option<Arc<StoredModel>>,
    /// What the call is made for.
    pub purpose: Purpose,
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

/// The work on all series of a call at once.
pub trait PanelOperator: Debug + Send + Sync {
    /// What changes its behaviour, for EXPLAIN.
    fn describe(&self) -> String;

    /// Series that are worked on as well, sums of the panel's say: they come after its own, in this order.
    fn groups(&self, panel: &[Series]) -> Result<Vec<Series>> {
        let _ = panel;
        Ok(Vec::new())
    }

    /// Gives `out` the rows of every series, in the order of the panel, which is that of the ids, and of its groups: for each,
    /// one array per column of [`TableFunction::columns`], all equally long. Called on a thread of its own; long loops
    /// call [`Workers::check`].
    ///
    /// # Errors
    /// Its own, and those of `out`.
    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()>;

    /// The one row that says why a series has no result.
    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>>;
}

/// The one row of a series without a result: NULL in all columns but the last two, which say why.
#[must_use]
pub fn refusal(columns: &[Field], status: &str, detail: &str) -> Vec<ArrayRef> {
    let told = columns.len().saturating_sub(2);
    let nulls = columns.iter().take(told).map(|field| new_null_array(field.data_type(), 1));
    let texts = [status, detail].map(|text| Arc::new(StringArray::from(vec![text])) as ArrayRef);
    nulls.chain(texts).collect()
}

/// A table function of either kind.
#[derive(Debug, Clone)]
pub enum Function {
    /// Over series: keys, `'*'`, a table or a sub-query, cut into series.
    Series(Arc<dyn TableFunction>),
    /// Over the rows of a table or sub-query.
    Relation(Arc<dyn RelationFunction>),
}

impl Function {
    /// Name, arguments and documentation.
    #[must_use]
    pub fn signature(&self) -> &'static Signature {
        match self {
            Function::Series(function) => function.signature(),
            Function::Relation(function) => function.signature(),
        }
    }
}

impl From<Arc<dyn TableFunction>> for Function {
    fn from(function: Arc<dyn TableFunction>) -> Self {
        Function::Series(function)
    }
}

impl From<Arc<dyn RelationFunction>> for Function {
    fn from(function: Arc<dyn RelationFunction>) -> Self {
        Function::Relation(function)
    }
}

/// The table functions that a session knows.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    functions: Vec<Function>,
}

impl Registry {
    /// A registry of `functions`. Two may share a name where the arguments tell which is meant
    /// ([`RelationFunction::applies`]); the earlier one is asked first.
    pub fn new<F: Into<Function>>(functions: impl IntoIterator<Item = F>) -> Self {
        Self { functions: functions.into_iter().map(Into::into).collect() }
    }

    /// A function that `name` (already in lower case) calls.
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.signature().answers_to(name))
    }

    /// The function that a call of `name` with these arguments means.
    pub(crate) fn called(&self, name: &str, arguments: &[FunctionArg]) -> Option<&Function> {
        let named = arguments.iter().filter_map(argument_name).collect::<Vec<_>>();
        let named = named.iter().map(String::as_str).collect::<Vec<_>>();
        self.functions.iter().find(|function| {
            function.signature().answers_to(name)
                && match function {
                    Function::Series(_) => true,
                    Function::Relation(function) => function.applies(&named),
                }
        })
    }

    /// All of them, in order of registration.
    pub fn functions(&self) -> &[Function] {
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

/// What a warehouse version knows about its series tables and its functions in SQL.
pub trait SeriesCatalog: Debug + Send + Sync {
    /// The table that a bare key is looked up in: its name (`["public", "sku_city_daily"]`) and its series.
    fn default_series(&self) -> Option<(Vec<String>, SeriesSpec)>;

    /// The series of the table named by `parts`, as they stand in the statement and in lower case unless quoted
    /// (`["fact"]`, `["public", "fact"]`, `["@12", "fact"]`); `None` when it has no series header.
    fn series(&self, parts: &[String]) -> Option<SeriesSpec>;

    /// The function in SQL called `name` (in lower case).
    fn sql_function(&self, name: &str) -> Option<SqlFunction> {
        let _ = name;
        None
    }

    /// The kept model that `model => 'name'` or `'name@3'` means.
    fn model(&self, name: &str) -> Option<Arc<StoredModel>> {
        let _ = name;
        None
    }
}

/// What planning a call needs to know beyond the statement.
#[derive(Debug, Clone)]
pub struct PlanContext {
    /// The warehouse version that the statement reads.
    pub version: i64,
    /// The series tables and models of that version.
    pub series: Arc<dyn SeriesCatalog>,
    /// What the statement's outermost call is made for; those inside it are made for their rows.
    pub purpose: Purpose,
}
