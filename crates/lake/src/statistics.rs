//! Statistics of data files in the Delta log: row count, and the least, the greatest and the number of nulls of each
//! column, as JSON ("Per-file Statistics" of the Delta protocol).
//!
//! They are bounds, not always values: text is cut, and instants are rounded outwards to milliseconds, which is the
//! precision that the protocol has.

use arrow::array::{Array, UInt64Array};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use datafusion::scalar::ScalarValue;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::ParquetMetaData;
use serde_json::Value;

use crate::LakeError;

/// Decimals beyond this don't survive the way through a 64-bit float, which is how JSON numbers are read.
const EXACT_DECIMAL: i128 = 1 << 48;

/// A column's bounds in one file; `None` is unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min: Option<ScalarValue>,
    pub(crate) max: Option<ScalarValue>,
    pub(crate) nulls: Option<u64>,
}

/// The statistics of one file as JSON, from its Parquet footer. `schema` is the file's.
pub(crate) fn to_json(metadata: &ParquetMetaData, schema: &Schema) -> Result<String, LakeError> {
    let (mut mins, mut maxes, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for field in schema.fields() {
        let Some(bounds) = footer_bounds(metadata, schema, field.name())? else { continue };
        let name = Value::from(field.name().as_str()).to_string();
        if let Some(text) = bounds.min.as_ref().and_then(|value| value_to_json(value, false)) {
            mins.push(format!("{name}:{text}"));
        }
        if let Some(text) = bounds.max.as_ref().and_then(|value| value_to_json(value, true)) {
            maxes.push(format!("{name}:{text}"));
        }
        if let Some(count) = bounds.nulls {
            nulls.push(format!("{name}:{count}"));
        }
    }
    // Written by hand because a JSON number of serde_json is a float, and a decimal is not.
    Ok(format!(
        r#"{{"numRecords":{},"minValues":{{{}}},"maxValues":{{{}}},"nullCount":{{{}}}}}"#,
        metadata.file_metadata().num_rows(),
        mins.join(","),
        maxes.join(","),
        nulls.join(","),
    ))
}

fn footer_bounds(
    metadata: &ParquetMetaData,
    schema: &Schema,
    column: &str,
) -> Result<Option<Bounds>, LakeError> {
    let descriptor = metadata.file_metadata().schema_descr();
    let data_type = schema.field_with_name(column)?.data_type();
    if data_type.is_nested() {
        return Ok(None);
    }
    let converter = StatisticsConverter::try_new(column, schema, descriptor)?;
    let groups = metadata.row_groups();
    let counts: UInt64Array = converter.row_group_null_counts(groups)?;
    let nulls = (counts.null_count() == 0).then(|| counts.values().iter().sum());
    if matches!(data_type, DataType::Binary) {
        return Ok(Some(Bounds { min: None, max: None, nulls }));
    }
    let mins = converter.row_group_mins(groups)?;
    let maxes = converter.row_group_maxes(groups)?;
    let mut bounds = Bounds { min: None, max: None, nulls };
    for (index, group) in groups.iter().enumerate() {
        let all_null = counts.is_valid(index) && i64::try_from(counts.value(index)) == Ok(group.num_rows());
        if all_null {
            continue;
        }
        if mins.is_null(index) || maxes.is_null(index) {
            return Ok(Some(Bounds { min: None, max: None, nulls }));
        }
        let min = ScalarValue::try_from_array(&mins, index).map_err(LakeError::Input)?;
        let max = ScalarValue::try_from_array(&maxes, index).map_err(LakeError::Input)?;
        if bounds.min.as_ref().is_none_or(|known| min < *known) {
            bounds.min = Some(min);
        }
        if bounds.max.as_ref().is_none_or(|known| max > *known) {
            bounds.max = Some(max);
        }
    }
    Ok(Some(bounds))
}

/// A bound as JSON text, rounded down, or up when it is an `upper` one; `None` when the protocol has no form for it.
fn value_to_json(value: &ScalarValue, upper: bool) -> Option<String> {
    if value.is_null() {
        return None;
    }
    match value {
        ScalarValue::Boolean(Some(_))
        | ScalarValue::Int8(_)
        | ScalarValue::Int16(_)
        | ScalarValue::Int32(_)
        | ScalarValue::Int64(_)
        | ScalarValue::Decimal128(..) => Some(value.to_string()),
        ScalarValue::Float32(Some(number)) => number.is_finite().then(|| Value::from(*number).to_string()),
        ScalarValue::Float64(Some(number)) => number.is_finite().then(|| Value::from(*number).to_string()),
        ScalarValue::Date32(Some(days)) => {
            let date = NaiveDate::from_epoch_days(*days)?;
            has_four_digits(date.year()).then(|| format!("\"{}\"", date.format("%Y-%m-%d")))
        }
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            let millis =
                if upper { micros.checked_add(999)?.div_euclid(1000) } else { micros.div_euclid(1000) };
            let instant = DateTime::from_timestamp_millis(millis)?;
            let suffix = if zone.is_some() { "Z" } else { "" };
            has_four_digits(instant.year())
                .then(|| format!("\"{}{suffix}\"", instant.naive_utc().format("%Y-%m-%dT%H:%M:%S%.3f")))
        }
        ScalarValue::Utf8(Some(text)) => Some(Value::from(text.as_str()).to_string()),
        _ => None,
    }
}

