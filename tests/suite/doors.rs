//! The three ways to ask, as sqllogictest runs them. All write values as psql does.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::sql::client::FlightSqlServiceClient;
use async_trait::async_trait;
use futures::TryStreamExt;
use smartsneaks_engine::{Engine, Output, Session, SessionOptions};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tonic::transport::{Channel, Endpoint};

/// An error with its SQLSTATE in brackets, so that a test can ask for either.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

type Answer = Result<DBOutput<DefaultColumnType>, Failed>;

/// A session in this process.
pub(crate) struct Embedded(pub(crate) Arc<Session>);

impl Embedded {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self(engine.session(SessionOptions::default()))
    }
}

#[async_trait]
impl AsyncDB for Embedded {
    type Error = Failed;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Answer {
        let fail = |e: smartsneaks_engine::Error| Failed(format!("[{}] {e}", e.sqlstate()));
        let mut last = DBOutput::StatementComplete(0);
        for output in self.0.run(sql).await.map_err(fail)? {
            last = match output {
                Output::Rows(rows) => {
                    let types = column_types(rows.schema.fields().iter().map(|f| f.data_type()));
                    let batches: Vec<RecordBatch> = rows.stream.try_collect().await.map_err(|e| {
                        self.0.fail();
                        fail(e)
                    })?;
                    DBOutput::Rows { types, rows: text(&batches) }
                }
                Output::Done(_) | Output::Empty => DBOutput::StatementComplete(0),
            };
        }
        Ok(last)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "embedded"
    }
}

/// A connection to the Postgres door, by the simple protocol.
pub(crate) struct Postgres {
    client: tokio_postgres::Client,
}

impl Postgres {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let config = format!("host={} port={} user=analyst dbname=smartsneaks", address.ip(), address.port());
        let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        Self { client }
    }
}

#[async_trait]
impl AsyncDB for Postgres {
    type Error = Failed;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Answer {
        use tokio_postgres::SimpleQueryMessage as Message;
        let messages = self.client.simple_query(sql).await.map_err(|e| match e.as_db_error() {
            Some(db) => Failed(format!("[{}] {}", db.code().code(), db.message())),
            None => Failed(e.to_string()),
        })?;
        let mut rows: Option<Vec<Vec<String>>> = None;
        let mut columns = 0;
        for message in messages {
            match message {
                Message::RowDescription(described) => {
                    columns = described.len();
                    rows = Some(Vec::new());
                }
                Message::Row(row) => {
                    let cell = |i| shown(row.get(i).map(str::to_owned));
                    rows.get_or_insert_default().push((0..row.len()).map(cell).collect());
                }
                _ => {}
            }
        }
        Ok(match rows {
            Some(rows) => DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows },
            None => DBOutput::StatementComplete(0),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "postgres"
    }
}

/// A connection to the Flight SQL door, with a session of its own.
pub(crate) struct Flight {
    client: FlightSqlServiceClient<Channel>,
}

impl Flight {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut client = FlightSqlServiceClient::new(channel);
        client.handshake("analyst", "").await.unwrap();
        Self { client }
    }

    pub(crate) async fn batches(&mut self, sql: &str) -> Result<Vec<RecordBatch>, Failed> {
        let info = self.client.execute(sql.to_owned(), None).await.map_err(flight_error)?;
        let mut out = Vec::new();
        for endpoint in info.endpoint {
            let Some(ticket) = endpoint.ticket else { continue };
            let stream = self.client.do_get(ticket).await.map_err(flight_error)?;
            out.extend(stream.try_collect::<Vec<_>>().await.map_err(flight_error)?);
        }
        Ok(out)
    }
}

/// Puts the SQLSTATE, which the door writes at the end, in front as the other doors' errors have it here.
fn flight_error(error: arrow_flight::error::FlightError) -> Failed {
    let text = error.to_string();
    let state =
        text.split("SQLSTATE ").nth(1).map_or_else(String::new, |rest| rest.chars().take(5).collect());
    Failed(format!("[{state}] {text}"))
}

#[async_trait]
impl AsyncDB for Flight {
    type Error = Failed;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Answer {
        let batches = self.batches(sql).await?;
        let Some(first) = batches.first() else { return Ok(DBOutput::StatementComplete(0)) };
        let types = column_types(first.schema().fields().iter().map(|f| f.data_type()));
        if types.is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        Ok(DBOutput::Rows { types, rows: text(&batches) })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "flight"
    }
}

fn column_types<'a>(types: impl Iterator<Item = &'a DataType>) -> Vec<DefaultColumnType> {
    types.map(|_| DefaultColumnType::Any).collect()
}

fn shown(value: Option<String>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.is_empty() => "(empty)".to_owned(),
        Some(text) => text,
    }
}

/// Every value as psql writes it.
fn text(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));
    let mut rows = Vec::new();
    for batch in batches {
        let formatters: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cell = |(column, formatter): (&Arc<dyn Array>, &ArrayFormatter<'_>)| {
                if column.is_null(row) || *column.data_type() == DataType::Null {
                    return shown(None);
                }
                let value = formatter.value(row).to_string();
                shown(Some(match column.data_type() {
                    DataType::Boolean => value[..1].to_owned(),
                    DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                        value.strip_suffix(".0").unwrap_or(&value).to_owned()
                    }
                    DataType::List(_) => value.replace("[", "{").replace("]", "}").replace(", ", ","),
                    _ => value,
                }))
            };
            rows.push(batch.columns().iter().zip(&formatters).map(cell).collect());
        }
    }
    rows
}
