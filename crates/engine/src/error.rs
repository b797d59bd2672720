//! One error for every door: what went wrong, whose fault it was, and what to do about it.
//!
//! Front doors translate [`Kind`] with [`Error::sqlstate`] and [`Error::grpc_code`]; both maps live here, in one
//! exhaustive `match`, so that no door invents a code of its own.

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use smartsneaks_table_function::ArgumentError;

/// What kind of failure this is; each maps to one SQLSTATE and one gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text is not SQL.
    Syntax,
    /// No such table or view.
    UndefinedTable,
    /// No such column.
    UndefinedColumn,
    /// No such function, or none for these argument types.
    UndefinedFunction,
    /// No such schema or version.
    UndefinedSchema,
    /// No such setting.
    UndefinedParameter,
    /// A column name fits several tables.
    AmbiguousColumn,
    /// Types do not fit together.
    DatatypeMismatch,
    /// A value cannot be read as its type.
    InvalidText,
    /// A value lies outside what is allowed.
    InvalidParameter,
    /// An argument of a function or of a setting is wrong.
    InvalidArgument,
    /// Division by zero.
    DivisionByZero,
    /// A number does not fit its type.
    OutOfRange,
    /// A statement that is not built.
    Unsupported,
    /// A statement that writes, in a warehouse which only the ETL writes.
    ReadOnly,
    /// Something a client may not do, such as reading a file of the server.
    Forbidden,
    /// BEGIN inside a transaction.
    ActiveTransaction,
    /// COMMIT outside a transaction.
    NoActiveTransaction,
    /// A statement in a transaction that has failed.
    FailedTransaction,
    /// Too many or too few parameters.
    ParameterCount,
    /// The user, a client's disconnection or a shutdown stopped the statement.
    Cancelled,
    /// `statement_timeout` stopped the statement.
    Timeout,
    /// The server is stopping.
    ShuttingDown,
    /// Memory ran out.
    OutOfMemory,
    /// Spill space ran out.
    DiskFull,
    /// Too many connections or statements.
    TooManyConnections,
    /// Another writer was faster.
    Conflict,
    /// smartsneaks.toml or a flag is wrong.
    Config,
    /// Storage could not be read or written.
    Io,
    /// Stored data is damaged.
    DataCorrupted,
    /// A bug of ours.
    Internal,
}

impl Kind {
    /// The five characters that Postgres clients decide by.
    /// Source: PostgreSQL 15 documentation, appendix A.
    #[must_use]
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Syntax => "42601",
            Self::UndefinedTable => "42P01",
            Self::UndefinedColumn => "42703",
            Self::UndefinedFunction => "42883",
            Self::UndefinedSchema => "3F000",
            Self::UndefinedParameter => "42704",
            Self::AmbiguousColumn => "42702",
            Self::DatatypeMismatch => "42804",
            Self::InvalidText => "22P02",
            Self::InvalidParameter => "22023",
            Self::InvalidArgument => "22023",
            Self::DivisionByZero => "22012",
            Self::OutOfRange => "22003",
            Self::Unsupported => "0A000",
            Self::ReadOnly => "25006",
            Self::Forbidden => "42501",
            Self::ActiveTransaction => "25001",
            Self::NoActiveTransaction => "25P01",
            Self::FailedTransaction => "25P02",
            Self::ParameterCount => "08P01",
            Self::Cancelled | Self::Timeout => "57014",
            Self::ShuttingDown => "57P01",
            Self::OutOfMemory => "53200",
            Self::DiskFull => "53100",
            Self::TooManyConnections => "53300",
            Self::Conflict => "40001",
            Self::Config => "F0000",
            Self::Io => "58030",
            Self::DataCorrupted => "XX001",
            Self::Internal => "XX000",
        }
    }

    /// The number of the `google.rpc.Code` for gRPC doors.
    #[must_use]
    pub fn grpc_code(self) -> i32 {
        match self {
            Self::Cancelled => 1,
            Self::Syntax
            | Self::UndefinedColumn
            | Self::UndefinedFunction
            | Self::UndefinedParameter
            | Self::AmbiguousColumn
            | Self::DatatypeMismatch
            | Self::InvalidText
            | Self::InvalidParameter
            | Self::InvalidArgument
            | Self::DivisionByZero
            | Self::ParameterCount => 3,
            Self::Timeout => 4,
            Self::UndefinedTable | Self::UndefinedSchema => 5,
            Self::Forbidden => 7,
            Self::OutOfMemory | Self::DiskFull | Self::TooManyConnections => 8,
            Self::ReadOnly
            | Self::ActiveTransaction
            | Self::NoActiveTransaction
            | Self::FailedTransaction
            | Self::Config => 9,
            Self::Conflict => 10,
            Self::OutOfRange => 11,
            Self::Unsupported => 12,
            Self::Io | Self::Internal => 13,
            Self::ShuttingDown => 14,
            Self::DataCorrupted => 15,
        }
    }

    /// Whose fault a failure of this kind is.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::OutOfMemory
            | Self::DiskFull
            | Self::TooManyConnections
            | Self::Io
            | Self::ShuttingDown
            | Self::Conflict => Fault::Resource,
            Self::Internal | Self::DataCorrupted => Fault::Ours,
            _ => Fault::User,
        }
    }
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The statement, its values or the configuration must change.
    User,
    /// The same statement may succeed later or with more memory, disk or patience.
    Resource,
    /// A bug or damaged data: worth a report.
    Ours,
}

