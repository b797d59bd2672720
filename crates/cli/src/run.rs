//! `smartsneaks run`: the ETL, one warehouse version a run.

use std::sync::Arc;

use clap::Args;
use smartsneaks_engine::{Engine, Project};
use smartsneaks_etl::{Report, Selection};

use crate::Global;
use crate::failure::Failure;

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Models to run, by table; the others keep their tables. Default: all
    #[arg(long, value_name = "MODEL", num_args = 1..)]
    select: Vec<String>,
    /// Rebuild everything from the raw files: incremental models too begin anew
    #[arg(long)]
    full: bool,
}

impl Run {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        if self.full && !self.select.is_empty() {
            return Err(Failure::usage("--full rebuilds every model, --select names some: give one of them"));
        }
        let project = global.project(Vec::new())?;
        let engine = Engine::open(project.settings.clone()).await?;
        let selection =
            Selection { models: self.select, full: self.full, trigger: Some("manual".to_owned()) };
        let report = with_interrupt(build(&engine, &project, &selection)).await?;
        let loaded: u64 = report.models.iter().map(|m| m.loaded).sum();
        let quarantined: u64 = report.models.iter().map(|m| m.quarantined).sum();
        let deduplicated: u64 = report.models.iter().map(|m| m.deduplicated).sum();
        println!(
            "version={} run={} models={} loaded={loaded} quarantined={quarantined} deduplicated={deduplicated}",
            report.version,
            report.run_id,
            report.models.len()
        );
        Ok(())
    }
}

/// Runs the models with progress on stderr.
pub(crate) async fn build(
    engine: &Arc<Engine>,
    project: &Project,
    selection: &Selection,
) -> Result<Report, Failure> {
    let progress = smartsneaks_etl::progress::stderr();
    Ok(smartsneaks_etl::run(engine, project, selection, progress.as_ref()).await?)
}

/// Runs `work` until it ends or the user stops it; what was not committed leaves no trace.
pub(crate) async fn with_interrupt<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut stop = crate::serve::StopSignal::listen()?;
    tokio::select! {
        result = work => result,
        () = stop.received() => Err(Failure::failed("stopped; the warehouse is as it was before")),
    }
}
