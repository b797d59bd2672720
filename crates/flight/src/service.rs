//! What the door remembers between calls, and what the commands of Flight SQL have in common.

mod commands;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::server::PeekableFlightDataStream;
use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{CancelStatus, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use prost::Message;
use smartsneaks_engine::{Engine, Session};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::binding::Binding;
use crate::connection::{Caller, Connections};
use crate::door::command;
use crate::encode::{DataStream, respond, respond_with, wire_schema};
use crate::prepared::PreparedStatement;
use crate::registry::{Bounds, Registry, handle_bytes};
use crate::statement::{Planned, parse_one, result_schema};
use crate::status::{status, unencodable};
use crate::transaction::Transaction;
use crate::{Limits, catalog, keys, sql_info, type_info};

/// The action that stops what a FlightInfo describes.
pub(crate) const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";

/// Most bytes that plans and bound rows may take together.
const MAX_HELD_BYTES: usize = 256 << 20;

/// What the door remembers between calls.
#[derive(Debug)]
pub(crate) struct Service {
    connections: Connections,
    tickets: Arc<Registry<Planned>>,
    statements: Registry<PreparedStatement>,
    transactions: Registry<Transaction>,
    ticket_lifetime: Duration,
    stop: CancellationToken,
}

impl Service {
    /// A service without clients. Streams end when `stop` fires.
    pub(crate) fn new(engine: Arc<Engine>, limits: &Limits, stop: CancellationToken) -> Self {
        let idle = |noun, lifetime, entries| Bounds {
            noun,
            lifetime,
            renewed_by_use: true,
            entries,
            bytes: MAX_HELD_BYTES,
        };
        let tickets = Bounds {
            noun: "ticket",
            lifetime: limits.ticket_lifetime,
            renewed_by_use: false,
            entries: limits.tickets,
            bytes: MAX_HELD_BYTES,
        };
        Self {
            connections: Connections::new(engine, idle("token", limits.token_lifetime, limits.tokens)),
            tickets: Arc::new(Registry::new(tickets)),
            statements: Registry::new(idle(
                "prepared statement",
                limits.idle_lifetime,
                limits.prepared_statements,
            )),
            transactions: Registry::new(idle(
                "transaction",
                limits.idle_lifetime,
                limits.prepared_statements,
            )),
            ticket_lifetime: limits.ticket_lifetime,
            stop,
        }
    }

    /// The schema that a command's result has, for GetSchema.
    pub(crate) async fn schema_of(
        &self,
        command: Command,
        metadata: &MetadataMap,
    ) -> Result<SchemaRef, Status> {
        let caller = self.connections.caller(metadata)?;
        match command {
            Command::CommandStatementQuery(query) => {
                let session = self.session(&caller, query.transaction_id.as_ref()).await?;
                let statement = parse_one(&session, &query.query)?;
                let prepared = session.prepare(&statement, &[]).await.map_err(|error| status(&error))?;
                Ok(result_schema(&prepared))
            }
            Command::CommandPreparedStatementQuery(query) => {
                let (_, statement) = self.statements.get(&query.prepared_statement_handle)?;
                match statement.is_bound() {
                    true => Ok(self.plan_prepared(&statement).await?.schema()),
                    false => Ok(statement.schema()),
                }
            }
            Command::CommandGetCatalogs(_) => Ok(catalog::catalogs()?.schema()),
            Command::CommandGetDbSchemas(_) => Ok(catalog::db_schemas_schema()),
            Command::CommandGetTables(query) => Ok(catalog::tables_schema(query.include_schema)),
            Command::CommandGetTableTypes(_) => Ok(catalog::table_types()?.schema()),
            Command::CommandGetSqlInfo(_) => sql_info::schema(),
            Command::CommandGetXdbcTypeInfo(_) => type_info::schema(),
            Command::CommandGetPrimaryKeys(_) => Ok(keys::primary_keys().schema()),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => Ok(keys::foreign_keys().schema()),
            other => Err(Status::unimplemented(format!("no schema is known for {}", other.type_url()))),
        }
    }

    /// A session for one statement of `caller`, reading the version of its transaction if it names one.
    async fn session(&self, caller: &Caller, transaction: Option<&Bytes>) -> Result<Arc<Session>, Status> {
        let session = self.connections.session(caller).await?;
        if let Some(id) = transaction.filter(|id| !id.is_empty()) {
            self.transactions.get(id)?.1.enter(&session).await?;
        }
        Ok(session)
    }

    async fn plan(&self, caller: Caller, sql: &str, transaction: Option<&Bytes>) -> Result<Planned, Status> {
        let session = self.session(&caller, transaction).await?;
        let statement = parse_one(&session, sql)?;
        let prepared = session.prepare(&statement, &[]).await.map_err(|error| status(&error))?;
        match prepared.parameter_types().len() {
            0 => Ok(Planned::new(caller, session, prepared, vec![Vec::new()], 0)),
            count => Err(Status::invalid_argument(format!(
                "the statement has {count} parameters and no values: prepare it and bind them (SQLSTATE 08P01)"
            ))),
        }
    }

    async fn plan_prepared(&self, statement: &PreparedStatement) -> Result<Planned, Status> {
        let session = self.connections.session(statement.caller()).await?;
        // A prepared statement outlives the transaction that it was prepared in, and reads the newest version then.
        if let Some(Ok((_, transaction))) = statement.transaction().map(|id| self.transactions.get(id)) {
            transaction.enter(&session).await?;
        }
        statement.plan(session).await
    }

    /// Binds the rows that come with a DoPut, if it brings any, to a prepared statement.
    async fn bind(
        &self,
        handle: &Bytes,
        data: PeekableFlightDataStream,
    ) -> Result<Arc<PreparedStatement>, Status> {
        let (id, statement) = self.statements.get(handle)?;
        if let Some(binding) = Binding::read(data).await? {
            statement.check(&binding)?;
            self.statements.reweigh(id, statement.bytes() + binding.bytes())?;
            statement.bind(binding);
        }
        Ok(statement)
    }

    /// Keeps a planned statement under a ticket, and describes it.
    fn ticket(&self, planned: Planned, descriptor: FlightDescriptor) -> Result<Response<FlightInfo>, Status> {
        let (schema, bytes) = (planned.schema(), planned.bytes());
        let id = self.tickets.insert(Arc::new(planned), bytes)?;
        let ticket = TicketStatementQuery { statement_handle: handle_bytes(id) };
        let mut info = describe(&schema, ticket.as_any().encode_to_vec(), descriptor)?;
        for endpoint in &mut info.endpoint {
            let expires = SystemTime::now() + self.ticket_lifetime;
            if let Ok(expires) = expires.duration_since(SystemTime::UNIX_EPOCH) {
                let timestamp = endpoint.expiration_time.get_or_insert_default();
                timestamp.seconds = i64::try_from(expires.as_secs()).unwrap_or(i64::MAX);
                timestamp.nanos = i32::try_from(expires.subsec_nanos()).unwrap_or(0);
            }
        }
        Ok(Response::new(info))
    }

    async fn stream(&self, planned: Arc<Planned>, at_end: impl FnOnce() + Send + 'static) -> DoGet {
        let schema = planned.schema();
        let batches = planned.run(self.stop.clone(), at_end).await?;
        Ok(respond(&schema, batches))
    }

    /// Stops the statement behind the tickets of a FlightInfo.
    fn cancel(&self, info: &FlightInfo) -> Result<CancelStatus, Status> {
        let mut status = CancelStatus::NotCancellable;
        for ticket in info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()) {
            if let Command::TicketStatementQuery(ticket) = command(&ticket.ticket)? {
                let (id, planned) = self.tickets.get(&ticket.statement_handle)?;
                planned.cancel();
                self.tickets.remove(id);
                status = CancelStatus::Cancelled;
            }
        }
        Ok(status)
    }

    /// A command whose answer is made when it is read: the command is its own ticket.
    fn metadata_info<M: ProstMessageExt>(
        &self,
        query: &M,
        schema: &SchemaRef,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.connections.caller(request.metadata())?;
        describe(schema, query.as_any().encode_to_vec(), request.into_inner()).map(Response::new)
    }

    /// Answers a metadata command with rows that need no session.
    fn metadata_rows(&self, rows: RecordBatch, request: &Request<Ticket>) -> DoGet {
        self.connections.caller(request.metadata())?;
        Ok(respond_with(rows))
    }

    /// A session for a metadata command.
    async fn metadata_session(&self, request: &Request<Ticket>) -> Result<Arc<Session>, Status> {
        let caller = self.connections.caller(request.metadata())?;
        self.connections.session(&caller).await
    }
}

type DoGet = Result<Response<DataStream>, Status>;
type Info = Result<Response<FlightInfo>, Status>;

fn describe(
    schema: &SchemaRef,
    ticket: impl Into<Bytes>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    let info = FlightInfo::new().try_with_schema(&wire_schema(schema)).map_err(unencodable)?;
    Ok(info.with_descriptor(descriptor).with_endpoint(endpoint).with_ordered(true))
}
