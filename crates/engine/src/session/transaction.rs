//! BEGIN … COMMIT: a pinned, read-only snapshot.

use std::sync::Arc;

use smartsneaks_lake::Version;

use super::Session;
use crate::error::{Error, Kind};
use crate::rows::Output;
use crate::variables::Variables;

/// Where a session stands, as Postgres' ReadyForQuery tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionState {
    /// Outside a transaction.
    Idle,
    /// Inside one.
    Open,
    /// Inside one that failed: nothing but its end is accepted.
    Failed,
}

#[derive(Debug, Default)]
pub(super) enum Transaction {
    #[default]
    Idle,
    Open(Open),
    Failed(Open),
}

/// What BEGIN keeps.
#[derive(Debug)]
pub(super) struct Open {
    version: Arc<Version>,
    /// Variables before BEGIN: what ROLLBACK goes back to.
    before: Variables,
    /// Variables without SET LOCAL: what COMMIT leaves.
    lasting: Variables,
}

impl Transaction {
    pub(super) fn version(&self) -> Option<&Arc<Version>> {
        match self {
            Self::Idle => None,
            Self::Open(open) | Self::Failed(open) => Some(&open.version),
        }
    }
}

impl Session {
    /// Where this session stands.
    #[must_use]
    pub fn transaction(&self) -> TransactionState {
        match self.state().transaction {
            Transaction::Idle => TransactionState::Idle,
            Transaction::Open(_) => TransactionState::Open,
            Transaction::Failed(_) => TransactionState::Failed,
        }
    }

    /// Tells that a statement failed: an open transaction accepts nothing but its end from now on.
    pub fn fail(&self) {
        let mut state = self.state();
        state.transaction = match std::mem::take(&mut state.transaction) {
            Transaction::Open(open) => Transaction::Failed(open),
            other => other,
        };
    }

    pub(super) async fn begin(&self, tag: &'static str) -> Result<Output, Error> {
        if self.transaction() != TransactionState::Idle {
            // PostgreSQL warns and goes on in the transaction that there is.
            return Ok(Output::Done(tag.to_owned()));
        }
        let version = self.version().await?;
        let mut state = self.state();
        let variables = state.variables.clone();
        state.transaction =
            Transaction::Open(Open { version, before: variables.clone(), lasting: variables });
        Ok(Output::Done(tag.to_owned()))
    }

    pub(super) fn commit(&self) -> Output {
        let mut state = self.state();
        match std::mem::take(&mut state.transaction) {
            Transaction::Idle => Output::Done("COMMIT".to_owned()),
            Transaction::Open(open) => {
                state.variables = open.lasting;
                Output::Done("COMMIT".to_owned())
            }
            // As PostgreSQL answers: what failed is rolled back, and the tag says so.
            Transaction::Failed(open) => {
                state.variables = open.before;
                Output::Done("ROLLBACK".to_owned())
            }
        }
    }

    pub(super) fn rollback(&self) -> Output {
        let mut state = self.state();
        if let Transaction::Open(open) | Transaction::Failed(open) = std::mem::take(&mut state.transaction) {
            state.variables = open.before;
        }
        Output::Done("ROLLBACK".to_owned())
    }

    /// SAVEPOINT and its kin: accepted in a transaction, since there is nothing to write that could be undone.
    /// ROLLBACK TO makes a failed transaction usable again.
    pub(super) fn in_transaction(&self, tag: &'static str) -> Result<Output, Error> {
        let mut state = self.state();
        state.transaction = match std::mem::take(&mut state.transaction) {
            Transaction::Idle => {
                return Err(Error::new(
                    Kind::NoActiveTransaction,
                    format!("{tag} can only be used in transaction blocks"),
                ));
            }
            Transaction::Failed(open) if tag == "ROLLBACK" => Transaction::Open(open),
            other => other,
        };
        Ok(Output::Done(tag.to_owned()))
    }

    pub(super) fn set(&self, name: &str, value: Option<&str>, local: bool) -> Result<Output, Error> {
        let mut state = self.state();
        state.variables.set(name, value)?;
        if let Transaction::Open(open) = &mut state.transaction
            && !local
        {
            open.lasting.set(name, value)?;
        }
        Ok(Output::Done(if value.is_some() { "SET" } else { "RESET" }.to_owned()))
    }

    pub(super) fn reset_all(&self, tag: &'static str) -> Output {
        let mut state = self.state();
        state.variables.reset();
        if let Transaction::Open(open) = &mut state.transaction {
            open.lasting.reset();
        }
        Output::Done(tag.to_owned())
    }

    pub(super) fn refuse_if_failed(&self) -> Result<(), Error> {
        if self.transaction() == TransactionState::Failed {
            return Err(Error::new(
                Kind::FailedTransaction,
                "current transaction is aborted, commands ignored until end of transaction block",
            )
            .with_hint("ROLLBACK ends it"));
        }
        Ok(())
    }
}
