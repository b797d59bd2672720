//! What must hold once the rows are there: rules with `on_fail: abort`, unique keys, and the queries in `sql/checks`.

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use smartsneaks_engine::Session;
use smartsneaks_lake::Version;

use crate::error::EtlError;
use crate::fault;
use crate::header::{ModelKind, OnFail};
use crate::model::{Check, Model};
use crate::pass::{quoted, quoted_table};
use crate::quarantine::as_json;
use crate::references;
use crate::report::{CheckReport, Status};
use crate::rule::Rule;

/// Rows that an error shows as examples.
const EXAMPLES: usize = 3;

/// Checks the expectations of a model whose rows were just written. `failures` are the rows that each quarantined.
pub(crate) async fn expectations(
    session: &Session,
    model: &Model,
    failures: &[u64],
) -> Result<Vec<CheckReport>, EtlError> {
    let mut reports = Vec::new();
    for (number, expectation) in model.header.expect.iter().enumerate() {
        let mut report = CheckReport {
            model: Some(model.name.clone()),
            name: expectation.rule.clone(),
            status: Status::Passed,
            failing_rows: 0,
            detail: expectation.reason.clone(),
        };
        if expectation.on_fail == OnFail::Quarantine {
            report.failing_rows = failures.get(number).copied().unwrap_or(0);
            if report.failing_rows > 0 {
                report.status = Status::Quarantined;
            }
        } else {
            let rule = Rule::read(expectation, number)?;
            if let Some(found) =
                broken(session, model, &rule).await.map_err(|e| e.at(expectation.place.clone()))?
            {
                return Err(EtlError::checks_failed(format!(
                    "{}: expected {}, found {found}",
                    model.name, expectation.rule
                ))
                .at(expectation.place.clone())
                .with_hint("nothing was committed: mend the data or the rule and run again"));
            }
        }
        reports.push(report);
    }
    let is_table = matches!(model.header.kind, ModelKind::Full | ModelKind::Incremental);
    if is_table && !model.header.key.is_empty() {
        reports.push(unique_key(session, model).await?);
    }
    Ok(reports)
}

/// What breaks the rule, in words; `None` when it holds.
async fn broken(session: &Session, model: &Model, rule: &Rule) -> Result<Option<String>, EtlError> {
    let table = quoted_table(&model.name);
    let (condition, about_table) = match rule {
        Rule::Table { condition } => (condition, true),
        Rule::Row { condition } | Rule::Joined { condition, .. } => (condition, false),
    };
    let sql = if about_table {
        format!("SELECT count(*) AS rows FROM {table} HAVING NOT coalesce(({condition}\n), false)")
    } else {
        format!("SELECT * FROM {table} WHERE NOT coalesce(({condition}\n), false)")
    };
    let (count, examples) = rows(session, &sql).await.map_err(|e| fault::of_engine(&model.name, e))?;
    if count == 0 {
        return Ok(None);
    }
    if about_table {
        return Ok(Some(format!("a table of {}", examples.replace("{\"rows\":", "").replace('}', " rows"))));
    }
    Ok(Some(format!("{count} rows that break it, as in {examples}")))
}

/// The key that the header promises identifies a row.
async fn unique_key(session: &Session, model: &Model) -> Result<CheckReport, EtlError> {
    let key: Vec<_> = model.header.key.iter().map(|name| quoted(name)).collect();
    let key = key.join(", ");
    let names = model.header.key.join(", ");
    let report = CheckReport {
        model: Some(model.name.clone()),
        name: format!("unique ({names})"),
        status: Status::Passed,
        failing_rows: 0,
        detail: None,
    };
    // A key of working columns orders the dedup and is not in the table.
    if model.header.key.iter().any(|name| name.starts_with('_')) {
        return Ok(CheckReport { status: Status::Skipped, ..report });
    }
    let table = quoted_table(&model.name);
    let sql =
        format!("SELECT {key}, count(*) AS rows FROM {table} GROUP BY {key} HAVING count(*) > 1 LIMIT 100");
    let (count, examples) = rows(session, &sql).await.map_err(|e| fault::of_engine(&model.name, e))?;
    if count == 0 {
        return Ok(report);
    }
    let count = if count == 100 { "100 or more".to_owned() } else { count.to_string() };
    Err(EtlError::checks_failed(format!(
        "{}: expected one row for each {names}, found {count} keys with more, as in {examples}",
        model.name
    ))
    .at(crate::error::Place::new(&model.file.path, &model.file.text, 1, 0))
    .with_hint(match model.header.kind {
        ModelKind::Incremental => format!(
            "leave out what the table has: WHERE {} NOT IN (SELECT {} FROM {})",
            model.header.key[0],
            model.header.key[0],
            model.bare_name()
        ),
        _ => "mend the query or the key, or keep one row a key with dedup: {order_by: …}".to_owned(),
    }))
}

/// Runs a check of the project against `version`, which the session reads.
pub(crate) async fn check(
    session: &Session,
    check: &Check,
    version: &Version,
) -> Result<CheckReport, EtlError> {
    let mut report = CheckReport {
        model: None,
        name: check.name.clone(),
        status: Status::Passed,
        failing_rows: 0,
        detail: check.description.clone(),
    };
    let ours = |name: &str| name.starts_with("public.") || name.starts_with("staging.");
    let built = |name: &str| version.tables.contains_key(name) || version.views.contains_key(name);
    if references::tables(&check.file.query).iter().any(|table| ours(&table.name) && !built(&table.name)) {
        report.status = Status::Skipped;
        return Ok(report);
    }
    let (count, examples) = rows(session, check.file.sql()).await.map_err(|error| {
        let place = error.position().map(|position| {
            let within = check.file.sql().char_indices().nth(position.saturating_sub(1));
            check.file.place(check.file.body.start + within.map_or(0, |(offset, _)| offset))
        });
        let error = fault::of_engine(&check.file.path, error);
        match place {
            Some(place) => error.at(place),
            None => error,
        }
    })?;
    if count == 0 {
        return Ok(report);
    }
    let what =
        check.description.as_deref().map_or_else(String::new, |description| format!(" ({description})"));
    Err(EtlError::checks_failed(format!(
        "{}: check {}{what}: expected no rows, found {count}, as in {examples}",
        check.file.path, check.name
    ))
    .with_hint("nothing was committed: mend the data or the models and run again"))
}

/// Counts the rows of a query and shows the first few.
async fn rows(session: &Session, sql: &str) -> Result<(u64, String), smartsneaks_engine::Error> {
    let mut stream = session.query(sql).await?.stream;
    let mut count = 0_u64;
    let mut examples = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        count += batch.num_rows() as u64;
        let take = EXAMPLES.saturating_sub(examples.len()).min(batch.num_rows());
        if take > 0 {
            examples.extend(show(&batch.slice(0, take)));
        }
    }
    Ok((count, examples.join(", ")))
}

fn show(batch: &RecordBatch) -> Vec<String> {
    match as_json(batch) {
        Ok(text) => text.as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
        Err(error) => vec![format!("(a row that can't be shown: {error})")],
    }
}
