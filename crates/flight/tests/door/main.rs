//! The Flight SQL door, reached by `arrow_flight`'s client over TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod catalog;
mod limits;
mod prepared;
mod server;
mod session;
mod statement;
