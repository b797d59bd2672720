//! The YAML header of a model: a comment at the top of its SQL file.
//!
//! ```sql
//! /*---
//! kind: full                   # full (a table, rebuilt by every run) | view | incremental (each run adds rows)
//! description: One row an order line.
//! key: [sale_id]
//! dedup: {order_by: "source_file, source_line"}
//! expect:
//!   - {rule: "qty <> 0",      on_fail: quarantine, reason: ZERO_QTY}
//!   - {rule: "row_count > 0", on_fail: abort}
//! series: {id: [sku, city], time: date, value: qty}
//! columns: {qty: "pairs sold, negative for a return"}
//! partition_by: [year]
//! ---*/
//! SELECT …
//! ```
//!
//! A learned model (`sql/ml/<name>.sql`, `SELECT * FROM forecast(…)`) has `description` and `retrain_above` alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::error::{EtlError, Place};

/// Where learned models stand.
const LEARNED: &str = "sql/ml/";

const OPEN: &str = "/*---";
const CLOSE: &str = "---*/";

/// How a model is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelKind {
    /// A table, rebuilt whole by every run.
    #[default]
    Full,
    /// A table that each run adds rows to. Its query may read the table as it was before, to tell what is new.
    Incremental,
    /// A query stored in the warehouse version and expanded where it is used.
    View,
    /// What a table function learned, kept under the file's name in `ml.models`.
    Learned,
}

/// What happens to a row, or to the run, when a rule does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// The run stops and the warehouse stays as it was.
    Abort,
    /// The row goes to `etl.quarantine`; the rest is loaded.
    Quarantine,
}

/// One line of `expect`.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// A condition in SQL over the columns of the model, or over the whole table (`row_count > 0`).
    pub rule: String,
    /// Where the rule stands in the file.
    pub place: Place,
    /// What happens when it does not hold.
    pub on_fail: OnFail,
    /// The name under which quarantined rows are filed.
    pub reason: Option<String>,
}

/// Columns which make a table a set of time series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The columns that tell one series from another.
    pub id: Vec<String>,
    /// The column with the date or timestamp.
    pub time: String,
    /// The column with the number.
    pub value: String,
}

/// Everything that a model's header says.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// How the model is kept.
    pub kind: ModelKind,
    /// What the table is for; shown by `\d+` and by the catalog.
    pub description: Option<String>,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// Keep one row a key: the first in this order.
    pub dedup_order: Option<String>,
    /// Where `dedup` stands in the file.
    pub dedup_place: Option<Place>,
    /// The rules, in the order in which they are tried.
    pub expect: Vec<Expectation>,
    /// Declares the table as a set of time series; its rows are stored one series after the other.
    pub series: Option<Series>,
    /// A comment for each column that has one.
    pub columns: BTreeMap<String, String>,
    /// Columns by whose values the table's files are laid out.
    pub partition_by: Vec<String>,
    /// A learned model is trained again when its error is more than so many times that of its training.
    pub retrain_above: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    kind: Option<Spanned<String>>,
    description: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    dedup: Option<Spanned<RawDedup>>,
    #[serde(default)]
    expect: Vec<RawExpectation>,
    series: Option<Series>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    #[serde(default)]
    partition_by: Vec<String>,
    retrain_above: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDedup {
    order_by: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpectation {
    rule: Spanned<String>,
    on_fail: Option<Spanned<String>>,
    reason: Option<String>,
}

/// Reads the header of a file and returns it with the byte offset at which the SQL starts.
///
/// A file without a header gets the defaults: a full table with no rules, in `sql/ml` a learned model.
///
/// # Errors
/// [`crate::error::Kind::Config`] with file, line and column for a header that is not closed, is not YAML, has an unknown
/// key or a value that this version does not support.
pub fn parse(file: &str, text: &str) -> Result<(Header, usize), EtlError> {
    let (raw, body) = read::<RawHeader>(file, text)?;
    let usual = if file.starts_with(LEARNED) { ModelKind::Learned } else { ModelKind::Full };
    let header = match raw {
        None => Header { kind: usual, ..Header::default() },
        Some((raw, block)) => {
            let top = Place::at_offset(file, text, text.len() - text.trim_start().len());
            interpret(raw, usual, top, |location| block.place(location))?
        }
    };
    Ok((header, body))
}

/// The YAML of a header, and where it stands in the file.
pub(crate) struct Block<'a> {
    file: &'a str,
    text: &'a str,
    start: usize,
}

