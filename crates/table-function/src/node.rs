//! The logical node of a call, and the step to its physical operator.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchemaRef, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::argument::constant;
use crate::error::ArgumentError;
use crate::exec::SeriesExec;
use crate::function::{Call, Operator, TableFunction};
use crate::known::KnownColumns;
use crate::relation::RelationNode;
use crate::signature::Argument;
use crate::source::Shape;
use crate::stored::{Purpose, TrainingOperator};

/// A call over its planned input, whose columns are ids…, time, value, until.
#[derive(Debug, Clone)]
pub(crate) struct SeriesNode {
    pub(crate) function: Arc<dyn TableFunction>,
    pub(crate) call: Call,
    /// Arguments that are not known yet: parameters, `now()`.
    pub(crate) pending: Vec<Pending>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) input: LogicalPlan,
    /// The second relation: ids…, time, values….
    pub(crate) known: Option<LogicalPlan>,
    pub(crate) known_columns: Option<Arc<KnownColumns>>,
    pub(crate) schema: DFSchemaRef,
}

/// An argument without a value yet.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) argument: &'static Argument,
    pub(crate) expr: Expr,
    pub(crate) span: Option<Span>,
}

impl SeriesNode {
    /// The operator with the arguments that are known; with `complete`, all have to be.
    pub(crate) fn operator(&self, complete: bool) -> Result<Operator> {
        let mut call = self.call.clone();
        for Pending { argument, expr, span } in &self.pending {
            match constant(expr) {
                Some(value) => call.arguments.give(argument, &value, *span)?,
                None if complete => {
                    let message = format!("{} must be a constant, not {expr}", argument.name);
                    return Err(ArgumentError::new(self.function.signature().name, message)
                        .with_span(*span)
                        .into());
                }
                None => {}
            }
        }
        Ok(match call.purpose {
            Purpose::Rows => self.function.operator(&call)?,
            _ => {
                let (trainer, arguments) = (self.function.trainer(&call)?, call.arguments.to_sql());
                Operator::Panel(Arc::new(TrainingOperator { trainer, arguments }))
            }
        })
    }

    /// What makes two nodes equal, beside the input.
    fn identity(&self) -> (&'static str, String, Vec<&Expr>, &Shape) {
        let pending = self.pending.iter().map(|pending| &pending.expr).collect();
        (self.function.signature().name, format!("{:?}", self.call), pending, &self.shape)
    }
}

impl PartialEq for SeriesNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.input == other.input && self.known == other.known
    }
}

impl Eq for SeriesNode {}

impl Hash for SeriesNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.input.hash(state);
        self.known.hash(state);
    }
}

impl PartialOrd for SeriesNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.identity().partial_cmp(&other.identity())? {
            Ordering::Equal => (&self.input, &self.known).partial_cmp(&(&other.input, &other.known)),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for SeriesNode {
    fn name(&self) -> &str {
        "SeriesFunction"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        [&self.input].into_iter().chain(&self.known).collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.pending.iter().map(|pending| pending.expr.clone()).collect()
    }

    /// Conditions on id columns choose whole series and may go below, unless a key's announcement has to meet all
    /// series of the key, or series learn from each other: WHERE chooses rows and must not change them.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let alone = matches!(self.operator(false), Ok(Operator::Series(_)));
        let whole = self.shape.partition_columns() == self.shape.ids.len();
        let free = if alone && whole { self.shape.ids.len() } else { 0 };
        self.schema.fields().iter().skip(free).map(|field| field.name().clone()).collect()
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(
            UserDefinedLogicalNodeCore::inputs(self)
                .iter()
                .map(|input| (0..input.schema().fields().len()).collect())
                .collect(),
        )
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesFunction: {}", self.function.signature().name)?;
        if let Ok(operator) = self.operator(false) {
            write!(f, " {}", operator.describe())?;
        }
        for Pending { argument, expr, .. } in &self.pending {
            write!(f, ", {}={expr}", argument.name)?;
        }
        write!(f, ", {}", self.shape)?;
        match &self.known_columns {
            Some(known) => write!(f, ", known=[{}]", known.names.join(", ")),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let known = if self.known.is_some() { inputs.pop() } else { None };
        let (Some(input), true) = (inputs.pop(), exprs.len() == self.pending.len()) else {
            return internal_err!("SeriesFunction got {} expressions and no input", exprs.len());
        };
        let mut node = Self { input, known, ..self.clone() };
        for (pending, expr) in node.pending.iter_mut().zip(exprs) {
            pending.expr = expr;
        }
        // A parameter that has just become a value is checked here, before anything runs.
        node.operator(false)?;
        Ok(node)
    }
}

/// Makes physical operators of calls; see the crate's documentation for where it is registered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FunctionPlanner;

#[async_trait]
impl ExtensionPlanner for FunctionPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let [input, known @ ..] = physical_inputs else { return Ok(None) };
        if let Some(node) = node.as_any().downcast_ref::<RelationNode>() {
            return Ok(Some(node.physical(input, known.first())?));
        }
        let Some(node) = node.as_any().downcast_ref::<SeriesNode>() else { return Ok(None) };
        let schema = Arc::new(node.schema.as_arrow().clone());
        let (operator, shape) = (node.operator(true)?, Arc::clone(&node.shape));
        let known = known.first().cloned().zip(node.known_columns.clone());
        let name = node.function.signature().name;
        Ok(Some(Arc::new(SeriesExec::new(name, operator, shape, schema, Arc::clone(input), known)?)))
    }
}
