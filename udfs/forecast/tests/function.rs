//! `forecast` from SQL text to rows, on a plain DataFusion session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ParamValues;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use smartsneaks_forecast::functions;
use smartsneaks_table_function::{ArgumentError, Registry};

#[path = "../../../crates/table-function/tests/support/plain.rs"]
mod plain;

use plain::{Catalog, cell, collect, fault_of};

const CATALOG: Catalog = Catalog { default: Some(&["sku_city_daily"]) };

/// The first Monday of 2024.
const MONDAY: i32 = 19_723;
const DAYS: i32 = 140;

/// SKU1 to SKU8 in two cities over 20 weeks, more at weekends; SKU9 sold on one day only.
fn sales() -> RecordBatch {
    let mut rows: Vec<(String, &str, i32, i64)> = Vec::new();
    for sku in 1..=8 {
        for day in 0..DAYS {
            for (place, city) in ["Chennai", "Madurai"].into_iter().enumerate() {
                let weekend = if day % 7 >= 5 { 6 } else { 0 };
                let noise = (day * 7919 + sku * 104_729 + place as i32 * 31) % 5;
                rows.push((format!("SKU{sku}"), city, MONDAY + day, i64::from(10 * sku + weekend + noise)));
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

/// Two days of hours, with one value that is no number.
fn hours(bad: bool) -> RecordBatch {
    let at =
        TimestampMillisecondArray::from_iter_values((0..48).map(|hour| 1_704_067_200_000 + hour * 3_600_000));
    let values = Float64Array::from_iter_values(
        (0..48).map(|hour| if bad && hour == 5 { f64::NAN } else { (hour % 24) as f64 }),
    );
    RecordBatch::try_from_iter([("at", Arc::new(at) as ArrayRef), ("visits", Arc::new(values) as ArrayRef)])
        .unwrap()
}

fn session(partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions);
    let context = plain::session(Registry::new(functions()), CATALOG, config);
    for (name, batch) in [("sku_city_daily", sales()), ("hours", hours(false)), ("bad_hours", hours(true))] {
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
    run(4, sql, vec![]).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn fault(sql: &str) -> ArgumentError {
    fault_of(sql, &run(1, sql, vec![]).await.expect_err(sql))
}

#[tokio::test]
async fn a_key_gives_one_row_a_step() {
    let batch = rows("SELECT * FROM forecast('SKU1', horizon => 28) ORDER BY horizon_step").await;
    let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let expected = "sku forecast_timestamp horizon_step forecast_value lower_bound upper_bound confidence_level model \
                    skill_vs_naive history_points version status status_detail";
    assert_eq!(names.join(" "), expected);
    assert_eq!(batch.num_rows(), 28);
    let number = |column: &str| {
        batch
            .column_by_name(column)
            .unwrap()
            .as_any()
            .downcast_ref::<Float64Array>()
            .unwrap()
            .values()
            .to_vec()
    };
    let (lower, value, upper) = (number("lower_bound"), number("forecast_value"), number("upper_bound"));
    for step in 0..28 {
        assert!(0.0 <= lower[step] && lower[step] <= value[step] && value[step] <= upper[step]);
        // Both cities together: about 24 on weekdays, 36 at weekends.
        let expected = if step % 7 >= 5 { 36.0 } else { 24.0 };
        assert!((value[step] - expected).abs() < 4.0, "step {step}: {}", value[step]);
    }
    assert_eq!(batch.column_by_name("forecast_timestamp").unwrap().data_type(), &DataType::Date32);
    assert_eq!(cell(&batch, "forecast_timestamp", 0), "2024-05-20");
    assert_eq!((cell(&batch, "status", 0), cell(&batch, "version", 0)), ("ok".into(), "12".into()));
    assert_eq!(cell(&batch, "history_points", 0), "140");
}

#[tokio::test]
async fn every_series_has_rows_or_a_reason() {
    let sql = "SELECT sku, status, status_detail, count(*) AS n FROM forecast('*', horizon => 3) GROUP BY 1, 2, 3 ORDER BY 1";
    let batch = rows(sql).await;
    assert_eq!(batch.num_rows(), 9);
    for row in 0..8 {
        assert_eq!((cell(&batch, "status", row), cell(&batch, "n", row)), ("ok".into(), "3".into()));
    }
    assert_eq!((cell(&batch, "sku", 8), cell(&batch, "status", 8)), ("SKU9".into(), "too_short".into()));

    let batch = rows("SELECT * FROM forecast('SKU404')").await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "unknown_series".into()));
    assert!(cell(&batch, "status_detail", 0).contains("SELECT DISTINCT sku FROM sku_city_daily"));

    let batch = rows("SELECT * FROM forecast(TABLE bad_hours)").await;
    assert_eq!((batch.num_rows(), cell(&batch, "status", 0)), (1, "not_finite".into()));
}

#[tokio::test]
async fn relations_and_id_columns() {
    for (call, series, steps) in [
        ("forecast('SKU1', id_cols => ARRAY['sku', 'city'], horizon => 2)", 2, 2),
        ("forecast('SKU1', city => 'Chennai', horizon => 2)", 1, 2),
        ("forecast(ARRAY['SKU1', 'SKU2'])", 2, 14),
        ("forecast(TABLE sku_city_daily, horizon => 1) WHERE sku <> 'SKU9'", 16, 1),
        ("forecast((SELECT date, qty FROM sku_city_daily WHERE city = 'Madurai'), model => 'theta')", 1, 14),
    ] {
        let batch = rows(&format!("SELECT * FROM {call}")).await;
        assert_eq!(batch.num_rows(), series * steps, "{call}");
        assert!((0..batch.num_rows()).all(|row| cell(&batch, "status", row) == "ok"), "{call}");
    }
}

#[tokio::test]
async fn timestamps_stay_timestamps() {
    let batch =
        rows("SELECT * FROM forecast(TABLE hours, model => 'seasonal_naive', horizon => 24) ORDER BY 2")
            .await;
    let kind = batch.column_by_name("forecast_timestamp").unwrap().data_type().clone();
    assert_eq!(kind, DataType::Timestamp(TimeUnit::Millisecond, None));
    assert_eq!(cell(&batch, "forecast_timestamp", 0), "2024-01-03T00:00:00");
    assert_eq!(cell(&batch, "forecast_value", 23), "23.0");
    let sql = "SELECT * FROM forecast(TABLE hours, model => 'ets', as_of => '2024-01-01', horizon => 1)";
    assert_eq!(cell(&rows(sql).await, "forecast_timestamp", 0), "2024-01-02T00:00:00");
}

#[tokio::test]
async fn as_of_hides_what_came_later() {
    let sql = "SELECT * FROM forecast('SKU1', as_of => DATE '2024-04-01', horizon => 1)";
    let batch = rows(sql).await;
    assert_eq!(cell(&batch, "forecast_timestamp", 0), "2024-04-02");
    assert_eq!(cell(&batch, "history_points", 0), "92");
}

#[tokio::test]
async fn parameters_bind_after_describe() {
    let sql = "SELECT * FROM forecast($1, horizon => $2)";
    let context = session(2);
    let types: HashMap<_, _> = plan(&context, sql).await.unwrap().get_parameter_types().unwrap();
    assert_eq!((&types["$1"], &types["$2"]), (&Some(DataType::Utf8), &Some(DataType::Int64)));
    assert_eq!(run(2, sql, vec!["SKU1".into(), 5_i64.into()]).await.unwrap().num_rows(), 5);
    assert_eq!(run(2, sql, vec!["*".into(), 5_i16.into()]).await.unwrap().num_rows(), 41);
    let error = run(2, sql, vec!["SKU1".into(), 0_i64.into()]).await.unwrap_err();
    assert_eq!(ArgumentError::find(&error).unwrap().message, "horizon must be between 1 and 10000, not 0");
}

#[tokio::test]
async fn faults_list_what_is_valid() {
    for (argument, message) in [
        ("horizon => -3", "horizon must be between 1 and 10000, not -3"),
        ("confidence_level => 1", "confidence_level must be between 0 and 1, both excluded, not 1"),
        (
            "model => 'lstm'",
            "unknown model 'lstm'; valid: auto, seasonal_naive, ets, theta, ces, arima, mstl",
        ),
        ("frequency => 'dayly'", "unknown frequency 'dayly'; valid: auto, hourly, daily, weekly"),
        ("frequency => 'hourly'", "frequency hourly needs timestamps, the series has dates (Date32)"),
        ("gap_fill => 'none'", "unknown gap_fill 'none'; valid: auto, zero, interpolate"),
        ("seed => 'x'", "seed takes a whole number, not 'x'"),
        ("sead => 7", "unknown argument 'sead'; valid: series, horizon, confidence_level"),
        ("holiday_region => 'IN-KL'", "unknown holiday_region 'IN-KL'; valid: IN-TN, none"),
    ] {
        let error = fault(&format!("SELECT * FROM forecast('SKU1', {argument})")).await;
        assert!(error.message.contains(message), "{argument}: {error}");
        assert!(error.span.is_some(), "{argument}");
    }
}

#[tokio::test]
async fn the_signature_reads_as_sql_and_its_example_runs() {
    let signature = functions()[0].signature();
    let expected = "forecast(series, horizon => 14, confidence_level => 0.95, data_col, timestamp_col, id_cols, \
                    frequency => 'auto', model => 'auto', holiday_region => 'IN-TN', future, non_negative => true, \
                    reconcile => 'none', reconcile_method => 'mint_shrink', \
                    gap_fill => 'auto', as_of, output_history => false, seed => 0)";
    assert_eq!(signature.to_string(), expected);
    assert_eq!(rows(signature.example).await.num_rows(), 28);
}

#[tokio::test]
async fn the_number_of_cores_changes_no_bit() {
    let sql = "SELECT * FROM forecast('*', id_cols => ARRAY['sku', 'city']) ORDER BY sku, city, horizon_step";
    let alone = run(1, sql, vec![]).await.unwrap();
    assert_eq!(alone, run(2, sql, vec![]).await.unwrap());
    assert_eq!(alone, run(4, sql, vec![]).await.unwrap());
}

#[tokio::test]
async fn explain_shows_what_changes_the_result() {
    let batch = rows("EXPLAIN SELECT * FROM forecast('*', horizon => 7)").await;
    let text = (0..batch.num_rows()).map(|row| cell(&batch, "plan", row)).collect::<String>();
    let operator = "SeriesExec: forecast model=auto, horizon=7, frequency=auto, confidence_level=0.95, \
                    non_negative=true, holiday_region=IN-TN, seed=0, series=[sku], time=date, value=qty, \
                    source=sku_city_daily";
    assert!(text.contains(operator), "{text}");
    // Every partition is read where it lies, by series that learn from each other too.
    assert!(!text.contains("SortPreservingMergeExec"), "{text}");
    assert!(text.contains("RepartitionExec: partitioning=Hash([sku@0], 4)"), "{text}");
    let batch = rows("EXPLAIN SELECT * FROM forecast('*', model => 'ets')").await;
    let text = (0..batch.num_rows()).map(|row| cell(&batch, "plan", row)).collect::<String>();
    assert!(text.contains("SeriesExec: forecast model=ets, horizon=14"), "{text}");
    assert!(text.contains("RepartitionExec: partitioning=Hash([sku@0], 4)"), "{text}");
}

/// Sixty articles, most of them sold now and then: enough to learn from each other.
const PANEL: &str = "(SELECT sku || '/' || n AS sku, date, qty * (n % 3) AS qty \
                     FROM sku_city_daily, generate_series(1, 8) AS g(n) WHERE city = 'Chennai' AND (qty + n) % 3 > 0)";

#[tokio::test]
async fn many_series_learn_from_each_other() {
    let sql = format!("SELECT * FROM forecast({PANEL}, horizon => 7) ORDER BY sku, horizon_step");
    let batch = run(1, &sql, vec![]).await.unwrap();
    // Nine articles eight times over, less the two that never sold.
    assert_eq!(batch.num_rows(), 7 * 70);
    assert!(cell(&batch, "model", 0).starts_with("panel_"), "{}", cell(&batch, "model", 0));
    let detail = cell(&batch, "status_detail", 0);
    assert!(detail.contains("chosen on the last 7 days of"), "{detail}");
    for row in 0..batch.num_rows() {
        let number = |column: &str| cell(&batch, column, row).parse::<f64>().unwrap();
        let (lower, value, upper) = (number("lower_bound"), number("forecast_value"), number("upper_bound"));
        assert!(0.0 <= lower && lower <= value && value <= upper, "row {row}");
    }
    let skills: Vec<f64> =
        (0..batch.num_rows()).filter_map(|row| cell(&batch, "skill_vs_naive", row).parse().ok()).collect();
    // A quarter of the series sells nothing: there is no error to be better than.
    assert!((7 * 40..=7 * 54).contains(&skills.len()), "{}", skills.len());
    assert!(skills.iter().all(|skill| *skill <= 1.0), "{skills:?}");
    assert_eq!(batch, run(4, &sql, vec![]).await.unwrap());
    let few = rows("SELECT DISTINCT model FROM forecast('*') WHERE status = 'ok'").await;
    assert_eq!((few.num_rows(), cell(&few, "model", 0)), (1, "auto".into()));
}

#[tokio::test]
async fn the_parts_of_a_forecast_add_up() {
    let batch = rows("SELECT * FROM explain_forecast('SKU1', horizon => 10)").await;
    assert_eq!(batch.num_rows(), 10);
    for row in 0..10 {
        let number = |column: &str| cell(&batch, column, row).parse::<f64>().unwrap();
        let parts = ["trend", "seasonal_period_daily", "seasonal_period_weekly", "seasonal_period_yearly"];
        let sum: f64 = parts.iter().map(|part| number(part)).sum::<f64>() + number("limit_effect");
        assert!((sum - number("forecast_value")).abs() < 1e-6, "row {row}: {sum}");
        assert!(number("seasonal_period_weekly").abs() > 1.0, "row {row}");
    }
    let alone = rows("SELECT * FROM forecast('SKU1', horizon => 10)").await;
    assert_eq!(cell(&alone, "forecast_value", 9), cell(&batch, "forecast_value", 9));
    let batch = rows("SELECT status FROM explain_forecast('SKU404')").await;
    assert_eq!(cell(&batch, "status", 0), "unknown_series");
}

#[tokio::test]
async fn models_are_compared_on_past_origins() {
    let call = "evaluate_forecast('SKU1', models => ARRAY['seasonal_naive', 'ets', 'arima'], windows => 2)";
    let batch = rows(&format!("SELECT * FROM {call} ORDER BY rank")).await;
    assert_eq!(batch.num_rows(), 3);
    assert_eq!((cell(&batch, "rank", 0), cell(&batch, "compared_points", 0)), ("1".into(), "28".into()));
    let naive = (0..3).find(|row| cell(&batch, "model", *row) == "seasonal_naive").unwrap();
    assert_eq!(cell(&batch, "skill_vs_naive", naive), "0.0");
    let error = fault("SELECT * FROM evaluate_forecast('SKU1', models => ARRAY['etz'])").await;
    assert_eq!(error.hint.as_deref(), Some("did you mean 'ets'?"));
    let error = fault("SELECT * FROM evaluate_forecast('SKU1', windows => 0)").await;
    assert_eq!(error.message, "windows must be between 1 and 100, not 0");
}

#[tokio::test]
async fn changes_and_cycles_are_found() {
    let sql = "SELECT * FROM detect_changepoints((SELECT date, CASE WHEN date < DATE '2024-03-01' THEN qty ELSE \
               qty + 40 END AS qty FROM sku_city_daily WHERE sku = 'SKU1' AND city = 'Chennai'))";
    let batch = rows(sql).await;
    assert_eq!((batch.num_rows(), cell(&batch, "segment_start", 1)), (2, "2024-03-01".into()));
    let change: f64 = cell(&batch, "change_from_previous", 1).parse().unwrap();
    assert!((change - 40.0).abs() < 2.0, "{change}");
    let sql = "SELECT * FROM seasonality((SELECT date, CASE WHEN date_part('dow', date) IN (0, 6) THEN 16 ELSE 10 \
               END + date_part('day', date) % 4 AS qty FROM sku_city_daily WHERE sku = 'SKU1' AND city = 'Chennai'))";
    let batch = rows(sql).await;
    assert_eq!((cell(&batch, "period", 0), cell(&batch, "status", 0)), ("7".into(), "ok".into()));
}