impl Block<'_> {
    /// The place in the file of a place in the YAML.
    pub(crate) fn place(&self, location: serde_saphyr::Location) -> Place {
        let start = Place::at_offset(self.file, self.text, self.start);
        let (line, column) = (location.line(), location.column());
        let column = if line <= 1 { column + start.column - 1 } else { column };
        Place::new(self.file, self.text, start.line + line.saturating_sub(1), column)
    }
}

/// What a header says as it was read, with the block that it was read from.
type Read<'a, T> = Option<(T, Block<'a>)>;

/// Reads the YAML of a header as a `T`, `None` where there is no header, with the byte offset at which the SQL starts.
pub(crate) fn read<'a, T: serde::de::DeserializeOwned>(
    file: &'a str,
    text: &'a str,
) -> Result<(Read<'a, T>, usize), EtlError> {
    let start = text.len() - text.trim_start().len();
    if !text[start..].starts_with(OPEN) {
        return Ok((None, start));
    }
    let yaml_start = start + OPEN.len();
    let Some(length) = text[yaml_start..].find(CLOSE) else {
        return Err(EtlError::config("the header is not closed: expected `---*/` after the YAML")
            .at(Place::at_offset(file, text, start)));
    };
    let yaml = &text[yaml_start..yaml_start + length];
    if let Some(offset) = yaml.find("/*").or_else(|| yaml.find("*/")) {
        return Err(EtlError::config("the header stands in a SQL comment and so can't hold `/*` or `*/`")
            .at(Place::at_offset(file, text, yaml_start + offset)));
    }
    let body_start = yaml_start + length + CLOSE.len();
    if yaml.trim().is_empty() {
        return Ok((None, body_start));
    }
    let block = Block { file, text, start: yaml_start };
    let options = serde_saphyr::options! { with_snippet: false };
    let raw = serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let place = error
            .location()
            .map_or_else(|| Place::at_offset(file, text, start), |location| block.place(location));
        EtlError::config(format!("bad header: {}", plain_message(&error))).at(place)
    })?;
    Ok((Some((raw, block)), body_start))
}

