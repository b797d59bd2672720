//! The first packets of a connection: encryption requests, cancel requests, start-up.

use std::collections::BTreeMap;

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::startup::{NegotiateProtocolVersion, Startup};
use smartsneaks_engine::SessionOptions;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::frontend::{Body, Broken, Frames};
use crate::replies::Replies;
use crate::report::Report;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// Names of protocol options start so; none is known yet.
const OPTION_PREFIX: &str = "_pq_.";

/// What a client came for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A session.
    Session { options: SessionOptions, long_secret: bool },
    /// To stop the statement of another connection.
    Cancel { id: i32, secret: Bytes },
}

/// Reads packets until the purpose is clear. `None`: the client left.
///
/// # Errors
/// [`Broken`] with what to tell the client.
pub(crate) async fn negotiate<R, W>(
    frames: &mut Frames<R>,
    replies: &mut Replies<W>,
) -> Result<Option<Purpose>, Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut ssl_asked, mut gss_asked) = (false, false);
    loop {
        let Some(packet) = frames.startup().await? else { return Ok(None) };
        let mut body = Body(packet);
        match body.u32().map_err(Broken::Protocol)? {
            SSL_REQUEST if !ssl_asked => {
                ssl_asked = true;
                replies.put(&PgWireBackendMessage::SslResponse(SslResponse::Refuse))?;
            }
            GSS_REQUEST if !gss_asked => {
                gss_asked = true;
                replies.put(&PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse))?;
            }
            CANCEL_REQUEST => {
                let id = body.u32().map_err(Broken::Protocol)?.cast_signed();
                return Ok(Some(Purpose::Cancel { id, secret: body.0 }));
            }
            version => return open(version, body, replies).map(Some),
        }
        replies.flush().await?;
    }
}

fn open<W: AsyncWrite + Unpin>(
    version: u32,
    mut body: Body,
    replies: &mut Replies<W>,
) -> Result<Purpose, Broken> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Err(Broken::Protocol(Report::fatal("0A000", message)));
    }
    let mut parameters = BTreeMap::new();
    loop {
        let name = body.text().map_err(fatal)?;
        if name.is_empty() {
            break;
        }
        parameters.insert(name, body.text().map_err(fatal)?);
    }
    let unknown: Vec<String> =
        parameters.keys().filter(|name| name.starts_with(OPTION_PREFIX)).cloned().collect();
    // There was never a 3.1.
    let agreed = match minor {
        0 | 1 => Startup::PROTOCOL_VERSION_3_0,
        _ => Startup::PROTOCOL_VERSION_3_2,
    };
    if minor == 1 || minor > 2 || !unknown.is_empty() {
        let offer = NegotiateProtocolVersion::new(agreed, unknown);
        replies.put(&PgWireBackendMessage::NegotiateProtocolVersion(offer))?;
    }
    parameters.retain(|name, _| !name.starts_with(OPTION_PREFIX));
    let options = session_options(parameters).map_err(Broken::Protocol)?;
    Ok(Purpose::Session { options, long_secret: agreed == Startup::PROTOCOL_VERSION_3_2 })
}

/// Sorts the start-up packet's parameters: who connects, and which variables are set.
fn session_options(mut parameters: BTreeMap<String, String>) -> Result<SessionOptions, Report> {
    let user = parameters
        .remove("user")
        .filter(|user| !user.is_empty())
        .ok_or_else(|| Report::fatal("28000", "no PostgreSQL user name specified in startup packet"))?;
    if parameters.remove("replication").is_some_and(|mode| !is_off(&mode)) {
        return Err(Report::fatal("0A000", "replication connections are not supported"));
    }
    let database = parameters.remove("database").unwrap_or_else(|| user.clone());
    let application_name = parameters.remove("application_name").unwrap_or_default();
    let mut settings = switches(&parameters.remove("options").unwrap_or_default())?;
    settings.extend(parameters);
    Ok(SessionOptions { user, database, application_name, settings, ..SessionOptions::default() })
}

