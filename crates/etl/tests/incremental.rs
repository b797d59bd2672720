//! Incremental models: what a run adds, and when one begins anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::Fixture;

const SETTINGS: &str = "[sources.listings]
path = \"raw/*.csv\"
columns = { id = \"integer\", sku = \"text\" }
";

const CHECKED: &str = "/*---
kind: incremental
key: [id]
expect:
  - {rule: \"sku <> ''\", on_fail: quarantine, reason: NO_SKU}
---*/
SELECT l.id, l.sku, (SELECT count(*) FROM checked) AS held, sku AS _sku FROM raw.listings AS l
WHERE l.id NOT IN (SELECT c.id FROM checked AS c)
";

async fn listings() -> Fixture {
    Fixture::new(&[
        ("smartsneaks.toml", SETTINGS),
        ("raw/1.csv", "id,sku\n1,A\n2,B\n"),
        ("sql/marts/checked.sql", CHECKED),
        ("sql/marts/total.sql", "SELECT count(*) AS listings FROM checked"),
    ])
    .await
}

const ALL: &str = "SELECT id, sku, held FROM checked ORDER BY id";

#[tokio::test]
async fn a_run_adds_what_is_new() {
    let project = listings().await;
    let report = project.run().await.unwrap();
    assert_eq!((report.models[0].kind, report.models[0].loaded), ("incremental", 2));
    assert_eq!(project.rows(ALL).await, ["1|A|0", "2|B|0"]);

    project.put("raw/2.csv", "id,sku\n3,C\n2,B\n4,\n");
    let report = project.run().await.unwrap();
    let model = &report.models[0];
    assert_eq!((model.rows_in, model.loaded, model.quarantined), (2, 1, 1));
    assert_eq!(project.rows(ALL).await, ["1|A|0", "2|B|0", "3|C|2"]);
    assert_eq!(project.rows("SELECT listings FROM total").await, ["3"]);

    // Nothing new, nothing done; what was kept stays though its file is gone.
    project.remove("raw/1.csv");
    assert_eq!(project.run().await.unwrap().models[0].loaded, 0);
    assert_eq!(project.rows("SELECT count(*) FROM checked").await, ["3"]);
    // Versions before are as they were.
    assert_eq!(project.rows("SELECT count(*) FROM \"@1\".checked").await, ["2"]);
}

#[tokio::test]
async fn a_changed_query_and_full_begin_anew() {
    let project = listings().await;
    project.run().await.unwrap();
    project.put("raw/1.csv", "id,sku\n1,A2\n2,B2\n");
    project.run().await.unwrap();
    assert_eq!(project.rows(ALL).await, ["1|A|0", "2|B|0"]);
    project.run_full().await.unwrap();
    assert_eq!(project.rows(ALL).await, ["1|A2|0", "2|B2|0"]);

    let changed = CHECKED.replace("l.sku,", "lower(l.sku) AS sku, 1.5 AS more,");
    project.put("sql/marts/checked.sql", &changed);
    project.run().await.unwrap();
    assert_eq!(
        project.rows("SELECT id, sku, more, held FROM checked ORDER BY id").await,
        ["1|a2|1.5|0", "2|b2|1.5|0"]
    );
}

#[tokio::test]
async fn rows_that_are_there_already_stop_the_run() {
    let project = listings().await;
    project.put(
        "sql/marts/checked.sql",
        "/*---\nkind: incremental\nkey: [id]\n---*/\nSELECT id, sku FROM raw.listings",
    );
    project.run().await.unwrap();
    let error = project.run().await.unwrap_err();
    assert!(error.message().contains("one row for each id, found 2 keys with more"), "{error}");
    assert_eq!(error.hint(), Some("leave out what the table has: WHERE id NOT IN (SELECT id FROM checked)"));
    assert_eq!(project.rows("SELECT count(*) FROM checked").await, ["2"]);
}

#[tokio::test]
async fn a_column_that_the_query_does_not_give_is_told() {
    let project = listings().await;
    let wrong = CHECKED.replace("SELECT c.id FROM checked AS c", "SELECT c.number FROM checked AS c");
    project.put("sql/marts/checked.sql", &wrong);
    let error = project.run().await.unwrap_err();
    assert!(error.message().contains("number"), "{error}");
    assert_eq!(error.place().unwrap().file, "sql/marts/checked.sql");
}
