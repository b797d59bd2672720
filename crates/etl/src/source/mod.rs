//! Raw files as tables: the sources that smartsneaks.toml declares, in schema `raw` while the ETL runs.
//!
//! ```toml
//! [sources.sales]
//! path = "data/raw/sales/*.csv.gz"   # glob, relative to the project; ${NAME} is an environment variable
//! columns = { order_id = "text", qty = "integer" }
//! optional = true                    # no file: no rows; without it a run stops
//! ```
//!
//! Every row also has `_file` (the path as shown to people) and `_line` (1-based line of the file; the row's number in a
//! Parquet file), which a model may select like any column. Nothing is guessed: a column is found by its name, has the
//! type that the declaration gives, and a file that does not fit stops the run.

mod column;
mod csv;
mod declaration;
mod jsonl;
mod parquet;
mod path;
mod provider;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use declaration::Declarations;
pub use provider::RawSchema;

use crate::error::{EtlError, Place};

/// Name of the column with the file's path.
pub const FILE_COLUMN: &str = "_file";
/// Name of the column with the line's number.
pub const LINE_COLUMN: &str = "_line";

/// The format of a source's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line, perhaps compressed with gzip.
    Csv {
        /// Whether the file is compressed.
        gzip: bool,
    },
    /// One JSON object a line, perhaps compressed with gzip.
    JsonLines {
        /// Whether the file is compressed.
        gzip: bool,
    },
    /// Apache Parquet.
    Parquet,
}

/// What happens when a file has a column that the declaration does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraColumns {
    /// It is not read.
    #[default]
    Ignore,
    /// The run stops.
    Error,
}

/// A file of a source.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The path as shown to people: relative to the project when it lies inside.
    pub shown: String,
}

/// A source whose files were found and whose columns are known.
#[derive(Debug)]
pub struct Source {
    /// Name in schema `raw`.
    pub name: String,
    /// In the order of their paths.
    pub files: Vec<SourceFile>,
    /// The format of every file.
    pub format: Format,
    /// The declared columns, then `_file` and `_line`.
    pub schema: SchemaRef,
    delimiter: u8,
    extra_columns: ExtraColumns,
}

impl Source {
    /// Number of declared columns: those before `_file` and `_line`.
    fn declared(&self) -> usize {
        self.schema.fields().len() - 2
    }
}

/// The schema of a source: its columns, then `_file` and `_line`.
fn with_origin(columns: Vec<Field>) -> SchemaRef {
    let origin =
        [Field::new(FILE_COLUMN, DataType::Utf8, false), Field::new(LINE_COLUMN, DataType::Int64, false)];
    Arc::new(Schema::new(columns.into_iter().chain(origin).collect::<Vec<_>>()))
}

/// A fault in a file at a line (0: the file as a whole).
fn fault(file: &SourceFile, line: u64, message: impl Into<String>) -> EtlError {
    let error = EtlError::failed(message);
    if line == 0 {
        EtlError::failed(format!("{}: {}", file.shown, error.message()))
    } else {
        error.at(Place { file: file.shown.clone(), line, column: 0, excerpt: String::new() })
    }
}

/// Where readers leave the first fault they meet.
///
/// An error on its way up through a query plan loses its type (operators share, wrap and print it), so the run asks here
/// what really happened when a query fails.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Option<EtlError>>>);

impl Faults {
    fn put(&self, error: EtlError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The first fault since the last call.
    pub fn take(&self) -> Option<EtlError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use arrow::array::{Array, AsArray, RecordBatch};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type};
    use futures::TryStreamExt;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(files: &[(&str, &[u8])]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (name, bytes) in files {
                let bytes = if name.ends_with(".gz") { gzip(bytes) } else { bytes.to_vec() };
                std::fs::write(dir.path().join(name), bytes).unwrap();
            }
            Self(dir)
        }

