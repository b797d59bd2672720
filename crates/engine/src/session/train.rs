//! CREATE MODEL and DROP MODEL: a call's function learns, and what it learned is kept in the warehouse.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::sql::sqlparser::ast::{Query, SelectItem, SetExpr, Statement as Ast, TableFactor};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use smartsneaks_lake::Version;
use smartsneaks_table_function::{ARGUMENTS, Function, METRICS, Purpose, STATE};

use super::{Session, TransactionState};
use crate::error::{Error, Kind};
use crate::models::{self, Registered, Training};
use crate::rows::Output;
use crate::statement::Statement;

/// What a call that learns gave.
struct Learned {
    /// How well that went, or the reason why it did not.
    metrics: String,
    /// The call's, as they would be written.
    arguments: String,
    state: Option<Vec<u8>>,
}

/// How a query that trains is written.
const FORM: &str = "write CREATE MODEL name AS SELECT * FROM forecast(…)";

impl Session {
    pub(super) async fn create_model(
        &self,
        statement: &Statement,
        name: &str,
        replace: bool,
    ) -> Result<Output, Error> {
        self.may_change_models("CREATE MODEL")?;
        let version = self.newest("CREATE MODEL").await?;
        let before = self.models(&version, name).await?;
        if !replace && !before.is_empty() {
            return Err(Error::new(Kind::InvalidParameter, format!("model {name} exists already"))
                .with_hint("CREATE OR REPLACE MODEL makes its next version, DROP MODEL removes it"));
        }
        let training = self.train_statement(statement, &version, name).await?;
        let number = before.keys().next_back().map_or(1, |last| last + 1);
        let mut transaction = self.begin_models(&version).await?;
        self.complete_models(&mut transaction).await?;
        models::keep(&mut transaction, (name, number), &training).await?;
        transaction.commit().await?;
        Ok(Output::Done("CREATE MODEL".to_owned()))
    }

    pub(super) async fn drop_model(&self, name: &str, if_exists: bool) -> Result<Output, Error> {
        self.may_change_models("DROP MODEL")?;
        let version = self.newest("DROP MODEL").await?;
        if self.models(&version, name).await?.is_empty() {
            if if_exists {
                return Ok(Output::Done("DROP MODEL".to_owned()));
            }
            return Err(Error::new(Kind::UndefinedTable, format!("there is no model {name}"))
                .with_hint("SELECT name, version FROM ml.models lists those that there are"));
        }
        let state = self.planning(Arc::clone(&version))?.state()?;
        let mut transaction = self.begin_models(&version).await?;
        models::forget(self.engine.lake(), &mut transaction, &state, name).await?;
        transaction.commit().await?;
        Ok(Output::Done("DROP MODEL".to_owned()))
    }

    /// The versions of a model that `version` of the warehouse has, by their numbers.
    ///
    /// # Errors
    /// When the warehouse can't be read.
    pub fn models<'a>(
        &'a self,
        version: &'a Arc<Version>,
        name: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<i64, Registered>, Error>> {
        Box::pin(async move {
            let state = self.planning(Arc::clone(version))?.state()?;
            models::registered(self.engine.lake(), version, &state, name).await
        })
    }

