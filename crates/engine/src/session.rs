//! One connection's state: variables, transaction, pinned version, and the statement under way.

mod execute;
mod photo_models;
mod prepare;
mod train;
mod transaction;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::catalog::SchemaProvider;
use datafusion::execution::SessionState;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use smartsneaks_lake::Version;

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::interrupt::{Interrupt, Reason};
use crate::opaque::Opaque;
use crate::planning::{Planning, select_version};
use crate::postgres::PgCatalog;
use crate::rows::{Output, Rows};
use crate::statement::Statement;
use crate::variables::Variables;

pub use prepare::Prepared;
use transaction::Transaction;
pub use transaction::TransactionState;

/// Who connects and with what.
#[derive(Default)]
pub struct SessionOptions {
    /// The user's name; empty is `analyst`.
    pub user: String,
    /// The database that was asked for; there is one, `smartsneaks`.
    pub database: String,
    /// The client's name for itself.
    pub application_name: String,
    /// Variables to set at start, as from `options=-c name=value`.
    pub settings: Vec<(String, String)>,
    /// Tables of schema `raw`: the ETL's declared sources. No front door gives any.
    pub sources: Option<Arc<dyn SchemaProvider>>,
    /// The session is its process's own, not a client's: it may create models.
    pub owner: bool,
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("user", &self.user)
            .field("database", &self.database)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

/// One connection. Statements are parsed once, planned once and streamed; see the crate's documentation.
///
/// A session runs one statement at a time as far as variables and transactions go; [`Session::cancel`] may be called
/// from anywhere.
pub struct Session {
    id: i32,
    engine: Arc<Engine>,
    user: String,
    sources: Option<Arc<dyn SchemaProvider>>,
    owner: bool,
    state: Mutex<State>,
    running: Mutex<Vec<Interrupt>>,
}

/// What statements change.
#[derive(Debug, Default)]
struct State {
    variables: Variables,
    transaction: Transaction,
    pinned: Option<Arc<Version>>,
    /// See [`Session::template`].
    template: Option<(Variables, Opaque<SessionState>)>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>, id: i32, options: SessionOptions) -> Arc<Self> {
        let user = if options.user.is_empty() { "analyst".to_owned() } else { options.user };
        let mut defaults =
            vec![("application_name", options.application_name), ("session_authorization", user.clone())];
        if let Some(limit) = engine.settings().statement_timeout {
            defaults.push(("statement_timeout", format!("{}ms", limit.as_millis())));
        }
        let mut variables = Variables::new(&defaults);
        for (name, value) in &options.settings {
            // As PostgreSQL does with unknown start-up options of drivers: what is not ours is not an error here.
            let _ = variables.set(name, Some(value));
        }
        Arc::new(Self {
            id,
            engine,
            user,
            sources: options.sources,
            owner: options.owner,
            state: Mutex::new(State { variables, ..State::default() }),
            running: Mutex::new(Vec::new()),
        })
    }

