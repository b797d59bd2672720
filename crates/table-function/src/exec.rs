//! The physical operator: reads series by series, hands each to a [`SeriesOperator`] and emits its rows.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{BatchCoalescer, SortOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};

use crate::function::SeriesOperator;
use crate::series::{Cutter, MAX_POINTS, Series};
use crate::source::Shape;

/// Runs a [`SeriesOperator`] over its input, whose columns are ids…, time, value, until.
///
/// It asks for all rows of a series in one partition, sorted by time (the optimiser adds RepartitionExec and SortExec),
/// so it holds one series and one batch a partition, and every core works on series of its own. It yields after each
/// series: a query that is dropped stops within the time of one.
#[derive(Debug)]
pub struct SeriesExec {
    function: &'static str,
    operator: Arc<dyn SeriesOperator>,
    shape: Arc<Shape>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SeriesExec {
    pub(crate) fn new(
        function: &'static str,
        operator: Arc<dyn SeriesOperator>,
        shape: Arc<Shape>,
        schema: SchemaRef,
        input: Arc<dyn ExecutionPlan>,
    ) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { function, operator, shape, input, properties: Arc::new(properties), metrics }
    }

    fn column(&self, index: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new(self.input.schema().field(index).name(), index))
    }
}

impl DisplayAs for SeriesExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "SeriesExec: {} {}, {}", self.function, self.operator.describe(), self.shape)
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "function={}", self.function)?;
                writeln!(f, "{}", self.operator.describe())
            }
        }
    }
}

impl ExecutionPlan for SeriesExec {
    fn name(&self) -> &'static str {
        "SeriesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let columns = (0..self.shape.partition_columns()).map(|index| self.column(index)).collect::<Vec<_>>();
        InputDistributionRequirements::new(vec![if columns.is_empty() {
            Distribution::SinglePartition
        } else {
            Distribution::KeyPartitioned(columns)
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        // Ids, time, and the value too: floats that are summed give the same bits only in the same order.
        let options = SortOptions { descending: false, nulls_first: false };
        let columns =
            (0..self.shape.ids.len() + 2).map(|index| PhysicalSortExpr::new(self.column(index), options));
        vec![LexOrdering::new(columns).map(OrderingRequirements::from)]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("SeriesExec takes one input");
        };
        let schema = Arc::clone(self.properties.eq_properties.schema());
        let (operator, shape) = (Arc::clone(&self.operator), Arc::clone(&self.shape));
        Ok(Arc::new(Self::new(self.function, operator, shape, schema, input)))
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
        let schema = self.schema();
        let work = Work {
            input: self.input.execute(partition, Arc::clone(&context))?,
            exhausted: false,
            cutter: Cutter::new(self.shape.ids.len()),
            operator: Arc::clone(&self.operator),
            shape: Arc::clone(&self.shape),
            known_key: None,
            output: BatchCoalescer::new(Arc::clone(&schema), context.session_config().batch_size()),
            schema: Arc::clone(&schema),
            memory: MemoryConsumer::new(format!("SeriesExec[{partition}]")).register(context.memory_pool()),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            series: MetricBuilder::new(&self.metrics).counter("series", partition),
            refused: MetricBuilder::new(&self.metrics).counter("series_refused", partition),
        };
        let batches = stream::try_unfold(work, |mut work| async move {
            let batch = work.next_batch().await?;
            Ok(batch.map(|batch| (batch, work)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition under way.
struct Work {
    input: SendableRecordBatchStream,
    exhausted: bool,
    cutter: Cutter,
    operator: Arc<dyn SeriesOperator>,
    shape: Arc<Shape>,
    /// The key of the last series that had rows.
    known_key: Option<ScalarValue>,
    output: BatchCoalescer,
    schema: SchemaRef,
    memory: MemoryReservation,
    baseline: BaselineMetrics,
    series: Count,
    refused: Count,
}

impl Work {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.output.next_completed_batch() {
                self.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if self.exhausted {
                return Ok(None);
            }
            if let Some(series) = self.cutter.next()? {
                self.process(&series)?;
                // Fitting a model takes milliseconds: give others, and whoever cancels, their turn.
                tokio::task::yield_now().await;
                continue;
            }
            match self.input.next().await.transpose()? {
                Some(batch) => {
                    self.cutter.push(&batch)?;
                    self.memory.try_resize(self.cutter.size() + batch.get_array_memory_size())?;
                }
                None => {
                    self.exhausted = true;
                    if let Some(series) = self.cutter.finish() {
                        self.process(&series)?;
                    }
                    self.output.finish_buffered_batch()?;
                }
            }
        }
    }

    fn process(&mut self, series: &Series) -> Result<()> {
        let compute = self.baseline.elapsed_compute().clone();
        let _timer = compute.timer();
        let columns = if series.rows == 0 {
            // Other series of the same key had rows: this one is only the key's announcement.
            if self.shape.key && series.ids.first() == self.known_key.as_ref() {
                return Ok(());
            }
            self.refused.add(1);
            let (status, detail) = self.shape.missing(series.ids.first());
            self.operator.refuse(series, status, &detail)?
        } else if series.left_out > 0 {
            self.refused.add(1);
            let points = series.times.len() + series.left_out;
            let detail =
                format!("{points} points, at most {MAX_POINTS} are read: sum them by hour or day first");
            self.operator.refuse(series, "too_long", &detail)?
        } else {
            self.operator.process(series)?
        };
        if series.rows > 0 {
            self.known_key = series.ids.first().cloned();
        }
        self.series.add(1);
        let rows = columns.first().map_or(0, |column| column.len());
        let ids = series.ids.iter().map(|id| id.to_array_of_size(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let columns = ids.into_iter().chain(columns).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.output.push_batch(batch)?;
        Ok(())
    }
}
