//! Runs: what they show to whom, and what happens when two of them meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, ListArray, StringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use chrono::Duration;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::json;
use smartsneaks_lake::{Lake, LakeError, ViewEntry, WriteMode};

use crate::support::{batch, query, write};

const NAME: &str = "public.t";

fn numbers(values: &[i64]) -> arrow::array::RecordBatch {
    batch(vec![("n", Arc::new(Int64Array::from(values.to_vec())))])
}

async fn commit_numbers(lake: &Arc<Lake>, name: &str, mode: WriteMode, values: &[i64]) -> u64 {
    let mut run = lake.begin("run").await.unwrap();
    write(&mut run, name, mode, &[], numbers(values)).await.unwrap();
    run.commit().await.unwrap().number
}

async fn all(lake: &Arc<Lake>, number: u64) -> Vec<String> {
    query(lake, &lake.version(number).await.unwrap(), "SELECT n FROM t ORDER BY n").await
}

#[tokio::test]
async fn every_version_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    assert_eq!(lake.head().await.unwrap().number, 0);
    assert_eq!(commit_numbers(&lake, NAME, WriteMode::Overwrite, &[1, 2]).await, 1);
    assert_eq!(commit_numbers(&lake, NAME, WriteMode::Append, &[3]).await, 2);
    assert_eq!(commit_numbers(&lake, NAME, WriteMode::Overwrite, &[9]).await, 3);

    // Another process sees the same.
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    assert_eq!(all(&lake, 1).await, ["1", "2"]);
    assert_eq!(all(&lake, 2).await, ["1", "2", "3"]);
    assert_eq!(all(&lake, 3).await, ["9"]);
    let head = lake.head().await.unwrap();
    assert_eq!((head.number, head.parent), (3, Some(2)));
    let entry = &head.tables[NAME];
    assert_eq!((entry.rows, entry.files, entry.uri.as_str()), (1, 1, "tables/public/t"));
    assert_eq!(lake.version(2).await.unwrap().tables[NAME].rows, 3);

    let versions = lake.versions().await.unwrap();
    assert_eq!(versions.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2, 1]);
    for version in &versions {
        assert_eq!(lake.at(version.timestamp).await.unwrap().number, version.number);
    }
    let later = versions[1].timestamp + Duration::nanoseconds(1);
    assert_eq!(lake.at(later).await.unwrap().number, 2);
    let before = versions[2].timestamp - Duration::seconds(1);
    assert!(matches!(lake.at(before).await, Err(LakeError::NoVersion { .. })));
    assert!(matches!(lake.version(4).await, Err(LakeError::NoVersion { .. })));
    assert!(lake.table(&head, "public.none").await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_staged_is_seen_by_the_run_alone() {
    let lake = Lake::open("memory:").await.unwrap();
    let mut run = lake.begin("run").await.unwrap();
    write(&mut run, NAME, WriteMode::Overwrite, &[], numbers(&[1])).await.unwrap();
    write(&mut run, NAME, WriteMode::Append, &[], numbers(&[2])).await.unwrap();
    assert_eq!(query(&lake, &run.staged(), "SELECT n FROM t ORDER BY n").await, ["1", "2"]);
    assert!(lake.head().await.unwrap().tables.is_empty());
    let version = run.commit().await.unwrap();
    assert_eq!(all(&lake, version.number).await, ["1", "2"]);
}

#[tokio::test]
async fn runs_that_touch_different_tables_both_commit() {
    let lake = Lake::open("memory:").await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[1]).await;
    let mut slow = lake.begin("slow").await.unwrap();
    write(&mut slow, "public.u", WriteMode::Overwrite, &[], numbers(&[5])).await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Append, &[2]).await;
    let version = slow.commit().await.unwrap();
    assert_eq!((version.number, version.parent), (3, Some(2)));
    assert_eq!(all(&lake, 3).await, ["1", "2"]);
    assert_eq!(query(&lake, &version, "SELECT n FROM u").await, ["5"]);
}

