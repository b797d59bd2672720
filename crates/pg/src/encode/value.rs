//! One value in both formats.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use postgres_types::Type;

use super::column::Column;
use super::temporal::{self, Span, Zone};
use super::{decimal, float, json, patch_length};
use crate::oid;
use crate::report::Report;

/// A value of a column. Times are microseconds, dates days, since 1970-01-01.
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float4(f32),
    Float8(f64),
    /// Unscaled digits and scale.
    Decimal(String, i8),
    Text(&'a str),
    Bytes(&'a [u8]),
    Uuid(&'a [u8]),
    Date(i64),
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    /// A time that does not fit 64 bits of microseconds.
    BeyondTime,
    Span(Span),
    List {
        items: &'a Column<'a>,
        start: usize,
        end: usize,
    },
    Map {
        keys: &'a Column<'a>,
        values: &'a Column<'a>,
        start: usize,
        end: usize,
    },
    Struct {
        fields: &'a [(&'a str, Column<'a>)],
        row: usize,
    },
    /// Anything else, as Arrow shows it.
    Shown(String),
}

impl Value<'_> {
    /// Appends the text format for a column that clients see as `pg`; text goes straight through.
    pub(super) fn put_text(&self, pg: &Type, zone: &Zone, scratch: &mut String, out: &mut BytesMut) {
        if let Value::Text(text) = self {
            out.put_slice(text.as_bytes());
            return;
        }
        scratch.clear();
        if *pg == Type::JSON {
            json::write(self, zone, scratch)
        } else {
            self.text(zone, scratch)
        }
        out.put_slice(scratch.as_bytes());
    }

    /// The text format. NULL has none and writes nothing.
    pub(super) fn text(&self, zone: &Zone, out: &mut String) {
        match self {
            Value::Null => {}
            Value::Bool(value) => out.push(if *value { 't' } else { 'f' }),
            Value::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Float4(value) => float::float4(*value, out),
            Value::Float8(value) => float::float8(*value, out),
            Value::Decimal(digits, scale) => decimal::text(digits, *scale, out),
            Value::Text(text) => out.push_str(text),
            Value::Bytes(bytes) => {
                out.push_str("\\x");
                hex(bytes, out);
            }
            Value::Uuid(bytes) => {
                for (i, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                    if i > 0 {
                        out.push('-');
                    }
                    hex(bytes.get(part).unwrap_or_default(), out);
                }
            }
            Value::Date(days) => temporal::date(*days, out),
            Value::Time(micros) => temporal::time(*micros, out),
            Value::Timestamp(micros) => temporal::timestamp(*micros, out),
            Value::TimestampTz(micros) => temporal::timestamptz(*micros, zone, out),
            Value::BeyondTime => out.push_str("infinity"),
            Value::Span(span) => span.text(out),
            Value::List { items, start, end } => {
                out.push('{');
                for row in *start..*end {
                    if row > *start {
                        out.push(',');
                    }
                    element(&items.value(row), zone, out);
                }
                out.push('}');
            }
            Value::Map { .. } | Value::Struct { .. } => json::write(self, zone, out),
            Value::Shown(text) => out.push_str(text),
        }
    }

    /// The binary format for a column that clients see as `pg`.
    ///
    /// # Errors
    /// 22008 for dates and times beyond PostgreSQL's range.
    pub(super) fn binary(&self, pg: &Type, zone: &Zone, out: &mut BytesMut) -> Result<(), Report> {
        match self {
            Value::Null => {}
            Value::Bool(value) => out.put_u8(u8::from(*value)),
            // The type is at least as wide as the column.
            Value::Int(value) => match *pg {
                Type::INT2 => out.put_slice(&value.to_be_bytes()[6..]),
                Type::INT4 => out.put_slice(&value.to_be_bytes()[4..]),
                _ => out.put_i64(*value),
            },
            Value::Float4(value) => out.put_f32(*value),
            Value::Float8(value) => out.put_f64(*value),
            Value::Decimal(digits, scale) => decimal::binary(digits, *scale, out),
            Value::Text(text) => out.put_slice(text.as_bytes()),
            Value::Bytes(bytes) | Value::Uuid(bytes) => out.put_slice(bytes),
            Value::Date(days) => {
                out.put_i32(temporal::date_binary(*days).ok_or_else(|| beyond("date"))?);
            }
            Value::Time(micros) => out.put_i64(*micros),
            Value::Timestamp(micros) | Value::TimestampTz(micros) => {
                out.put_i64(temporal::timestamp_binary(*micros).ok_or_else(|| beyond("timestamp"))?);
            }
            Value::BeyondTime => return Err(beyond("timestamp or interval")),
            Value::Span(Span { months, days, micros }) => {
                out.put_i64(*micros);
                out.put_i32(*days);
                out.put_i32(*months);
            }
            Value::List { items, start, end } => {
                let element = oid::element(pg).unwrap_or(&Type::TEXT);
                array(items, *start, *end, element, zone, out)?;
            }
            Value::Map { .. } | Value::Struct { .. } | Value::Shown(_) => {
                let mut text = String::new();
                self.text(zone, &mut text);
                out.put_slice(text.as_bytes());
            }
        }
        Ok(())
    }
}

/// `array_send`: dimensions, flag for NULLs, element type, length, lower bound, elements.
fn array(
    items: &Column<'_>,
    start: usize,
    end: usize,
    element: &Type,
    zone: &Zone,
    out: &mut BytesMut,
) -> Result<(), Report> {
    let length =
        i32::try_from(end - start).map_err(|_| Report::error("54000", "an array is too long to be sent"))?;
    let nulls = (start..end).any(|row| matches!(items.value(row), Value::Null));
    out.put_i32(i32::from(length > 0));
    out.put_i32(i32::from(nulls));
    out.put_u32(element.oid());
    if length == 0 {
        return Ok(());
    }
    out.put_i32(length);
    out.put_i32(1);
    for row in start..end {
        let value = items.value(row);
        if matches!(value, Value::Null) {
            out.put_i32(-1);
            continue;
        }
        let at = out.len();
        out.put_i32(0);
        value.binary(element, zone, out)?;
        let length = out.len() - at - 4;
        patch_length(out, at, length)?;
    }
    Ok(())
}

/// One element of an array as text, quoted where `array_out` quotes.
fn element(value: &Value<'_>, zone: &Zone, out: &mut String) {
    if matches!(value, Value::Null) {
        out.push_str("NULL");
        return;
    }
    let mut text = String::new();
    value.text(zone, &mut text);
    let special =
        |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace() || c == '\x0b';
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        out.push_str(&text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

fn beyond(what: &str) -> Report {
    Report::error("22008", format!("{what} out of range for the binary format"))
        .with_hint("cast the column to text")
}
