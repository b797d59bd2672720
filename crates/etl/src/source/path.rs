//! The path of a source: environment variables, glob, and how a file is shown to people.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use walkdir::{DirEntry, WalkDir};

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

/// Names that begin with a dot match patterns that do.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The files that `path` names, in the order of their paths. Names need not be UTF-8.
pub(super) fn find(source: &str, dir: &Path, path: &str) -> Result<Vec<SourceFile>, EtlError> {
    let pattern = |text: &str| {
        Pattern::new(text).map_err(|error| {
            EtlError::config(format!("source {source}: path {path} is not a pattern: {}", error.msg))
                .with_hint("* stands for any characters of a name, ** for folders, [ab] for one of a set")
        })
    };
    let names: Vec<_> = Path::new(path).components().collect();
    let is_literal = |name: &Component<'_>| !name.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let literal = names.iter().take_while(|name| is_literal(name)).count();
    let (literal, rest) = names.split_at(literal);
    // An absolute path takes the place of the folder.
    let root = dir.join(literal.iter().collect::<PathBuf>());
    let mut found = Vec::new();
    if rest.is_empty() {
        found.extend(root.is_file().then_some(root));
    } else {
        let whole = pattern(&rest.iter().collect::<PathBuf>().to_string_lossy())?;
        let each = rest.iter().map(|name| pattern(&name.as_os_str().to_string_lossy()));
        let each = each.collect::<Result<Vec<_>, _>>()?;
        let open = each.iter().position(|name| name.as_str() == "**");
        let walk = WalkDir::new(&root).min_depth(1).follow_links(true);
        let walk = if open.is_some() { walk } else { walk.max_depth(each.len()) };
        let may_lead_on = |entry: &DirEntry| {
            let depth = entry.depth();
            depth == 0
                || open.is_some_and(|open| depth > open)
                || each[depth - 1].matches_with(&entry.file_name().to_string_lossy(), OPTIONS)
        };
        for entry in walk.into_iter().filter_entry(may_lead_on) {
            let entry = match entry {
                Ok(entry) => entry,
                // A link to nowhere or to a folder above it, or no folder to look in: nothing that could be read.
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) if error.io_error().is_some_and(|e| e.kind() == ErrorKind::NotFound) => continue,
                Err(error) => {
                    return Err(EtlError::failed(format!("source {source}: can't look for {path}: {error}")));
                }
            };
            let below = entry.path().strip_prefix(&root).unwrap_or(entry.path());
            if entry.file_type().is_file() && whole.matches_with(&below.to_string_lossy(), OPTIONS) {
                found.push(entry.into_path());
            }
        }
    }
    let shown = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string().replace('\\', "/");
    let mut files: Vec<_> = found.into_iter().map(|path| SourceFile { shown: shown(&path), path }).collect();
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
        assert_eq!(shown("nowhere/*.csv"), [""; 0]);
        assert_eq!(shown("raw/.h*.csv"), ["raw/.hidden.csv"]);
        assert_eq!(shown("**/[12].csv"), ["raw/1.csv", "raw/b/2.csv"]);
        assert_eq!(shown("*/?/*"), ["raw/b/2.csv"]);
    }

    #[cfg(unix)]
    #[test]
    fn names_need_not_be_text_and_links_may_lead_nowhere() {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let latin = std::ffi::OsStr::from_bytes(b"sal\xE9s.csv");
        for name in [latin, ".hidden\u{e9}.csv".as_ref(), std::ffi::OsStr::from_bytes(b".h\xE9.csv")] {
            std::fs::write(dir.path().join(name), "a\n").unwrap();
        }
        symlink("nowhere", dir.path().join("dangling.csv")).unwrap();
        symlink(".", dir.path().join("again")).unwrap();
        let files = find("s", dir.path(), "**/*.csv").unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.file_name().unwrap()).collect();
        assert_eq!(paths, [latin]);
        assert_eq!(files[0].shown, "sal\u{fffd}s.csv");
    }
}
