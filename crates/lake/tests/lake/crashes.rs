//! A process that dies between any two steps of a commit leaves the old version or the new one, and nothing else.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use smartsneaks_lake::{Lake, WriteMode, crash};

use crate::support::{batch, query, write};

const FOLDER: &str = "SMARTSNEAKS_TEST_FOLDER";
const READ: &str = "SELECT (SELECT sum(n) FROM a), (SELECT sum(n) FROM b), (SELECT count(*) FROM b)";

async fn run_once(folder: &str, value: i64) {
    let lake = Lake::open(folder).await.unwrap();
    let mut run = lake.begin(&format!("run-{value}")).await.unwrap();
    let rows = || {
        let days = Int64Array::from(vec![1, 2, 3]);
        let numbers = Int64Array::from(vec![value, value, value]);
        batch(vec![("n", Arc::new(numbers) as ArrayRef), ("day", Arc::new(days))])
    };
    write(&mut run, "public.a", WriteMode::Overwrite, &["day"], rows()).await.unwrap();
    write(&mut run, "public.b", WriteMode::Append, &[], rows()).await.unwrap();
    run.commit().await.unwrap();
}

/// The process that dies; on its own this test does nothing.
#[tokio::test]
async fn victim() {
    if let Ok(folder) = std::env::var(FOLDER) {
        run_once(&folder, 100).await;
    }
}

fn die_at(point: &str, folder: &Path) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes::victim", "--nocapture"])
        .env("SMARTSNEAKS_CRASH_AT", point)
        .env(FOLDER, folder)
        .output()
        .unwrap()
        .status;
    assert!(!status.success(), "the process passed {point} alive");
}

#[tokio::test]
async fn a_crash_leaves_the_old_version_or_the_new_one() {
    let committed = crash::POINTS.iter().position(|point| *point == crash::MANIFEST_LINKED).unwrap();
    for (index, point) in crash::POINTS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let address = folder.path().to_str().unwrap();
        run_once(address, 1).await;
        die_at(point, folder.path());
        // Twice, as a second crash finds what the first one left.
        if index < committed {
            die_at(point, folder.path());
        }
        let lake = Lake::open(address).await.unwrap();
        let head = lake.head().await.unwrap();
        let found = query(&lake, &head, READ).await;
        if index < committed {
            assert_eq!((head.number, found), (1, vec!["3|3|3".to_owned()]), "{point}");
        } else {
            assert_eq!((head.number, found), (2, vec!["300|303|6".to_owned()]), "{point}");
        }

        run_once(address, 10).await;
        let head = lake.head().await.unwrap();
        let found = query(&lake, &head, READ).await;
        let expected = if index < committed { "30|33|6" } else { "30|333|9" };
        assert_eq!(found, [expected], "{point}");
        assert_eq!(head.tables["public.b"].rows, if index < committed { 6 } else { 9 });
    }
}
