//! `detect_anomalies` and `peer_outliers` from SQL text to rows, on a plain DataFusion session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ParamValues;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use smartsneaks_anomaly::functions;
use smartsneaks_table_function::{ArgumentError, Registry};

#[path = "../../../crates/table-function/tests/support/plain.rs"]
mod plain;

use plain::{Catalog, cell, collect, fault_of};

const CATALOG: Catalog = Catalog { default: Some(&["sku_city_daily"]) };

/// The first Monday of 2024.
const MONDAY: i32 = 19_723;
const DAYS: i32 = 200;
/// 2024-02-10, far from any holiday, on which SKU3 sells ten times as much in Chennai.
const SPIKE: i32 = 40;

/// SKU1 to SKU6 in two cities over 200 days, more at weekends, SKU1 without a row on a tenth of all days; SKU9 sold on one day only.
fn sales() -> RecordBatch {
    let mut rows: Vec<(String, &str, i32, i64)> = Vec::new();
    for sku in 1..=6 {
        for day in 0..DAYS {
            for (place, city) in ["Chennai", "Madurai"].into_iter().enumerate() {
                let mixed = (day * 7919 + sku * 104_729 + place as i32 * 31) % 1_009;
                if sku == 1 && mixed % 10 == 3 && day + 1 < DAYS && day > 0 {
                    continue;
                }
                let weekend = if day % 7 >= 5 { 6 } else { 0 };
                let usual = i64::from(10 * sku + weekend + mixed % 5);
                let is_spike = sku == 3 && city == "Chennai" && day == SPIKE;
                rows.push((
                    format!("SKU{sku}"),
                    city,
                    MONDAY + day,
                    if is_spike { 10 * usual } else { usual },
                ));
            }
        }
    }
    rows.push(("SKU9".into(), "Chennai", MONDAY + DAYS - 1, 3));
    RecordBatch::try_from_iter([
        ("sku", Arc::new(rows.iter().map(|row| Some(row.0.as_str())).collect::<StringArray>()) as ArrayRef),
        ("city", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()) as ArrayRef),
        ("date", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.2))) as ArrayRef),
        ("qty", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.3))) as ArrayRef),
    ])
    .unwrap()
}

/// Ten days of hours; one value is no number and one far too high.
fn hours() -> RecordBatch {
    let at = TimestampMillisecondArray::from_iter_values(
        (0..240).map(|hour| 1_704_067_200_000 + hour * 3_600_000),
    );
    let values = Float64Array::from_iter_values((0..240).map(|hour| match hour {
        5 => f64::NAN,
        100 => 500.0,
        _ => f64::from(hour % 24) + f64::from(hour * 37 % 11) / 10.0,
    }));
    RecordBatch::try_from_iter([("at", Arc::new(at) as ArrayRef), ("visits", Arc::new(values) as ArrayRef)])
        .unwrap()
}

/// 400 orders; one of them is like no other, and two lack a feature.
fn orders() -> RecordBatch {
    let numbers = 0..400_i64;
    let ids: Vec<String> = numbers.clone().map(|order| format!("order {order:03}")).collect();
    let qty = Int64Array::from_iter(numbers.clone().map(|order| match order {
        10 => None,
        77 => Some(90),
        _ => Some(1 + order * 7_919 % 5),
    }));
    let price = Float64Array::from_iter_values(numbers.clone().map(|order| match order {
        11 => f64::NAN,
        77 => 90_000.0,
        _ => 3_000.0 + (order * 104_729 % 997) as f64,
    }));
    let online = BooleanArray::from_iter(numbers.map(|order| Some(order % 3 == 0)));
    RecordBatch::try_from_iter([
        ("id", Arc::new(StringArray::from(ids)) as ArrayRef),
        ("qty", Arc::new(qty) as ArrayRef),
        ("price", Arc::new(price) as ArrayRef),
        ("online", Arc::new(online) as ArrayRef),
    ])
    .unwrap()
}

