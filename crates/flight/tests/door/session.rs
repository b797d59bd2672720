//! Handshake, settings, transactions, updates.

use arrow_flight::sql::{CommandStatementIngest, EndTransaction};
use futures::stream;
use tonic::{Code, Status};

use crate::server::{Server, fetch, query, show};

#[tokio::test]
async fn settings_last_for_the_token_that_set_them() {
    let server = Server::start().await;
    let mut one = server.signed_in().await;
    let mut other = server.signed_in().await;
    assert_eq!(one.execute_update("SET TimeZone = 'Asia/Kolkata'".into(), None).await.unwrap(), 0);
    assert_eq!(query(&mut one, "SHOW TimeZone").await.unwrap(), "Asia/Kolkata");
    assert_eq!(query(&mut other, "SHOW TimeZone").await.unwrap(), "UTC");
    // As a query, which is how a cursor sends everything.
    assert_eq!(query(&mut one, "SET statement_timeout = '7s'").await.unwrap(), "");
    assert_eq!(query(&mut one, "SHOW statement_timeout").await.unwrap(), "7s");
    assert_eq!(query(&mut one, "SHOW TimeZone").await.unwrap(), "Asia/Kolkata");
    query(&mut one, "RESET ALL").await.unwrap();
    assert_eq!(query(&mut one, "SHOW TimeZone").await.unwrap(), "UTC");
    let error = query(&mut one, "SET statement_timeout = 'soon'").await.unwrap_err();
    assert!(error.message().contains("SQLSTATE 22023"), "{}", error.message());
}

#[tokio::test]
async fn what_would_be_lost_is_refused() {
    let server = Server::start().await;
    let mut anonymous = server.client().await;
    let error = query(&mut anonymous, "SET statement_timeout = '7s'").await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().starts_with("SET would be lost"), "{}", error.message());
    let mut client = server.signed_in().await;
    let error = query(&mut client, "BEGIN").await.unwrap_err();
    assert!(error.message().contains("BeginTransaction"), "{}", error.message());
    assert_eq!(query(&mut client, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn a_deadline_that_was_set_stops_a_query() {
    let server = Server::start().await;
    let mut client = server.signed_in().await;
    query(&mut client, "SET statement_timeout = '300ms'").await.unwrap();
    let sql = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value < b.value";
    let error = query(&mut client, sql).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    assert!(error.message().contains("SQLSTATE 57014"), "{}", error.message());
}

#[tokio::test]
async fn an_unknown_token_is_refused_everywhere() {
    let server = Server::start().await;
    let mut client = server.signed_in().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    client.set_token("00000000-0000-0000-0000-000000000000".into());
    let errors = [
        Status::from(client.execute("SELECT 1".into(), None).await.unwrap_err()),
        Status::from(client.get_catalogs().await.unwrap_err()),
        Status::from(client.prepare("SELECT 1".into(), None).await.unwrap_err()),
        Status::from(client.begin_transaction().await.unwrap_err()),
        Status::from(client.execute_update("SET TimeZone = 'UTC'".into(), None).await.unwrap_err()),
        fetch(&mut client, info).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), Code::Unauthenticated, "{error}");
    }
}

#[tokio::test]
async fn a_transaction_reads_one_version() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let transaction = client.begin_transaction().await.unwrap();
    let sql = "SELECT count(*) FROM fact_sales";
    server.commit(&["Chennai"]).await;
    let info = client.execute(sql.into(), Some(transaction.clone())).await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "3");
    let mut prepared = client.prepare(sql.into(), Some(transaction.clone())).await.unwrap();
    let info = prepared.execute().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "3");
    assert_eq!(query(&mut client, sql).await.unwrap(), "1");

    client.end_transaction(transaction.clone(), EndTransaction::Commit).await.unwrap();
    let error = Status::from(client.execute(sql.into(), Some(transaction.clone())).await.unwrap_err());
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().starts_with("no such transaction"), "{}", error.message());
    let error = client.end_transaction(transaction, EndTransaction::Rollback).await.unwrap_err();
    assert_eq!(Status::from(error).code(), Code::NotFound);
    let info = prepared.execute().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "1");

    let transaction = client.begin_transaction().await.unwrap();
    let error = client.end_transaction(transaction, EndTransaction::Unspecified).await.unwrap_err();
    assert_eq!(Status::from(error).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn writes_are_refused() {
    let server = Server::start().await;
    let mut client = server.signed_in().await;
    let error = Status::from(client.execute_update("DELETE FROM fact_sales".into(), None).await.unwrap_err());
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("SQLSTATE 25006"), "{}", error.message());
    let error = Status::from(client.execute_update("SELECT 1".into(), None).await.unwrap_err());
    assert!(error.message().contains("returns rows"), "{}", error.message());
    let ingest = CommandStatementIngest { table: "fact_sales".into(), ..Default::default() };
    let batch = arrow::array::RecordBatch::new_empty(arrow::datatypes::Schema::empty().into());
    let error = client.execute_ingest(ingest, stream::iter([Ok(batch)])).await.unwrap_err();
    let error = Status::from(error);
    assert_eq!(error.code(), Code::Unimplemented, "{error}");
    assert!(error.message().contains("smartsneaks run"), "{}", error.message());
}
