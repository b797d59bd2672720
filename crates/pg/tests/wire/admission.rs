//! Who gets in, and what is thrown at the door.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::Server;
use crate::raw::{Raw, message, startup};

#[tokio::test(flavor = "multi_thread")]
async fn the_greeting_tells_settings_and_a_secret() {
    let server = Server::start().await;
    let mut raw = Raw::dial(&server).await;
    raw.send(&startup(&[
        ("user", "ana"),
        ("application_name", "wire"),
        ("options", "-c TimeZone=Asia/Kolkata"),
    ]))
    .await;
    let replies = raw.until('Z').await;
    assert_eq!(replies[0].body, [0; 4]);
    let told: Vec<String> = replies.iter().filter(|r| r.tag == 'S').map(super::raw::Reply::text).collect();
    for expected in ["application_name\0wire", "TimeZone\0Asia/Kolkata", "client_encoding\0UTF8"] {
        assert!(told.iter().any(|setting| setting == expected), "{told:?}");
    }
    assert!(told.iter().any(|setting| setting.starts_with("server_version\0")));
    let key = replies.iter().find(|reply| reply.tag == 'K').unwrap();
    assert_eq!(key.body.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_seat_is_said_and_a_freed_seat_is_given() {
    let server = Server::with(|settings| settings.max_connections = 1).await;
    let first = Raw::open(&server).await;
    let refused = server.try_connect().await.unwrap_err();
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("53300"));
    drop(first);
    let start = Instant::now();
    while server.try_connect().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(2));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_the_server_lives_on() {
    let server = Server::start().await;
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x09\0\x03\0\0\0",
        b"\0\0\0\x08\x12\x34\x56\x78",
    ];
    for bytes in garbage {
        let mut raw = Raw::dial(&server).await;
        raw.send(bytes).await;
        let reply = raw.next().await.unwrap();
        assert_eq!(reply.field('S').as_deref(), Some("FATAL"), "{bytes:?}");
        assert!(raw.next().await.is_none(), "closed");
    }
    for bytes in [b"Q\xff\xff\xff\xff".as_slice(), b"Q\0\0\0\0", b"\x00\0\0\0\x04", b"Z\0\0\0\x05I"] {
        let mut raw = Raw::open(&server).await;
        raw.send(bytes).await;
        let reply = raw.next().await.unwrap();
        assert_eq!(reply.field('C').as_deref(), Some("08P01"), "{bytes:?}");
        assert!(raw.next().await.is_none(), "closed");
    }
    let mut raw = Raw::open(&server).await;
    raw.send(&message(b'F', b"\0\0\0\x01")).await;
    assert_eq!(raw.until('Z').await[0].field('C').as_deref(), Some("0A000"));
    assert_eq!(raw.query("SELECT 1").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_declined_with_one_byte() {
    let server = Server::start().await;
    let mut raw = Raw::dial(&server).await;
    raw.send(b"\0\0\0\x08\x04\xd2\x16\x2f").await;
    assert_eq!(raw.stream.read_u8().await.unwrap(), b'N');
    raw.send(b"\0\0\0\x08\x04\xd2\x16\x30").await;
    assert_eq!(raw.stream.read_u8().await.unwrap(), b'N');
    raw.send(&startup(&[("user", "ana")])).await;
    assert_eq!(raw.until('Z').await[0].tag, 'R');
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_sent_away() {
    let server = Server::start().await;
    let mut raw = Raw::dial(&server).await;
    raw.stream.write_all(b"\0\0").await.unwrap();
    let reply = raw.next().await.unwrap();
    assert_eq!(reply.field('M').as_deref(), Some("the start-up took too long"));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_beyond_this_machine_are_not_served() {
    let server = Server::start().await;
    let engine =
        smartsneaks_engine::Engine::open(smartsneaks_engine::Settings::embedded("memory:")).await.unwrap();
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = smartsneaks_pg::serve(listener, engine, server.shutdown.clone()).await;
    assert!(matches!(refused, Err(smartsneaks_pg::Error::Exposed(_))));
}
