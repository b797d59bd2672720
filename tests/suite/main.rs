//! Tests of the whole: SQL through every front door, the demo held to its truth, and what stops a statement.
//! The command line and crashes are tested beside the binary, in crates/cli/tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod bits;
mod doors;
mod explain;
mod insights;
mod limits;
mod models;
mod reference;
mod segments;
mod slt;
mod truth;
