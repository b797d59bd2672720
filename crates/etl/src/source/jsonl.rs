//! JSON lines: one object a line. A missing key or `null` is NULL; a nested value is its JSON text.

use std::borrow::Cow;
use std::io::{BufRead, BufReader};

use arrow::array::RecordBatch;
use serde_json::{Map, Value};

use super::column::{TextRows, Wanted};
use super::{Source, SourceFile, csv, fault};
use crate::error::EtlError;

/// Reads a file in batches until it ends or `sink` returns false.
pub(super) fn read(
    source: &Source,
    file: &SourceFile,
    wanted: &Wanted,
    sink: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), EtlError> {
    let mut reader = BufReader::with_capacity(256 * 1024, csv::open(source, file)?);
    let names: Vec<&str> = wanted.in_file().collect();
    let mut seen = vec![false; names.len()];
    let mut rows = TextRows::new(source, file, wanted);
    let mut bytes = Vec::new();
    let mut any = false;
    for line in 1_u64.. {
        bytes.clear();
        let length =
            reader.read_until(b'\n', &mut bytes).map_err(|error| csv::io_fault(file, line - 1, &error))?;
        if length == 0 {
            break;
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| {
                fault(file, line, "expected UTF-8 text, found other bytes")
                    .with_hint("convert the file, as in: iconv -f WINDOWS-1252 -t UTF-8 in.jsonl > out.jsonl")
            })?
            .trim();
        if text.is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            fault(file, line, format!("expected a JSON object, found {:?} ({error})", shorten(text)))
        })?;
        any = true;
        rows.push(line, |i| {
            let value = object.get(*names.get(i)?)?;
            if let Some(seen) = seen.get_mut(i) {
                *seen = true;
            }
            match value {
                Value::Null => None,
                Value::String(text) => Some(Cow::Owned(text.clone())),
                other => Some(Cow::Owned(other.to_string())),
            }
        });
        if rows.is_full() && !sink(rows.finish()?) {
            return Ok(());
        }
    }
    if let Some(missing) = seen.iter().position(|seen| !seen)
        && any
    {
        let name = names.get(missing).copied().unwrap_or_default();
        return Err(fault(file, 0, format!("column {name} is missing: no line has the key")).with_hint(
            format!("mend the file, or columns in [sources.{}] of smartsneaks.toml", source.name),
        ));
    }
    if !rows.is_empty() {
        sink(rows.finish()?);
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}
