//! The order in which a function gets its rows: by all columns from the first on.
//!
//! Rows are sorted here and not by the planner, whose time grows with the square of the columns to sort by (a relation of
//! 168 columns took longer to plan than to work on), and which would sort what comes in order: a table that is kept in
//! order, and read by one thread, is only looked through.

use std::cmp::Ordering;

use arrow::array::{DynComparator, RecordBatch, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, take_record_batch};
use datafusion::error::Result;

use crate::workers::Workers;

/// Rows that are sorted in one job.
const CHUNK: usize = if cfg!(test) { 64 } else { 1 << 16 };

/// Of every column.
const OPTIONS: SortOptions = SortOptions { descending: false, nulls_first: false };

/// The rows sorted by all columns that can be sorted by.
pub(super) fn sorted(rows: RecordBatch, workers: &Workers) -> Result<RecordBatch> {
    // What has no order (a union) is passed over.
    let compare = rows.columns().iter().filter_map(|column| make_comparator(column, column, OPTIONS).ok());
    let compare: Vec<DynComparator> = compare.collect();
    let by_all = |a: usize, b: usize| {
        let mut each = compare.iter().map(|compare| compare(a, b));
        each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let count = rows.num_rows();
    let chunks = count.div_ceil(CHUNK);
    let chunk = |number: usize| number * CHUNK..((number + 1) * CHUNK).min(count);
    let follows = |row: usize| row == 0 || by_all(row - 1, row).is_le();
    if workers.map(chunks, |number| Ok(chunk(number).all(follows)))?.into_iter().all(|one| one) {
        return Ok(rows);
    }
    let mut sorted = workers.map(chunks, |number| {
        let mut order: Vec<u64> = chunk(number).map(|row| row as u64).collect();
        order.sort_by(|a, b| by_all(*a as usize, *b as usize));
        Ok(order)
    })?;
    // Two by two, with a look at whether the statement was stopped before each.
    while sorted.len() > 1 {
        sorted = workers.map(sorted.len().div_ceil(2), |pair| {
            let mut order = sorted[2 * pair..(2 * pair + 2).min(sorted.len())].concat();
            // What is sorted already is merged.
            order.sort_by(|a, b| by_all(*a as usize, *b as usize));
            Ok(order)
        })?;
    }
    let order = UInt64Array::from(sorted.pop().unwrap_or_default());
    Ok(take_record_batch(&rows, &order)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
    use arrow::compute::{SortColumn, lexsort_to_indices};
    use arrow::datatypes::{Field, Int64Type, Schema};

    use super::*;

    /// Twelve columns, most of them alike; NULL and NaN among them.
    fn rows(count: i64) -> RecordBatch {
        let number = |divisor: i64, column: i64| -> ArrayRef {
            let value = move |row: i64| (row * 7_919 + column * 31) % divisor;
            Arc::new(
                (0..count).map(|row| Some(value(row)).filter(|value| *value != 1)).collect::<Int64Array>(),
            )
        };
        let mut columns: Vec<ArrayRef> = (0..10).map(|column| number(2 + column % 2, column)).collect();
        let odd = |row: i64| if row % 5 == 0 { f64::NAN } else { (row % 3) as f64 };
        columns.push(Arc::new((0..count).map(odd).collect::<Float64Array>()));
        let text = |row: i64| format!("{}", row * 104_729 % 97);
        columns.push(Arc::new((0..count).map(|row| Some(text(row))).collect::<StringArray>()));
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn by_arrow(rows: &RecordBatch) -> RecordBatch {
        let by: Vec<SortColumn> = rows
            .columns()
            .iter()
            .map(|values| SortColumn { values: Arc::clone(values), options: Some(OPTIONS) })
            .collect();
        take_record_batch(rows, &lexsort_to_indices(&by, None).unwrap()).unwrap()
    }

    #[test]
    fn rows_come_sorted_by_all_columns() {
        // In one job, and in many.
        for count in [CHUNK as i64, 12 * CHUNK as i64 + 5] {
            let rows = rows(count);
            let whole = by_arrow(&rows);
            assert_ne!(rows, whole, "there is something to do");
            for threads in [1, 2] {
                assert_eq!(sorted(rows.clone(), &Workers::new(threads)).unwrap(), whole);
            }
        }
    }

    #[test]
    fn what_is_in_order_is_not_copied() {
        let first = |rows: &RecordBatch| rows.column(0).as_primitive::<Int64Type>().values().as_ptr();
        for count in [0, 1, 50, 3 * CHUNK as i64] {
            let ordered = by_arrow(&rows(count));
            let again = sorted(ordered.clone(), &Workers::new(1)).unwrap();
            assert_eq!(again, ordered);
            assert_eq!(first(&again), first(&ordered));
        }
    }

    #[test]
    fn a_row_out_of_order_between_two_jobs_is_seen() {
        let values: ArrayRef =
            Arc::new((0..2 * CHUNK as i64).map(|row| row % CHUNK as i64).collect::<Int64Array>());
        let rows = RecordBatch::try_from_iter([("one", values)]).unwrap();
        assert_eq!(sorted(rows.clone(), &Workers::new(1)).unwrap(), by_arrow(&rows));
    }

    #[test]
    fn a_stopped_statement_sorts_no_further() {
        let workers = Workers::new(1);
        drop(workers.stop_on_drop());
        assert!(sorted(rows(10 * CHUNK as i64), &workers).is_err());
    }
}