        /// Opens source `s` and reads all of it, sorted by file and line.
        fn read(&self, declaration: &str) -> Result<RecordBatch, EtlError> {
            let declarations = Declarations::parse(&format!("[s]\n{declaration}").parse().unwrap())?;
            let source = declarations.open(self.0.path(), "s")?;
            let schema = RawSchema::new(vec![source]);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let batches = runtime.block_on(async {
                use datafusion::catalog::SchemaProvider;
                let context = datafusion::prelude::SessionContext::new();
                let table = schema.table("s").await.unwrap().unwrap();
                let columns = table.schema();
                let stream = context.read_table(table).unwrap().execute_stream().await.unwrap();
                let batches: Result<Vec<RecordBatch>, _> = stream.try_collect().await;
                batches.map(|batches| concat_batches(&columns, &batches).unwrap())
            });
            batches.map_err(|_| schema.faults().take().expect("a fault"))
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const TEXT: &str = "path = \"*.csv\"\ncolumns = { id = \"text\", qty = \"integer\" }";

    fn lines(batch: &RecordBatch) -> Vec<i64> {
        batch.column_by_name("_line").unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn reads_typed_columns_in_the_order_of_the_file() {
        let folder =
            Folder::new(&[("a.csv", b"qty,other,id,day,price\n2,x,\"a,\"\"b\",2024-02-29,1.10\n-1,y,,,\n")]);
        let batch = folder
            .read("path = \"a.csv\"\ncolumns = { id = \"text\", qty = \"integer\", day = \"date\", price = \"decimal(18,2)\" }")
            .unwrap();
        let schema = batch.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["qty", "id", "day", "price", "_file", "_line"]);
        assert_eq!(batch["qty"].as_primitive::<Int32Type>().values(), &[2, -1]);
        assert_eq!(batch["id"].as_string::<i32>().value(0), "a,\"b");
        assert!(batch["id"].is_null(1) && batch["day"].is_null(1) && batch["price"].is_null(1));
        assert_eq!(batch["day"].as_primitive::<Date32Type>().value(0), 19782);
        assert_eq!(batch["price"].as_primitive::<Decimal128Type>().value(0), 110);
        assert_eq!(batch["_file"].as_string::<i32>().value(1), "a.csv");
        assert_eq!(lines(&batch), [2, 3]);
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        for newline in ["\n", "\r\n"] {
            let text = format!("id,qty{newline}\"a{newline}b\",1{newline}{newline}c,2{newline}d,3{newline}");
            let batch = Folder::new(&[("a.csv", text.as_bytes())]).read(TEXT).unwrap();
            assert_eq!(lines(&batch), [2, 5, 6], "{newline:?}");
        }
    }

    #[test]
    fn many_compressed_files_are_one_table() {
        let first: String = (0..20_000).map(|i| format!("a{i},{i}\n")).collect();
        let files: Vec<(String, Vec<u8>)> =
            (0..5).map(|i| (format!("{i}.csv.gz"), format!("id,qty\n{first}").into_bytes())).collect();
        let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let batch = Folder::new(&files).read("path = \"*.csv.gz\"\ncolumns = { qty = \"bigint\" }").unwrap();
        assert_eq!(batch.num_rows(), 100_000);
        let sum: i64 = batch["qty"].as_primitive::<Int64Type>().values().iter().sum();
        assert_eq!(sum, 5 * (0..20_000).sum::<i64>());
        assert_eq!(lines(&batch).iter().max(), Some(&20_001));
    }

    #[test]
    fn a_missing_column_is_named_with_its_likely_new_name() {
        let error = Folder::new(&[("a.csv", b"id,quantity_\n1,2\n"), ("b.csv", b"id,qty\n1,2\n")]).read(TEXT);
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string().lines().next(),
            Some("a.csv:1: column qty is missing; expected id, qty, found id, quantity_")
        );
        let error = Folder::new(&[("a.csv", b"id,qtyy\n")]).read(TEXT).unwrap_err();
        assert!(error.hint().unwrap().contains("was qty renamed to qtyy?"), "{error}");
        let extra = Folder::new(&[("a.csv", b"id,qty,more\n1,2,3\n")]);
        assert!(extra.read(TEXT).is_ok());
        let error = extra.read(&format!("{TEXT}\nextra_columns = \"error\"")).unwrap_err();
        assert!(error.message().contains("column more is not declared"), "{error}");
    }

    #[test]
    fn damaged_text_files_stop_with_file_and_line() {
        let cases: [(&[u8], u64, &str); 6] = [
            (b"id,qty\na,1\nb\n", 3, "expected 2 fields as in the header, found 1"),
            (b"id,qty\na,1\nb,2\nc,3,4\n", 4, "expected 2 fields as in the header, found 3"),
            (b"id,qty\na,1\nb\xff,2\n", 3, "field 1: expected UTF-8 text"),
            (b"id,qty\na,1\nb,two\n", 3, "column qty: expected a value of type Int32, found \"two\""),
            (b"id\xff,qty\na,1\n", 1, "expected UTF-8 text"),
            (b"id,qty,id\na,1,b\n", 1, "names column \"id\" twice"),
        ];
        for (bytes, line, message) in cases {
            let error = Folder::new(&[("a.csv", bytes)]).read(TEXT).unwrap_err();
            let place = error.place().unwrap();
            assert_eq!((place.file.as_str(), place.line), ("a.csv", line), "{error}");
            assert!(error.message().contains(message), "{error}");
            assert_eq!(error.exit_code(), 1);
        }
    }

