//! One tree of SQL tests, through every front door, on the demo warehouse.

use std::path::{Path, PathBuf};

use smartsneaks_tests::{Server, demo};
use sqllogictest::{AsyncDB, Runner};

use crate::doors::{Embedded, Flight, Postgres};

#[tokio::test(flavor = "multi_thread")]
async fn every_file_through_every_door() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo(dir.path()).await.unwrap();
    let server = Server::start(&engine).await.unwrap();
    let mut failures = Vec::new();
    let files = files(Path::new("slt"));
    assert!(files.len() >= 5, "found {} files of SQL tests", files.len());
    for file in &files {
        let mut run = async |door: &str, result: Result<(), sqllogictest::TestError>| {
            if let Err(error) = result {
                failures.push(format!("{door}: {}", error.display(false)));
            }
        };
        run("embedded", check(file, async || Ok(Embedded::new(&engine))).await).await;
        run("postgres", check(file, async || Ok(Postgres::connect(server.pg).await)).await).await;
        // Flight SQL has actions of its own for transactions.
        if !std::fs::read_to_string(file).unwrap().starts_with("# not over flight") {
            run("flight", check(file, async || Ok(Flight::connect(server.flight).await)).await).await;
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n\n"));
}

async fn check<D, F>(file: &Path, connect: F) -> Result<(), sqllogictest::TestError>
where
    D: AsyncDB,
    F: AsyncFn() -> Result<D, D::Error>,
{
    let mut runner = Runner::new(|| connect());
    runner.run_file_async(file).await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "slt") {
            out.push(path);
        }
    }
    out.sort();
    out
}
