//! EXPLAIN is an interface: what it says of the plans that matter, held in snapshots.

use arrow::array::AsArray;
use smartsneaks_engine::{Engine, SessionOptions};
use smartsneaks_tests::demo_with;

/// The plan of a statement, one text, without what differs from one warehouse to the next: the data files' paths.
async fn explain(engine: &std::sync::Arc<Engine>, sql: &str) -> String {
    let session = engine.session(SessionOptions::default());
    let mut out = String::new();
    for batch in session.collect(&format!("EXPLAIN {sql}")).await.unwrap() {
        let (kinds, plans) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for (kind, plan) in kinds.iter().zip(plans) {
            out += &format!("-- {}\n", kind.unwrap_or_default());
            for line in plan.unwrap_or_default().lines() {
                out += &format!("{}\n", without_paths(line));
            }
        }
    }
    out
}

/// `file_groups={2 groups: [[a/b.parquet:0..9], [c/d.parquet]]}` → `file_groups={2 groups}`.
fn without_paths(line: &str) -> String {
    let Some(start) = line.find("file_groups={") else { return line.to_owned() };
    let Some(end) = line[start..].find('}').map(|end| start + end) else { return line.to_owned() };
    let count = line[start..end].split(':').next().unwrap_or_default();
    format!("{}{count}{}", &line[..start], &line[end..])
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_say_what_changes_behaviour() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo_with(dir.path(), &[("engine.threads", "2")]).await.unwrap();
    for (name, sql) in [
        ("forecast_key", "SELECT * FROM forecast('SKU1', horizon => 28)"),
        (
            "forecast_all_filtered",
            "SELECT * FROM forecast('*', model => 'theta', as_of => '2026-01-31') WHERE sku <> 'SKU1'",
        ),
        (
            "forecast_parameters",
            "SELECT forecast_value FROM forecast((SELECT date, revenue, city FROM city_daily_metrics))",
        ),
        ("scan_pruned", "SELECT count(*) FROM fact_sales WHERE date_id = 20240115"),
        (
            "join",
            "SELECT p.brand, sum(f.revenue) FROM fact_sales f JOIN dim_product p USING (sku) GROUP BY p.brand",
        ),
    ] {
        insta::assert_snapshot!(name, explain(&engine, sql).await);
    }
}