fn has_four_digits(year: i32) -> bool {
    (0..=9999).contains(&year)
}

/// The statistics of one file, read back.
#[derive(Debug, Default)]
pub(crate) struct FileStatistics {
    pub(crate) rows: Option<u64>,
    json: Value,
}

impl FileStatistics {
    /// Reads the JSON of an Add action. What can't be read is unknown, because statistics only ever help.
    pub(crate) fn from_json(text: Option<&str>) -> Self {
        let json: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self { rows: json.get("numRecords").and_then(Value::as_u64), json }
    }

    /// The bounds of a column whose stored type is `data_type`.
    pub(crate) fn bounds(&self, column: &str, data_type: &DataType) -> Bounds {
        let of = |key: &str| self.json.get(key).and_then(|columns| columns.get(column));
        Bounds {
            min: of("minValues").and_then(|value| value_from_json(value, data_type, false)),
            max: of("maxValues").and_then(|value| value_from_json(value, data_type, true)),
            nulls: of("nullCount").and_then(Value::as_u64),
        }
    }
}

fn value_from_json(value: &Value, data_type: &DataType, upper: bool) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Boolean => ScalarValue::Boolean(Some(value.as_bool()?)),
        DataType::Int8 => ScalarValue::Int8(Some(value.as_i64()?.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(value.as_i64()?.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(value.as_i64()?.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value.as_i64()?)),
        // serde_json's floats may be off by one unit in the last place, so bounds are read one further out.
        #[expect(clippy::cast_possible_truncation, reason = "the text was printed from a 32-bit float")]
        DataType::Float32 => {
            let value = value.as_f64()? as f32;
            ScalarValue::Float32(Some(if upper { value.next_up() } else { value.next_down() }))
        }
        DataType::Float64 => {
            let value = value.as_f64()?;
            ScalarValue::Float64(Some(if upper { value.next_up() } else { value.next_down() }))
        }
        DataType::Date32 => {
            let date: NaiveDate = value.as_str()?.get(..10)?.parse().ok()?;
            ScalarValue::Date32(Some(date.to_epoch_days()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = parse_instant(value.as_str()?)?;
            // Other writers cut an upper bound to milliseconds; what it stands for may be up to 999 µs later.
            let micros = if upper { micros.checked_add(999)? } else { micros };
            ScalarValue::TimestampMicrosecond(Some(micros), zone.clone())
        }
        DataType::Decimal128(digits, scale) => {
            ScalarValue::Decimal128(Some(parse_decimal(value, *scale, upper)?), *digits, *scale)
        }
        DataType::Utf8 => ScalarValue::Utf8(Some(value.as_str()?.to_owned())),
        _ => return None,
    })
}

fn parse_instant(text: &str) -> Option<i64> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.timestamp_micros());
    }
    let local = text.replacen(' ', "T", 1);
    let local = NaiveDateTime::parse_from_str(&local, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some(local.and_utc().timestamp_micros())
}

