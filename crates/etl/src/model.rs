//! The models of a project: `sql/<layer>/<table>.sql`, one table a file, `sql/ml/<name>.sql`, one learned model a file,
//! and `sql/checks/*.sql`.

use std::path::Path;

use datafusion::sql::sqlparser::ast::{Query, Statement};

use smartsneaks_engine::nearest;

use crate::error::{EtlError, Place};
use crate::function::{self, Function};
use crate::header::{self, Header, ModelKind};
use crate::text;

/// The layers and the schema in which each is served.
const LAYERS: [(&str, &str); 4] =
    [("staging", "staging"), ("warehouse", "public"), ("marts", "public"), ("ml", "ml")];
const CHECKS: &str = "checks";

/// A SQL file of the project: its text, and where the query in it begins and ends.
#[derive(Debug, Clone)]
pub struct SqlFile {
    /// Path relative to the project folder, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// Byte range of the query: after the header, without a closing semicolon.
    pub body: std::ops::Range<usize>,
    /// The parsed query; its spans count from the start of the file.
    pub query: Box<Query>,
}

impl SqlFile {
    /// The query as it stands in the file.
    pub fn sql(&self) -> &str {
        self.text.get(self.body.clone()).unwrap_or_default()
    }

    /// The place of a byte offset of this file.
    pub fn place(&self, offset: usize) -> Place {
        Place::at_offset(&self.path, &self.text, offset)
    }
}

/// A table or view that the project makes.
#[derive(Debug, Clone)]
pub struct Model {
    /// `schema.table`, as in a warehouse version.
    pub name: String,
    /// What the header says.
    pub header: Header,
    /// The file.
    pub file: SqlFile,
}

impl Model {
    /// Whether it is learned and makes no table.
    pub fn is_learned(&self) -> bool {
        self.header.kind == ModelKind::Learned
    }

    /// Its name without the schema.
    pub fn bare_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// A query that must return no rows.
#[derive(Debug, Clone)]
pub struct Check {
    /// The file's name without `.sql`.
    pub name: String,
    /// What the check is for, from its header.
    pub description: Option<String>,
    /// The file.
    pub file: SqlFile,
}

/// Everything in a project's `sql` folder.
#[derive(Debug, Clone, Default)]
pub struct Models {
    /// Sorted by name.
    pub models: Vec<Model>,
    /// Sorted by name.
    pub checks: Vec<Check>,
    /// The functions of `udfs/sql`, sorted by name.
    pub functions: Vec<Function>,
}

impl Models {
    /// Reads and parses every SQL file of the project in `dir`.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] for a folder without SQL, an unknown layer, a bad file name, two files for one table, a bad
    /// header, or text that is not one query; with file, line and column.
    pub fn load(dir: &Path) -> Result<Self, EtlError> {
        let root = dir.join("sql");
        if !root.is_dir() {
            return Err(EtlError::config(format!("{} has no sql folder", dir.display()))
                .with_hint("put models in sql/staging, sql/warehouse and sql/marts, one table a file"));
        }
        let mut models = Vec::<Model>::new();
        let mut checks = Vec::new();
        for layer in entries(&root)? {
            if !root.join(&layer).is_dir() {
                continue;
            }
            let schema = LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, schema)| *schema);
            if schema.is_none() && layer != CHECKS {
                let known = LAYERS.iter().map(|(name, _)| *name).chain([CHECKS]);
                let mut error = EtlError::config(format!(
                    "sql/{layer} is not a layer; expected staging, warehouse, marts, ml or checks"
                ));
                if let Some(near) = nearest(&layer, known) {
                    error = error.with_hint(format!("did you mean sql/{near}?"));
                }
                return Err(error);
            }
            for name in entries(&root.join(&layer))? {
                let Some(stem) = name.strip_suffix(".sql") else { continue };
                let path = format!("sql/{layer}/{name}");
                let (header, file) = read(dir, &path)?;
                let Some(schema) = schema else {
                    checks.push(Check { name: stem.to_owned(), description: header.description, file });
                    continue;
                };
                if !is_table_name(stem) {
                    return Err(EtlError::config(format!(
                        "{path}: the file's name is the table's name; expected lower-case letters, digits and _"
                    )));
                }
                let name = format!("{schema}.{stem}");
                if let Some(other) = models.iter().find(|model| model.name == name) {
                    return Err(EtlError::config(format!(
                        "{path} and {} both make the table {name}",
                        other.file.path
                    )));
                }
                models.push(Model { name, header, file });
            }
        }
        if models.is_empty() {
            return Err(EtlError::config(format!("{} holds no models", root.display()))
                .with_hint("put models in sql/staging, sql/warehouse and sql/marts, one table a file"));
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        checks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { models, checks, functions: function::load(dir)? })
    }
}