/// Twelve stores over half a year that rise together, but S12, which falls.
fn stores() -> RecordBatch {
    let mut rows: Vec<(String, i32, f64)> = Vec::new();
    for store in 1..=12 {
        for day in 0..182 {
            let slope = if store == 12 { -1.0 } else { 1.0 };
            let noise = f64::from((day * 7919 + store * 31) % 13) / 10.0;
            let level = 100.0 + slope * f64::from(day - 91) / 2.0 + noise;
            rows.push((format!("S{store}"), MONDAY + day, level * f64::from(store)));
        }
    }
    RecordBatch::try_from_iter([
        ("store", Arc::new(rows.iter().map(|row| Some(row.0.as_str())).collect::<StringArray>()) as ArrayRef),
        ("date", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.1))) as ArrayRef),
        ("revenue", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.2))) as ArrayRef),
    ])
    .unwrap()
}

fn session(partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions);
    let context = plain::session(Registry::new(functions()), CATALOG, config);
    for (name, batch) in
        [("sku_city_daily", sales()), ("hours", hours()), ("orders", orders()), ("stores", stores())]
    {
        plain::register(&context, name, batch);
    }
    context
}

async fn plan(context: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    plain::plan(context, &Registry::new(functions()), CATALOG, sql).await
}

async fn run(partitions: usize, sql: &str, values: Vec<ScalarValue>) -> Result<RecordBatch> {
    let context = session(partitions);
    let plan = plan(&context, sql).await?.with_param_values(ParamValues::from(values))?;
    collect(&context, plan).await
}

async fn rows(sql: &str) -> RecordBatch {
    run(2, sql, vec![]).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn fault(sql: &str) -> ArgumentError {
    fault_of(sql, &run(1, sql, vec![]).await.expect_err(sql))
}

fn is_null(batch: &RecordBatch, column: &str, row: usize) -> bool {
    batch.column_by_name(column).unwrap().is_null(row)
}

fn names(batch: &RecordBatch) -> String {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_spike_is_found_with_a_sentence() {
    let batch =
        rows("SELECT * FROM detect_anomalies('SKU3', id_cols => ARRAY['sku', 'city']) WHERE is_anomaly")
            .await;
    let expected = "sku city timestamp value expected_value lower_bound upper_bound is_anomaly anomaly_score \
                    anomaly_probability direction severity method contributing_features explanation status \
                    status_detail";
    assert_eq!(names(&batch), expected);
    assert_eq!(batch.column_by_name("timestamp").unwrap().data_type(), &DataType::Date32);
    let spike = (0..batch.num_rows()).find(|row| cell(&batch, "timestamp", *row) == "2024-02-10").unwrap();
    assert_eq!(cell(&batch, "city", spike), "Chennai");
    for (column, value) in [("direction", "high"), ("method", "forecast"), ("status", "ok")] {
        assert_eq!(cell(&batch, column, spike), value);
    }
    assert_eq!(
        cell(&batch, "explanation", spike),
        "qty of SKU3, Chennai on 2024-02-10 was 9.5 times its expected 40"
    );
}

#[tokio::test]
async fn every_day_of_every_series_is_judged_or_has_a_reason() {
    let sql = "SELECT sku, status, count(*) AS n, count(*) FILTER (WHERE is_anomaly <> (explanation IS NOT NULL)) AS odd \
               FROM detect_anomalies('*') GROUP BY 1, 2 ORDER BY 1";
    let batch = rows(sql).await;
    assert_eq!(batch.num_rows(), 7);
    for row in 0..6 {
        // Days without a row count as zero.
        assert_eq!(
            (cell(&batch, "status", row), cell(&batch, "n", row), cell(&batch, "odd", row)),
            ("ok".into(), DAYS.to_string(), "0".into())
        );
    }
    let last = ["sku", "status", "n"].map(|column| cell(&batch, column, 6));
    assert_eq!(last, ["SKU9", "too_short", "1"]);

    let batch = rows("SELECT * FROM detect_anomalies('SKU404')").await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "unknown_series".into()));
    assert!(is_null(&batch, "is_anomaly", 0) && is_null(&batch, "explanation", 0));
    let batch =
        rows("SELECT * FROM detect_anomalies((SELECT date, qty FROM sku_city_daily WHERE qty < 0))").await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "no_history".into()));
}

#[tokio::test]
async fn bounds_hold_and_infinite_ones_are_null() {
    let sql = "SELECT count(*) AS n FROM detect_anomalies('*') WHERE status = 'ok' AND is_anomaly AND \
               value BETWEEN lower_bound AND upper_bound";
    assert_eq!(cell(&rows(sql).await, "n", 0), "0");
    for (direction, open, other) in [("high", "lower_bound", "low"), ("low", "upper_bound", "high")] {
        let sql = format!(
            "SELECT count({open}) AS bounded, count(*) FILTER (WHERE direction = '{other}') AS wrong \
             FROM detect_anomalies('*', direction => '{direction}')"
        );
        let batch = rows(&sql).await;
        assert_eq!((cell(&batch, "bounded", 0), cell(&batch, "wrong", 0)), ("0".into(), "0".into()));
    }
}

