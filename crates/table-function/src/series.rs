//! Series cut out of sorted batches, one at a time.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{cast, partition};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_float64_array, as_primitive_array};
use datafusion::error::Result;

use crate::known::Known;

/// The most points that one series may have: 160 MB, 57 years of minutes. What comes after is counted, not kept.
pub const MAX_POINTS: usize = 10_000_000;

/// One series: its ids and its points in order of time. Rows with the same time are one point, their sum; rows without
/// a value are no points.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Values of the id columns.
    pub ids: Vec<ScalarValue>,
    /// Times of the points, ascending: microseconds since 1970 (UTC, or wall clock where the column has no zone).
    pub times: Vec<i64>,
    /// Values of the points.
    pub values: Vec<f64>,
    /// The last moment that the whole relation (not this series alone) knows about, or `as_of`, in microseconds.
    pub until: Option<i64>,
    /// Rows read: 0 when a key was asked for that the relation doesn't have.
    pub rows: usize,
    /// Points beyond [`MAX_POINTS`] that were left out.
    pub left_out: usize,
    /// What is known of its times beside the values; empty unless the call has a second relation or reads further columns.
    pub known: Arc<Known>,
}

impl Series {
    fn new(ids: Vec<ScalarValue>) -> Self {
        Self {
            ids,
            times: Vec::new(),
            values: Vec::new(),
            until: None,
            rows: 0,
            left_out: 0,
            known: Arc::default(),
        }
    }

    fn push(&mut self, time: i64, value: f64) {
        self.rows += 1;
        match (self.times.last(), self.values.last_mut()) {
            (Some(last), Some(sum)) if *last == time => *sum += value,
            _ if self.times.len() >= MAX_POINTS => self.left_out += 1,
            _ => {
                self.times.push(time);
                self.values.push(value);
            }
        }
    }

    /// Bytes that the points take.
    pub(crate) fn size(&self) -> usize {
        (self.times.capacity() + self.values.capacity()) * size_of::<f64>()
    }
}

/// Cuts batches with the columns ids…, time, value, until, sorted by ids, time and value, into [`Series`].
#[derive(Debug)]
pub(crate) struct Cutter {
    ids: usize,
    open: Option<Series>,
    batch: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    ids: Vec<ArrayRef>,
    times: ArrayRef,
    values: ArrayRef,
    until: ArrayRef,
    /// Rows of the same series.
    ranges: Vec<Range<usize>>,
    next: usize,
}

impl Cutter {
    /// A cutter of batches whose first `ids` columns are the ids.
    pub(crate) fn new(ids: usize) -> Self {
        Self { ids, open: None, batch: None }
    }

    /// Takes the next batch, once [`Cutter::next`] has nothing more to give.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let ids = batch.columns()[..self.ids].to_vec();
        let whole = 0..batch.num_rows();
        let ranges = if ids.is_empty() { vec![whole] } else { partition(&ids)?.ranges() };
        self.batch = Some(Batch {
            ids,
            times: microseconds(batch.column(self.ids))?,
            values: cast(batch.column(self.ids + 1), &DataType::Float64)?,
            until: microseconds(batch.column(self.ids + 2))?,
            ranges,
            next: 0,
        });
        Ok(())
    }

    /// The next series that is complete.
    pub(crate) fn next(&mut self) -> Result<Option<Series>> {
        let Some(batch) = &mut self.batch else { return Ok(None) };
        while let Some(range) = batch.ranges.get(batch.next).cloned() {
            // The rows of a range share their ids; only the first range can go on with the series of the last batch.
            if let Some(open) = &self.open
                && (range.start > 0 || batch.ids_at(0)? != open.ids)
            {
                return Ok(self.open.take());
            }
            let mut series = match self.open.take() {
                Some(series) => series,
                None => Series::new(batch.ids_at(range.start)?),
            };
            batch.append(range, &mut series)?;
            self.open = Some(series);
            batch.next += 1;
        }
        self.batch = None;
        Ok(None)
    }

    /// The last series, when there are no more batches.
    pub(crate) fn finish(&mut self) -> Option<Series> {
        self.open.take()
    }

    /// Bytes held by the series under way.
    pub(crate) fn size(&self) -> usize {
        self.open.as_ref().map_or(0, Series::size)
    }
}

