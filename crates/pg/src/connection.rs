//! One connection after start-up: messages in, replies out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pgwire::messages::PgWireBackendMessage as Backend;
use pgwire::messages::data::RowDescription;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};
use smartsneaks_engine::{Output, Session, TransactionState};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cancel::Registration;
use crate::extended::Desk;
use crate::frontend::{Broken, Frame, Frames, Message};
use crate::oid;
use crate::portal::Cursor;
use crate::replies::Replies;
use crate::report::Report;

/// How long a last report may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a message was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client is told; the connection lives on unless the report is fatal.
    Reported(Report),
    /// The client has gone.
    Gone,
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Reported(report)
    }
}

impl From<smartsneaks_engine::Error> for Failure {
    fn from(error: smartsneaks_engine::Error) -> Self {
        Self::Reported(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// When a connection must end: `drain` after the statement under way, `abort` at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending {
    pub(crate) drain: CancellationToken,
    pub(crate) abort: CancellationToken,
}

/// One connection's state beside the bytes that it reads.
#[derive(Debug)]
pub(crate) struct Connection<W> {
    session: Arc<Session>,
    registration: Registration,
    replies: Replies<W>,
    desk: Desk,
    told: Vec<(&'static str, String)>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between commands.
    Idle,
    /// Between the first message of the extended protocol and its Sync.
    Extended,
    /// After an error: everything up to Sync is skipped.
    Skipping,
}

impl<W: AsyncWrite + Unpin> Connection<W> {
    pub(crate) fn new(session: Arc<Session>, registration: Registration, replies: Replies<W>) -> Self {
        let told = session.reported_settings();
        Self { session, registration, replies, desk: Desk::default(), told, phase: Phase::Idle }
    }

    /// Greets the client, then serves it until it leaves or the server ends.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) async fn serve<R: AsyncRead + Unpin>(
        mut self,
        frames: &mut Frames<R>,
        ending: &Ending,
    ) -> io::Result<()> {
        self.greet()?;
        self.replies.flush().await?;
        loop {
            let frame = tokio::select! {
                biased;
                () = ending.drain.cancelled(), if self.phase == Phase::Idle => return self.part().await,
                () = ending.abort.cancelled() => return self.part().await,
                frame = frames.next() => frame,
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) | Err(Broken::Socket) => return Ok(()),
                Err(Broken::Protocol(report)) => return self.end(&report).await,
            };
            self.registration.set_busy(true);
            let handled = tokio::select! {
                handled = self.answer(frame) => handled,
                () = frames.gone() => Err(Failure::Gone),
                () = ending.abort.cancelled() => Err(Report::shutdown().into()),
            };
            self.registration.set_busy(false);
            match handled {
                Ok(true) => {}
                Ok(false) => return self.replies.close().await,
                Err(Failure::Gone) => {
                    self.session.cancel();
                    return Ok(());
                }
                Err(Failure::Reported(report)) => {
                    self.session.shut_down();
                    return self.end(&report).await;
                }
            }
        }
    }

    fn greet(&mut self) -> io::Result<()> {
        self.replies.put(&Backend::Authentication(Authentication::Ok))?;
        for (name, value) in &self.told {
            let status = ParameterStatus::new((*name).to_owned(), value.clone());
            self.replies.put(&Backend::ParameterStatus(status))?;
        }
        let secret = SecretKey::Bytes(self.registration.secret().clone());
        self.replies.put(&Backend::BackendKeyData(BackendKeyData::new(self.session.id(), secret)))?;
        self.ready()
    }

    /// Does what one message asks for, and sends the replies when the client waits for them. `false`: goodbye.
    async fn answer(&mut self, frame: Frame) -> Result<bool, Failure> {
        let stays = self.handle(frame).await?;
        if self.phase == Phase::Idle || self.replies.is_full() {
            self.replies.flush().await?;
        }
        Ok(stays)
    }

    /// Does what one message asks for. `false`: the client says goodbye.
    ///
    /// # Errors
    /// Only what ends the connection; other errors are reported here.
    async fn handle(&mut self, frame: Frame) -> Result<bool, Failure> {
        let extended = frame.is_extended();
        if self.phase == Phase::Skipping && !matches!(frame.tag, b'S' | b'X') {
            return Ok(true);
        }
        if extended {
            self.phase = Phase::Extended;
        }
        let done = match frame.decode() {
            Ok(Message::Terminate) => return Ok(false),
            Ok(message) => self.obey(message).await,
            Err(report) => Err(report.into()),
        };
        let report = match done {
            Ok(()) => return Ok(true),
            Err(Failure::Reported(report)) if !report.is_fatal() => report,
            Err(failure) => return Err(failure),
        };
        tracing::debug!(connection = self.session.id(), %report, "statement failed");
        self.session.fail();
        self.desk.close_portals();
        self.replies.report(&report)?;
        if extended {
            self.phase = Phase::Skipping;
        } else {
            self.ready()?;
        }
        Ok(true)
    }

    async fn obey(&mut self, message: Message) -> Result<(), Failure> {
        let session = Arc::clone(&self.session);
        match message {
            Message::Query(sql) => {
                self.desk.forget_unnamed();
                self.query(&sql).await?;
                self.ready()?;
            }
            Message::Parse(parse) => self.desk.parse(&session, parse, &mut self.replies).await?,
            Message::Bind(bind) => self.desk.bind(bind, &mut self.replies)?,
            Message::Describe(describe) => self.desk.describe(&describe, &mut self.replies)?,
            Message::Execute(execute) => self.desk.execute(&session, execute, &mut self.replies).await?,
            Message::Close(close) => self.desk.close(&close, &mut self.replies)?,
            Message::Flush => self.replies.flush().await?,
            Message::Sync => self.ready()?,
            Message::FunctionCall => {
                return Err(Report::error("0A000", "fast-path function calls are not supported")
                    .with_hint("call the function in a SELECT")
                    .into());
            }
            Message::Copy | Message::Terminate => {}
        }
        Ok(())
    }

    /// The simple protocol: every statement of the text in turn, until one fails.
    async fn query(&mut self, sql: &str) -> Result<(), Failure> {
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(&statement, &[]).await?;
            if !prepared.parameter_types().is_empty() {
                return Err(Report::error("42P02", "there is no parameter $1")
                    .with_hint("the simple query protocol has no parameters: prepare the statement")
                    .into());
            }
            match self.session.execute(&prepared, &[]).await? {
                Output::Rows(rows) => {
                    let fields: Vec<_> =
                        rows.schema.fields().iter().map(|field| oid::describe(field, 0)).collect();
                    let formats = vec![0; fields.len()];
                    self.replies.put(&Backend::RowDescription(RowDescription::new(fields)))?;
                    Cursor::new(rows, &formats, &self.session).send_all(&mut self.replies).await?;
                }
                Output::Done(tag) => {
                    self.desk.follow(&tag, statement.text())?;
                    self.replies.put(&Backend::CommandComplete(CommandComplete::new(tag)))?;
                }
                Output::Empty => {
                    self.replies.put(&Backend::EmptyQueryResponse(EmptyQueryResponse::new()))?;
                }
            }
        }
        Ok(())
    }