/// A failure with everything that a front door can tell about it.
///
/// Messages are lowercase, short and without a final period; what to do stands in the hint.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` with its message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let inner =
            Inner { kind, message: message.into(), detail: None, hint: None, position: None, source: None };
        Self { inner: Box::new(inner) }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds what else is known.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.inner.detail = Some(detail.into());
        self
    }

    /// Points at a character of the SQL text, counted from 1.
    #[must_use]
    pub fn with_position(mut self, position: usize) -> Self {
        self.inner.position = Some(position);
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Box::new(source));
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// One line, lowercase.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What else is known.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.inner.detail.as_deref()
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// The character of the SQL text at fault, counted from 1.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.inner.position
    }

    /// See [`Kind::sqlstate`].
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        self.inner.kind.sqlstate()
    }

    /// See [`Kind::grpc_code`].
    #[must_use]
    pub fn grpc_code(&self) -> i32 {
        self.inner.kind.grpc_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|e| e.as_ref() as _)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let mut out = classify(&error);
        if out.inner.source.is_none() {
            out.inner.source = Some(Box::new(error));
        }
        out
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        classify_arrow(&error).with_source(error)
    }
}

impl From<smartsneaks_lake::LakeError> for Error {
    fn from(error: smartsneaks_lake::LakeError) -> Self {
        classify_lake(&error).with_source(error)
    }
}

fn classify_lake(error: &smartsneaks_lake::LakeError) -> Error {
    use smartsneaks_lake::LakeError;
    let kind = match error {
        LakeError::NoVersion { .. } => Kind::UndefinedSchema,
        LakeError::Conflict { .. } => Kind::Conflict,
        LakeError::BadManifest { .. } => Kind::DataCorrupted,
        LakeError::BadRoot { .. } => Kind::Config,
        LakeError::BadColumn { .. } => Kind::DatatypeMismatch,
        LakeError::Unsupported { .. } => Kind::Unsupported,
        LakeError::Input(inner) => return classify(inner),
        _ => Kind::Io,
    };
    Error::new(kind, error.to_string())
}

/// Finds the kind, the message and the place of a DataFusion error, looking through its wrappers.
fn classify(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::Context(_, inner) => classify(inner),
        DataFusionError::Shared(inner) => classify(inner),
        DataFusionError::Collection(all) => {
            all.first().map_or_else(|| Error::new(Kind::Internal, "an empty list of errors"), classify)
        }
        DataFusionError::Diagnostic(diagnostic, inner) => with_diagnostic(classify(inner), diagnostic),
        DataFusionError::SQL(parser, _) => syntax(&parser.to_string()),
        DataFusionError::SchemaError(schema, _) => classify_schema(schema),
        DataFusionError::ArrowError(arrow, _) => classify_arrow(arrow),
        DataFusionError::Plan(message) | DataFusionError::Configuration(message) => classify_plan(message),
        DataFusionError::NotImplemented(message) => {
            Error::new(Kind::Unsupported, lowercase_first(first_line(message)))
        }
        DataFusionError::ResourcesExhausted(message) => exhausted(message),
        DataFusionError::Execution(message) => classify_execution(message),
        DataFusionError::External(inner) => classify_external(inner.as_ref()),
        DataFusionError::IoError(inner) => Error::new(Kind::Io, lowercase_first(&inner.to_string())),
        DataFusionError::ObjectStore(inner) => Error::new(Kind::Io, lowercase_first(&inner.to_string())),
        DataFusionError::ParquetError(inner) => {
            Error::new(Kind::DataCorrupted, lowercase_first(&inner.to_string()))
        }
        other => Error::new(Kind::Internal, lowercase_first(first_line(&other.strip_backtrace()))),
    }
}