    #[test]
    fn empty_files_say_what_was_expected() {
        for name in ["a.csv", "a.csv.gz"] {
            let declaration = format!("path = \"{name}\"\ncolumns = {{ id = \"text\" }}");
            let error = Folder::new(&[(name, b"")]).read(&declaration).unwrap_err();
            assert!(
                error.message().contains("the file is empty; expected a header line with the columns id"),
                "{error}"
            );
        }
        let batch = Folder::new(&[("a.csv", b"id,qty\n")]).read(TEXT).unwrap();
        assert_eq!(batch.num_rows(), 0);
    }

    #[test]
    fn truncated_and_false_gzip() {
        let text: String = (0..50_000).map(|i| format!("{i},{}\n", i * 7919 % 1013)).collect();
        let folder = Folder::new(&[("a.csv.gz", format!("id,qty\n{text}").as_bytes())]);
        let path = folder.0.path().join("a.csv.gz");
        let whole = std::fs::read(&path).unwrap();
        let declaration = "path = \"a.csv.gz\"\ncolumns = { id = \"text\", qty = \"integer\" }";
        for length in [5, whole.len() / 2, whole.len() - 3] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = folder.read(declaration).unwrap_err();
            assert!(error.message().contains("truncated"), "{length}: {error}");
        }
        std::fs::write(&path, "id,qty\n1,2\n").unwrap();
        let error = folder.read(declaration).unwrap_err();
        assert!(error.message().contains("expected a gzip stream"), "{error}");
    }

    #[test]
    fn no_file_and_unset_variable() {
        let error = Folder::new(&[]).read("path = \"raw/*.csv\"\ncolumns = { id = \"text\" }").unwrap_err();
        assert!(error.message().contains("no file matches raw/*.csv"), "{error}");
        let error = Folder::new(&[])
            .read("path = \"${SMARTSNEAKS_NO_SUCH}/a.csv\"\ncolumns = { id = \"text\" }")
            .unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn json_lines() {
        let declaration =
            "path = \"*.jsonl\"\ncolumns = { id = \"text\", qty = \"integer\", tags = \"text\" }";
        let text = b"{\"id\":\"a\",\"qty\":1,\"tags\":[1,2]}\n\n{\"qty\":null,\"id\":\"\"}\n";
        let batch = Folder::new(&[("a.jsonl", text)]).read(declaration).unwrap();
        assert_eq!(lines(&batch), [1, 3]);
        assert_eq!(batch["tags"].as_string::<i32>().value(0), "[1,2]");
        assert_eq!(batch["id"].as_string::<i32>().value(1), "");
        assert!(batch["qty"].is_null(1));
        for (text, line, message) in [
            ("{\"id\":1}\n{\"id\":", 2, "expected a JSON object"),
            ("[1]", 1, "expected a JSON object"),
            ("{\"id\":1,\"qty\":\"x\",\"tags\":1}", 1, "column qty: expected a value of type Int32"),
        ] {
            let error = Folder::new(&[("a.jsonl", text.as_bytes())]).read(declaration).unwrap_err();
            assert_eq!(error.place().map(|place| place.line), Some(line), "{error}");
            assert!(error.message().contains(message), "{error}");
        }
        let error = Folder::new(&[("a.jsonl", b"{\"id\":1,\"qty\":1}\n")]).read(declaration).unwrap_err();
        assert!(error.message().contains("column tags is missing"), "{error}");
    }

    #[test]
    fn parquet() {
        let folder = Folder::new(&[]);
        let batch = Folder::new(&[("a.csv", b"id,qty\na,1\nb,2\n")]).read(TEXT).unwrap();
        let batch = batch.project(&[0, 1]).unwrap();
        let file = std::fs::File::create(folder.0.path().join("a.parquet")).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let read = folder.read("path = \"*.parquet\"").unwrap();
        assert_eq!(read.project(&[0, 1]).unwrap(), batch);
        assert_eq!(lines(&read), [1, 2]);
        let read = folder.read("path = \"*.parquet\"\ncolumns = { qty = \"bigint\" }").unwrap();
        assert_eq!(read["qty"].as_primitive::<Int64Type>().values(), &[1, 2]);
        assert!(
            folder
                .read("path = \"*.parquet\"\ncolumns = { q = \"text\" }")
                .unwrap_err()
                .message()
                .contains("q is missing")
        );
        let error = folder.read("path = \"*.parquet\"\ncolumns = { id = \"integer\" }").unwrap_err();
        assert!(error.message().contains("column id: expected Int32"), "{error}");
        std::fs::write(folder.0.path().join("b.parquet"), "not parquet").unwrap();
        let error = folder.read("path = \"b.parquet\"").unwrap_err();
        assert!(error.message().contains("expected a Parquet file"), "{error}");
    }
}
