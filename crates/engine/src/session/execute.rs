//! Plan → rows, driven on the query threads and stoppable at any moment.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use futures::future::BoxFuture;
use smartsneaks_lake::Version;
use smartsneaks_table_function::Purpose;
use tokio::sync::mpsc;

use super::prepare::renamed;
use super::{Prepared, Session};
use crate::command::Command;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::guard::guard;
use crate::interrupt::Interrupt;
use crate::opaque::Opaque;
use crate::plans::{Key, Operators, Ready, Rest};
use crate::rows::{Output, Rows};
use crate::statement::Statement;

/// Batches that may wait between the query threads and a front door: enough to keep both busy, too few to matter.
const BATCHES_AHEAD: usize = 2;

impl Session {
    /// Runs a prepared statement with `parameters` for `$1`, `$2`, ….
    ///
    /// A failure inside a transaction makes the transaction fail. Errors may also come as the last item of the stream;
    /// the front door then calls [`Session::fail`].
    ///
    /// # Errors
    /// 08P01 for a wrong number of parameters, 22P02 for a value that is not of its type, and the statement's own.
    pub fn execute<'a>(
        &'a self,
        prepared: &'a Prepared,
        parameters: &'a [ScalarValue],
    ) -> BoxFuture<'a, Result<Output, Error>> {
        Box::pin(async move {
            let result = self.dispatch(prepared, parameters).await;
            if result.is_err() {
                self.fail();
            }
            result
        })
    }

    async fn dispatch(&self, prepared: &Prepared, parameters: &[ScalarValue]) -> Result<Output, Error> {
        let Some(command) = prepared.command() else { return Ok(Output::Empty) };
        if !matches!(command, Command::Commit | Command::Rollback | Command::InTransaction(_)) {
            self.refuse_if_failed()?;
        }
        match command {
            Command::Query(word) => self.stream(prepared, parameters, word).await,
            Command::Set { name, value, local } => {
                if name == "warehouse.as_of"
                    && let Some(selector) = value.as_deref().filter(|v| !v.trim().is_empty())
                {
                    crate::planning::select_version(self.engine.lake(), selector).await?;
                }
                self.set(name, value.as_deref(), *local)
            }
            Command::Show(name) => {
                let value = self.setting(name).unwrap_or_default();
                Ok(Output::Rows(constant(&[(name, vec![value])])?))
            }
            Command::ShowAll => {
                let all = self.state().variables.all();
                Ok(Output::Rows(constant(&[
                    ("name", all.iter().map(|v| v.0.to_owned()).collect()),
                    ("setting", all.iter().map(|v| v.1.clone()).collect()),
                    ("description", all.iter().map(|v| v.2.to_owned()).collect()),
                ])?))
            }
            Command::ResetAll => Ok(self.reset_all("RESET")),
            Command::DiscardAll => Ok(self.reset_all("DISCARD ALL")),
            Command::Begin(tag) => self.begin(tag).await,
            Command::Commit => Ok(self.commit()),
            Command::Rollback => Ok(self.rollback()),
            Command::InTransaction(tag) => self.in_transaction(tag),
            Command::Nothing(tag) => Ok(Output::Done((*tag).to_owned())),
            Command::CreateModel { name, replace } => {
                self.create_model(prepared.statement(), name, *replace).await
            }
            Command::DropModel { name, if_exists } => self.drop_model(name, *if_exists).await,
        }
    }

    async fn stream(
        &self,
        prepared: &Prepared,
        parameters: &[ScalarValue],
        word: &'static str,
    ) -> Result<Output, Error> {
        let interrupt = self.begin_statement();
        let over = FinishOnDrop(Some(interrupt.clone()));
        let version = self.version().await?;
        let (statement, declared) = (prepared.statement(), prepared.declared());
        let parameters = typed(prepared, parameters)?;
        let key = self.plan_key(statement, word, &version, declared);
        let ready = key.as_ref().and_then(|key| self.engine.plans().get(key));
        let (plan, named) = match (ready, prepared.plan().zip(prepared.schema())) {
            (Some(ready), _) => {
                let named = Arc::clone(&ready.schema);
                (Plan::Ready(ready), named)
            }
            (None, Some((plan, schema))) if *prepared.version() == version => {
                let keep = key.filter(|_| prepared.is_repeatable());
                (Plan::Made { plan: plan.clone(), parameters, keep }, Arc::clone(schema))
            }
            _ => {
                let planned = self.plan(statement, &version, declared, Purpose::Rows).await?;
                let keep = key.filter(|_| planned.repeatable);
                (Plan::Made { plan: planned.plan, parameters, keep }, planned.schema)
            }
        };
        let rows = self.rows((plan, named), version, (interrupt, over), word).await?;
        Ok(Output::Rows(rows))
    }

    /// The rows of a query whose call learns ([`Purpose`]).
    pub(super) async fn learning(
        &self,
        statement: &Statement,
        version: &Arc<Version>,
        purpose: Purpose,
    ) -> Result<Rows, Error> {
        let interrupt = self.begin_statement();
        let over = FinishOnDrop(Some(interrupt.clone()));
        let planned = self.plan(statement, version, &[], purpose).await?;
        let plan = Plan::Made { plan: planned.plan, parameters: Vec::new(), keep: None };
        self.rows((plan, planned.schema), Arc::clone(version), (interrupt, over), "SELECT").await
    }

    /// Starts a plan on the query threads.
    async fn rows(
        &self,
        (plan, named): (Plan, SchemaRef),
        version: Arc<Version>,
        (interrupt, over): (Interrupt, FinishOnDrop),
        word: &'static str,
    ) -> Result<Rows, Error> {
        let state = match &plan {
            Plan::Made { .. } => Opaque::new(self.planning(version)?.state()?),
            // No name is looked up any more.
            Plan::Ready(_) => self.template()?,
        };
        let (started, running) = (Arc::clone(&self.engine), interrupt.clone());
        let schema = Arc::clone(&named);
        let task = started.cpu().spawn({
            let engine = Arc::clone(&started);
            async move { start(&engine, state, (plan, schema), &running).await }
        });
        let abort = AbortOnDrop(task.abort_handle());
        let rows = tokio::select! {
            stopped = interrupt.stopped() => return Err(stopped.error()),
            result = task => match result {
                Ok(rows) => rows?,
                Err(e) => {
                    return Err(Error::new(Kind::Internal, format!("the statement failed: {e}")).with_source(e));
                }
            },
        };
        drop(abort);
        over.keep_running();
        let Started { schema, stream, again } = rows;
        let schema = match named.fields().len() == schema.fields().len() {
            true => renamed(&schema, named.fields().iter().map(|field| field.name().as_str())),
            false => schema,
        };
        let (send, receive) = mpsc::channel(BATCHES_AHEAD);
        let driver =
            started.cpu().spawn(drive((stream, again), Arc::clone(&schema), send, interrupt.clone()));
        Ok(Rows::live(schema, receive, interrupt, driver.abort_handle(), word))
    }
}

