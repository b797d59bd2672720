//! Results on their way to the client: whole, or so many rows at a time.

use std::fmt;

use arrow::array::RecordBatch;
use datafusion::scalar::ScalarValue;
use futures::{FutureExt, StreamExt};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::PortalSuspended;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use smartsneaks_engine::{Output, Prepared, Rows, Session};
use tokio::io::AsyncWrite;

use crate::connection::Failure;
use crate::encode::{RowEncoder, formats};
use crate::oid;
use crate::replies::Replies;
use crate::report::Report;

/// A bound statement: executed at its first Execute, continued by the following ones.
#[derive(Debug)]
pub(crate) struct Portal {
    /// The name of the statement that it was made from.
    pub(crate) statement: String,
    prepared: Prepared,
    parameters: Vec<ScalarValue>,
    formats: Vec<i16>,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Suspended(Cursor),
    /// Ended; `rows` tells whether it had rows, and with which command.
    Ended {
        command: Option<&'static str>,
    },
}

impl Portal {
    /// `codes`: the result formats as the client sent them.
    ///
    /// # Errors
    /// 08P01 when they don't fit the columns.
    pub(crate) fn new(
        statement: String,
        prepared: Prepared,
        parameters: Vec<ScalarValue>,
        codes: &[i16],
    ) -> Result<Self, Report> {
        let columns = prepared.schema().map_or(0, |schema| schema.fields().len());
        // A client may ask for a format of a statement without rows.
        let formats = if prepared.schema().is_some() { formats(codes, columns)? } else { Vec::new() };
        Ok(Self { statement, prepared, parameters, formats, state: State::New })
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    pub(crate) fn formats(&self) -> &[i16] {
        &self.formats
    }

    /// Sends up to `limit` more rows, and how it went: CommandComplete, PortalSuspended or EmptyQueryResponse. The tag
    /// of a statement without rows is given back instead.
    pub(crate) async fn execute<W: AsyncWrite + Unpin>(
        &mut self,
        session: &Session,
        limit: Option<u64>,
        replies: &mut Replies<W>,
    ) -> Result<Option<String>, Failure> {
        let mut cursor = match std::mem::replace(&mut self.state, State::Ended { command: None }) {
            State::New => match session.execute(&self.prepared, &self.parameters).await? {
                Output::Rows(rows) => {
                    self.check_types(&rows)?;
                    Cursor::new(rows, &self.formats, session)
                }
                Output::Done(tag) => return Ok(Some(tag)),
                Output::Empty => {
                    self.state = State::New;
                    replies.put(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))?;
                    return Ok(None);
                }
            },
            State::Suspended(cursor) => cursor,
            State::Ended { command: Some(command) } => {
                self.state = State::Ended { command: Some(command) };
                complete(replies, command, 0)?;
                return Ok(None);
            }
            State::Ended { command: None } => {
                return Err(Report::error("55000", "portal cannot be run any more").into());
            }
        };
        match cursor.send(limit, replies).await? {
            Sent::All(rows) => {
                self.state = State::Ended { command: Some(cursor.command) };
                complete(replies, cursor.command, rows)?;
            }
            Sent::Limit => {
                self.state = State::Suspended(cursor);
                replies.put(&PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))?;
            }
        }
        Ok(None)
    }

    /// The client decodes by the types that it was told at Describe: a table that was replaced meanwhile must not
    /// change them.
    fn check_types(&self, rows: &Rows) -> Result<(), Report> {
        let same = self.prepared.schema().is_some_and(|told| {
            let (told, now) = (told.fields(), rows.schema.fields());
            told.len() == now.len() && told.iter().zip(now).all(|(a, b)| oid::of_field(a) == oid::of_field(b))
        });
        if same {
            return Ok(());
        }
        Err(Report::error("0A000", "cached plan must not change result type")
            .with_detail("the warehouse moved to a version in which the columns have other types")
            .with_hint("prepare the statement again"))
    }
}

/// The rows of one result that are still to be sent.
pub(crate) struct Cursor {
    rows: Rows,
    command: &'static str,
    encoder: RowEncoder,
    /// A batch of which some rows were sent, and the next one's number.
    rest: Option<(RecordBatch, usize)>,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("command", &self.command).finish_non_exhaustive()
    }
}

/// How far [`Cursor::send`] came.
#[derive(Debug)]
pub(crate) enum Sent {
    /// To the end, with so many rows this time.
    All(u64),
    /// To the limit.
    Limit,
}

impl Cursor {
    pub(crate) fn new(rows: Rows, formats: &[i16], session: &Session) -> Self {
        let zone = session.setting("TimeZone").unwrap_or_default();
        let encoder = RowEncoder::new(&rows.schema, formats, &zone);
        Self { command: rows.command, rows, encoder, rest: None }
    }

    /// Writes rows until the end or the limit. At most one buffer's worth waits for the socket, so that a slow reader
    /// holds back its own statement and nothing else.
    pub(crate) async fn send<W: AsyncWrite + Unpin>(
        &mut self,
        limit: Option<u64>,
        replies: &mut Replies<W>,
    ) -> Result<Sent, Failure> {
        let mut sent = 0;
        loop {
            if let Some((batch, first)) = self.rest.take() {
                let mut rows = self.encoder.batch(&batch);
                for row in first..batch.num_rows() {
                    if limit == Some(sent) {
                        drop(rows);
                        self.rest = Some((batch, row));
                        return Ok(Sent::Limit);
                    }
                    rows.row(row, replies.buffer())?;
                    sent += 1;
                    if replies.is_full() {
                        replies.flush().await?;
                    }
                }
            }
            if limit == Some(sent) {
                return Ok(Sent::Limit);
            }
            let next = match self.rows.stream.next().now_or_never() {
                Some(next) => next,
                // While the next batch is made, the client may have what there is.
                None => {
                    replies.flush().await?;
                    self.rows.stream.next().await
                }
            };
            match next {
                Some(batch) => self.rest = Some((batch?, 0)),
                None => return Ok(Sent::All(sent)),
            }
        }
    }

    /// Sends all rows and the command tag.
    pub(crate) async fn send_all<W: AsyncWrite + Unpin>(
        mut self,
        replies: &mut Replies<W>,
    ) -> Result<(), Failure> {
        if let Sent::All(rows) = self.send(None, replies).await? {
            complete(replies, self.command, rows)?;
        }
        Ok(())
    }
}

/// The tags that count rows; the others are the bare command, as PostgreSQL has them.
fn complete<W: AsyncWrite + Unpin>(
    replies: &mut Replies<W>,
    command: &str,
    rows: u64,
) -> Result<(), Failure> {
    let tag = match command {
        "SELECT" | "FETCH" => format!("{command} {rows}"),
        _ => command.to_owned(),
    };
    Ok(replies.put(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag)))?)
}