fn interpret(
    raw: RawHeader,
    usual: ModelKind,
    top: Place,
    locate: impl Fn(serde_saphyr::Location) -> Place,
) -> Result<Header, EtlError> {
    let kind = match &raw.kind {
        None => usual,
        Some(kind) if (kind.value == "learned") != (usual == ModelKind::Learned) => {
            let message =
                format!("sql/ml holds learned models, and nothing else does; found kind {}", kind.value);
            return Err(EtlError::config(message).at(locate(kind.referenced)));
        }
        Some(kind) => match kind.value.as_str() {
            "full" => ModelKind::Full,
            "view" => ModelKind::View,
            "incremental" => ModelKind::Incremental,
            "learned" => ModelKind::Learned,
            other => {
                return Err(EtlError::config(format!(
                    "kind {other} is not supported by this version; expected full, view or incremental"
                ))
                .at(locate(kind.referenced)));
            }
        },
    };
    let retrain_above = raw.retrain_above.as_ref().map(|bound| (bound.value, locate(bound.referenced)));
    if let Some((bound, place)) = &retrain_above
        && !(kind == ModelKind::Learned && *bound > 0.0 && bound.is_finite())
    {
        let message = "retrain_above must be above 0, such as 1.1, and belongs to learned models";
        return Err(EtlError::config(message).at(place.clone()));
    }
    if kind == ModelKind::Learned {
        let given = [
            ("key", raw.key.is_empty()),
            ("dedup", raw.dedup.is_none()),
            ("expect", raw.expect.is_empty()),
            ("series", raw.series.is_none()),
            ("columns", raw.columns.is_empty()),
            ("partition_by", raw.partition_by.is_empty()),
        ];
        if let Some((what, _)) = given.iter().find(|(_, absent)| !absent) {
            let message = format!("a learned model has no {what}: it makes no table");
            return Err(EtlError::config(message).at(top));
        }
    }
    if let Some(raw_kind) = &raw.kind
        && kind == ModelKind::Incremental
        && raw.key.is_empty()
    {
        let message = "an incremental model needs a key, by which rows that the table has are told";
        return Err(EtlError::config(message)
            .at(locate(raw_kind.referenced))
            .with_hint("add for example `key: [order_id]`"));
    }
    let mut expect = Vec::with_capacity(raw.expect.len());
    for expectation in raw.expect {
        let place = locate(expectation.rule.referenced);
        let on_fail = match &expectation.on_fail {
            None => OnFail::Abort,
            Some(on_fail) => match on_fail.value.as_str() {
                "abort" => OnFail::Abort,
                "quarantine" => OnFail::Quarantine,
                other => {
                    return Err(EtlError::config(format!(
                        "on_fail {other} is not known; expected abort or quarantine"
                    ))
                    .at(locate(on_fail.referenced)));
                }
            },
        };
        if on_fail == OnFail::Quarantine && expectation.reason.is_none() {
            return Err(EtlError::config("a rule that quarantines rows needs a reason to file them under")
                .at(place)
                .with_hint("add for example `reason: BAD_NUMBER`"));
        }
        expect.push(Expectation { rule: expectation.rule.value, place, on_fail, reason: expectation.reason });
    }
    let dedup_place = raw.dedup.as_ref().map(|dedup| locate(dedup.referenced));
    if let Some(place) = &dedup_place
        && raw.key.is_empty()
    {
        return Err(EtlError::config("dedup keeps one row a key, but the header has no key")
            .at(place.clone())
            .with_hint("add for example `key: [order_id]`"));
    }
    if kind == ModelKind::View {
        let offender = expect.first().map(|e| e.place.clone()).or_else(|| dedup_place.clone());
        if let Some(place) = offender {
            return Err(EtlError::config("a view loads no rows, so it can have neither expect nor dedup")
                .at(place)
                .with_hint("make it `kind: full`, or move the rule to sql/checks"));
        }
    }
    Ok(Header {
        kind,
        description: raw.description,
        key: raw.key,
        dedup_order: raw.dedup.map(|dedup| dedup.value.order_by),
        dedup_place,
        expect,
        series: raw.series,
        columns: raw.columns,
        partition_by: raw.partition_by,
        retrain_above: retrain_above.map(|(bound, _)| bound),
    })
}

