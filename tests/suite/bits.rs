//! Every mining function gives the same bits on one thread and on two, and the same rows through every front door.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;
use smartsneaks_authenticate_image::{ImageConfig, Images};
use smartsneaks_engine::{Engine, Project, SessionOptions};
use smartsneaks_etl::model::Models;
use smartsneaks_tests::{Server, demo_with, repository};
use sqllogictest::{AsyncDB, DBOutput};

use crate::doors::{Flight, Postgres};

/// What every article sold in one town: more than 50 series, so that a model learns from all of them.
const PANEL: &str = "(SELECT sku, date, qty FROM sku_city_daily WHERE city = 'Chennai')";

/// Three short series.
const TOWNS: &str = "(SELECT city, date, orders FROM city_daily_metrics WHERE city IN ('Salem', 'Madurai', 'Erode') \
                     AND date >= DATE '2025-01-01')";

/// A seventh of the customers.
const CUSTOMERS: &str = "(SELECT * FROM rfm() WHERE customer_id < 'C0002500')";

/// `insights()` takes a minute: insights.rs holds one thread against two.
const ELSEWHERE: [&str; 1] = ["insights"];

/// What the statements about kept models ask for; their version and the note of where they come from differ.
const FORECAST: &str =
    "sku, forecast_timestamp, horizon_step, forecast_value, lower_bound, upper_bound, status";

