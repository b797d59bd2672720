//! The front doors on free ports of loopback, closed when the value goes.

use std::net::SocketAddr;
use std::sync::Arc;

use smartsneaks_engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// An engine that is served.
#[derive(Debug)]
pub struct Server {
    /// Address of the Postgres door.
    pub pg: SocketAddr,
    /// Address of the Flight SQL door.
    pub flight: SocketAddr,
    _shutdown: DropGuard,
}

impl Server {
    /// Opens both doors.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(engine: &Arc<Engine>) -> std::io::Result<Self> {
        let shutdown = CancellationToken::new();
        let pg = TcpListener::bind("127.0.0.1:0").await?;
        let flight = TcpListener::bind("127.0.0.1:0").await?;
        let (pg_address, flight_address) = (pg.local_addr()?, flight.local_addr()?);
        tokio::spawn(smartsneaks_pg::serve(pg, Arc::clone(engine), shutdown.clone()));
        tokio::spawn(smartsneaks_flight::serve(flight, Arc::clone(engine), shutdown.clone()));
        Ok(Self { pg: pg_address, flight: flight_address, _shutdown: shutdown.drop_guard() })
    }
}