#[tokio::test]
async fn runs_that_touch_the_same_table_conflict_and_the_first_wins() {
    let lake = Lake::open("memory:").await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[1]).await;
    let mut slow = lake.begin("slow").await.unwrap();
    write(&mut slow, NAME, WriteMode::Append, &[], numbers(&[100])).await.unwrap();
    write(&mut slow, "public.u", WriteMode::Overwrite, &[], numbers(&[100])).await.unwrap();
    // The quick run starts after the slow one wrote, and takes its rows for a crashed run's.
    commit_numbers(&lake, NAME, WriteMode::Append, &[2]).await;
    let error = slow.commit().await.unwrap_err();
    assert!(matches!(error, LakeError::Conflict { .. }));
    assert!(error.to_string().contains("another run committed first"), "{error}");
    assert!(error.to_string().contains(NAME), "{error}");
    assert_eq!(all(&lake, 2).await, ["1", "2"]);
    assert!(!lake.head().await.unwrap().tables.contains_key("public.u"));
    // And the loser may try again.
    commit_numbers(&lake, NAME, WriteMode::Append, &[3]).await;
    assert_eq!(all(&lake, 3).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_run_aborts_when_what_it_read_was_changed() {
    let lake = Lake::open("memory:").await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[1]).await;
    let mut slow = lake.begin("slow").await.unwrap();
    slow.depends_on(NAME);
    write(&mut slow, "public.u", WriteMode::Overwrite, &[], numbers(&[1])).await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Append, &[2]).await;
    assert!(matches!(slow.commit().await, Err(LakeError::Conflict { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_at_once_lose_and_mix_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap().to_owned();
    let writers = (0..6_i64).map(|writer| {
        let address = address.clone();
        tokio::spawn(async move {
            // As another process would: nothing is shared but the folder.
            let lake = Lake::open(&address).await.unwrap();
            let mut committed = Vec::new();
            for attempt in 0..6_i64 {
                let value = 1 + writer * 100 + attempt;
                let mut run = lake.begin(&value.to_string()).await.unwrap();
                let written = async {
                    write(&mut run, NAME, WriteMode::Append, &[], numbers(&[value])).await?;
                    write(&mut run, "public.copy", WriteMode::Append, &[], numbers(&[value])).await?;
                    run.commit().await
                };
                match written.await {
                    Ok(version) => committed.push((version.number, value)),
                    Err(LakeError::Conflict { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            committed
        })
    });
    let mut committed = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        committed.extend(writer.await.unwrap());
    }
    committed.sort_unstable();
    let numbers: Vec<u64> = committed.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=committed.len() as u64).collect::<Vec<_>>());

    let lake = Lake::open(&address).await.unwrap();
    let mut so_far = Vec::new();
    for (number, value) in committed {
        so_far.push(value);
        so_far.sort_unstable();
        let expected: Vec<String> = so_far.iter().map(ToString::to_string).collect();
        let version = lake.version(number).await.unwrap();
        assert_eq!(query(&lake, &version, "SELECT n FROM t ORDER BY n").await, expected);
        assert_eq!(query(&lake, &version, "SELECT n FROM copy ORDER BY n").await, expected);
        assert_eq!(version.tables[NAME].rows, expected.len() as u64);
    }
}

#[tokio::test]
async fn rows_of_a_run_that_never_committed_are_undone_by_the_next() {
    let lake = Lake::open("memory:").await.unwrap();
    // A table that no manifest names.
    let mut crashed = lake.begin("crashed").await.unwrap();
    write(&mut crashed, NAME, WriteMode::Overwrite, &[], numbers(&[66])).await.unwrap();
    drop(crashed);
    commit_numbers(&lake, NAME, WriteMode::Append, &[1]).await;
    assert_eq!(all(&lake, 1).await, ["1"]);

    // Rows beyond the pinned version: appended ones, and ones that replaced the table and its columns.
    for mode in [WriteMode::Append, WriteMode::Overwrite] {
        let mut crashed = lake.begin("crashed").await.unwrap();
        write(&mut crashed, NAME, mode, &[], numbers(&[66])).await.unwrap();
        let other = batch(vec![("other", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]);
        write(&mut crashed, NAME, WriteMode::Overwrite, &[], other).await.unwrap();
        drop(crashed);
        commit_numbers(&lake, NAME, WriteMode::Append, &[2]).await;
    }
    assert_eq!(all(&lake, 2).await, ["1", "2"]);
    assert_eq!(all(&lake, 3).await, ["1", "2", "2"]);
    let head = lake.head().await.unwrap();
    assert_eq!(head.tables[NAME].rows, 3);
    assert_eq!(query(&lake, &head, "SELECT count(*), sum(n) FROM t").await, ["3|5"]);
}

#[tokio::test]
async fn many_commits_go_through_checkpoints() {
    let lake = Lake::open("memory:").await.unwrap();
    for number in 0..45 {
        commit_numbers(&lake, NAME, WriteMode::Append, &[number]).await;
    }
    assert_eq!(all(&lake, 45).await.len(), 45);
    assert_eq!(all(&lake, 21).await.len(), 21);
    let head = lake.head().await.unwrap();
    assert_eq!(query(&lake, &head, "SELECT min(n), max(n), count(n) FROM t").await, ["0|44|45"]);
    assert_eq!(query(&lake, &head, "SELECT n FROM t WHERE n > 42 ORDER BY n").await, ["43", "44"]);
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[7]).await;
    assert_eq!(all(&lake, 46).await, ["7"]);
}

#[tokio::test]
async fn an_overwrite_may_change_the_columns_and_old_versions_keep_theirs() {
    let lake = Lake::open("memory:").await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[1]).await;
    let mut run = lake.begin("run").await.unwrap();
    let rows = batch(vec![
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![0])) as ArrayRef),
        ("city", Arc::new(StringArray::from(vec!["Chennai"]))),
    ]);
    write(&mut run, NAME, WriteMode::Overwrite, &["city"], rows).await.unwrap();
    run.commit().await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[3]).await;
    assert_eq!(all(&lake, 1).await, ["1"]);
    let second = lake.version(2).await.unwrap();
    assert_eq!(query(&lake, &second, "SELECT city, at FROM t").await, ["Chennai|1970-01-01T00:00:00"]);
    assert_eq!(all(&lake, 3).await, ["3"]);
    let hash = |number: u64| {
        let lake = Arc::clone(&lake);
        async move { lake.version(number).await.unwrap().tables[NAME].schema_hash.clone() }
    };
    assert_ne!(hash(1).await, hash(2).await);
    assert_eq!(hash(1).await, hash(3).await);
}