/// Ends a statement that failed before it had rows, its timer with it.
struct FinishOnDrop(Option<Interrupt>);

impl FinishOnDrop {
    fn keep_running(mut self) {
        self.0 = None;
    }
}

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        if let Some(interrupt) = &self.0 {
            interrupt.finish();
        }
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A plan that runs.
struct Started {
    schema: SchemaRef,
    stream: datafusion::execution::SendableRecordBatchStream,
    again: Option<Again>,
}

/// What may run again once its stream has come to its end.
type Again = (Opaque<Ready>, Operators);

/// A plan that is going to run.
enum Plan {
    /// Not optimised yet; its optimised form is kept under `keep`.
    Made { plan: Opaque<LogicalPlan>, parameters: Vec<ScalarValue>, keep: Option<Key> },
    /// Optimised.
    Ready(Opaque<Ready>),
}

async fn start(
    engine: &Engine,
    state: Opaque<SessionState>,
    (plan, schema): (Plan, SchemaRef),
    interrupt: &Interrupt,
) -> Result<Started, Error> {
    let (ready, held) = match plan {
        Plan::Ready(ready) => (ready, true),
        Plan::Made { plan, parameters, keep } => {
            let plan = if parameters.is_empty() {
                state.optimize(&plan)?
            } else {
                let plan = LogicalPlan::clone(&plan);
                state.optimize(&plan.replace_params_with_values(&ParamValues::from(parameters))?)?
            };
            let ready = Opaque::new(Ready { plan, schema, rest: Rest::default() });
            let held = keep.map(|key| engine.plans().keep(key, ready.clone())).is_some();
            (ready, held)
        }
    };
    let operators = match ready.rest.take() {
        Some(operators) => operators,
        None => Operators::new(state.query_planner().create_physical_plan(&ready.plan, &*state).await?),
    };
    let physical = guard(Arc::clone(&operators.plan), interrupt)?;
    let schema = physical.schema();
    let stream = execute_stream(physical, Arc::new(task_context(&state)))?;
    Ok(Started { schema, stream, again: held.then_some((ready, operators)) })
}