/// The statements but for those of each method; names in braces stand for the relations above.
const STATEMENTS: &[&str] = &[
    // One series, a panel, a panel with ids that are shared and what is known ahead, some series with it.
    "SELECT * FROM forecast('SKU1', horizon => 5)",
    "SELECT * FROM forecast('SKU1', horizon => 3, frequency => 'weekly')",
    "SELECT * FROM forecast('*', id_cols => ARRAY['sku'], city => 'Chennai', horizon => 3)",
    "SELECT * FROM forecast((SELECT s.sku, p.category, p.brand, s.date, s.qty FROM sku_city_daily AS s \
     JOIN dim_product AS p ON p.sku = s.sku WHERE s.city = 'Chennai'), id_cols => ARRAY['sku', 'category', 'brand'], \
     data_col => 'qty', horizon => 3, future => TABLE promotion_calendar)",
    "SELECT * FROM forecast(ARRAY['SKU1', 'SKU2'], horizon => 3, future => TABLE promotion_calendar)",
    "SELECT * FROM forecast({panel}, horizon => 3, model => 'kept_by_two')",
    // Every town and the total of all; floats of which several are summed a day, in whatever order they come.
    "SELECT * FROM forecast((SELECT city, date, orders FROM city_daily_metrics WHERE date >= DATE '2025-01-01'), \
     horizon => 2, reconcile => 'city>total')",
    "SELECT * FROM forecast((SELECT date, CAST(revenue AS double) AS revenue FROM daily_brand_sales), horizon => 3)",
    // What else is asked of series.
    "SELECT * FROM explain_forecast(ARRAY['SKU1', 'SKU2'], horizon => 3, future => TABLE promotion_calendar)",
    "SELECT * FROM evaluate_forecast({towns}, horizon => 3, windows => 2, models => ARRAY['auto', 'seasonal_naive', \
     'ets', 'theta', 'ces', 'arima', 'mstl', 'dshw', 'linear', 'prophet', 'croston_sba', 'tsb', 'adida'])",
    "SELECT * FROM detect_changepoints(ARRAY['SKU1', 'SKU2'])",
    "SELECT * FROM detect_changepoints('SKU1', change => 'mean_and_variance', frequency => 'weekly')",
    "SELECT * FROM seasonality((SELECT date, revenue FROM daily_brand_sales))",
    "SELECT * FROM seasonality({towns})",
    // What is out of the ordinary.
    "SELECT * FROM detect_anomalies((SELECT sku, date, qty FROM sku_city_daily WHERE sku IN ('SKU1', 'SKU2', 'SKU5')), \
     method => 'forecast', last_n => 60, promotions => TABLE promotion_calendar)",
    "SELECT * FROM detect_anomalies((SELECT p.brand, s.city, s.date, s.qty FROM sku_city_daily AS s JOIN dim_product \
     AS p ON p.sku = s.sku WHERE s.city IN ('Salem', 'Erode')), driver_cols => ARRAY['brand'])",
    "SELECT * FROM detect_anomalies((SELECT date, city, orders, qty, revenue, avg_order_value FROM city_daily_metrics \
     WHERE city IN ('Salem', 'Madurai', 'Erode')), feature_cols => ARRAY['orders', 'qty', \
     'revenue', 'avg_order_value'])",
    "SELECT city, date, anomaly_score_mad(orders) OVER (PARTITION BY city ORDER BY date ROWS BETWEEN 28 PRECEDING \
     AND CURRENT ROW) AS z FROM city_daily_metrics WHERE city IN ('Salem', 'Madurai', 'Erode')",
    "SELECT city, date, anomaly_score_mad(CAST(revenue AS double)) OVER () AS z \
     FROM city_daily_metrics WHERE city = 'Salem'",
    "SELECT * FROM peer_outliers((SELECT city, date, revenue FROM city_daily_metrics WHERE date >= DATE '2025-01-01'), \
     frequency => 'weekly')",
    // Groups.
    "SELECT * FROM rfm() WHERE customer_id < 'C0002500'",
    "SELECT * FROM customer_features() WHERE customer_id < 'C0002500'",
    "SELECT * FROM customer_feature_names()",
    "SELECT * FROM cluster({customers})",
    "SELECT * FROM cluster((SELECT f.sku, p.category, sum(f.qty) AS qty FROM fact_sales AS f JOIN dim_product AS p \
     ON p.sku = f.sku GROUP BY f.sku, p.category), k => 3, feature_cols => ARRAY['category', 'qty'], id_cols => \
     ARRAY['sku'])",
    "SELECT * FROM cluster_profile({customers}, k => 3)",
    "SELECT * FROM cluster_profile({customers}, k => 3, method => 'gmm')",
    "SELECT * FROM cluster_evaluate({customers}, max_k => 4)",
    // Reasons.
    "SELECT * FROM key_drivers((SELECT p.brand, s.city, f.revenue, f.date_id >= 20260101 AS this_year FROM \
     fact_sales f JOIN dim_product p USING (sku) JOIN dim_store s USING (store_id) WHERE f.date_id >= 20251001))",
    "SELECT * FROM key_drivers((SELECT p.brand, s.city, CAST(f.revenue AS double) AS revenue, f.qty, f.date_id >= \
     20260101 AS this_year FROM fact_sales f JOIN dim_product p USING (sku) JOIN dim_store s USING (store_id) WHERE \
     f.date_id >= 20251201), metric_col => 'revenue', denominator_col => 'qty', dimension_cols => ARRAY['brand', \
     'city'], interest_label_col => 'this_year')",
    // Photos; a verdict says when it was made, which is left out.
    "SELECT image_id, verdict, confidence, p_authentic, quality_issues, findings, explanation, status FROM \
     authenticate_image('data/photos/*.jpg', explain => false)",
    "SELECT * FROM authentication_findings('data/photos/sku1_red.jpg', explain => false)",
    "SELECT image_similarity('data/photos/sku1_red.jpg', 'data/photos/sku2_blue.jpg') AS near, \
     image_phash('data/photos/sku1_red.jpg') AS hash, \
     array_to_string(image_embedding('data/photos/sku1_red.jpg'), ',') AS embedding",
];

fn statements() -> Vec<String> {
    let of = |sql: &&str| {
        sql.replace("{towns}", TOWNS).replace("{panel}", PANEL).replace("{customers}", CUSTOMERS)
    };
    let mut statements: Vec<String> = STATEMENTS.iter().map(of).collect();
    for method in ["auto", "forecast", "robust_z", "stl", "isolation_forest"] {
        statements.push(format!("SELECT * FROM detect_anomalies({TOWNS}, method => '{method}')"));
    }
    for method in ["kmeans", "hierarchical", "gmm"] {
        statements.push(format!("SELECT * FROM cluster({CUSTOMERS}, k => 3, method => '{method}')"));
    }
    for method in ["dbscan", "optics"] {
        statements.push(format!("SELECT * FROM cluster({CUSTOMERS}, method => '{method}')"));
    }
    statements
}

