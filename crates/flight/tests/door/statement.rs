//! Statements: FlightInfo, tickets, streams, errors.

use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor, IpcMessage,
};
use futures::TryStreamExt;
use prost::Message;
use tonic::{Code, Status};

use crate::server::{Server, fetch, query, resident, show};

const RUNAWAY: &str = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value < b.value";

#[tokio::test]
async fn a_query_gives_its_rows_and_the_schema_that_was_announced() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let sql = "SELECT city, qty, revenue, date, 1.5 AS half FROM fact_sales ORDER BY sale_id";
    let info = client.execute(sql.into(), None).await.unwrap();
    assert_eq!(info.total_records, -1);
    let announced = info.clone().try_decode_schema().unwrap();
    let batches = fetch(&mut client, info).await.unwrap();
    assert_eq!(*batches[0].schema(), announced);
    assert_eq!(announced.field(2).data_type(), &DataType::Decimal128(18, 2));
    assert_eq!(show(&batches).lines().next().unwrap(), "Chennai | 10 | 1000.50 | 2026-02-16 | 1.5");
    assert_eq!(show(&batches).lines().count(), 3);
}

#[tokio::test]
async fn a_result_without_rows_has_its_schema() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let info = client.execute("SELECT city FROM fact_sales WHERE qty < 0".into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut stream = client.do_get(ticket).await.unwrap();
    assert!(stream.try_next().await.unwrap().is_none());
    assert_eq!(stream.schema().unwrap().field(0).name(), "city");
}

#[tokio::test]
async fn a_ticket_reads_the_version_it_was_planned_on() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let sql = "SELECT count(*) FROM fact_sales";
    let before = client.execute(sql.into(), None).await.unwrap();
    server.commit(&["Chennai"]).await;
    assert_eq!(show(&fetch(&mut client, before.clone()).await.unwrap()), "3");
    assert_eq!(query(&mut client, sql).await.unwrap(), "1");
    // A ticket may be read again until it expires.
    assert_eq!(show(&fetch(&mut client, before).await.unwrap()), "3");
}

#[tokio::test]
async fn errors_carry_code_sqlstate_and_position() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let mut error = async |sql: &str| query(&mut client, sql).await.unwrap_err();
    let syntax = error("SELEC 1").await;
    assert_eq!(syntax.code(), Code::InvalidArgument);
    assert!(syntax.message().contains("(SQLSTATE 42601, at character 1)"), "{}", syntax.message());
    let table = error("SELECT * FROM fact_sale").await;
    assert_eq!(table.code(), Code::NotFound, "{}", table.message());
    assert_eq!(table.metadata().get("x-sqlstate").unwrap(), "42P01");
    let write = error("DELETE FROM fact_sales").await;
    assert_eq!(write.code(), Code::FailedPrecondition);
    assert!(write.message().contains("SQLSTATE 25006"), "{}", write.message());
    let file = error("SELECT * FROM '/etc/passwd'").await;
    assert!(!file.message().contains("root:"), "{}", file.message());
    let late = error("SELECT 10 / (qty - 30) FROM fact_sales ORDER BY sale_id").await;
    assert!(late.message().contains("SQLSTATE 22012"), "{}", late.message());
    for (sql, expected) in [
        ("", "the query holds no statement"),
        ("-- nothing", "the query holds no statement"),
        ("SELECT 1; SELECT 2", "the query holds 2 statements, expected one: send them one at a time"),
        (
            "SELECT $1",
            "the statement has 1 parameters and no values: prepare it and bind them (SQLSTATE 08P01)",
        ),
    ] {
        let error = error(sql).await;
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, expected), "{sql}");
    }
}

