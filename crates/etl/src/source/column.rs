//! The columns of a text file: SQL type names, and batches built from fields of text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatchOptions;

use super::{FILE_COLUMN, LINE_COLUMN, Source, SourceFile};
use crate::error::EtlError;

/// The types that a declaration may name.
pub(super) const TYPE_NAMES: [&str; 10] = [
    "text",
    "integer",
    "bigint",
    "smallint",
    "double",
    "real",
    "boolean",
    "date",
    "timestamp",
    "decimal(18,2)",
];

/// The Arrow type of a SQL type name.
pub(super) fn data_type(name: &str) -> Option<DataType> {
    let name = name.trim().to_ascii_lowercase();
    if let Some((base, arguments)) = name.split_once('(') {
        let (precision, scale) = arguments.strip_suffix(')')?.split_once(',')?;
        let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?);
        let fits = (1..=38).contains(&precision) && scale >= 0 && i16::from(scale) <= i16::from(precision);
        return (matches!(base.trim(), "decimal" | "numeric") && fits)
            .then_some(DataType::Decimal128(precision, scale));
    }
    Some(match name.as_str() {
        "text" | "varchar" | "string" => DataType::Utf8,
        "smallint" | "int2" => DataType::Int16,
        "integer" | "int" | "int4" => DataType::Int32,
        "bigint" | "int8" => DataType::Int64,
        "real" | "float4" => DataType::Float32,
        "double" | "double precision" | "float8" | "float" => DataType::Float64,
        "boolean" | "bool" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return None,
    })
}

/// What a scan wants from a file.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The columns of the batches, in order.
    pub(super) schema: SchemaRef,
    /// Rows in a batch.
    pub(super) batch_size: usize,
}

impl Wanted {
    /// The wanted columns that stand in the file itself: everything but `_file` and `_line`.
    pub(super) fn in_file(&self) -> impl Iterator<Item = &str> {
        self.schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .filter(|name| ![FILE_COLUMN, LINE_COLUMN].contains(name))
    }

    /// Puts together a batch: `columns` are those of [`Wanted::in_file`], already of their types.
    pub(super) fn batch(
        &self,
        file: &SourceFile,
        lines: Vec<i64>,
        columns: Vec<ArrayRef>,
    ) -> Result<RecordBatch, EtlError> {
        let rows = lines.len();
        let mut columns = columns.into_iter();
        let mut lines = Some(lines);
        let arrays = self
            .schema
            .fields()
            .iter()
            .filter_map(|field| match field.name().as_str() {
                FILE_COLUMN => {
                    Some(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&file.shown, rows)))
                        as ArrayRef)
                }
                LINE_COLUMN => Some(Arc::new(Int64Array::from(lines.take()?)) as ArrayRef),
                _ => columns.next(),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(|error| {
            super::fault(file, 0, format!("can't build a batch: {error}")).with_source(error)
        })
    }
}

/// Rows of text on their way to a batch.
#[derive(Debug)]
pub(super) struct TextRows<'a> {
    source: &'a Source,
    file: &'a SourceFile,
    wanted: &'a Wanted,
    columns: Vec<StringBuilder>,
    lines: Vec<i64>,
}

impl<'a> TextRows<'a> {
    pub(super) fn new(source: &'a Source, file: &'a SourceFile, wanted: &'a Wanted) -> Self {
        let columns = wanted.in_file().map(|_| StringBuilder::new()).collect();
        Self { source, file, wanted, columns, lines: Vec::with_capacity(wanted.batch_size) }
    }

    /// Adds a row; `field` gives the text of the n-th column of [`Wanted::in_file`].
    pub(super) fn push<'f>(
        &mut self,
        line: u64,
        mut field: impl FnMut(usize) -> Option<std::borrow::Cow<'f, str>>,
    ) {
        for (i, column) in self.columns.iter_mut().enumerate() {
            column.append_option(field(i));
        }
        self.lines.push(i64::try_from(line).unwrap_or(i64::MAX));
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= self.wanted.batch_size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Turns the rows into a batch and starts afresh.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, EtlError> {
        let lines = std::mem::take(&mut self.lines);
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, name) in self.columns.iter_mut().zip(self.wanted.in_file()) {
            let text = column.finish();
            let data_type = self.wanted.schema.field_with_name(name).map(|field| field.data_type().clone());
            let data_type = data_type.unwrap_or(DataType::Utf8);
            arrays.push(typed(self.source, self.file, name, &text, &data_type, &lines)?);
        }
        self.wanted.batch(self.file, lines, arrays)
    }
}

/// Reads text as `data_type`; the first field that can't be read is an error with its line.
fn typed(
    source: &Source,
    file: &SourceFile,
    name: &str,
    text: &StringArray,
    data_type: &DataType,
    lines: &[i64],
) -> Result<ArrayRef, EtlError> {
    if *data_type == DataType::Utf8 {
        return Ok(Arc::new(text.clone()));
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let array = cast_with_options(text, data_type, &options)
        .map_err(|error| super::fault(file, 0, format!("column {name}: {error}")).with_source(error))?;
    if array.null_count() > text.null_count()
        && let Some(row) = (0..array.len()).find(|row| array.is_null(*row) && text.is_valid(*row))
    {
        let line = lines.get(row).and_then(|line| u64::try_from(*line).ok()).unwrap_or(0);
        let found = text.value(row);
        return Err(super::fault(
            file,
            line,
            format!("column {name}: expected a value of type {data_type}, found {found:?}"),
        )
        .with_hint(format!(
            "mend the line, or declare {name} = \"text\" in [sources.{}] and quarantine bad rows in a staging model",
            source.name
        )));
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names() {
        assert_eq!(data_type("Text"), Some(DataType::Utf8));
        assert_eq!(data_type("numeric(18, 2)"), Some(DataType::Decimal128(18, 2)));
        assert_eq!(data_type("decimal(18)"), None);
        assert_eq!(data_type("decimal(39,2)"), None);
        assert_eq!(data_type("decimal(2,3)"), None);
        assert_eq!(data_type("money"), None);
        for name in TYPE_NAMES {
            assert!(data_type(name).is_some(), "{name}");
        }
    }
}
