//! Parameters: Arrow rows that a client binds to `$1` … `$n`, and the types that they give the statement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use tonic::Status;

use crate::status::{undecodable, unencodable};

/// Most rows that may be bound at a time; each is one execution.
const MAX_ROWS: usize = 10_000;
/// Most values, rows times columns, that may be bound at a time.
const MAX_VALUES: usize = 1_000_000;
/// Most bytes that may be bound at a time.
const MAX_BYTES: usize = 64 << 20;

/// The rows bound to a prepared statement, one column per parameter in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Binding {
    columns: Vec<DataType>,
    batches: Vec<Vec<ArrayRef>>,
    rows: usize,
    bytes: usize,
}

impl Binding {
    /// Reads the rows that follow in a DoPut; `None` when it carries no Arrow data at all.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for data that is no Arrow stream, or that is too large.
    pub(crate) async fn read(
        data: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    ) -> Result<Option<Self>, Status> {
        // The first message may hold nothing but the command.
        let data = data.try_filter(|message| std::future::ready(!message.data_header.is_empty()));
        let decoded = FlightRecordBatchStream::new_from_flight_data(data.map_err(Into::into));
        // Arrow's reader checks most of what it is given and panics on some of the rest.
        let read = AssertUnwindSafe(Self::collect(decoded)).catch_unwind().await;
        read.unwrap_or_else(|_| Err(Status::invalid_argument("the arrow data sent is malformed")))
    }

    async fn collect(mut decoded: FlightRecordBatchStream) -> Result<Option<Self>, Status> {
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while let Some(batch) = decoded.next().await {
            let batch: RecordBatch = batch.map_err(undecodable)?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            if rows > MAX_ROWS || rows * batch.num_columns() > MAX_VALUES || bytes > MAX_BYTES {
                return Err(Status::invalid_argument(format!(
                    "too many parameters: at most {MAX_ROWS} rows, {MAX_VALUES} values and {MAX_BYTES} bytes can be \
                     bound at a time"
                )));
            }
            batches.push(batch.columns().to_vec());
        }
        Ok(decoded.schema().map(|schema| Self::new(schema, batches, rows, bytes)))
    }

    fn new(schema: &SchemaRef, mut batches: Vec<Vec<ArrayRef>>, rows: usize, bytes: usize) -> Self {
        let order = order(schema);
        for batch in &mut batches {
            *batch = order.iter().filter_map(|&column| batch.get(column).map(Arc::clone)).collect();
        }
        let columns = order.iter().map(|&column| schema.field(column).data_type().clone()).collect();
        Self { columns, batches, rows, bytes }
    }

