//! CSV files, plain or compressed: RFC 4180 with a header line. An empty field is NULL.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, StringRecord};
use arrow::array::RecordBatch;
use arrow::datatypes::Field;
use flate2::read::MultiGzDecoder;

use super::column::{TextRows, Wanted};
use super::{Format, Source, SourceFile, declaration, fault};
use crate::error::EtlError;

const BUFFER: usize = 256 * 1024;
const ENCODING: &str = "convert the file, as in: iconv -f WINDOWS-1252 -t UTF-8 in.csv > out.csv";

/// Opens a file, undoing its compression.
pub(super) fn open(source: &Source, file: &SourceFile) -> Result<Box<dyn Read + Send>, EtlError> {
    let opened = File::open(&file.path)
        .map_err(|error| fault(file, 0, format!("can't open the file: {error}")).with_source(error))?;
    let gzip = matches!(source.format, Format::Csv { gzip: true } | Format::JsonLines { gzip: true });
    let buffered = BufReader::with_capacity(BUFFER, opened);
    Ok(if gzip { Box::new(MultiGzDecoder::new(buffered)) } else { Box::new(buffered) })
}

/// What a failed read of the bytes means; `line` is the last one that was read whole.
pub(super) fn io_fault(file: &SourceFile, line: u64, error: &std::io::Error) -> EtlError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => fault(
            file,
            line,
            "the compressed data ends too early: the file is truncated; expected a whole gzip stream",
        )
        .with_hint("copy the file again from where it came from"),
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
            fault(file, line, format!("expected a gzip stream, found damaged or other data ({error})"))
                .with_hint("copy the file again, or mend its ending: .gz means compressed")
        }
        _ => fault(file, line, format!("can't read on: {error}")),
    }
}

fn reader(source: &Source, file: &SourceFile) -> Result<Reader<Box<dyn Read + Send>>, EtlError> {
    Ok(ReaderBuilder::new()
        .delimiter(source.delimiter)
        .buffer_capacity(BUFFER)
        .from_reader(open(source, file)?))
}

/// Reads the header line and returns the declared columns in the order of the file.
pub(super) fn check_header(source: &Source, file: &SourceFile) -> Result<Vec<Field>, EtlError> {
    let mut reader = reader(source, file)?;
    let header = header(source, file, &mut reader)?;
    let mut fields = Vec::with_capacity(source.declared());
    for name in &header {
        if let Some((index, field)) = source.schema.column_with_name(name)
            && index < source.declared()
        {
            fields.push(field.clone());
        }
    }
    Ok(fields)
}

fn header(
    source: &Source,
    file: &SourceFile,
    reader: &mut Reader<impl Read>,
) -> Result<StringRecord, EtlError> {
    let header = reader.headers().map_err(|error| describe(file, 1, error))?.clone();
    if header.is_empty() {
        let names: Vec<_> = declaration::column_names(source).collect();
        return Err(fault(
            file,
            0,
            format!("the file is empty; expected a header line with the columns {}", names.join(", ")),
        ));
    }
    let names: Vec<_> = header.iter().collect();
    if let Some((_, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(fault(file, 1, format!("the header names column {name:?} twice")));
    }
    declaration::check_names(source, file, 1, &names)?;
    Ok(header)
}

/// Reads a file in batches until it ends or `sink` returns false.
pub(super) fn read(
    source: &Source,
    file: &SourceFile,
    wanted: &Wanted,
    sink: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), EtlError> {
    let mut reader = reader(source, file)?;
    let header = header(source, file, &mut reader)?;
    let positions: Vec<usize> =
        wanted.in_file().filter_map(|name| header.iter().position(|found| found == name)).collect();
    let mut rows = TextRows::new(source, file, wanted);
    let mut lines = Lines::new(source, file, reader.position().line())?;
    let mut bytes = ByteRecord::new();
    loop {
        let read = reader.read_byte_record(&mut bytes);
        let line = lines.of(reader.position().line(), &bytes);
        if !read.map_err(|error| describe(file, line, error))? {
            break;
        }
        let record = StringRecord::from_byte_record(bytes).map_err(|error| {
            fault(
                file,
                line,
                format!("field {}: expected UTF-8 text, found other bytes", error.utf8_error().field() + 1),
            )
            .with_hint(ENCODING)
        })?;
        rows.push(line, |i| {
            let field = positions.get(i).and_then(|position| record.get(*position));
            field.filter(|field| !field.is_empty()).map(Cow::Borrowed)
        });
        if rows.is_full() && !sink(rows.finish()?) {
            return Ok(());
        }
        bytes = record.into_byte_record();
    }
    if !rows.is_empty() {
        sink(rows.finish()?);
    }
    Ok(())
}

/// Tells on which line of the file a record starts, as an editor counts.
///
/// The parser's own position of a record is where the one before it ended: before blank lines, and before the line feed
/// of a CRLF, which it takes for one. So the line is counted back from where the record ends.
struct Lines {
    /// Whether a record's own line feed is still to come when it has been read.
    crlf: bool,
    /// The line that the parser had reached after the record before.
    reached: u64,
}

impl Lines {
    fn new(source: &Source, file: &SourceFile, reached: u64) -> Result<Self, EtlError> {
        let mut first = Vec::new();
        let read = BufReader::new(open(source, file)?).read_until(b'\n', &mut first);
        read.map_err(|error| io_fault(file, 1, &error))?;
        Ok(Self { crlf: first.ends_with(b"\r\n"), reached })
    }

    /// The first line of `record`, after which the parser has reached line `after`.
    fn of(&mut self, after: u64, record: &ByteRecord) -> u64 {
        let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let own = u64::from(!self.crlf);
        // A last line without line feed starts where the one before it ended.
        let line = after.saturating_sub(within + own).max(self.reached);
        self.reached = after;
        line
    }
}

/// What the parser did not like on `line`.
fn describe(file: &SourceFile, line: u64, error: ::csv::Error) -> EtlError {
    match error.kind() {
        ErrorKind::Io(error) => io_fault(file, line, error),
        ErrorKind::Utf8 { err, .. } => {
            fault(file, line, format!("field {}: expected UTF-8 text, found other bytes", err.field() + 1))
                .with_hint(ENCODING)
        }
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            fault(file, line, format!("expected {expected_len} fields as in the header, found {len}"))
                .with_hint("mend the line; a quote that is not closed joins it with the lines after it")
        }
        _ => fault(file, line, error.to_string()),
    }
}
