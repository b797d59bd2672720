//! The path of a source: environment variables, glob, and how a file is shown to people.

use std::path::Path;

use super::SourceFile;
use crate::error::EtlError;

/// Replaces each `${NAME}` by the environment variable of that name.
pub(super) fn expand(
    source: &str,
    path: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, EtlError> {
    let mut out = String::new();
    let mut rest = path;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some(length) = rest[start + 2..].find('}') else {
            return Err(EtlError::config(format!("source {source}: path {path} has `${{` without `}}`")));
        };
        let name = &rest[start + 2..start + 2 + length];
        let value = variable(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            EtlError::config(format!("source {source}: the environment variable {name} is not set"))
                .with_hint(format!(
                    "path is {path}: set it before the run, as in {name}=/path/to/file smartsneaks run"
                ))
        })?;
        out.push_str(&value);
        rest = &rest[start + 2 + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The files that `path` names, in the order of their paths.
pub(super) fn find(source: &str, dir: &Path, path: &str) -> Result<Vec<SourceFile>, EtlError> {
    let pattern = if Path::new(path).is_absolute() {
        path.to_owned()
    } else {
        // The project may lie in a folder whose own name looks like a pattern.
        format!("{}/{path}", glob::Pattern::escape(&dir.display().to_string()))
    };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(&pattern, options).map_err(|error| {
        EtlError::config(format!("source {source}: path {path} is not a pattern: {}", error.msg))
            .with_hint("* stands for any characters of a name, ** for folders, [ab] for one of a set")
    })?;
    let mut files = Vec::new();
    for found in paths {
        let found = found.map_err(|error| {
            EtlError::failed(format!(
                "source {source}: can't read {}: {}",
                error.path().display(),
                error.error()
            ))
        })?;
        if found.is_file() {
            let shown = found.strip_prefix(dir).unwrap_or(&found).display().to_string().replace('\\', "/");
            files.push(SourceFile { path: found, shown });
        }
    }
    files.sort_by(|a, b| a.shown.cmp(&b.shown));
    Ok(files)
}

/// The error where a source that must have files has none.
pub(super) fn none_found(source: &str, dir: &Path, path: &str) -> EtlError {
    EtlError::failed(format!("source {source}: no file matches {path} in {}", dir.display())).with_hint(format!(
        "put the file there, or mend path in [sources.{source}] of smartsneaks.toml; optional = true where there may be none"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded() {
        let variables = |name: &str| (name == "DATA").then(|| "/srv/data".to_owned());
        assert_eq!(expand("s", "${DATA}/a-${DATA}.csv", variables).unwrap(), "/srv/data/a-/srv/data.csv");
        let error = expand("orders", "${STOCKX_CSV}", variables).unwrap_err();
        assert_eq!(error.message(), "source orders: the environment variable STOCKX_CSV is not set");
        assert!(error.hint().unwrap().contains("STOCKX_CSV="));
        assert!(expand("s", "${DATA", variables).is_err());
    }

    #[test]
    fn files_are_found_in_order_and_shown_relative() {
        let dir = tempfile::Builder::new().prefix("pro[j]ect").tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("raw/b")).unwrap();
        for name in ["raw/b/2.csv", "raw/1.csv", "raw/.hidden.csv", "raw/x.txt"] {
            std::fs::write(dir.path().join(name), "a\n").unwrap();
        }
        let shown = |path: &str| -> Vec<String> {
            find("s", dir.path(), path).unwrap().into_iter().map(|file| file.shown).collect()
        };
        assert_eq!(shown("raw/*.csv"), ["raw/1.csv"]);
        assert_eq!(shown("raw/**/*.csv"), ["raw/1.csv", "raw/b/2.csv"]);
        let absolute = dir.path().join("raw/1.csv").display().to_string();
        assert_eq!(shown(&glob::Pattern::escape(&absolute)), ["raw/1.csv"]);
        assert_eq!(shown("raw/*.parquet"), [""; 0]);
        let error = none_found("sales", dir.path(), "raw/*.parquet");
        assert!(error.message().contains("no file matches raw/*.parquet"), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert!(find("sales", dir.path(), "raw/[").unwrap_err().message().contains("not a pattern"));
    }
}