fn classify_external(inner: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if let Some(interrupted) = inner.downcast_ref::<crate::interrupt::Interrupted>() {
        return interrupted.error();
    }
    if let Some(argument) = inner.downcast_ref::<ArgumentError>() {
        return argument_error(argument);
    }
    if let Some(lake) = inner.downcast_ref::<smartsneaks_lake::LakeError>() {
        return classify_lake(lake);
    }
    if let Some(error) = inner.downcast_ref::<Error>() {
        return Error { inner: Box::new(Inner { source: None, ..error.shallow() }) };
    }
    if let Some(error) = inner.downcast_ref::<DataFusionError>() {
        return classify(error);
    }
    Error::new(Kind::Internal, lowercase_first(&inner.to_string()))
}

impl Error {
    fn shallow(&self) -> Inner {
        let i = &self.inner;
        Inner {
            kind: i.kind,
            message: i.message.clone(),
            detail: i.detail.clone(),
            hint: i.hint.clone(),
            position: i.position,
            source: None,
        }
    }
}

fn classify_schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let out =
                Error::new(Kind::UndefinedColumn, format!("column \"{}\" does not exist", field.flat_name()));
            let names: Vec<&str> = valid_fields.iter().map(|c| c.name()).collect();
            match crate::nearest::nearest(field.name(), names.iter().copied()) {
                Some(near) => out.with_hint(format!("perhaps you meant \"{near}\"")),
                None if names.is_empty() => out,
                None => out.with_hint(format!("columns here: {}", names.join(", "))),
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new(Kind::AmbiguousColumn, format!("column reference \"{}\" is ambiguous", field.name()))
                .with_hint("write the table's name or alias before it")
        }
        other => Error::new(Kind::AmbiguousColumn, lowercase_first(&other.to_string())),
    }
}

fn classify_arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new(Kind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(m) => Error::new(Kind::OutOfRange, lowercase_first(m)),
        ArrowError::CastError(m) | ArrowError::ParseError(m) => {
            Error::new(Kind::InvalidText, lowercase_first(m))
        }
        ArrowError::InvalidArgumentError(m) | ArrowError::ComputeError(m) => {
            Error::new(Kind::InvalidParameter, lowercase_first(m))
        }
        ArrowError::ExternalError(inner) => classify_external(inner.as_ref()),
        ArrowError::IoError(m, _) => Error::new(Kind::Io, lowercase_first(m)),
        ArrowError::NotYetImplemented(m) => Error::new(Kind::Unsupported, lowercase_first(m)),
        ArrowError::ParquetError(m) => Error::new(Kind::DataCorrupted, lowercase_first(m)),
        other => Error::new(Kind::Internal, lowercase_first(&other.to_string())),
    }
}

/// DataFusion gives most planning errors as text alone: the kind is read from how that text starts.
fn classify_plan(message: &str) -> Error {
    let line = first_line(message);
    let lower = line.to_lowercase();
    if let Some(name) = between(line, "table '", "' not found") {
        return Error::new(Kind::UndefinedTable, format!("relation \"{}\" does not exist", short_name(name)));
    }
    if lower.starts_with("invalid function") || lower.contains("table function '") {
        let name = between(line, "'", "'").unwrap_or_default();
        return with_suggestion(
            Error::new(Kind::UndefinedFunction, format!("function {name} does not exist")),
            line,
        );
    }
    let kind = if lower.contains("no function matches") || lower.contains("failed to coerce arguments") {
        Kind::UndefinedFunction
    } else if lower.contains("cannot coerce")
        || lower.contains("cannot infer common")
        || lower.contains("can't be evaluated because there isn't a common type")
    {
        Kind::DatatypeMismatch
    } else if lower.contains("failed to resolve schema") {
        Kind::UndefinedSchema
    } else if lower.starts_with("unsupported") || lower.contains("not supported") {
        Kind::Unsupported
    } else if lower.contains("placeholder") && lower.contains("param") {
        Kind::ParameterCount
    } else {
        Kind::Syntax
    };
    Error::new(kind, lowercase_first(line))
}

fn classify_execution(message: &str) -> Error {
    let line = first_line(message);
    let lower = line.to_lowercase();
    let kind = if lower.contains("divide by zero") || lower.contains("division by zero") {
        Kind::DivisionByZero
    } else if lower.contains("overflow") || lower.contains("out of range") {
        Kind::OutOfRange
    } else if lower.contains("cannot cast") || lower.contains("parsing") || lower.contains("parse") {
        Kind::InvalidText
    } else {
        Kind::InvalidParameter
    };
    Error::new(kind, lowercase_first(line))
}