    /// Tells of changed settings and that the next command may come.
    fn ready(&mut self) -> io::Result<()> {
        let now = self.session.reported_settings();
        for (name, value) in now.iter().filter(|setting| !self.told.contains(setting)) {
            let status = ParameterStatus::new((*name).to_owned(), value.clone());
            self.replies.put(&Backend::ParameterStatus(status))?;
        }
        self.told = now;
        let status = match self.session.transaction() {
            TransactionState::Idle => TransactionStatus::Idle,
            TransactionState::Open => TransactionStatus::Transaction,
            TransactionState::Failed => TransactionStatus::Error,
        };
        if status == TransactionStatus::Idle {
            // A portal lives as long as its transaction, which may be one of a single command.
            self.desk.close_portals();
        }
        self.phase = Phase::Idle;
        self.replies.put(&Backend::ReadyForQuery(ReadyForQuery::new(status)))
    }

    /// The server goes down.
    async fn part(&mut self) -> io::Result<()> {
        self.session.shut_down();
        self.end(&Report::shutdown()).await
    }

    /// Says why, and closes. A client that does not read doesn't get to hold the server up.
    async fn end(&mut self, report: &Report) -> io::Result<()> {
        self.replies.report(report)?;
        match timeout(LAST_WORDS, self.replies.close()).await {
            Ok(closed) => closed,
            Err(_) => Ok(()),
        }
    }
}
