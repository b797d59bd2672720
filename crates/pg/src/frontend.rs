//! What clients send: framing and decoding.
//!
//! Frames are cut out whole before a byte of them is read, and each field is checked against the frame's end, so that
//! broken or hostile messages can neither panic nor read into their neighbours. (pgwire's own decoders trust lengths.)

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Parse};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::report::Report;

/// The longest statement or set of parameters, in bytes.
const MAX_LONG: usize = 64 << 20;
/// The longest of the messages that hold no statement and no values.
const MAX_SHORT: usize = 10_000;
/// Bytes taken in advance from a client that sends while its statement runs.
const MAX_AHEAD: usize = 256 << 10;
/// Bytes asked from the socket at a time.
const READ: usize = 8 << 10;

/// Cuts a connection's bytes into frames.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    socket: R,
    buffer: BytesMut,
}

/// A message whose content has not been looked at.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    body: Bytes,
}

/// One message of a client.
#[derive(Debug)]
pub(crate) enum Message {
    Query(String),
    Parse(Parse),
    Bind(Bind),
    Describe(Describe),
    Execute(Execute),
    Close(Close),
    Sync,
    Flush,
    Terminate,
    /// Data of a COPY that was refused: PostgreSQL ignores it, too.
    Copy,
    FunctionCall,
}

