//! All series together: read partition by partition, side by side; worked on by threads beside those that drive queries;
//! then sent on.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Gate, Meter, Passage, Reading, Rows};
use crate::function::PanelOperator;
use crate::known::{KnownColumns, KnownTable};
use crate::series::Series;
use crate::source::Shape;
use crate::workers::Workers;

/// Bytes of a series beside its points: its vectors, its ids, and its row of results while they wait.
const OVERHEAD: usize = 512;

/// The rows of the panel.
pub(super) fn stream(
    operator: Arc<dyn PanelOperator>,
    shape: Arc<Shape>,
    (readings, known): (Vec<Reading>, Option<(SendableRecordBatchStream, Arc<KnownColumns>)>),
    rows: Rows,
    memory: MemoryReservation,
    meter: Meter,
    workers: Workers,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&rows.schema);
    let workers = workers.holding(memory.new_empty());
    let work = Work { operator, shape, memory, meter, workers };
    let batches = stream::once(work.run(readings, known, rows)).try_flatten();
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

struct Work {
    operator: Arc<dyn PanelOperator>,
    shape: Arc<Shape>,
    memory: MemoryReservation,
    meter: Meter,
    workers: Workers,
}

impl Work {
    async fn run(
        self,
        readings: Vec<Reading>,
        known: Option<(SendableRecordBatchStream, Arc<KnownColumns>)>,
        mut rows: Rows,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch>>> {
        let partitions: Vec<_> = readings
            .into_iter()
            .map(|reading| SpawnedTask::spawn(read_all(reading, self.memory.new_empty())))
            .collect();
        let known = match known {
            Some((known, columns)) => Some(self.read(known, &columns).await?),
            None => None,
        };
        let (mut panel, mut held) = (Vec::new(), Vec::new());
        for partition in partitions {
            let (series, memory) = partition
                .join_unwind()
                .await
                .map_err(|error| DataFusionError::Internal(format!("a partition was not read: {error}")))??;
            panel.extend(series);
            held.push(memory);
        }
        // Each partition is in order: runs to be merged.
        panel.sort_by(|one: &Series, other| order(&one.ids, &other.ids));
        if let Some(known) = &known {
            panel.iter_mut().for_each(|series| known.tell(series));
        }

        let stop = self.workers.stop_on_drop();
        let work = tokio::task::spawn_blocking(move || {
            let compute = self.meter.baseline.elapsed_compute().clone();
            let timer = compute.timer();
            let (mut panel, refusals) = self.sort(panel)?;
            let groups = self.operator.groups(&panel)?;
            self.memory.try_grow(groups.iter().map(|group| group.size() + OVERHEAD).sum())?;
            panel.extend(groups);
            let mut refusals = refusals.into_iter().peekable();
            let mut position = 0;
            let mut out = |columns: Vec<ArrayRef>| {
                let series = panel.get(position).ok_or_else(|| {
                    DataFusionError::Internal(format!("{} series have more results", panel.len()))
                })?;
                while let Some(refused) = refusals.next_if(|refused| refused.before <= position) {
                    rows.push(&refused.series, refused.columns)?;
                }
                self.memory.try_grow(payload(&columns)?)?;
                position += 1;
                rows.push(series, columns)
            };
            let mut process = || self.operator.process(&panel, &self.workers, &mut out);
            if panel.len() > 1 {
                self.workers.enter(process)?
            } else {
                process()?
            }
            drop(timer);
            if position < panel.len() {
                return Err(DataFusionError::Internal(format!(
                    "{} series have no result",
                    panel.len() - position
                )));
            }
            for refused in refusals {
                rows.push(&refused.series, refused.columns)?;
            }
            rows.finish()?;
            drop(held);
            Ok::<_, DataFusionError>((rows, self))
        });
        let (rows, work) = match work.await {
            Ok(done) => done?,
            Err(error) => {
                return Err(DataFusionError::Internal(format!("the panel was not worked on: {error}")));
            }
        };
        drop(stop);
        Ok(stream::iter(std::iter::from_fn({
            let mut rows = rows;
            move || {
                let batch = rows.next()?;
                work.meter.baseline.record_output(batch.num_rows());
                Some(Ok(batch))
            }
        }))
        .boxed())
    }

    /// Reads what is known of all series.
    async fn read(&self, mut known: SendableRecordBatchStream, columns: &KnownColumns) -> Result<KnownTable> {
        let (schema, mut batches, mut held) = (known.schema(), Vec::new(), 0);
        while let Some(batch) = known.next().await.transpose()? {
            // As they come, put together, and as vectors.
            held += 3 * batch.get_array_memory_size();
            self.memory.try_resize(held)?;
            batches.push(batch);
        }
        KnownTable::new(columns, &schema, &batches)
    }

    /// Takes out the series that there is nothing to do for, with their rows.
    fn sort(&self, all: Vec<Series>) -> Result<(Vec<Series>, Vec<Refused>)> {
        let (mut panel, mut refusals, mut gate) =
            (Vec::with_capacity(all.len()), Vec::new(), Gate::default());
        for series in all {
            match gate.admit(&series, &self.shape) {
                Passage::Skip => continue,
                Passage::Refuse(status, detail) => {
                    self.meter.refused.add(1);
                    let columns = self.operator.refuse(&series, status, &detail)?;
                    refusals.push(Refused { before: panel.len(), series, columns });
                }
                Passage::Work => panel.push(series),
            }
            self.meter.series.add(1);
        }
        Ok((panel, refusals))
    }
}

/// All series of a partition, and the memory that they take.
async fn read_all(
    mut reading: Reading,
    memory: MemoryReservation,
) -> Result<(Vec<Series>, MemoryReservation)> {
    let (mut panel, mut kept) = (Vec::new(), 0);
    while let Some(series) = reading.next(|held| memory.try_resize(kept + held)).await? {
        kept += series.size() + OVERHEAD;
        panel.push(series);
    }
    memory.try_resize(kept)?;
    Ok((panel, memory))
}

/// Bytes that the values of some columns take in a batch of many.
fn payload(columns: &[ArrayRef]) -> Result<usize> {
    let sizes = columns.iter().map(|column| column.to_data().get_slice_memory_size());
    Ok(sizes.sum::<Result<usize, _>>()?)
}

/// How ids are ordered: as the partitions are, NULL last.
fn order(one: &[ScalarValue], other: &[ScalarValue]) -> Ordering {
    let pairs = one.iter().zip(other);
    let order = |(one, other): (&ScalarValue, &ScalarValue)| {
        let nulls = one.is_null().cmp(&other.is_null());
        nulls.then_with(|| one.partial_cmp(other).unwrap_or(Ordering::Equal))
    };
    pairs.map(order).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// A series without a result, and its place among those that have one.
struct Refused {
    before: usize,
    series: Series,
    columns: Vec<ArrayRef>,
}