    /// A number that no other session of this process has; Postgres clients see it as the backend's process id.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The engine that this session belongs to.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Parses text into its statements; text without any gives one empty statement.
    ///
    /// # Errors
    /// 42601 with the position of what could not be read.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, Error> {
        let parsed = Statement::parse(sql);
        if parsed.is_err() {
            self.fail();
        }
        parsed
    }

    /// Runs each statement of `sql` in turn. The rows of one are live while the next runs: meant for scripts whose
    /// statements set something or return little.
    ///
    /// # Errors
    /// The first statement's that fails; those before it stand.
    pub fn run<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Vec<Output>, Error>> {
        Box::pin(async move {
            let mut out = Vec::new();
            for statement in self.parse(sql)? {
                let prepared = self.prepare(&statement, &[]).await?;
                out.push(self.execute(&prepared, &[]).await?);
            }
            Ok(out)
        })
    }

    /// Runs one statement that returns rows.
    ///
    /// # Errors
    /// The statement's own, and [`Kind::Syntax`] when it is not exactly one statement with rows.
    pub fn query<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Rows, Error>> {
        self.query_with(sql, &[])
    }

    /// [`Session::query`] with values for `$1`, `$2`, ….
    ///
    /// # Errors
    /// As for [`Session::query`].
    pub fn query_with<'a>(
        &'a self,
        sql: &'a str,
        parameters: &'a [ScalarValue],
    ) -> BoxFuture<'a, Result<Rows, Error>> {
        Box::pin(async move {
            let statements = self.parse(sql)?;
            let [statement] = statements.as_slice() else {
                return Err(Error::new(
                    Kind::Syntax,
                    format!("expected one statement, found {}", statements.len()),
                ));
            };
            let prepared = self.prepare(statement, &[]).await?;
            match self.execute(&prepared, parameters).await? {
                Output::Rows(rows) => Ok(rows),
                Output::Done(tag) => Err(Error::new(Kind::Syntax, format!("{tag} returns no rows"))),
                Output::Empty => Err(Error::new(Kind::Syntax, "expected a statement, found none")),
            }
        })
    }

    /// [`Session::query`], all rows at once: for small results.
    ///
    /// # Errors
    /// As for [`Session::query`].
    pub fn collect<'a>(
        &'a self,
        sql: &'a str,
    ) -> BoxFuture<'a, Result<Vec<arrow::record_batch::RecordBatch>, Error>> {
        Box::pin(async move { self.query(sql).await?.stream.try_collect().await })
    }

    /// Stops the statement under way, if any, with SQLSTATE 57014.
    pub fn cancel(&self) {
        self.interrupt(Reason::Cancelled);
    }

    /// Stops the statement under way, if any, because the server ends, with SQLSTATE 57P01.
    pub fn shut_down(&self) {
        self.interrupt(Reason::Shutdown);
    }

    /// Whether a statement is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let mut running = lock(&self.running);
        running.retain(|i| !i.is_stopped());
        !running.is_empty()
    }

    fn interrupt(&self, reason: Reason) {
        for interrupt in lock(&self.running).drain(..) {
            interrupt.stop(reason);
        }
    }

    fn begin_statement(&self) -> Interrupt {
        let interrupt = Interrupt::default();
        let mut running = lock(&self.running);
        running.retain(|i| !i.is_stopped());
        running.push(interrupt.clone());
        drop(running);
        interrupt.arm(self.state().variables.statement_timeout());
        interrupt
    }

    /// The value of a variable, as SHOW gives it; `None` when there is no such variable.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        self.state().variables.get(name)
    }

    /// What Postgres clients are told at start: name and value.
    #[must_use]
    pub fn reported_settings(&self) -> Vec<(&'static str, String)> {
        self.state().variables.reported()
    }

    /// Reads exactly this version from now on; `None` goes back to the newest (or `warehouse.as_of`).
    pub fn pin(&self, version: Option<Arc<Version>>) {
        self.state().pinned = version;
    }

    /// The version that the next statement reads.
    ///
    /// # Errors
    /// When the log cannot be read or `warehouse.as_of` names no version.
    pub fn version(&self) -> BoxFuture<'_, Result<Arc<Version>, Error>> {
        Box::pin(async move {
            let as_of = {
                let state = self.state();
                if let Some(version) = state.transaction.version().or(state.pinned.as_ref()) {
                    return Ok(Arc::clone(version));
                }
                state.variables.get("warehouse.as_of").unwrap_or_default()
            };
            if as_of.trim().is_empty() {
                Ok(self.engine.lake().head().await?)
            } else {
                select_version(self.engine.lake(), &as_of).await
            }
        })
    }

    fn planning(&self, version: Arc<Version>) -> Result<Arc<Planning>, Error> {
        let template = self.template()?;
        let pg_catalog = PgCatalog::new(&self.user, &self.state().variables);
        Ok(Planning::new(Arc::clone(&self.engine), version, self.sources.clone(), pg_catalog, template))
    }

    /// The state that every statement starts from, until a variable changes.
    fn template(&self) -> Result<Opaque<SessionState>, Error> {
        let mut state = self.state();
        if let Some((variables, template)) = &state.template
            && *variables == state.variables
        {
            return Ok(template.clone());
        }
        let mut template = self.engine.template().clone();
        let timezone = state.variables.get("timezone").unwrap_or_default();
        template.config_mut().options_mut().execution.time_zone = Some(timezone);
        let template = Opaque::new(crate::postgres::for_session(template, self, &state.variables)?);
        state.template = Some((state.variables.clone(), template.clone()));
        Ok(template)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A lock whose holder panicked still guards whole values: each is replaced in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
