//! Values in the text format.

use std::str::FromStr;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::scalar::ScalarValue;
use postgres_types::Type;

use super::array;
use crate::oid;
use crate::report::Report;

/// Reads `text` as a value of `pg`. A numeric comes back as its digits.
pub(super) fn decode(text: &str, pg: &Type) -> Result<ScalarValue, Report> {
    if let Some(element) = oid::element(pg) {
        return array::from_text(text, element);
    }
    Ok(match *pg {
        Type::BOOL => boolean(text).ok_or_else(|| invalid(pg, text))?.into(),
        Type::INT2 => number::<i16>(text, pg)?.into(),
        Type::INT4 => number::<i32>(text, pg)?.into(),
        Type::INT8 | Type::OID => number::<i64>(text, pg)?.into(),
        Type::FLOAT4 => text.trim().parse::<f32>().map_err(|_| invalid(pg, text))?.into(),
        Type::FLOAT8 => text.trim().parse::<f64>().map_err(|_| invalid(pg, text))?.into(),
        Type::NUMERIC => ScalarValue::from(text.trim()),
        Type::BYTEA => ScalarValue::Binary(Some(bytea(text).ok_or_else(|| invalid(pg, text))?)),
        Type::DATE => instant(text, pg, &DataType::Date32)?,
        Type::TIME => instant(text, pg, &DataType::Time64(TimeUnit::Microsecond))?,
        Type::TIMESTAMP => instant(text, pg, &DataType::Timestamp(TimeUnit::Microsecond, None))?,
        Type::TIMESTAMPTZ => {
            instant(text, pg, &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))?
        }
        Type::INTERVAL => instant(text, pg, &DataType::Interval(IntervalUnit::MonthDayNano))?,
        _ => ScalarValue::from(text),
    })
}

/// Digits → the type that the plan wants. Integers take what rounds to them, as PostgreSQL's cast does.
pub(super) fn numeric(digits: &str, target: &DataType) -> Result<ScalarValue, Report> {
    let refused = || invalid(&Type::NUMERIC, digits);
    let digits = digits.trim();
    if target.is_integer() {
        let exact = ScalarValue::from(digits).cast_to(target);
        return exact.or_else(|_| {
            let rounded = ScalarValue::from(digits).cast_to(&DataType::Decimal128(38, 0));
            rounded.and_then(|whole| whole.cast_to(target)).map_err(|_| refused())
        });
    }
    if target.is_floating() {
        let value: f64 = digits.parse().map_err(|_| refused())?;
        return ScalarValue::from(value).cast_to(target).map_err(|_| refused());
    }
    ScalarValue::from(digits).cast_to(target).map_err(|_| refused())
}

/// A text that is not a value of its type, in PostgreSQL's words.
pub(super) fn invalid(pg: &Type, text: &str) -> Report {
    let name = match *pg {
        Type::BOOL => "boolean",
        Type::INT2 => "smallint",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::FLOAT4 => "real",
        Type::FLOAT8 => "double precision",
        Type::TIMESTAMPTZ => "timestamp with time zone",
        _ => pg.name(),
    };
    let state = match *pg {
        Type::DATE | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL => "22007",
        _ => "22P02",
    };
    // A megabyte of nonsense need not come back.
    let shown: String = text.chars().take(100).collect();
    Report::error(state, format!("invalid input syntax for type {name}: \"{shown}\""))
}

/// Any prefix of true, false, yes, no; on, off, 1, 0.
fn boolean(text: &str) -> Option<bool> {
    let word = text.trim().to_ascii_lowercase();
    let starts = |full: &str| !word.is_empty() && full.starts_with(&word);
    match word.as_str() {
        "1" | "on" => Some(true),
        "0" | "of" | "off" => Some(false),
        _ if starts("true") || starts("yes") => Some(true),
        _ if starts("false") || starts("no") => Some(false),
        _ => None,
    }
}

fn number<T: FromStr>(text: &str, pg: &Type) -> Result<T, Report> {
    let trimmed = text.trim();
    trimmed.parse().map_err(|_| {
        let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            let shown: String = trimmed.chars().take(100).collect();
            return Report::error("22003", format!("value \"{shown}\" is out of range for type {pg}"));
        }
        invalid(pg, text)
    })
}

fn instant(text: &str, pg: &Type, data_type: &DataType) -> Result<ScalarValue, Report> {
    ScalarValue::from(text.trim()).cast_to(data_type).map_err(|_| invalid(pg, text))
}

/// `\x` and hex digits, or the older form in which a backslash escapes itself or three octal digits.
fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Option<Vec<u8>> = hex
            .bytes()
            .filter(|b| !b.is_ascii_whitespace())
            .map(|b| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect();
        let digits = digits?;
        return digits
            .len()
            .is_multiple_of(2)
            .then(|| digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            first @ b'0'..=b'3' => {
                let mut value = first - b'0';
                for _ in 0..2 {
                    let digit = bytes.next().filter(|b| (b'0'..=b'7').contains(b))?;
                    value = value << 3 | (digit - b'0');
                }
                out.push(value);
            }
            _ => return None,
        }
    }
    Some(out)
}
