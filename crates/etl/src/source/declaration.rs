//! The `[sources]` section of smartsneaks.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use serde::Deserialize;

use super::{ExtraColumns, Format, Source, SourceFile, column, csv, parquet, path, with_origin};
use super::{FILE_COLUMN, LINE_COLUMN};
use smartsneaks_engine::nearest;

use crate::error::EtlError;

const FORMATS: &str = "csv, csv.gz, jsonl, jsonl.gz or parquet";

/// Every declared source, checked as far as it can be without touching a file.
#[derive(Debug, Default)]
pub struct Declarations(BTreeMap<String, Declaration>);

#[derive(Debug)]
struct Declaration {
    path: String,
    format: Format,
    /// Empty for a Parquet file which speaks for itself.
    columns: Vec<Field>,
    delimiter: u8,
    extra_columns: ExtraColumns,
    /// Whether there may be no file yet.
    optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeclaration {
    path: String,
    format: Option<String>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    delimiter: Option<char>,
    #[serde(default)]
    extra_columns: ExtraColumns,
    #[serde(default)]
    optional: bool,
    #[serde(rename = "description")]
    _description: Option<String>,
}

impl Declarations {
    /// Reads the section.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] for an unknown key, format or type, naming the source and the valid ones.
    pub fn parse(sources: &toml::Table) -> Result<Self, EtlError> {
        let mut declarations = BTreeMap::new();
        for (name, value) in sources {
            let section =
                |message: String| EtlError::config(format!("smartsneaks.toml: [sources.{name}]: {message}"));
            let raw: RawDeclaration = value
                .clone()
                .try_into()
                .map_err(|error: toml::de::Error| section(error.message().to_owned()))?;
            let format = match &raw.format {
                Some(format) => format_of(format),
                None => format_of(&raw.path),
            }
            .ok_or_else(|| {
                let found = raw.format.as_deref().unwrap_or("no format and a path that does not tell it");
                section(format!("expected format {FORMATS}; found {found}"))
            })?;
            let mut columns = Vec::with_capacity(raw.columns.len());
            for (column, type_name) in &raw.columns {
                if [FILE_COLUMN, LINE_COLUMN].contains(&column.as_str()) {
                    return Err(section(format!("every source has a column {column} already")));
                }
                let data_type = column::data_type(type_name).ok_or_else(|| {
                    let error = section(format!(
                        "column {column} has the unknown type {type_name}; expected {}",
                        column::TYPE_NAMES.join(", ")
                    ));
                    match nearest(type_name, column::TYPE_NAMES) {
                        Some(near) => error.with_hint(format!("did you mean {near}?")),
                        None => error,
                    }
                })?;
                columns.push(Field::new(column, data_type, true));
            }
            if columns.is_empty() && format != Format::Parquet {
                return Err(section("a text format needs its columns".to_owned())
                    .with_hint("add for example columns = { order_id = \"text\", qty = \"integer\" }"));
            }
            if raw.optional && columns.is_empty() {
                return Err(section(
                    "an optional source needs its columns: no file may tell them".to_owned(),
                )
                .with_hint("add for example columns = { order_id = \"text\", qty = \"integer\" }"));
            }
            let delimiter = match raw.delimiter {
                None => b',',
                Some(delimiter) => u8::try_from(delimiter)
                    .ok()
                    .filter(u8::is_ascii)
                    .ok_or_else(|| section(format!("delimiter {delimiter} is not an ASCII character")))?,
            };
            let RawDeclaration { path, extra_columns, optional, .. } = raw;
            let declaration = Declaration { path, format, columns, delimiter, extra_columns, optional };
            declarations.insert(name.clone(), declaration);
        }
        Ok(Self(declarations))
    }

