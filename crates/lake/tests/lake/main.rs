//! The lake as its users see it: whole transactions, whole scans, and processes that die in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads with DataFusion's own SQL"
)]

mod crashes;
mod pruning;
mod support;
mod transactions;
