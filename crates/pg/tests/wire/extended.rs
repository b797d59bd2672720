//! The extended protocol: statements, portals, formats, parameters.

use tokio_postgres::types::Type;

use crate::Server;
use crate::raw::{Raw, bind, execute, message, parse, sync, tags};

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_results_in_binary() {
    let server = Server::start().await;
    let client = server.connect().await;
    let types = [Type::INT4, Type::TEXT, Type::FLOAT8, Type::BOOL, Type::INT8];
    let statement = client.prepare_typed("SELECT $1 + 1, $2, $3, $4, $5", &types).await.unwrap();
    assert_eq!(statement.params(), types);
    let row = client.query_one(&statement, &[&41_i32, &"SKU1", &0.5_f64, &true, &None::<i64>]).await.unwrap();
    assert_eq!(row.get::<_, &str>(1), "SKU1");
    assert_eq!(row.get::<_, f64>(2), 0.5);
    assert!(row.get::<_, bool>(3));
    assert_eq!(row.get::<_, Option<i64>>(4), None);
    match *row.columns()[0].type_() {
        Type::INT4 => assert_eq!(row.get::<_, i32>(0), 42),
        _ => assert_eq!(row.get::<_, i64>(0), 42),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_arrays_as_parameters() {
    let server = Server::start().await;
    let client = server.connect().await;
    let statement = client.prepare_typed("SELECT cardinality($1), $1", &[Type::TEXT_ARRAY]).await.unwrap();
    let keys = vec!["SKU1", "a \"quoted\" one"];
    let row = client.query_one(&statement, &[&keys]).await.unwrap();
    assert_eq!(row.get::<_, Vec<String>>(1), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_described_before_it_is_bound() {
    let server = Server::start().await;
    let client = server.connect().await;
    let statement = client.prepare("SELECT $1::text AS key, 1.25::decimal(18, 2) AS revenue").await.unwrap();
    assert_eq!(statement.params(), [Type::TEXT]);
    let columns: Vec<_> =
        statement.columns().iter().map(|c| (c.name().to_owned(), c.type_().clone())).collect();
    assert_eq!(columns, [("key".to_owned(), Type::TEXT), ("revenue".to_owned(), Type::NUMERIC)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_stream() {
    let server = Server::start().await;
    let client = server.connect().await;
    let rows = client.query("SELECT * FROM generate_series(1, 100000)", &[]).await.unwrap();
    assert_eq!(rows.len(), 100_000);
    assert_eq!(rows[99_999].get::<_, i64>(0), 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_are_suspended_and_continued() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let script = [
        parse("", "SELECT * FROM generate_series(1, 25)"),
        bind("p", "", &[]),
        execute("p", 10),
        execute("p", 10),
        execute("p", 10),
        execute("p", 10),
        sync(),
    ];
    raw.send(&script.concat()).await;
    let replies = raw.until('Z').await;
    let rows = "D".repeat(10);
    assert_eq!(tags(&replies), format!("12{rows}s{rows}sDDDDDCCZ"));
    let tag = |back: usize| replies[replies.len() - back].text();
    assert_eq!((tag(3), tag(2)), ("SELECT 5".to_owned(), "SELECT 0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_end_with_their_transaction() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    raw.query("BEGIN").await;
    let start =
        [parse("s", "SELECT * FROM generate_series(1, 3)"), bind("p", "s", &[]), execute("p", 1), sync()];
    raw.send(&start.concat()).await;
    assert_eq!(tags(&raw.until('Z').await), "12DsZ");
    raw.send(&[execute("p", 1), sync()].concat()).await;
    assert_eq!(tags(&raw.until('Z').await), "DsZ", "it outlives Sync inside the transaction");
    raw.query("COMMIT").await;
    raw.send(&[execute("p", 1), sync()].concat()).await;
    let replies = raw.until('Z').await;
    assert_eq!(replies[0].field('C').as_deref(), Some("34000"));
    // The statement is still there.
    raw.send(&[bind("", "s", &[1]), message(b'D', b"P\0"), execute("", 0), sync()].concat()).await;
    let replies = raw.until('Z').await;
    assert_eq!(tags(&replies), "2TDDDCZ");
    assert_eq!(replies[2].cells(), [Some(1_i64.to_be_bytes().to_vec())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_silences_the_batch_until_sync() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let script = [
        parse("", "SELECT no_such"),
        bind("", "", &[]),
        execute("", 0),
        message(b'Q', b"SELECT 1\0"),
        sync(),
        parse("", "SELECT 1"),
        bind("", "", &[]),
        execute("", 0),
        sync(),
    ];
    raw.send(&script.concat()).await;
    assert_eq!(tags(&raw.until('Z').await), "EZ");
    assert_eq!(tags(&raw.until('Z').await), "12DCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn misuse_gets_its_own_sqlstate() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    raw.send(&[parse("s", "SELECT 1"), sync()].concat()).await;
    raw.until('Z').await;
    let mut too_many = b"\0s\0\0\0\0\x01\0\0\0\x01x\0\0".to_vec();
    for (script, state) in [
        (parse("s", "SELECT 1"), "42P05"),
        (parse("", "SELECT 1; SELECT 2"), "42601"),
        (bind("", "none", &[]), "26000"),
        (execute("none", 0), "34000"),
        (bind("", "s", &[0, 0]), "08P01"),
        (message(b'B', &std::mem::take(&mut too_many)), "08P01"),
        (message(b'D', b"X\0"), "08P01"),
        (message(b'P', b"\0SELECT $1\0\0\x01\0\0\x02\x58"), "0A000"),
        (message(b'P', b"\0SELECT \xff\0\0\0"), "22021"),
        (message(b'B', b"\0"), "08P01"),
    ] {
        raw.send(&[script, sync()].concat()).await;
        let replies = raw.until('Z').await;
        assert_eq!(replies[0].field('C').as_deref(), Some(state), "{replies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_names_its_parameter() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let declared = b"\0SELECT $1, $2\0\0\x02\0\0\0\x19\0\0\0\x17";
    for (value, format, state) in [(b"abc".as_slice(), 0, "22P02"), (b"ab", 1, "22P03")] {
        let mut body = vec![0, 0, 0, 2, 0, 0, 0, format, 0, 2, 0, 0, 0, 1, b'x'];
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value);
        body.extend([0, 0]);
        raw.send(&[message(b'P', declared), message(b'B', &body), sync()].concat()).await;
        let replies = raw.until('Z').await;
        assert_eq!(replies[1].field('C').as_deref(), Some(state));
        assert!(replies[1].field('M').unwrap().starts_with("parameter $2: "), "{replies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_nothing_through_the_extended_protocol() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    let script = [
        parse("", "SET application_name = 'x'"),
        message(b'D', b"S\0"),
        bind("", "", &[]),
        execute("", 0),
        parse("", ""),
        bind("", "", &[]),
        message(b'D', b"P\0"),
        execute("", 0),
        message(b'C', b"Snone\0"),
        sync(),
    ];
    raw.send(&script.concat()).await;
    let replies = raw.until('Z').await;
    assert_eq!(tags(&replies), "1tn2C12nI3SZ");
    assert_eq!(replies[4].text(), "SET");
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_brings_replies_before_sync() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    raw.send(&[parse("", "SELECT 1"), message(b'D', b"S\0"), message(b'H', b"")].concat()).await;
    assert_eq!(tags(&raw.until('T').await), "1tT");
}

#[tokio::test(flavor = "multi_thread")]
async fn deallocate_and_discard_forget_statements() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server).await;
    for forget in ["DEALLOCATE s", "DEALLOCATE ALL", "DISCARD ALL"] {
        raw.send(&[parse("s", "SELECT 1"), sync()].concat()).await;
        assert_eq!(tags(&raw.until('Z').await), "1Z");
        assert_eq!(tags(&raw.query(forget).await), "CZ", "{forget}");
    }
    let replies = raw.query("DEALLOCATE s").await;
    assert_eq!(replies[0].field('C').as_deref(), Some("26000"));
}
