//! `smartsneaks versions`: the warehouse's history.

use clap::Subcommand;
use smartsneaks_engine::{Engine, Error};

use crate::Global;
use crate::failure::Failure;

/// What to tell of the versions.
#[derive(Debug, Subcommand)]
pub(crate) enum Versions {
    /// One line a version, newest first
    List,
    /// The tables and views of one version
    Show {
        /// Its number; default: the newest
        #[arg(value_name = "VERSION")]
        number: Option<u64>,
    },
}

impl Versions {
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let project = global.project(Vec::new())?;
        let engine = Engine::open(project.settings).await?;
        match self {
            Self::List => list(&engine).await,
            Self::Show { number } => show(&engine, number).await,
        }
    }
}

async fn list(engine: &Engine) -> Result<(), Failure> {
    let versions = engine.lake().versions().await.map_err(Error::from)?;
    println!("{:>7}  {:<20}  {:>6}  {:>12}  run", "version", "committed (UTC)", "tables", "rows");
    for version in versions {
        let rows: u64 = version.tables.values().map(|t| t.rows).sum();
        println!(
            "{:>7}  {:<20}  {:>6}  {rows:>12}  {}",
            version.number,
            version.timestamp.format("%Y-%m-%d %H:%M:%S"),
            version.tables.len(),
            version.run_id
        );
    }
    Ok(())
}

async fn show(engine: &Engine, number: Option<u64>) -> Result<(), Failure> {
    let lake = engine.lake();
    let version = match number {
        Some(number) => lake.version(number).await,
        None => lake.head().await,
    }
    .map_err(|e| Failure::from(Error::from(e)).with_hint("smartsneaks versions list shows them"))?;
    let parent = version.parent.map_or_else(|| "none".to_owned(), |p| p.to_string());
    println!("version {}  parent {parent}  run {}", version.number, version.run_id);
    println!("committed {}", version.timestamp.format("%Y-%m-%d %H:%M:%S UTC"));
    println!("{:<32}  {:>6}  {:>12}  {:>12}  {:>6}", "table", "delta", "rows", "bytes", "files");
    for (name, table) in &version.tables {
        println!(
            "{name:<32}  {:>6}  {:>12}  {:>12}  {:>6}",
            table.delta_version, table.rows, table.bytes, table.files
        );
    }
    for name in version.views.keys() {
        println!("{name:<32}  view");
    }
    Ok(())
}
