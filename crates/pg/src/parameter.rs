//! Bound values → scalars, by the type that the client was told or declared.

mod array;
mod binary;
mod text;

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use postgres_types::Type;

use crate::report::Report;

/// Decodes one value. `pg` is how it is written, `target` what the plan wants.
///
/// # Errors
/// 22P02 (22007 for dates and times, 22003 for numbers too large) for text, 22P03 for bytes that are not of the type.
pub(crate) fn decode(
    value: Option<&[u8]>,
    is_binary: bool,
    pg: &Type,
    target: &DataType,
) -> Result<ScalarValue, Report> {
    let scalar = match value {
        None => return null(target),
        Some(bytes) if is_binary => binary::decode(bytes, pg)?,
        Some(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|e| {
                crate::frontend::not_utf8(bytes.get(e.valid_up_to()).copied().unwrap_or_default())
            })?;
            if text.contains('\0') {
                return Err(crate::frontend::not_utf8(0));
            }
            text::decode(text, pg)?
        }
    };
    fit(scalar, pg, target)
}

fn null(data_type: &DataType) -> Result<ScalarValue, Report> {
    ScalarValue::try_from(data_type)
        .map_err(|e| Report::error("0A000", format!("no NULL of type {data_type}: {e}")))
}

/// Casts to what the plan wants. A numeric stays digits until here, so that none gets lost.
fn fit(scalar: ScalarValue, pg: &Type, target: &DataType) -> Result<ScalarValue, Report> {
    if scalar.data_type() == *target {
        return Ok(scalar);
    }
    if let (ScalarValue::Utf8(Some(digits)), true) = (&scalar, *pg == Type::NUMERIC) {
        return text::numeric(digits, target);
    }
    scalar.cast_to(target).map_err(|_| {
        Report::error(
            "22P02",
            format!("a value of type {pg} does not fit: expected {target}, found {scalar}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    fn from_text(text: &str, pg: &Type, target: &DataType) -> Result<ScalarValue, Report> {
        decode(Some(text.as_bytes()), false, pg, target)
    }

    fn from_bytes(bytes: &[u8], pg: &Type, target: &DataType) -> Result<ScalarValue, Report> {
        decode(Some(bytes), true, pg, target)
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, true)))
    }

    fn texts(values: &[Option<&str>]) -> ScalarValue {
        let values: Vec<ScalarValue> =
            values.iter().map(|v| ScalarValue::Utf8(v.map(str::to_owned))).collect();
        ScalarValue::List(ScalarValue::new_list(&values, &DataType::Utf8, true))
    }

    #[test]
    fn scalars_in_text() {
        for (text, pg, target, expected) in [
            ("42", Type::INT4, DataType::Int32, ScalarValue::from(42_i32)),
            (" -7 ", Type::INT2, DataType::Int64, ScalarValue::from(-7_i64)),
            ("1e3", Type::FLOAT8, DataType::Float64, ScalarValue::from(1000.0)),
            ("-Infinity", Type::FLOAT8, DataType::Float64, ScalarValue::from(f64::NEG_INFINITY)),
            ("SKU1", Type::TEXT, DataType::Utf8View, ScalarValue::Utf8View(Some("SKU1".into()))),
            ("tr", Type::BOOL, DataType::Boolean, ScalarValue::from(true)),
            ("\\xDEad", Type::BYTEA, DataType::Binary, ScalarValue::Binary(Some(vec![0xde, 0xad]))),
            ("a\\\\\\001", Type::BYTEA, DataType::Binary, ScalarValue::Binary(Some(b"a\\\x01".to_vec()))),
            ("2026-03-31", Type::DATE, DataType::Date32, ScalarValue::Date32(Some(20_543))),
            (
                "12.345",
                Type::NUMERIC,
                DataType::Decimal128(18, 2),
                ScalarValue::Decimal128(Some(1_235), 18, 2),
            ),
            ("28", Type::NUMERIC, DataType::Int64, ScalarValue::from(28_i64)),
            ("0.95", Type::NUMERIC, DataType::Float64, ScalarValue::from(0.95)),
        ] {
            assert_eq!(from_text(text, &pg, &target).unwrap(), expected, "{text}");
        }
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        assert_eq!(
            from_text("1970-01-01 05:30:00+05:30", &Type::TIMESTAMPTZ, &zoned).unwrap(),
            ScalarValue::TimestampMicrosecond(Some(0), Some("+00:00".into()))
        );
    }

    #[test]
    fn scalars_in_binary() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (bytes, pg, target, expected) in [
            (vec![0, 0, 0, 42], Type::INT4, DataType::Int64, ScalarValue::from(42_i64)),
            (vec![0xff; 8], Type::INT8, DataType::Int64, ScalarValue::from(-1_i64)),
            (1.5_f64.to_be_bytes().to_vec(), Type::FLOAT8, DataType::Float64, ScalarValue::from(1.5)),
            (vec![1], Type::BOOL, DataType::Boolean, ScalarValue::from(true)),
            (vec![0; 4], Type::DATE, DataType::Date32, ScalarValue::Date32(Some(10_957))),
            (
                vec![0; 8],
                Type::TIMESTAMP,
                micros,
                ScalarValue::TimestampMicrosecond(Some(946_684_800_000_000), None),
            ),
            (
                // 1234.56
                vec![0, 2, 0, 0, 0, 0, 0, 2, 0x04, 0xd2, 0x15, 0xe0],
                Type::NUMERIC,
                DataType::Decimal128(18, 2),
                ScalarValue::Decimal128(Some(123_456), 18, 2),
            ),
            (
                // -0.05
                vec![0, 1, 0xff, 0xff, 0x40, 0, 0, 2, 0x01, 0xf4],
                Type::NUMERIC,
                DataType::Utf8,
                ScalarValue::from("-0.05"),
            ),
            (
                vec![0, 1, 0, 1, 0, 0, 0, 0, 0, 1],
                Type::NUMERIC,
                DataType::Int64,
                ScalarValue::from(10_000_i64),
            ),
            (
                vec![0xab; 16],
                Type::UUID,
                DataType::Utf8,
                ScalarValue::from("abababab-abab-abab-abab-abababababab"),
            ),
        ] {
            assert_eq!(from_bytes(&bytes, &pg, &target).unwrap(), expected, "{pg}");
        }
    }

    #[test]
    fn arrays() {
        let expected = texts(&[Some("SKU1"), None, Some("a \"b\"\\,"), Some(""), Some("null")]);
        let text = r#"{SKU1, NULL ,"a \"b\"\\,","","null"}"#;
        assert_eq!(from_text(text, &Type::TEXT_ARRAY, &list(DataType::Utf8)).unwrap(), expected);
        assert_eq!(from_text("{}", &Type::TEXT_ARRAY, &list(DataType::Utf8)).unwrap(), texts(&[]));
        let mut bytes = Vec::new();
        for word in [1_u32, 1, 25, 2, 1, 4] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(b"SKU1");
        bytes.extend((-1_i32).to_be_bytes());
        let decoded = from_bytes(&bytes, &Type::TEXT_ARRAY, &list(DataType::Utf8)).unwrap();
        assert_eq!(decoded, texts(&[Some("SKU1"), None]));
        let ints = from_text("{1,2}", &Type::INT4_ARRAY, &list(DataType::Int64)).unwrap();
        let values = [ScalarValue::from(1_i64), ScalarValue::from(2_i64)];
        assert_eq!(ints, ScalarValue::List(ScalarValue::new_list(&values, &DataType::Int64, true)));
    }

    #[test]
    fn null_has_the_target_type() {
        assert_eq!(decode(None, true, &Type::INT4, &DataType::Int64).unwrap(), ScalarValue::Int64(None));
    }

    #[test]
    fn what_does_not_fit_says_so() {
        for (text, pg, state) in [
            ("abc", Type::INT4, "22P02"),
            ("99999999999", Type::INT4, "22003"),
            ("maybe", Type::BOOL, "22P02"),
            ("1.2.3", Type::FLOAT8, "22P02"),
            ("2026-13-01", Type::DATE, "22007"),
            ("{a", Type::TEXT_ARRAY, "22P02"),
            ("{{a},{b}}", Type::TEXT_ARRAY, "0A000"),
            ("\\xabc", Type::BYTEA, "22P02"),
            ("x", Type::NUMERIC, "22P02"),
        ] {
            let target = crate::oid::to_arrow(pg.oid()).unwrap().unwrap_or(DataType::Float64);
            assert_eq!(from_text(text, &pg, &target).unwrap_err().sqlstate(), state, "{text}");
        }
        for (bytes, pg) in [
            (vec![0, 1], Type::INT4),
            (vec![], Type::BOOL),
            (vec![0; 3], Type::TEXT_ARRAY),
            (vec![0, 9, 0, 0, 0, 0, 0, 0], Type::NUMERIC),
            // An array that promises two thousand million elements.
            ([1_u32, 0, 25, 0x7fff_ffff, 1].iter().flat_map(|w| w.to_be_bytes()).collect(), Type::TEXT_ARRAY),
        ] {
            let target = crate::oid::to_arrow(pg.oid()).unwrap().unwrap_or(DataType::Float64);
            assert_eq!(from_bytes(&bytes, &pg, &target).unwrap_err().sqlstate(), "22P03", "{pg}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), is_binary: bool) {
            for pg in [
                Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC, Type::TEXT,
                Type::BYTEA, Type::DATE, Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::INTERVAL, Type::UUID,
                Type::JSONB, Type::TEXT_ARRAY, Type::INT4_ARRAY, Type::FLOAT8_ARRAY, Type::DATE_ARRAY,
            ] {
                let target = crate::oid::to_arrow(pg.oid()).unwrap().unwrap_or(DataType::Float64);
                let _ = decode(Some(&bytes), is_binary, &pg, &target);
            }
        }
    }
}
