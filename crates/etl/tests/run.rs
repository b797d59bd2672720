//! Runs of small projects: accounts, quarantine, expectations, checks, failures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::Fixture;

const SETTINGS: &str = "[sources.sales]
path = \"raw/*.csv\"
columns = { id = \"text\", sku = \"text\", qty = \"text\", price = \"text\" }
[sources.catalog]
path = \"catalog.csv\"
columns = { sku = \"text\", brand = \"text\" }
";

const STAGING: &str = "/*---
key: [id]
dedup: {order_by: \"source_file, source_line\"}
expect:
  - {rule: \"_price IS NOT NULL\", on_fail: quarantine, reason: MISSING_PRICE}
  - {rule: \"qty <> 0\", on_fail: quarantine, reason: BAD_NUMBER}
---*/
SELECT id, sku, try_cast(qty AS integer) AS qty, try_cast(price AS decimal(18, 2)) AS price,
  _file AS source_file, _line AS source_line, price AS _price
FROM raw.sales
";

const FACT: &str = "/*---
description: Sales, one row an order.
key: [sale_id]
expect:
  - {rule: \"sku IN (SELECT sku FROM dim_product)\", on_fail: quarantine, reason: UNKNOWN_SKU}
  - {rule: \"row_count > 0\"}
  - {rule: \"revenue = qty * 10 OR sku NOT IN (SELECT sku FROM dim_product WHERE brand = 'ten')\"}
columns: {qty: pairs}
---*/
SELECT id AS sale_id, sku, qty, CAST(qty * price AS decimal(18, 2)) AS revenue, source_file AS _file, source_line AS _line
FROM staging.stg_sales
";

const MART: &str = "/*---
key: [sku]
series: {id: [sku], time: day, value: qty}
---*/
SELECT sku, date '2024-01-01' AS day, sum(qty) AS qty FROM fact_sales GROUP BY sku";

const CHECK: &str = "/*---
description: marts add up
---*/
SELECT * FROM (SELECT sum(qty) AS a FROM fact_sales) x, (SELECT sum(qty) AS b FROM by_sku) y WHERE a <> b";

async fn shop() -> Fixture {
    Fixture::new(&[
        ("smartsneaks.toml", SETTINGS),
        ("catalog.csv", "sku,brand\nA,ten\nB,other\n"),
        ("raw/1.csv", "id,sku,qty,price\n1,A,2,10.00\n2,B,1,99.99\n3,A,1,\n4,A,two,10.00\n"),
        ("raw/2.csv", "id,sku,qty,price\n1,A,2,10.00\n5,Z,1,1.00\n6,,1,1.00\n7,B,0,1.00\n3,B,3,1.50\n"),
        ("sql/staging/stg_sales.sql", STAGING),
        ("sql/warehouse/dim_product.sql", "SELECT sku, brand FROM raw.catalog"),
        ("sql/warehouse/fact_sales.sql", FACT),
        ("sql/marts/by_sku.sql", MART),
        (
            "sql/marts/best.sql",
            "/*---\nkind: view\ndescription: What sold.\n---*/\nSELECT sku FROM by_sku WHERE qty > 0",
        ),
        ("sql/checks/marts_add_up.sql", CHECK),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_loaded_quarantined_or_deduplicated() {
    let shop = shop().await;
    let report = shop.run().await.unwrap();
    assert_eq!((report.version, shop.version().await), (1, 1));
    let names: Vec<_> = report.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(
        names,
        ["public.dim_product", "staging.stg_sales", "public.fact_sales", "public.by_sku", "public.best"]
    );
    let staging = &report.models[1];
    assert_eq!((staging.rows_in, staging.loaded, staging.quarantined, staging.deduplicated), (9, 5, 3, 1));
    let fact = &report.models[2];
    assert_eq!((fact.rows_in, fact.loaded, fact.quarantined, fact.deduplicated), (5, 3, 2, 0));

    assert_eq!(
        shop.rows("SELECT * FROM fact_sales ORDER BY sale_id").await,
        ["1|A|2|20.00", "2|B|1|99.99", "3|B|3|4.50"]
    );
    assert_eq!(
        shop.rows("SELECT model, reason, source_file, source_line FROM etl.quarantine ORDER BY 3, 4").await,
        [
            "staging.stg_sales|MISSING_PRICE|raw/1.csv|4",
            "staging.stg_sales|BAD_NUMBER|raw/1.csv|5",
            "public.fact_sales|UNKNOWN_SKU|raw/2.csv|3",
            "public.fact_sales|UNKNOWN_SKU|raw/2.csv|4",
            "staging.stg_sales|BAD_NUMBER|raw/2.csv|5",
        ]
    );
    let row = shop
        .value("SELECT row FROM etl.quarantine WHERE source_file = 'raw/1.csv' AND source_line = 5")
        .await;
    let row: serde_json::Value = serde_json::from_str(&row).unwrap();
    assert_eq!(
        (row["id"].as_str(), row["qty"].is_null(), row["_price"].as_str()),
        (Some("4"), true, Some("10.00"))
    );
    assert_eq!(shop.rows("SELECT * FROM best ORDER BY 1").await, ["A", "B"]);
    assert_eq!(
        shop.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'stg_sales' ORDER BY ordinal_position").await,
        ["id", "sku", "qty", "price", "source_file", "source_line"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_writes_down_what_it_did() {
    let shop = shop().await;
    shop.run().await.unwrap();
    shop.run().await.unwrap();
    assert_eq!(
        shop.rows("SELECT status, trigger, version, models, rows_in, loaded, quarantined, deduplicated FROM etl.runs ORDER BY version").await,
        ["done|manual|1|5|18|12|5|1", "done|manual|2|5|18|12|5|1"]
    );
    assert_eq!(shop.value("SELECT count(DISTINCT run_id) FROM etl.quarantine").await, "2");
    assert_eq!(
        shop.rows("SELECT model, \"check\", c.status, failing_rows FROM etl.checks c JOIN etl.runs r ON r.run_id = c.run_id WHERE version = 2 ORDER BY 1 NULLS FIRST, 2").await,
        [
            "NULL|marts_add_up|passed|0",
            "public.by_sku|unique (sku)|passed|0",
            "public.fact_sales|revenue = qty * 10 OR sku NOT IN (SELECT sku FROM dim_product WHERE brand = 'ten')|passed|0",
            "public.fact_sales|row_count > 0|passed|0",
            "public.fact_sales|sku IN (SELECT sku FROM dim_product)|quarantined|2",
            "public.fact_sales|unique (sale_id)|passed|0",
            "staging.stg_sales|_price IS NOT NULL|quarantined|1",
            "staging.stg_sales|qty <> 0|quarantined|2",
            "staging.stg_sales|unique (id)|passed|0",
        ]
    );
    assert_eq!(
        shop.value("SELECT bool_and(rows_in = loaded + quarantined + deduplicated) FROM etl.models").await,
        "true"
    );
    let head = shop.engine.lake().head().await.unwrap();
    let fact = &head.tables["public.fact_sales"];
    assert_eq!(fact.properties["description"], "Sales, one row an order.");
    assert_eq!(fact.properties["columns"]["qty"], "pairs");
    assert_eq!(head.tables["public.by_sku"].properties["series"]["time"], "day");
    assert_eq!(head.views["public.best"].properties["description"], "What sold.");
}

/// Runs a good project, spoils it, and expects a failed run that leaves everything as it was.
async fn fails_after(change: impl FnOnce(&Fixture)) -> smartsneaks_etl::EtlError {
    let shop = shop().await;
    shop.run().await.unwrap();
    change(&shop);
    let error = shop.run().await.unwrap_err();
    assert_eq!(shop.version().await, 1, "{error}");
    assert_eq!(shop.value("SELECT count(*) FROM fact_sales").await, "3");
    assert_eq!(shop.value("SELECT count(*) FROM etl.runs").await, "1");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_expectation_aborts() {
    let error = fails_after(|shop| shop.put("raw/1.csv", "id,sku,qty,price\n1,A,2,11.00\n")).await;
    // Order 1 stands in the second file too, but the first one counts.
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.message().contains("found 1 rows that break it"), "{error}");
    assert_eq!(error.place().unwrap().line, 7, "{error}");
    let error = fails_after(|shop| shop.put("catalog.csv", "sku,brand\n")).await;
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.message().contains("expected row_count > 0, found a table of 0 rows"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_check_aborts() {
    let error =
        fails_after(|shop| shop.put("sql/marts/by_sku.sql", &MART.replace("sum(qty)", "sum(qty) + 1"))).await;
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.message().contains("check marts_add_up (marts add up): expected no rows, found 1"),
        "{error}"
    );
    let error = fails_after(|shop| {
        shop.put("catalog.csv", "sku,brand\nA,ten\nA,ten\nB,x\n");
        shop.put(
            "sql/warehouse/dim_product.sql",
            "/*---\nkey: [sku]\n---*/\nSELECT sku, brand FROM raw.catalog",
        );
    })
    .await;
    assert_eq!(error.exit_code(), 3);
    assert!(error.message().contains("expected one row for each sku, found 1 keys with more"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_source_stops_the_run_with_its_line() {
    let error = fails_after(|shop| shop.put("raw/2.csv", "id,sku,qty,price\n1,A,2,10.00\n5,Z\n")).await;
    assert_eq!(
        error.to_string().lines().next(),
        Some("raw/2.csv:3: expected 4 fields as in the header, found 2")
    );
    assert_eq!(error.exit_code(), 1);
    let error = fails_after(|shop| shop.put("catalog.csv", "sku,make\nA,x\n")).await;
    assert!(error.to_string().contains("column brand is missing"), "{error}");
    let error = fails_after(|shop| shop.put("raw/3.csv", "")).await;
    assert!(error.to_string().contains("raw/3.csv: the file is empty"), "{error}");
    let error = fails_after(|shop| shop.remove("catalog.csv")).await;
    assert!(error.to_string().contains("no file matches catalog.csv"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_point_into_the_sql() {
    let error =
        fails_after(|shop| shop.put("sql/marts/by_sku.sql", &MART.replace("sum(qty)", "sum(quantity)")))
            .await;
    assert!(error.message().contains("quantity"), "{error}");
    assert_eq!(error.exit_code(), 2);
    let place = error.place().unwrap_or_else(|| panic!("no place: {error}"));
    assert_eq!((place.file.as_str(), place.line, place.column), ("sql/marts/by_sku.sql", 5, 43), "{error}");
    let error = fails_after(|shop| {
        shop.put("sql/staging/stg_sales.sql", &STAGING.replace("qty <> 0", "quantity <> 0"))
    })
    .await;
    assert_eq!(error.place().map(|place| place.line), Some(6), "{error}");
    let error = fails_after(|shop| {
        shop.put("sql/staging/stg_sales.sql", &STAGING.replace("key: [id]", "key: [idd]"))
    })
    .await;
    assert!(error.message().contains("key names the column idd"), "{error}");
    assert_eq!((error.place().map(|place| place.line), error.hint()), (Some(2), Some("did you mean id?")));
}

#[tokio::test(flavor = "multi_thread")]
async fn selected_models_alone_are_rebuilt() {
    let shop = shop().await;
    let error = shop.run_only(&["fact_sales"]).await.unwrap_err();
    assert!(
        error.message().contains("public.fact_sales reads public.dim_product, which was never built"),
        "{error}"
    );
    shop.run().await.unwrap();
    shop.put("catalog.csv", "sku,brand\nA,ten\nB,other\nZ,new\n");
    let report = shop.run_only(&["dim_product", "public.fact_sales", "by_sku"]).await.unwrap();
    assert_eq!(report.models.len(), 3);
    assert_eq!(shop.value("SELECT count(*) FROM fact_sales").await, "4");
    shop.remove("raw/2.csv");
    shop.run_only(&["staging.stg_sales"]).await.unwrap();
    assert_eq!(shop.value("SELECT count(*) FROM staging.stg_sales").await, "2");
    assert_eq!(shop.value("SELECT count(*) FROM fact_sales").await, "4");
    let error = shop.run_only(&["fact_sale"]).await.unwrap_err();
    assert_eq!((error.exit_code(), error.hint()), (2, Some("did you mean fact_sales?")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_with_its_file() {
    let shop = shop().await;
    shop.run().await.unwrap();
    shop.remove("sql/marts/best.sql");
    shop.remove("sql/marts/by_sku.sql");
    shop.remove("sql/checks/marts_add_up.sql");
    shop.run().await.unwrap();
    let head = shop.engine.lake().head().await.unwrap();
    assert!(!head.tables.contains_key("public.by_sku") && !head.views.contains_key("public.best"));
    assert!(shop.engine.lake().version(1).await.unwrap().tables.contains_key("public.by_sku"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_never_mix() {
    let shop = shop().await;
    let (one, two) = tokio::join!(shop.run(), shop.run());
    let errors: Vec<_> = [&one, &two].into_iter().filter_map(|run| run.as_ref().err()).collect();
    assert!(errors.len() <= 1, "{errors:?}");
    for error in errors {
        assert_eq!(error.exit_code(), 1, "{error}");
    }
    assert_eq!(shop.value("SELECT count(*) FROM fact_sales").await, "3");
    assert_eq!(shop.value("SELECT count(*) FROM etl.runs").await, shop.version().await.to_string());
    shop.run().await.unwrap();
}
