//! Learned models: what a run, or `smartsneaks train`, does with `sql/ml/<name>.sql`.

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use serde_json::Value;
use smartsneaks_engine::{Engine, Project, Session, SessionOptions, models};
use smartsneaks_lake::Transaction;

use crate::error::EtlError;
use crate::fault;
use crate::load::Run;
use crate::model::{Model, Models};
use crate::pass::Pass;
use crate::progress::Progress;
use crate::report::{CheckReport, ModelReport, Report, Status};
use crate::source::Faults;

/// What a model's error on the newest days may be at most, in terms of what it was when the model was trained.
const RETRAIN_ABOVE: f64 = 1.1;
/// The error that is compared: root mean squared, in steps of each series' history.
const ERROR: &str = "rmsse";

/// Trains the models called `names` (all, where there are none) on the newest version, and keeps them in the next.
///
/// # Errors
/// For a name that no file in sql/ml has, and when one can't be trained; then none is kept.
pub async fn train(
    engine: &Arc<Engine>,
    project: &Project,
    names: &[String],
    progress: &dyn Progress,
) -> Result<Report, EtlError> {
    let started_at = Utc::now();
    let run_id = uuid::Uuid::now_v7().to_string();
    let dir = project.dir.clone();
    let all = tokio::task::spawn_blocking(move || Models::load(&dir))
        .await
        .map_err(|error| EtlError::failed(format!("reading the project was interrupted: {error}")))??;
    let chosen = choose(&all, names)?;
    let faults = Faults::default();
    let lake = |what: &str, error| fault::of_lake(what, error, &faults);
    let mut transaction = engine.lake().begin(&run_id).await.map_err(|error| lake("the warehouse", error))?;
    if transaction.base().number == 0 {
        return Err(EtlError::config("there is nothing to learn from: the warehouse was never built")
            .with_hint("smartsneaks run"));
    }
    let session = engine.session(SessionOptions {
        user: "etl".to_owned(),
        application_name: "smartsneaks train".to_owned(),
        settings: vec![("statement_timeout".to_owned(), "0".to_owned())],
        ..SessionOptions::default()
    });
    let (mut reports, mut checks) = (Vec::new(), Vec::new());
    for (number, model) in chosen.iter().enumerate() {
        progress.model_started(&model.name, number + 1, chosen.len());
        let (report, check) = learn(&session, &faults, &mut transaction, model, true).await?;
        progress.model_finished(&report);
        reports.push(report);
        checks.push(check);
    }
    let committed = transaction.commit().await.map_err(|error| lake("the commit", error))?;
    let version = committed.number;
    Ok(Report { run_id, started_at, finished_at: Utc::now(), version, models: reports, checks })
}

fn choose<'a>(all: &'a Models, names: &[String]) -> Result<Vec<&'a Model>, EtlError> {
    let learned: Vec<&Model> = all.models.iter().filter(|model| model.is_learned()).collect();
    let bare: Vec<&str> = learned.iter().map(|model| model.bare_name()).collect();
    if learned.is_empty() {
        return Err(EtlError::config("the project declares no model to train")
            .with_hint("put SELECT * FROM forecast(…) into sql/ml/<name>.sql"));
    }
    for name in names {
        if !bare.contains(&name.as_str()) {
            let message = format!("no model in sql/ml is named {name}; there are {}", bare.join(", "));
            let error = EtlError::config(message);
            return Err(match smartsneaks_engine::nearest(name, bare.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        }
    }
    let wanted = |model: &&&Model| names.is_empty() || names.iter().any(|name| name == model.bare_name());
    Ok(learned.iter().filter(wanted).copied().collect())
}

/// A learned model's part of a run: trained where there is none, where its query was changed, and where it has decayed.
pub(crate) async fn load(
    run: &Run<'_>,
    transaction: &mut Transaction,
    model: &Model,
) -> Result<(ModelReport, CheckReport), EtlError> {
    learn(run.session, run.faults, transaction, model, false).await
}

async fn learn(
    session: &Session,
    faults: &Faults,
    transaction: &mut Transaction,
    model: &Model,
    always: bool,
) -> Result<(ModelReport, CheckReport), EtlError> {
    let started = Instant::now();
    let staged = transaction.staged();
    session.pin(Some(Arc::clone(&staged)));
    let pass = Pass::plain(model);
    let fault = |error| fault::in_model(error, &pass, &model.name, faults);
    let name = model.bare_name();
    let before = session.models(&staged, name).await.map_err(fault)?;
    let last = before.last_key_value();
    let bound = model.header.retrain_above.unwrap_or(RETRAIN_ABOVE);
    let why = match last {
        _ if always => "as asked".to_owned(),
        None => "there was none".to_owned(),
        Some((_, last)) if last.query != model.file.sql() => "its query was changed".to_owned(),
        Some((number, last)) => {
            let judged = session.judge(&pass.sql, name).await.map(Option::unwrap_or_default);
            let (now, then) = (judged.as_deref().ok().and_then(error_in), error_in(&last.metrics));
            match (judged.as_deref(), now.zip(then).filter(|(_, then)| *then > 0.0)) {
                // It may be of an earlier release. Where its query is at fault, training says so.
                (Err(error), _) => format!("it could not be judged, {error}"),
                (_, Some((now, then))) => {
                    let said = format!(
                        "{ERROR} {now:.3} on the newest days, {:.2} times that of training",
                        now / then
                    );
                    if now / then <= bound {
                        let detail = format!("version {number} kept: {said}");
                        return Ok(reports(model, started, detail));
                    }
                    format!("{said}, above its bound {bound}")
                }
                (_, None) => "it could not be compared with its training".to_owned(),
            }
        }
    };
    let training = session.train(&pass.sql, name).await.map_err(fault)?;
    let training = models::Training { query: model.file.sql().to_owned(), ..training };
    let number = last.map_or(1, |(number, _)| number + 1);
    session.complete_models(transaction).await.map_err(fault)?;
    models::keep(transaction, (name, number), &training).await.map_err(fault)?;
    let error = error_in(&training.metrics).map_or_else(String::new, |error| format!(", {ERROR} {error:.3}"));
    Ok(reports(model, started, format!("version {number} trained: {why}{error}")))
}

/// The error in a model's metrics.
fn error_in(metrics: &str) -> Option<f64> {
    serde_json::from_str::<Value>(metrics).ok()?.get(ERROR)?.as_f64()
}

fn reports(model: &Model, started: Instant, detail: String) -> (ModelReport, CheckReport) {
    let report = ModelReport {
        name: model.name.clone(),
        kind: "learned",
        rows_in: 0,
        loaded: 0,
        quarantined: 0,
        deduplicated: 0,
        seconds: started.elapsed().as_secs_f64(),
    };
    let check = CheckReport {
        model: Some(model.name.clone()),
        name: "error against that of training".to_owned(),
        status: Status::Passed,
        failing_rows: 0,
        detail: Some(detail),
    };
    (report, check)
}
