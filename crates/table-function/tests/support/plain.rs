//! A plain DataFusion session that knows table functions: tests of their crates include this file.
#![allow(dead_code, reason = "not every crate's tests need all of it")]

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use smartsneaks_table_function::{
    ArgumentError, PlanContext, Purpose, Registry, SeriesCatalog, SeriesSpec, desugar, extension_planner,
    relation_planner, tokenize,
};

/// Every table called `sku_city_daily` has a series header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Catalog {
    /// Name parts of the default series table.
    pub(crate) default: Option<&'static [&'static str]>,
}

impl SeriesCatalog for Catalog {
    fn default_series(&self) -> Option<(Vec<String>, SeriesSpec)> {
        let parts: Vec<String> = self.default?.iter().map(|part| (*part).to_owned()).collect();
        self.series(&parts).map(|spec| (parts, spec))
    }

    fn series(&self, parts: &[String]) -> Option<SeriesSpec> {
        parts.last().filter(|name| *name == "sku_city_daily").map(|_| SeriesSpec {
            id: vec!["sku".into(), "city".into()],
            time: "date".into(),
            value: "qty".into(),
        })
    }
}

#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![extension_planner()]);
        planner.create_physical_plan(plan, session).await
    }
}

/// A session that reads version 12, without tables.
pub(crate) fn session(registry: Registry, catalog: Catalog, config: SessionConfig) -> SessionContext {
    let version = PlanContext { version: 12, series: Arc::new(catalog), purpose: Purpose::Rows };
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_query_planner(Arc::new(Planner))
        .with_relation_planners(vec![relation_planner(Arc::new(registry), version)])
        .build();
    SessionContext::new_with_state(state)
}

/// Makes a batch a table.
pub(crate) fn register(context: &SessionContext, name: &str, batch: RecordBatch) {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    context.register_table(name, Arc::new(table)).unwrap();
}

/// Parses, desugars and plans a statement.
pub(crate) async fn plan(
    context: &SessionContext,
    registry: &Registry,
    catalog: Catalog,
    sql: &str,
) -> Result<LogicalPlan> {
    let tokens = tokenize(sql, &PostgreSqlDialect {}).unwrap();
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
    let mut statement = parser.parse_statement()?;
    desugar(&mut statement, registry, &catalog)?;
    context.state().statement_to_plan(Statement::Statement(Box::new(statement))).await
}

/// The rows of a plan.
pub(crate) async fn collect(context: &SessionContext, plan: LogicalPlan) -> Result<RecordBatch> {
    let frame = context.execute_logical_plan(plan).await?;
    let schema = Arc::clone(frame.schema().inner());
    Ok(concat_batches(&schema, &frame.collect().await?).unwrap())
}

/// The fault of the user that an error is about.
pub(crate) fn fault_of(sql: &str, error: &DataFusionError) -> ArgumentError {
    ArgumentError::find(error).unwrap_or_else(|| panic!("{sql}: {error}")).clone()
}

/// A value as text.
pub(crate) fn cell(batch: &RecordBatch, column: &str, row: usize) -> String {
    array_value_to_string(batch.column_by_name(column).unwrap(), row).unwrap()
}
