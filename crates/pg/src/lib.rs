//! The Postgres front door: bytes, admission and encoding. What statements mean is the engine's business.
//!
//! A connection's life: [`serve`] accepts it, `startup` finds out what it came for, `connection` takes its messages
//! one by one (`frontend` cuts and decodes them). The simple protocol is in `connection`, the extended one in
//! `extended` (names, types, parameters through `parameter`) and `portal` (rows, limits). Rows go through `encode`,
//! batch by batch, into `replies`, a bounded buffer: a client that reads slowly holds back its own statement and no
//! memory. While a statement runs, its socket is read on, so that a departure stops the statement at once; `cancel`
//! does the same for cancel requests.
//!
//! The loop is ours and the message formats are pgwire's: its own loop buffers extended results whole, does not notice
//! departures and trusts the lengths that clients send.
//!
//! Deliberately absent: passwords and TLS (so that only loopback addresses are served), COPY, replication.

mod cancel;
mod connection;
mod encode;
mod extended;
mod frontend;
mod oid;
mod parameter;
mod portal;
mod replies;
mod report;
mod server;
mod startup;

pub use server::{Error, serve};
