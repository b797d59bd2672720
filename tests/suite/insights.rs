//! What `insights()` says of the demo: every piece of evidence runs, and nothing depends on the number of threads.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type};
use smartsneaks_engine::{Engine, SessionOptions};
use smartsneaks_tests::demo_with;

async fn rows(engine: &std::sync::Arc<Engine>, sql: &str) -> RecordBatch {
    let batches = engine.session(SessionOptions::default()).collect(sql).await;
    let batches = batches.unwrap_or_else(|error| panic!("{sql}: {error}"));
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// A column of texts, none of them NULL.
fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let column = cast(rows.column_by_name(column).unwrap(), &DataType::Utf8).unwrap();
    column.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_runs_and_threads_change_no_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo_with(dir.path(), &[("engine.threads", "2")]).await.unwrap();
    let sql = "SELECT * FROM insights(top_k => 1000, as_of => '2025-06-20')";
    let found = rows(&engine, sql).await;
    let kinds = texts(&found, "kind");
    for kind in ["demand_rises", "demand_falls", "restock", "launch_ahead", "unusual_high", "revenue_rose"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind}");
    }
    // A sports meet in Tiruchirappalli, says the generator (data/raw/truth/anomalies.csv).
    assert!(texts(&found, "subject").iter().any(|one| one == "Tiruchirappalli 2025-06-17"));
    let confidence = found.column_by_name("confidence").unwrap().as_primitive::<Float64Type>();
    assert!(confidence.iter().all(|one| one.is_some_and(|one| (0.0..=1.0).contains(&one))));

    let evidence = texts(&found, "evidence");
    let mut tried = std::collections::BTreeMap::new();
    for (kind, evidence) in kinds.iter().zip(&evidence) {
        let count = tried.entry(kind).or_insert(0);
        *count += 1;
        if *count <= 3 {
            assert!(rows(&engine, evidence).await.num_rows() > 0, "{kind}: {evidence}");
        }
    }
    drop(engine);
    let (alone, _) = demo_with(dir.path(), &[("engine.threads", "1")]).await.unwrap();
    assert_eq!(rows(&alone, sql).await, found);
}
