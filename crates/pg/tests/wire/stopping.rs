//! Statements that must stop: cancel requests, departures, time limits, shutdown; and readers that take their time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;

use crate::Server;
use crate::raw::{Raw, message, tags};

/// Would run for hours.
const RUNAWAY: &str = "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b \
                       WHERE a.value < b.value";

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_stops_the_statement() {
    let server = Server::start().await;
    let client = server.connect().await;
    let token = client.cancel_token();
    let start = Instant::now();
    let (result, ()) = tokio::join!(client.simple_query(RUNAWAY), async {
        sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(result.unwrap_err().code().map(tokio_postgres::error::SqlState::code), Some("57014"));
    assert!(start.elapsed() < Duration::from_millis(1_300), "{:?}", start.elapsed());
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_with_a_wrong_secret_does_nothing() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    raw.send(&message(b'Q', b"SELECT count(*) FROM generate_series(1, 20000000)\0")).await;
    let mut cancel = TcpStream::connect(server.address).await.unwrap();
    let mut packet = b"\0\0\0\x10\x04\xd2\x16\x2e".to_vec();
    packet.extend(raw.id.to_be_bytes());
    packet.extend(raw.secret.iter().map(|byte| byte ^ 1));
    cancel.write_all(&packet).await.unwrap();
    assert_eq!(cancel.read(&mut [0]).await.unwrap(), 0, "closed without a word");
    assert_eq!(tags(&raw.until('Z').await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departure_stops_the_statement() {
    let server = Server::with(|settings| settings.max_connections = 1).await;
    let mut raw = Raw::open(&server).await;
    raw.send(&message(b'Q', format!("{RUNAWAY}\0").as_bytes())).await;
    sleep(Duration::from_millis(300)).await;
    assert!(server.try_connect().await.is_err(), "the only seat is taken");
    drop(raw);
    let start = Instant::now();
    while server.try_connect().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(1));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_stops_the_statement() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("SET statement_timeout = '500ms'").await.unwrap();
    let start = Instant::now();
    let error = client.query(RUNAWAY, &[]).await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("57014"));
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_costs_no_memory_and_holds_nobody_up() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let before = resident();
    let sql =
        b"SELECT value, 'some text that makes the row wider' || value FROM generate_series(1, 5000000)\0";
    raw.send(&message(b'Q', sql)).await;
    let mut some = vec![0; 100_000];
    for _ in 0..10 {
        raw.stream.read_exact(&mut some).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let client = server.connect().await;
    client.simple_query("SELECT 1").await.unwrap();
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 20, "grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_lets_statements_finish_for_a_while() {
    let server = Server::start().await;
    let mut idle = Raw::open(&server).await;
    let mut busy = Raw::open(&server).await;
    let mut runaway = Raw::open(&server).await;
    busy.send(&message(b'Q', b"SELECT count(*) FROM generate_series(1, 2000000)\0")).await;
    runaway.send(&message(b'Q', format!("{RUNAWAY}\0").as_bytes())).await;
    sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    server.shutdown.cancel();
    assert_eq!(idle.next().await.unwrap().field('C').as_deref(), Some("57P01"));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(tags(&busy.until('E').await), "TDCZE");
    let last = loop {
        let reply = runaway.next().await.unwrap();
        if reply.tag == 'E' {
            break reply;
        }
    };
    assert_eq!(last.field('C').as_deref(), Some("57P01"));
    server.task.await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_millis(4_500), "{:?}", start.elapsed());
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

/// Bytes of memory that this process has in use.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