#[tokio::test]
async fn what_is_no_command_is_the_clients_fault() {
    let server = Server::start().await;
    let mut client = FlightServiceClient::new(server.channel().await);
    for descriptor in [
        FlightDescriptor::new_cmd("rubbish"),
        FlightDescriptor::new_cmd(""),
        FlightDescriptor::new_path(vec!["fact_sales".into()]),
    ] {
        let error = client.get_flight_info(descriptor).await.unwrap_err();
        assert!(matches!(error.code(), Code::InvalidArgument | Code::Unimplemented), "{error}");
    }
    let error = client.do_get(arrow_flight::Ticket::new("rubbish")).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let error = client.do_action(Action::new("DropEverything", "")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    let error = client.do_put(futures::stream::empty()).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let actions: Vec<_> =
        client.list_actions(arrow_flight::Empty {}).await.unwrap().into_inner().try_collect().await.unwrap();
    assert!(actions.iter().any(|action| action.r#type == "CancelFlightInfo"));
}

#[tokio::test]
async fn get_schema_plans_and_runs_nothing() {
    let server = Server::start().await;
    let mut client = FlightServiceClient::new(server.channel().await);
    let command =
        CommandStatementQuery { query: "SELECT city, qty FROM fact_sales".into(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let result = client.get_schema(descriptor.clone()).await.unwrap().into_inner();
    let schema = Schema::try_from(IpcMessage(result.schema)).unwrap();
    assert_eq!(schema.field(1).name(), "qty");
    let poll = client.poll_flight_info(descriptor).await.unwrap().into_inner();
    assert_eq!(poll.progress, Some(1.0));
    assert!(poll.flight_descriptor.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn going_away_stops_the_query() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let info = client.execute(RUNAWAY.into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let read = tokio::time::timeout(Duration::from_millis(500), async {
        let stream = client.do_get(ticket).await.unwrap();
        stream.try_collect::<Vec<_>>().await
    });
    assert!(read.await.is_err());
    assert!(server.cpu_time() > Duration::from_millis(100), "it did compute");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.cpu_time();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = server.cpu_time() - before;
    assert!(used < Duration::from_millis(100), "still computing: {used:?} of CPU in a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_cancelled_by_its_info() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let info = client.execute(RUNAWAY.into(), None).await.unwrap();
    let mut reader = client.clone();
    let reading = info.clone();
    let read = tokio::spawn(async move { fetch(&mut reader, reading).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    let request = CancelFlightInfoRequest::new(info).encode_to_vec();
    let mut answer = client.do_action(Action::new("CancelFlightInfo", request)).await.unwrap();
    let answer = answer.try_next().await;
    let result = CancelFlightInfoResult::decode(answer.unwrap().unwrap().body).unwrap();
    assert_eq!(result.status, CancelStatus::Cancelled as i32);
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Cancelled, "{error}");
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_costs_little_memory() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let sql = "SELECT value, value * 2 AS twice, repeat('x', 40) AS filler FROM generate_series(1, 5000000)";
    let info = client.execute(sql.into(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let before = resident();
    let (mut rows, mut most) = (0, 0);
    while let Some(batch) = stream.try_next().await.unwrap() {
        if rows == 0 {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        rows += batch.num_rows();
        most = most.max(resident());
    }
    assert_eq!(rows, 5_000_000);
    let grown = most.saturating_sub(before) >> 20;
    assert!(grown < 100, "grew by {grown} MiB");
}

#[tokio::test]
async fn many_results_are_read_at_a_time() {
    let server = Server::start().await;
    let client = server.signed_in().await;
    let readers = (1..=16_i64).map(|n| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let sql = format!("SELECT sum(value) FROM generate_series(1, {n} * 1000)");
            let info = client.execute(sql, None).await.unwrap();
            let batches = fetch(&mut client, info).await.unwrap();
            batches[0].column(0).as_primitive::<Int64Type>().value(0)
        })
    });
    for (n, reader) in (1..=16_i64).zip(readers.collect::<Vec<_>>()) {
        assert_eq!(reader.await.unwrap(), n * 1000 * (n * 1000 + 1) / 2);
    }
}

#[tokio::test]
async fn one_ticket_has_one_reader_at_a_time() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let sql = "SELECT value, repeat('x', 100) FROM generate_series(1, 2000000)";
    let info = client.execute(sql.into(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let first = client.do_get(ticket.clone()).await.unwrap();
    let error = Status::from(client.do_get(ticket.clone()).await.unwrap_err());
    assert_eq!(error.message(), "this ticket is being read already");
    drop(first);
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if client.do_get(ticket.clone()).await.is_ok() {
            return;
        }
    }
    panic!("the ticket was not given back");
}
