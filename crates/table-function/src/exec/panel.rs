//! All series together: read, worked on by threads beside those that drive queries, then sent on.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
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
    (reading, known): (Reading, Option<(SendableRecordBatchStream, Arc<KnownColumns>)>),
    rows: Rows,
    memory: MemoryReservation,
    meter: Meter,
    workers: Workers,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&rows.schema);
    let work = Work { operator, shape, memory, meter, workers };
    let batches = stream::once(work.run(reading, known, rows)).try_flatten();
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
        mut reading: Reading,
        known: Option<(SendableRecordBatchStream, Arc<KnownColumns>)>,
        mut rows: Rows,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch>>> {
        let (known, mut kept) = match known {
            Some((known, columns)) => self.read(known, &columns).await?,
            None => (None, 0),
        };
        let mut panel = Vec::new();
        while let Some(mut series) = reading.next(|held| self.memory.try_resize(kept + held)).await? {
            kept += series.size() + OVERHEAD;
            if let Some(known) = &known {
                known.tell(&mut series);
            }
            panel.push(series);
        }
        self.memory.try_resize(kept)?;
        drop(reading);

        let stop = self.workers.stop_on_drop();
        let work = tokio::task::spawn_blocking(move || {
            let compute = self.meter.baseline.elapsed_compute().clone();
            let timer = compute.timer();
            let (panel, refusals) = self.sort(panel)?;
            let process = || self.operator.process(&panel, &self.workers);
            let results = if panel.len() > 1 { self.workers.enter(process) } else { process() };
            let mut results = results?.into_iter();
            drop(timer);
            let mut refusals = refusals.into_iter().peekable();
            for (position, series) in panel.iter().enumerate() {
                while let Some(refused) = refusals.next_if(|refused| refused.before <= position) {
                    rows.push(&refused.series, refused.columns)?;
                }
                let columns = results.next().ok_or_else(|| {
                    DataFusionError::Internal(format!("{} series have no result", panel.len() - position))
                })?;
                rows.push(series, columns)?;
            }
            for refused in refusals {
                rows.push(&refused.series, refused.columns)?;
            }
            rows.finish()?;
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

    /// Reads what is known of all series, and says how many bytes that takes.
    async fn read(
        &self,
        mut known: SendableRecordBatchStream,
        columns: &KnownColumns,
    ) -> Result<(Option<KnownTable>, usize)> {
        let (schema, mut batches, mut held) = (known.schema(), Vec::new(), 0);
        while let Some(batch) = known.next().await.transpose()? {
            // As they come, put together, and as vectors.
            held += 3 * batch.get_array_memory_size();
            self.memory.try_resize(held)?;
            batches.push(batch);
        }
        Ok((Some(KnownTable::new(columns, &schema, &batches)?), held))
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

/// A series without a result, and its place among those that have one.
struct Refused {
    before: usize,
    series: Series,
    columns: Vec<ArrayRef>,
}
