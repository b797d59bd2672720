//! The logical node of a call over a relation.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;

use super::{Binding, RelationCall, RelationExec, RelationFunction, RelationWork, StreamExec};
use crate::argument::constant;
use crate::error::ArgumentError;
use crate::node::Pending;

/// A call over its planned input, whose columns are those of [`Binding::input`].
#[derive(Debug, Clone)]
pub(crate) struct RelationNode {
    pub(crate) function: Arc<dyn RelationFunction>,
    pub(crate) call: RelationCall,
    /// Arguments that are not known yet: parameters, `now()`.
    pub(crate) pending: Vec<Pending>,
    pub(crate) binding: Arc<Binding>,
    pub(crate) input: LogicalPlan,
    /// The second relation.
    pub(crate) other: Option<LogicalPlan>,
    pub(crate) schema: DFSchemaRef,
}

impl RelationNode {
    /// The operator with the arguments that are known; with `complete`, all have to be.
    pub(crate) fn operator(&self, complete: bool) -> Result<RelationWork> {
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
        Ok(self.function.operator(&call, &self.binding)?)
    }

    /// The physical operator over a physical input.
    pub(crate) fn physical(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        other: Option<&Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = Arc::new(self.schema.as_arrow().clone());
        let (name, source) = (self.function.signature().name, self.call.label.clone());
        let input = Arc::clone(input);
        Ok(match self.operator(true)? {
            RelationWork::Whole(operator) => {
                Arc::new(RelationExec::new(name, operator, source, schema, (input, other.cloned())))
            }
            RelationWork::Stream(operator) => {
                Arc::new(StreamExec::new(name, operator, source, schema, (input, other.cloned())))
            }
        })
    }

    /// What makes two nodes equal, beside the input.
    fn identity(&self) -> (&'static str, String, Vec<&Expr>) {
        let pending = self.pending.iter().map(|pending| &pending.expr).collect();
        (self.function.signature().name, format!("{:?} {:?}", self.call, self.binding), pending)
    }
}

impl PartialEq for RelationNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.input == other.input && self.other == other.other
    }
}

impl Eq for RelationNode {}

impl Hash for RelationNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.input.hash(state);
        self.other.hash(state);
    }
}

impl PartialOrd for RelationNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.identity().partial_cmp(&other.identity())? {
            Ordering::Equal => (&self.input, &self.other).partial_cmp(&(&other.input, &other.other)),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for RelationNode {
    fn name(&self) -> &str {
        "RelationFunction"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        [&self.input].into_iter().chain(&self.other).collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.pending.iter().map(|pending| pending.expr.clone()).collect()
    }

    /// Every row may change every other row's result: no condition goes below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let all = |plan: &LogicalPlan| (0..plan.schema().fields().len()).collect();
        Some([&self.input].into_iter().chain(&self.other).map(all).collect())
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelationFunction: {}", self.function.signature().name)?;
        if let Ok(operator) = self.operator(false) {
            write!(f, " {}", operator.describe())?;
        }
        for Pending { argument, expr, .. } in &self.pending {
            write!(f, ", {}={expr}", argument.name)?;
        }
        write!(f, ", source={}", self.call.label)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let other = if self.other.is_some() { inputs.pop() } else { None };
        let (Some(input), true) = (inputs.pop(), exprs.len() == self.pending.len()) else {
            return internal_err!("RelationFunction got {} expressions and no input", exprs.len());
        };
        let mut node = Self { input, other, ..self.clone() };
        for (pending, expr) in node.pending.iter_mut().zip(exprs) {
            pending.expr = expr;
        }
        // A parameter that has just become a value is checked here, before anything runs.
        node.operator(false)?;
        Ok(node)
    }
}
