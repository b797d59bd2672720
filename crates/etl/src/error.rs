//! What can go wrong in a run, whose fault it is, and where in the project's files.

use std::fmt;

/// What kind of failure, which decides the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The run could not be finished: bad data, a query that fails, storage (exit code 1).
    Failed,
    /// The project is written wrongly: header, SQL, source declaration (exit code 2).
    Config,
    /// The data broke a promise: an expectation with `on_fail: abort`, or a check (exit code 3).
    ChecksFailed,
}

/// A place in a file of the project, with the line it points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path relative to the project folder.
    pub file: String,
    /// 1-based.
    pub line: u64,
    /// 1-based, in characters; 0 when only the line is known.
    pub column: u64,
    /// The text of that line, empty when unknown.
    pub excerpt: String,
}

impl Place {
    /// The place of `line` and `column` (both 1-based) in a file whose whole text is `text`.
    pub fn new(file: &str, text: &str, line: u64, column: u64) -> Self {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let excerpt = text.lines().nth(index).unwrap_or_default().to_owned();
        Self { file: file.to_owned(), line, column, excerpt }
    }

    /// The place of a byte offset in a file whose whole text is `text`.
    pub fn at_offset(file: &str, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[start..].chars().count() + 1;
        Self::new(file, text, line as u64, column as u64)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// An error of the ETL: what was expected, what was found, where, and what to do.
#[derive(Debug)]
pub struct EtlError {
    kind: Kind,
    message: String,
    place: Option<Box<Place>>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EtlError {
    /// The run could not be finished.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The project is written wrongly.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// The data broke a promise.
    pub fn checks_failed(message: impl Into<String>) -> Self {
        Self::new(Kind::ChecksFailed, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, hint: None, source: None }
    }

    /// Points the error at a file of the project.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The exit code of a process that ends with this error: 1 failed, 2 config, 3 a check said no.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Config => 2,
            Kind::ChecksFailed => 3,
        }
    }

    /// The message alone, without place and hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the project's files.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_deref()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for EtlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(place) = &self.place
            && !place.excerpt.trim().is_empty()
        {
            let number = place.line.to_string();
            write!(f, "\n  {number} | {}", place.excerpt)?;
            if place.column > 0 {
                let gutter = " ".repeat(number.len());
                // Tabs stay tabs, so that the caret stands under its character whatever the tab width.
                let lead: String = place
                    .excerpt
                    .chars()
                    .take(usize::try_from(place.column - 1).unwrap_or(0))
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                write!(f, "\n  {gutter} | {lead}^")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for EtlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_excerpt_and_hint() {
        let text = "SELECT 1\nFROM\tsalse\n";
        let place = Place::at_offset("sql/marts/a.sql", text, text.find("salse").unwrap());
        let error =
            EtlError::config("no table public.salse").at(place).with_hint("did you mean public.sales?");
        assert_eq!(
            error.to_string(),
            "sql/marts/a.sql:2:6: no table public.salse\n  2 | FROM\tsalse\n    |     \t^\n  hint: did you mean public.sales?"
        );
        assert_eq!(error.exit_code(), 2);
    }
}
