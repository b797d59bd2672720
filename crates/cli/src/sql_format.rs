//! Rows as a table, CSV, JSON lines or Parquet, on standard output.

use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::sync::Arc;

use arrow::csv::{Writer as CsvWriter, WriterBuilder};
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;

use crate::failure::Failure;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// With a header line; NULL is empty
    Csv,
    /// One object a line
    Json,
    /// A Parquet file: redirect standard output
    Parquet,
}

/// Writes batches as they come; a table waits for all of them, to know how wide its columns are.
pub(crate) enum Printer {
    Table(SchemaRef, Vec<RecordBatch>),
    Csv(Box<CsvWriter<BufWriter<Stdout>>>),
    Json(LineDelimitedWriter<BufWriter<Stdout>>),
    Parquet(Box<ArrowWriter<BufWriter<Stdout>>>),
}

impl Printer {
    pub(crate) fn new(format: Format, schema: SchemaRef) -> Result<Self, Failure> {
        let out = || BufWriter::new(std::io::stdout());
        Ok(match format {
            Format::Table => Self::Table(schema, Vec::new()),
            Format::Csv => {
                let mut writer = WriterBuilder::new().with_header(true).build(out());
                // The header stands there even when no row follows.
                let header = writer.write(&RecordBatch::new_empty(schema));
                header.map_err(|e| Failure::failed(e.to_string()))?;
                Self::Csv(Box::new(writer))
            }
            Format::Json => Self::Json(LineDelimitedWriter::new(out())),
            Format::Parquet if std::io::stdout().is_terminal() => {
                return Err(Failure::usage("Parquet is not for a terminal")
                    .with_hint("redirect standard output to a file"));
            }
            Format::Parquet => {
                let writer =
                    ArrowWriter::try_new(out(), schema, None).map_err(|e| Failure::failed(e.to_string()))?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let done = match self {
            Self::Table(_, batches) => {
                batches.push(batch.clone());
                Ok(())
            }
            Self::Csv(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Self::Json(writer) => writer.write(batch).map_err(|e| e.to_string()),
            Self::Parquet(writer) => writer.write(batch).map_err(|e| e.to_string()),
        };
        done.map_err(Failure::failed)
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        let done = match self {
            Self::Table(schema, batches) => table(&schema, &batches),
            Self::Csv(writer) => flush(writer.into_inner()),
            Self::Json(mut writer) => {
                writer.finish().map_err(|e| e.to_string()).and_then(|()| flush(writer.into_inner()))
            }
            Self::Parquet(writer) => writer.into_inner().map_err(|e| e.to_string()).and_then(flush),
        };
        done.map_err(Failure::failed)
    }
}

fn flush(mut out: BufWriter<Stdout>) -> Result<(), String> {
    out.flush().map_err(|e| e.to_string())
}

fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), String> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let empty = [RecordBatch::new_empty(Arc::clone(schema))];
    let batches = if batches.is_empty() { &empty } else { batches };
    let options = FormatOptions::default().with_display_error(true);
    let text = pretty_format_batches_with_options(batches, &options).map_err(|e| e.to_string())?;
    println!("{text}\n({rows} row{})", if rows == 1 { "" } else { "s" });
    Ok(())
}
