//! Plain Flight around Flight SQL: GetSchema, PollFlightInfo, the list of actions, and commands that can't be read.
//!
//! `arrow_flight` turns any `FlightSqlService` into a `FlightService`, but answers these with "not yet implemented",
//! lists actions that nobody offers, and reports a malformed command as a failure of the server. So the door stands in
//! front and passes on what is left.

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    PollInfo, SchemaResult, Ticket,
};
use futures::stream::{self, StreamExt};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::encode::schema_bytes;
use crate::service::Service;

/// Actions that are offered, with what they do.
const ACTIONS: &[(&str, &str)] = &[
    ("CreatePreparedStatement", "prepares a statement: ActionCreatePreparedStatementRequest"),
    ("ClosePreparedStatement", "forgets a prepared statement: ActionClosePreparedStatementRequest"),
    ("BeginTransaction", "begins to read one version of the warehouse: ActionBeginTransactionRequest"),
    ("EndTransaction", "ends that: ActionEndTransactionRequest"),
    ("CancelFlightInfo", "stops a statement: CancelFlightInfoRequest"),
    ("CancelQuery", "stops a statement, in the older form: ActionCancelQueryRequest"),
];

/// The Flight service that clients reach.
#[derive(Debug)]
pub(crate) struct Door {
    service: Service,
}

impl Door {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }
}

/// Reads a Flight SQL command out of a descriptor or a ticket.
pub(crate) fn command(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes).map_err(|error| malformed(&error))?;
    Command::try_from(any).map_err(|error| malformed(&error))
}

fn malformed(error: &dyn std::fmt::Display) -> Status {
    Status::invalid_argument(format!("this holds no flight sql command: {error}"))
}

#[tonic::async_trait]
impl FlightService for Door {
    type HandshakeStream = <Service as FlightService>::HandshakeStream;
    type ListFlightsStream = <Service as FlightService>::ListFlightsStream;
    type DoGetStream = <Service as FlightService>::DoGetStream;
    type DoPutStream = <Service as FlightService>::DoPutStream;
    type DoActionStream = <Service as FlightService>::DoActionStream;
    type ListActionsStream = <Service as FlightService>::ListActionsStream;
    type DoExchangeStream = <Service as FlightService>::DoExchangeStream;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.service.handshake(request).await
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("there are no flights to list: ask for the tables with CommandGetTables"))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&request.get_ref().cmd)?;
        self.service.get_flight_info(request).await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let info = self.get_flight_info(request).await?.into_inner();
        Ok(Response::new(PollInfo { info: Some(info), progress: Some(1.0), ..PollInfo::default() }))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let command = command(&request.get_ref().cmd)?;
        let schema = self.service.schema_of(command, request.metadata()).await?;
        Ok(Response::new(SchemaResult { schema: schema_bytes(&schema)? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        command(&request.get_ref().ticket)?;
        self.service.do_get(request).await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        self.service.do_put(request).await
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let action = request.get_ref();
        if action.r#type != crate::service::CANCEL_FLIGHT_INFO {
            Any::decode(&*action.body).map_err(|error| malformed(&error))?;
        }
        self.service.do_action(request).await
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = ACTIONS.iter().map(|(name, description)| {
            Ok(ActionType { r#type: (*name).to_owned(), description: (*description).to_owned() })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange is not offered: use GetFlightInfo and DoGet"))
    }
}
