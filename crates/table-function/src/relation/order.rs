//! The order in which a function gets its rows: by all columns from the first on.
//!
//! The planner's time grows with the square of the columns that an input has to be sorted by (a relation of 168 columns
//! took longer to plan than to work on), so it is asked for the first few only. Rows that are alike in those are seldom
//! many; they are put in order here.

use std::cmp::Ordering;

use arrow::array::{DynComparator, RecordBatch, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, partition, take_record_batch};
use arrow::datatypes::{DataType, Schema};
use datafusion::error::Result;

use crate::workers::Workers;

/// Columns that the input comes sorted by.
const ASKED: usize = 8;
/// Rows that are sorted between two looks at whether the statement was stopped.
const CHUNK: usize = if cfg!(test) { 64 } else { 1 << 17 };

/// Of every column.
pub(super) const OPTIONS: SortOptions = SortOptions { descending: false, nulls_first: false };

/// Positions of the columns that the input has to be sorted by.
pub(super) fn asked(schema: &Schema) -> Vec<usize> {
    sortable(schema).take(ASKED).collect()
}

/// The rows sorted by all columns, given sorted by those of [`asked`].
pub(super) fn complete(rows: RecordBatch, workers: &Workers) -> Result<RecordBatch> {
    let schema = rows.schema();
    let asked = asked(&schema);
    let others: Vec<usize> = sortable(&schema).skip(ASKED).collect();
    if others.is_empty() || rows.num_rows() < 2 {
        return Ok(rows);
    }
    let columns: Vec<_> = asked.iter().map(|column| rows.column(*column).clone()).collect();
    let alike: Vec<_> = partition(&columns)?.ranges().into_iter().filter(|range| range.len() > 1).collect();
    if alike.is_empty() {
        return Ok(rows);
    }
    let others = others.iter().map(|column| rows.column(*column));
    let compare: Vec<DynComparator> =
        others.map(|column| make_comparator(column, column, OPTIONS)).collect::<Result<_, _>>()?;
    let mut order: Vec<u64> = (0..rows.num_rows() as u64).collect();
    let by_others = |a: &u64, b: &u64| {
        let mut each = compare.iter().map(|compare| compare(*a as usize, *b as usize));
        each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    for range in alike {
        let alike = &mut order[range];
        for chunk in alike.chunks_mut(CHUNK) {
            workers.check()?;
            chunk.sort_by(by_others);
        }
        if alike.len() > CHUNK {
            // What is sorted already is merged.
            alike.sort_by(by_others);
        }
    }
    if order.is_sorted() {
        return Ok(rows);
    }
    Ok(take_record_batch(&rows, &UInt64Array::from(order))?)
}

fn sortable(schema: &Schema) -> impl Iterator<Item = usize> {
    let orders = schema.fields().iter().map(|field| orders(field.data_type()));
    orders.enumerate().filter(|(_, orders)| *orders).map(|(column, _)| column)
}

/// Whether rows can be sorted by a column of this type.
fn orders(data_type: &DataType) -> bool {
    data_type.is_primitive()
        || matches!(data_type, DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        || matches!(data_type, DataType::Dictionary(_, values) if orders(values))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
    use arrow::compute::{SortColumn, lexsort_to_indices};
    use arrow::datatypes::{Field, Int64Type};

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

    fn sorted(rows: &RecordBatch, columns: usize) -> RecordBatch {
        let by: Vec<SortColumn> = rows.columns()[..columns]
            .iter()
            .map(|values| SortColumn { values: Arc::clone(values), options: Some(OPTIONS) })
            .collect();
        take_record_batch(rows, &lexsort_to_indices(&by, None).unwrap()).unwrap()
    }

    #[test]
    fn rows_come_sorted_by_all_columns() {
        // More rows are alike than are sorted at a time.
        let rows = rows(12 * CHUNK as i64 + 5);
        let given = sorted(&rows, ASKED);
        let whole = sorted(&rows, rows.num_columns());
        assert_ne!(given, whole, "there is something to do");
        assert_eq!(complete(given, &Workers::new(1)).unwrap(), whole);
        assert_eq!(asked(&rows.schema()), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn few_columns_and_few_rows_stay_as_they_are() {
        let narrow = rows(50).project(&[0, 11]).unwrap();
        assert_eq!(complete(narrow.clone(), &Workers::new(1)).unwrap(), narrow);
        assert_eq!(complete(rows(1), &Workers::new(1)).unwrap().num_rows(), 1);
        let ordered = sorted(&rows(50), 12);
        let again = complete(ordered.clone(), &Workers::new(1)).unwrap();
        let first = |rows: &RecordBatch| rows.column(0).as_primitive::<Int64Type>().values().as_ptr();
        assert_eq!(first(&again), first(&ordered), "what is in order is not copied");
    }
}