#[tokio::test]
async fn relations_and_id_columns() {
    for (call, points) in [
        ("detect_anomalies('SKU1', city => 'Chennai')", 200),
        ("anomaly(ARRAY['SKU1', 'SKU2'])", 400),
        ("detect_anomalies(TABLE sku_city_daily) WHERE sku <> 'SKU9'", 2_400),
        ("detect_anomalies((SELECT date, qty FROM sku_city_daily))", 200),
        ("detect_anomalies('SKU1', method => 'robust_z')", 200),
        ("detect_anomalies('SKU1', method => 'stl', threshold => 5)", 200),
        ("detect_anomalies('SKU1', method => 'isolation_forest', contamination => 0.02)", 200),
        ("detect_anomalies('SKU1', as_of => '2024-04-30')", 121),
        ("detect_anomalies('SKU1', holiday_region => 'none', last_n => 30)", 30),
        ("detect_anomalies('*', last_n => 3) WHERE sku <> 'SKU9'", 18),
    ] {
        let batch = rows(&format!("SELECT * FROM {call}")).await;
        assert_eq!(batch.num_rows(), points, "{call}");
        assert!((0..points).all(|row| cell(&batch, "status", row) == "ok"), "{call}");
    }
}

#[tokio::test]
async fn measurements_keep_their_times_and_what_is_no_number_is_not_judged() {
    let batch = rows("SELECT * FROM detect_anomalies(TABLE hours) ORDER BY timestamp").await;
    assert_eq!(batch.num_rows(), 240);
    let kind = batch.column_by_name("timestamp").unwrap().data_type().clone();
    assert_eq!(kind, DataType::Timestamp(TimeUnit::Millisecond, None));
    assert_eq!((cell(&batch, "method", 0), cell(&batch, "status", 5)), ("stl".into(), "no_value".into()));
    assert!(is_null(&batch, "value", 5) && is_null(&batch, "anomaly_score", 5));
    assert_eq!(cell(&batch, "is_anomaly", 100), "true");
    let sentence = cell(&batch, "explanation", 100);
    assert!(sentence.starts_with("visits on 2024-01-05T04:00:00 was "), "{sentence}");
}

#[tokio::test]
async fn rows_of_features_are_judged_with_what_sets_them_apart() {
    let call = "detect_anomalies(TABLE orders, feature_cols => ARRAY['qty', 'price', 'online'])";
    let batch = rows(&format!("SELECT * FROM {call} ORDER BY anomaly_score DESC NULLS LAST")).await;
    let expected = "id is_anomaly anomaly_score anomaly_probability severity method contributing_features explanation \
                    status";
    assert_eq!((names(&batch).as_str(), batch.num_rows()), (expected, 400));
    assert_eq!((cell(&batch, "id", 0), cell(&batch, "is_anomaly", 0)), ("order 077".into(), "true".into()));
    let sentence = cell(&batch, "explanation", 0);
    assert!(sentence.contains(" stands apart by ") && sentence.contains("price ("), "{sentence}");
    assert!(cell(&batch, "contributing_features", 0).contains("qty "));

    let sql = format!("SELECT * FROM {call} WHERE status <> 'ok' ORDER BY id");
    let batch = rows(&sql).await;
    assert_eq!(batch.num_rows(), 2);
    for row in 0..2 {
        assert_eq!(cell(&batch, "status", row), "missing_value");
        assert!(is_null(&batch, "anomaly_score", row));
    }
    let sql = "SELECT count(*) AS n FROM anomaly(TABLE orders, feature_cols => 'price', contamination => 0.01) \
               WHERE is_anomaly";
    assert_eq!(cell(&rows(sql).await, "n", 0), "4");
}

