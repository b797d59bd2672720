//! Which segments of a table drove a change of a metric: the algorithms behind the table function `key_drivers`.
//!
//! [`key_drivers`] compares the rows of interest with the rows of reference: it sums the metric over every segment
//! (a combination of dimension values) that is large enough, says by how much each changed and by how much more than
//! the rest of the data, leaves out segments that say nothing new, and explains each in a sentence. It knows slices
//! only: no tables, threads or clocks. Work that can run side by side is handed to a [`Run`] of the caller's; the same
//! table and [`Options`] give the same bits whatever it does.

mod error;
mod explain;
mod function;
mod insight;
mod key_drivers;
mod redundancy;
mod search;
mod shapley;
mod sums;
mod table;

pub use error::InsightError;
pub use function::functions;
pub use insight::{Insight, RatioFigures};
pub use key_drivers::{Drivers, Options, key_drivers};
pub use search::{MOST_COMBINED, MOST_SEGMENTS};
pub use smartsneaks_table_function::{Run, in_order};
pub use table::{Dimension, MOST_DIMENSIONS, Metric, Table};
