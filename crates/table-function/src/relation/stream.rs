//! The physical operator of functions that work on rows as they come.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use super::StreamOperator;
use crate::workers::Workers;

/// Runs a [`StreamOperator`] over its input. Rows keep their order; the operator spreads the work over threads.
#[derive(Debug)]
pub struct StreamExec {
    function: &'static str,
    operator: Arc<dyn StreamOperator>,
    source: String,
    input: Arc<dyn ExecutionPlan>,
    /// The second relation.
    other: Option<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl StreamExec {
    pub(crate) fn new(
        function: &'static str,
        operator: Arc<dyn StreamOperator>,
        source: String,
        schema: SchemaRef,
        (input, other): (Arc<dyn ExecutionPlan>, Option<Arc<dyn ExecutionPlan>>),
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { function, operator, source, input, other, properties: Arc::new(properties), metrics }
    }
}

impl DisplayAs for StreamExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, operator, source, .. } = self;
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "StreamExec: {function} {}, source={source}", operator.describe())
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "function={function}")?;
                writeln!(f, "{}", operator.describe())
            }
        }
    }
}

impl ExecutionPlan for StreamExec {
    fn name(&self) -> &'static str {
        "StreamExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; self.children().len()])
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        [&self.input].into_iter().chain(&self.other).collect()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let (input, other) = (children.next(), children.next());
        let (Some(input), true) = (input, other.is_some() == self.other.is_some()) else {
            return internal_err!("StreamExec takes as many inputs as it had");
        };
        let schema = Arc::clone(self.properties.eq_properties.schema());
        let (operator, source) = (Arc::clone(&self.operator), self.source.clone());
        Ok(Arc::new(Self::new(self.function, operator, source, schema, (input, other))))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        // Columns are read by position: there is no expression to evaluate.
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let other =
            self.other.as_ref().map(|other| other.execute(partition, Arc::clone(&context))).transpose()?;
        let workers = Workers::new(context.session_config().target_partitions());
        let stop = workers.stop_on_drop();
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = self.operator.stream(input, other, workers)?.map(move |batch| {
            let _stops_when_dropped = &stop;
            batch.inspect(|batch| baseline.record_output(batch.num_rows()))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
