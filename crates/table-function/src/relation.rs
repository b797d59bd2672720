//! Functions over the rows of a relation: all of them at once (clusters, outliers among features, key drivers), or as they
//! come (photos).

mod exec;
mod node;
mod order;
mod plan;
mod stream;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;

use crate::argument::Arguments;
use crate::error::{ArgumentError, nearest};
use crate::signature::Signature;
use crate::workers::Workers;

pub use exec::RelationExec;
pub(crate) use node::RelationNode;
pub(crate) use plan::plan;
pub use stream::StreamExec;

/// A function over a relation: rows in, rows out.
pub trait RelationFunction: Debug + Send + Sync {
    /// Name, arguments and documentation. The first argument is the relation (`Kind::Relation`), or values that stand for
    /// one (`Kind::Items`): a relation of one column, named as the argument.
    fn signature(&self) -> &'static Signature;

    /// Whether a call with these arguments (names, in lower case) is for this function; of several functions with one
    /// name the first that says so is called.
    fn applies(&self, given: &[&str]) -> bool {
        let _ = given;
        true
    }

    /// Chooses the columns that are read and says which come out. Only arguments whose name ends in `_col` or `_cols`,
    /// which are constants, may decide it, so that a statement can be described before it is bound.
    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError>;

    /// Chooses the columns that are read of the second relation, [`RelationCall::other`]: an argument of `Kind::Relation`
    /// after the first.
    fn bind_other(&self, call: &RelationCall, other: &OtherRelation) -> Result<Vec<usize>, ArgumentError> {
        let _ = other;
        Err(ArgumentError::new(self.signature().name, format!("takes no relation beside {}", call.label)))
    }

    /// Checks the arguments and makes the operator that runs. Called when the statement is planned, with the arguments
    /// that are known by then, and again when all are.
    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError>;
}

/// How the rows of a call are worked on.
#[derive(Debug, Clone)]
pub enum RelationWork {
    /// All at once, where each may change the others' results: memory for all of them.
    Whole(Arc<dyn RelationOperator>),
    /// As they come: memory for some of them, and the first results at once.
    Stream(Arc<dyn StreamOperator>),
}

impl RelationWork {
    /// What changes its behaviour, for EXPLAIN.
    pub(crate) fn describe(&self) -> String {
        match self {
            RelationWork::Whole(operator) => operator.describe(),
            RelationWork::Stream(operator) => operator.describe(),
        }
    }
}

/// The work on rows as they come.
pub trait StreamOperator: Debug + Send + Sync {
    /// What changes its behaviour, for EXPLAIN.
    fn describe(&self) -> String;

    /// The columns of [`Binding::output`] from those of [`Binding::input`], in the order of the rows; `other` gives the
    /// columns of the second relation that [`RelationFunction::bind_other`] chose, where there is one. Called on the threads
    /// that drive streams: what takes long goes to threads of its own, under [`Workers::enter`]. A stream that is dropped
    /// stops the workers.
    fn stream(
        &self,
        rows: SendableRecordBatchStream,
        other: Option<SendableRecordBatchStream>,
        workers: Workers,
    ) -> Result<SendableRecordBatchStream>;
}

/// The work on a whole relation.
pub trait RelationOperator: Debug + Send + Sync {
    /// What changes its behaviour, for EXPLAIN.
    fn describe(&self) -> String;

    /// The columns of [`Binding::output`] from those of [`Binding::input`], whose rows come sorted by all columns from
    /// the first on, so that the same rows give the same result in whatever order they were stored. Called on a thread
    /// of its own; long loops call [`Workers::check`].
    fn process(&self, rows: &RecordBatch, workers: &Workers) -> Result<RecordBatch>;

    /// The same beside a second relation: the columns that [`RelationFunction::bind_other`] chose, in any order of rows.
    fn process_beside(
        &self,
        rows: &RecordBatch,
        other: &RecordBatch,
        workers: &Workers,
    ) -> Result<RecordBatch> {
        let _ = (rows, other, workers);
        internal_err!("{} takes no second relation", self.describe())
    }

    /// The operator for a result of which the columns at `read` (ascending) are read alone, where it has less to do
    /// then: others may be NULL, or `false` and empty text where a column has no NULL. None where all of the work is
    /// needed.
    fn narrowed(&self, read: &[usize]) -> Option<Arc<dyn RelationOperator>> {
        let _ = read;
        None
    }
}

/// One call as a function over a relation sees it.
#[derive(Debug, Clone)]
pub struct RelationCall {
    /// The arguments, with defaults filled in.
    pub arguments: Arguments,
    /// The relation's columns.
    pub schema: SchemaRef,
    /// The relation in words, for messages.
    pub label: String,
    /// The second relation, where one is given.
    pub other: Option<OtherRelation>,
    /// The warehouse version that the statement reads.
    pub version: i64,
}

/// The second relation of a call.
#[derive(Debug, Clone)]
pub struct OtherRelation {
    /// The argument that gives it.
    pub argument: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
    /// In words, for messages.
    pub label: String,
}

/// Which columns go in and which come out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Binding {
    /// Positions of the columns that are read, in the order in which the operator wants them.
    pub input: Vec<usize>,
    /// The columns of the result.
    pub output: Vec<Field>,
}

impl RelationCall {
    /// Position of the column called `name`, which argument `argument` asks for.
    ///
    /// # Errors
    /// When there is none, with the columns that there are and the nearest of them.
    pub fn column(&self, argument: &str, name: &str) -> Result<usize, ArgumentError> {
        let names = || self.schema.fields().iter().map(|field| field.name().as_str());
        if let Some(position) = names().position(|found| found == name) {
            return Ok(position);
        }
        let columns = self.schema.fields().iter();
        let list =
            columns.map(|field| format!("{} ({})", field.name(), field.data_type())).collect::<Vec<_>>();
        let message = format!("{} has no column '{name}'; it has {}", self.label, list.join(", "));
        let error = self.arguments.error(argument, message);
        Err(match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean '{near}'?")),
            None => error,
        })
    }

    /// Positions of the columns that argument `argument` lists; `None` when it is not given.
    ///
    /// # Errors
    /// For a column that is not there or is named twice.
    pub fn columns(&self, argument: &str) -> Result<Option<Vec<usize>>, ArgumentError> {
        let Some(names) = self.arguments.text_array(argument) else { return Ok(None) };
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let position = self.column(argument, name)?;
            if found.contains(&position) {
                return Err(self
                    .arguments
                    .error(argument, format!("{argument} names the column {name} twice")));
            }
            found.push(position);
        }
        Ok(Some(found))
    }

    /// The field at a position, with its type.
    #[must_use]
    pub fn field(&self, position: usize) -> &Field {
        self.schema.field(position)
    }
}
