//! How a command ends when it did not go well: a message, a hint, an exit code.

use std::process::ExitCode;

use smartsneaks_engine::{Error, Kind};
use smartsneaks_etl::EtlError;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// It was asked for rightly and did not work: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None, code: 1 }
    }

    /// It was asked for wrongly: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::failed(message) }
    }

    /// Adds what to do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of a statement, with the place in its text.
    pub(crate) fn of_statement(error: &Error, sql: &str) -> Self {
        let mut failure = Self::from_engine(error);
        failure.message = format!("[{}] {}", error.sqlstate(), error.message());
        failure.detail = error.position().map(|p| excerpt(sql, p)).or(failure.detail);
        failure
    }

    fn from_engine(error: &Error) -> Self {
        Self {
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            code: if error.kind() == Kind::Config { 2 } else { 1 },
        }
    }

    /// What [`Failure::report`] writes, for a shell that goes on.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {}", self.message);
        if let Some(detail) = &self.detail {
            text.push_str(&format!("\n{detail}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }

    /// Writes it to stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("{}", self.text());
        ExitCode::from(self.code)
    }
}

/// The line that `position` (a character, from 1) stands in, with a mark under it.
fn excerpt(sql: &str, position: usize) -> String {
    let before: String = sql.chars().take(position.saturating_sub(1)).collect();
    let number = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count());
    let line = sql.lines().nth(number - 1).unwrap_or_default();
    let label = format!("line {number}: ");
    format!("{label}{line}\n{}^", " ".repeat(label.len() + column))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from_engine(&error)
    }
}

impl From<EtlError> for Failure {
    fn from(error: EtlError) -> Self {
        let place = error.place().map(|p| format!("{p}: ")).unwrap_or_default();
        Self {
            message: format!("{place}{}", error.message()),
            detail: None,
            hint: error.hint().map(str::to_owned),
            code: error.exit_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_under_the_character() {
        assert_eq!(excerpt("SELECT 1,\n  FROM t", 13), "line 2:   FROM t\n          ^");
    }
}
