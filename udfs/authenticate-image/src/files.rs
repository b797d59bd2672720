//! The files that a glob matches, found one after the other.

use std::ffi::OsString;
use std::fs;
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::vec;

use glob::{MatchOptions, Pattern};

use crate::inside::{self, Found};
use crate::place_error::PlaceError;

/// A pattern over files in allowed folders, from `Places::resolve`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    text: String,
    /// Where the names before the first wildcard lead.
    roots: Vec<PathBuf>,
    parts: Vec<Pattern>,
    folders: Vec<PathBuf>,
}

const MOST_PARTS: usize = 32;

impl Glob {
    pub(crate) fn new(
        text: &str,
        roots: Vec<PathBuf>,
        parts: &Path,
        folders: &[PathBuf],
    ) -> Result<Self, PlaceError> {
        let bad = |reason| PlaceError::Pattern { pattern: text.to_owned(), reason };
        let mut patterns: Vec<Pattern> = Vec::new();
        for part in parts {
            let part = part.to_str().ok_or_else(|| bad("expected UTF-8"))?;
            // Several ** in a row mean what one does.
            if part != "**" || !patterns.last().is_some_and(is_any_depth) {
                patterns.push(Pattern::new(part).map_err(|error| bad(error.msg))?);
            }
        }
        // Each name is held against each part.
        if patterns.len() > MOST_PARTS {
            return Err(bad("expected at most 32 names between slashes"));
        }
        // ** at the end means all files below.
        if patterns.last().is_some_and(is_any_depth) {
            patterns.push(Pattern::new("*").map_err(|error| bad(error.msg))?);
        }
        Ok(Self { text: text.to_owned(), roots, parts: patterns, folders: folders.to_vec() })
    }

    /// The pattern as it was written.
    #[must_use]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Lists the files, sorted by path below each folder; names are held for the folders on the way only. Hidden names
    /// match a pattern that begins with a dot. `**` does not go through links, and no link is followed out of the
    /// allowed folders. Where nothing matches, the one item is [`PlaceError::NoMatch`].
    #[must_use]
    pub(crate) fn files(&self) -> Files {
        let (mut stack, mut errors) = (Vec::new(), Vec::new());
        for root in self.roots.iter().rev() {
            match Level::read(root, closure(&self.parts, [0])) {
                Ok(level) => stack.push(level),
                Err(error) => errors.push(error),
            }
        }
        Files { glob: self.clone(), stack, errors, any: false }
    }
}

/// The files of a [`Glob`]; an error says which folder can't be listed, and the rest goes on.
#[derive(Debug)]
pub(crate) struct Files {
    glob: Glob,
    stack: Vec<Level>,
    errors: Vec<PlaceError>,
    any: bool,
}

/// A folder that is being listed, and the parts of the pattern that its names may match.
#[derive(Debug)]
struct Level {
    folder: PathBuf,
    states: Vec<usize>,
    names: vec::IntoIter<OsString>,
}

impl Level {
    fn read(folder: &Path, states: Vec<usize>) -> Result<Self, PlaceError> {
        let names: Result<Vec<_>, _> =
            fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let mut names = names.map_err(|error| PlaceError::Unreadable {
            folder: folder.display().to_string(),
            reason: error.to_string(),
        })?;
        names.sort_unstable();
        Ok(Self { folder: folder.to_owned(), states, names: names.into_iter() })
    }
}

impl Iterator for Files {
    type Item = Result<PathBuf, PlaceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.errors.pop() {
                self.any = true;
                return Some(Err(error));
            }
            let Some(level) = self.stack.last_mut() else {
                let none = !std::mem::replace(&mut self.any, true);
                return none.then(|| Err(PlaceError::NoMatch(self.glob.text.clone())));
            };
            let Some(name) = level.names.next() else {
                self.stack.pop();
                continue;
            };
            // A pattern is text; a name that is none can't match.
            let Some(text) = name.to_str() else { continue };
            let states = step(&self.glob.parts, &level.states, text);
            if states.is_empty() {
                continue;
            }
            let path = level.folder.join(&name);
            if let Some(path) = self.visit(path, states) {
                self.any = true;
                return Some(Ok(path));
            }
        }
    }
}

impl FusedIterator for Files {}

