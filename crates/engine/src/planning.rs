//! One statement's view of the world: the pinned version, and the DataFusion state that plans and runs against it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use datafusion::catalog::SchemaProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast;
use smartsneaks_lake::{Lake, Version};
use smartsneaks_table_function::{
    PlanContext, Purpose, SeriesCatalog, SeriesSpec, SqlArgument, SqlFunction, StoredModel,
};

use crate::catalog::Catalogs;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::opaque::Opaque;
use crate::postgres::PgCatalog;
use crate::statement::Statement;

/// A pinned version with what is needed to plan against it.
pub(crate) struct Planning {
    engine: Arc<Engine>,
    version: Arc<Version>,
    sources: Option<Arc<dyn SchemaProvider>>,
    pg_catalog: PgCatalog,
    template: Opaque<SessionState>,
    /// The kept models that the statement names, by what it calls them.
    models: Arc<Mutex<BTreeMap<String, Arc<StoredModel>>>>,
}

impl Planning {
    pub(crate) fn new(
        engine: Arc<Engine>,
        version: Arc<Version>,
        sources: Option<Arc<dyn SchemaProvider>>,
        pg_catalog: PgCatalog,
        template: Opaque<SessionState>,
    ) -> Arc<Self> {
        Arc::new(Self { engine, version, sources, pg_catalog, template, models: Arc::default() })
    }

    pub(crate) fn version(&self) -> &Arc<Version> {
        &self.version
    }

    pub(crate) fn lake(&self) -> &Arc<Lake> {
        self.engine.lake()
    }

    pub(crate) fn sources(&self) -> Option<&Arc<dyn SchemaProvider>> {
        self.sources.as_ref()
    }

    pub(crate) fn pg_catalog(self: &Arc<Self>) -> Arc<dyn SchemaProvider> {
        self.pg_catalog.schema(self)
    }

    /// The same at another version: what schema `"@12"` is read through.
    pub(crate) async fn at(&self, selector: &str) -> Result<Arc<Self>, Error> {
        let version = select_version(self.lake(), selector).await?;
        Ok(Arc::new(Self {
            engine: Arc::clone(&self.engine),
            version,
            sources: None,
            pg_catalog: self.pg_catalog.clone(),
            template: self.template.clone(),
            models: Arc::default(),
        }))
    }

    /// A DataFusion state whose names, series and mining functions mean this version.
    pub(crate) fn state(self: &Arc<Self>) -> Result<SessionState, Error> {
        self.state_for(Purpose::Rows)
    }

    /// The same for a statement whose outermost call has a purpose of its own.
    pub(crate) fn state_for(self: &Arc<Self>, purpose: Purpose) -> Result<SessionState, Error> {
        let mut state = SessionState::clone(&self.template);
        state.register_catalog_list(Arc::new(Catalogs::new(Arc::clone(self))));
        let context = PlanContext {
            version: i64::try_from(self.version.number).unwrap_or(i64::MAX),
            series: Arc::new(self.series()),
            purpose,
        };
        let planner =
            smartsneaks_table_function::relation_planner(Arc::clone(self.engine.functions()), context);
        state.register_relation_planner(planner)?;
        // now() is the moment at which the statement was planned.
        state.mark_start_execution();
        Ok(state)
    }

    fn series(&self) -> Series {
        Series { version: Arc::clone(&self.version), models: Arc::clone(&self.models) }
    }

    /// The kept model that `name` means.
    pub(crate) async fn model(self: &Arc<Self>, name: &str) -> Result<Option<Arc<StoredModel>>, Error> {
        let state = self.state()?;
        self.engine.models().find(self.lake(), &self.version, &state, name).await
    }

    /// Plans a parsed statement.
    pub(crate) async fn plan(
        self: &Arc<Self>,
        state: &SessionState,
        mut statement: ast::Statement,
    ) -> datafusion::error::Result<LogicalPlan> {
        smartsneaks_table_function::desugar(&mut statement, self.engine.functions(), &self.series())?;
        for name in smartsneaks_table_function::named_models(&statement) {
            let found =
                self.model(&name).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            if let Some(model) = found {
                self.models.lock().unwrap_or_else(PoisonError::into_inner).insert(name, model);
            }
        }
        state.statement_to_plan(DfStatement::Statement(Box::new(statement))).await
    }

