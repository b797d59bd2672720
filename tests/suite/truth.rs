//! The ETL held to what the generator says it injected, on data of other seeds than the demo's (which crates/etl tests).

use std::fs::File;
use std::io::BufReader;

use futures::TryStreamExt;
use serde_json::Value;
use smartsneaks_engine::{Engine, Project, SessionOptions, Settings};
use smartsneaks_etl::{Selection, progress::Silent};
use smartsneaks_generate::Options;
use smartsneaks_tests::repository;

/// The first column of the first row, as text.
async fn one(engine: &std::sync::Arc<Engine>, sql: &str) -> String {
    let session = engine.session(SessionOptions::default());
    let batches: Vec<_> = session.query(sql).await.unwrap().stream.try_collect().await.unwrap();
    let batch = batches.iter().find(|b| b.num_rows() > 0).unwrap_or_else(|| panic!("no rows: {sql}"));
    arrow::util::display::array_value_to_string(batch.column(0), 0).unwrap()
}

async fn held_to(engine: &std::sync::Arc<Engine>, truth: &Value) {
    let count = |key: &str| truth[key].to_string();
    assert_eq!(one(engine, "SELECT count(*) FROM fact_sales").await, count("kept_rows"));
    assert_eq!(
        one(engine, "SELECT sum(revenue) FROM fact_sales").await,
        truth["kept_revenue"].as_str().unwrap()
    );
    assert_eq!(one(engine, "SELECT sum(qty) FROM fact_sales").await, count("kept_qty"));
    assert_eq!(one(engine, "SELECT count(*) FROM fact_sales WHERE qty < 0").await, count("kept_returns"));
    assert_eq!(one(engine, "SELECT count(*) FROM etl.quarantine").await, count("quarantined"));
    for reason in ["UNKNOWN_SKU", "MISSING_PRICE", "FUTURE_DATE", "BAD_NUMBER"] {
        let sql = format!("SELECT count(*) FROM etl.quarantine WHERE reason = '{reason}'");
        assert_eq!(one(engine, &sql).await, truth["rows_by_reason"][reason].to_string(), "{reason}");
    }
    assert_eq!(
        one(engine, "SELECT deduplicated FROM etl.models WHERE model = 'staging.stg_sales'").await,
        count("duplicates")
    );
    let accounted = "SELECT count(*) FROM etl.models WHERE rows_in <> loaded + quarantined + deduplicated";
    assert_eq!(one(engine, accounted).await, "0");
    let raw = "SELECT rows_in FROM etl.models WHERE model = 'staging.stg_sales'";
    assert_eq!(one(engine, raw).await, count("raw_rows"));
    // Late rows are kept: they stand in a file of a later month than their own.
    let late = "SELECT count(*) FROM staging.stg_sales s JOIN fact_sales f ON f.sale_id = s.order_id \
                WHERE s.source_file NOT LIKE '%sales-' || substr(CAST(s.sold_on AS text), 1, 7) || '%'";
    assert_eq!(one(engine, late).await, count("late_arrivals"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_seeds_equal_their_truth() {
    for seed in [7, 2026] {
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("data/raw");
        smartsneaks_generate::generate(&Options::new(4_000, 200, seed, &raw), &mut |_| {}).unwrap();
        let repository = repository();
        for folder in ["data/reference", "sql", "udfs/sql"] {
            copy(&repository.join(folder), &dir.path().join(folder));
        }
        std::fs::copy(repository.join("smartsneaks.toml"), dir.path().join("smartsneaks.toml")).unwrap();
        std::os::unix::fs::symlink(repository.join("models"), dir.path().join("models")).unwrap();
        let mut project = Project::load(Some(dir.path()), &[]).unwrap();
        project.settings = Settings {
            default_series: project.settings.default_series.clone(),
            images: project.settings.images.clone(),
            ..Settings::embedded(project.settings.warehouse.clone())
        };
        let engine = Engine::open(project.settings.clone()).await.unwrap();
        smartsneaks_etl::run(&engine, &project, &Selection::default(), &Silent).await.unwrap();
        let file = File::open(raw.join("truth/counts.json")).unwrap();
        held_to(&engine, &serde_json::from_reader(BufReader::new(file)).unwrap()).await;
    }
}

/// A folder with all that is in it.
pub(crate) fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
