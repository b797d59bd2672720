//! Which files a scan reads, and that it makes no difference to the rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::datasource::MemTable;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use smartsneaks_lake::{Lake, Version, WriteMode};

use crate::support::{batch, query, session, write};

const NAME: &str = "public.t";

/// Ten files of ten numbers each, in two cities.
async fn ten_files() -> (Arc<Lake>, Arc<Version>) {
    let lake = Lake::open("memory:").await.unwrap();
    let mut run = lake.begin("run").await.unwrap();
    for file in 0..5 {
        let numbers = Int64Array::from_iter_values(file * 20..file * 20 + 20);
        let cities = StringArray::from_iter_values((0..20).map(|n| if n < 10 { "Chennai" } else { "Salem" }));
        let rows = batch(vec![("n", Arc::new(numbers) as ArrayRef), ("city", Arc::new(cities))]);
        write(&mut run, NAME, WriteMode::Append, &["city"], rows).await.unwrap();
    }
    let version = run.commit().await.unwrap();
    (lake, version)
}

async fn plan(session: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    session.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

fn files_read(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let mine = plan.downcast_ref::<DataSourceExec>().and_then(|scan| {
        let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
        // A file that is split among cores is one file.
        let mut paths: Vec<_> = config
            .file_groups
            .iter()
            .flat_map(|group| group.iter().map(|file| file.path().clone()))
            .collect();
        paths.sort();
        paths.dedup();
        Some(paths.len())
    });
    mine.unwrap_or(0) + plan.children().into_iter().map(files_read).sum::<usize>()
}

#[tokio::test]
async fn filters_drop_files() {
    let (lake, version) = ten_files().await;
    let session = session(&lake, &version).await;
    for (filter, files, rows) in [
        ("true", 10, 100),
        ("n = 47", 1, 1),
        ("n >= 90", 1, 10),
        ("n BETWEEN 35 AND 44", 2, 10),
        ("n IN (1, 99)", 2, 2),
        ("n IS NULL", 0, 0),
        ("n > 1000", 0, 0),
        ("n + 1 > 99", 10, 1),
        ("city = 'Salem'", 5, 50),
        ("city LIKE 'S%'", 5, 50),
        ("upper(city) = 'SALEM'", 5, 50),
        ("city = 'Salem' AND n < 30", 1, 10),
        ("city = 'Salem' OR n < 5", 6, 55),
        ("city IS NULL", 0, 0),
        ("city = 'Madurai'", 0, 0),
        ("n = (SELECT max(n) FROM t)", 10, 1),
        ("n IN (SELECT n FROM t WHERE n < 3)", 11, 3),
    ] {
        let sql = format!("SELECT n, city FROM t WHERE {filter}");
        assert_eq!(files_read(&plan(&session, &sql).await), files, "{filter}");
        let counted = session.sql(&sql).await.unwrap().count().await.unwrap();
        assert_eq!(counted, rows, "{filter}");
    }
}

#[tokio::test]
async fn filters_on_partitions_are_answered_by_the_log_alone() {
    let (lake, version) = ten_files().await;
    let session = session(&lake, &version).await;
    let plan = plan(&session, "SELECT n FROM t WHERE city = 'Salem'").await;
    let text = displayable(plan.as_ref()).indent(false).to_string();
    assert!(!text.contains("FilterExec"), "{text}");
    assert!(text.contains("city=Salem/part-"), "{text}");
}

#[tokio::test]
async fn a_limit_reads_no_more_files_than_it_needs() {
    let (lake, version) = ten_files().await;
    let session = session(&lake, &version).await;
    assert_eq!(files_read(&plan(&session, "SELECT n FROM t LIMIT 15").await), 2);
    assert_eq!(files_read(&plan(&session, "SELECT n FROM t WHERE city = 'Salem' LIMIT 1").await), 1);
    assert_eq!(files_read(&plan(&session, "SELECT n FROM t WHERE n % 7 = 0 LIMIT 1").await), 10);
}

#[tokio::test]
async fn counts_and_extremes_come_from_the_log() {
    let (lake, version) = ten_files().await;
    let session = session(&lake, &version).await;
    let sql = "SELECT count(*), min(n), max(n), count(n) FROM t";
    assert_eq!(files_read(&plan(&session, sql).await), 0);
    assert_eq!(query(&lake, &version, sql).await, ["100|0|99|100"]);
}

#[tokio::test]
async fn columns_come_in_the_tables_order_whatever_partitions_it() {
    let lake = Lake::open("memory:").await.unwrap();
    let mut run = lake.begin("run").await.unwrap();
    let rows = batch(vec![
        ("city", Arc::new(StringArray::from(vec!["Salem"])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![1]))),
        ("day", Arc::new(Date32Array::from(vec![3]))),
        ("m", Arc::new(Int64Array::from(vec![2]))),
    ]);
    write(&mut run, NAME, WriteMode::Overwrite, &["day", "city"], rows).await.unwrap();
    let version = run.commit().await.unwrap();
    assert_eq!(query(&lake, &version, "SELECT * FROM t").await, ["Salem|1|1970-01-04|2"]);
    assert_eq!(query(&lake, &version, "SELECT m, city FROM t WHERE day = '1970-01-04'").await, ["2|Salem"]);
    assert_eq!(query(&lake, &version, "SELECT city FROM t").await, ["Salem"]);
    assert_eq!(query(&lake, &version, "SELECT count(*) FROM t WHERE n = 1").await, ["1"]);
}

