//! The Flight SQL door: Arrow results over gRPC for ADBC, JDBC, ODBC and any other Flight SQL client.
//!
//! The life of a query: `GetFlightInfo` reaches [`service`], which finds out who calls ([`connection`]), opens an engine
//! session for the statement and plans it ([`statement`]); the plan is kept under a ticket ([`registry`]). `DoGet`
//! brings the ticket back, the statement runs on the version that it was planned on, and [`encode`] sends the batches as
//! fast as the client reads. Prepared statements ([`prepared`]) add parameters ([`binding`]); the catalog commands are
//! answered by [`catalog`], [`sql_info`], [`type_info`] and [`keys`]; [`door`] adds the calls of plain Flight.
//!
//! The door knows the engine's `Session` and nothing below it.

mod binding;
mod catalog;
mod connection;
mod door;
mod encode;
mod keys;
mod prepared;
mod registry;
mod service;
mod sql_info;
mod statement;
mod status;
mod transaction;
mod type_info;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use smartsneaks_engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::door::Door;
use crate::service::Service;

/// Largest message that is taken from a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Most calls at a time on one connection; the rest wait.
const MAX_CALLS_PER_CONNECTION: u32 = 200;
/// A connection that is silent for this long is asked for a sign of life, so that the queries of a dead client end.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What a client may hold on the server, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Life time of a ticket, from GetFlightInfo on.
    pub ticket_lifetime: Duration,
    /// Most outstanding tickets of all clients together.
    pub tickets: usize,
    /// How long a prepared statement or a transaction lives without being used.
    pub idle_lifetime: Duration,
    /// Most prepared statements of all clients together, and as many transactions.
    pub prepared_statements: usize,
    /// How long a handshake's token lives without being used.
    pub token_lifetime: Duration,
    /// Most tokens.
    pub tokens: usize,
    /// How long statements under way may take to end once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ticket_lifetime: Duration::from_secs(10 * 60),
            tickets: 4096,
            idle_lifetime: Duration::from_secs(4 * 3600),
            prepared_statements: 10_000,
            token_lifetime: Duration::from_secs(24 * 3600),
            tokens: 10_000,
            drain: Duration::from_millis(2500),
        }
    }
}

/// Why the door could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is open to others, and this door asks nobody for a password.
    #[error(
        "flight sql trusts every client, so it listens on loopback only, not on {0}: use 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// The listener is of no use.
    #[error("can't read the address that flight sql listens on: {0}")]
    Listener(#[from] std::io::Error),
    /// gRPC failed.
    #[error("flight sql stopped: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves Flight SQL on `listener` until `shutdown`; then takes no more calls, and returns when those under way have
/// ended, or after 3 seconds at most.
///
/// # Errors
/// When the listener is not on loopback, or can't be served.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    serve_with(listener, engine, Limits::default(), shutdown).await
}

/// [`serve`] with limits of the caller's choice.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with(
    listener: TcpListener,
    engine: Arc<Engine>,
    limits: Limits,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback(address));
    }
    let stop = CancellationToken::new();
    let service = Service::new(engine, &limits, stop.clone());
    let server = FlightServiceServer::new(Door::new(service)).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let served = Server::builder()
        .max_concurrent_streams(MAX_CALLS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(server)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(limits.drain).await;
        // Streams that are read now end with an error; those that nobody reads are left behind.
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(400)).await;
    };
    tokio::select! {
        result = served => Ok(result?),
        () = drained => Ok(()),
    }
}
