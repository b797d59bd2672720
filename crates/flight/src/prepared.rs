//! Prepared statements: parsed once, planned for each execution, with parameters bound by DoPut.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use smartsneaks_engine::{Prepared, Session, Statement};
use tonic::Status;

use crate::binding::Binding;
use crate::connection::Caller;
use crate::encode::wire_type;
use crate::statement::{Planned, parse_one, result_schema};
use crate::status::status;

/// A statement that a client prepared.
#[derive(Debug)]
pub(crate) struct PreparedStatement {
    caller: Caller,
    transaction: Option<Bytes>,
    statement: Statement,
    parameter_types: Vec<DataType>,
    schema: SchemaRef,
    bound: Mutex<Option<Arc<Binding>>>,
}

impl PreparedStatement {
    /// Parses and plans `sql`, for its parameters' types and its schema.
    pub(crate) async fn new(
        caller: Caller,
        session: &Session,
        sql: &str,
        transaction: Option<Bytes>,
    ) -> Result<Self, Status> {
        let statement = parse_one(session, sql)?;
        let prepared: Prepared = session.prepare(&statement, &[]).await.map_err(|error| status(&error))?;
        Ok(Self {
            caller,
            transaction,
            statement,
            parameter_types: prepared.parameter_types().to_vec(),
            schema: result_schema(&prepared),
            bound: Mutex::default(),
        })
    }

    /// Who prepared it.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The transaction that it was prepared in.
    pub(crate) fn transaction(&self) -> Option<&Bytes> {
        self.transaction.as_ref()
    }

    /// The schema of its result, as far as it is known before parameters are bound.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// One nullable field per parameter, `$1` … `$n`, in the order of their numbers.
    pub(crate) fn parameter_schema(&self) -> Schema {
        let fields = self.parameter_types.iter().enumerate();
        Schema::new(
            fields.map(|(i, t)| Field::new(format!("${}", i + 1), wire_type(t), true)).collect::<Vec<_>>(),
        )
    }

    /// About how much memory it holds, bound rows aside.
    pub(crate) fn bytes(&self) -> usize {
        1024 + 8 * self.statement.text().len()
    }

    /// Checks that `binding` has a column for each parameter.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), Status> {
        binding.types(&self.parameter_types).map(|_| ())
    }

    /// Binds rows for the executions to come.
    pub(crate) fn bind(&self, binding: Binding) {
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(binding));
    }

    /// Whether it can be executed as it is.
    pub(crate) fn is_bound(&self) -> bool {
        self.parameter_types.is_empty() || self.binding().is_some()
    }

    /// Plans it on what `session` reads now, with the rows that are bound.
    pub(crate) async fn plan(&self, session: Arc<Session>) -> Result<Planned, Status> {
        let (types, binding) = match self.binding() {
            _ if self.parameter_types.is_empty() => (Vec::new(), None),
            Some(binding) => (binding.types(&self.parameter_types)?, Some(binding)),
            None => {
                let count = self.parameter_types.len();
                return Err(Status::failed_precondition(format!(
                    "the statement has {count} parameters and none are bound: bind them first (SQLSTATE 08P01)"
                )));
            }
        };
        let prepared = session.prepare(&self.statement, &types).await.map_err(|error| status(&error))?;
        let (rows, bytes) = match binding {
            Some(binding) => (binding.rows(prepared.parameter_types())?, binding.bytes()),
            None => (vec![Vec::new()], 0),
        };
        Ok(Planned::new(self.caller.clone(), session, prepared, rows, bytes))
    }

    fn binding(&self) -> Option<Arc<Binding>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
