//! A project in a temporary folder, with its warehouse beside it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several test binaries"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use smartsneaks_engine::{Engine, Project, SessionOptions, Settings};
use smartsneaks_etl::progress::Silent;
use smartsneaks_etl::{EtlError, Report, Selection, run};

pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) engine: Arc<Engine>,
    project: PathBuf,
}

impl Fixture {
    /// A project of these files; `sources` is the `[sources]` section of its settings.
    pub(crate) async fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fixture = Self::of(dir.path().to_path_buf(), dir, |settings| settings).await;
        for (path, text) in files {
            fixture.put(path, text);
        }
        fixture
    }

    /// The project in a folder of the repository, with its warehouse in a temporary folder.
    pub(crate) async fn of_repository(path: &str) -> Self {
        let root = Path::new("../..").canonicalize().unwrap();
        let settings = |mut settings: Settings| {
            settings.default_series = Some("sku_city_daily".to_owned());
            settings.images.models = root.join("models");
            settings.images.base = root.clone();
            settings.images.allow = vec!["data/photos".to_owned()];
            settings
        };
        Self::of(root.join(path), tempfile::tempdir().unwrap(), settings).await
    }

    async fn of(project: PathBuf, dir: tempfile::TempDir, change: impl FnOnce(Settings) -> Settings) -> Self {
        let settings = Settings::embedded(dir.path().join("warehouse").display().to_string());
        let engine = Engine::open(change(settings)).await.unwrap();
        Self { dir, engine, project }
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.project.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.project.join(path)).unwrap();
    }

    pub(crate) async fn run(&self) -> Result<Report, EtlError> {
        self.run_only(&[]).await
    }

    pub(crate) async fn run_only(&self, models: &[&str]) -> Result<Report, EtlError> {
        let models = models.iter().map(|name| (*name).to_owned()).collect();
        self.run_with(Selection { models, ..Selection::default() }).await
    }

    pub(crate) async fn run_full(&self) -> Result<Report, EtlError> {
        self.run_with(Selection { full: true, ..Selection::default() }).await
    }

    async fn run_with(&self, selection: Selection) -> Result<Report, EtlError> {
        let text = std::fs::read_to_string(self.project.join("smartsneaks.toml")).unwrap_or_default();
        let mut settings: toml::Table = text.parse().unwrap();
        let sources =
            settings.remove("sources").map_or_else(toml::Table::new, |sources| sources.try_into().unwrap());
        let project =
            Project { dir: self.project.clone(), settings: self.engine.settings().clone(), sources };
        run(&self.engine, &project, &selection, &Silent).await
    }

    /// The rows of a query on the newest version, fields separated by `|`.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let session = self.engine.session(SessionOptions::default());
        let batches = session.collect(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        batches.iter().flat_map(show).collect()
    }

    /// The one field of a query's one row.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.into_iter().next().unwrap()
    }

    pub(crate) async fn version(&self) -> u64 {
        self.engine.lake().head().await.unwrap().number
    }
}

fn show(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}
