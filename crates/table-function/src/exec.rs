//! The physical operator: reads series by series, hands each to a [`SeriesOperator`](crate::SeriesOperator), or all of
//! them to a [`PanelOperator`](crate::PanelOperator), and emits their rows.

mod panel;
mod stream;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{BatchCoalescer, SortOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
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
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use crate::function::Operator;
use crate::known::KnownColumns;
use crate::series::{Cutter, MAX_POINTS, Series};
use crate::source::Shape;
use crate::workers::Workers;

/// Runs an [`Operator`] over its input, whose columns are ids…, time, value, until.
///
/// Series by series, it asks for all rows of a series in one partition, sorted by time (the optimiser adds
/// RepartitionExec and SortExec), so it holds one series and one batch a partition, and every core works on series of
/// its own; it yields after each. A panel it reads from all partitions at once and works on with threads of its own. Either
/// way a query that is dropped stops within the time of one series.
#[derive(Debug)]
pub struct SeriesExec {
    function: &'static str,
    operator: Operator,
    shape: Arc<Shape>,
    input: Arc<dyn ExecutionPlan>,
    known: Option<(Arc<dyn ExecutionPlan>, Arc<KnownColumns>)>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SeriesExec {
    pub(crate) fn new(
        function: &'static str,
        operator: Operator,
        shape: Arc<Shape>,
        schema: SchemaRef,
        input: Arc<dyn ExecutionPlan>,
        known: Option<(Arc<dyn ExecutionPlan>, Arc<KnownColumns>)>,
    ) -> Result<Self> {
        if known.is_some() && !matches!(operator, Operator::Panel(_)) {
            return internal_err!("{function} reads a second relation series by series");
        }
        let partitions = match &operator {
            Operator::Series(_) => input.output_partitioning().partition_count(),
            Operator::Panel(_) => 1,
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { function, operator, shape, input, known, properties: Arc::new(properties), metrics })
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
        let mut requirements = vec![if columns.is_empty() {
            Distribution::SinglePartition
        } else {
            Distribution::KeyPartitioned(columns)
        }];
        requirements.extend(self.known.iter().map(|_| Distribution::SinglePartition));
        InputDistributionRequirements::new(requirements)
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        // Ids, time, and the value too: floats that are summed give the same bits only in the same order.
        let options = SortOptions { descending: false, nulls_first: false };
        let columns =
            (0..self.shape.ids.len() + 2).map(|index| PhysicalSortExpr::new(self.column(index), options));
        let mut orders = vec![LexOrdering::new(columns).map(OrderingRequirements::from)];
        if let Some((known, columns)) = &self.known {
            let schema = known.schema();
            let column = |index: usize| -> Arc<dyn PhysicalExpr> {
                Arc::new(Column::new(schema.field(index).name(), index))
            };
            // Values that are summed as they come have to come in the same order.
            let sorted = if columns.summed { schema.fields().len() } else { columns.ids.len() + 1 };
            let columns = (0..sorted).map(|index| PhysicalSortExpr::new(column(index), options));
            orders.push(LexOrdering::new(columns).map(OrderingRequirements::from));
        }
        orders
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        [&self.input].into_iter().chain(self.known.iter().map(|(known, _)| known)).collect()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let (Some(input), known, None) = (children.next(), children.next(), children.next()) else {
            return internal_err!("SeriesExec takes one input or two");
        };
        let known = known.zip(self.known.as_ref().map(|(_, columns)| Arc::clone(columns)));
        let schema = Arc::clone(self.properties.eq_properties.schema());
        let (operator, shape) = (self.operator.clone(), Arc::clone(&self.shape));
        Ok(Arc::new(Self::new(self.function, operator, shape, schema, input, known)?))
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
        let reading = |partition| {
            let input = self.input.execute(partition, Arc::clone(&context))?;
            Ok(Reading { input, cutter: Cutter::new(self.shape.ids.len()), exhausted: false })
        };
        let rows = Rows::new(self, &context);
        let memory = MemoryConsumer::new(format!("SeriesExec[{partition}]")).register(context.memory_pool());
        let meter = Meter {
            baseline: BaselineMetrics::new(&self.metrics, partition),
            series: MetricBuilder::new(&self.metrics).counter("series", partition),
            refused: MetricBuilder::new(&self.metrics).counter("series_refused", partition),
        };
        Ok(match &self.operator {
            Operator::Series(operator) => {
                let (operator, shape) = (Arc::clone(operator), Arc::clone(&self.shape));
                stream::stream(operator, shape, reading(partition)?, rows, memory, meter)
            }
            Operator::Panel(operator) => {
                let workers = Workers::new(context.session_config().target_partitions());
                let shape = Arc::clone(&self.shape);
                let partitions = self.input.output_partitioning().partition_count();
                let readings = (0..partitions).map(reading).collect::<Result<Vec<_>>>()?;
                let known = match &self.known {
                    Some((known, columns)) => {
                        Some((known.execute(0, Arc::clone(&context))?, Arc::clone(columns)))
                    }
                    None => None,
                };
                panel::stream(Arc::clone(operator), shape, (readings, known), rows, memory, meter, workers)
            }
        })
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// What a partition counts.
struct Meter {
    baseline: BaselineMetrics,
    series: Count,
    refused: Count,
}

/// The series of a partition, cut out of its batches.
struct Reading {
    input: SendableRecordBatchStream,
    cutter: Cutter,
    exhausted: bool,
}

impl Reading {
    /// The next series that is complete; `None` when there are no more.
    /// `held` is told how many bytes are held after each batch.
    async fn next(&mut self, mut held: impl FnMut(usize) -> Result<()>) -> Result<Option<Series>> {
        loop {
            if let Some(series) = self.cutter.next()? {
                return Ok(Some(series));
            }
            if self.exhausted {
                return Ok(None);
            }
            match self.input.next().await.transpose()? {
                Some(batch) => {
                    self.cutter.push(&batch)?;
                    held(self.cutter.size() + batch.get_array_memory_size())?;
                }
                None => {
                    self.exhausted = true;
                    return Ok(self.cutter.finish());
                }
            }
        }
    }
}

/// Output batches under way: rows of a series with its ids in front.
struct Rows {
    schema: SchemaRef,
    coalescer: BatchCoalescer,
}

impl Rows {
    fn new(exec: &SeriesExec, context: &TaskContext) -> Self {
        let schema = exec.schema();
        let coalescer = BatchCoalescer::new(Arc::clone(&schema), context.session_config().batch_size());
        Self { schema, coalescer }
    }

    fn push(&mut self, series: &Series, columns: Vec<ArrayRef>) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        let ids = series.ids.iter().map(|id| id.to_array_of_size(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let columns = ids.into_iter().chain(columns).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.coalescer.push_batch(batch)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(self.coalescer.finish_buffered_batch()?)
    }

    fn next(&mut self) -> Option<RecordBatch> {
        self.coalescer.next_completed_batch()
    }
}

/// Tells which series can be worked on, in the order in which they come.
#[derive(Default)]
struct Gate {
    /// The key of the last series that had rows.
    known_key: Option<ScalarValue>,
}

enum Passage {
    /// There is work to do.
    Work,
    /// The one row that says why there is none: its status and detail.
    Refuse(&'static str, String),
    /// Other series of the same key had rows: this one is only the key's announcement.
    Skip,
}

impl Gate {
    fn admit(&mut self, series: &Series, shape: &Shape) -> Passage {
        if series.rows == 0 {
            if shape.key && series.ids.first() == self.known_key.as_ref() {
                return Passage::Skip;
            }
            let (status, detail) = shape.missing(series.ids.first());
            return Passage::Refuse(status, detail);
        }
        self.known_key = series.ids.first().cloned();
        if series.left_out > 0 {
            let points = series.times.len() + series.left_out;
            let detail =
                format!("{points} points, at most {MAX_POINTS} are read: sum them by hour or day first");
            return Passage::Refuse("too_long", detail);
        }
        Passage::Work
    }
}
