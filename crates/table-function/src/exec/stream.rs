//! Series by series: each is worked on as soon as it is complete.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::{Gate, Meter, Passage, Reading, Rows};
use crate::function::SeriesOperator;
use crate::series::Series;
use crate::source::Shape;

/// The rows of one partition.
pub(super) fn stream(
    operator: Arc<dyn SeriesOperator>,
    shape: Arc<Shape>,
    reading: Reading,
    rows: Rows,
    memory: MemoryReservation,
    meter: Meter,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(&rows.schema);
    let work = Work { operator, shape, reading, gate: Gate::default(), rows, memory, meter };
    let batches = stream::try_unfold(work, |mut work| async move {
        let batch = work.next_batch().await?;
        Ok(batch.map(|batch| (batch, work)))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// One partition under way.
struct Work {
    operator: Arc<dyn SeriesOperator>,
    shape: Arc<Shape>,
    reading: Reading,
    gate: Gate,
    rows: Rows,
    memory: MemoryReservation,
    meter: Meter,
}

impl Work {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rows.next() {
                self.meter.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            let memory = &self.memory;
            match self.reading.next(|held| memory.try_resize(held)).await? {
                Some(series) => {
                    self.process(&series)?;
                    // Fitting a model takes milliseconds: give others, and whoever cancels, their turn.
                    tokio::task::yield_now().await;
                }
                None => {
                    self.rows.finish()?;
                    let last = self.rows.next();
                    if let Some(batch) = &last {
                        self.meter.baseline.record_output(batch.num_rows());
                    }
                    return Ok(last);
                }
            }
        }
    }

    fn process(&mut self, series: &Series) -> Result<()> {
        let compute = self.meter.baseline.elapsed_compute().clone();
        let _timer = compute.timer();
        let columns = match self.gate.admit(series, &self.shape) {
            Passage::Skip => return Ok(()),
            Passage::Refuse(status, detail) => {
                self.meter.refused.add(1);
                self.operator.refuse(series, status, &detail)?
            }
            Passage::Work => self.operator.process(series)?,
        };
        self.meter.series.add(1);
        self.rows.push(series, columns)
    }
}