/// The message of a YAML error without its own (header-relative) line numbers.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    let end = text.find(" at line ").unwrap_or(text.len());
    text[..end].trim_end_matches([':', ',', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str) -> EtlError {
        parse("sql/staging/a.sql", text).unwrap_err()
    }

    #[test]
    fn reads_everything() {
        let text = "/*---
kind: full                 # rebuilt by every run
description: One row an order.
key: [order_id]
dedup: {order_by: \"source_file, source_line\"}
expect:
  - {rule: \"qty <> 0\", on_fail: quarantine, reason: ZERO_QTY}
  - {rule: \"row_count > 0\", on_fail: abort}
  - rule: sku IN (SELECT sku FROM dim_product)
series: {id: [sku, city], time: date, value: qty}
columns:
  qty: pairs, negative for a return
partition_by: [year]
---*/
SELECT 1";
        let (header, body) = parse("a.sql", text).unwrap();
        assert_eq!(&text[body..], "\nSELECT 1");
        assert_eq!(header.kind, ModelKind::Full);
        assert_eq!(header.key, ["order_id"]);
        assert_eq!(header.dedup_order.as_deref(), Some("source_file, source_line"));
        assert_eq!(header.expect.len(), 3);
        assert_eq!(header.expect[0].on_fail, OnFail::Quarantine);
        assert_eq!(header.expect[0].reason.as_deref(), Some("ZERO_QTY"));
        assert_eq!((header.expect[0].place.line, header.expect[0].place.column), (7, 12));
        assert_eq!(header.expect[2].on_fail, OnFail::Abort);
        assert_eq!(header.series.unwrap().id, ["sku", "city"]);
        assert_eq!(header.columns["qty"], "pairs, negative for a return");
        assert_eq!(header.partition_by, ["year"]);
    }

    #[test]
    fn no_header_is_a_full_table() {
        let (header, body) = parse("a.sql", "-- plain\nSELECT 1").unwrap();
        assert_eq!((header.kind, body), (ModelKind::Full, 0));
        assert_eq!(parse("a.sql", "/*--- ---*/ SELECT 1").unwrap().0.kind, ModelKind::Full);
    }

    #[test]
    fn unsupported_kind_names_the_supported_ones() {
        let error = fails("\n/*---\nkey: [a]\nkind: scd2\n---*/\nSELECT 1");
        assert_eq!(
            error.message(),
            "kind scd2 is not supported by this version; expected full, view or incremental"
        );
        let place = error.place().unwrap();
        assert_eq!((place.line, place.column), (4, 7));
        assert_eq!(place.excerpt, "kind: scd2");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn an_incremental_model_needs_a_key() {
        let error = fails("/*---\nkind: incremental\n---*/\nSELECT 1");
        assert!(error.message().contains("needs a key") && error.place().unwrap().line == 2, "{error}");
        let (header, _) = parse("a.sql", "/*---\nkind: incremental\nkey: [a]\n---*/\nSELECT 1").unwrap();
        assert_eq!(header.kind, ModelKind::Incremental);
    }

    #[test]
    fn unknown_key_is_an_error_with_its_line() {
        let error = fails("/*---\nkind: full\nkeys: [a]\n---*/\nSELECT 1");
        assert!(error.message().contains("keys"), "{error}");
        assert!(!error.message().contains(" line "), "{error}");
        assert_eq!(error.place().unwrap().line, 3);
    }

    #[test]
    fn bad_yaml_is_an_error_with_its_line() {
        let error = fails("/*---\nkind: full\nkey: [a\n---*/\nSELECT 1");
        assert!((3..=4).contains(&error.place().unwrap().line), "{error}");
        assert_eq!(fails("/*---\nkey: 7\n---*/\nSELECT 1").place().unwrap().line, 2);
    }

    #[test]
    fn open_header_and_nested_comment() {
        assert!(fails("/*---\nkind: full\nSELECT 1").message().contains("not closed"));
        let error = fails("/*---\ndescription: see data/*\n---*/\nSELECT 1");
        assert_eq!((error.place().unwrap().line, error.place().unwrap().column), (2, 22));
    }

    #[test]
    fn rules_are_complete() {
        let error = fails("/*---\nexpect:\n  - {rule: \"a > 0\", on_fail: quarantine}\n---*/\nSELECT 1");
        assert!(error.message().contains("needs a reason"));
        assert_eq!(error.place().unwrap().line, 3);
        let error = fails("/*---\nexpect:\n  - {rule: \"a > 0\", on_fail: warn}\n---*/\nSELECT 1");
        assert!(error.message().contains("expected abort or quarantine"));
        assert!(fails("/*---\ndedup: {order_by: a}\n---*/\nSELECT 1").message().contains("no key"));
        let error = fails("/*---\nkind: view\nexpect: [{rule: \"a > 0\"}]\n---*/\nSELECT 1");
        assert!(error.message().contains("a view loads no rows"));
    }
}
