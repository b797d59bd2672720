//! The projects of this repository, held to what is known of their data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod support;

use std::path::Path;

use support::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_equals_the_truth() {
    let truth = Path::new("../../data/raw/truth/counts.json");
    let truth: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(truth).unwrap()).unwrap();
    let count = |key: &str| truth[key].as_u64().unwrap().to_string();
    let reason = |key: &str| truth["rows_by_reason"][key].as_u64().unwrap().to_string();
    let demo = Fixture::of_repository(".").await;
    let report = demo.run().await.unwrap();
    report.models.iter().for_each(|model| eprintln!("{}", smartsneaks_etl::progress::summary(model)));

    assert_eq!(demo.value("SELECT count(*) FROM fact_sales").await, count("kept_rows"));
    assert_eq!(demo.value("SELECT sum(qty) FROM fact_sales").await, count("kept_qty"));
    assert_eq!(
        demo.value("SELECT sum(revenue) FROM fact_sales").await,
        truth["kept_revenue"].as_str().unwrap()
    );
    assert_eq!(demo.value("SELECT count(*) FROM fact_sales WHERE qty < 0").await, count("kept_returns"));
    let mut quarantined = Vec::new();
    for key in ["BAD_NUMBER", "FUTURE_DATE", "MISSING_PRICE", "UNKNOWN_SKU"] {
        quarantined.push(format!("{key}|{}", reason(key)));
    }
    assert_eq!(
        demo.rows("SELECT reason, count(*) FROM etl.quarantine GROUP BY 1 ORDER BY 1").await,
        quarantined
    );
    let staging = report.models.iter().find(|model| model.name == "staging.stg_sales").unwrap();
    assert_eq!(staging.deduplicated.to_string(), count("duplicates"));
    assert_eq!(staging.rows_in.to_string(), count("raw_rows"));
    assert_eq!(
        demo.value("SELECT count(*) FROM etl.quarantine WHERE source_file IS NULL OR source_line IS NULL")
            .await,
        "0"
    );

    assert_eq!(
        demo.rows("SELECT table_name, string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns
            WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1").await,
        [
            "city_daily_metrics|date,city,orders,qty,revenue,customers,avg_order_value",
            "daily_brand_sales|date,brand,orders,qty,returned,revenue,cost,margin",
            "dim_customer|customer_id,segment,created_at",
            "dim_date|date_id,date,day,week,month,quarter,year,is_holiday,holiday_name,is_weekend",
            "dim_product|sku,brand,model,category,release_date",
            "dim_store|store_id,city,state,lat,lon,population",
            "fact_sales|sale_id,sku,store_id,date_id,qty,revenue,cost,customer_id,channel",
            "listing_checks|listing_id,sku,seller,city,listed_on,price,market_price,verdict,p_authentic,explanation,findings,model,model_version,image_sha256,evaluated_at,status,status_detail",
            "market_prices|sku,market_price,orders",
            "promotion_calendar|sku,date,discount",
            "reference_photos|sku,photo,model_version,embedding,phash",
            "segment_history|version,cluster_id,segment_label,size,share,feature,median,overall_median",
            "sku_city_daily|sku,city,date,qty,revenue",
            "sku_popularity_rank|sku,brand,model,category,qty,qty_90d,revenue,rank,rank_in_category",
        ]
    );
    assert_eq!(
        demo.rows("SELECT * FROM dim_date WHERE date_id IN (20240115, 20241231, 20250101) ORDER BY 1").await,
        [
            "20240115|2024-01-15|15|3|1|1|2024|true|Pongal|false",
            "20241231|2024-12-31|31|1|12|4|2024|false|NULL|false",
            "20250101|2025-01-01|1|1|1|1|2025|false|NULL|false",
        ]
    );
    assert_eq!(demo.value("SELECT count(*) FROM dim_date").await, "1461");
    assert_eq!(demo.value("SELECT count(*) FROM dim_store").await, count("stores"));
    let head = demo.engine.lake().head().await.unwrap();
    assert_eq!(head.properties["default_series"], "public.sku_city_daily");

    // Personal data stays in the raw files: no table has a column or a value of it.
    let personal =
        "SELECT count(*) FROM information_schema.columns WHERE table_schema IN ('public', 'staging')
        AND (column_name IN ('email', 'phone') OR (column_name = 'name' AND table_name LIKE '%customer%'))";
    assert_eq!(demo.value(personal).await, "0");
    assert_eq!(demo.value("SELECT count(*) FROM etl.quarantine WHERE row LIKE '%@%'").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn stockx_keeps_every_order_and_every_cent() {
    let root = Path::new("../..").canonicalize().unwrap();
    let file = root.join("../shared/data/stockx/stockx_orders.csv");
    let file = std::env::var("STOCKX_CSV").map_or(file, Into::into);
    if !file.is_file() {
        eprintln!(
            "skipped: {} is not there; set STOCKX_CSV to the file of examples/stockx/README.md",
            file.display()
        );
        return;
    }
    let settings = std::fs::read_to_string(root.join("examples/stockx/smartsneaks.toml")).unwrap();
    let example = Fixture::new(&[(
        "smartsneaks.toml",
        &settings.replace("${STOCKX_CSV}", &file.canonicalize().unwrap().display().to_string()),
    )])
    .await;
    copy(&root.join("examples/stockx/sql"), &example.dir.path().join("sql"));
    example.run().await.unwrap();
    assert_eq!(example.value("SELECT count(*) FROM fact_sales").await, "99956");
    // The sum of sale_price over the file, worked out with Python's decimal module.
    assert_eq!(example.value("SELECT sum(revenue) FROM fact_sales").await, "44643823.497699999999");
    assert_eq!(
        example.value("SELECT round(sum(revenue), 2) FROM daily_brand_sales").await.trim_end_matches('0'),
        "44643823.5"
    );
    assert_eq!(example.value("SELECT count(*) FROM dim_product").await, "50");
    assert_eq!(example.value("SELECT count(*) FROM dim_store").await, "51");
    assert_eq!(
        example
            .value("SELECT release_date FROM dim_product WHERE sku = 'Adidas-Yeezy-Boost-350-Low-V2-Beluga'")
            .await,
        "2016-09-24"
    );
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
