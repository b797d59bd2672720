//! What a run says about itself: the rows it adds to `etl.runs`, `etl.models` and `etl.checks`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};

use crate::error::EtlError;
use crate::report::Report;

/// `etl.runs`: one row a run that was committed.
///
/// `version` is the warehouse version that the run became; the row counts are sums over the run's models, so
/// `rows_in = loaded + quarantined + deduplicated`.
pub(crate) fn runs(report: &Report, trigger: &str) -> Result<RecordBatch, EtlError> {
    let counts = [
        ("rows_in", report.models.iter().map(|model| model.rows_in).sum::<u64>()),
        ("loaded", report.models.iter().map(|model| model.loaded).sum()),
        ("quarantined", report.models.iter().map(|model| model.quarantined).sum()),
        ("deduplicated", report.models.iter().map(|model| model.deduplicated).sum()),
    ];
    let mut columns = vec![
        ("run_id", text([report.run_id.as_str()])),
        ("started_at", instant(report.started_at)),
        ("finished_at", instant(report.finished_at)),
        ("status", text(["done"])),
        ("trigger", text([trigger])),
        ("version", number([report.version])),
        ("models", number([report.models.len() as u64])),
    ];
    columns.extend(counts.map(|(name, count)| (name, number([count]))));
    batch(columns)
}

/// `etl.models`: one row a model of a run.
pub(crate) fn models(report: &Report) -> Result<RecordBatch, EtlError> {
    let models = &report.models;
    batch(vec![
        ("run_id", text(models.iter().map(|_| report.run_id.as_str()))),
        ("model", text(models.iter().map(|model| model.name.as_str()))),
        ("kind", text(models.iter().map(|model| model.kind))),
        ("rows_in", number(models.iter().map(|model| model.rows_in))),
        ("loaded", number(models.iter().map(|model| model.loaded))),
        ("quarantined", number(models.iter().map(|model| model.quarantined))),
        ("deduplicated", number(models.iter().map(|model| model.deduplicated))),
        ("seconds", Arc::new(Float64Array::from_iter_values(models.iter().map(|model| model.seconds)))),
    ])
}

/// `etl.checks`: one row an expectation or check of a run. `failing_rows` counts the rows that were quarantined.
pub(crate) fn checks(report: &Report) -> Result<RecordBatch, EtlError> {
    let checks = &report.checks;
    batch(vec![
        ("run_id", text(checks.iter().map(|_| report.run_id.as_str()))),
        ("model", Arc::new(checks.iter().map(|check| check.model.as_deref()).collect::<StringArray>())),
        ("check", text(checks.iter().map(|check| check.name.as_str()))),
        ("status", text(checks.iter().map(|check| check.status.as_str()))),
        ("failing_rows", number(checks.iter().map(|check| check.failing_rows))),
        ("detail", Arc::new(checks.iter().map(|check| check.detail.as_deref()).collect::<StringArray>())),
    ])
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, EtlError> {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .map_err(|error| {
            EtlError::failed(format!("can't write down what the run did: {error}")).with_source(error)
        })
}

fn text<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn number(values: impl IntoIterator<Item = u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(
        values.into_iter().map(|value| i64::try_from(value).unwrap_or(i64::MAX)),
    ))
}

fn instant(at: DateTime<Utc>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(at.timestamp_micros(), 1).with_timezone("UTC"))
}