impl Files {
    /// The path if it is a file that matches; goes into it if it is a folder.
    fn visit(&mut self, path: PathBuf, mut states: Vec<usize>) -> Option<PathBuf> {
        let Ok(mut metadata) = fs::symlink_metadata(&path) else { return None };
        if metadata.is_symlink() {
            let Found::Inside(real) = inside::find(&self.glob.folders, &path) else { return None };
            metadata = fs::metadata(real).ok()?;
            // A link to a folder above would never end.
            states.retain(|state| !self.glob.parts.get(*state).is_some_and(is_any_depth));
        }
        if metadata.is_file() {
            return states.contains(&self.glob.parts.len()).then_some(path);
        }
        states.retain(|state| *state < self.glob.parts.len());
        if metadata.is_dir() && !states.is_empty() {
            match Level::read(&path, closure(&self.glob.parts, states)) {
                Ok(level) => self.stack.push(level),
                Err(error) => self.errors.push(error),
            }
        }
        None
    }
}

fn is_any_depth(part: &Pattern) -> bool {
    part.as_str() == "**"
}

/// `states` and those reached where a `**` stands for no folder.
fn closure(parts: &[Pattern], states: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut all = Vec::new();
    for mut state in states {
        while !all.contains(&state) {
            all.push(state);
            state += usize::from(parts.get(state).is_some_and(is_any_depth));
        }
    }
    all
}

/// The parts of the pattern that come after a name. Keeping all of them at once finds each file once and in one pass,
/// however many `**` there are.
fn step(parts: &[Pattern], states: &[usize], name: &str) -> Vec<usize> {
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let mut after = Vec::new();
    for state in states {
        let next = match parts.get(*state) {
            Some(part) if is_any_depth(part) => (!name.starts_with('.')).then_some(*state),
            Some(part) => part.matches_with(name, options).then_some(state + 1),
            None => None,
        };
        after.extend(next.filter(|next| !after.contains(next)));
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::symlink;

    fn list(root: &Path, pattern: &str) -> Vec<String> {
        let glob = Glob::new(pattern, vec![root.to_owned()], Path::new(pattern), &[root.to_owned()]).unwrap();
        let shown = |path: PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        glob.files().map(|file| file.map_or_else(|error| error.to_string(), shown)).collect()
    }

    #[test]
    fn files_come_sorted_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let (root, out) = (dir.path().join("in"), dir.path().join("out"));
        for name in ["b.jpg", "a/2.jpg", "a/1.jpg", "a/deep/er/3.jpg", ".hidden/x.jpg", ".y.jpg", "c.txt"] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::create_dir(&out).unwrap();
        fs::write(out.join("secret.jpg"), "x").unwrap();
        symlink(&out, root.join("a/out")).unwrap();
        symlink(out.join("secret.jpg"), root.join("secret.jpg")).unwrap();
        symlink(&root, root.join("a/up")).unwrap();
        // glob's own walk panics on such a name with require_literal_leading_dot.
        fs::write(root.join(OsString::from_vec(vec![b'z', 0xFF, b'.', b'j', b'p', b'g'])), "x").unwrap();
        assert_eq!(list(&root, "*.jpg"), ["b.jpg"]);
        let all = ["a/1.jpg", "a/2.jpg", "a/deep/er/3.jpg", "b.jpg"];
        assert_eq!(list(&root, "**/*.jpg"), all);
        assert_eq!(list(&root, "**/**/[0-9].jpg"), all[..3]);
        assert_eq!(list(&root, "a/?.jpg"), all[..2]);
        assert_eq!(list(&root, "**/er/*"), all[2..3]);
        assert_eq!(list(&root, "a/up/*.jpg"), ["a/up/b.jpg"]);
        assert_eq!(list(&root, "a/**"), all[..3]);
        assert_eq!(list(&root, ".*/*"), [".hidden/x.jpg"]);
        let none = "no image matches '*.png': expected at least one; mend the pattern or put the files there";
        assert_eq!(list(&root, "*.png"), [none]);
        assert_eq!(list(&root, "a/out/*").len(), 1);
    }

    #[test]
    fn a_large_folder_is_listed_lazily() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..2_000 {
            fs::write(dir.path().join(format!("{number:05}.jpg")), "").unwrap();
        }
        assert_eq!(list(dir.path(), "*.jpg").len(), 2_000);
        let root = dir.path().to_owned();
        let glob = Glob::new("*", vec![root.clone()], Path::new("*"), &[root]).unwrap();
        let first: Vec<_> = glob.files().take(2).map(|file| file.unwrap()).collect();
        assert_eq!(first, [dir.path().join("00000.jpg"), dir.path().join("00001.jpg")]);
    }

    #[test]
    fn a_pattern_with_an_error_is_told() {
        let error = Glob::new("a/[", Vec::new(), Path::new("a/["), &[]).unwrap_err();
        assert!(error.to_string().starts_with("'a/[' is not a pattern: "), "{error}");
        assert!(Glob::new("p", Vec::new(), Path::new(&"*/".repeat(33)), &[]).is_err());
        assert!(Glob::new("p", Vec::new(), Path::new(&"**/".repeat(33)), &[]).is_ok());
    }
}
