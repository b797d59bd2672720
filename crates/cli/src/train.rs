//! `smartsneaks train`: trains the models that the project declares, now.

use clap::Args;
use smartsneaks_engine::Engine;

use crate::Global;
use crate::failure::Failure;
use crate::run::with_interrupt;

/// What to train.
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Models to train, by the names of their files in sql/ml. Default: all
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
}

impl Train {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let project = global.project(Vec::new())?;
        let engine = Engine::open(project.settings.clone()).await?;
        let progress = smartsneaks_etl::progress::stderr();
        let training =
            async { Ok(smartsneaks_etl::train(&engine, &project, &self.models, progress.as_ref()).await?) };
        let report = with_interrupt(training).await?;
        for check in &report.checks {
            let model = check.model.as_deref().unwrap_or_default();
            println!("{model}: {}", check.detail.as_deref().unwrap_or_default());
        }
        println!("version={} models={}", report.version, report.models.len());
        Ok(())
    }
}
