//! Parquet files. Without declared columns the first file's schema is the source's; `_line` is the row's number.

use std::fs::File;
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field};

use super::column::Wanted;
use super::{Source, SourceFile, declaration, fault};
use crate::error::EtlError;

fn builder(file: &SourceFile) -> Result<ParquetRecordBatchReaderBuilder<File>, EtlError> {
    let opened = File::open(&file.path)
        .map_err(|error| fault(file, 0, format!("can't open the file: {error}")).with_source(error))?;
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|error| {
        fault(file, 0, format!("expected a Parquet file, found damaged or other data ({error})"))
            .with_hint("copy the file again from where it came from")
            .with_source(error)
    })
}

/// Reads the file's schema and returns the source's columns. `first` are the columns of the first file.
pub(super) fn check_schema(
    source: &Source,
    file: &SourceFile,
    first: Option<&[Field]>,
) -> Result<Vec<Field>, EtlError> {
    let builder = builder(file)?;
    let found = builder.schema();
    if source.declared() > 0 {
        let names: Vec<_> = found.fields().iter().map(|field| field.name().as_str()).collect();
        declaration::check_names(source, file, 0, &names)?;
        return Ok(source
            .schema
            .fields()
            .iter()
            .take(source.declared())
            .map(|field| (**field).clone())
            .collect());
    }
    let columns: Vec<Field> =
        found.fields().iter().map(|field| Field::new(field.name(), plain(field.data_type()), true)).collect();
    if let Some(first) = first
        && let Some(missing) = first.iter().find(|field| !columns.contains(field))
    {
        return Err(fault(
            file,
            0,
            format!(
                "expected the column {} {} as in the source's first file",
                missing.name(),
                missing.data_type()
            ),
        )
        .with_hint(format!("declare columns in [sources.{}] to have them converted", source.name)));
    }
    Ok(columns)
}

/// The type in which a column is read: text in its plain form.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, value) => plain(value),
        other => other.clone(),
    }
}

/// Reads a file in batches until it ends or `sink` returns false.
pub(super) fn read(
    _source: &Source,
    file: &SourceFile,
    wanted: &Wanted,
    sink: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), EtlError> {
    let builder = builder(file)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted.in_file());
    let batches = builder
        .with_projection(mask)
        .with_batch_size(wanted.batch_size)
        .build()
        .map_err(|error| fault(file, 0, error.to_string()).with_source(error))?;
    let mut row = 0_u64;
    for batch in batches {
        let batch = batch.map_err(|error| {
            fault(file, row, format!("can't read the rows after this one: {error}")).with_source(error)
        })?;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for name in wanted.in_file() {
            columns.push(column(file, wanted, &batch, name, row)?);
        }
        let next = row + batch.num_rows() as u64;
        let lines = (row + 1..=next).map(|row| i64::try_from(row).unwrap_or(i64::MAX)).collect();
        row = next;
        if !sink(wanted.batch(file, lines, columns)?) {
            break;
        }
    }
    Ok(())
}

fn column(
    file: &SourceFile,
    wanted: &Wanted,
    batch: &RecordBatch,
    name: &str,
    row: u64,
) -> Result<ArrayRef, EtlError> {
    let missing = || fault(file, 0, format!("column {name} is missing"));
    let array = batch.column_by_name(name).ok_or_else(missing)?;
    let field = wanted.schema.field_with_name(name).map_err(|_| missing())?;
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, field.data_type(), &options).map_err(|error| {
        fault(
            file,
            row + 1,
            format!("column {name}: expected {}, found {}: {error}", field.data_type(), array.data_type()),
        )
        .with_source(error)
    })
}
