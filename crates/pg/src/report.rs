//! What a client is told when something goes wrong: the fields of an ErrorResponse.

use std::fmt;

use pgwire::messages::response::ErrorResponse;

/// One error on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    severity: Severity,
    sqlstate: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Fatal,
}

impl Report {
    /// The statement fails, the connection lives on.
    pub(crate) fn error(sqlstate: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, sqlstate, message, detail: None, hint: None, position: None }
    }

    /// The connection ends after this report.
    pub(crate) fn fatal(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fatal, ..Self::error(sqlstate, message) }
    }

    /// The client broke the protocol in a way after which nothing it sends can be trusted.
    pub(crate) fn violation(message: impl Into<String>) -> Self {
        Self::fatal("08P01", message)
    }

    /// The server is going down.
    pub(crate) fn shutdown() -> Self {
        Self::fatal("57P01", "terminating connection due to administrator command")
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Puts `context` (such as a parameter's number) in front of the message.
    pub(crate) fn within(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.severity == Severity::Fatal
    }

    #[cfg(test)]
    pub(crate) fn sqlstate(&self) -> &'static str {
        self.sqlstate
    }

    /// The wire's fields. The protocol ends strings with a zero byte, so that none may stand inside.
    pub(crate) fn response(&self) -> ErrorResponse {
        let severity = match self.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.sqlstate.to_owned()),
            (b'M', self.message.replace('\0', "\u{fffd}")),
        ];
        if let Some(detail) = &self.detail {
            fields.push((b'D', detail.replace('\0', "\u{fffd}")));
        }
        if let Some(hint) = &self.hint {
            fields.push((b'H', hint.replace('\0', "\u{fffd}")));
        }
        if let Some(position) = self.position {
            fields.push((b'P', position.to_string()));
        }
        ErrorResponse::new(fields)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate)
    }
}

impl From<smartsneaks_engine::Error> for Report {
    fn from(error: smartsneaks_engine::Error) -> Self {
        Self {
            severity: Severity::Error,
            sqlstate: error.sqlstate(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            position: error.position(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_hold_no_zero_byte() {
        let report = Report::error("22P02", "bad \0 byte").with_hint("hint\0").with_detail("detail");
        let fields = report.response().fields;
        assert!(fields.iter().all(|(_, value)| !value.contains('\0')));
        let codes: Vec<u8> = fields.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, b"SVCMDH");
    }
}
