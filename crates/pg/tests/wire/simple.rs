//! The simple protocol.

use tokio_postgres::SimpleQueryMessage;

use crate::Server;
use crate::raw::{Raw, tags};

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_run_until_one_fails() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let replies = raw.query("SELECT 1 AS a; SET TimeZone = 'Asia/Kolkata'; SELECT no_such; SELECT 2").await;
    assert_eq!(tags(&replies), "TDCCESZ");
    assert_eq!(replies[2].text(), "SELECT 1");
    assert_eq!(replies[3].text(), "SET");
    assert_eq!(replies[4].field('C').as_deref(), Some("42703"));
    assert_eq!(replies[4].field('V').as_deref(), Some("ERROR"));
    assert_eq!(replies[5].text(), "TimeZone\0Asia/Kolkata");
    assert_eq!(replies[6].text(), "I");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_is_an_empty_query() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    for sql in ["", " ;; ", "-- nothing"] {
        assert_eq!(tags(&raw.query(sql).await), "IZ", "{sql:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_anywhere_runs_nothing() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let replies = raw.query("SELECT 1; SELEC 2").await;
    assert_eq!(tags(&replies), "EZ");
    assert_eq!(replies[0].field('C').as_deref(), Some("42601"));
    // The position counts from the start of the whole message.
    assert_eq!(replies[0].field('P').as_deref(), Some("11"));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_show_in_ready_for_query() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    for (sql, tag, status) in [
        ("BEGIN", "BEGIN", "T"),
        ("SELECT 1", "SELECT 1", "T"),
        ("SELECT no_such", "42703", "E"),
        ("SELECT 1", "25P02", "E"),
        ("ROLLBACK", "ROLLBACK", "I"),
        ("BEGIN", "BEGIN", "T"),
        ("SELECT 1 / 0", "22012", "E"),
        ("COMMIT", "ROLLBACK", "I"),
        ("SHOW TimeZone", "SHOW", "I"),
    ] {
        let replies = raw.query(sql).await;
        let done = replies.iter().find_map(|reply| match reply.tag {
            'C' => Some(reply.text()),
            'E' => reply.field('C'),
            _ => None,
        });
        assert_eq!(done.as_deref(), Some(tag), "{sql}");
        assert_eq!(replies.last().unwrap().text(), status, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_in_text() {
    let server = Server::start().await;
    let client = server.connect().await;
    client.batch_execute("SET TimeZone = 'Asia/Kolkata'").await.unwrap();
    let sql = "SELECT true, 1.5::float8, 12.340::decimal(10, 3), NULL, DATE '2026-03-31', \
               TIMESTAMP '2026-03-31 13:05:00.25', TIMESTAMPTZ '2026-03-31T13:05:00Z', ARRAY['a b', 'c'], \
               INTERVAL '1 month 2 days', 1e20::float8";
    let rows = client.simple_query(sql).await.unwrap();
    let row = rows
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .unwrap();
    let shown: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("<null>")).collect();
    assert_eq!(
        shown,
        [
            "t",
            "1.5",
            "12.340",
            "<null>",
            "2026-03-31",
            "2026-03-31 13:05:00.25",
            "2026-03-31 18:35:00+05:30",
            "{\"a b\",c}",
            "1 mon 2 days",
            "1e+20"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_amid_rows_is_a_report() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let replies = raw.query("SELECT 1 / (value - 50000) FROM generate_series(1, 100000)").await;
    let error = replies.iter().find(|reply| reply.tag == 'E').unwrap();
    assert_eq!(error.field('C').as_deref(), Some("22012"));
    assert!(replies.iter().all(|reply| reply.tag != 'C'));
    assert_eq!(tags(&raw.query("SELECT 1").await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_need_the_extended_protocol() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let replies = raw.query("SELECT $1::int").await;
    assert_eq!(replies[0].field('C').as_deref(), Some("42P02"));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_postgresqls_names_even_equal_ones() {
    let server = Server::start().await;
    let client = server.connect().await;
    let messages = client.simple_query("SELECT count(*), 1, 1, 'x'::text, 2 AS n, 3 AS n").await.unwrap();
    let Some(SimpleQueryMessage::Row(row)) =
        messages.into_iter().find(|message| matches!(message, SimpleQueryMessage::Row(_)))
    else {
        panic!("no row")
    };
    let names: Vec<&str> = row.columns().iter().map(|column| column.name()).collect();
    assert_eq!(names, ["count", "?column?", "?column?", "text", "n", "n"]);
    let values: Vec<Option<&str>> = (0..6).map(|at| row.get(at)).collect();
    assert_eq!(values, [Some("1"), Some("1"), Some("1"), Some("x"), Some("2"), Some("3")]);
    // The same once it is prepared.
    let prepared = client.prepare("SELECT sum(x), sum(x) FROM generate_series(1, 3) AS s(x)").await.unwrap();
    let names: Vec<&str> = prepared.columns().iter().map(|column| column.name()).collect();
    assert_eq!(names, ["sum", "sum"]);
    assert_eq!(client.query_one(&prepared, &[]).await.unwrap().get::<_, i64>(1), 6);
}