/// `-c name=value`, `-cname=value` and `--name=value`; a backslash keeps the next character, a blank too.
fn switches(options: &str) -> Result<Vec<(String, String)>, Report> {
    let mut words = vec![String::new()];
    let mut characters = options.chars();
    while let Some(c) = characters.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (c, _) if c.is_whitespace() => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") if word == "-c" => words.next().unwrap_or_default(),
            Some(rest) => rest.to_owned(),
            None => String::new(),
        };
        let Some((name, value)) = assignment.split_once('=') else {
            let report = Report::fatal("42601", format!("invalid command-line argument for server: {word}"))
                .with_hint("options take the form -c name=value");
            return Err(report);
        };
        // As on PostgreSQL's command line, dashes stand for underscores in names.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn is_off(mode: &str) -> bool {
    ["off", "false", "no", "0"].contains(&mode)
}

/// Nothing has been agreed on yet, so that every error ends the connection.
fn fatal(report: Report) -> Broken {
    Broken::Protocol(Report::violation(report.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u32, parameters: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(8 + parameters.len()).unwrap().to_be_bytes().to_vec();
        out.extend(version.to_be_bytes());
        out.extend(parameters);
        out
    }

    async fn meet(bytes: &[u8]) -> (Result<Option<Purpose>, Broken>, Vec<u8>) {
        let mut sent = Vec::new();
        let purpose = {
            let mut replies = Replies::new(&mut sent);
            let purpose = negotiate(&mut Frames::new(bytes), &mut replies).await;
            replies.flush().await.unwrap();
            purpose
        };
        (purpose, sent)
    }

    #[tokio::test]
    async fn encryption_is_declined_and_the_session_opens() {
        let mut bytes = packet(SSL_REQUEST, b"");
        bytes.extend(packet(GSS_REQUEST, b""));
        bytes.extend(packet(
            3 << 16,
            b"user\0ana\0application_name\0psql\0TimeZone\0Asia/Kolkata\0options\0-c a.b=1\\ 2 --c-d=3\0\0",
        ));
        let (purpose, sent) = meet(&bytes).await;
        assert_eq!(sent, b"NN");
        let Ok(Some(Purpose::Session { options, long_secret: false })) = purpose else {
            panic!("{purpose:?}")
        };
        assert_eq!((options.user.as_str(), options.database.as_str()), ("ana", "ana"));
        assert_eq!(options.application_name, "psql");
        let settings: Vec<(&str, &str)> =
            options.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(settings, [("a.b", "1 2"), ("c_d", "3"), ("TimeZone", "Asia/Kolkata")]);
    }

    #[tokio::test]
    async fn newer_minor_versions_are_negotiated_down() {
        let (purpose, sent) = meet(&packet((3 << 16) | 9999, b"user\0a\0_pq_.x\0y\0\0")).await;
        assert!(matches!(purpose, Ok(Some(Purpose::Session { long_secret: true, .. }))));
        assert_eq!(sent[0], b'v');
        assert_eq!(sent[5..9], Startup::PROTOCOL_VERSION_3_2.to_be_bytes());
        assert!(sent.ends_with(b"\0\0\0\x01_pq_.x\0"));
        let (_, sent) = meet(&packet((3 << 16) | 2, b"user\0a\0\0")).await;
        assert!(sent.is_empty());
    }

    #[tokio::test]
    async fn what_is_wrong_ends_the_connection() {
        for bytes in [
            packet(2 << 16, b"user\0a\0\0"),
            packet(3 << 16, b"\0"),
            packet(3 << 16, b"user\0a"),
            packet(3 << 16, b"user\0a\0options\0-x\0\0"),
            packet(3 << 16, b"user\0a\0replication\0true\0\0"),
            [packet(SSL_REQUEST, b""), packet(SSL_REQUEST, b"")].concat(),
        ] {
            let (purpose, _) = meet(&bytes).await;
            assert!(matches!(&purpose, Err(Broken::Protocol(report)) if report.is_fatal()), "{purpose:?}");
        }
    }

    #[tokio::test]
    async fn cancel_requests_carry_secrets_of_any_length() {
        let (purpose, _) = meet(&packet(CANCEL_REQUEST, b"\0\0\0\x07secretsecret")).await;
        let Ok(Some(Purpose::Cancel { id: 7, secret })) = purpose else { panic!("{purpose:?}") };
        assert_eq!(secret.as_ref(), b"secretsecret");
    }
}