#[tokio::test]
async fn an_append_must_have_the_tables_columns_in_any_order() {
    let lake = Lake::open("memory:").await.unwrap();
    let rows = |names: [&'static str; 2]| {
        batch(vec![
            (names[0], Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            (names[1], Arc::new(Int64Array::from(vec![2]))),
        ])
    };
    let mut run = lake.begin("run").await.unwrap();
    write(&mut run, NAME, WriteMode::Overwrite, &[], rows(["a", "b"])).await.unwrap();
    write(&mut run, NAME, WriteMode::Append, &[], rows(["b", "a"])).await.unwrap();
    let error = write(&mut run, NAME, WriteMode::Append, &[], rows(["a", "c"])).await.unwrap_err();
    assert!(error.to_string().contains("column `b`"), "{error}");
    let error = write(&mut run, NAME, WriteMode::Append, &["a"], rows(["a", "b"])).await.unwrap_err();
    assert!(error.to_string().contains("partitioned by"), "{error}");
    let text = batch(vec![
        ("a", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
        ("b", Arc::new(Int64Array::from(vec![2]))),
    ]);
    let error = write(&mut run, NAME, WriteMode::Append, &[], text).await.unwrap_err();
    assert!(error.to_string().contains("expected Int64"), "{error}");
    let version = run.commit().await.unwrap();
    assert_eq!(query(&lake, &version, "SELECT a, b FROM t ORDER BY a").await, ["1|2", "2|1"]);
}

#[tokio::test]
async fn all_types_come_back_and_wide_ones_are_narrowed() {
    let lake = Lake::open("memory:").await.unwrap();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None]), None]);
    let rows = batch(vec![
        ("text", Arc::new(StringViewArray::from(vec![Some("ü"), None])) as ArrayRef),
        ("big", Arc::new(UInt64Array::from(vec![Some(7), None]))),
        ("small", Arc::new(Int32Array::from(vec![None, Some(-1)]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1]))),
        ("at", Arc::new(TimestampNanosecondArray::from(vec![1_999, 2_000]))),
        ("zoned", Arc::new(TimestampNanosecondArray::from(vec![0, 1]).with_timezone("Asia/Kolkata"))),
        ("money", Arc::new(Decimal128Array::from(vec![1, -250]).with_precision_and_scale(18, 2).unwrap())),
        ("list", Arc::new(list)),
    ]);
    let mut run = lake.begin("run").await.unwrap();
    write(&mut run, NAME, WriteMode::Overwrite, &[], rows).await.unwrap();
    let version = run.commit().await.unwrap();
    let found = query(&lake, &version, "SELECT * FROM t ORDER BY day").await;
    assert_eq!(
        found,
        [
            "ü|7||1970-01-01|1970-01-01T00:00:00.000001|1970-01-01T00:00:00Z|0.01|[1, ]",
            "||-1|1970-01-02|1970-01-01T00:00:00.000002|1970-01-01T00:00:00Z|-2.50|",
        ]
    );
}

