//! What clients are sent: a bounded buffer in front of the socket.

use std::io;

use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::report::Report;

/// Bytes that gather before they are sent.
const FULL: usize = 64 << 10;
/// A buffer that one wide row has blown up beyond this is given back.
const KEEP: usize = 1 << 20;

/// Gathers messages and sends them. While a client does not read, [`Replies::flush`] waits, and so does whoever makes
/// the rows: memory stays flat.
#[derive(Debug)]
pub(crate) struct Replies<W> {
    socket: W,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> Replies<W> {
    pub(crate) fn new(socket: W) -> Self {
        Self { socket, buffer: BytesMut::new() }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// When it is longer than its kind may be.
    pub(crate) fn put(&mut self, message: &PgWireBackendMessage) -> io::Result<()> {
        Ok(message.encode(&mut self.buffer)?)
    }

    /// Adds an error report.
    ///
    /// # Errors
    /// As for [`Replies::put`].
    pub(crate) fn report(&mut self, report: &Report) -> io::Result<()> {
        self.put(&PgWireBackendMessage::ErrorResponse(report.response()))
    }

    /// Where rows are written, whole messages only.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether it is time to flush.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    /// Sends everything. Cancel safe: what was not sent is still there, at the right byte.
    ///
    /// # Errors
    /// When the client has gone.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            let sent = self.socket.write(&self.buffer).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.buffer.advance(sent);
        }
        if self.buffer.capacity() > KEEP {
            self.buffer = BytesMut::new();
        } else {
            self.buffer.clear();
        }
        self.socket.flush().await
    }

    /// Sends everything, then tells the client that nothing more will come.
    ///
    /// # Errors
    /// When the client has gone.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.socket.shutdown().await
    }
}