fn parse_decimal(value: &Value, scale: i8, upper: bool) -> Option<i128> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse::<f64>().ok()?,
        _ => return None,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float beyond i128 saturates, and is widened below"
    )]
    let unscaled = (number * 10_f64.powi(i32::from(scale))).round() as i128;
    if unscaled.abs() < EXACT_DECIMAL {
        return Some(unscaled);
    }
    let margin = unscaled.abs() >> 44;
    if upper { unscaled.checked_add(margin) } else { unscaled.checked_sub(margin) }
}

/// Whether a bound that was read is the value itself, so that MIN and MAX may be answered from it.
pub(crate) fn is_exact(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Boolean(_)
        | ScalarValue::Int8(_)
        | ScalarValue::Int16(_)
        | ScalarValue::Int32(_)
        | ScalarValue::Int64(_)
        | ScalarValue::Date32(_) => true,
        ScalarValue::Decimal128(Some(unscaled), ..) => unscaled.abs() < EXACT_DECIMAL,
        // Text may be cut, instants are rounded, and a float's bounds know nothing of NaN.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(value: &ScalarValue, upper: bool) -> Option<ScalarValue> {
        let text = value_to_json(value, upper)?;
        let json: Value = serde_json::from_str(&text).unwrap();
        value_from_json(&json, &value.data_type(), upper)
    }

    #[test]
    fn exact_values_come_back_as_they_were() {
        let values = [
            ScalarValue::Boolean(Some(true)),
            ScalarValue::Int64(Some(i64::MIN)),
            ScalarValue::Int8(Some(-3)),
            ScalarValue::Date32(Some(-1)),
            ScalarValue::Decimal128(Some(-123_456_789_012_345), 18, 2),
            ScalarValue::Decimal128(Some(5), 18, 4),
            ScalarValue::Utf8(Some("a\"\\\u{1}\u{10ffff}".into())),
        ];
        for value in values {
            assert_eq!(there_and_back(&value, false).unwrap(), value);
            assert_eq!(there_and_back(&value, true).unwrap(), value);
        }
        assert_eq!(value_to_json(&ScalarValue::Decimal128(Some(5), 18, 4), false).unwrap(), "0.0005");
    }

    #[test]
    fn inexact_bounds_only_grow_outwards() {
        let large = ScalarValue::Decimal128(Some(12_345_678_901_234_567_890_123_456_789_012_345_678), 38, 2);
        let instant = ScalarValue::TimestampMicrosecond(Some(-1_234_567), None);
        let zoned = ScalarValue::TimestampMicrosecond(Some(1_700_000_000_000_001), Some("UTC".into()));
        let real = ScalarValue::Float64(Some(3.819_729_588_564_156_2));
        let small = ScalarValue::Float32(Some(-0.1));
        for value in [large, instant, zoned, real, small] {
            assert!(there_and_back(&value, false).unwrap() <= value);
            assert!(there_and_back(&value, true).unwrap() >= value);
            assert!(!is_exact(&value));
        }
    }

    #[test]
    fn what_json_has_no_form_for_is_left_out() {
        assert_eq!(value_to_json(&ScalarValue::Float64(Some(f64::NAN)), false), None);
        assert_eq!(value_to_json(&ScalarValue::Date32(Some(i32::MAX)), false), None);
        assert_eq!(value_to_json(&ScalarValue::Int64(None), false), None);
        let statistics = FileStatistics::from_json(Some("not json"));
        assert_eq!(statistics.bounds("a", &DataType::Int64), Bounds::default());
        assert_eq!(statistics.rows, None);
    }

    #[test]
    fn other_writers_forms_are_read() {
        let text = r#"{"numRecords":3,"minValues":{"t":"2024-01-01 00:00:00","d":"1.50"},
            "maxValues":{"t":"2024-01-02T00:00:00.000Z"},"nullCount":{"t":1}}"#;
        let statistics = FileStatistics::from_json(Some(text));
        let bounds = statistics.bounds("t", &DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(bounds.min, Some(ScalarValue::TimestampMicrosecond(Some(1_704_067_200_000_000), None)));
        assert_eq!(bounds.nulls, Some(1));
        let decimal = statistics.bounds("d", &DataType::Decimal128(18, 2));
        assert_eq!(decimal.min, Some(ScalarValue::Decimal128(Some(150), 18, 2)));
    }
}
