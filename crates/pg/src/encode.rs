//! Record batches → DataRow messages, text or binary per column.
//!
//! A batch is downcast once, then walked row by row. Nothing is collected: the caller sends what has been written
//! whenever enough has gathered.

mod column;
mod decimal;
mod float;
mod json;
mod temporal;
mod value;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};
use pgwire::messages::data::{FORMAT_CODE_BINARY, FORMAT_CODE_TEXT};
use postgres_types::Type;

use self::column::Column;
use self::temporal::Zone;
use self::value::Value;
use crate::oid;
use crate::report::Report;

/// The formats that a client asked for: none (all text), one for all columns, or one for each.
///
/// # Errors
/// 08P01 when the counts don't match or a code is neither 0 nor 1.
pub(crate) fn formats(codes: &[i16], columns: usize) -> Result<Vec<i16>, Report> {
    if let Some(code) = codes.iter().find(|code| ![FORMAT_CODE_TEXT, FORMAT_CODE_BINARY].contains(code)) {
        return Err(Report::error("08P01", format!("unsupported format code: {code}")));
    }
    match codes {
        [] => Ok(vec![FORMAT_CODE_TEXT; columns]),
        [code] => Ok(vec![*code; columns]),
        _ if codes.len() == columns => Ok(codes.to_vec()),
        _ => Err(Report::error(
            "08P01",
            format!("bind message has {} result formats but query has {columns} columns", codes.len()),
        )),
    }
}

/// How the rows of one result are written.
#[derive(Debug)]
pub(crate) struct RowEncoder {
    columns: Vec<Target>,
    zone: Zone,
}

#[derive(Debug)]
struct Target {
    pg: Type,
    binary: bool,
}

impl RowEncoder {
    /// `formats`: one code for each column; `time_zone`: the session's, for `timestamptz` as text.
    pub(crate) fn new(schema: &Schema, formats: &[i16], time_zone: &str) -> Self {
        let columns = schema
            .fields()
            .iter()
            .zip(formats)
            .map(|(field, format)| Target { pg: oid::of_field(field), binary: *format == FORMAT_CODE_BINARY })
            .collect();
        Self { columns, zone: Zone::new(time_zone) }
    }

    /// Downcasts the columns of `batch`.
    pub(crate) fn batch<'a>(&'a self, batch: &'a RecordBatch) -> BatchEncoder<'a> {
        let schema = batch.schema_ref();
        let columns = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .zip(&self.columns)
            .map(|((array, field), target)| (Column::new(array.as_ref(), field), target))
            .collect();
        BatchEncoder { columns, zone: &self.zone, scratch: String::new() }
    }
}

/// Writes rows of one batch.
#[derive(Debug)]
pub(crate) struct BatchEncoder<'a> {
    columns: Vec<(Column<'a>, &'a Target)>,
    zone: &'a Zone,
    scratch: String,
}

impl BatchEncoder<'_> {
    /// Appends the DataRow message of row number `row`. On an error, `out` is as it was.
    ///
    /// # Errors
    /// 22008 and such when a value has no place in the wire's format; 54000 when the row is longer than a message.
    pub(crate) fn row(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Report> {
        let start = out.len();
        let written = self.try_row(row, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn try_row(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Report> {
        out.put_u8(b'D');
        let start = out.len();
        out.put_i32(0);
        out.put_u16(u16::try_from(self.columns.len()).unwrap_or(u16::MAX));
        for (column, target) in &self.columns {
            let value = column.value(row);
            if matches!(value, Value::Null) {
                out.put_i32(-1);
                continue;
            }
            let cell = out.len();
            out.put_i32(0);
            if target.binary && target.pg != Type::JSON {
                value.binary(&target.pg, self.zone, out)?;
            } else {
                value.put_text(&target.pg, self.zone, &mut self.scratch, out);
            }
            let length = out.len() - cell - 4;
            patch_length(out, cell, length)?;
        }
        let length = out.len() - start;
        patch_length(out, start, length)
    }
}

/// Writes `length` at `at`, where four bytes were left for it.
fn patch_length(out: &mut BytesMut, at: usize, length: usize) -> Result<(), Report> {
    let length = i32::try_from(length)
        .map_err(|_| Report::error("54000", format!("a row of {length} bytes is too long to be sent")))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