    /// The names of all sources.
    pub fn names(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Finds the files of a source of the project in `dir` and reads the header of each.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] for an unset environment variable; [`crate::error::Kind::Failed`] when no file matches or when a file
    /// is empty, lacks a column, or is not what its format says.
    pub fn open(&self, dir: &Path, name: &str) -> Result<Source, EtlError> {
        let declaration = self
            .0
            .get(name)
            .ok_or_else(|| EtlError::config(format!("no source {name} is declared in smartsneaks.toml")))?;
        let expanded = path::expand(name, &declaration.path, |variable| std::env::var(variable).ok())?;
        let files = path::find(name, dir, &expanded)?;
        if files.is_empty() && !declaration.optional {
            return Err(path::none_found(name, dir, &expanded));
        }
        let mut source = Source {
            name: name.to_owned(),
            files,
            format: declaration.format,
            schema: with_origin(declaration.columns.clone()),
            delimiter: declaration.delimiter,
            extra_columns: declaration.extra_columns,
        };
        source.schema = checked_schema(&source)?;
        Ok(source)
    }
}

/// Reads the header of every file; the columns come out in the order of the first file.
fn checked_schema(source: &Source) -> Result<SchemaRef, EtlError> {
    let mut order: Option<Vec<Field>> = None;
    for file in &source.files {
        if std::fs::metadata(&file.path).is_ok_and(|metadata| metadata.len() == 0) {
            return Err(super::fault(file, 0, format!("the file is empty; expected {}", expected(source))));
        }
        let columns = match source.format {
            Format::Csv { .. } => csv::check_header(source, file)?,
            Format::Parquet => parquet::check_schema(source, file, order.as_deref())?,
            Format::JsonLines { .. } => continue,
        };
        order.get_or_insert(columns);
    }
    Ok(order.map_or_else(|| Arc::clone(&source.schema), with_origin))
}

fn expected(source: &Source) -> String {
    let names: Vec<_> = column_names(source).collect();
    match source.format {
        Format::Csv { .. } => format!("a header line with the columns {}", names.join(", ")),
        Format::JsonLines { .. } => format!("JSON objects with the keys {}", names.join(", ")),
        Format::Parquet => "a Parquet file".to_owned(),
    }
}

pub(super) fn column_names(source: &Source) -> impl Iterator<Item = &str> {
    source.schema.fields().iter().take(source.declared()).map(|field| field.name().as_str())
}

/// An error when a declared column is not among those found, or one too many is.
pub(super) fn check_names(
    source: &Source,
    file: &SourceFile,
    line: u64,
    found: &[&str],
) -> Result<(), EtlError> {
    for name in column_names(source) {
        if !found.contains(&name) {
            let error = super::fault(
                file,
                line,
                format!(
                    "column {name} is missing; expected {}, found {}",
                    list(column_names(source)),
                    list(found.iter().copied())
                ),
            );
            let unclaimed =
                found.iter().copied().filter(|found| !column_names(source).any(|name| name == *found));
            return Err(match nearest(name, unclaimed) {
                Some(near) => error.with_hint(format!(
                    "was {name} renamed to {near}? mend the file, or columns in [sources.{}] of smartsneaks.toml",
                    source.name
                )),
                None => error.with_hint(format!(
                    "mend the file, or columns in [sources.{}] of smartsneaks.toml",
                    source.name
                )),
            });
        }
    }
    if source.extra_columns == ExtraColumns::Error
        && let Some(extra) = found.iter().find(|found| !column_names(source).any(|name| name == **found))
    {
        return Err(super::fault(
            file,
            line,
            format!("column {extra} is not declared and extra_columns is \"error\""),
        )
        .with_hint(format!("declare it in [sources.{}] of smartsneaks.toml", source.name)));
    }
    Ok(())
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The format that a name ends in.
fn format_of(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let (name, gzip) = match name.strip_suffix(".gz") {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    let ends = |extension: &str| name.rsplit('.').next() == Some(extension);
    if ends("csv") {
        Some(Format::Csv { gzip })
    } else if ends("jsonl") || ends("ndjson") {
        Some(Format::JsonLines { gzip })
    } else if ends("parquet") && !gzip {
        Some(Format::Parquet)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(toml: &str) -> EtlError {
        Declarations::parse(&toml.parse().unwrap()).unwrap_err()
    }

    #[test]
    fn format_comes_from_the_name() {
        assert_eq!(format_of("raw/*.csv.gz"), Some(Format::Csv { gzip: true }));
        assert_eq!(format_of("CSV"), Some(Format::Csv { gzip: false }));
        assert_eq!(format_of("a.ndjson"), Some(Format::JsonLines { gzip: false }));
        assert_eq!(format_of("a.parquet"), Some(Format::Parquet));
        assert_eq!(format_of("a.xlsx"), None);
    }

    #[test]
    fn bad_declarations_name_the_section() {
        let error = fails("[sales]\npath = \"a.csv\"\ncolumns = { a = \"txt\" }");
        assert!(
            error
                .message()
                .starts_with("smartsneaks.toml: [sources.sales]: column a has the unknown type txt")
        );
        assert_eq!(error.hint(), Some("did you mean text?"));
        assert_eq!(error.exit_code(), 2);
        assert!(fails("[sales]\npath = \"a.csv\"").message().contains("needs its columns"));
        assert!(
            fails("[sales]\npath = \"a.dat\"\ncolumns = { a = \"text\" }")
                .message()
                .contains("expected format csv")
        );
        assert!(fails("[sales]\npth = \"a.csv\"").message().contains("pth"));
        assert!(
            fails("[sales]\npath = \"a.csv\"\ncolumns = { _line = \"text\" }").message().contains("already")
        );
        assert!(fails("sales = 3").message().contains("[sources.sales]"));
        assert!(
            fails("[s]\npath = \"a.csv\"\ncolumns = {a = \"text\"}\ndelimiter = \"ü\"")
                .message()
                .contains("ASCII")
        );
    }
}
