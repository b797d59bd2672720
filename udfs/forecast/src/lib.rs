//! Forecasts of many short series: the algorithms behind the table function `forecast`.
//!
//! The life of a series: [`regularise`] puts its rows on a calendar (one value a step, gaps as zero), [`forecast`] fits
//! a [`Model`] and returns one [`Point`] a step ahead, or says in an [`Unforecastable`] why it can't. Both know slices
//! only: no tables, threads, clocks or random numbers, so that the same history and [`Request`] give the same bits
//! everywhere.

mod auto;
mod calendar;
mod civil;
mod ets;
#[cfg(test)]
mod fixtures;
mod forecast;
mod frequency;
mod function;
mod interval;
mod model;
mod operator;
mod quantile;
mod season;
mod seasonal_naive;
mod simplex;
mod theta;
mod unforecastable;

pub use calendar::{GAP_LIMIT, Regular, regularise};
pub use forecast::{Forecast, MAX_HORIZON, Point, Request, forecast};
pub use frequency::{Frequency, UnknownFrequency};
pub use function::functions;
pub use model::{Model, UnknownModel};
pub use unforecastable::Unforecastable;
