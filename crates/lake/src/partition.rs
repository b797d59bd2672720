//! Partition columns: how rows are split by them, and how their values are written into the Delta log and into paths.

use std::collections::HashMap;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::row::{RowConverter, SortField};
use chrono::DateTime;
use datafusion::scalar::ScalarValue;

use crate::LakeError;

/// The folder of rows whose partition value is null, as Hive and Spark name it.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of a file's partition columns, in the table's order; `None` is null.
pub(crate) type PartitionValues = Vec<Option<String>>;

/// Checks that the columns exist and can partition a table, and gives their positions.
pub(crate) fn positions(table: &str, schema: &Schema, columns: &[String]) -> Result<Vec<usize>, LakeError> {
    let mut found = Vec::with_capacity(columns.len());
    for column in columns {
        let bad =
            |reason: String| LakeError::BadColumn { table: table.to_owned(), column: column.clone(), reason };
        let names =
            || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let Ok(index) = schema.index_of(column) else {
            return Err(bad(format!("can't partition by it, the columns are {}", names())));
        };
        let partitions = matches!(
            schema.field(index).data_type(),
            DataType::Boolean
                | DataType::Int8
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Date32
                | DataType::Utf8
                | DataType::Decimal128(..)
                | DataType::Timestamp(..)
        );
        if !partitions {
            return Err(bad(format!("can't partition by {}", schema.field(index).data_type())));
        }
        if found.contains(&index) {
            return Err(bad("it is named twice among the partition columns".to_owned()));
        }
        found.push(index);
    }
    if found.len() == schema.fields().len() {
        return Err(LakeError::Unsupported {
            table: table.to_owned(),
            reason: "every column is a partition column, at least one must not be".to_owned(),
        });
    }
    Ok(found)
}

/// Splits a batch by the values of the columns at `positions`, in the order in which the values appear; rows keep their
/// order. The batches still have all columns.
pub(crate) fn split(
    table: &str,
    batch: &RecordBatch,
    positions: &[usize],
) -> Result<Vec<(PartitionValues, RecordBatch)>, LakeError> {
    if positions.is_empty() {
        return Ok(vec![(Vec::new(), batch.clone())]);
    }
    let columns: Vec<ArrayRef> = positions.iter().map(|at| batch.column(*at).clone()).collect();
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut known = HashMap::new();
    for (index, row) in (0_u32..).zip(rows.iter()) {
        let group = *known.entry(row).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(index);
    }
    let mut parts = Vec::with_capacity(groups.len());
    for group in groups {
        let first = group.first().map_or(0, |index| *index as usize);
        let values = positions.iter().zip(&columns).map(|(at, column)| {
            let value = ScalarValue::try_from_array(column, first).map_err(LakeError::Input)?;
            encode(&value).map_err(|reason| LakeError::BadColumn {
                table: table.to_owned(),
                column: batch.schema().field(*at).name().clone(),
                reason,
            })
        });
        let values = values.collect::<Result<PartitionValues, LakeError>>()?;
        let part = if group.len() == batch.num_rows() {
            batch.clone()
        } else {
            take_record_batch(batch, &UInt32Array::from(group))?
        };
        parts.push((values, part));
    }
    Ok(parts)
}

/// A value as the Delta protocol writes it ("Partition Value Serialization").
fn encode(value: &ScalarValue) -> Result<Option<String>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let text = match value {
        ScalarValue::Utf8(Some(text)) if text.is_empty() => {
            return Err("an empty text can't be a partition value, because Delta reads it as null".to_owned());
        }
        ScalarValue::Utf8(Some(text)) => text.clone(),
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            let instant = DateTime::from_timestamp_micros(*micros)
                .ok_or_else(|| format!("timestamp {micros} is out of range"))?;
            let format = if zone.is_some() { "%Y-%m-%dT%H:%M:%S%.6fZ" } else { "%Y-%m-%d %H:%M:%S%.6f" };
            instant.naive_utc().format(format).to_string()
        }
        other => other.to_string(),
    };
    Ok(Some(text))
}

/// The values of one partition column, read back from the Delta log.
pub(crate) fn decode(values: Vec<Option<String>>, data_type: &DataType) -> Result<ArrayRef, LakeError> {
    // An empty text stands for null, whatever the type.
    let texts: StringArray = values.into_iter().map(|value| value.filter(|text| !text.is_empty())).collect();
    // Text without a zone is read as UTC here, which is what the protocol says.
    let target = match data_type {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(&texts, &target, &options)?)
}

/// The folder of a file in Hive's style: `city=Chennai/day=2026-01-01`. Characters other than letters, digits and `_.-`
/// are escaped, so that no value can leave its folder.
pub(crate) fn folder(columns: &[String], values: &[Option<String>]) -> String {
    let segments = columns.iter().zip(values).map(|(column, value)| {
        let value = value.as_deref().map_or_else(|| NULL_FOLDER.to_owned(), escape);
        format!("{}={value}", escape(column))
    });
    segments.collect::<Vec<_>>().join("/")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Int64Array};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn values_survive_the_way_through_the_log() {
        let values = [
            ScalarValue::Utf8(Some("Tiruchirappalli / திருச்சி = 100%".into())),
            ScalarValue::Int32(Some(-7)),
            ScalarValue::Boolean(Some(true)),
            ScalarValue::Date32(Some(-1)),
            ScalarValue::Decimal128(Some(-12_345), 18, 2),
            ScalarValue::TimestampMicrosecond(Some(1_234_567_890_123_456), None),
            ScalarValue::TimestampMicrosecond(Some(-1), Some("UTC".into())),
        ];
        for value in values {
            let text = encode(&value).unwrap();
            let array = decode(vec![text.clone(), None], &value.data_type()).unwrap();
            assert_eq!(ScalarValue::try_from_array(&array, 0).unwrap(), value, "{text:?}");
            assert!(array.is_null(1));
        }
        assert_eq!(encode(&ScalarValue::Date32(Some(19_000))).unwrap().unwrap(), "2022-01-08");
        assert!(encode(&ScalarValue::Utf8(Some(String::new()))).is_err());
    }

    #[test]
    fn folders_hold_no_character_that_means_something() {
        let columns = vec!["city".to_owned(), "day".to_owned()];
        let values = vec![Some("../a b%".to_owned()), None];
        assert_eq!(folder(&columns, &values), "city=..%2Fa%20b%25/day=__HIVE_DEFAULT_PARTITION__");
    }

    #[test]
    fn rows_are_split_in_order() {
        let schema = Schema::new(vec![
            Field::new("day", DataType::Date32, true),
            Field::new("n", DataType::Int64, true),
        ]);
        let days = Date32Array::from(vec![Some(1), None, Some(1), Some(0)]);
        let numbers = Int64Array::from(vec![1, 2, 3, 4]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(days), Arc::new(numbers)]).unwrap();
        let parts = split("t", &batch, &[0]).unwrap();
        let rows: Vec<usize> = parts.iter().map(|(_, part)| part.num_rows()).collect();
        assert_eq!(rows, [2, 1, 1]);
        assert_eq!(parts[0].0, [Some("1970-01-02".to_owned())]);
        assert_eq!(parts[1].0, [None]);
        assert_eq!(parts[0].1.column(1).as_ref(), &Int64Array::from(vec![1, 3]));
        assert!(positions("t", &batch.schema(), &["x".into()]).unwrap_err().to_string().contains("day, n"));
        assert!(positions("t", &batch.schema(), &["day".into(), "n".into()]).is_err());
    }
}
