//! Anomalies: the algorithms behind the table function `detect_anomalies`.
//!
//! All of them know slices only: no tables, threads, clocks or files, so that the same input and seed give the same bits
//! everywhere. [`series_method`] says which of them suits a series; [`forecast`] is for panels of daily sales,
//! [`IsolationForest`] for rows of features, [`stl`] for measurements at a regular step, [`robust_z`] for anything else,
//! and [`peer_outliers`] compares whole series.

mod auto;
mod error;
mod explanation;
pub mod forecast;
mod function;
mod isolation_forest;
mod loess;
mod matrix;
mod normal;
mod peers;
mod point;
mod quantile;
mod random;
mod robust_z;
mod rolling;
mod stl;
mod stl_residual;
mod trade;
mod windowed;

pub use auto::{Method, detect_series, series_method};
pub use error::Error;
pub use explanation::{Facts, driver, explain, explain_features};
pub use function::{functions, window_functions};
pub use isolation_forest::{Cutoff, ForestOptions, IsolationForest, judge_scores};
pub use matrix::{MAX_COLUMNS, Matrix};
pub use peers::{MAX_PEERS, Peer, PeerOptions, SEGMENTS, peer_outliers};
pub use point::{Contribution, Direction, Point, Severity, Side, Status};
pub use robust_z::{ROBUST_Z_THRESHOLD, anomaly_score_mad, robust_z};
pub use stl::{StlOptions, stl};
pub use trade::{PRICE_FEATURES, RETURNS_FEATURES, price_features, returns_features};
pub use windowed::{WINDOWED_FEATURES, windowed_features};