impl Batch {
    fn ids_at(&self, row: usize) -> Result<Vec<ScalarValue>> {
        self.ids.iter().map(|column| ScalarValue::try_from_array(column, row)).collect()
    }

    fn append(&self, range: Range<usize>, series: &mut Series) -> Result<()> {
        let times = as_primitive_array::<TimestampMicrosecondType>(&self.times)?;
        let until = as_primitive_array::<TimestampMicrosecondType>(&self.until)?;
        let values: &arrow::array::PrimitiveArray<Float64Type> = as_float64_array(&self.values)?;
        for row in range {
            // A row without a time only announces that its key was asked for.
            if times.is_null(row) {
                continue;
            }
            if series.until.is_none() && until.is_valid(row) {
                series.until = Some(until.value(row));
            }
            if values.is_valid(row) {
                series.push(times.value(row), values.value(row));
            } else {
                series.rows += 1;
            }
        }
        Ok(())
    }
}

/// Dates and timestamps of any unit as timestamps in microseconds; the instant stays, a time zone is dropped.
pub(crate) fn microseconds(times: &ArrayRef) -> Result<ArrayRef> {
    let zoned = match times.data_type() {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => DataType::Timestamp(TimeUnit::Microsecond, None),
    };
    let cast = cast(times, &zoned)?;
    let array = as_primitive_array::<TimestampMicrosecondType>(&cast)?;
    Ok(Arc::new(array.clone().with_timezone_opt(None::<&str>)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000_000;

    type Row = (Option<&'static str>, Option<i32>, Option<f64>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let ids: StringArray = rows.iter().map(|row| row.0).collect();
        let times: Date32Array = rows.iter().map(|row| row.1).collect();
        let values: Float64Array = rows.iter().map(|row| row.2).collect();
        let until: Date32Array = rows.iter().map(|row| row.1.map(|_| 9)).collect();
        RecordBatch::try_from_iter([
            ("id", Arc::new(ids) as ArrayRef),
            ("time", Arc::new(times) as ArrayRef),
            ("value", Arc::new(values) as ArrayRef),
            ("until", Arc::new(until) as ArrayRef),
        ])
        .unwrap()
    }

    fn cut(ids: usize, batches: &[RecordBatch]) -> Vec<Series> {
        let mut cutter = Cutter::new(ids);
        let mut all = Vec::new();
        for batch in batches {
            cutter.push(batch).unwrap();
            while let Some(series) = cutter.next().unwrap() {
                all.push(series);
            }
        }
        all.extend(cutter.finish());
        all
    }

    #[test]
    fn sums_ties_skips_nulls_and_marks_keys_without_rows() {
        let rows: [Row; 6] = [
            (Some("a"), Some(1), Some(1.0)),
            (Some("a"), Some(1), Some(2.0)),
            (Some("a"), Some(2), None),
            (Some("a"), Some(3), Some(4.0)),
            (Some("a"), None, None),
            (Some("b"), None, None),
        ];
        let all = cut(1, &[batch(&rows)]);
        assert_eq!(all.len(), 2);
        assert_eq!((&all[0].times, &all[0].values), (&vec![DAY, 3 * DAY], &vec![3.0, 4.0]));
        assert_eq!((all[0].rows, all[0].until), (4, Some(9 * DAY)));
        assert_eq!((all[1].rows, all[1].times.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn batch_borders_change_nothing(cuts in prop::collection::vec(0usize..40, 0..6), ids in 0usize..2) {
            let names = [Some("a"), Some("b"), Some("c"), None];
            let rows: Vec<Row> =
                (0..40).map(|row| (names[row / 10], Some((row % 10) as i32), Some(row as f64))).collect();
            let whole = batch(&rows);
            let whole = if ids == 0 { whole.project(&[1, 2, 3]).unwrap() } else { whole };
            let mut cuts = cuts;
            cuts.extend([0, 40]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| whole.slice(pair[0], pair[1] - pair[0])).collect();
            let expected = cut(ids, &[whole]);
            prop_assert_eq!(expected.len(), if ids == 0 { 1 } else { 4 });
            if ids == 1 {
                prop_assert_eq!(cut(ids, &pieces), expected);
            } else {
                prop_assert_eq!(cut(ids, &pieces).len(), 1);
            }
        }
    }
}