/// Why no frame came.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The socket failed or was closed in the middle of a frame.
    Socket,
    /// The client is to be told this before the connection is closed.
    Protocol(Report),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Socket
    }
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(socket: R) -> Self {
        Self { socket, buffer: BytesMut::new() }
    }

    /// The next start-up packet (no tag; the body after its length). `None`: the client has gone. Cancel safe.
    ///
    /// # Errors
    /// [`Broken`] when the socket fails or the length makes no sense.
    pub(crate) async fn startup(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some(mut length) = self.buffer.get(..4) {
                let length = length.get_u32() as usize;
                if !(8..=MAX_SHORT).contains(&length) {
                    return Err(Broken::Protocol(Report::violation("invalid length of startup packet")));
                }
                if self.buffer.len() >= length {
                    let mut packet = self.buffer.split_to(length);
                    packet.advance(4);
                    return Ok(Some(packet.freeze()));
                }
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next message. `None`: the client has gone. Cancel safe.
    ///
    /// # Errors
    /// [`Broken`] when the socket fails, the type is unknown, or the length is over the limit.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, Broken> {
        loop {
            if let Some(tag) = self.buffer.first().copied() {
                let limit = limit(tag).ok_or_else(|| {
                    Broken::Protocol(Report::violation(format!("invalid frontend message type {tag}")))
                })?;
                if let Some(mut length) = self.buffer.get(1..5) {
                    let length = length.get_u32() as usize;
                    if !(4..=limit).contains(&length) {
                        let message = format!(
                            "invalid length of a message of type {}: expected 4 to {limit} bytes, found {length}",
                            char::from(tag)
                        );
                        return Err(Broken::Protocol(Report::violation(message)));
                    }
                    if self.buffer.len() > length {
                        let mut body = self.buffer.split_to(length + 1);
                        body.advance(5);
                        return Ok(Some(Frame { tag, body: body.freeze() }));
                    }
                }
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Returns when the client has gone. What it sends meanwhile is kept, up to a limit; beyond it nothing more is
    /// read, and the departure shows when the next reply is written. Cancel safe.
    pub(crate) async fn gone(&mut self) {
        while self.buffer.len() < MAX_AHEAD {
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Reads and forgets until the client closes: a socket that is closed with bytes unread would be reset, and the
    /// last report lost.
    pub(crate) async fn drain(&mut self) {
        self.buffer.clear();
        while matches!(self.fill().await, Ok(true)) {
            self.buffer.clear();
        }
    }

    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ);
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }
}

impl Frame {
    /// Whether an error in this message is followed by silence until Sync.
    pub(crate) fn is_extended(&self) -> bool {
        matches!(self.tag, b'P' | b'B' | b'D' | b'E' | b'C')
    }

    /// Reads the content.
    ///
    /// # Errors
    /// 08P01 when it is too short or too long, 22021 for text that is not UTF-8.
    pub(crate) fn decode(self) -> Result<Message, Report> {
        let mut body = Body(self.body);
        let message = match self.tag {
            b'Q' => Message::Query(body.text()?),
            b'P' => {
                let (name, query) = (body.text()?, body.text()?);
                let count = body.u16()?;
                let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
                Message::Parse(Parse::new(Some(name), query, types))
            }
            b'B' => {
                let (portal, statement) = (body.text()?, body.text()?);
                let formats = body.codes()?;
                let count = body.u16()?;
                let parameters = (0..count).map(|_| body.value()).collect::<Result<_, _>>()?;
                let results = body.codes()?;
                Message::Bind(Bind::new(Some(portal), Some(statement), formats, parameters, results))
            }
            b'D' => Message::Describe(Describe::new(body.u8()?, Some(body.text()?))),
            b'C' => Message::Close(Close::new(body.u8()?, Some(body.text()?))),
            b'E' => {
                let name = body.text()?;
                Message::Execute(Execute::new(Some(name), body.u32()?.cast_signed()))
            }
            b'S' => Message::Sync,
            b'H' => Message::Flush,
            b'X' => Message::Terminate,
            b'F' => return Ok(Message::FunctionCall),
            _ => return Ok(Message::Copy),
        };
        if body.0.is_empty() { Ok(message) } else { Err(Report::error("08P01", "invalid message format")) }
    }
}

/// The longest message of a type, its length field included; `None` for types that no client sends.
fn limit(tag: u8) -> Option<usize> {
    match tag {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Some(MAX_LONG),
        b'D' | b'C' | b'E' | b'S' | b'H' | b'X' | b'c' | b'f' => Some(MAX_SHORT),
        _ => None,
    }
}

/// A message's content, read field by field.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Bytes);

impl Body {
    pub(crate) fn u8(&mut self) -> Result<u8, Report> {
        self.0.try_get_u8().map_err(|_| short())
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Report> {
        self.0.try_get_u16().map_err(|_| short())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Report> {
        self.0.try_get_u32().map_err(|_| short())
    }

    pub(crate) fn text(&mut self) -> Result<String, Report> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        match std::str::from_utf8(&text) {
            Ok(text) => Ok(text.to_owned()),
            Err(e) => Err(not_utf8(text.get(e.valid_up_to()).copied().unwrap_or_default())),
        }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<Bytes, Report> {
        if length > self.0.len() {
            return Err(short());
        }
        Ok(self.0.split_to(length))
    }

    /// A length and as many bytes; -1 is NULL.
    pub(crate) fn value(&mut self) -> Result<Option<Bytes>, Report> {
        match self.u32()?.cast_signed() {
            -1 => Ok(None),
            length => self.bytes(usize::try_from(length).map_err(|_| short())?).map(Some),
        }
    }

    fn codes(&mut self) -> Result<Vec<i16>, Report> {
        let count = self.u16()?;
        (0..count).map(|_| self.u16().map(u16::cast_signed)).collect()
    }
}

/// Text that is not UTF-8, with the first byte that is wrong.
pub(crate) fn not_utf8(byte: u8) -> Report {
    Report::error("22021", format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"))
}

fn short() -> Report {
    Report::error("08P01", "insufficient data left in message")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn one(bytes: &[u8]) -> Result<Option<Frame>, Broken> {
        Frames::new(bytes).next().await
    }

    #[tokio::test]
    async fn a_query_is_read_whole() {
        let frame = one(b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04").await.unwrap().unwrap();
        assert!(matches!(frame.decode().unwrap(), Message::Query(q) if q == "SELECT 1"));
    }

    #[tokio::test]
    async fn hostile_lengths_are_refused_before_they_are_believed() {
        for bytes in [b"Q\xff\xff\xff\xff".as_slice(), b"Q\0\0\0\x03", b"S\x7f\0\0\0", b"\x16\x03\x01\x02\0"]
        {
            assert!(matches!(one(bytes).await, Err(Broken::Protocol(_))), "{bytes:?}");
        }
        assert!(one(b"Q\0\0").await.unwrap().is_none(), "cut off");
        let http = Frames::new(b"GET / HTTP/1.1\r\n".as_slice()).startup().await;
        assert!(matches!(http, Err(Broken::Protocol(_))));
    }

    #[tokio::test]
    async fn truncated_bodies_are_errors() {
        // A Bind that promises 65535 parameters, and one whose parameter is longer than the message.
        for body in [b"\0\0\0\0\xff\xff".as_slice(), b"\0\0\0\0\0\x01\0\0\0\x63x", b"\0", b""] {
            let mut bytes = vec![b'B'];
            bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            bytes.extend(body);
            let frame = one(&bytes).await.unwrap().unwrap();
            assert!(frame.is_extended());
            assert_eq!(frame.decode().unwrap_err().sqlstate(), "08P01");
        }
        let frame = one(b"Q\0\0\0\x06\xff\0").await.unwrap().unwrap();
        assert_eq!(frame.decode().unwrap_err().sqlstate(), "22021");
        let frame = one(b"S\0\0\0\x05x").await.unwrap().unwrap();
        assert_eq!(frame.decode().unwrap_err().sqlstate(), "08P01");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for tag in *b"QPBDECSHXFdcf" {
                let _ = Frame { tag, body: Bytes::copy_from_slice(&bytes) }.decode();
            }
        }
    }
}
