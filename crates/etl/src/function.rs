//! Functions in SQL: `udfs/sql/<name>.sql`, one function a file.
//!
//! ```sql
//! /*---
//! description: The days with most revenue in a town.
//! arguments:
//!   - {name: city, doc: the town}
//!   - {name: top, default: "10", doc: how many days}
//! example: SELECT * FROM best_days('Salem', top => 3)
//! ---*/
//! SELECT date, revenue FROM city_daily_metrics WHERE city = $city ORDER BY revenue DESC LIMIT $top
//! ```
//!
//! A run writes them into the warehouse version, as it does with views, so that an old version is read with the functions
//! of its time.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use smartsneaks_engine::{SqlArgument, SqlFunction, built_in};

use crate::error::{EtlError, Place};
use crate::model::{SqlFile, entries, is_table_name, parse_query, read_text};
use crate::{header, text};

/// Where they stand in a project.
const FOLDER: &str = "udfs/sql";

/// One function with its file.
#[derive(Debug, Clone)]
pub struct Function {
    /// Name, arguments and body.
    pub function: SqlFunction,
    /// What it is for.
    pub description: String,
    /// A statement that runs.
    pub example: String,
    /// What each argument means, in their order.
    pub docs: Vec<String>,
    /// The file.
    pub file: SqlFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    description: String,
    #[serde(default)]
    arguments: Vec<RawArgument>,
    example: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArgument {
    name: String,
    default: Option<String>,
    doc: String,
}

impl Function {
    /// What a warehouse version keeps of it.
    pub(crate) fn property(&self) -> Value {
        let SqlFunction { name, arguments, body } = &self.function;
        let arguments = arguments
            .iter()
            .zip(&self.docs)
            .map(|(argument, doc)| json!({"name": argument.name, "default": argument.default, "doc": doc}));
        json!({
            "name": name,
            "description": self.description,
            "example": self.example,
            "arguments": arguments.collect::<Vec<_>>(),
            "body": body,
        })
    }
}

/// Reads and parses the functions of the project in `dir`; none where there is no such folder.
///
/// # Errors
/// [`crate::error::Kind::Config`] with file, line and column.
pub(crate) fn load(dir: &Path) -> Result<Vec<Function>, EtlError> {
    let folder = dir.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut functions = Vec::new();
    for file in entries(&folder)? {
        let Some(name) = file.strip_suffix(".sql") else { continue };
        functions.push(read(dir, name)?);
    }
    Ok(functions)
}

fn read(dir: &Path, name: &str) -> Result<Function, EtlError> {
    let path = format!("{FOLDER}/{name}.sql");
    let content = read_text(dir, &path)?;
    let top = || Place::new(&path, &content, 1, 0);
    if !is_table_name(name) {
        return Err(EtlError::config(format!(
            "{path}: the file's name is the function's name; expected lower-case letters, digits and _"
        )));
    }
    if built_in(name) {
        return Err(
            EtlError::config(format!("{name} is a function of the engine; choose another name")).at(top())
        );
    }
    let (raw, start) = header::read::<RawHeader>(&path, &content)?;
    let Some((raw, _)) = raw else {
        return Err(
            EtlError::config("a function needs a header with description, arguments and example").at(top())
        );
    };
    let mut arguments: Vec<SqlArgument> = Vec::with_capacity(raw.arguments.len());
    let mut docs = Vec::with_capacity(raw.arguments.len());
    for RawArgument { name, default, doc } in raw.arguments {
        let usable = is_table_name(&name) && !arguments.iter().any(|other| other.name == name);
        if !usable {
            return Err(EtlError::config(format!(
                "argument {name}: expected a name of its own in lower-case letters, digits and _"
            ))
            .at(top()));
        }
        if let Some(default) = &default {
            text::parse_expression(default).map_err(|error| {
                EtlError::config(format!("default of {name}: {}", error.message)).at(top())
            })?;
        }
        arguments.push(SqlArgument { name, default });
        docs.push(doc);
    }
    let (query, body) = parse_query(&path, &content, start)?;
    let file = SqlFile { path: path.clone(), text: content.clone(), body, query };
    let function = SqlFunction { name: name.to_owned(), arguments, body: file.sql().to_owned() };
    function.query().map_err(|error| EtlError::config(error.message).at(top()))?;
    Ok(Function { function, description: raw.description, example: raw.example, docs, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_one(name: &str, text: &str) -> Result<Function, EtlError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(FOLDER)).unwrap();
        std::fs::write(dir.path().join(FOLDER).join(format!("{name}.sql")), text).unwrap();
        load(dir.path()).map(|mut functions| functions.remove(0))
    }

    const HEAD: &str = "/*---
description: Days.
arguments:
  - {name: city, doc: the town}
  - {name: top, default: \"10\", doc: how many}
example: SELECT * FROM best_days('Salem')
---*/
";

    #[test]
    fn reads_header_and_body() {
        let function =
            load_one("best_days", &format!("{HEAD}SELECT 1 WHERE $city = '' LIMIT $top;\n")).unwrap();
        assert_eq!(function.function.body, "SELECT 1 WHERE $city = '' LIMIT $top");
        assert_eq!(function.function.arguments[1].default.as_deref(), Some("10"));
        assert_eq!(function.property()["arguments"][0]["doc"], "the town");
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let fails = |name: &str, text: &str| load_one(name, text).unwrap_err();
        assert!(fails("best_days", "SELECT 1").message().contains("needs a header"));
        assert!(fails("forecast", &format!("{HEAD}SELECT 1")).message().contains("function of the engine"));
        assert!(fails("Best", &format!("{HEAD}SELECT 1")).message().contains("lower-case"));
        assert!(fails("best_days", &format!("{HEAD}SELECT $town")).message().contains("$town"));
        let error = fails("best_days", &format!("{HEAD}SELECT 1\nFROM )"));
        assert_eq!((error.place().unwrap().line, error.place().unwrap().column), (9, 6));
        let twice = HEAD.replace("name: top", "name: city");
        assert!(fails("best_days", &format!("{twice}SELECT 1")).message().contains("name of its own"));
    }
}
