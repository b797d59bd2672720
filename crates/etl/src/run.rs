//! A run: every model in order, the checks, and one warehouse version for all of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use chrono::Utc;
use datafusion::catalog::SchemaProvider;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use serde_json::json;
use smartsneaks_engine::{Engine, Project, Session, SessionOptions, nearest};
use smartsneaks_lake::{Transaction, WriteMode};

use crate::error::{EtlError, Place};
use crate::fault;
use crate::function::Function;
use crate::graph::Graph;
use crate::load::{self, Run};
use crate::model::Models;
use crate::progress::Progress;
use crate::quarantine::{self, Quarantine};
use crate::report::{CheckReport, Report};
use crate::source::{Declarations, Faults, RawSchema};
use crate::{check, learn, ledger};

/// Which models a run rebuilds.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Tables by name, with or without schema; empty means all. Tables that are not named stay as they are.
    pub models: Vec<String>,
    /// Whether incremental models begin anew, instead of adding to what their tables hold.
    pub full: bool,
    /// Why the run was started, for `etl.runs`: `manual` unless said otherwise.
    pub trigger: Option<String>,
}

/// Runs the models of a project and commits what they made as one warehouse version.
///
/// # Errors
/// An [`EtlError`] that tells its exit code and, wherever it can, file, line and column. Whatever fails, the warehouse
/// stays as it was.
pub async fn run(
    engine: &Arc<Engine>,
    project: &Project,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<Report, EtlError> {
    let result = run_and_commit(engine, project, selection, progress).await;
    if result.is_err() {
        progress.failed();
    }
    result
}

async fn run_and_commit(
    engine: &Arc<Engine>,
    project: &Project,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<Report, EtlError> {
    let started_at = Utc::now();
    let run_id = uuid::Uuid::now_v7().to_string();
    let (plan, raw) = open(project, selection).await?;
    let raw = Arc::new(raw);
    let faults = raw.faults().clone();
    let mut transaction = engine
        .lake()
        .begin(&run_id)
        .await
        .map_err(|error| fault::of_lake("the warehouse", error, &faults))?;
    plan.check_inputs(&mut transaction)?;
    let session = engine.session(SessionOptions {
        user: "etl".to_owned(),
        application_name: "smartsneaks run".to_owned(),
        settings: vec![("statement_timeout".to_owned(), "0".to_owned())],
        sources: Some(raw as Arc<dyn SchemaProvider>),
        ..SessionOptions::default()
    });
    let quarantine = Arc::new(Mutex::new(Quarantine::new(&run_id, started_at)));
    let shared = Run {
        session: &session,
        faults: &faults,
        quarantine: Arc::clone(&quarantine),
        full: selection.full,
        progress,
    };

    let functions: Vec<_> = plan.models.functions.iter().map(Function::property).collect();
    transaction.set_property("functions", json!(functions));
    if selection.models.is_empty() {
        let listed = session.list_photo_models(&mut transaction).await;
        listed.map_err(|error| fault::of_engine("ml.models", error))?;
    }
    let mut models = Vec::with_capacity(plan.chosen.len());
    let mut checks = Vec::new();
    for (number, index) in plan.chosen.iter().enumerate() {
        let model = &plan.models.models[*index];
        progress.model_started(&model.name, number + 1, plan.chosen.len());
        let report = if model.is_learned() {
            let (report, check) = learn::load(&shared, &mut transaction, model).await?;
            checks.push(check);
            report
        } else {
            let (report, failures) = load::load(&shared, &mut transaction, model).await?;
            session.pin(Some(transaction.staged()));
            checks.extend(check::expectations(&session, model, &failures).await?);
            report
        };
        progress.model_finished(&report);
        models.push(report);
    }
    if selection.models.is_empty() {
        remove_orphans(&mut transaction, &plan.models);
    }
    progress.checks_started(plan.models.checks.len());
    checks.extend(run_checks(&session, &transaction, &plan.models).await?);
    set_default_series(&mut transaction, engine, &plan.models)?;
    session.pin(Some(transaction.staged()));
    if selection.models.is_empty() {
        check_functions(&session, &plan.models.functions).await?;
    }

    let version = transaction.base().number + 1;
    let mut report = Report { run_id, started_at, finished_at: Utc::now(), version, models, checks };
    drop(shared);
    let trigger = selection.trigger.as_deref().unwrap_or("manual");
    record(&mut transaction, &report, trigger, quarantine, &faults).await?;
    let committed =
        transaction.commit().await.map_err(|error| fault::of_lake("the commit", error, &faults))?;
    report.version = committed.number;
    tracing::info!(run = report.run_id, version = report.version, "run committed");
    Ok(report)
}

/// What a run will do, known before it touches the warehouse.
struct Plan {
    models: Models,
    graph: Graph,
    /// Indices of the models to run, in order.
    chosen: Vec<usize>,
}

/// Reads the project and opens the sources that the chosen models read, away from the threads that serve.
async fn open(project: &Project, selection: &Selection) -> Result<(Plan, RawSchema), EtlError> {
    let (dir, sources, names) = (project.dir.clone(), project.sources.clone(), selection.models.clone());
    tokio::task::spawn_blocking(move || open_blocking(&dir, &sources, &names))
        .await
        .map_err(|error| EtlError::failed(format!("reading the project was interrupted: {error}")))?
}

fn open_blocking(dir: &Path, sources: &toml::Table, names: &[String]) -> Result<(Plan, RawSchema), EtlError> {
    let models = Models::load(dir)?;
    let declarations = Declarations::parse(sources)?;
    let graph = Graph::new(&models, &declarations.names())?;
    let chosen = choose(&models, &graph, names)?;
    let used: BTreeSet<&String> = chosen.iter().flat_map(|index| &graph.sources[*index]).collect();
    let sources = used.into_iter().map(|name| declarations.open(dir, name)).collect::<Result<_, _>>()?;
    Ok((Plan { models, graph, chosen }, RawSchema::new(sources)))
}

/// The models that `names` mean, in the order of the graph.
fn choose(models: &Models, graph: &Graph, names: &[String]) -> Result<Vec<usize>, EtlError> {
    let mut wanted = BTreeSet::new();
    for name in names {
        let matches = |known: &str| known == name || known.rsplit('.').next() == Some(name);
        let found = models.models.iter().position(|model| matches(&model.name)).ok_or_else(|| {
            let known: Vec<_> = models.models.iter().map(|model| model.name.as_str()).collect();
            let error = EtlError::config(format!("no model is named {name}; there are {}", known.join(", ")));
            let bare = known.iter().map(|known| known.rsplit('.').next().unwrap_or(known));
            match nearest(name, known.iter().copied().chain(bare)) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            }
        })?;
        wanted.insert(found);
    }
    Ok(graph.order.iter().copied().filter(|index| names.is_empty() || wanted.contains(index)).collect())
}

impl Plan {
    /// Makes sure that every table which is read but not rebuilt is there, and that the commit fails when another run
    /// changes one of them meanwhile.
    fn check_inputs(&self, transaction: &mut Transaction) -> Result<(), EtlError> {
        let base = Arc::clone(transaction.base());
        for index in &self.chosen {
            for read in self.graph.reads[*index].iter().filter(|read| !self.chosen.contains(read)) {
                // A learned model that is missing is missed when it is asked.
                if self.models.models[*read].is_learned() {
                    continue;
                }
                let (reader, read) = (&self.models.models[*index].name, &self.models.models[*read].name);
                if !base.tables.contains_key(read) && !base.views.contains_key(read) {
                    return Err(EtlError::config(format!("{reader} reads {read}, which was never built"))
                        .with_hint(format!("select {read} too, or run all models once")));
                }
                transaction.depends_on(read);
            }
        }
        Ok(())
    }
}

/// Removes tables and views whose model's file is gone.
fn remove_orphans(transaction: &mut Transaction, models: &Models) {
    let staged = transaction.staged();
    let made: BTreeSet<&str> = models.models.iter().map(|model| model.name.as_str()).collect();
    let tables = staged.tables.iter().map(|(name, table)| (name, &table.properties));
    let views = staged.views.iter().map(|(name, view)| (name, &view.properties));
    for (name, properties) in tables.chain(views) {
        if properties.contains_key("model") && !made.contains(name.as_str()) {
            transaction.remove(name);
        }
    }
}

async fn run_checks(
    session: &Session,
    transaction: &Transaction,
    models: &Models,
) -> Result<Vec<CheckReport>, EtlError> {
    let staged = transaction.staged();
    session.pin(Some(Arc::clone(&staged)));
    let mut reports = Vec::with_capacity(models.checks.len());
    for check in &models.checks {
        reports.push(check::check(session, check, &staged).await?);
    }
    Ok(reports)
}

/// Plans the example of each function in SQL, which plans the function: a broken one stops the run and not its callers.
async fn check_functions(session: &Session, functions: &[Function]) -> Result<(), EtlError> {
    for Function { function, example, file, .. } in functions {
        let planned = async {
            for statement in session.parse(example)? {
                session.prepare(&statement, &[]).await?;
            }
            Ok::<_, smartsneaks_engine::Error>(())
        };
        planned.await.map_err(|error| {
            let message = format!("the example of {} can't be planned: {}", function.name, error.message());
            let fault = EtlError::config(message).at(Place::new(&file.path, &file.text, 1, 0));
            match error.hint() {
                Some(hint) => fault.with_hint(hint),
                None => fault,
            }
        })?;
    }
    Ok(())
}

/// Writes `[mining] default_series` into the version, after making sure that it names a series.
fn set_default_series(
    transaction: &mut Transaction,
    engine: &Engine,
    models: &Models,
) -> Result<(), EtlError> {
    let Some(name) = &engine.settings().default_series else { return Ok(()) };
    let name = if name.contains('.') { name.clone() } else { format!("public.{name}") };
    let series: Vec<_> =
        models.models.iter().filter(|model| model.header.series.is_some()).map(|model| &model.name).collect();
    if !series.contains(&&name) {
        let known: Vec<_> = series.iter().map(|name| name.as_str()).collect();
        let known =
            if known.is_empty() { "none does".to_owned() } else { format!("these do: {}", known.join(", ")) };
        return Err(EtlError::config(format!(
            "[mining] default_series is {name}, but no model of that name declares a series; {known}"
        ))
        .with_hint("add `series: {id: […], time: …, value: …}` to the model's header"));
    }
    transaction.set_property("default_series", json!(name));
    Ok(())
}

/// Writes what the run says about itself.
async fn record(
    transaction: &mut Transaction,
    report: &Report,
    trigger: &str,
    quarantine: Arc<Mutex<Quarantine>>,
    faults: &Faults,
) -> Result<(), EtlError> {
    let empty = Quarantine::new(&report.run_id, report.started_at);
    let rows = std::mem::replace(&mut *quarantine.lock().unwrap_or_else(PoisonError::into_inner), empty);
    append(transaction, "etl.quarantine", Arc::clone(&quarantine::SCHEMA), rows.into_batches()?, faults)
        .await?;
    for (name, batch) in [
        ("etl.models", ledger::models(report)?),
        ("etl.checks", ledger::checks(report)?),
        ("etl.runs", ledger::runs(report, trigger)?),
    ] {
        append(transaction, name, batch.schema(), std::iter::once(Ok(batch)), faults).await?;
    }
    Ok(())
}

async fn append(
    transaction: &mut Transaction,
    name: &str,
    schema: arrow::datatypes::SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    faults: &Faults,
) -> Result<(), EtlError> {
    let stream = futures::stream::iter(batches.map(|batch| batch.map_err(DataFusionError::from)));
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema, stream));
    transaction
        .write(name, WriteMode::Append, &[], stream)
        .await
        .map(|_| ())
        .map_err(|error| fault::of_lake(name, error, faults))
}
