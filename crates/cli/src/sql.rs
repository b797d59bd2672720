//! `smartsneaks sql`: asks the warehouse, once or interactively, here or on a server.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use clap::Args;
use futures::StreamExt;
use futures::stream::BoxStream;
use smartsneaks_engine::{Engine, Output, Session, SessionOptions, Statement};

use crate::Global;
use crate::failure::Failure;
use crate::run::with_interrupt;
use crate::sql_format::{Format, Printer};
use crate::sql_remote::Remote;

/// What to ask and how to show the answer.
#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// Statements to run; default: standard input, or a shell on a terminal
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    command: Option<String>,
    /// File with statements to run
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How rows are written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Ask a running server over Flight SQL instead, as in grpc://127.0.0.1:8815
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
}

impl Sql {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut target = match &self.connect {
            Some(url) => Target::Remote(Box::new(Remote::connect(url).await?)),
            None => {
                let project = global.project(Vec::new())?;
                let engine = Engine::open(project.settings).await?;
                let options = SessionOptions {
                    application_name: "smartsneaks sql".to_owned(),
                    owner: true,
                    ..SessionOptions::default()
                };
                Target::Embedded(engine.session(options))
            }
        };
        let text = match (self.command, self.file) {
            (Some(sql), _) => sql,
            (None, Some(file)) => std::fs::read_to_string(&file)
                .map_err(|e| Failure::usage(format!("cannot read {}: {e}", file.display())))?,
            (None, None) if std::io::stdin().is_terminal() => {
                return crate::sql_shell::run(&mut target, self.format).await;
            }
            (None, None) => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|e| Failure::usage(format!("cannot read standard input: {e}")))?;
                text
            }
        };
        with_interrupt(target.ask(&text, self.format)).await
    }
}

/// Whom to ask.
pub(crate) enum Target {
    /// The warehouse itself, in this process.
    Embedded(Arc<Session>),
    /// A server, over Flight SQL.
    Remote(Box<Remote>),
}

/// What a statement gave.
pub(crate) enum Answer {
    /// Rows.
    Rows(SchemaRef, BoxStream<'static, Result<RecordBatch, Failure>>),
    /// A command tag.
    Done(String),
    /// There was no statement.
    Nothing,
}

impl Target {
    /// Runs every statement of `sql` and prints what it gives.
    pub(crate) async fn ask(&mut self, sql: &str, format: Format) -> Result<(), Failure> {
        // Statements are told apart here for a server as well: Flight SQL takes one at a time.
        let local = match self {
            Self::Embedded(session) => Some(Arc::clone(session)),
            Self::Remote(_) => None,
        };
        let statements = Statement::parse(sql).map_err(|e| Failure::of_statement(&e, sql))?;
        for statement in statements {
            let answer = match (&local, &mut *self) {
                (Some(session), _) => {
                    let fail = |e| Failure::of_statement(&e, sql);
                    let prepared = session.prepare(&statement, &[]).await.map_err(fail)?;
                    match session.execute(&prepared, &[]).await.map_err(fail)? {
                        Output::Rows(rows) => {
                            let text = sql.to_owned();
                            let stream =
                                rows.stream.map(move |r| r.map_err(|e| Failure::of_statement(&e, &text)));
                            Answer::Rows(rows.schema, stream.boxed())
                        }
                        Output::Done(tag) => Answer::Done(tag),
                        Output::Empty => Answer::Nothing,
                    }
                }
                (None, Self::Remote(remote)) if !statement.is_empty() => remote.ask(statement.text()).await?,
                _ => Answer::Nothing,
            };
            show(answer, format).await?;
        }
        Ok(())
    }
}

async fn show(answer: Answer, format: Format) -> Result<(), Failure> {
    match answer {
        Answer::Rows(schema, mut stream) => {
            let mut printer = Printer::new(format, schema)?;
            while let Some(batch) = stream.next().await {
                printer.write(&batch?)?;
            }
            printer.finish()
        }
        Answer::Done(tag) => {
            eprintln!("{tag}");
            Ok(())
        }
        Answer::Nothing => Ok(()),
    }
}
