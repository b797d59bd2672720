//! One method per command of Flight SQL: what `arrow_flight` dispatches to.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{DoPutError, FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionBeginTransactionResult, ActionCancelQueryRequest,
    ActionCancelQueryResult, ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionEndTransactionRequest, Any, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest,
    CommandStatementQuery, CommandStatementSubstraitPlan, CommandStatementUpdate,
    DoPutPreparedStatementResult, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, BasicAuth, CancelFlightInfoRequest, CancelFlightInfoResult, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, Ticket,
};
use futures::stream::{self, BoxStream, StreamExt};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{CANCEL_FLIGHT_INFO, DoGet, Info, Service};
use crate::encode::{respond_with, schema_bytes};
use crate::prepared::PreparedStatement;
use crate::registry::handle_bytes;
use crate::transaction::{Transaction, check_end};
use crate::{catalog, keys, sql_info, type_info};

/// How long a handshake may keep the server waiting for its first message.
const HANDSHAKE: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        mut request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Status> {
        let payload = match request.metadata().contains_key("authorization") {
            true => None,
            false => match tokio::time::timeout(HANDSHAKE, request.get_mut().message()).await {
                Ok(message) => message?.and_then(|message| BasicAuth::decode(message.payload).ok()),
                Err(_) => return Err(Status::deadline_exceeded("the handshake brought no credentials")),
            },
        };
        let token = self.connections.sign_in(request.metadata(), payload)?;
        let header =
            format!("Bearer {token}").parse().map_err(|_| Status::internal("the token is no header"))?;
        let answer = HandshakeResponse { protocol_version: 0, payload: token.into() };
        let mut response = Response::new(stream::iter([Ok(answer)]).boxed());
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        let caller = self.connections.caller(request.metadata())?;
        let planned = self.plan(caller, &query.query, query.transaction_id.as_ref()).await?;
        self.ticket(planned, request.into_inner())
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _: CommandStatementSubstraitPlan,
        _: Request<FlightDescriptor>,
    ) -> Info {
        Err(no_substrait())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.connections.caller(request.metadata())?;
        let (_, statement) = self.statements.get(&query.prepared_statement_handle)?;
        let planned = self.plan_prepared(&statement).await?;
        self.ticket(planned, request.into_inner())
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &catalog::catalogs()?.schema(), request)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &catalog::db_schemas_schema(), request)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &catalog::tables_schema(query.include_schema), request)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &catalog::table_types()?.schema(), request)
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &sql_info::schema()?, request)
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &keys::primary_keys().schema(), request)
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &keys::foreign_keys().schema(), request)
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &keys::foreign_keys().schema(), request)
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &keys::foreign_keys().schema(), request)
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Info {
        self.metadata_info(&query, &type_info::schema()?, request)
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, request: Request<Ticket>) -> DoGet {
        self.connections.caller(request.metadata())?;
        let (id, planned) = self.tickets.get(&ticket.statement_handle)?;
        let tickets = Arc::clone(&self.tickets);
        self.stream(planned, move || tickets.use_up(id)).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> DoGet {
        self.connections.caller(request.metadata())?;
        let (_, statement) = self.statements.get(&query.prepared_statement_handle)?;
        let planned = self.plan_prepared(&statement).await?;
        self.stream(Arc::new(planned), || ()).await
    }

    async fn do_get_catalogs(&self, _: CommandGetCatalogs, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(catalog::catalogs()?, &request)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, request: Request<Ticket>) -> DoGet {
        let session = self.metadata_session(&request).await?;
        Ok(respond_with(catalog::db_schemas(&session, query).await?))
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<Ticket>) -> DoGet {
        let session = self.metadata_session(&request).await?;
        Ok(respond_with(catalog::tables(&session, query).await?))
    }

    async fn do_get_table_types(&self, _: CommandGetTableTypes, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(catalog::table_types()?, &request)
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(sql_info::sql_info(query)?, &request)
    }

    async fn do_get_primary_keys(&self, _: CommandGetPrimaryKeys, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(keys::primary_keys(), &request)
    }

    async fn do_get_exported_keys(&self, _: CommandGetExportedKeys, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(keys::foreign_keys(), &request)
    }

    async fn do_get_imported_keys(&self, _: CommandGetImportedKeys, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(keys::foreign_keys(), &request)
    }

    async fn do_get_cross_reference(&self, _: CommandGetCrossReference, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(keys::foreign_keys(), &request)
    }

    async fn do_get_xdbc_type_info(&self, query: CommandGetXdbcTypeInfo, request: Request<Ticket>) -> DoGet {
        self.metadata_rows(type_info::type_info(query)?, &request)
    }

    async fn do_put_error_callback(
        &self,
        _: Request<PeekableFlightDataStream>,
        error: DoPutError,
    ) -> Result<Response<<Self as FlightService>::DoPutStream>, Status> {
        Err(Status::invalid_argument(match error {
            DoPutError::MissingCommand => "DoPut brought no message",
            DoPutError::MissingFlightDescriptor => "the first message of DoPut has no flight descriptor",
        }))
    }

    async fn do_put_statement_update(
        &self,
        update: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let caller = self.connections.caller(request.metadata())?;
        let planned = self.plan(caller, &update.query, update.transaction_id.as_ref()).await?;
        Arc::new(planned).update().await?;
        Ok(0)
    }

    async fn do_put_statement_ingest(
        &self,
        _: CommandStatementIngest,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(Status::unimplemented(
            "bulk ingestion is not offered: the warehouse is written by its ETL alone; put the data under data/raw, \
             declare it as a source in smartsneaks.toml, and run `smartsneaks run` (SQLSTATE 0A000)",
        ))
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        self.connections.caller(request.metadata())?;
        self.bind(&query.prepared_statement_handle, request.into_inner()).await?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(query.prepared_statement_handle) })
    }

    async fn do_put_prepared_statement_update(
        &self,
        update: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.connections.caller(request.metadata())?;
        let statement = self.bind(&update.prepared_statement_handle, request.into_inner()).await?;
        Arc::new(self.plan_prepared(&statement).await?).update().await?;
        Ok(0)
    }

    async fn do_put_substrait_plan(
        &self,
        _: CommandStatementSubstraitPlan,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(no_substrait())
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let caller = self.connections.caller(request.metadata())?;
        let session = self.session(&caller, query.transaction_id.as_ref()).await?;
        let statement = PreparedStatement::new(caller, &session, &query.query, query.transaction_id).await?;
        let dataset_schema = schema_bytes(&statement.schema())?;
        let parameter_schema = schema_bytes(&statement.parameter_schema())?;
        let bytes = statement.bytes();
        let id = self.statements.insert(Arc::new(statement), bytes)?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle_bytes(id),
            dataset_schema,
            parameter_schema,
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        self.connections.caller(request.metadata())?;
        // Closing what is closed or has expired does no harm, and drivers close on every path.
        if let Ok((id, _)) = self.statements.get(&query.prepared_statement_handle) {
            self.statements.remove(id);
        }
        Ok(())
    }

    async fn do_action_begin_transaction(
        &self,
        _: ActionBeginTransactionRequest,
        request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        let caller = self.connections.caller(request.metadata())?;
        let session = self.connections.session(&caller).await?;
        let id = self.transactions.insert(Arc::new(Transaction::begin(session).await?), 4096)?;
        Ok(ActionBeginTransactionResult { transaction_id: handle_bytes(id) })
    }

    async fn do_action_end_transaction(
        &self,
        query: ActionEndTransactionRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        self.connections.caller(request.metadata())?;
        check_end(&query)?;
        let (id, _) = self.transactions.get(&query.transaction_id)?;
        self.transactions.remove(id);
        Ok(())
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        self.connections.caller(request.metadata())?;
        let info = FlightInfo::decode(query.info)
            .map_err(|error| Status::invalid_argument(format!("this holds no FlightInfo: {error}")))?;
        // The two enumerations have the same numbers.
        Ok(ActionCancelQueryResult { result: self.cancel(&info)? as i32 })
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Result<Response<<Self as FlightService>::DoActionStream>, Status> {
        self.connections.caller(request.metadata())?;
        let action = request.into_inner();
        if action.r#type != CANCEL_FLIGHT_INFO {
            let name: String = action.r#type.chars().take(100).collect();
            return Err(Status::unimplemented(format!(
                "no such action: {name:?}; ListActions names those there are"
            )));
        }
        let query = CancelFlightInfoRequest::decode(action.body).map_err(|error| {
            Status::invalid_argument(format!("this holds no CancelFlightInfoRequest: {error}"))
        })?;
        let status = self.cancel(&query.info.unwrap_or_default())?;
        let body = CancelFlightInfoResult::new(status).encode_to_vec();
        Ok(Response::new(stream::iter([Ok(arrow_flight::Result::new(body))]).boxed()))
    }

    async fn do_get_fallback(&self, _: Request<Ticket>, message: Any) -> DoGet {
        Err(Status::unimplemented(format!("there is nothing to get for {}", message.type_url)))
    }

    /// What this server can do is fixed, so nothing is registered.
    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

fn no_substrait() -> Status {
    Status::unimplemented("substrait plans are not offered: send SQL (SQLSTATE 0A000)")
}