#[tokio::test]
async fn partition_values_of_any_kind_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let cities = ["a b", "x/y", "100%", "%20", "திருச்சி", "..", "k=v", "q\"'#?*:", "__HIVE"];
    let mut names: Vec<Option<&str>> = cities.iter().copied().map(Some).collect();
    names.push(None);
    let count = i64::try_from(names.len()).unwrap();
    let rows = batch(vec![
        ("city", Arc::new(StringArray::from(names)) as ArrayRef),
        ("n", Arc::new(Int64Array::from_iter_values(0..count))),
    ]);
    let mut run = lake.begin("run").await.unwrap();
    let entry = write(&mut run, NAME, WriteMode::Overwrite, &["city"], rows).await.unwrap();
    assert_eq!(entry.files, count.unsigned_abs());
    run.commit().await.unwrap();

    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let head = lake.head().await.unwrap();
    let found = query(&lake, &head, "SELECT n, city FROM t ORDER BY n").await;
    let expected: Vec<String> =
        cities.iter().enumerate().map(|(n, city)| format!("{n}|{city}")).chain(["9|".to_owned()]).collect();
    assert_eq!(found, expected);
    assert_eq!(query(&lake, &head, "SELECT n FROM t WHERE city = '%20'").await, ["3"]);
    assert_eq!(query(&lake, &head, "SELECT n FROM t WHERE city IS NULL").await, ["9"]);
    assert_eq!(query(&lake, &head, "SELECT count(city), count(*) FROM t").await, ["9|10"]);
    assert_eq!(query(&lake, &head, "SELECT count(*) FROM t WHERE city <> 'a b'").await, ["8"]);
}

