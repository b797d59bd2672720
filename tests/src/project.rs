//! Projects to test with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use smartsneaks_engine::{Engine, Project};
use smartsneaks_etl::{Selection, progress::Silent};

/// The folder that holds the demo project: the repository itself. Tests run in the folder of their crate.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new("..").canonicalize().unwrap_or_else(|_| PathBuf::from(".."))
}

/// The demo project on a warehouse of its own, built; the warehouse goes with the folder.
///
/// # Errors
/// Whatever stops the run.
pub async fn demo(warehouse: &Path) -> Result<(Arc<Engine>, Project), Box<dyn std::error::Error>> {
    demo_with(warehouse, &[]).await
}

/// [`demo`] with other settings.
///
/// # Errors
/// Whatever stops the run.
pub async fn demo_with(
    warehouse: &Path,
    settings: &[(&'static str, &str)],
) -> Result<(Arc<Engine>, Project), Box<dyn std::error::Error>> {
    let mut flags = vec![("warehouse.url", warehouse.display().to_string())];
    flags.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
    let project = Project::load(Some(&repository()), &flags)?;
    let engine = Engine::open(project.settings.clone()).await?;
    smartsneaks_etl::run(&engine, &project, &Selection::default(), &Silent).await?;
    Ok((engine, project))
}