fn exhausted(message: &str) -> Error {
    let line = first_line(message);
    if line.contains("disk") || line.contains("temp") && !line.contains("memory") {
        return Error::new(Kind::DiskFull, lowercase_first(line))
            .with_hint("raise [engine] spill_limit or free disk space");
    }
    Error::new(Kind::OutOfMemory, lowercase_first(line))
        .with_hint("raise [engine] memory_limit, or read fewer rows or columns")
}

fn argument_error(error: &ArgumentError) -> Error {
    let out = Error::new(Kind::InvalidArgument, error.to_string());
    match &error.hint {
        Some(hint) => out.with_hint(hint),
        None => out,
    }
}

fn with_suggestion(error: Error, line: &str) -> Error {
    match between(line, "Did you mean '", "'") {
        Some(name) => error.with_hint(format!("perhaps you meant {name}")),
        None => error,
    }
}

fn with_diagnostic(mut error: Error, diagnostic: &Diagnostic) -> Error {
    if error.inner.hint.is_none() {
        error.inner.hint = diagnostic.helps.first().map(|h| lowercase_first(&h.message));
    }
    error
}

/// The place of a diagnostic of `error`, if it has one, as (line, column) counted from 1.
pub(crate) fn place(error: &DataFusionError) -> Option<(u64, u64)> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            diagnostic.span.map(|s| (s.start.line, s.start.column)).or_else(|| place(inner))
        }
        DataFusionError::Context(_, inner) => place(inner),
        DataFusionError::Shared(inner) => place(inner),
        DataFusionError::Collection(all) => all.iter().find_map(place),
        DataFusionError::External(inner) => inner
            .downcast_ref::<ArgumentError>()
            .and_then(|e| e.span)
            .filter(|s| s.start.line > 0)
            .map(|s| (s.start.line, s.start.column)),
        _ => None,
    }
}

/// A parser's message, without its prefix and with its place moved out of the text.
pub(crate) fn syntax(message: &str) -> Error {
    let message = message.trim_start_matches("sql parser error: ");
    let text = message.split(" at Line: ").next().unwrap_or(message);
    Error::new(Kind::Syntax, format!("syntax error: {}", lowercase_first(text)))
}

/// The place that sqlparser writes at the end of its messages, as (line, column) counted from 1.
pub(crate) fn place_in_message(message: &str) -> Option<(u64, u64)> {
    let rest = message.split(" at Line: ").nth(1)?;
    let (line, rest) = rest.split_once(',')?;
    let column = rest.trim().strip_prefix("Column: ")?;
    let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some((line.trim().parse().ok()?, digits.parse().ok()?))
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or(message).trim_end_matches('.')
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

/// `smartsneaks.public.fact_sales` as a user wrote it: without the catalog, and without the schema that is searched
/// by itself.
fn short_name(name: &str) -> &str {
    let name = name.strip_prefix("smartsneaks.").unwrap_or(name);
    name.strip_prefix("public.").unwrap_or(name)
}

fn lowercase_first(message: &str) -> String {
    let mut chars = message.chars();
    match (chars.next(), message.chars().nth(1)) {
        // An acronym or a name in capitals stays as it is.
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_table_reads_as_in_postgres() {
        let error =
            Error::from(DataFusionError::Plan("table 'smartsneaks.public.fact_sale' not found".into()));
        assert_eq!(error.sqlstate(), "42P01");
        assert_eq!(error.message(), "relation \"fact_sale\" does not exist");
    }

    #[test]
    fn every_kind_has_codes() {
        for kind in [Kind::Syntax, Kind::Cancelled, Kind::Internal, Kind::Forbidden, Kind::Timeout] {
            assert_eq!(kind.sqlstate().len(), 5);
            assert!((1..=16).contains(&kind.grpc_code()));
        }
        assert_eq!(Kind::Forbidden.sqlstate(), "42501");
    }

    #[test]
    fn place_is_read_from_the_parsers_message() {
        let message = "sql parser error: Expected: an expression, found: FROM at Line: 3, Column: 17";
        assert_eq!(place_in_message(message), Some((3, 17)));
        assert_eq!(syntax(message).message(), "syntax error: expected: an expression, found: FROM");
    }

    #[test]
    fn wrappers_keep_the_kind() {
        let inner = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        let error = Error::from(DataFusionError::Context("computing".into(), Box::new(inner)));
        assert_eq!(error.kind(), Kind::DivisionByZero);
    }
}