    /// Gives a run's registry the columns that an earlier release did not have: call it before [`models::keep`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn complete_models<'a>(
        &'a self,
        transaction: &'a mut smartsneaks_lake::Transaction,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let state = self.planning(Arc::clone(transaction.base()))?.state()?;
            models::complete(self.engine.lake(), transaction, &state).await?;
            Ok(())
        })
    }

    /// Trains a model called `name` by `query` on the version that this session reads, without keeping it.
    ///
    /// # Errors
    /// For a query that is not `SELECT * FROM` a function that learns, the query's own, and a reason why nothing could
    /// be learned.
    pub fn train<'a>(&'a self, query: &'a str, name: &'a str) -> BoxFuture<'a, Result<Training, Error>> {
        Box::pin(async move {
            let version = self.version().await?;
            self.train_statement(&one(self.parse(query)?)?, &version, name).await
        })
    }

    /// How well the newest version of model `name` does now on the series that `query` reads, as a JSON object; None
    /// where there is no such model.
    ///
    /// # Errors
    /// As for [`Session::train`].
    pub fn judge<'a>(
        &'a self,
        query: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, Error>> {
        Box::pin(async move {
            let version = self.version().await?;
            let planning = self.planning(Arc::clone(&version))?;
            let Some(model) = planning.model(name).await? else { return Ok(None) };
            let statement = one(self.parse(query)?)?;
            let metrics = self.learn(&statement, &version, Purpose::Judging(model)).await?.metrics;
            if serde_json::from_str::<serde_json::Value>(&metrics).is_ok_and(|metrics| metrics.is_object()) {
                return Ok(Some(metrics));
            }
            Err(Error::new(Kind::InvalidArgument, format!("model {name} can't be judged: {metrics}")))
        })
    }

    async fn train_statement(
        &self,
        statement: &Statement,
        version: &Arc<Version>,
        name: &str,
    ) -> Result<Training, Error> {
        let function = self.trained_function(statement)?;
        check_name(name, &function)?;
        let Learned { metrics, arguments, state } = self.learn(statement, version, Purpose::Training).await?;
        let state = state.ok_or_else(|| {
            Error::new(Kind::InvalidArgument, format!("nothing was learned for model {name}: {metrics}"))
        })?;
        Ok(Training {
            function: function.signature().name.to_owned(),
            query: statement.query_text().to_owned(),
            arguments,
            warehouse_version: version.number,
            metrics,
            state,
        })
    }

    /// Runs a query whose call learns.
    async fn learn(
        &self,
        statement: &Statement,
        version: &Arc<Version>,
        purpose: Purpose,
    ) -> Result<Learned, Error> {
        self.trained_function(statement)?;
        let rows = self.learning(statement, version, purpose).await?;
        let batches: Vec<RecordBatch> = rows.stream.try_collect().await?;
        let mut reason = None;
        for batch in &batches {
            let text = |name, row| Some(batch.column_by_name(name)?.as_string::<i32>().value(row).to_owned());
            let Some(states) = batch.column_by_name(STATE).map(|column| column.as_binary::<i32>()) else {
                continue;
            };
            for row in 0..batch.num_rows() {
                let metrics = text(METRICS, row).unwrap_or_default();
                if states.is_valid(row) {
                    let arguments = text(ARGUMENTS, row).unwrap_or_default();
                    return Ok(Learned { metrics, arguments, state: Some(states.value(row).to_vec()) });
                }
                reason.get_or_insert(metrics);
            }
        }
        let metrics = reason.unwrap_or_else(|| "there are no series".to_owned());
        Ok(Learned { metrics, arguments: String::new(), state: None })
    }

    /// The function that a query calls which is just `SELECT * FROM function(…)`.
    fn trained_function(&self, statement: &Statement) -> Result<Function, Error> {
        let name = match statement.ast().map(AsRef::as_ref) {
            Some(Ast::Query(query)) => only_call(query),
            _ => None,
        };
        let Some(name) = name else {
            let message =
                "a model is learned by one call, with everything that it reads inside its parentheses";
            return Err(Error::new(Kind::Syntax, message).with_hint(FORM));
        };
        self.engine.functions().get(&name).cloned().ok_or_else(|| {
            Error::new(Kind::UndefinedFunction, format!("{name} is not a function that learns"))
                .with_hint(FORM)
        })
    }

    fn may_change_models(&self, what: &str) -> Result<(), Error> {
        if self.transaction() != TransactionState::Idle {
            let message = format!("{what} cannot run inside a transaction block");
            return Err(Error::new(Kind::ActiveTransaction, message));
        }
        if self.owner || self.engine.settings().create_model {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, format!("{what} is not allowed over this connection")).with_hint(
            "run it with `smartsneaks sql` where the warehouse lies, or set serve.create_model = true",
        ))
    }

    /// The version that is read, which has to be the newest.
    async fn newest(&self, what: &str) -> Result<Arc<Version>, Error> {
        let version = self.version().await?;
        let head = self.engine.lake().head().await?;
        if version.number == head.number {
            return Ok(version);
        }
        let message = format!("{what} writes, and this session reads version {}", version.number);
        Err(Error::new(Kind::ReadOnly, message).with_hint("RESET warehouse.as_of"))
    }

    async fn begin_models(&self, version: &Version) -> Result<smartsneaks_lake::Transaction, Error> {
        let run_id = uuid::Uuid::now_v7().to_string();
        let mut transaction = self.engine.lake().begin(&run_id).await?;
        // Another statement that changes models meanwhile makes this one fail; a run of the ETL does not.
        transaction.depends_on(models::MODELS);
        if transaction.base().tables.get(models::MODELS) != version.tables.get(models::MODELS) {
            return Err(Error::new(Kind::Conflict, "models were changed by another statement meanwhile")
                .with_hint("run the statement again"));
        }
        Ok(transaction)
    }
}

/// A name must not mean something already, and must be writable in SQL without quotes.
fn check_name(name: &str, function: &Function) -> Result<(), Error> {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_')
        && name.len() <= 63;
    let taken = match function {
        Function::Series(function) => function.is_model(name),
        Function::Relation(_) => false,
    };
    match (plain, taken) {
        (true, false) => Ok(()),
        (true, true) => {
            let message = format!("{name} is a model of {} already", function.signature().name);
            Err(Error::new(Kind::InvalidParameter, message).with_hint("choose another name"))
        }
        (false, _) => Err(Error::new(Kind::InvalidParameter, format!("{name:?} is no name for a model"))
            .with_hint("a name is at most 63 lower-case letters, digits and _, and begins with no digit")),
    }
}

/// The name, in lower case, of the function that a query calls and does nothing else.
fn only_call(query: &Query) -> Option<String> {
    let bare = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none();
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let all = matches!(select.projection.as_slice(), [SelectItem::Wildcard(_)]);
    let [from] = select.from.as_slice() else { return None };
    let grouped = !matches!(&select.group_by, datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(by, _) if by.is_empty());
    let plain = bare
        && all
        && from.joins.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && !grouped;
    match &from.relation {
        TableFactor::Table { name, args: Some(_), .. } if plain => match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.to_lowercase()),
            _ => None,
        },
        _ => None,
    }
}

fn one(mut statements: Vec<Statement>) -> Result<Statement, Error> {
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => Err(Error::new(Kind::Syntax, "expected one query").with_hint(FORM)),
    }
}
