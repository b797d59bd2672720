//! Rows that broke a rule, kept whole until the run writes them to `etl.quarantine`.
//!
//! They wait in a temporary file rather than in memory: a bad source may break a rule on every row.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use chrono::{DateTime, Utc};

use crate::error::EtlError;

/// Columns of `etl.quarantine`.
pub(crate) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("run_id", DataType::Utf8, false),
        Field::new("model", DataType::Utf8, false),
        Field::new("rule", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("source_file", DataType::Utf8, true),
        Field::new("source_line", DataType::Int64, true),
        Field::new("row", DataType::Utf8, false),
        Field::new("quarantined_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
});

/// Why rows are quarantined: what all of one batch share.
#[derive(Debug)]
pub(crate) struct Cause<'a> {
    pub(crate) model: &'a str,
    pub(crate) rule: &'a str,
    pub(crate) reason: &'a str,
}

/// The quarantined rows of a run on their way to the table.
pub(crate) struct Quarantine {
    run_id: String,
    at: DateTime<Utc>,
    writer: Option<StreamWriter<BufWriter<File>>>,
    rows: u64,
}

impl fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantine").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Quarantine {
    /// An empty quarantine of run `run_id`.
    pub(crate) fn new(run_id: &str, at: DateTime<Utc>) -> Self {
        Self { run_id: run_id.to_owned(), at, writer: None, rows: 0 }
    }

    /// Number of rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds every row of `rows`; `file` and `line` are their origin where the model tells it.
    pub(crate) fn add(
        &mut self,
        cause: &Cause<'_>,
        rows: &RecordBatch,
        file: Option<&ArrayRef>,
        line: Option<&ArrayRef>,
    ) -> Result<(), ArrowError> {
        let count = rows.num_rows();
        let repeat = |text: &str| {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count))) as ArrayRef
        };
        let file = match file {
            Some(file) => cast(file, &DataType::Utf8)?,
            None => Arc::new(StringArray::new_null(count)),
        };
        let line = match line {
            Some(line) => cast(line, &DataType::Int64)?,
            None => Arc::new(Int64Array::new_null(count)),
        };
        let at =
            TimestampMicrosecondArray::from_value(self.at.timestamp_micros(), count).with_timezone("UTC");
        let batch = RecordBatch::try_new(
            Arc::clone(&SCHEMA),
            vec![
                repeat(&self.run_id),
                repeat(cause.model),
                repeat(cause.rule),
                repeat(cause.reason),
                file,
                line,
                as_json(rows)?,
                Arc::new(at),
            ],
        )?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(StreamWriter::try_new(BufWriter::new(tempfile::tempfile()?), &SCHEMA)?),
        };
        writer.write(&batch)?;
        self.rows += count as u64;
        Ok(())
    }

    /// All rows, batch by batch.
    pub(crate) fn into_batches(
        self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static, EtlError> {
        let reader = self.writer.map(reopen).transpose().map_err(|error| {
            EtlError::failed(format!("can't read the quarantined rows back: {error}")).with_source(error)
        })?;
        Ok(reader.into_iter().flatten())
    }
}

fn reopen(writer: StreamWriter<BufWriter<File>>) -> Result<StreamReader<BufReader<File>>, ArrowError> {
    let mut file = writer.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    StreamReader::try_new(BufReader::new(file), None)
}

/// Each row as the text of a JSON object.
pub(crate) fn as_json(rows: &RecordBatch) -> Result<ArrayRef, ArrowError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner())
        .map_err(|error| ArrowError::JsonError(format!("a row is not UTF-8 text: {error}")))?;
    let mut builder = StringBuilder::with_capacity(rows.num_rows(), text.len());
    text.lines().for_each(|line| builder.append_value(line));
    let array = builder.finish();
    if array.len() == rows.num_rows() {
        Ok(Arc::new(array))
    } else {
        Err(ArrowError::JsonError(format!("{} rows became {} lines", rows.num_rows(), array.len())))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn rows_survive_the_detour_through_the_file() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("sku", DataType::Utf8, true),
            Field::new("price", DataType::Decimal128(18, 2), true),
        ]));
        let price = arrow::array::Decimal128Array::from(vec![Some(1999), None])
            .with_precision_and_scale(18, 2)
            .unwrap();
        let rows = RecordBatch::try_new(
            schema,
            vec![Arc::new(StringArray::from(vec![Some("SKU\n1"), None])), Arc::new(price)],
        )
        .unwrap();
        let mut quarantine = Quarantine::new("r1", DateTime::UNIX_EPOCH);
        let file: ArrayRef = Arc::new(StringArray::from(vec!["a.csv", "a.csv"]));
        let line: ArrayRef = Arc::new(Int64Array::from(vec![7, 9]));
        let cause = Cause { model: "staging.s", rule: "price IS NOT NULL", reason: "MISSING_PRICE" };
        quarantine.add(&cause, &rows, Some(&file), Some(&line)).unwrap();
        quarantine.add(&cause, &rows, None, None).unwrap();
        assert_eq!(quarantine.rows(), 4);
        let batches: Vec<_> = quarantine.into_batches().unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.len(), 2);
        let row = batches[0]["row"].as_string::<i32>();
        let row: serde_json::Value = serde_json::from_str(row.value(0)).unwrap();
        assert_eq!(row["sku"], "SKU\n1");
        assert!(["19.99", "\"19.99\""].contains(&row["price"].to_string().as_str()));
        assert!(batches[1]["source_line"].is_null(0));
        assert_eq!(Quarantine::new("r", DateTime::UNIX_EPOCH).into_batches().unwrap().count(), 0);
    }
}
