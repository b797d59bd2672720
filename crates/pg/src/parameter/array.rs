//! Arrays of one dimension, in both formats.

use arrow::datatypes::DataType;
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use postgres_types::Type;

use super::{binary, fit, null, text};
use crate::frontend::Body;
use crate::oid;
use crate::report::Report;

/// `{a,"b c",NULL}`.
pub(super) fn from_text(literal: &str, element: &Type) -> Result<ScalarValue, Report> {
    let target = target(element)?;
    let items = split(literal, element)?;
    let values = items.into_iter().map(|item| match item {
        Some(item) => fit(text::decode(&item, element)?, element, &target),
        None => null(&target),
    });
    list(values.collect::<Result<_, _>>()?, &target)
}

/// `array_recv`: dimensions, flags, element type, length and lower bound, elements.
pub(super) fn from_binary(bytes: &[u8], element: &Type) -> Result<ScalarValue, Report> {
    let wrong = |_| binary::invalid(element).within("array");
    let mut body = Body(Bytes::copy_from_slice(bytes));
    let dimensions = body.u32().map_err(wrong)?;
    body.u32().map_err(wrong)?;
    let sent = body.u32().map_err(wrong)?;
    // The elements say of what type they are; a client may send varchar where text is expected.
    let element =
        &Type::from_oid(sent).filter(|t| oid::element(t).is_none()).unwrap_or_else(|| element.clone());
    let target = target(element)?;
    let length = match dimensions {
        0 => 0,
        1 => {
            let length = body.u32().map_err(wrong)?;
            body.u32().map_err(wrong)?;
            length
        }
        _ => return Err(nested()),
    };
    let mut values = Vec::new();
    for _ in 0..length {
        values.push(match body.value().map_err(wrong)? {
            Some(bytes) => fit(binary::decode(&bytes, element)?, element, &target)?,
            None => null(&target)?,
        });
    }
    if !body.0.is_empty() {
        return Err(binary::invalid(element).within("array"));
    }
    list(values, &target)
}

fn list(values: Vec<ScalarValue>, element: &DataType) -> Result<ScalarValue, Report> {
    Ok(ScalarValue::List(ScalarValue::new_list(&values, element, true)))
}

/// What the elements become before the whole is cast to what the plan wants.
fn target(element: &Type) -> Result<DataType, Report> {
    let unsupported = || Report::error("0A000", format!("arrays of type {element} are not supported"));
    match oid::to_arrow(element.oid()) {
        Ok(Some(data_type)) => Ok(data_type),
        Ok(None) if *element == Type::NUMERIC => Ok(DataType::Float64),
        Ok(None) => Ok(DataType::Utf8),
        Err(_) => Err(unsupported()),
    }
}

/// Splits an array literal into its items; `None` is NULL.
fn split(literal: &str, element: &Type) -> Result<Vec<Option<String>>, Report> {
    let malformed = |detail: &str| {
        let shown: String = literal.chars().take(100).collect();
        Report::error("22P02", format!("malformed array literal of {element}: \"{shown}\""))
            .with_detail(detail)
    };
    let inner = literal
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| malformed("an array stands in braces: {a,b}"))?;
    let mut items = Vec::new();
    if inner.trim().is_empty() {
        return Ok(items);
    }
    let mut characters = inner.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        let quoted = characters.next_if_eq(&'"').is_some();
        if quoted {
            loop {
                match characters.next() {
                    Some('"') => break,
                    Some('\\') => item.extend(characters.next()),
                    Some(c) => item.push(c),
                    None => return Err(malformed("a quote is not closed")),
                }
            }
            while characters.next_if(|c| c.is_whitespace()).is_some() {}
        } else {
            while let Some(c) = characters.next_if(|c| *c != ',') {
                match c {
                    '{' | '}' => return Err(nested()),
                    '"' => return Err(malformed("a quote stands inside an item")),
                    '\\' => item.extend(characters.next()),
                    c => item.push(c),
                }
            }
            item.truncate(item.trim_end().len());
            if item.is_empty() {
                return Err(malformed("an item is missing"));
            }
        }
        let is_null = !quoted && item.eq_ignore_ascii_case("null");
        items.push((!is_null).then_some(item));
        match characters.next() {
            Some(',') => {}
            Some(_) => return Err(malformed("text follows a quoted item")),
            None => return Ok(items),
        }
    }
}

fn nested() -> Report {
    Report::error("0A000", "arrays of more than one dimension are not supported as parameters")
}
