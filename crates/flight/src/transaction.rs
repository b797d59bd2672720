//! Transactions: snapshots that a client holds by an id.
//!
//! The warehouse is written by its ETL alone, so a transaction here only reads, and all that it needs is the version
//! that it reads. Committing and rolling back do the same: they let go of the version.

use std::sync::Arc;

use arrow_flight::sql::{ActionEndTransactionRequest, EndTransaction};
use smartsneaks_engine::Session;
use tonic::Status;

use crate::status::status;

/// An open transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// A session that stands still on the version which the transaction reads.
    anchor: Arc<Session>,
}

impl Transaction {
    /// Begins on the version that `session` reads now.
    pub(crate) async fn begin(session: Arc<Session>) -> Result<Self, Status> {
        let version = session.version().await.map_err(|error| status(&error))?;
        session.pin(Some(version));
        Ok(Self { anchor: session })
    }

    /// Makes `session` read the version of the transaction.
    pub(crate) async fn enter(&self, session: &Session) -> Result<(), Status> {
        session.pin(Some(self.anchor.version().await.map_err(|error| status(&error))?));
        Ok(())
    }
}

/// Checks that a request to end a transaction says how.
pub(crate) fn check_end(request: &ActionEndTransactionRequest) -> Result<(), Status> {
    match EndTransaction::try_from(request.action) {
        Ok(EndTransaction::Commit | EndTransaction::Rollback) => Ok(()),
        _ => Err(Status::invalid_argument(
            "ending a transaction takes COMMIT or ROLLBACK, and neither was given",
        )),
    }
}