#[tokio::test]
async fn tables_whose_protocol_provides_for_invariants_take_rows() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let rows = |at: i64| batch(vec![("at", Arc::new(TimestampMicrosecondArray::from(vec![at])))]);
    let mut run = lake.begin("run").await.unwrap();
    write(&mut run, NAME, WriteMode::Overwrite, &[], rows(1)).await.unwrap();
    run.commit().await.unwrap();
    drop(lake);

    // As earlier releases created them.
    let log = folder.path().join("tables/public/t/_delta_log/00000000000000000000.json");
    let (old, new) = (r#"["appendOnly","timestampNtz"]"#, r#"["appendOnly","invariants","timestampNtz"]"#);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(&log, text.replace(old, new)).unwrap();

    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    for (number, mode) in [(2, WriteMode::Append), (3, WriteMode::Overwrite)] {
        let mut run = lake.begin("run").await.unwrap();
        write(&mut run, NAME, mode, &[], rows(number)).await.unwrap();
        run.commit().await.unwrap();
    }
    let found = async |number| {
        query(&lake, &lake.version(number).await.unwrap(), "SELECT at::bigint FROM t ORDER BY 1").await
    };
    assert_eq!(found(2).await, ["1", "2"]);
    assert_eq!(found(3).await, ["3"]);

    // What a column's invariant asks for, this writer doesn't check: it writes nothing.
    let invariant = r#"\"metadata\":{\"delta.invariants\":\"{}\"}"#;
    let (old, with) = (r#"\"metadata\":{}"#, invariant);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(&log, text.replace(old, with)).unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
    let mut run = lake.begin("run").await.unwrap();
    let refused = write(&mut run, NAME, WriteMode::Append, &[], rows(4)).await;
    let message = match refused {
        Err(error) => error.to_string(),
        Ok(_) => run.commit().await.unwrap_err().to_string(),
    };
    assert!(message.contains("Invariants"), "{message}");
}

#[tokio::test]
async fn an_input_that_fails_leaves_nothing_behind() {
    let store = Arc::new(InMemory::new());
    let lake = Lake::with_store("memory:", store.clone()).unwrap();
    let mut run = lake.begin("run").await.unwrap();
    let rows = numbers(&[1]);
    let failing = [Ok(rows.clone()), Err(DataFusionError::Execution("row 2 is bad".into()))];
    let input = RecordBatchStreamAdapter::new(rows.schema(), futures::stream::iter(failing));
    let error = run.write(NAME, WriteMode::Overwrite, &[], Box::pin(input)).await.unwrap_err();
    assert!(error.to_string().contains("row 2 is bad"), "{error}");
    assert!(matches!(error, LakeError::Input(_)));
    assert!(run.staged().tables.is_empty());
    let left = store.list_with_delimiter(Some(&Path::from("tables/public/t"))).await;
    assert!(left.unwrap().objects.is_empty());
}

#[tokio::test]
async fn empty_tables_have_columns() {
    let lake = Lake::open("memory:").await.unwrap();
    commit_numbers(&lake, NAME, WriteMode::Overwrite, &[]).await;
    let head = lake.head().await.unwrap();
    assert_eq!((head.tables[NAME].rows, head.tables[NAME].files), (0, 0));
    assert_eq!(query(&lake, &head, "SELECT count(n), count(*) FROM t").await, ["0|0"]);
    assert!(query(&lake, &head, "SELECT n FROM t").await.is_empty());
}

#[tokio::test]
async fn names_that_have_no_place_are_refused() {
    let lake = Lake::open("memory:").await.unwrap();
    let mut run = lake.begin("run").await.unwrap();
    for name in ["t", "public.", "a.b.c", "public.a b", "../x.y", "public.a/b"] {
        let error = write(&mut run, name, WriteMode::Overwrite, &[], numbers(&[1])).await.unwrap_err();
        assert!(matches!(error, LakeError::BadName { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn views_and_properties_belong_to_a_version() {
    let lake = Lake::open("memory:").await.unwrap();
    let series = BTreeMap::from([("series".to_owned(), json!({"id": ["sku"]}))]);
    let mut run = lake.begin("run").await.unwrap();
    run.set_table_properties(NAME, series.clone());
    write(&mut run, NAME, WriteMode::Overwrite, &[], numbers(&[1])).await.unwrap();
    run.put_view("public.v", ViewEntry { sql: "SELECT 1".into(), properties: BTreeMap::new() });
    run.set_property("default_series", json!(NAME));
    let first = run.commit().await.unwrap();
    assert_eq!(first.tables[NAME].properties, series);
    assert_eq!(first.views["public.v"].sql, "SELECT 1");
    assert_eq!(first.properties["default_series"], json!(NAME));

    // Properties outlive the rows; a table may take a view's name.
    let mut run = lake.begin("run").await.unwrap();
    write(&mut run, NAME, WriteMode::Overwrite, &[], numbers(&[2])).await.unwrap();
    write(&mut run, "public.v", WriteMode::Overwrite, &[], numbers(&[3])).await.unwrap();
    let second = run.commit().await.unwrap();
    assert_eq!(second.tables[NAME].properties, series);
    assert!(second.views.is_empty());
    assert!(second.tables.contains_key("public.v"));

    let mut run = lake.begin("run").await.unwrap();
    run.remove(NAME);
    let third = run.commit().await.unwrap();
    assert!(!third.tables.contains_key(NAME));
    assert_eq!(all(&lake, 2).await, ["2"]);
    // And the name may come back.
    assert_eq!(commit_numbers(&lake, NAME, WriteMode::Append, &[4]).await, 4);
    assert_eq!(all(&lake, 4).await, ["4"]);
}
