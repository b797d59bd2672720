//! Nested values as JSON text.

use std::fmt::Write;

use super::temporal::Zone;
use super::value::Value;

/// Appends `value` as JSON: structs and maps are objects, lists arrays, dates and the like strings. Numbers that
/// JSON lacks (NaN, infinities) are strings, as PostgreSQL's `to_json` has them.
pub(super) fn write(value: &Value<'_>, zone: &Zone, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(_) | Value::Decimal(..) => value.text(zone, out),
        Value::Float4(number) if number.is_finite() => value.text(zone, out),
        Value::Float8(number) if number.is_finite() => value.text(zone, out),
        Value::Text(text) => string(text, out),
        Value::List { items, start, end } => {
            out.push('[');
            for row in *start..*end {
                if row > *start {
                    out.push(',');
                }
                write(&items.value(row), zone, out);
            }
            out.push(']');
        }
        Value::Map { keys, values, start, end } => {
            out.push('{');
            for row in *start..*end {
                if row > *start {
                    out.push(',');
                }
                let mut key = String::new();
                keys.value(row).text(zone, &mut key);
                string(&key, out);
                out.push(':');
                write(&values.value(row), zone, out);
            }
            out.push('}');
        }
        Value::Struct { fields, row } => {
            out.push('{');
            for (i, (name, column)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                write(&column.value(*row), zone, out);
            }
            out.push('}');
        }
        _ => {
            let mut text = String::new();
            value.text(zone, &mut text);
            string(&text, out);
        }
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
