//! Statements: planned by GetFlightInfo, kept under a ticket, run by DoGet on the version that was read for planning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::scalar::ScalarValue;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use smartsneaks_engine::{Output, Prepared, Session, Statement};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::connection::Caller;
use crate::status::status;

type Batches = BoxStream<'static, Result<RecordBatch, Status>>;

/// A statement with its plan, its parameters and the session that it runs in.
#[derive(Debug)]
pub(crate) struct Planned {
    caller: Caller,
    session: Arc<Session>,
    prepared: Prepared,
    /// One execution per row; without parameters, one row of none.
    rows: Vec<Vec<ScalarValue>>,
    bytes: usize,
    reading: AtomicBool,
}

/// The right to read a planned statement, given to one reader at a time. Dropping it gives the right back.
#[derive(Debug)]
struct Reading {
    planned: Arc<Planned>,
}

/// The one statement that `sql` holds.
pub(crate) fn parse_one(session: &Session, sql: &str) -> Result<Statement, Status> {
    let mut statements = session.parse(sql).map_err(|error| status(&error))?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) if !statement.is_empty() => Ok(statement),
        (Some(_), more) if more > 0 => Err(Status::invalid_argument(format!(
            "the query holds {} statements, expected one: send them one at a time",
            more + 1
        ))),
        _ => Err(Status::invalid_argument("the query holds no statement")),
    }
}

impl Planned {
    /// Pins `session` to the version that `prepared` was planned on, and binds `rows`, which weigh `row_bytes`.
    pub(crate) fn new(
        caller: Caller,
        session: Arc<Session>,
        prepared: Prepared,
        rows: Vec<Vec<ScalarValue>>,
        row_bytes: usize,
    ) -> Self {
        session.pin(Some(Arc::clone(prepared.version())));
        // A plan takes several times the room of its text; the factor is a rough, safe guess.
        let bytes = 4096 + 16 * prepared.statement().text().len() + row_bytes;
        Self { caller, session, prepared, rows, bytes, reading: AtomicBool::new(false) }
    }

    /// The schema of the result; empty for a statement that returns no rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        result_schema(&self.prepared)
    }

    /// About how much memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Stops the statement if it is running.
    pub(crate) fn cancel(&self) {
        self.session.cancel();
    }

    /// Runs the statement once per bound row, one after the other, and streams what they return.
    ///
    /// Dropping the stream stops the query; so does `stop`, with an error that says that the server is going down.
    /// `at_end` is called when everything has been read.
    pub(crate) async fn run(
        self: Arc<Self>,
        stop: CancellationToken,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<Batches, Status> {
        let reading = Reading::begin(Arc::clone(&self))?;
        let mut rows = self.rows.clone().into_iter();
        let Some(first) = rows.next() else {
            return Ok(stream::empty().boxed());
        };
        // The first run starts before the answer does, so that its error is the answer.
        let first = self.execute(&first).await?;
        let planned = Arc::clone(&self);
        let others = stream::iter(rows).then(move |row| {
            let planned = Arc::clone(&planned);
            async move { planned.execute(&row).await }
        });
        let all = stream::iter([Ok(first)]).chain(others).try_flatten().boxed();
        Ok(watch(all, reading, stop, at_end))
    }

    /// Runs a statement that returns no rows, once per bound row.
    ///
    /// # Errors
    /// The engine's, and INVALID_ARGUMENT for a statement that returns rows.
    pub(crate) async fn update(self: Arc<Self>) -> Result<(), Status> {
        let _reading = Reading::begin(Arc::clone(&self))?;
        if self.prepared.schema().is_some() {
            return Err(Status::invalid_argument(
                "this statement returns rows: run it as a query, not as an update",
            ));
        }
        for row in &self.rows {
            drop(self.execute(row).await?);
        }
        Ok(())
    }

    async fn execute(&self, row: &[ScalarValue]) -> Result<Batches, Status> {
        match self.session.execute(&self.prepared, row).await.map_err(|error| status(&error))? {
            Output::Rows(rows) => Ok(rows.stream.map_err(|error| status(&error)).boxed()),
            Output::Done(tag) => {
                self.caller.adopt(&self.session, &self.prepared, &tag)?;
                Ok(stream::empty().boxed())
            }
            Output::Empty => Ok(stream::empty().boxed()),
        }
    }
}

impl Reading {
    fn begin(planned: Arc<Planned>) -> Result<Self, Status> {
        if planned.reading.swap(true, Ordering::AcqRel) {
            return Err(Status::failed_precondition("this ticket is being read already"));
        }
        Ok(Self { planned })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.planned.reading.store(false, Ordering::Release);
    }
}

/// The schema that `prepared` returns; empty for a statement without rows.
pub(crate) fn result_schema(prepared: &Prepared) -> SchemaRef {
    prepared.schema().cloned().unwrap_or_else(|| Arc::new(Schema::empty()))
}

/// `batches`, ended with an error when `stop` fires; `at_end` runs after the last one.
fn watch(
    batches: Batches,
    reading: Reading,
    stop: CancellationToken,
    at_end: impl FnOnce() + Send + 'static,
) -> Batches {
    let state = Some((batches, reading, stop, at_end));
    stream::unfold(state, |state| async move {
        let (mut batches, reading, stop, at_end) = state?;
        tokio::select! {
            biased;
            () = stop.cancelled() => Some((Err(Status::unavailable("the server is shutting down")), None)),
            next = batches.next() => match next {
                Some(Ok(batch)) => Some((Ok(batch), Some((batches, reading, stop, at_end)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => {
                    at_end();
                    None
                }
            },
        }
    })
    .boxed()
}
