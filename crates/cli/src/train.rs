//! `smartsneaks train`: trains the models that the project declares, now; or from labelled photos a model that looks at
//! photos.

use std::path::PathBuf;

use clap::Args;
use smartsneaks_authenticate_image::{Images, Labelled, train_head};
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
    /// Folder of photos to train one model of photos from; needs --labels
    #[arg(long, value_name = "DIR", requires = "labels")]
    images: Option<PathBuf>,
    /// CSV with the columns file and is_fake (0 or 1), and perhaps split (train or valid) and source (photos of one source
    /// are held out together)
    #[arg(long, value_name = "FILE", requires = "images")]
    labels: Option<PathBuf>,
    /// Model under the models' folder whose embeddings it stands on
    #[arg(long, value_name = "NAME", requires = "images", default_value = "efficientnet_lite0")]
    backbone: String,
    /// What draws the folds
    #[arg(long, requires = "images", default_value_t = 0)]
    seed: u64,
}

impl Train {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let project = global.project(Vec::new())?;
        if let (Some(images), Some(labels)) = (&self.images, &self.labels) {
            return self.photos(&project, images, labels).await;
        }
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

    /// Trains a model that looks at photos, and prints how well it does on those that it did not learn from.
    async fn photos(
        &self,
        project: &smartsneaks_engine::Project,
        folder: &std::path::Path,
        labels: &std::path::Path,
    ) -> Result<(), Failure> {
        let [name] = self.models.as_slice() else {
            let message = format!("--images trains one model, not {}", self.models.len());
            return Err(Failure::usage(message)
                .with_hint("name it, as in: smartsneaks train authenticity --images DIR --labels FILE"));
        };
        let labelled = Labelled::read(labels, folder).map_err(|error| Failure::usage(error.to_string()))?;
        let images = Images::new(project.settings.images.clone());
        let (name, backbone, seed) = (name.clone(), self.backbone.clone(), self.seed);
        let threads = project.settings.threads;
        let bar = indicatif::ProgressBar::new(labelled.len() as u64);
        let shown = bar.clone();
        let work = move || {
            let looked = |_: usize| shown.inc(1);
            train_head(&images, &name, &backbone, &labelled, seed, threads, &looked)
        };
        let training = async {
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| Failure::failed(error.to_string()))?
                .map_err(|error| Failure::failed(error.to_string()))
        };
        let report = with_interrupt(training).await?;
        bar.finish_and_clear();
        print!("{report}");
        Ok(())
    }
}
