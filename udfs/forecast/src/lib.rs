//! Forecasts of many short series: the algorithms behind the table function `forecast`.
//!
//! The life of a series: [`regularise`] puts its rows on a calendar (one value a step, gaps as zero), [`forecast`] fits
//! a [`Model`] and returns one [`Point`] a step ahead, or says in an [`Unforecastable`] why it can't. Many daily series
//! learn from each other: [`prepare`] each, [`train`] on all, then [`PanelModel::predict`]. [`forecast_with`]
//! knows [`Covariate`]s, [`explain`] takes the forecast apart, [`evaluate`] says how well models would have done;
//! [`seasonality`] and [`changepoints`] describe a series. All know slices only: no tables, threads, clocks or random
//! numbers, so that the same history and [`Request`] give the same bits everywhere.

mod arima;
mod auto;
mod calendar;
mod ces;
mod changepoint;
mod civil;
mod combination;
mod covariate;
mod drift;
mod ets;
mod evaluate;
mod explain;
#[cfg(test)]
mod fixtures;
mod forecast;
mod frequency;
mod function;
mod gaps;
mod holiday;
mod holiday_effect;
mod intermittent;
mod interval;
mod linear;
mod loess;
mod metric;
mod model;
mod mstl;
mod multi_seasonal;
mod operator;
mod panel;
mod prophet;
mod quantile;
mod regression;
mod season;
mod seasonal_naive;
mod seasonality;
mod seasons;
mod simplex;
mod stl;
mod theta;
mod transform;
mod unforecastable;

pub use calendar::{GAP_LIMIT, Regular, regularise};
pub use changepoint::{Change, Segment, changepoints};
pub use covariate::{Cause, Covariate, MAX_COVARIATES};
pub use evaluate::{Evaluation, MAX_WINDOWS, evaluate};
pub use explain::{Component, Explanation, explain};
pub use forecast::{Forecast, MAX_HORIZON, Point, Request, forecast, forecast_with};
pub use frequency::{Frequency, UnknownFrequency};
pub use function::{functions, timestamps};
pub use gaps::{Gaps, regularise_with};
pub use holiday::{Holiday, HolidayRegion};
pub use metric::Metrics;
pub use model::{Model, UnknownModel};
pub use panel::{
    BadHierarchy, BadPanelModel, Hierarchy, PANEL_HISTORY, PANEL_HORIZON, PanelForecast, PanelLoss,
    PanelMethod, PanelModel, PanelReport, PanelRequest, PanelScore, PreparedSeries, Reconciliation,
    Series as PanelSeries, prepare, reconcile, train,
};
pub use seasonality::{Season, Seasonality, seasonality};
pub use seasons::Seasons;
pub use unforecastable::Unforecastable;
