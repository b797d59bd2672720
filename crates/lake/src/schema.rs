//! The column types that a Delta table holds, and how rows of other types become them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use sha2::{Digest, Sha256};

use crate::LakeError;

/// Names that Parquet readers without column mapping stumble over (Delta protocol, "Column names").
const BAD_IN_NAMES: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// Decimal128 holds this many digits, and so does Delta Lake.
const MAX_DIGITS: u8 = 38;

/// The schema under which rows of `schema` are stored: microsecond timestamps, plain text, signed integers, all columns
/// nullable. `table` is for messages.
pub(crate) fn stored_schema(table: &str, schema: &Schema) -> Result<SchemaRef, LakeError> {
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let bad = |reason: String| LakeError::BadColumn {
            table: table.to_owned(),
            column: field.name().clone(),
            reason,
        };
        if field.name().is_empty() || field.name().contains(BAD_IN_NAMES) {
            return Err(bad(
                "a name may not be empty or hold a space or any of `,;{}()=`, give it an alias".into()
            ));
        }
        if !seen.insert(field.name().to_lowercase()) {
            return Err(bad("two columns have this name (case does not count), give one an alias".into()));
        }
        let stored = stored_type(field.data_type()).map_err(bad)?;
        fields.push(Field::new(field.name(), stored, true));
    }
    if fields.is_empty() {
        return Err(LakeError::Unsupported {
            table: table.to_owned(),
            reason: "it has no columns".to_owned(),
        });
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn stored_type(data_type: &DataType) -> Result<DataType, String> {
    use DataType as T;
    Ok(match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Date32 => {
            data_type.clone()
        }
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 | T::UInt64 => T::Int64,
        T::Float16 => T::Float32,
        T::Date64 => T::Date32,
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Timestamp(_, None) => T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(_, Some(_)) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Decimal32(digits, scale)
        | T::Decimal64(digits, scale)
        | T::Decimal128(digits, scale)
        | T::Decimal256(digits, scale) => {
            if *digits > MAX_DIGITS || *scale < 0 || scale.unsigned_abs() > *digits {
                return Err(format!(
                    "{data_type} can't be stored, cast it to a decimal of at most 38 digits"
                ));
            }
            T::Decimal128(*digits, *scale)
        }
        T::Dictionary(_, values) => stored_type(values)?,
        T::RunEndEncoded(_, values) => stored_type(values.data_type())?,
        T::List(item)
        | T::LargeList(item)
        | T::ListView(item)
        | T::LargeListView(item)
        | T::FixedSizeList(item, _) => {
            T::List(Arc::new(Field::new("element", stored_type(item.data_type())?, true)))
        }
        T::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                stored_type(field.data_type()).map(|stored| Arc::new(Field::new(field.name(), stored, true)))
            });
            T::Struct(fields.collect::<Result<Vec<FieldRef>, String>>()?.into())
        }
        T::Null => return Err("it has no type, cast the null to one".to_owned()),
        other => return Err(format!("{other} can't be stored, cast it to text or to a number")),
    })
}

/// The rows of `batch` as columns of `stored`, found by position.
pub(crate) fn to_stored(
    table: &str,
    batch: &RecordBatch,
    stored: &SchemaRef,
) -> Result<RecordBatch, LakeError> {
    // A value that doesn't fit is an error rather than a null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(stored.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast_with_options(column, field.data_type(), &options).map_err(|error| LakeError::BadColumn {
            table: table.to_owned(),
            column: field.name().clone(),
            reason: error.to_string(),
        })
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, LakeError>>()?;
    Ok(RecordBatch::try_new(Arc::clone(stored), columns)?)
}

/// Delta's own form of a stored schema.
pub(crate) fn delta_schema(table: &str, stored: &Schema) -> Result<StructType, LakeError> {
    stored
        .try_into_kernel()
        .map_err(|error| LakeError::Unsupported { table: table.to_owned(), reason: error.to_string() })
}

/// SHA-256 over the names, types and nullability of a stored schema, in hexadecimal. The text that is hashed is Delta's
/// schema string, which a protocol fixes, so that the hash doesn't change with the version of a library.
pub(crate) fn schema_hash(table: &str, stored: &Schema) -> Result<String, LakeError> {
    let schema = delta_schema(table, stored)?;
    let text = serde_json::to_string(&schema)
        .map_err(|error| LakeError::Unsupported { table: table.to_owned(), reason: error.to_string() })?;
    let digest = Sha256::digest(text.as_bytes());
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The type under which a stored column is read: text and bytes as views, which DataFusion's operators prefer.
pub(crate) fn read_schema(stored: &Schema) -> SchemaRef {
    let fields = stored.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            other => other.clone(),
        };
        Field::new(field.name(), data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, TimestampNanosecondArray, UInt64Array};

    use super::*;

    fn schema_of(data_type: DataType) -> Schema {
        Schema::new(vec![Field::new("a", data_type, false)])
    }

    #[test]
    fn types_are_widened_or_refused_by_name() {
        let stored = |t| stored_schema("t", &schema_of(t)).map(|schema| schema.field(0).data_type().clone());
        assert_eq!(stored(DataType::UInt64).unwrap(), DataType::Int64);
        assert_eq!(stored(DataType::LargeUtf8).unwrap(), DataType::Utf8);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View));
        assert_eq!(stored(dictionary).unwrap(), DataType::Utf8);
        let error = stored(DataType::Duration(TimeUnit::Second)).unwrap_err().to_string();
        assert!(error.contains("column `a`"), "{error}");
        assert!(stored(DataType::Null).is_err());
        assert!(stored(DataType::Decimal256(50, 2)).is_err());
    }

    #[test]
    fn names_that_readers_stumble_over_are_refused() {
        for names in [vec!["count(*)"], vec!["a", "A"], vec![""], vec![]] {
            let fields: Vec<_> = names.iter().map(|name| Field::new(*name, DataType::Int8, true)).collect();
            assert!(stored_schema("t", &Schema::new(fields)).is_err(), "{names:?}");
        }
    }

    #[test]
    fn values_are_converted_and_overflow_is_an_error() {
        let batch = |array: ArrayRef| {
            RecordBatch::try_new(Arc::new(schema_of(array.data_type().clone())), vec![array]).unwrap()
        };
        let nanos = batch(Arc::new(TimestampNanosecondArray::from(vec![1_234_567])));
        let stored = stored_schema("t", &nanos.schema()).unwrap();
        let micros = to_stored("t", &nanos, &stored).unwrap();
        assert_eq!(micros.column(0).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));

        let small = batch(Arc::new(UInt64Array::from(vec![7])));
        let stored = stored_schema("t", &small.schema()).unwrap();
        let converted = to_stored("t", &small, &stored).unwrap();
        assert_eq!(converted.column(0).as_ref(), &Int64Array::from(vec![7]));
        let large = batch(Arc::new(UInt64Array::from(vec![u64::MAX])));
        assert!(to_stored("t", &large, &stored).unwrap_err().to_string().contains("column `a`"));
    }

    #[test]
    fn the_hash_depends_on_names_and_types_only() {
        let a = stored_schema("t", &schema_of(DataType::Utf8)).unwrap();
        let b = stored_schema("t", &schema_of(DataType::Utf8View)).unwrap();
        let c = stored_schema("t", &schema_of(DataType::Int8)).unwrap();
        assert_eq!(schema_hash("t", &a).unwrap(), schema_hash("u", &b).unwrap());
        assert_ne!(schema_hash("t", &a).unwrap(), schema_hash("t", &c).unwrap());
        assert_eq!(schema_hash("t", &a).unwrap().len(), 64);
    }
}
