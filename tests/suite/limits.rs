//! What stops a statement, and what a slow reader costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use smartsneaks_engine::{Engine, SessionOptions, Settings};
use smartsneaks_tests::Server;

/// Ten thousand million pairs: minutes of work for any machine.
const RUNAWAY: &str =
    "SELECT count(*) FROM generate_series(1, 100000) a(x), generate_series(1, 100000) b(y) WHERE a.x < b.y";

/// The same with a filter that lets nothing through, so that the join gives no batch at which it could be stopped.
const SILENT: &str = "SELECT count(*) FROM generate_series(1, 100000) a(x), generate_series(1, 100000) b(y) WHERE a.x * b.y < 0";

async fn engine() -> (Arc<Engine>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { threads: 2, ..Settings::embedded(dir.path().display().to_string()) };
    (Engine::open(settings).await.unwrap(), dir)
}

async fn postgres(server: &Server) -> tokio_postgres::Client {
    connect(server).await.0
}

/// A client, and the task that holds its socket: aborting it is what a client that dies does.
async fn connect(server: &Server) -> (tokio_postgres::Client, tokio::task::AbortHandle) {
    let config = format!("host=127.0.0.1 port={} user=analyst dbname=smartsneaks", server.pg.port());
    let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
    let socket = tokio::spawn(connection).abort_handle();
    (client, socket)
}

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Fails when the process still computes: a stopped statement leaves its threads idle.
async fn idle_soon() {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let before = cpu_time();
        tokio::time::sleep(Duration::from_millis(500)).await;
        if cpu_time() - before < Duration::from_millis(150) {
            return;
        }
        assert!(Instant::now() < deadline, "the process still computes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_join_is_stopped_by_each_of_the_three() {
    let (engine, _dir) = engine().await;
    let server = Server::start(&engine).await.unwrap();
    for sql in [RUNAWAY, SILENT] {
        let client = postgres(&server).await;
        client.batch_execute("SET statement_timeout = '300ms'").await.unwrap();
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57014");
        idle_soon().await;

        client.batch_execute("SET statement_timeout = 0").await.unwrap();
        let cancel = client.cancel_token();
        let running = tokio::spawn(async move { client.simple_query(sql).await.map(|_| ()) });
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57014");
        idle_soon().await;

        let (client, socket) = connect(&server).await;
        let running = tokio::spawn(async move { client.simple_query(sql).await.map(|_| ()) });
        tokio::time::sleep(Duration::from_millis(300)).await;
        socket.abort();
        assert!(running.await.unwrap().is_err());
        idle_soon().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_connections_are_served_while_one_computes() {
    let (engine, _dir) = engine().await;
    let server = Server::start(&engine).await.unwrap();
    let busy = postgres(&server).await;
    let cancel = busy.cancel_token();
    let running = tokio::spawn(async move { busy.simple_query(RUNAWAY).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let client = postgres(&server).await;
    assert!(client.simple_query("SHOW server_version").await.is_ok());
    assert!(!running.is_finished());
    cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert!(running.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_rows_stops_the_statement() {
    let (engine, _dir) = engine().await;
    let session = engine.session(SessionOptions::default());
    let rows = session.query(RUNAWAY).await.unwrap();
    assert!(session.is_busy());
    drop(rows);
    idle_soon().await;
    assert!(!session.is_busy());
    let batches: Vec<RecordBatch> = session.collect("SELECT 1 AS one").await.unwrap();
    let one: Option<&Int64Array> = batches[0].column(0).as_any().downcast_ref();
    assert_eq!(one.unwrap().value(0), 1);
}
