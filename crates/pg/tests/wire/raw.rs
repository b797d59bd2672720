//! A client that sends exactly the bytes it is told to.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Server;

/// Longer than any answer takes, shorter than a person waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    pub(crate) id: i32,
    pub(crate) secret: Vec<u8>,
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) tag: char,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The tag of a CommandComplete, the status of a ReadyForQuery.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end_matches('\0').to_owned()
    }

    /// A field of an ErrorResponse.
    pub(crate) fn field(&self, code: char) -> Option<String> {
        self.body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&u8::try_from(code).unwrap()))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }

    /// The cells of a DataRow.
    pub(crate) fn cells(&self) -> Vec<Option<Vec<u8>>> {
        let mut rest = &self.body[2..];
        let mut cells = Vec::new();
        while !rest.is_empty() {
            let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            cells.push(usize::try_from(length).ok().map(|length| {
                let (cell, after) = rest.split_at(length);
                rest = after;
                cell.to_vec()
            }));
        }
        cells
    }
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Binds no parameters; `formats` are the result's.
pub(crate) fn bind(portal: &str, statement: &str, formats: &[u16]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0\0\0").into_bytes();
    body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
    for format in formats {
        body.extend(format.to_be_bytes());
    }
    message(b'B', &body)
}

pub(crate) fn execute(portal: &str, rows: u32) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend(rows.to_be_bytes());
    message(b'E', &body)
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (3_u32 << 16).to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    let mut out = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    out.extend(body);
    out
}

impl Raw {
    /// A socket on which nothing was said.
    pub(crate) async fn dial(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        Self { stream, id: 0, secret: Vec::new() }
    }

    /// A session.
    pub(crate) async fn open(server: &Server) -> Self {
        let mut raw = Self::dial(server).await;
        raw.send(&startup(&[("user", "tester"), ("database", "smartsneaks")])).await;
        for reply in raw.until('Z').await {
            if reply.tag == 'K' {
                raw.id = i32::from_be_bytes(reply.body[..4].try_into().unwrap());
                raw.secret = reply.body[4..].to_vec();
            }
        }
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Vec<Reply> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes())).await;
        self.until('Z').await
    }

    /// The next message; `None` when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Reply> {
        timeout(PATIENCE, async {
            let tag = self.stream.read_u8().await.ok()?;
            let length = self.stream.read_u32().await.ok()? as usize - 4;
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Reply { tag: char::from(tag), body })
        })
        .await
        .expect("the server says nothing")
    }

    /// Messages up to one with this tag, that one included.
    pub(crate) async fn until(&mut self, tag: char) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let reply = self.next().await.unwrap_or_else(|| panic!("closed after {replies:?}"));
            let last = reply.tag == tag;
            replies.push(reply);
            if last {
                return replies;
            }
        }
    }
}

pub(crate) fn tags(replies: &[Reply]) -> String {
    replies.iter().map(|reply| reply.tag).collect()
}
