//! Values in the binary format.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::scalar::ScalarValue;
use postgres_types::Type;
use uuid::Uuid;

use super::array;
use crate::oid;
use crate::report::Report;

/// Days and microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Reads `bytes` as a value of `pg`. A numeric comes back as its digits.
pub(super) fn decode(bytes: &[u8], pg: &Type) -> Result<ScalarValue, Report> {
    if let Some(element) = oid::element(pg) {
        return array::from_binary(bytes, element);
    }
    let wrong = || invalid(pg);
    Ok(match *pg {
        Type::BOOL => (i8::from_be_bytes(exact(bytes, pg)?) != 0).into(),
        Type::INT2 => i16::from_be_bytes(exact(bytes, pg)?).into(),
        Type::INT4 => i32::from_be_bytes(exact(bytes, pg)?).into(),
        Type::INT8 => i64::from_be_bytes(exact(bytes, pg)?).into(),
        Type::OID => i64::from(u32::from_be_bytes(exact(bytes, pg)?)).into(),
        Type::FLOAT4 => f32::from_be_bytes(exact(bytes, pg)?).into(),
        Type::FLOAT8 => f64::from_be_bytes(exact(bytes, pg)?).into(),
        Type::NUMERIC => ScalarValue::from(numeric(bytes).ok_or_else(wrong)?),
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::DATE => {
            let days = i32::from_be_bytes(exact(bytes, pg)?).checked_add(EPOCH_DAYS).ok_or_else(wrong)?;
            ScalarValue::Date32(Some(days))
        }
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(exact(bytes, pg)?))),
        Type::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(instant(bytes, pg)?), None),
        Type::TIMESTAMPTZ => {
            ScalarValue::TimestampMicrosecond(Some(instant(bytes, pg)?), Some("+00:00".into()))
        }
        Type::INTERVAL => {
            let all = u128::from_be_bytes(exact(bytes, pg)?);
            // Microseconds, days, months: 64, 32 and 32 bits.
            let micros = ((all >> 64) as u64).cast_signed();
            let days = ((all >> 32) as u32).cast_signed();
            let months = (all as u32).cast_signed();
            let nanoseconds = micros.checked_mul(1_000).ok_or_else(wrong)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }))
        }
        Type::UUID => ScalarValue::from(Uuid::from_bytes(exact(bytes, pg)?).to_string()),
        Type::JSONB => match bytes.split_first() {
            Some((1, rest)) => text(rest)?,
            _ => return Err(wrong()),
        },
        _ => text(bytes)?,
    })
}

/// Bytes that are not a value of their type.
pub(super) fn invalid(pg: &Type) -> Report {
    Report::error("22P03", format!("incorrect binary data format for type {pg}"))
}

fn exact<const N: usize>(bytes: &[u8], pg: &Type) -> Result<[u8; N], Report> {
    bytes
        .try_into()
        .map_err(|_| invalid(pg).with_detail(format!("expected {N} bytes, found {}", bytes.len())))
}

fn text(bytes: &[u8]) -> Result<ScalarValue, Report> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(ScalarValue::from(text)),
        Err(e) => Err(crate::frontend::not_utf8(bytes.get(e.valid_up_to()).copied().unwrap_or_default())),
    }
}

fn instant(bytes: &[u8], pg: &Type) -> Result<i64, Report> {
    i64::from_be_bytes(exact(bytes, pg)?).checked_add(EPOCH_MICROS).ok_or_else(|| invalid(pg))
}

/// Base-10000 digits → decimal digits (`numeric_recv`).
fn numeric(bytes: &[u8]) -> Option<String> {
    let words: Vec<u16> =
        bytes.chunks(2).map(|pair| pair.try_into().map(u16::from_be_bytes).ok()).collect::<Option<_>>()?;
    let [count, weight, sign, scale, digits @ ..] = words.as_slice() else { return None };
    let (weight, scale) = (i32::from(weight.cast_signed()), usize::from(*scale));
    let sign = match *sign {
        0x0000 => "",
        0x4000 => "-",
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    if usize::from(*count) != digits.len() || digits.iter().any(|digit| *digit > 9999) || scale > 0x3fff {
        return None;
    }
    let group = |place: i32| {
        let index = usize::try_from(weight - place).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut out = sign.to_owned();
    if weight < 0 {
        out.push('0');
    }
    for place in (0..=weight).rev() {
        let digits = group(place);
        out.push_str(&if place == weight { digits.to_string() } else { format!("{digits:04}") });
    }
    if scale > 0 {
        let groups = i32::try_from(scale.div_ceil(4)).unwrap_or(0);
        let fraction: String = (1..=groups).map(|place| format!("{:04}", group(-place))).collect();
        out.push('.');
        out.push_str(fraction.get(..scale).unwrap_or(&fraction));
    }
    Some(out)
}
