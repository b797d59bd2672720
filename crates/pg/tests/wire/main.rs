//! The Postgres door, spoken to over real sockets: by tokio-postgres, and byte by byte where a driver would hide what
//! matters.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod admission;
mod extended;
mod raw;
mod simple;
mod stopping;

use std::net::SocketAddr;

use smartsneaks_engine::{Engine, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// A server with an empty warehouse on a free port.
struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), smartsneaks_pg::Error>>,
}

impl Server {
    async fn start() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::embedded("memory:");
        change(&mut settings);
        let engine = Engine::open(settings).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(smartsneaks_pg::serve(listener, engine, shutdown.clone()));
        Self { address, shutdown, task }
    }

    /// A tokio-postgres client.
    async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let config = format!(
            "host=127.0.0.1 port={} user=tester dbname=smartsneaks application_name=wire",
            self.address.port()
        );
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}
