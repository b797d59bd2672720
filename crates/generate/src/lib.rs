//! Raw retail data of any size, as a sneaker chain in Tamil Nadu would hand it over: sales logs by month, customers, a
//! catalogue, promotions, and beside them the truth about what was injected.
//!
//! The life of a run: [`Options`] are checked, a `World` is drawn from the seed (towns and shops, products, promotions,
//! weather, anomalies, stock-outs) and the orders are shared out over its days. From there every sale is a pure function
//! of the seed and its own number, so that the months are written in parallel, each in one pass and in little memory,
//! and come out byte for byte the same on any number of threads.
//!
//! `data/README.md` in the project's root describes the files column by column.

mod alias;
mod anomalies;
mod calendar;
mod catalog;
mod customers;
mod demand;
mod dirt;
mod error;
mod month;
mod options;
mod orders;
mod output;
mod places;
mod promotions;
mod random;
mod stockouts;
mod truth;
mod weather;

pub use error::Error;
pub use options::Options;
pub use truth::{Counts, Summary};

/// Generates raw data under [`Options::out`] and says what was written.
///
/// `progress` is called on the caller's thread with the number of sale orders done so far, a few times a month of data.
///
/// # Errors
/// [`Error::Option`] when an option is out of range, [`Error::Foreign`] when the folder holds sales files that this run
/// would not overwrite, [`Error::Io`] when a file can't be written.
pub fn generate(options: &Options, progress: &mut dyn FnMut(u64)) -> Result<Summary, Error> {
    options.check()?;
    let world = demand::World::new(options)?;
    output::write_all(options, &world, progress)
}