/// As [`SessionState::task_ctx`], without copies of all functions: operators have those that they call.
fn task_context(state: &SessionState) -> TaskContext {
    let (id, config, runtime) =
        (state.session_id().to_owned(), state.config().clone(), Arc::clone(state.runtime_env()));
    let (scalar, higher_order, aggregate, window) = Default::default();
    TaskContext::new(None, id, config, scalar, higher_order, aggregate, window, runtime)
}

/// Moves batches from the plan to the front door until one of them ends.
async fn drive(
    (mut stream, again): (datafusion::execution::SendableRecordBatchStream, Option<Again>),
    schema: SchemaRef,
    send: mpsc::Sender<Result<RecordBatch, Error>>,
    interrupt: Interrupt,
) {
    let ended = loop {
        let item = tokio::select! {
            biased;
            stopped = interrupt.stopped() => Some(Err(stopped.error())),
            item = stream.next() => item.map(|r| {
                let batch = r?;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let columns = batch.columns().to_vec();
                Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)
            }),
        };
        let Some(item) = item else { break true };
        let failed = item.is_err();
        if send.send(item).await.is_err() || failed {
            break false;
        }
    };
    drop(stream);
    interrupt.finish();
    // Before the door learns of the end: the client's next statement may want them.
    if let (true, Some((ready, operators))) = (ended, again) {
        ready.rest.put(operators);
    }
    drop(send);
}

/// Casts each value to its parameter's type.
fn typed(prepared: &Prepared, parameters: &[ScalarValue]) -> Result<Vec<ScalarValue>, Error> {
    let types = prepared.parameter_types();
    if types.len() != parameters.len() {
        return Err(Error::new(
            Kind::ParameterCount,
            format!("the statement takes {} parameters, found {}", types.len(), parameters.len()),
        ));
    }
    let cast = |(i, (value, wanted)): (usize, (&ScalarValue, &_))| {
        if value.data_type() == *wanted {
            return Ok(value.clone());
        }
        value.cast_to(wanted).map_err(|e| {
            Error::new(Kind::InvalidText, format!("parameter ${} must be {wanted}, found {value}", i + 1))
                .with_source(e)
        })
    };
    parameters.iter().zip(types).enumerate().map(cast).collect()
}

/// Rows that are known already: SHOW.
fn constant(columns: &[(&str, Vec<String>)]) -> Result<Rows, Error> {
    let columns = columns
        .iter()
        .map(|(name, values)| (*name, Arc::new(StringArray::from(values.clone())) as ArrayRef, false));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
    Ok(Rows::ready(batch, "SHOW"))
}