/// Names in a folder, sorted, without hidden files.
pub(crate) fn entries(folder: &Path) -> Result<Vec<String>, EtlError> {
    let unreadable =
        |error: std::io::Error| EtlError::config(format!("can't read {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read(dir: &Path, path: &str) -> Result<(Header, SqlFile), EtlError> {
    let text = read_text(dir, path)?;
    let (header, start) = header::parse(path, &text)?;
    let (query, body) = parse_query(path, &text, start)?;
    Ok((header, SqlFile { path: path.to_owned(), text, body, query }))
}

/// The text of a file of the project.
pub(crate) fn read_text(dir: &Path, path: &str) -> Result<String, EtlError> {
    let bytes = std::fs::read(dir.join(path))
        .map_err(|error| EtlError::config(format!("can't read {path}: {error}")).with_source(error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid =
            String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        EtlError::config("the file is not UTF-8 text").at(Place::at_offset(path, &valid, valid.len()))
    })
}

/// Parses the whole text (a header is a comment to SQL, so that spans count from the start of the file).
pub(crate) fn parse_query(
    path: &str,
    content: &str,
    start: usize,
) -> Result<(Box<Query>, std::ops::Range<usize>), EtlError> {
    let fault = |error: text::SyntaxError| {
        let error_at = EtlError::config(error.message);
        match error.at {
            Some((line, column)) => error_at.at(Place::new(path, content, line, column)),
            None => error_at.at(Place::at_offset(path, content, content.trim_end().len())),
        }
    };
    let tokens = text::tokens(content).map_err(fault)?;
    let Some(first) = tokens.iter().find(|token| !token.is_blank()).map(|token| token.range.start) else {
        return Err(EtlError::config("the file holds no query; expected one SELECT")
            .at(Place::at_offset(path, content, start)));
    };
    let statements = text::parse_statements(content).map_err(fault)?;
    let mut statements = statements.into_iter();
    let Some(Statement::Query(query)) = statements.next() else {
        return Err(EtlError::config("a model is one SELECT; found another statement")
            .at(Place::at_offset(path, content, first)));
    };
    let semicolon = tokens.iter().find(|token| token.is_semicolon()).map(|token| token.range.start);
    if statements.next().is_some() {
        let offset = tokens
            .iter()
            .skip_while(|token| !token.is_semicolon())
            .find(|token| !token.is_blank() && !token.is_semicolon())
            .map_or(first, |token| token.range.start);
        return Err(EtlError::config("a model is one SELECT; found a second statement")
            .at(Place::at_offset(path, content, offset)));
    }
    Ok((query, first..semicolon.unwrap_or(content.trim_end().len())))
}

pub(crate) fn is_table_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn fails(files: &[(&str, &str)]) -> EtlError {
        Models::load(project(files).path()).unwrap_err()
    }

    #[test]
    fn layers_become_schemas() {
        let dir = project(&[
            ("sql/staging/stg_a.sql", "/*---\nkey: [a]\n---*/\nSELECT 1 AS a; -- the end\n"),
            ("sql/warehouse/dim_a.sql", "SELECT a FROM staging.stg_a"),
            ("sql/marts/a_by_day.sql", "/*---\nkind: view\n---*/ SELECT a FROM dim_a"),
            ("sql/checks/a_is_unique.sql", "/*---\ndescription: one row an a\n---*/ SELECT 1 WHERE false"),
            ("sql/marts/notes.txt", "not a model"),
            ("sql/README.md", "not a layer"),
        ]);
        let models = Models::load(dir.path()).unwrap();
        let names: Vec<_> = models.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["public.a_by_day", "public.dim_a", "staging.stg_a"]);
        assert_eq!(models.models[2].file.sql(), "SELECT 1 AS a");
        assert_eq!(models.checks[0].description.as_deref(), Some("one row an a"));
    }

    #[test]
    fn bad_projects_say_what_to_do() {
        assert!(fails(&[("a.txt", "")]).to_string().contains("sql/staging"));
        assert!(fails(&[("sql/staging/a.txt", "")]).message().contains("holds no models"));
        let error = fails(&[("sql/mart/a.sql", "SELECT 1")]);
        assert_eq!(error.hint(), Some("did you mean sql/marts?"));
        assert!(fails(&[("sql/marts/A b.sql", "SELECT 1")]).message().contains("lower-case"));
        let error = fails(&[("sql/marts/a.sql", "SELECT 1"), ("sql/warehouse/a.sql", "SELECT 1")]);
        assert!(error.message().contains("both make the table public.a"));
    }

    #[test]
    fn bad_sql_points_at_the_file() {
        let error = fails(&[("sql/marts/a.sql", "/*---\nkind: full\n---*/\nSELECT 1\nFROM ) t")]);
        assert_eq!((error.place().unwrap().line, error.place().unwrap().column), (5, 6), "{error}");
        let error = fails(&[("sql/marts/a.sql", "SELECT 1;\n\nSELECT 2;")]);
        assert_eq!((error.place().unwrap().line, error.place().unwrap().column), (3, 1), "{error}");
        let error = fails(&[("sql/marts/a.sql", "-- drop\n DROP TABLE t")]);
        assert_eq!((error.place().unwrap().line, error.place().unwrap().column), (2, 2), "{error}");
        assert!(fails(&[("sql/marts/a.sql", "-- nothing\n")]).message().contains("no query"));
        assert_eq!(fails(&[("sql/marts/a.sql", "SELECT 'open")]).place().unwrap().line, 1);
        assert!(fails(&[("sql/marts/a.sql", "SELECT (1")]).place().is_some());
    }
}