/// Whether a statement calls a function of this name, and not one whose name only ends so.
fn calls(sql: &str, name: &str) -> bool {
    let call = format!("{name}(");
    let begins = |at: usize| !sql[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    sql.match_indices(&call).any(|(at, _)| begins(at))
}

/// Every function that the engine has, and every one in SQL, is in some statement. Functions that share a name are told
/// apart by an argument that only one of them has.
fn assert_all_are_called(engine: &Engine, statements: &[String]) {
    let functions = engine.functions().functions();
    let arguments = |at: usize| functions[at].signature().arguments.iter().map(|argument| argument.name);
    for at in 0..functions.len() {
        let name = functions[at].signature().name;
        let others: Vec<usize> = (0..functions.len())
            .filter(|other| *other != at && functions[*other].signature().name == name)
            .collect();
        let mut own =
            arguments(at).filter(|own| !others.iter().any(|other| arguments(*other).any(|its| its == *own)));
        let called = match others.is_empty() {
            true => statements.iter().any(|sql| calls(sql, name)),
            false => own.any(|own| {
                statements.iter().any(|sql| calls(sql, name) && sql.contains(&format!("{own} => ")))
            }),
        };
        assert!(called, "no statement calls {}", functions[at].signature());
    }
    let images = Arc::new(Images::new(ImageConfig::default()));
    let windows = smartsneaks_anomaly::window_functions();
    let scalars = smartsneaks_authenticate_image::scalar_functions(&images);
    let written = Models::load(&repository()).unwrap().functions;
    let names = windows.iter().map(|function| function.name());
    let names = names.chain(scalars.iter().map(|function| function.name()));
    let names = names.chain(written.iter().map(|function| function.function.name.as_str()));
    for name in names.filter(|name| !ELSEWHERE.contains(name)) {
        assert!(statements.iter().any(|sql| calls(sql, name)), "no statement calls {name}");
    }
}

/// A whole answer. No function promises an order of its rows, so they are sorted.
#[derive(Debug)]
struct Answer {
    columns: Vec<(String, DataType)>,
    rows: Vec<Vec<String>>,
}

impl Answer {
    fn new(batches: &[RecordBatch], sql: &str) -> Self {
        let schema = batches.first().unwrap_or_else(|| panic!("{sql}: no rows")).schema();
        // Views of text travel as text.
        let plain = |data_type: &DataType| match data_type {
            DataType::Utf8View => DataType::Utf8,
            other => other.clone(),
        };
        let columns = schema.fields().iter().map(|field| (field.name().clone(), plain(field.data_type())));
        let rows = batches.iter().flat_map(|batch| {
            let row = |row: usize| -> Vec<String> {
                batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect()
            };
            (0..batch.num_rows()).map(row).collect::<Vec<_>>()
        });
        let mut rows: Vec<Vec<String>> = rows.collect();
        assert!(!rows.is_empty(), "{sql}: no rows");
        rows.sort();
        Self { columns: columns.collect(), rows }
    }

    /// Reads the floats of rows in PostgreSQL's text format, whose shortest digits name one number each.
    fn from_text(mut rows: Vec<Vec<String>>, like: &Self) -> Self {
        for row in &mut rows {
            for (cell, (_, data_type)) in row.iter_mut().zip(&like.columns) {
                if *data_type == DataType::Float64 && *cell != "NULL" {
                    *cell = number(cell.parse().unwrap());
                }
            }
        }
        rows.sort();
        Self { columns: like.columns.clone(), rows }
    }

    fn assert_equals(&self, expected: &Self, what: &str) {
        assert_eq!(self.columns, expected.columns, "{what}");
        assert_eq!(self.rows.len(), expected.rows.len(), "{what}");
        for (found, expected) in self.rows.iter().zip(&expected.rows) {
            assert_eq!(found, expected, "{what}");
        }
    }
}

/// A float and its bits; one text for all NaN, which are one value in PostgreSQL.
fn number(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:e} {:016x}", value.to_bits()) }
}

