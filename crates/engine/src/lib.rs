//! The engine: SQL in, Arrow batches out, on a pinned warehouse version.
//!
//! # The life of a query
//!
//! 1. A front door, the CLI or the ETL asks [`Engine::session`] for a [`Session`].
//! 2. [`Session::parse`] reads the text once: tokens, then one tree per [`Statement`], each knowing where it stood.
//! 3. [`Session::prepare`] decides from the tree what is asked for (`command::classify`), refuses what touches the
//!    server's files (`forbidden::check`), pins a version ([`Session::version`]), gives the tree to DataFusion's planner
//!    with the names of that version (`planning::Planning`) and types the parameters. The result is a [`Prepared`].
//!    What was planned before and means the same is found instead (`plans::Plans`).
//! 4. [`Session::execute`] plans again if the warehouse moved on, optimises on the query threads, makes the physical
//!    plan stoppable (`guard::guard`) and drives its stream there; [`Rows`] hands the batches over through a small
//!    channel, so that a slow reader holds back its own query alone.
//! 5. [`Session::cancel`], `statement_timeout` and dropping the [`Rows`] all raise the same flag
//!    (`interrupt::Interrupt`).
//!
//! Mining functions (`udfs/*`) enter at three places: `desugar` before planning, a relation planner during it, and an
//! extension planner for their operators (`planner::EnginePlanner`).
//!
//! # What is deliberately absent
//!
//! No statement writes rows: tables are made by the ETL through `smartsneaks_lake`; CREATE MODEL adds to `ml.models`
//! alone ([`models`]). No SQL text is made from a tree. No door
//! sees DataFusion's `SessionContext`.

mod catalog;
mod command;
mod engine;
mod error;
mod forbidden;
mod guard;
mod interrupt;
mod memory;
pub mod models;
mod nearest;
mod opaque;
mod planner;
mod planning;
mod plans;
mod postgres;
mod project;
mod recent;
mod rows;
mod session;
pub mod settings;
mod statement;
mod variables;

pub use engine::{Engine, built_in};
pub use error::{Error, Fault, Kind};
pub use nearest::nearest;
pub use project::{FILE as PROJECT_FILE, Project};
pub use rows::{Output, Rows};
pub use session::{Prepared, Session, SessionOptions, TransactionState};
pub use settings::Settings;
pub use smartsneaks_table_function::{SqlArgument, SqlFunction, named_models, tokenize};
pub use statement::Statement;

/// The name of the one database; DataFusion calls it the catalog.
pub const CATALOG: &str = "smartsneaks";

/// The schema that bare names are looked up in.
pub const DEFAULT_SCHEMA: &str = "public";
