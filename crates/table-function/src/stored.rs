//! Models that are kept: what a function learned, under a name.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, BinaryArray, StringArray, new_empty_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{Expr, TableFactor, Value, Visitor};
use smartsneaks_sql_walk::Walk;

use crate::desugar::{argument_expr, argument_name};
use crate::function::{PanelOperator, Sink};
use crate::series::Series;
use crate::workers::Workers;

/// Name of the argument that names a kept model.
pub(crate) const MODEL: &str = "model";

/// The columns of a call that trains, after its ids.
pub const STATE: &str = "__state";
/// See [`STATE`].
pub const METRICS: &str = "__metrics";
/// See [`STATE`].
pub const ARGUMENTS: &str = "__arguments";

/// A model that was trained by an earlier statement.
pub struct StoredModel {
    /// Its name, as `model => 'name'` says it.
    pub name: String,
    /// Counted from 1 for each name.
    pub version: i64,
    /// The function that trained it and can read its state.
    pub function: String,
    /// The warehouse version that it was trained on.
    pub warehouse_version: i64,
    /// What the function kept.
    pub state: Arc<[u8]>,
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl StoredModel {
    /// A model as the warehouse keeps it.
    #[must_use]
    pub fn new(
        (name, version): (String, i64),
        function: String,
        warehouse_version: i64,
        state: Arc<[u8]>,
    ) -> Self {
        Self { name, version, function, warehouse_version, state, decoded: OnceLock::new() }
    }

    /// The state as `decode` reads it, read once.
    ///
    /// # Errors
    /// What `decode` says.
    pub fn decoded<T: Any + Send + Sync, E>(
        &self,
        decode: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(found) = self.decoded.get().and_then(|found| Arc::clone(found).downcast::<T>().ok()) {
            return Ok(found);
        }
        let found = Arc::new(decode(&self.state)?);
        let _ = self.decoded.set(Arc::clone(&found) as Arc<dyn Any + Send + Sync>);
        Ok(found)
    }
}

/// What tells it from every other; its state would say no more.
impl fmt::Debug for StoredModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, function, warehouse_version, .. } = self;
        write!(f, "StoredModel({name} {version} of {function} at {warehouse_version})")
    }
}

/// What a call is made for.
#[derive(Debug, Clone, Default)]
pub enum Purpose {
    /// Its rows.
    #[default]
    Rows,
    /// A model to keep: one row of [`STATE`], [`METRICS`] and [`ARGUMENTS`].
    Training,
    /// How well a kept model does now: the same row, without a state.
    Judging(Arc<StoredModel>),
}

impl Purpose {
    /// The columns after the ids, where they are not the function's own.
    pub(crate) fn columns(&self) -> Option<Vec<Field>> {
        let columns = || {
            let texts = [METRICS, ARGUMENTS].map(|name| Field::new(name, DataType::Utf8, true));
            std::iter::once(Field::new(STATE, DataType::Binary, true)).chain(texts).collect()
        };
        (!matches!(self, Purpose::Rows)).then(columns)
    }
}

/// Learns from all series of a call what can be kept, or judges what was kept.
pub trait Trainer: fmt::Debug + Send + Sync {
    /// What changes its behaviour, for EXPLAIN.
    fn describe(&self) -> String;

    /// What was learned, and how well it does as a JSON object; no state where a kept model was judged. The text of an
    /// error that is the user's says why nothing can be learned.
    fn train(&self, panel: &[Series], workers: &Workers) -> Result<Result<Trained, String>>;
}

/// What a [`Trainer`] has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// What the function needs to answer without training; its first byte is the version of the rest.
    pub state: Option<Vec<u8>>,
    /// How well it does: a JSON object.
    pub metrics: String,
}

/// A trainer as an operator: one row for the whole panel, which stands with its first series.
#[derive(Debug)]
pub(crate) struct TrainingOperator {
    pub(crate) trainer: Arc<dyn Trainer>,
    /// Of the call, as it would be written.
    pub(crate) arguments: String,
}

impl PanelOperator for TrainingOperator {
    fn describe(&self) -> String {
        self.trainer.describe()
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        if panel.is_empty() {
            return Ok(());
        }
        let row = match self.trainer.train(panel, workers)? {
            Ok(Trained { state, metrics }) => self.row(state.as_deref(), &metrics),
            Err(reason) => self.row(None, &reason),
        };
        let none =
            || [DataType::Binary, DataType::Utf8, DataType::Utf8].iter().map(new_empty_array).collect();
        out(row)?;
        panel.iter().skip(1).try_for_each(|_| out(none()))
    }

    fn refuse(&self, _series: &Series, _status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(self.row(None, detail))
    }
}

impl TrainingOperator {
    fn row(&self, state: Option<&[u8]>, metrics: &str) -> Vec<ArrayRef> {
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        vec![Arc::new(BinaryArray::from(vec![state])), text(metrics), text(&self.arguments)]
    }
}

/// The texts that calls in a statement or query give as `model`, which may name kept models.
pub fn named_models(statement: &impl Walk) -> BTreeSet<String> {
    let mut named = Named::default();
    let _ = statement.walk(&mut named);
    named.0
}

#[derive(Default)]
struct Named(BTreeSet<String>);

impl Visitor for Named {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { args: Some(arguments), .. } = factor {
            let named = arguments.args.iter().filter(|one| argument_name(one).as_deref() == Some(MODEL));
            self.0.extend(named.filter_map(argument_expr).filter_map(|expr| match expr {
                Expr::Value(value) => match &value.value {
                    Value::SingleQuotedString(text) => Some(text.clone()),
                    _ => None,
                },
                _ => None,
            }));
        }
        ControlFlow::Continue(())
    }
}
