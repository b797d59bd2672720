//! What is known of each time beside the value, also of times ahead: promotions, prices, opening hours. It comes as the
//! second relation of a call, or from further columns of the first.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{concat_batches, partition};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use datafusion::common::cast::{as_float64_array, as_primitive_array};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};

use crate::error::ArgumentError;
use crate::given::Given;
use crate::series::{Series, microseconds};
use crate::source::{column, columns_that, is_time};

/// What is known of the times of one series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    /// Times, ascending: microseconds since 1970, as those of the series.
    pub times: Vec<i64>,
    /// For each name of [`Call::known`](crate::Call::known) a value a time; NaN where it is NULL.
    pub values: Vec<Vec<f64>>,
}

/// Which columns the second relation has, once planned: ids, time, values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KnownColumns {
    /// Places of its id columns among those of the series; may be empty.
    pub(crate) ids: Vec<usize>,
    /// Names of the values.
    pub(crate) names: Vec<String>,
    /// Rows with the same ids and time are summed when they are read, in the order of their values, so that floats give
    /// the same bits.
    pub(crate) summed: bool,
}

/// The plan that yields one row for each ids and time, the largest value of each column, from `relation`.
///
/// # Errors
/// When the relation has no time or no numbers.
pub(crate) fn plan(
    given: &Given,
    argument: &str,
    relation: LogicalPlan,
    series_ids: &[(Column, DataType)],
    series_time: &(Column, DataType),
) -> Result<(LogicalPlan, KnownColumns)> {
    let span = given.find(argument).and_then(|written| written.span);
    let schema = Arc::clone(relation.schema());
    let found = schema.fields().iter().map(|field| format!("{} ({})", field.name(), field.data_type()));
    let found = found.collect::<Vec<_>>().join(", ");
    let fault = |lacks: String| -> ArgumentError {
        given.fault(format!("{argument} has {lacks}; it has {found}")).with_span(span)
    };
    let time = known_time(&schema, &series_time.0).ok_or_else(|| {
        fault(format!("no column {} and not one column of dates or timestamps", series_time.0.name()))
    })?;
    let shared = series_ids.iter().enumerate().filter_map(|(place, (id, data_type))| {
        column(&schema, id.name()).map(|(found, _)| (place, found, data_type.clone()))
    });
    let shared: Vec<(usize, Column, DataType)> = shared.collect();
    let is_number = |data_type: &DataType| data_type.is_numeric() || *data_type == DataType::Boolean;
    let mut values = columns_that(&schema, |field| is_number(field.data_type()));
    values.retain(|(value, _)| *value != time && shared.iter().all(|(_, id, _)| id != value));
    if values.is_empty() {
        return Err(fault("no column of numbers or true and false beside the ids and the time".into()).into());
    }

    let names: Vec<String> = values.iter().map(|(value, _)| value.name().to_owned()).collect();
    let ids = shared.iter().enumerate().map(|(place, (_, id, data_type))| {
        cast(Expr::Column(id.clone()), data_type.clone()).alias(format!("__id_{place}"))
    });
    let at = cast(Expr::Column(time.clone()), series_time.1.clone()).alias("__time");
    let numbers = values.iter().enumerate().map(|(place, (value, data_type))| {
        // DataFusion casts no truth value to a float directly.
        let value = Expr::Column(value.clone());
        let value = if *data_type == DataType::Boolean { cast(value, DataType::Int8) } else { value };
        cast(value, DataType::Float64).alias(format!("__value_{place}"))
    });
    let read = LogicalPlanBuilder::from(relation)
        .filter(Expr::Column(time.clone()).is_not_null())?
        .project(ids.chain([at]).chain(numbers).collect::<Vec<_>>())?;
    let named = |name: String| Expr::Column(Column::from_name(name));
    let groups =
        (0..shared.len()).map(|place| named(format!("__id_{place}"))).chain([named("__time".into())]);
    let largest = (0..names.len()).map(|place| max(named(format!("__value_{place}"))));
    let plan = read.aggregate(groups, largest)?.build()?;
    let ids = shared.into_iter().map(|(place, _, _)| place).collect();
    Ok((plan, KnownColumns { ids, names, summed: false }))
}

