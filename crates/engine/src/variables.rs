//! What SET and SHOW know: the variables of a session.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::nearest::nearest;
use crate::settings::parse_duration;

/// The version that clients are told; `server_version` and `version()` are made from it.
///
/// PostgreSQL's number comes first because clients choose their SQL by it; psql 15 and the catalog that is served fit it.
pub(crate) const SERVER_VERSION: &str = concat!("15.18 (SmartSneaks ", env!("CARGO_PKG_VERSION"), ")");

/// What `version()` returns, in the form that drivers parse.
pub(crate) const VERSION: &str =
    concat!("PostgreSQL 15.18 (SmartSneaks ", env!("CARGO_PKG_VERSION"), ") on DataFusion, 64-bit");

/// What a variable takes.
#[derive(Debug, Clone, Copy)]
enum Takes {
    /// Any text.
    Text,
    /// A time with an optional unit.
    Duration,
    /// on/off in PostgreSQL's spellings.
    Boolean,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
    /// A time zone's name or offset.
    TimeZone,
    /// Nothing: it cannot be changed.
    ReadOnly,
}

struct Variable {
    name: &'static str,
    default: &'static str,
    takes: Takes,
    /// Whether Postgres clients are told of its value at start.
    reported: bool,
    doc: &'static str,
}

const fn variable(
    name: &'static str,
    default: &'static str,
    takes: Takes,
    reported: bool,
    doc: &'static str,
) -> Variable {
    Variable { name, default, takes, reported, doc }
}

const VARIABLES: &[Variable] = &[
    variable("application_name", "", Takes::Text, true, "the name that the client gave itself"),
    variable("bytea_output", "hex", Takes::OneOf(&["hex"]), false, "how bytea is written as text"),
    variable("client_encoding", "UTF8", Takes::OneOf(&["utf8", "utf-8", "unicode"]), true, "always UTF8"),
    variable(
        "client_min_messages",
        "notice",
        Takes::OneOf(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error",
        ]),
        false,
        "which messages the client wants",
    ),
    variable(
        "datestyle",
        "ISO, MDY",
        Takes::OneOf(&["iso", "iso, mdy", "iso, dmy", "iso, ymd"]),
        true,
        "dates are written in ISO form",
    ),
    variable(
        "default_transaction_isolation",
        "repeatable read",
        Takes::Text,
        false,
        "a transaction reads one version",
    ),
    variable("default_transaction_read_only", "on", Takes::Boolean, true, "the ETL alone writes"),
    variable(
        "extra_float_digits",
        "1",
        Takes::Text,
        false,
        "floats are written in their shortest exact form",
    ),
    variable("idle_in_transaction_session_timeout", "0", Takes::Duration, false, "accepted, without effect"),
    variable("in_hot_standby", "off", Takes::ReadOnly, true, "never"),
    variable("integer_datetimes", "on", Takes::ReadOnly, true, "always"),
    variable("intervalstyle", "postgres", Takes::OneOf(&["postgres"]), true, "how intervals are written"),
    variable("is_superuser", "off", Takes::ReadOnly, true, "nobody is"),
    variable("lock_timeout", "0", Takes::Duration, false, "accepted; a read waits for no lock"),
    variable("max_identifier_length", "63", Takes::ReadOnly, false, "as in PostgreSQL"),
    variable("max_index_keys", "32", Takes::ReadOnly, false, "as in PostgreSQL"),
    variable("row_security", "on", Takes::Boolean, false, "accepted, without effect"),
    variable(
        "search_path",
        "\"$user\", public",
        Takes::Text,
        false,
        "schemas that bare names are looked up in",
    ),
    variable("server_encoding", "UTF8", Takes::ReadOnly, true, "always UTF8"),
    variable(
        "server_version",
        SERVER_VERSION,
        Takes::ReadOnly,
        true,
        "PostgreSQL's version that clients see",
    ),
    variable("server_version_num", "150018", Takes::ReadOnly, false, "the same as a number"),
    variable("session_authorization", "", Takes::ReadOnly, true, "the user of this session"),
    variable("standard_conforming_strings", "on", Takes::OneOf(&["on", "true", "1"]), true, "always on"),
    variable(
        "statement_timeout",
        "0",
        Takes::Duration,
        false,
        "stops a statement after this time; 0 sets no limit",
    ),
    variable("timezone", "UTC", Takes::TimeZone, true, "time zone in which timestamptz is written"),
    variable(
        "transaction_isolation",
        "repeatable read",
        Takes::Text,
        false,
        "a transaction reads one version",
    ),
    variable("transaction_read_only", "on", Takes::ReadOnly, false, "the ETL alone writes"),
    variable(
        "warehouse.as_of",
        "",
        Takes::Text,
        false,
        "reads the warehouse as of a version number, a date or a timestamp; empty reads the newest",
    ),
];

/// The values of one session.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Variables {
    changed: BTreeMap<&'static str, String>,
    defaults: BTreeMap<&'static str, String>,
}