#[tokio::test]
async fn the_store_unlike_the_others_is_named() {
    let batch = rows("SELECT * FROM peer_outliers(TABLE stores) ORDER BY score DESC").await;
    assert_eq!(batch.num_rows(), 12);
    assert_eq!((cell(&batch, "store", 0), cell(&batch, "is_outlier", 0)), ("S12".into(), "true".into()));
    let sentence = cell(&batch, "explanation", 0);
    assert!(sentence.starts_with("S12 behaves unlike the others"), "{sentence}");
    assert!((1..12).all(|row| cell(&batch, "is_outlier", row) == "false"));
    assert!((1..12).all(|row| is_null(&batch, "explanation", row)));

    let batch = rows("SELECT * FROM peer_outliers((SELECT * FROM stores WHERE store < 'S12'))").await;
    assert_eq!(batch.num_rows(), 3);
    assert!((0..3).all(|row| cell(&batch, "status", row) == "too_short"));
}

#[tokio::test]
async fn parameters_are_bound() {
    let sql = "SELECT * FROM detect_anomalies($1, last_n => $2)";
    assert_eq!(run(2, sql, vec!["SKU1".into(), 5_i64.into()]).await.unwrap().num_rows(), 5);
    let error = run(2, sql, vec!["SKU1".into(), 0_i64.into()]).await.unwrap_err();
    assert_eq!(ArgumentError::find(&error).unwrap().message, "last_n must be at least 1, not 0");
}

#[tokio::test]
async fn faults_list_what_is_valid() {
    for (call, message) in [
        (
            "detect_anomalies('SKU1', method => 'mad')",
            "unknown method 'mad'; valid: auto, forecast, stl, robust_z, isolation_forest",
        ),
        ("detect_anomalies('SKU1', direction => 'up')", "unknown direction 'up'; valid: both, high, low"),
        (
            "detect_anomalies('SKU1', holiday_region => 'IN-KL')",
            "unknown holiday_region 'IN-KL'; valid: IN-TN, none",
        ),
        ("detect_anomalies('SKU1', threshold => 0)", "threshold must be above 0, not 0"),
        ("detect_anomalies('SKU1', last_n => -1)", "last_n must be at least 1, not -1"),
        ("detect_anomalies('SKU1', contamination => 0.1)", "contamination belongs to method"),
        (
            "detect_anomalies('SKU1', method => 'isolation_forest', contamination => 0.6)",
            "contamination must be above 0 and at most 0.5, not 0.6",
        ),
        (
            "detect_anomalies('SKU1', method => 'isolation_forest', threshold => 3.5)",
            "threshold of isolation_forest must be between 0.5 and 1, not 3.5",
        ),
        (
            "detect_anomalies(TABLE orders, feature_cols => ARRAY['qty'], threshold => 0.7, contamination => 0.1)",
            "contamination and threshold can't both be given",
        ),
        (
            "detect_anomalies(TABLE orders, feature_cols => ARRAY['id'])",
            "feature id is Utf8; expected a number or a truth value",
        ),
        ("detect_anomalies(TABLE orders, feature_cols => ARRAY['prize'])", "orders has no column 'prize'"),
        (
            "detect_anomalies('SKU1', returns_col => 'qty')",
            "returns_col belongs to method => 'isolation_forest'",
        ),
        (
            "detect_anomalies('SKU1', method => 'isolation_forest', returns_col => 'qti')",
            "has no column 'qti'; it has ",
        ),
        (
            "detect_anomalies('SKU1', method => 'isolation_forest', revenue_col => 'city')",
            "revenue_col city is Utf8, not a number",
        ),
        (
            "detect_anomalies('SKU1', method => 'isolation_forest', revenue_col => 'qty')",
            "revenue_col names qty, the column of the values, not what was paid for them",
        ),
        (
            "detect_anomalies(TABLE sku_city_daily, method => 'isolation_forest', returns_col => 'qty', driver_cols => 'city')",
            "returns_col and driver_cols can't both be given",
        ),
        (
            "detect_anomalies('SKU1', returns_col => 'qty', promotions => (SELECT date, 1 AS promoted FROM sku_city_daily))",
            "returns_col can't be given with a second relation",
        ),
        ("peer_outliers(TABLE stores, neighbours => 0)", "neighbours must be at least 1, not 0"),
        (
            "peer_outliers(TABLE stores, frequency => 'dayly')",
            "unknown frequency 'dayly'; valid: hourly, daily",
        ),
    ] {
        let error = fault(&format!("SELECT * FROM {call}")).await;
        assert!(error.message.contains(message), "{call}: {error}");
        assert!(error.span.is_some(), "{call}");
    }
}