/// The column called like the time of the series, else the only one of its kind.
fn known_time(schema: &DFSchema, series_time: &Column) -> Option<Column> {
    if let Some((time, data_type)) = column(schema, series_time.name())
        && is_time(&data_type)
    {
        return Some(time);
    }
    let mut times = columns_that(schema, |field| is_time(field.data_type()));
    if times.len() == 1 { times.pop().map(|(time, _)| time) } else { None }
}

/// What is known of every series.
#[derive(Debug)]
pub(crate) struct KnownTable {
    ids: Vec<usize>,
    found: HashMap<Vec<ScalarValue>, Arc<Known>>,
    none: Arc<Known>,
}

impl KnownTable {
    /// Reads batches with the columns ids…, time, values…, sorted by ids and time, and by the values where rows with the
    /// same time are summed.
    pub(crate) fn new(columns: &KnownColumns, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let rows = concat_batches(schema, batches)?;
        let ids: Vec<ArrayRef> = rows.columns()[..columns.ids.len()].to_vec();
        let times = microseconds(rows.column(ids.len()))?;
        let times = as_primitive_array::<TimestampMicrosecondType>(&times)?;
        let numbers = rows.columns()[ids.len() + 1..].iter().map(|number| as_float64_array(number));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let whole = 0..rows.num_rows();
        let ranges = if ids.is_empty() || whole.is_empty() { vec![whole] } else { partition(&ids)?.ranges() };
        let mut found = HashMap::new();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            let key = ids.iter().map(|id| ScalarValue::try_from_array(id, range.start));
            let key = key.collect::<Result<Vec<_>>>()?;
            let mut known = Known { times: Vec::new(), values: vec![Vec::new(); numbers.len()] };
            for row in range {
                let time = times.value(row);
                let again = columns.summed && known.times.last() == Some(&time);
                if !again {
                    known.times.push(time);
                }
                for (values, number) in known.values.iter_mut().zip(&numbers) {
                    let number = if number.is_valid(row) { number.value(row) } else { f64::NAN };
                    match values.last_mut() {
                        Some(sum) if again => *sum += number,
                        _ => values.push(number),
                    }
                }
            }
            found.insert(key, Arc::new(known));
        }
        let none = Arc::new(Known { times: Vec::new(), values: vec![Vec::new(); columns.names.len()] });
        Ok(Self { ids: columns.ids.clone(), found, none })
    }

    /// Tells a series what is known of it.
    pub(crate) fn tell(&self, series: &mut Series) {
        let key: Vec<ScalarValue> =
            self.ids.iter().filter_map(|place| series.ids.get(*place).cloned()).collect();
        series.known = Arc::clone(self.found.get(&key).unwrap_or(&self.none));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Float64Array, StringArray};

    use super::*;

    #[test]
    fn rows_with_the_same_time_are_summed_where_that_is_asked_for() {
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(StringArray::from(vec!["a", "a", "a", "b"])) as ArrayRef),
            ("time", Arc::new(Date32Array::from(vec![1, 1, 2, 1])) as ArrayRef),
            ("value", Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), None, Some(8.0)])) as ArrayRef),
        ])
        .unwrap();
        let read = |summed: bool| {
            let columns = KnownColumns { ids: vec![0], names: vec!["returns_col".into()], summed };
            let table = KnownTable::new(&columns, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
            Arc::clone(table.found.get(&[ScalarValue::from("a")][..]).unwrap())
        };
        let day = 86_400_000_000;
        let summed = read(true);
        assert_eq!(summed.times, [day, 2 * day]);
        assert!(summed.values[0][0] == 3.0 && summed.values[0][1].is_nan());
        let single = read(false);
        assert_eq!(single.times, [day, day, 2 * day]);
        assert_eq!(single.values[0][..2], [1.0, 2.0]);
    }
}