impl Variables {
    /// Values with the session's own defaults over the general ones.
    pub(crate) fn new(defaults: &[(&'static str, String)]) -> Self {
        Self { changed: BTreeMap::new(), defaults: defaults.iter().cloned().collect() }
    }

    /// The value of `name`, in any case; `None` when there is no such variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let variable = find(name)?;
        let set = self.changed.get(variable.name).or_else(|| self.defaults.get(variable.name));
        Some(set.cloned().unwrap_or_else(|| variable.default.to_owned()))
    }

    /// Sets `name`; `None` goes back to the default.
    ///
    /// # Errors
    /// Unknown names and values that the variable does not take.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let Some(variable) = find(name) else {
            // PostgreSQL lets any two-part name be a variable of the user's; only ours are checked.
            return Err(unknown(name));
        };
        let Some(value) = value else {
            self.changed.remove(variable.name);
            return Ok(());
        };
        let value = check(variable, value)?;
        self.changed.insert(variable.name, value);
        Ok(())
    }

    /// Back to all defaults.
    pub(crate) fn reset(&mut self) {
        self.changed.clear();
    }

    /// `statement_timeout` as a time.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.get("statement_timeout").and_then(|v| parse_duration(&v)).flatten()
    }

    /// Name, value and meaning of every variable, for SHOW ALL.
    pub(crate) fn all(&self) -> Vec<(&'static str, String, &'static str)> {
        VARIABLES.iter().map(|v| (v.name, self.get(v.name).unwrap_or_default(), v.doc)).collect()
    }

    /// What Postgres clients are told at start, under PostgreSQL's own spelling of the names.
    pub(crate) fn reported(&self) -> Vec<(&'static str, String)> {
        VARIABLES
            .iter()
            .filter(|v| v.reported)
            .map(|v| (spelled(v.name), self.get(v.name).unwrap_or_default()))
            .collect()
    }
}

fn spelled(name: &'static str) -> &'static str {
    match name {
        "datestyle" => "DateStyle",
        "timezone" => "TimeZone",
        "intervalstyle" => "IntervalStyle",
        other => other,
    }
}

fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|v| v.name.eq_ignore_ascii_case(name))
}

/// The error for a variable that does not exist.
pub(crate) fn unknown(name: &str) -> Error {
    let error =
        Error::new(Kind::UndefinedParameter, format!("unrecognized configuration parameter \"{name}\""));
    match nearest(name, VARIABLES.iter().map(|v| v.name)) {
        Some(near) => error.with_hint(format!("perhaps you meant {near}; SHOW ALL lists them")),
        None => error.with_hint("SHOW ALL lists them"),
    }
}

fn check(variable: &Variable, value: &str) -> Result<String, Error> {
    let invalid = |expected: &str| {
        Error::new(
            Kind::InvalidParameter,
            format!("invalid value for parameter \"{}\": \"{value}\"", variable.name),
        )
        .with_hint(format!("expected {expected}"))
    };
    match variable.takes {
        Takes::Text => Ok(value.to_owned()),
        Takes::Duration => match parse_duration(value) {
            Some(_) => Ok(value.to_owned()),
            None => Err(invalid("a time such as 500ms, 30s or 5min")),
        },
        Takes::Boolean => match value.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok("on".to_owned()),
            "off" | "false" | "no" | "0" => Ok("off".to_owned()),
            _ => Err(invalid("on or off")),
        },
        Takes::OneOf(valid) if valid.contains(&value.to_ascii_lowercase().as_str()) => {
            Ok(if variable.name == "client_encoding" { "UTF8".to_owned() } else { value.to_owned() })
        }
        Takes::OneOf(valid) => Err(invalid(&format!("one of {}", valid.join(", ")))),
        Takes::TimeZone => match value.parse::<arrow::array::timezone::Tz>() {
            Ok(_) => Ok(value.to_owned()),
            Err(_) if value.eq_ignore_ascii_case("local") || value.eq_ignore_ascii_case("default") => {
                Ok(variable.default.to_owned())
            }
            Err(_) => Err(invalid("a time zone such as Asia/Kolkata or +05:30")),
        },
        Takes::ReadOnly => Err(Error::new(
            Kind::InvalidParameter,
            format!("parameter \"{}\" cannot be changed", variable.name),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_and_reset() {
        let mut variables = Variables::default();
        variables.set("STATEMENT_TIMEOUT", Some("1s")).unwrap();
        assert_eq!(variables.statement_timeout(), Some(Duration::from_secs(1)));
        assert!(variables.set("statement_timeout", Some("soon")).is_err());
        variables.set("statement_timeout", None).unwrap();
        assert_eq!(variables.statement_timeout(), None);
        assert_eq!(variables.set("server_version", Some("9")).unwrap_err().sqlstate(), "22023");
        variables.set("TimeZone", Some("Asia/Kolkata")).unwrap();
        assert_eq!(variables.set("timezone", Some("Mars/Olympus")).unwrap_err().sqlstate(), "22023");
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let error = Variables::default().set("statement_timeoud", Some("1")).unwrap_err();
        assert_eq!(error.sqlstate(), "42704");
        assert!(error.hint().is_some_and(|h| h.contains("statement_timeout")));
    }
}
