//! Kit for table functions, over series and over plain rows: `forecast('SKU1', horizon => 28)` in FROM, with named arguments in any order and
//! with a key, an array of keys, `'*'`, `TABLE name` or a sub-query as the first one.
//!
//! # The life of a call
//!
//! 1. [`tokenize`] writes `(SELECT * FROM t)` for `TABLE t`, which sqlparser would not take as an argument.
//! 2. [`desugar`] writes the tables that a call reads into the parsed statement, because DataFusion looks
//!    tables up before it plans.
//! 3. The [`relation_planner`] checks the arguments against the function's [`Signature`] and plans
//!    the relation as ordinary filters and aggregates below a `SeriesFunction` node. Parameters (`$1`) stay expressions
//!    with their type set, so `LogicalPlan::get_parameter_types` knows them and `with_param_values` replaces them.
//! 4. The [`extension_planner`] makes a [`SeriesExec`] of the node: all rows of a series in one partition,
//!    sorted by time, handed series by series to the function's [`SeriesOperator`], or all together to its
//!    [`PanelOperator`].
//!
//! A function over plain rows ([`RelationFunction`]: clusters, key drivers) goes the same way without series: its
//! columns are bound at 3, and at 4 a [`RelationExec`] hands it all rows at once, or a [`StreamExec`] as they come.
//!
//! # What an engine calls
//!
//! ```text
//! let registry = Arc::new(Registry::new(smartsneaks_forecast::functions()));            // once
//! let tokens = tokenize(sql, &PostgreSqlDialect {})?;                                   // a statement's text
//! let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
//! let mut statement = parser.parse_statement()?;
//! desugar(&mut statement, &registry, &catalog)?;                                        // before tables are looked up
//! let context = PlanContext { version, series: Arc::new(catalog), purpose: Purpose::Rows };
//! state.register_relation_planner(relation_planner(registry, context))?;                // a state of its own per version
//! // and in its QueryPlanner: DefaultPhysicalPlanner::with_extension_planners(vec![extension_planner()])
//! ```
//!
//! A fault of the user comes as an [`ArgumentError`] inside the `DataFusionError`: [`ArgumentError::find`]. A parameter's
//! value is checked when it is bound (`with_param_values`) and so may fail there in the same words.
//!
//! The text of a view goes through steps 1 and 2 like any statement. [`desugar`] also refuses `SELECT
//! forecast('SKU1')`, which DataFusion would call an unknown scalar function.
//!
//! A reference resolver sees the name of the function itself as a table, too (`forecast`): one that isn't found must
//! not fail the statement.

mod argument;
mod columns;
mod desugar;
mod error;
mod exec;
mod function;
mod given;
mod key;
mod known;
mod node;
mod parallel;
mod planner;
mod relation;
mod series;
mod signature;
mod source;
mod sql_function;
mod stored;
mod tokens;
mod workers;

use std::sync::Arc;

use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::physical_planner::ExtensionPlanner;

pub use argument::Arguments;
pub use desugar::desugar;
pub use error::ArgumentError;
pub use exec::SeriesExec;
pub use function::{
    Call, Function, Operator, PanelOperator, PlanContext, Registry, SeriesCatalog, SeriesOperator,
    SeriesSpec, Sink, TableFunction, refusal,
};
pub use known::Known;
pub use parallel::{Run, for_each, in_order};
pub use relation::{
    Binding, OtherRelation, RelationCall, RelationExec, RelationFunction, RelationOperator, RelationWork,
    StreamExec, StreamOperator,
};
pub use series::{MAX_POINTS, Series};
pub use signature::{Argument, Kind, Signature};
pub use sql_function::{SqlArgument, SqlFunction};
pub use stored::{ARGUMENTS, METRICS, Purpose, STATE, StoredModel, Trained, Trainer, named_models};
pub use tokens::{rewrite_tokens, tokenize};
pub use workers::Workers;

/// Plans calls of the functions in `registry` for statements that read the version in `context`.
pub fn relation_planner(registry: Arc<Registry>, context: PlanContext) -> Arc<dyn RelationPlanner> {
    Arc::new(planner::TableFunctionPlanner::new(registry, context))
}

/// Makes physical operators of planned calls.
pub fn extension_planner() -> Arc<dyn ExtensionPlanner + Send + Sync> {
    Arc::new(node::FunctionPlanner)
}
