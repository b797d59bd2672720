//! Stopping a statement: one flag that everything which runs for it looks at.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use datafusion::error::DataFusionError;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind};

/// Why a statement was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// A cancel request, or the client went away.
    Cancelled = 1,
    /// `statement_timeout` passed.
    Timeout = 2,
    /// The server stops.
    Shutdown = 3,
}

/// The flag of one statement. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    token: CancellationToken,
    reason: Arc<AtomicU8>,
}

impl Interrupt {
    /// Stops the statement; the first reason given stands.
    pub(crate) fn stop(&self, reason: Reason) {
        let _ = self.reason.compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
        self.token.cancel();
    }

    /// Whether the statement was stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Whether somebody stopped it, as opposed to it being over.
    pub(crate) fn was_stopped(&self) -> bool {
        self.reason.load(Ordering::SeqCst) != 0
    }

    /// An error once the statement was stopped: what CPU loops call.
    pub(crate) fn check(&self) -> Result<(), DataFusionError> {
        if self.is_stopped() { Err(DataFusionError::External(Box::new(self.interrupted()))) } else { Ok(()) }
    }

    /// Completes when the statement is stopped.
    pub(crate) async fn stopped(&self) -> Interrupted {
        self.token.cancelled().await;
        self.interrupted()
    }

    fn interrupted(&self) -> Interrupted {
        Interrupted(match self.reason.load(Ordering::SeqCst) {
            2 => Reason::Timeout,
            3 => Reason::Shutdown,
            _ => Reason::Cancelled,
        })
    }

    /// Stops the statement after `limit`; the timer ends with the statement.
    ///
    /// It runs on the calling (I/O) runtime, so that a query which keeps every CPU thread busy is stopped all the same.
    pub(crate) fn arm(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return };
        let interrupt = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(limit) => interrupt.stop(Reason::Timeout),
                () = interrupt.token.cancelled() => {}
            }
        });
    }

    /// Ends the timer and makes stragglers stop, once the statement is over.
    pub(crate) fn finish(&self) {
        self.token.cancel();
    }
}

/// The error of a stopped statement, as it travels through DataFusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted(pub(crate) Reason);

impl Interrupted {
    pub(crate) fn error(self) -> Error {
        match self.0 {
            Reason::Cancelled => Error::new(Kind::Cancelled, "canceling statement due to user request"),
            Reason::Timeout => Error::new(Kind::Timeout, "canceling statement due to statement timeout")
                .with_hint("SET statement_timeout gives it more time; 0 switches the limit off"),
            Reason::Shutdown => {
                Error::new(Kind::ShuttingDown, "terminating connection due to administrator command")
            }
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error().message())
    }
}

impl std::error::Error for Interrupted {}
