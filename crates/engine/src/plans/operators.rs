//! Physical operators that run again.
//!
//! Operators carry state from one execution to the next, so one set of them belongs to one execution at a time: who finds
//! none at rest makes new ones. They go back to rest only after their last row, since what was broken off may still be
//! at work, and only those whose state is known to be made anew by [`reset_plan_states`]: no join, nothing whose
//! conditions grow while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::DynamicFilterTracking;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;

/// Executions of a set of operators: those that scan files add to their measurements each time.
const RUNS: u32 = 32;
/// Operators that have no state, or that make it anew.
const RESETTABLE: [&str; 19] = [
    "AggregateExec",
    "BoundedWindowAggExec",
    "CoalescePartitionsExec",
    "DataSourceExec",
    "EmptyExec",
    "FilterExec",
    "GlobalLimitExec",
    "LocalLimitExec",
    "PanelExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RelationExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SeriesExec",
    "SortExec",
    "SortPreservingMergeExec",
    "UnionExec",
    "WindowAggExec",
];

/// Operators of one execution.
#[derive(Debug)]
pub(crate) struct Operators {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    /// Executions that were begun.
    runs: u32,
}

/// A place for the operators of an execution that is over.
#[derive(Debug, Default)]
pub(crate) struct Rest(Mutex<Option<Operators>>);

impl Operators {
    pub(crate) fn new(plan: Arc<dyn ExecutionPlan>) -> Self {
        Self { plan, runs: 1 }
    }
}

impl Rest {
    /// The operators at rest, made ready for one execution.
    pub(crate) fn take(&self) -> Option<Operators> {
        let Operators { plan, runs } = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Operators { plan: reset_plan_states(plan).ok()?, runs: runs + 1 })
    }

    /// Whether there are none.
    #[cfg(test)]
    pub(crate) fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Lays operators to rest whose execution came to its end, where they can run again: what that takes is done when
    /// they do.
    pub(crate) fn put(&self, operators: Operators) {
        // Those that ran again were looked at before.
        let again = if operators.runs == 1 {
            is_resettable(&operators.plan).unwrap_or(false)
        } else {
            operators.runs < RUNS
        };
        if again {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(operators);
        }
    }
}

fn is_resettable(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut resettable = true;
    plan.apply(|node| {
        resettable &= RESETTABLE.contains(&node.name());
        node.apply_expressions(&mut |expr| {
            resettable &= !DynamicFilterTracking::classify(expr).contains_dynamic_filter();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if resettable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(resettable)
}
