//! The physical operator: all rows in; then they are sorted and worked on by threads of its own; then its rows out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{ProjectionExec, make_with_child};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{RelationOperator, order};
use crate::workers::Workers;

/// Runs a [`RelationOperator`] over all rows of its input.
///
/// Rows are held in memory under the query's limit, twice while they are put together or sorted.
#[derive(Debug)]
pub struct RelationExec {
    function: &'static str,
    operator: Arc<dyn RelationOperator>,
    source: String,
    input: Arc<dyn ExecutionPlan>,
    /// The second relation.
    other: Option<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RelationExec {
    pub(crate) fn new(
        function: &'static str,
        operator: Arc<dyn RelationOperator>,
        source: String,
        schema: SchemaRef,
        (input, other): (Arc<dyn ExecutionPlan>, Option<Arc<dyn ExecutionPlan>>),
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { function, operator, source, input, other, properties: Arc::new(properties), metrics }
    }
}

impl DisplayAs for RelationExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, operator, source, .. } = self;
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "RelationExec: {function} {}, source={source}", operator.describe())
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "function={function}")?;
                writeln!(f, "{}", operator.describe())
            }
        }
    }
}

impl ExecutionPlan for RelationExec {
    fn name(&self) -> &'static str {
        "RelationExec"
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
            return internal_err!("RelationExec takes as many inputs as it had");
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

    /// The projection stays, over an operator that leaves out what it doesn't read.
    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let read = projection.expr().iter().flat_map(|one| collect_columns(&one.expr));
        let read: Vec<usize> =
            read.map(|column| column.index()).collect::<BTreeSet<_>>().into_iter().collect();
        let Some(operator) = self.operator.narrowed(&read) else { return Ok(None) };
        let (schema, source) = (self.schema(), self.source.clone());
        let inputs = (Arc::clone(&self.input), self.other.clone());
        let narrowed = Arc::new(Self::new(self.function, operator, source, schema, inputs));
        make_with_child(projection, &(narrowed as Arc<dyn ExecutionPlan>)).map(Some)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        // Columns are read by position: there is no expression to evaluate.
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let memory = MemoryConsumer::new("RelationExec").register(context.memory_pool());
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let other = self.other.as_ref().map(|other| other.execute(partition, Arc::clone(&context)));
        let other = other.transpose()?;
        let operator = Arc::clone(&self.operator);
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let workers = Workers::new(context.session_config().target_partitions());
        let size = context.session_config().batch_size();
        let work = async move {
            let mut held = 0;
            let (schema, batches) = read(input, &mut held, &memory).await?;
            let other = match other {
                Some(other) => Some(read(other, &mut held, &memory).await?),
                None => None,
            };
            let stop = workers.stop_on_drop();
            let compute = baseline.elapsed_compute().clone();
            let work = tokio::task::spawn_blocking(move || {
                let _timer = compute.timer();
                let rows = concat_batches(&schema, &batches)?;
                drop(batches);
                let rows = order::sorted(rows, &workers)?;
                let Some((schema, batches)) = other else {
                    return workers.enter(|| operator.process(&rows, &workers));
                };
                let other = concat_batches(&schema, &batches)?;
                drop(batches);
                workers.enter(|| operator.process_beside(&rows, &other, &workers))
            });
            let result = match work.await {
                Ok(result) => result?,
                Err(error) => {
                    return Err(DataFusionError::Execution(format!(
                        "the relation was not worked on: {error}"
                    )));
                }
            };
            drop(stop);
            memory.try_resize(result.get_array_memory_size())?;
            let starts = (0..result.num_rows()).step_by(size.max(1));
            let pieces = starts.map(move |start| result.slice(start, size.min(result.num_rows() - start)));
            Ok(stream::iter(pieces.collect::<Vec<RecordBatch>>()).map(move |batch| {
                baseline.record_output(batch.num_rows());
                let _held = &memory;
                Ok(batch)
            }))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(work).try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// All rows of an input, which memory for twice as many is kept for.
async fn read(
    mut input: SendableRecordBatchStream,
    held: &mut usize,
    memory: &MemoryReservation,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let (schema, mut batches) = (input.schema(), Vec::new());
    while let Some(batch) = input.next().await.transpose()? {
        // A place in the order takes 8 bytes, and is there twice, too.
        *held += batch.get_array_memory_size() + 8 * batch.num_rows();
        memory.try_resize(2 * *held)?;
        batches.push(batch);
    }
    Ok((schema, batches))
}