    /// Plans the text of a view of this version.
    pub(crate) async fn plan_view(self: &Arc<Self>, sql: &str) -> Result<LogicalPlan, Error> {
        let statement = Statement::parse(sql)?
            .into_iter()
            .next()
            .and_then(|s| s.ast().cloned())
            .ok_or_else(|| Error::new(Kind::Internal, "a view without a statement"))?;
        let state = self.state()?;
        // Views may read views: the recursion needs a place on the heap.
        Ok(Box::pin(self.plan(&state, ast::Statement::clone(&statement))).await?)
    }
}

/// Finds the version that `selector` means: a number, a date (the end of that day, UTC) or a timestamp.
///
/// # Errors
/// [`Kind::InvalidParameter`] for text that is none of these, [`Kind::UndefinedSchema`] when there is no such version.
pub(crate) async fn select_version(lake: &Lake, selector: &str) -> Result<Arc<Version>, Error> {
    let selector = selector.trim();
    if let Ok(number) = selector.parse::<u64>() {
        return Ok(lake.version(number).await?);
    }
    let instant = instant(selector).ok_or_else(|| {
        Error::new(Kind::InvalidParameter, format!("\"{selector}\" names no warehouse version"))
            .with_hint("give a version number, a date such as 2026-11-01, or a timestamp; SELECT * FROM warehouse.versions lists them")
    })?;
    Ok(lake.at(instant).await?)
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc));
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.succ_opt()?.and_hms_opt(0, 0, 0)?.and_utc() - chrono::TimeDelta::microseconds(1));
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|at| at.and_utc())
}

/// The series that the models of a version declared, its functions in SQL, and the kept models that were asked for.
struct Series {
    version: Arc<Version>,
    models: Arc<Mutex<BTreeMap<String, Arc<StoredModel>>>>,
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Series(version {})", self.version.number)
    }
}

impl SeriesCatalog for Series {
    fn default_series(&self) -> Option<(Vec<String>, SeriesSpec)> {
        let name = self.version.properties.get("default_series")?.as_str()?;
        let (schema, table) = name.split_once('.').unwrap_or((crate::DEFAULT_SCHEMA, name));
        let parts = vec![schema.to_owned(), table.to_owned()];
        let spec = self.series(&parts)?;
        Some((parts, spec))
    }

    fn series(&self, parts: &[String]) -> Option<SeriesSpec> {
        let qualified = match parts {
            [table] => format!("{}.{table}", crate::DEFAULT_SCHEMA),
            [schema, table] if schema.starts_with('@') => format!("{}.{table}", crate::DEFAULT_SCHEMA),
            [schema, table] | [_, schema, table] => format!("{schema}.{table}"),
            _ => return None,
        };
        let properties = match self.version.tables.get(&qualified) {
            Some(table) => &table.properties,
            None => &self.version.views.get(&qualified)?.properties,
        };
        let series = properties.get("series")?;
        Some(SeriesSpec {
            id: series.get("id")?.as_array()?.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            time: series.get("time")?.as_str()?.to_owned(),
            value: series.get("value")?.as_str()?.to_owned(),
        })
    }

    fn sql_function(&self, name: &str) -> Option<SqlFunction> {
        let functions = self.version.properties.get("functions")?.as_array()?;
        sql_function(
            functions.iter().find(|function| function.get("name").is_some_and(|found| found == name))?,
        )
    }

    fn model(&self, name: &str) -> Option<Arc<StoredModel>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// A function in SQL as a warehouse version keeps it.
fn sql_function(kept: &serde_json::Value) -> Option<SqlFunction> {
    let text = |value: &serde_json::Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let arguments = kept.get("arguments")?.as_array()?.iter();
    let arguments = arguments.map(|argument| {
        Some(SqlArgument { name: text(argument, "name")?, default: text(argument, "default") })
    });
    Some(SqlFunction {
        name: text(kept, "name")?,
        arguments: arguments.collect::<Option<_>>()?,
        body: text(kept, "body")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_means_the_end_of_its_day() {
        let at = instant("2026-11-01").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-01T23:59:59.999999+00:00");
        assert!(instant("2026-11-01 12:30:00").is_some());
        assert!(instant("yesterday").is_none());
    }
}
