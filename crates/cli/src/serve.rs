//! `smartsneaks serve`: opens the doors and waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use smartsneaks_engine::Engine;
use smartsneaks_etl::Selection;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Global;
use crate::failure::Failure;
use crate::run::{build, with_interrupt};

/// How long doors may take to close after a signal before the process ends all the same.
const DRAIN: Duration = Duration::from_millis(4500);

/// Where to serve.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Postgres door, HOST:PORT; port 0 takes a free one, off closes it [default: 127.0.0.1:5433]
    #[arg(long, value_name = "ADDR")]
    pg: Option<String>,
    /// Flight SQL door [default: 127.0.0.1:8815]
    #[arg(long, value_name = "ADDR")]
    flight: Option<String>,
    /// HTTP door: health and readiness [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
}

impl Serve {
    /// The first of the doors' flags that is given.
    pub(crate) fn first_flag(&self) -> Option<&'static str> {
        let flags = [("--pg", &self.pg), ("--flight", &self.flight), ("--http", &self.http)];
        flags.into_iter().find(|(_, value)| value.is_some()).map(|(flag, _)| flag)
    }

    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let flags = [("serve.pg", self.pg), ("serve.flight", self.flight), ("serve.http", self.http)];
        let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let project = global.project(flags)?;
        // Before the ready line: whoever reads it may send a signal at once.
        let mut stop = StopSignal::listen()?;
        let settings = &project.settings;
        // Doors are bound before the long work: a busy port is told at once.
        let pg = bind("Postgres", "--pg", settings.pg.as_deref()).await?;
        let flight = bind("Flight SQL", "--flight", settings.flight.as_deref()).await?;
        let http = bind("HTTP", "--http", settings.http.as_deref()).await?;
        let engine = Engine::open(settings.clone()).await?;
        let mut version = engine.lake().head().await.map_err(smartsneaks_engine::Error::from)?.number;
        if version == 0 {
            eprintln!("building the warehouse of {} for the first time", project.dir.display());
            let selection = Selection { trigger: Some("first start".to_owned()), ..Selection::default() };
            version = with_interrupt(build(&engine, &project, &selection)).await?.version;
        }
        let shutdown = CancellationToken::new();
        let mut doors = JoinSet::new();
        let addresses = [address(pg.as_ref()), address(flight.as_ref()), address(http.as_ref())];
        if let Some(listener) = pg {
            let (engine, shutdown) = (Arc::clone(&engine), shutdown.clone());
            doors.spawn(async move {
                smartsneaks_pg::serve(listener, engine, shutdown)
                    .await
                    .map_err(|e| format!("Postgres door: {e}"))
            });
        }
        if let Some(listener) = flight {
            let (engine, shutdown) = (Arc::clone(&engine), shutdown.clone());
            doors.spawn(async move {
                smartsneaks_flight::serve(listener, engine, shutdown)
                    .await
                    .map_err(|e| format!("Flight SQL door: {e}"))
            });
        }
        if let Some(listener) = http {
            let (engine, shutdown) = (Arc::clone(&engine), shutdown.clone());
            doors.spawn(async move {
                smartsneaks_http::serve(listener, engine, shutdown)
                    .await
                    .map_err(|e| format!("HTTP door: {e}"))
            });
        }
        let [pg, flight, http] = addresses.map(|a| a.map_or_else(|| "off".to_owned(), |a| a.to_string()));
        println!("ready version={version} pg={pg} flight={flight} http={http}");
        tell_how(&pg, &flight);
        wait(doors, shutdown, &mut stop).await
    }
}

async fn wait(
    mut doors: JoinSet<Result<(), String>>,
    shutdown: CancellationToken,
    stop: &mut StopSignal,
) -> Result<(), Failure> {
    let ended = tokio::select! {
        () = stop.received() => None,
        ended = doors.join_next(), if !doors.is_empty() => ended,
    };
    shutdown.cancel();
    let failed = match ended {
        Some(Ok(Err(message))) => Some(message),
        Some(Err(panicked)) => Some(format!("a door failed: {panicked}")),
        Some(Ok(Ok(()))) => Some("a door closed by itself".to_owned()),
        None => None,
    };
    let drained = async { while doors.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        eprintln!("some connections did not end in time and were cut");
    }
    failed.map_or(Ok(()), |message| Err(Failure::failed(message)))
}

/// Ctrl-C and SIGTERM, heard from the moment of [`StopSignal::listen`] on.
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Completes when one of them came.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn bind(door: &str, flag: &str, address: Option<&str>) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(e) => Err(Failure::usage(format!("cannot open the {door} door on {address}: {e}")).with_hint(
            format!("end what uses the port, or choose another with {flag} HOST:PORT ({flag} 127.0.0.1:0 takes a free one)"),
        )),
    }
}

fn address(listener: Option<&TcpListener>) -> Option<SocketAddr> {
    listener.and_then(|l| l.local_addr().ok())
}

/// How to connect, on stderr: stdout holds the ready line alone.
fn tell_how(pg: &str, flight: &str) {
    if let Some((host, port)) = pg.rsplit_once(':') {
        eprintln!("psql -h {host} -p {port} -U analyst smartsneaks");
    }
    if flight != "off" {
        eprintln!("Flight SQL: grpc://{flight}");
    }
    eprintln!("Ctrl-C ends it");
}
