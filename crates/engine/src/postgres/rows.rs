//! Small tables that are made when they are read, from a one-line description of their columns.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::scalar::ScalarValue;
use futures::future::BoxFuture;

/// The cells of one row that differ from their column's default.
pub(super) type Row = HashMap<&'static str, ScalarValue>;

/// Makes the rows of a table.
pub(super) type Source = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<Row>>> + Send + Sync>;

/// Builds a row: `row! { "oid" => 5, "relname" => name }`.
macro_rules! row {
    ($($column:literal => $value:expr),* $(,)?) => {
        $crate::postgres::rows::Row::from([$(($column, datafusion::scalar::ScalarValue::from($value))),*])
    };
}
pub(super) use row;

/// A table whose columns are described as `name:type` or `name:type=default`, separated by white space. Types: oid, int2,
/// int4, int8, bool, text, float4, timestamptz, and `[]` of the first six. A column without a default is NULL.
pub(super) fn table(columns: &'static str, source: Source) -> Result<Arc<dyn TableProvider>> {
    let (schema, defaults) = describe(columns)?;
    let made = Made { schema: Arc::clone(&schema), defaults: defaults.into(), source };
    Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(made)])?))
}

fn describe(columns: &str) -> Result<(SchemaRef, Vec<ScalarValue>)> {
    let mut fields = Vec::new();
    let mut defaults = Vec::new();
    for column in columns.split_whitespace() {
        let (name, rest) = column.split_once(':').unwrap_or((column, "text"));
        let (data_type, default) = match rest.split_once('=') {
            Some((data_type, default)) => (arrow_type(data_type)?, Some(default)),
            None => (arrow_type(rest)?, None),
        };
        defaults.push(match default {
            Some(text) => ScalarValue::try_from_string(text.to_owned(), &data_type)?,
            None => ScalarValue::try_new_null(&data_type)?,
        });
        fields.push(Field::new(name, data_type, true));
    }
    Ok((Arc::new(Schema::new(fields)), defaults))
}

fn arrow_type(name: &str) -> Result<DataType> {
    if let Some(item) = name.strip_suffix("[]") {
        return Ok(DataType::List(Arc::new(Field::new_list_field(arrow_type(item)?, true))));
    }
    Ok(match name {
        "oid" | "int4" => DataType::Int32,
        "int2" => DataType::Int16,
        "int8" => DataType::Int64,
        "bool" => DataType::Boolean,
        "float4" => DataType::Float32,
        "text" => DataType::Utf8,
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => return datafusion::common::internal_err!("no type {other}"),
    })
}

struct Made {
    schema: SchemaRef,
    defaults: Arc<[ScalarValue]>,
    source: Source,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").finish_non_exhaustive()
    }
}

impl PartitionStream for Made {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, defaults, rows) =
            (Arc::clone(&self.schema), Arc::clone(&self.defaults), (self.source)());
        let batch = async move { batch(&schema, &defaults, &rows.await?) };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::once(batch)))
    }
}

fn batch(schema: &SchemaRef, defaults: &[ScalarValue], rows: &[Row]) -> Result<RecordBatch> {
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let columns = schema.fields().iter().zip(defaults).map(|(field, default)| {
        let cells = rows.iter().map(|row| match row.get(field.name().as_str()) {
            Some(value) if value.data_type() == *field.data_type() => Ok(value.clone()),
            Some(value) => value.cast_to(field.data_type()),
            None => Ok(default.clone()),
        });
        ScalarValue::iter_to_array(cells.collect::<Result<Vec<_>>>()?)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(DataFusionError::from)
}
