//! The binary as a user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod command_line;
mod crash;
mod project;
mod quick_start;
mod s3;
