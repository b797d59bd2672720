//! Delta Lake tables under numbered warehouse versions.
//!
//! Every table is a Delta table, so that Spark, DuckDB and Polars read it too. Delta has no transaction over several
//! tables; a warehouse [`Version`] gives it: a manifest says which Delta version of each table belongs together.
//!
//! A write: [`Lake::begin`] pins the head; [`Transaction::write`] streams rows to Parquet files and commits them to the
//! table's Delta log, which no reader of the warehouse sees yet; [`Transaction::commit`] puts the next manifest with a
//! create-only put, and with that the whole run becomes visible at once. Whatever a crashed run left beyond the pinned
//! Delta versions is undone by the next write to that table.
//!
//! A read: [`Lake::head`], [`Lake::version`] or [`Lake::at`] gives a version, and [`Lake::table`] a `TableProvider` over
//! exactly that version's files, with partitions and statistics from the Delta log to prune them.
//!
//! Deliberately absent: deletion vectors, column mapping, automatic retries of Delta commits, and any write that goes
//! around a transaction.

pub mod crash;
mod data_files;
mod delta;
mod durable;
mod error;
mod file_index;
mod lake;
mod log;
mod open_tables;
mod partition;
mod protocol;
mod provider;
mod root;
mod schema;
mod statistics;
mod transaction;
mod version;

pub use error::LakeError;
pub use lake::Lake;
pub use provider::is_pinned;
pub use transaction::{Transaction, WriteMode};
pub use version::{TableEntry, Version, ViewEntry};
