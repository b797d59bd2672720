//! Tickets that expire, rooms that fill, a server that stops.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use smartsneaks_engine::{Engine, Settings};
use smartsneaks_flight::{Error, Limits, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::server::{Server, fetch, query, show};

#[tokio::test]
async fn a_ticket_expires() {
    let server =
        Server::with(Limits { ticket_lifetime: Duration::from_millis(300), ..Limits::default() }).await;
    let mut client = server.client().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    assert!(info.endpoint[0].expiration_time.is_some());
    assert_eq!(show(&fetch(&mut client, info.clone()).await.unwrap()), "1");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let error = fetch(&mut client, info).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("tickets live for 300 milliseconds"), "{}", error.message());
}

#[tokio::test]
async fn outstanding_tickets_are_bounded_and_read_ones_make_room() {
    let server = Server::with(Limits { tickets: 3, ..Limits::default() }).await;
    let mut client = server.client().await;
    for _ in 0..10 {
        assert_eq!(query(&mut client, "SELECT 1").await.unwrap(), "1");
    }
    for _ in 0..3 {
        client.execute("SELECT 1".into(), None).await.unwrap();
    }
    let error = Status::from(client.execute("SELECT 1".into(), None).await.unwrap_err());
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.message().starts_with("too many outstanding tickets"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_ends_streams_that_last_too_long() {
    let server = Server::with(Limits { drain: Duration::from_millis(300), ..Limits::default() }).await;
    let mut client = server.client().await;
    let sql = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value < b.value";
    let info = client.execute(sql.into(), None).await.unwrap();
    let mut reader = client.clone();
    let read = tokio::spawn(async move { fetch(&mut reader, info).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    server.shutdown.cancel();
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    while !server.served.is_finished() {
        assert!(asked.elapsed() < Duration::from_secs(3), "still serving");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn shutting_down_lets_short_streams_end() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let info = client.execute("SELECT value FROM generate_series(1, 100000)".into(), None).await.unwrap();
    let stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    server.shutdown.cancel();
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 100_000);
}

#[tokio::test]
async fn only_loopback_is_trusted() {
    let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = serve(listener, engine, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, Error::NotLoopback(_)), "{error}");
}