#[tokio::test]
async fn the_number_of_cores_changes_no_bit() {
    for sql in [
        "SELECT * FROM detect_anomalies(TABLE sku_city_daily) ORDER BY sku, city, timestamp",
        "SELECT * FROM detect_anomalies('*', method => 'isolation_forest') ORDER BY sku, timestamp",
        // Floats of two cities on each day, whose sums depend on their order.
        "SELECT * FROM detect_anomalies((SELECT sku, date, qty, qty * 0.1 AS returned, qty * 10.3 AS revenue FROM \
         sku_city_daily), data_col => 'qty', method => 'isolation_forest', returns_col => 'returned', revenue_col => \
         'revenue') ORDER BY sku, timestamp",
        "SELECT * FROM detect_anomalies(TABLE orders, feature_cols => ARRAY['qty', 'price']) ORDER BY id",
        "SELECT * FROM peer_outliers(TABLE stores) ORDER BY store",
    ] {
        let alone = run(1, sql, vec![]).await.unwrap();
        assert_eq!(alone, run(2, sql, vec![]).await.unwrap(), "{sql}");
    }
}

#[tokio::test]
async fn explain_shows_what_changes_the_result() {
    for (call, text) in [
        (
            "detect_anomalies('*', last_n => 7, direction => 'high')",
            "SeriesExec: detect_anomalies method=auto, direction=high, last_n=7, holiday_region=IN-TN",
        ),
        (
            "detect_anomalies('*', method => 'isolation_forest', returns_col => 'qty')",
            "SeriesExec: detect_anomalies method=isolation_forest, direction=both, returns_col=qty, holiday_region=IN-TN",
        ),
        (
            "detect_anomalies(TABLE orders, feature_cols => ARRAY['qty'])",
            "method=isolation_forest, sample_size=256, seed=42, features=[qty]",
        ),
    ] {
        let batch = rows(&format!("EXPLAIN SELECT * FROM {call}")).await;
        let plan = (0..batch.num_rows()).map(|row| cell(&batch, "plan", row)).collect::<String>();
        assert!(plan.contains(text), "{plan}");
    }
}

// What follows holds the rule that nothing falls back silently.

#[tokio::test]
async fn a_method_that_was_asked_for_is_used_or_refused() {
    // Weeks are no days: forecast has nothing to say, and no other method speaks for it.
    let weeks =
        "(SELECT date_trunc('week', date)::date AS week, sum(qty) AS qty FROM sku_city_daily GROUP BY 1)";
    let batch = rows(&format!("SELECT * FROM detect_anomalies({weeks}, method => 'forecast')")).await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "unsuitable".into()));
    assert!(cell(&batch, "status_detail", 0).contains("day"), "{}", cell(&batch, "status_detail", 0));
}

#[tokio::test]
async fn more_last_points_than_there_are_give_all() {
    let batch = rows("SELECT * FROM detect_anomalies('SKU1', last_n => 5000)").await;
    assert_eq!(batch.num_rows(), 200);
    assert!((0..200).all(|row| cell(&batch, "status", row) == "ok"));
}

#[tokio::test]
async fn an_isolation_forest_knows_directions() {
    let call = "detect_anomalies('SKU3', method => 'isolation_forest'";
    let sql = format!("SELECT timestamp, direction FROM {call}, direction => 'high') WHERE is_anomaly");
    let batch = rows(&sql).await;
    assert!(
        batch.num_rows() > 0 && (0..batch.num_rows()).all(|row| cell(&batch, "direction", row) == "high")
    );
    assert!((0..batch.num_rows()).any(|row| cell(&batch, "timestamp", row) == "2024-02-10"));
    let sql = format!("SELECT * FROM {call}, direction => 'low') WHERE is_anomaly");
    let batch = rows(&sql).await;
    assert!((0..batch.num_rows()).all(|row| cell(&batch, "direction", row) == "low"));
}

#[tokio::test]
async fn rows_without_any_feature_have_a_status() {
    let sql = "SELECT * FROM detect_anomalies((SELECT id, qty FROM orders WHERE qty IS NULL), feature_cols => ARRAY['qty'])";
    let batch = rows(sql).await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "missing_value".into()));
    let sql = "SELECT * FROM detect_anomalies((SELECT id, qty FROM orders WHERE id = 'order 001'), feature_cols => \
               ARRAY['qty'])";
    let batch = rows(sql).await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "too_few_rows".into()));
}