    /// About how much memory the rows take, as columns and as values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.rows * self.columns.len() * size_of::<ScalarValue>()
    }

    /// The types to plan with: `declared` where the bound values keep their meaning in it, else what was bound.
    ///
    /// A statement is planned before its values are known, and then `qty > $1` wants an integer. A 5 bound as an int32
    /// is one; a 1.5 is not, and must not become 1: the statement is planned again for a float.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a number of columns that is not the number of parameters.
    pub(crate) fn types(&self, declared: &[DataType]) -> Result<Vec<Option<DataType>>, Status> {
        if self.columns.len() != declared.len() {
            return Err(Status::invalid_argument(format!(
                "the statement has {} parameters, and {} were bound (SQLSTATE 08P01)",
                declared.len(),
                self.columns.len()
            )));
        }
        let types = declared.iter().enumerate().map(|(column, declared)| {
            let keeps = self
                .batches
                .iter()
                .all(|batch| batch.get(column).is_some_and(|a| keeps_meaning(a, declared)));
            Some(if keeps { declared.clone() } else { self.columns[column].clone() })
        });
        Ok(types.collect())
    }

    /// The rows as values of `types`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a value that can't be one of its type, with the parameter's number.
    pub(crate) fn rows(&self, types: &[DataType]) -> Result<Vec<Vec<ScalarValue>>, Status> {
        let mut rows = Vec::with_capacity(self.rows);
        for batch in &self.batches {
            let columns = batch.iter().zip(types).enumerate().map(|(column, (array, data_type))| {
                exact_cast(array, data_type).map_err(|error| {
                    Status::invalid_argument(format!(
                        "parameter ${} can't be read as {data_type}: {error} (SQLSTATE 22P02)",
                        column + 1
                    ))
                })
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            for row in 0..columns.first().map_or(0, |column| column.len()) {
                let values = columns.iter().map(|column| ScalarValue::try_from_array(column, row));
                let values = values.collect::<Result<Vec<_>, _>>();
                rows.push(values.map_err(|error| unencodable(error.into()))?);
            }
        }
        Ok(rows)
    }
}

/// The columns in the order of the parameters' numbers.
///
/// Columns are positional, whatever their names. Only when they are called `$1` … `$n`, as in the parameter schema, do
/// the names decide: a client that sorts them puts `$10` before `$2`.
fn order(schema: &SchemaRef) -> Vec<usize> {
    let number = |name: &String| name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    let numbers: Option<Vec<usize>> = schema.fields().iter().map(|field| number(field.name())).collect();
    let mut order: Vec<usize> = (0..schema.fields().len()).collect();
    if let Some(numbers) = numbers {
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        if sorted.into_iter().eq(1..=numbers.len()) {
            order.sort_by_key(|&column| numbers[column]);
        }
    }
    order
}

/// Whether the values mean the same as values of `declared`.
fn keeps_meaning(array: &ArrayRef, declared: &DataType) -> bool {
    let bound = array.data_type();
    if bound == declared || bound.is_null() {
        return true;
    }
    match (is_text(bound), is_text(declared)) {
        (true, true) => return true,
        // Text is read as whatever the statement wants, as a quoted literal would be; a list wants a list.
        (true, false) => return !declared.is_nested(),
        (false, true) => return false,
        (false, false) => {}
    }
    let there = exact_cast(array, declared);
    there.and_then(|there| exact_cast(&there, bound)).is_ok_and(|back| back.to_data() == array.to_data())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A cast that fails rather than making NULLs.
fn exact_cast(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, data_type, &options)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Float64Array, Int32Array, Int64Array, NullArray, StringArray};
    use arrow::datatypes::{Field, Schema, TimeUnit};
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::stream;

    use super::*;

    fn bind(columns: Vec<(&str, ArrayRef)>) -> Binding {
        let fields: Vec<_> =
            columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
        let arrays: Vec<_> = columns.into_iter().map(|(_, array)| array).collect();
        let rows = arrays.first().map_or(0, |array| array.len());
        Binding::new(&Arc::new(Schema::new(fields)), vec![arrays], rows, 0)
    }

    #[test]
    fn names_of_the_parameter_schema_decide_the_order_and_others_do_not() {
        let names: Vec<String> = (1..=11).map(|n| format!("${n}")).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(sorted[1], "$10");
        let schema = Arc::new(Schema::new(
            sorted.iter().map(|name| Field::new(name, DataType::Int64, true)).collect::<Vec<_>>(),
        ));
        let ordered: Vec<_> = order(&schema).into_iter().map(|column| sorted[column].clone()).collect();
        assert_eq!(ordered, names);
        let other = Schema::new(vec![
            Field::new("$2", DataType::Int64, true),
            Field::new("x", DataType::Int64, true),
        ]);
        assert_eq!(order(&Arc::new(other)), vec![0, 1]);
    }

    #[test]
    fn a_value_that_would_change_changes_the_type_instead() {
        let half: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
        let whole: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
        let int: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        let big: ArrayRef = Arc::new(Int64Array::from(vec![3_000_000_000]));
        let day: ArrayRef = Arc::new(Date32Array::from(vec![19_000]));
        let null: ArrayRef = Arc::new(NullArray::new(1));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["5"]));
        let list = DataType::new_list(DataType::Utf8, true);
        assert!(!keeps_meaning(&half, &DataType::Int64));
        assert!(keeps_meaning(&whole, &DataType::Int64));
        assert!(keeps_meaning(&int, &DataType::Int64));
        assert!(!keeps_meaning(&big, &DataType::Int32));
        assert!(keeps_meaning(&day, &DataType::Timestamp(TimeUnit::Microsecond, None)));
        assert!(keeps_meaning(&null, &DataType::Date32));
        assert!(keeps_meaning(&text, &DataType::Int64));
        assert!(!keeps_meaning(&text, &list));
        assert!(!keeps_meaning(&int, &DataType::Utf8View));
    }

    #[test]
    fn values_are_cast_and_a_bad_one_names_its_parameter() {
        let binding = bind(vec![
            ("a", Arc::new(StringArray::from(vec!["5", "6"]))),
            ("b", Arc::new(NullArray::new(2))),
        ]);
        let rows = binding.rows(&[DataType::Int64, DataType::Utf8]).unwrap();
        assert_eq!(rows[1], vec![ScalarValue::Int64(Some(6)), ScalarValue::Utf8(None)]);
        let bad = bind(vec![("a", Arc::new(StringArray::from(vec!["five"])))]);
        let error = bad.rows(&[DataType::Int64]).unwrap_err();
        assert!(error.message().starts_with("parameter $1 can't be read as Int64"), "{}", error.message());
        let error = binding.types(&[DataType::Int64]).unwrap_err();
        assert!(error.message().contains("has 1 parameters, and 2 were bound"));
    }

    #[tokio::test]
    async fn rubbish_is_refused_without_a_panic() {
        let qty: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let batch = RecordBatch::try_from_iter([("qty", qty)]).unwrap();
        let good: Vec<FlightData> =
            FlightDataEncoderBuilder::new().build(stream::iter([Ok(batch)])).try_collect().await.unwrap();
        let read = |messages: Vec<FlightData>| Binding::read(stream::iter(messages.into_iter().map(Ok)));
        assert_eq!(read(good.clone()).await.unwrap().unwrap().rows, 100);
        assert!(read(vec![]).await.unwrap().is_none());
        assert!(read(good[..1].to_vec()).await.unwrap().is_some());
        assert!(read(good[1..].to_vec()).await.is_err());
        for message in 0..good.len() {
            for cut in 0..40 {
                let mut bad = good.clone();
                bad[message].data_body =
                    bad[message].data_body.slice(..bad[message].data_body.len().min(cut));
                let header = bad[message].data_header.len();
                bad[message].data_header = bad[message].data_header.slice(..header - (cut * header / 41));
                let _ = read(bad).await;
            }
            for at in 0..good[message].data_header.len() {
                let mut bad = good.clone();
                let mut header = bad[message].data_header.to_vec();
                header[at] ^= 0x81;
                bad[message].data_header = header.into();
                let _ = read(bad).await;
            }
        }
    }
}