/// A value as PostgreSQL writes it and the doors' helpers show it, but floats by their bits.
fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let text = match column.data_type() {
        DataType::Float64 => number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).to_string()[..1].to_owned(),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            let items: Vec<String> = (0..items.len()).map(|at| element(items.as_ref(), at)).collect();
            format!("{{{}}}", items.join(","))
        }
        _ => array_value_to_string(column, row).unwrap(),
    };
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

/// An element of an array of texts, quoted where PostgreSQL quotes.
fn element(items: &dyn Array, at: usize) -> String {
    if items.is_null(at) {
        return "NULL".to_owned();
    }
    let text = array_value_to_string(items, at).unwrap();
    let special = |c: char| "{},\"\\".contains(c) || c.is_ascii_whitespace();
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

async fn ask(engine: &Arc<Engine>, sql: &str) -> Answer {
    let batches = engine.session(SessionOptions::default()).collect(sql).await;
    Answer::new(&batches.unwrap_or_else(|error| panic!("{sql}: {error}")), sql)
}

/// Trains a model on the panel and keeps it.
async fn keep(engine: &Arc<Engine>, name: &str) {
    let owner = engine.session(SessionOptions { owner: true, ..SessionOptions::default() });
    let sql = format!("CREATE MODEL {name} AS SELECT * FROM forecast({PANEL}, horizon => 3)");
    owner.run(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The engine of a warehouse that has been built.
async fn open(warehouse: &Path, threads: &str) -> Arc<Engine> {
    let flags = [("warehouse.url", warehouse.display().to_string()), ("engine.threads", threads.to_owned())];
    let project = Project::load(Some(&repository()), &flags).unwrap();
    Engine::open(project.settings.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_and_doors_change_no_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (one, _) = demo_with(dir.path(), &[("engine.threads", "1")]).await.unwrap();
    keep(&one, "kept_by_one").await;
    drop(one);

    let two = open(dir.path(), "2").await;
    assert_eq!(two.settings().threads, 2);
    keep(&two, "kept_by_two").await;
    let kept =
        |name: &str| format!("SELECT {FORECAST} FROM forecast({PANEL}, horizon => 3, model => '{name}')");
    let trained = ask(&two, &kept("kept_by_two")).await;
    ask(&two, &kept("kept_by_one")).await.assert_equals(&trained, "models trained on one thread and on two");

    let statements = statements();
    assert_all_are_called(&two, &statements);
    let server = Server::start(&two).await.unwrap();
    let mut postgres = Postgres::connect(server.pg).await;
    let mut flight = Flight::connect(server.flight).await;
    let mut answers = Vec::new();
    for sql in &statements {
        let answer = ask(&two, sql).await;
        let batches = flight.batches(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        Answer::new(&batches, sql).assert_equals(&answer, &format!("flight: {sql}"));
        let output = postgres.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let DBOutput::Rows { rows, .. } = output else { panic!("{sql}: no rows") };
        Answer::from_text(rows, &answer).assert_equals(&answer, &format!("postgres: {sql}"));
        answers.push(answer);
    }
    // What was to be tested was: a model of all series spoke, and no answer is a refusal in a status column.
    let says = |answer: &Answer, word: &str| answer.rows.iter().flatten().any(|cell| cell.starts_with(word));
    assert!(answers.iter().filter(|answer| says(answer, "panel_")).count() >= 2);
    for (sql, answer) in statements.iter().zip(&answers) {
        if let Some(status) = answer.columns.iter().position(|(name, _)| name == "status") {
            assert!(answer.rows.iter().any(|row| row[status] == "ok"), "{sql}: {:?}", answer.rows[0]);
        }
    }
    drop((postgres, flight, server, two));

    let one = open(dir.path(), "1").await;
    assert_eq!(one.settings().threads, 1);
    for (sql, expected) in statements.iter().zip(&answers) {
        ask(&one, sql).await.assert_equals(expected, &format!("one thread: {sql}"));
    }
}
