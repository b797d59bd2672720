//! Raw files to a versioned star schema, as SQL.
//!
//! A project is a folder: `smartsneaks.toml` declares its sources, `sql/<layer>/<table>.sql` its tables. [`run`](run::run)
//! 1. reads the SQL files and their headers ([`model::Models::load`]),
//! 2. orders them by the tables that their SQL names ([`graph::Graph::new`]),
//! 3. finds the files of the sources in use and reads their headers ([`source::Declarations::open`]),
//! 4. runs each model in one pass that sorts its rows into loaded, quarantined and deduplicated,
//! 5. runs the checks on what was written,
//! 6. and commits everything, with its own records in schema `etl`, as one warehouse version.
//!
//! Whatever fails before the commit leaves the warehouse as it was.

mod check;
pub mod error;
mod fault;
pub mod function;
pub mod graph;
pub mod header;
mod incremental;
mod intake;
mod learn;
mod ledger;
mod load;
pub mod model;
mod pass;
pub mod progress;
mod quarantine;
mod references;
pub mod report;
mod rule;
pub mod run;
pub mod source;
mod text;

pub use error::EtlError;
pub use learn::train;
pub use progress::Progress;
pub use report::{ModelReport, Report};
pub use run::{Selection, run};
