//! What a statement gives back.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;
use futures::{Future, FutureExt, Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::interrupt::{Interrupt, Interrupted, Reason};

/// What a statement gives back.
#[derive(Debug)]
pub enum Output {
    /// Rows, as a stream.
    Rows(Rows),
    /// The command tag of a statement without rows, such as `SET`.
    Done(String),
    /// There was no statement.
    Empty,
}

/// A result as it is made. Dropping it stops the statement.
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// Batches of any size but 0 to a few thousand rows; an error is the last item.
    pub stream: BoxStream<'static, Result<RecordBatch, Error>>,
    /// The word of the command tag: `SELECT` (followed by the number of rows), `SHOW`, `EXPLAIN`.
    pub command: &'static str,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("schema", &self.schema)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

impl Rows {
    pub(crate) fn ready(batch: RecordBatch, command: &'static str) -> Self {
        Self { schema: batch.schema(), stream: stream::iter([Ok(batch)]).boxed(), command }
    }

    pub(crate) fn live(
        schema: SchemaRef,
        receive: mpsc::Receiver<Result<RecordBatch, Error>>,
        interrupt: Interrupt,
        driver: AbortHandle,
        command: &'static str,
    ) -> Self {
        let flag = interrupt.clone();
        // Fused: it may complete (the statement is over) before the last batch was taken.
        let stopped = Box::pin(async move { flag.stopped().await }.fuse());
        Self { schema, stream: Live { receive, stopped, interrupt, driver, ended: false }.boxed(), command }
    }
}

/// Batches from the query threads. An interrupt ends it at once, even when those threads are slow to notice.
struct Live {
    receive: mpsc::Receiver<Result<RecordBatch, Error>>,
    stopped: Pin<Box<dyn Future<Output = Interrupted> + Send>>,
    interrupt: Interrupt,
    driver: AbortHandle,
    ended: bool,
}

impl Stream for Live {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // What was made before the end comes first: the driver also raises the flag when it is done.
        match self.receive.poll_recv(cx) {
            Poll::Ready(item) => {
                self.ended = !matches!(item, Some(Ok(_)));
                Poll::Ready(item)
            }
            Poll::Pending => match self.stopped.as_mut().poll(cx) {
                Poll::Ready(_) if !self.interrupt.was_stopped() => Poll::Pending,
                Poll::Ready(stopped) => {
                    self.ended = true;
                    Poll::Ready(Some(Err(stopped.error())))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.interrupt.stop(Reason::Cancelled);
        self.driver.abort();
    }
}
