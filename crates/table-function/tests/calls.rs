//! Calls from SQL text to rows, on a plain DataFusion session and a function that only counts and adds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Field};
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::{MemTable, MemorySchemaProvider};
use datafusion::common::ParamValues;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use proptest::prelude::*;
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Kind, Operator, Registry, Series, SeriesOperator, Signature, TableFunction,
};

#[path = "support/plain.rs"]
mod plain;

use plain::{Catalog, fault_of};

const SIGNATURE: Signature = Signature {
    name: "total",
    aliases: &["sum_of"],
    description: "Adds up each series.",
    example: "SELECT * FROM total('SKU1')",
    arguments: &[
        Argument::SERIES,
        Argument { name: "horizon", kind: Kind::Integer, default: Some("14"), doc: "" },
        Argument { name: "level", kind: Kind::Float, default: Some("0.95"), doc: "" },
        Argument { name: "model", kind: Kind::Text, default: Some("auto"), doc: "" },
        Argument { name: "strict", kind: Kind::Boolean, default: Some("false"), doc: "" },
        Argument::ID_COLS,
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::AS_OF,
    ],
};

#[derive(Debug)]
struct Total;

#[derive(Debug)]
struct TotalOperator {
    horizon: i64,
    level: f64,
    version: i64,
}

impl TableFunction for Total {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, _time: &DataType) -> Vec<Field> {
        vec![
            Field::new("points", DataType::Int64, false),
            Field::new("total", DataType::Float64, true),
            Field::new("until_day", DataType::Int64, true),
            Field::new("horizon", DataType::Int64, false),
            Field::new("level", DataType::Float64, false),
            Field::new("version", DataType::Int64, false),
            Field::new("status", DataType::Utf8, false),
        ]
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let horizon = call.arguments.integer("horizon").unwrap();
        if horizon <= 0 {
            return Err(call
                .arguments
                .error("horizon", format!("horizon must be at least 1, not {horizon}")));
        }
        let model = call.arguments.text("model").unwrap();
        if !["auto", "exact"].contains(&model) {
            return Err(call.arguments.not_among("model", model, &["auto", "exact"]));
        }
        let level = call.arguments.float("level").unwrap();
        Ok(Operator::Series(Arc::new(TotalOperator { horizon, level, version: call.version })))
    }
}

impl TotalOperator {
    fn row(&self, series: &Series, total: Option<f64>, status: &str) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(vec![series.times.len() as i64])),
            Arc::new(Float64Array::from(vec![total])),
            Arc::new(Int64Array::from(vec![series.until.map(|until| until / 86_400_000_000)])),
            Arc::new(Int64Array::from(vec![self.horizon])),
            Arc::new(Float64Array::from(vec![self.level])),
            Arc::new(Int64Array::from(vec![self.version])),
            Arc::new(StringArray::from(vec![status])),
        ]
    }
}

impl SeriesOperator for TotalOperator {
    fn describe(&self) -> String {
        format!("horizon={}, level={}", self.horizon, self.level)
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        Ok(self.row(series, Some(series.values.iter().sum()), "ok"))
    }

    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(self.row(series, None, &format!("{status}: {detail}")))
    }
}

/// With or without a default series table.
fn catalog(default: bool) -> Catalog {
    Catalog { default: default.then_some(&["public", "sku_city_daily"]) }
}

/// SKU1 sells in Chennai and Madurai on days 0 to 9, SKU2 in Chennai on days 0 to 4 (one day twice, one without qty).
fn sales() -> RecordBatch {
    let mut rows: Vec<(&str, &str, i32, Option<i64>)> = Vec::new();
    for day in 0..10 {
        rows.push(("SKU1", "Chennai", day, Some(1)));
        rows.push(("SKU1", "Madurai", day, Some(10)));
        if day < 5 {
            rows.push(("SKU2", "Chennai", day, (day != 3).then_some(100)));
        }
    }
    rows.push(("SKU2", "Chennai", 0, Some(100)));
    let qty: Int64Array = rows.iter().map(|row| row.3).collect();
    let price: Float64Array = rows.iter().map(|row| row.3.map(|qty| 0.1 * qty as f64)).collect();
    RecordBatch::try_from_iter([
        ("sku", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringViewArray>()) as ArrayRef),
        ("city", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()) as ArrayRef),
        ("date", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.2))) as ArrayRef),
        ("qty", Arc::new(qty) as ArrayRef),
        ("revenue", Arc::new(price) as ArrayRef),
    ])
    .unwrap()
}

