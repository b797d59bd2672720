//! Listening, admitting, and going down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smartsneaks_engine::Engine;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cancel::Registry;
use crate::connection::{Connection, Ending};
use crate::frontend::{Broken, Frames};
use crate::replies::Replies;
use crate::report::Report;
use crate::startup::{Purpose, negotiate};

/// How long a client may take to say who it is.
const STARTUP: Duration = Duration::from_secs(10);
/// How long statements may go on when the server goes down.
const DRAIN: Duration = Duration::from_secs(3);
/// How long the server waits for connections to notice that it ends.
const CLOSE: Duration = Duration::from_secs(1);
/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_millis(500);
/// Connections beyond `serve.max_connections` that may be between accept and start-up: for cancel requests and for
/// telling the others that there is no room.
const ANTEROOM: usize = 64;
/// When a silent client is probed, so that vanished machines don't hold connections for ever.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Why the Postgres door could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener is reachable from other machines, but nobody would be asked for a password.
    #[error(
        "the postgres door would be open to the network without passwords: expected a loopback address, found {0}"
    )]
    Exposed(SocketAddr),
    /// The listener is unusable.
    #[error("the postgres door cannot listen: {0}")]
    Listener(#[from] io::Error),
}

/// Serves Postgres clients until `shutdown` is cancelled: then no connection is accepted any more, statements that run
/// may go on for three seconds, and whoever is left is told 57P01. Returns when all connections are closed.
///
/// # Errors
/// [`Error::Exposed`] when the listener's address is not a loopback one: every client is trusted for now.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let address = listener.local_addr()?;
    if !address.ip().to_canonical().is_loopback() {
        return Err(Error::Exposed(address));
    }
    let connections = engine.settings().max_connections;
    let door = Arc::new(Door {
        engine,
        registry: Arc::default(),
        seats: Semaphore::new(connections),
        ending: Ending::default(),
    });
    let anteroom = Arc::new(Semaphore::new(ANTEROOM));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Without a place even for the start-up, the client waits in the backlog until one leaves.
                let place = tokio::select! {
                    () = shutdown.cancelled() => break,
                    place = Arc::clone(&anteroom).acquire_owned() => place,
                };
                let Ok(place) = place else { break };
                let door = Arc::clone(&door);
                tasks.spawn(async move {
                    let mut place = Some(place);
                    let outcome = door.admit(socket, || drop(place.take())).await;
                    if let Err(e) = outcome {
                        tracing::debug!(%peer, "connection ended: {e}");
                    }
                });
            }
            Err(e) => {
                // Usually too many open files: wait for some to close rather than spin.
                tracing::warn!("cannot accept a postgres connection: {e}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    door.ending.drain.cancel();
    if timeout(DRAIN, tasks.wait()).await.is_err() {
        door.ending.abort.cancel();
        // Whoever still holds on after that goes down with the runtime.
        let _ = timeout(CLOSE, tasks.wait()).await;
    }
    Ok(())
}

#[derive(Debug)]
struct Door {
    engine: Arc<Engine>,
    registry: Arc<Registry>,
    seats: Semaphore,
    ending: Ending,
}

impl Door {
    async fn admit(&self, socket: TcpStream, leave_anteroom: impl FnOnce()) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
        socket2::SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
        let (read, write) = socket.into_split();
        let mut frames = Frames::new(read);
        let outcome = self.host(&mut frames, Replies::new(write), leave_anteroom).await;
        // Both halves are closed on our side by now; let the client read what it was told.
        let _ = timeout(LINGER, frames.drain()).await;
        outcome
    }

    async fn host<R, W>(
        &self,
        frames: &mut Frames<R>,
        mut replies: Replies<W>,
        leave_anteroom: impl FnOnce(),
    ) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let met = tokio::select! {
            met = timeout(STARTUP, negotiate(frames, &mut replies)) => met,
            () = self.ending.drain.cancelled() => Ok(Err(Broken::Protocol(Report::shutdown()))),
        };
        let (options, long_secret) = match met {
            Ok(Ok(Some(Purpose::Session { options, long_secret }))) => (options, long_secret),
            Ok(Ok(Some(Purpose::Cancel { id, secret }))) => {
                self.registry.cancel(id, &secret);
                return replies.close().await;
            }
            Ok(Ok(None) | Err(Broken::Socket)) => return Ok(()),
            Ok(Err(Broken::Protocol(report))) => return refuse(replies, &report).await,
            Err(_) => {
                return refuse(replies, &Report::fatal("57014", "the start-up took too long")).await;
            }
        };
        let Ok(_seat) = self.seats.try_acquire() else {
            let limit = self.engine.settings().max_connections;
            let report = Report::fatal("53300", "sorry, too many clients already")
                .with_detail(format!("serve.max_connections is {limit}"))
                .with_hint("close a connection, or raise serve.max_connections");
            return refuse(replies, &report).await;
        };
        leave_anteroom();
        let session = self.engine.session(options);
        let registration = self.registry.register(&session, long_secret);
        Connection::new(session, registration, replies).serve(frames, &self.ending).await
    }
}

/// Tells a client why it can't come in.
async fn refuse<W: AsyncWrite + Unpin>(mut replies: Replies<W>, report: &Report) -> io::Result<()> {
    replies.report(report)?;
    timeout(LINGER, replies.close()).await.unwrap_or(Ok(()))
}
