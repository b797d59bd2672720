//! Runs one model: one pass over its query, into its table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use serde_json::{Value, json};
use smartsneaks_engine::{Rows, Session, nearest};
use smartsneaks_lake::{Transaction, ViewEntry, WriteMode};

use crate::error::{EtlError, Place};
use crate::fault;
use crate::header::{Header, ModelKind};
use crate::incremental;
use crate::intake::{Counts, Intake, check_accounts};
use crate::model::Model;
use crate::pass::{FAILED, Pass, RANK};
use crate::progress::Progress;
use crate::quarantine::Quarantine;
use crate::report::ModelReport;
use crate::source::Faults;

/// What the models of a run share.
pub(crate) struct Run<'a> {
    pub(crate) session: &'a Session,
    pub(crate) faults: &'a Faults,
    pub(crate) quarantine: Arc<Mutex<Quarantine>>,
    /// Whether incremental models begin anew.
    pub(crate) full: bool,
    pub(crate) progress: &'a dyn Progress,
}

/// Runs `model` and returns what became of its rows, with the failures of each of its expectations.
pub(crate) async fn load(
    run: &Run<'_>,
    transaction: &mut Transaction,
    model: &Model,
) -> Result<(ModelReport, Vec<u64>), EtlError> {
    let started = Instant::now();
    let kind = model.header.kind;
    let held = match kind {
        ModelKind::Incremental => Some(incremental::begin(run, transaction, model, run.full).await?),
        _ => None,
    };
    run.session.pin(Some(transaction.staged()));
    let plain = Pass::plain(model);
    let columns = columns(run, &plain, &model.name).await?;
    check_header(model, &columns)?;
    let mut report = ModelReport {
        name: model.name.clone(),
        kind: match kind {
            ModelKind::Full => "full",
            ModelKind::View => "view",
            ModelKind::Incremental => "incremental",
            ModelKind::Learned => "learned",
        },
        rows_in: 0,
        loaded: 0,
        quarantined: 0,
        deduplicated: 0,
        seconds: 0.0,
    };
    let mut failures = Vec::new();
    match kind {
        // `learn::load` does these.
        ModelKind::Learned => {}
        ModelKind::View => {
            let view = ViewEntry { sql: model.file.sql().to_owned(), properties: properties(model) };
            transaction.put_view(&model.name, view);
        }
        ModelKind::Full | ModelKind::Incremental => {
            let names: Vec<_> = columns.fields().iter().map(|field| field.name().as_str()).collect();
            let pass = Pass::new(model, &names)?;
            let before = quarantined(&run.quarantine);
            let mode = if held.is_some() { WriteMode::Append } else { WriteMode::Overwrite };
            let (counts, rows) = write(run, transaction, model, &pass, mode).await?;
            let loaded = rows - held.unwrap_or(0);
            let quarantined = quarantined(&run.quarantine) - before;
            check_accounts(&model.name, &counts, loaded, quarantined)?;
            let mut properties = properties(model);
            if held.is_some() {
                properties.extend(incremental::properties(model));
            }
            transaction.set_table_properties(&model.name, properties);
            report = ModelReport {
                rows_in: counts.rows_in,
                loaded,
                quarantined,
                deduplicated: counts.deduplicated,
                ..report
            };
            failures = counts.failures;
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok((report, failures))
}

fn quarantined(quarantine: &Mutex<Quarantine>) -> u64 {
    quarantine.lock().unwrap_or_else(PoisonError::into_inner).rows()
}

/// The columns of a model's query.
pub(crate) async fn columns(run: &Run<'_>, pass: &Pass<'_>, name: &str) -> Result<SchemaRef, EtlError> {
    let fault = |error| fault::in_model(error, pass, name, run.faults);
    let statements = run.session.parse(&pass.sql).map_err(fault)?;
    let statement = statements.first().ok_or_else(|| EtlError::config(format!("{name}: no query")))?;
    let prepared = run.session.prepare(statement, &[]).await.map_err(fault)?;
    prepared.schema().cloned().ok_or_else(|| EtlError::config(format!("{name}: the query returns no rows")))
}

/// Streams the model into its table; returns what became of the rows and how many the table now has.
async fn write(
    run: &Run<'_>,
    transaction: &mut Transaction,
    model: &Model,
    pass: &Pass<'_>,
    mode: WriteMode,
) -> Result<(Counts, u64), EtlError> {
    let rows = run
        .session
        .query(&pass.sql)
        .await
        .map_err(|error| fault::in_model(error, pass, &model.name, run.faults))?;
    let intake = Arc::new(Intake::new(model, &rows.schema, pass.has_failed, pass.has_rank)?);
    let slot = Arc::new(Mutex::new(None));
    let read = Arc::new(AtomicU64::new(0));
    let stream =
        sorted(rows, Arc::clone(&intake), Arc::clone(&run.quarantine), Arc::clone(&slot), Arc::clone(&read));
    let partition_by = &model.header.partition_by;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    let write = transaction.write(&model.name, mode, partition_by, stream);
    tokio::pin!(write);
    let written = loop {
        tokio::select! {
            written = &mut write => break written,
            _ = ticks.tick() => run.progress.rows(read.load(Ordering::Relaxed)),
        }
    };
    let entry = match written {
        Ok(entry) => entry,
        // The query's own error says more than the lake's word for a stream that broke.
        Err(error) => {
            return Err(match slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(cause) => fault::in_model(cause, pass, &model.name, run.faults),
                None => fault::of_lake(&model.name, error, run.faults),
            });
        }
    };
    Ok((intake.counts(), entry.rows))
}

type Slot = Arc<Mutex<Option<smartsneaks_engine::Error>>>;

/// The rows to load. An error of the query is left in `slot`, because it loses its type on the way through the lake.
fn sorted(
    rows: Rows,
    intake: Arc<Intake>,
    quarantine: Arc<Mutex<Quarantine>>,
    slot: Slot,
    read: Arc<AtomicU64>,
) -> SendableRecordBatchStream {
    let schema = Arc::clone(intake.schema());
    let stream = rows.stream.map(move |batch| match batch {
        Ok(batch) => {
            read.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            intake.sort(&batch, &quarantine).map_err(DataFusionError::from)
        }
        Err(error) => {
            let message = error.message().to_owned();
            slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            Err(DataFusionError::Execution(message))
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}

/// What the warehouse remembers of a model besides its rows.
fn properties(model: &Model) -> BTreeMap<String, Value> {
    let Header { description, key, series, columns, .. } = &model.header;
    let mut properties = BTreeMap::from([("model".to_owned(), json!(model.file.path))]);
    if let Some(description) = description {
        properties.insert("description".to_owned(), json!(description));
    }
    if !key.is_empty() {
        properties.insert("key".to_owned(), json!(key));
    }
    if let Some(series) = series {
        properties.insert("series".to_owned(), json!(series));
    }
    if !columns.is_empty() {
        properties.insert("columns".to_owned(), json!(columns));
    }
    properties
}

/// Holds what the header names against the columns that the query gives.
fn check_header(model: &Model, columns: &SchemaRef) -> Result<(), EtlError> {
    let names: Vec<_> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    let loaded: Vec<_> = names.iter().copied().filter(|name| !name.starts_with('_')).collect();
    let top = || Place::new(&model.file.path, &model.file.text, 1, 0);
    if let Some(reserved) = names.iter().find(|name| [FAILED, RANK].contains(name)) {
        return Err(
            EtlError::config(format!("{}: the column name {reserved} is reserved", model.name)).at(top())
        );
    }
    if loaded.is_empty() {
        return Err(EtlError::config(format!(
            "{}: the query has no column for the table; columns that begin with _ are not loaded",
            model.name
        ))
        .at(top()));
    }
    let header = &model.header;
    let series = header.series.iter().flat_map(|s| s.id.iter().chain([&s.time, &s.value]));
    let named = header
        .key
        .iter()
        .map(|name| ("key", name, &names))
        .chain(series.map(|name| ("series", name, &loaded)))
        .chain(header.columns.keys().map(|name| ("columns", name, &loaded)))
        .chain(header.partition_by.iter().map(|name| ("partition_by", name, &loaded)));
    for (what, name, among) in named {
        if !among.contains(&name.as_str()) {
            let error = EtlError::config(format!(
                "{what} names the column {name}, which the query does not have; it has {}",
                among.join(", ")
            ));
            return Err(match nearest(name, among.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            }
            .at(header_line(model, what, name).unwrap_or_else(top)));
        }
    }
    Ok(())
}

/// The line of the header on which `what` names `name`.
fn header_line(model: &Model, what: &str, name: &str) -> Option<Place> {
    let start = model.file.text.find(what)?;
    let end = model.file.body.start;
    let offset = start + model.file.text.get(start..end)?.find(name)?;
    Some(model.file.place(offset))
}