fn registry() -> Registry {
    Registry::new([Arc::new(Total) as Arc<dyn TableFunction>])
}

fn session(partitions: usize, catalog: Catalog) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(7);
    let context = plain::session(registry(), catalog, config);
    let batch = sales();
    let halves = vec![vec![batch.slice(0, 9)], vec![batch.slice(9, batch.num_rows() - 9)]];
    let table = Arc::new(MemTable::try_new(batch.schema(), halves).unwrap());
    let empty = Arc::new(MemTable::try_new(batch.schema(), vec![vec![]]).unwrap());
    let catalog = context.catalog("datafusion").unwrap();
    for schema in ["public", "@12"] {
        catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new())).unwrap();
        let schema = catalog.schema(schema).unwrap();
        schema.register_table("sku_city_daily".into(), Arc::clone(&table) as _).unwrap();
        schema.register_table("plain".into(), Arc::clone(&table) as _).unwrap();
        schema.register_table("nothing".into(), Arc::clone(&empty) as _).unwrap();
    }
    context
}

async fn plan_on(context: &SessionContext, sql: &str, default: bool) -> Result<LogicalPlan> {
    plain::plan(context, &registry(), catalog(default), sql).await
}

async fn rows_of(context: &SessionContext, plan: LogicalPlan) -> Result<String> {
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// The rows of a statement, as `a|b|c` lines.
async fn rows(sql: &str) -> String {
    let context = session(4, catalog(true));
    let plan = plan_on(&context, sql, true).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    lines(&rows_of(&context, plan).await.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

fn lines(table: &str) -> String {
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |row: &str| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|");
    rows.map(cells).collect::<Vec<_>>().join("\n")
}

async fn fault(sql: &str) -> ArgumentError {
    let context = session(4, catalog(true));
    let error = match plan_on(&context, sql, true).await {
        Ok(plan) => rows_of(&context, plan).await.expect_err(sql),
        Err(error) => error,
    };
    fault_of(sql, &error)
}

#[tokio::test]
async fn every_form_of_relation() {
    for (call, expected) in [
        ("total('SKU1')", "SKU1|10|110.0"),
        ("sum_of(series => 'SKU1')", "SKU1|10|110.0"),
        ("TOTAL('SKU2')", "SKU2|4|500.0"),
        ("total(ARRAY['SKU2', 'SKU1', 'SKU2'])", "SKU1|10|110.0\nSKU2|4|500.0"),
        ("total('*')", "SKU1|10|110.0\nSKU2|4|500.0"),
        ("total('*', city => 'Chennai')", "SKU1|10|10.0\nSKU2|4|500.0"),
        ("total('SKU1', city => ARRAY['Madurai', 'Chennai'])", "SKU1|10|110.0"),
        ("total('SKU1', as_of => '1970-01-03')", "SKU1|3|33.0"),
        ("total('SKU1', as_of => DATE '1970-01-03' - 1)", "SKU1|2|22.0"),
        ("total((SELECT sku, date, qty FROM plain WHERE city = 'Chennai'))", "SKU1|10|10.0\nSKU2|4|500.0"),
        ("total(TABLE plain, id_cols => ARRAY['sku'], data_col => 'qty')", "SKU1|10|110.0\nSKU2|4|500.0"),
        ("total('*', data_col => 'revenue')", "SKU1|10|11.0\nSKU2|4|50.0"),
    ] {
        let sql = format!("SELECT sku, points, round(total, 3) FROM {call} ORDER BY sku");
        assert_eq!(rows(&sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn id_columns_come_from_arguments_header_or_types() {
    let both = "SKU1|Chennai|10.0\nSKU1|Madurai|100.0\nSKU2|Chennai|500.0";
    for call in [
        "total('*', id_cols => ARRAY['sku', 'city'])",
        "total(TABLE sku_city_daily)",
        "total(TABLE \"@12\".sku_city_daily)",
        "total((SELECT * FROM public.sku_city_daily))",
        "total(TABLE plain, data_col => 'qty')",
        "total((SELECT city, sku, date, qty FROM plain))",
    ] {
        let sql = format!("SELECT sku, city, total FROM {call} ORDER BY sku, city");
        assert_eq!(rows(&sql).await, both, "{sql}");
    }
    let sql = "SELECT sku, city, total FROM total('SKU1', id_cols => ARRAY['city', 'sku']) ORDER BY 2";
    assert_eq!(rows(sql).await, "SKU1|Chennai|10.0\nSKU1|Madurai|100.0");
    let sql = "SELECT city, total FROM total('*', id_cols => 'city') ORDER BY 1";
    assert_eq!(rows(sql).await, "Chennai|510.0\nMadurai|100.0");
    for call in ["total((SELECT date, qty FROM plain))", "total(TABLE sku_city_daily, id_cols => ARRAY[])"] {
        let sql = format!("SELECT points, total, until_day, horizon, version, status FROM {call}");
        assert_eq!(rows(&sql).await, "10|610.0|9|14|12|ok", "{sql}");
    }
    // A CTE hides the table of its name, and its header.
    let sql = "WITH sku_city_daily AS (SELECT date, qty FROM plain WHERE sku = 'SKU2') \
               SELECT total FROM total(TABLE sku_city_daily)";
    assert_eq!(rows(sql).await, "500.0");
}

#[tokio::test]
async fn a_key_without_rows_is_a_row() {
    let sql = "SELECT sku, points, status FROM total(ARRAY['SKU1', 'SKU9']) ORDER BY sku";
    let missing = "unknown_series: public.sku_city_daily has no sku 'SKU9'; \
                   valid keys: SELECT DISTINCT sku FROM public.sku_city_daily";
    assert_eq!(rows(sql).await, format!("SKU1|10|ok\nSKU9|0|{missing}"));
    let sql = "SELECT sku, city, status FROM total(ARRAY['SKU2', 'SKU9'], id_cols => ARRAY['sku', 'city']) ORDER BY 1";
    assert_eq!(rows(sql).await, format!("SKU2|Chennai|ok\nSKU9||{missing}"));
    let sql = "SELECT sku, status FROM total('SKU2', city => 'Madurai')";
    assert!(rows(sql).await.contains("has no sku 'SKU2' with city = 'Madurai'"));
    assert_eq!(
        rows("SELECT status FROM total((SELECT date, qty FROM nothing))").await,
        "no_history: the sub-query has no rows"
    );
    // Only the known end of the whole table: SKU2's last row is on day 4.
    assert_eq!(rows("SELECT until_day FROM total('SKU2')").await, "9");
    assert_eq!(rows("SELECT until_day FROM total('SKU2', as_of => '1970-01-03')").await, "2");
    assert_eq!(rows("SELECT until_day FROM total('SKU2', as_of => '2026-01-03')").await, "9");
    let sql = "SELECT DISTINCT status FROM total('SKU9', city => 'Madurai', sku => 'SKU9')";
    assert!(rows(sql).await.contains("has no sku 'SKU9' with city = 'Madurai' and sku = 'SKU9'; valid"));
}

#[tokio::test]
async fn calls_compose_with_sql() {
    let sql = "SELECT t.sku, n FROM total('*') AS t JOIN (SELECT sku, count(*) AS n FROM plain GROUP BY sku) p \
               ON p.sku = t.sku WHERE t.sku = 'SKU2' AND t.horizon = 14";
    assert_eq!(rows(sql).await, "SKU2|6");
    assert_eq!(rows("SELECT f.sku FROM total('SKU1') AS f").await, "SKU1");
    assert_eq!(rows("SELECT count(*) FROM total('SKU1') a, total('SKU2') b").await, "1");
    let status = "no_history: the sub-query has no rows";
    assert_eq!(rows("SELECT status FROM total((SELECT date, qty FROM plain LIMIT 0))").await, status);
    let nested = "SELECT total FROM total((SELECT '1970-01-01'::date AS d, total FROM total('*')))";
    assert_eq!(rows(nested).await, "610.0");
    assert_eq!(rows("SELECT (SELECT total FROM total('SKU1'))").await, "110.0");
}

#[tokio::test]
async fn faults_say_what_is_valid() {
    for (call, message, hint) in [
        (
            "total('SKU1', horizn => 3)",
            "unknown argument 'horizn'; valid: series, horizon",
            "did you mean horizon?",
        ),
        ("total('SKU1', citty => 'x')", "filters: sku, city", "did you mean city?"),
        ("total('SKU1', horizon => 0)", "horizon must be at least 1, not 0", ""),
        ("total('SKU1', horizon=>-1)", "horizon must be at least 1, not -1", ""),
        ("total('SKU1', horizon => 'two')", "horizon takes a whole number, not 'two'", ""),
        ("total('SKU1', horizon => 1.5)", "horizon takes a whole number, not 1.5", ""),
        ("total('SKU1', horizon => NULL)", "horizon takes a whole number, not NULL", ""),
        ("total('SKU1', strict => 1)", "strict takes true or false, not 1", ""),
        (
            "total('SKU1', model => 'exakt')",
            "unknown model 'exakt'; valid: auto, exact",
            "did you mean 'exact'?",
        ),
        ("total('SKU1', model => exact)", "model must be a constant, not the column exact", "'exact'"),
        ("total('SKU1', horizon => (SELECT 1))", "horizon must be a constant, not a sub-query", ""),
        ("total('SKU1', horizon => 1, horizon => 2)", "argument 'horizon' is given twice", ""),
        ("total(horizon => 1, 'SKU1')", "a positional argument stands after a named one", "name => value"),
        ("total()", "the first argument is missing", "total('SKU1')"),
        ("total(*)", "* is no value", "'*'"),
        ("total(SKU1)", "SKU1 is no value", "TABLE SKU1"),
        ("total(\"SKU1\")", "\"SKU1\" is no value", "'SKU1' in single quotes"),
        ("total(1)", "1 is no value of column sku", "single quotes"),
        ("total(NULL)", "NULL is no value of column sku", ""),
        (
            "total('SKU1', id_cols => ARRAY['skuu'])",
            "has no column 'skuu'; it has sku",
            "did you mean 'sku'?",
        ),
        ("total('SKU1', id_cols => ARRAY['city'])", "id_cols lacks sku", "add 'sku'"),
        ("total('*', id_cols => $1)", "id_cols must be a constant", ""),
        ("total('*', data_col => 'city')", "data_col city is Utf8, not a number", ""),
        ("total('*', timestamp_col => 'city')", "timestamp_col city is Utf8, not a date", "city::date"),
        (
            "total((SELECT sku, date FROM plain))",
            "no numeric column among sku (Utf8View), date (Date32)",
            "data_col",
        ),
        (
            "total((SELECT date, qty, revenue FROM plain))",
            "several numeric columns: qty, revenue",
            "data_col",
        ),
        ("total((SELECT sku AS status, date, qty FROM plain))", "the id column status", "rename"),
        ("total('SKU1', as_of => 'soon')", "as_of takes a date or timestamp, not 'soon'", ""),
        ("total('SKU1', __table => ARRAY['x'])", "unknown argument '__table'", ""),
        ("total('SKU1') WITH ORDINALITY", "WITH ORDINALITY", ""),
        ("plain WHERE total('SKU1') > 1", "gives rows, not a value", "SELECT * FROM total('SKU1')"),
    ] {
        let error = fault(&format!("SELECT * FROM {call}")).await;
        assert!(error.message.contains(message), "{call}: {error}");
        let given = error.hint.clone().unwrap_or_default();
        assert!(given.contains(hint) && (given.is_empty() == hint.is_empty()), "{call}: hint {given}");
    }
    let error = fault("SELECT *\nFROM total('SKU1', horizn => 3)").await;
    let span = error.span.unwrap();
    assert_eq!((span.start.line, span.start.column), (2, 20));
    let error = fault("SELECT * FROM total('SKU1', model => 'exakt')").await;
    assert_eq!(error.span.unwrap().start.column, 29);
}

#[tokio::test]
async fn without_a_default_series_a_key_is_refused() {
    let context = session(1, catalog(false));
    let error = plan_on(&context, "SELECT * FROM total('SKU1')", false).await.unwrap_err();
    let error = ArgumentError::find(&error).unwrap();
    assert_eq!(error.message, "there is no default series table to look a key up in");
    assert!(plan_on(&context, "SELECT * FROM total(TABLE plain, data_col => 'qty')", false).await.is_ok());
}

async fn bound(sql: &str, values: Vec<ScalarValue>) -> Result<String, DataFusionError> {
    let context = session(4, catalog(true));
    let plan = plan_on(&context, sql, true).await?.with_param_values(ParamValues::from(values))?;
    Ok(lines(&rows_of(&context, plan).await?))
}

#[tokio::test]
async fn parameters_have_types_before_they_have_values() {
    let sql = "SELECT sku, total, horizon, until_day FROM total($1, horizon => $2, level => $3, as_of => $4) ORDER BY 1";
    let context = session(1, catalog(true));
    let plan = plan_on(&context, sql, true).await.unwrap();
    let types = plan.get_parameter_types().unwrap();
    for (name, expected) in
        [("$1", DataType::Utf8), ("$2", DataType::Int64), ("$3", DataType::Float64), ("$4", DataType::Date32)]
    {
        assert_eq!(types[name], Some(expected), "{name}");
    }
    let schema = plan.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
    assert_eq!(schema, ["sku", "total", "horizon", "until_day"]);

    let values =
        |key: &str, horizon: i64| vec![key.into(), horizon.into(), 0.9.into(), ScalarValue::Date32(Some(4))];
    assert_eq!(bound(sql, values("SKU1", 3)).await.unwrap(), "SKU1|55.0|3|4");
    assert_eq!(bound(sql, values("*", 3)).await.unwrap(), "SKU1|55.0|3|4\nSKU2|500.0|3|4");
    assert_eq!(bound(sql, values("SKU9", 3)).await.unwrap(), "SKU9||3|");
    let error = bound(sql, values("SKU1", -3)).await.unwrap_err();
    assert_eq!(ArgumentError::find(&error).unwrap().message, "horizon must be at least 1, not -3");

    let sql = "SELECT sku, total FROM total(ARRAY[$1, $2], city => $3) ORDER BY 1";
    let rows = bound(sql, vec!["SKU1".into(), "SKU2".into(), "Chennai".into()]).await.unwrap();
    assert_eq!(rows, "SKU1|10.0\nSKU2|500.0");
    let sql = "SELECT sku, total FROM total($1::text[]) ORDER BY 1";
    let keys =
        ScalarValue::List(ScalarValue::new_list(&["SKU2".into(), "SKU9".into()], &DataType::Utf8, true));
    assert_eq!(bound(sql, vec![keys]).await.unwrap(), "SKU2|500.0\nSKU9|");
    let sql = "SELECT sku, total, horizon FROM total(TABLE sku_city_daily, id_cols => 'sku', horizon => $1 + 1) ORDER BY 1";
    assert_eq!(bound(sql, vec![1_i64.into()]).await.unwrap(), "SKU1|110.0|2\nSKU2|500.0|2");
}

#[tokio::test]
async fn explain_shows_the_operator() {
    let plan = rows("EXPLAIN SELECT * FROM total('SKU1', horizon => 3) WHERE sku <> 'x'").await;
    let operator = "SeriesExec: total horizon=3, level=0.95, series=[sku], time=date, value=qty, source=public.sku_city_daily";
    for expected in [
        operator,
        "SeriesFunction: total horizon=3",
        "RepartitionExec: partitioning=Hash([sku@0], 4)",
        "SortExec: expr=[sku@0 ASC NULLS LAST, date@1 ASC NULLS LAST, qty@2 ASC NULLS LAST]",
    ] {
        assert!(plan.contains(expected), "{expected}\n{plan}");
    }
    // The condition on an id column goes to the scan, and columns that nobody asked for are not read.
    assert!(!plan.contains("revenue"), "{plan}");
    let parameters = session(1, catalog(true));
    let plan = plan_on(&parameters, "SELECT * FROM total('SKU1', horizon => $1)", true).await.unwrap();
    assert!(plan.display_indent().to_string().contains("horizon=$1"), "{}", plan.display_indent());
}

#[tokio::test]
async fn the_number_of_partitions_changes_nothing() {
    let sql =
        "SELECT * FROM total('*', data_col => 'revenue', id_cols => ARRAY['sku', 'city']) ORDER BY sku, city";
    let mut tables = Vec::new();
    for partitions in [1, 2, 4] {
        let context = session(partitions, catalog(true));
        let plan = plan_on(&context, sql, true).await.unwrap();
        tables.push(rows_of(&context, plan).await.unwrap());
    }
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[0], tables[2]);
}

#[tokio::test]
async fn dropping_the_stream_stops_between_series() {
    let context = session(1, catalog(true));
    let sql = "SELECT * FROM total((SELECT value::text AS id, DATE '2026-01-01' AS day, value \
               FROM generate_series(1, 5000)))";
    let plan = plan_on(&context, sql, true).await.unwrap();
    let plan = context.state().create_physical_plan(&plan).await.unwrap();
    let mut stream = execute_stream(Arc::clone(&plan), context.task_ctx()).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 7);
    drop(stream);
    let mut node = plan;
    while node.name() != "SeriesExec" {
        node = Arc::clone(node.children()[0]);
    }
    let done = node.metrics().unwrap().sum_by_name("series").unwrap().as_usize();
    assert!((7..100).contains(&done), "{done} of 5000 series were worked on");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order of named arguments, the call is the same; whatever the value, planning ends in rows or in a
    /// fault of an argument, never in an error of ours.
    #[test]
    fn named_arguments_take_any_order_and_value(
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        horizon in prop_oneof![any::<i64>().prop_map(|n| n.to_string()), "[a-z']{0,5}", Just("7".to_string())],
        level in -1.0..2.0_f64,
    ) {
        let given = [
            "series => 'SKU1'".to_string(),
            format!("horizon => {}", if horizon.parse::<i64>().is_ok() { horizon.clone() } else { format!("'{}'", horizon.replace('\'', "''")) }),
            format!("level => {level:.3}"),
            "id_cols => ARRAY['sku']".to_string(),
        ];
        let arguments = order.iter().map(|place: &usize| given[*place].clone()).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT total, horizon FROM total({arguments})");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let context = session(1, catalog(true));
        match runtime.block_on(plan_on(&context, &sql, true)) {
            Ok(plan) => {
                let rows = lines(&runtime.block_on(rows_of(&context, plan)).unwrap());
                prop_assert_eq!(rows, format!("110.0|{horizon}"));
            }
            Err(error) => prop_assert!(ArgumentError::find(&error).is_some(), "{}: {}", sql, error),
        }
    }
}