#[tokio::test]
async fn explain_analyze_says_how_many_files_were_pruned() {
    let (lake, version) = ten_files().await;
    let lines = query(&lake, &version, "EXPLAIN ANALYZE SELECT n FROM t WHERE n = 47").await;
    assert!(lines.iter().any(|line| line.contains("files_pruned_by_log=9")), "{lines:#?}");
}

type Row = (Option<i64>, Option<i32>, Option<i128>, Option<String>, Option<f64>, Option<i64>, Option<bool>);

fn rows_to_batch(rows: &[Row]) -> RecordBatch {
    let money: Decimal128Array = rows.iter().map(|row| row.2).collect();
    let text: StringArray = rows.iter().map(|row| row.3.as_deref()).collect();
    batch(vec![
        ("n", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef),
        ("day", Arc::new(rows.iter().map(|row| row.1).collect::<Date32Array>())),
        ("money", Arc::new(money.with_precision_and_scale(30, 2).unwrap())),
        ("text", Arc::new(text)),
        ("real", Arc::new(rows.iter().map(|row| row.4).collect::<Float64Array>())),
        ("at", Arc::new(rows.iter().map(|row| row.5).collect::<TimestampMicrosecondArray>())),
        ("yes", Arc::new(rows.iter().map(|row| row.6).collect::<BooleanArray>())),
    ])
}

fn any_row() -> impl Strategy<Value = Row> {
    let money = prop_oneof![-500_i128..500, -(10_i128.pow(29))..10_i128.pow(29)];
    let text = prop_oneof!["[a-c]{0,3}", "[a-c\u{e9}\u{10ffff}]{60,70}"];
    let real = prop_oneof![-5.0..5.0_f64, Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0)];
    let at = prop_oneof![-5_000_i64..5_000, 1_700_000_000_000_000_i64..1_700_000_000_010_000];
    (
        proptest::option::of(-20_i64..20),
        proptest::option::of(-700_000_i32..700_000),
        proptest::option::of(money),
        proptest::option::of(text),
        proptest::option::of(real),
        proptest::option::of(at),
        proptest::option::of(any::<bool>()),
    )
}

/// Filters made of a value that is in the table, so that they cut between files.
fn filters_for(row: &Row) -> Vec<String> {
    let mut filters = vec!["n IS NULL".to_owned(), "text IS NOT NULL AND NOT yes".to_owned()];
    let mut compare = |column: &str, value: Option<String>| {
        let Some(value) = value else { return };
        for operator in ["=", "<", ">="] {
            filters.push(format!("{column} {operator} {value}"));
        }
    };
    compare("n", row.0.map(|n| n.to_string()));
    compare("day", row.1.map(|day| format!("arrow_cast({day}, 'Date32')")));
    let money = row.2.map(|money| {
        let sign = if money < 0 { "-" } else { "" };
        let (whole, part) = (money.unsigned_abs() / 100, money.unsigned_abs() % 100);
        format!("arrow_cast('{sign}{whole}.{part:02}', 'Decimal128(30, 2)')")
    });
    compare("money", money);
    compare("text", row.3.as_ref().map(|text| format!("'{text}'")));
    compare(
        "real",
        row.4.filter(|real| real.is_finite()).map(|real| format!("arrow_cast('{real:?}', 'Float64')")),
    );
    compare("at", row.5.map(|at| format!("arrow_cast({at}, 'Timestamp(Microsecond, None)')")));
    compare("yes", row.6.map(|yes| yes.to_string()));
    filters
}

async fn check_rows(files: Vec<Vec<Row>>, partition_by: &[&str]) {
    let lake = Lake::open("memory:").await.unwrap();
    let mut run = lake.begin("run").await.unwrap();
    for rows in &files {
        write(&mut run, NAME, WriteMode::Append, partition_by, rows_to_batch(rows)).await.unwrap();
    }
    let version = run.commit().await.unwrap();
    let pruned = session(&lake, &version).await;
    let whole: Vec<RecordBatch> = files.iter().map(|rows| rows_to_batch(rows)).collect();
    let plain = SessionContext::new();
    plain.register_table("t", Arc::new(MemTable::try_new(whole[0].schema(), vec![whole]).unwrap())).unwrap();

    let aggregates = "count(*), count(n), count(yes), min(n), max(n), min(day), max(day), min(money), max(money), \
        min(text), max(text), min(real), max(real), min(at), max(at), sum(n)";
    let mut queries = vec![format!("SELECT {aggregates} FROM t")];
    for row in files.iter().take(2).filter_map(|rows| rows.first()) {
        queries.extend(filters_for(row).into_iter().map(|f| format!("SELECT {aggregates} FROM t WHERE {f}")));
    }
    for sql in queries {
        let read = |session: &SessionContext| {
            let session = session.clone();
            let sql = sql.clone();
            async move {
                let batches = session.sql(&sql).await.unwrap().collect().await.unwrap();
                arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
            }
        };
        assert_eq!(read(&pruned).await, read(&plain).await, "{sql}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 16, ..ProptestConfig::default() })]

    #[test]
    fn pruning_changes_no_result(
        files in proptest::collection::vec(proptest::collection::vec(any_row(), 1..6), 1..5),
        partitioned in any::<bool>(),
    ) {
        let partition_by: &[&str] = if partitioned { &["yes", "day"] } else { &[] };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_rows(files, partition_by));
    }
}
