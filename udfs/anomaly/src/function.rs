//! The table functions of this family, and what their arguments have in common.

mod peers;
mod rows;
mod score_mad;
mod series;

use std::sync::Arc;

use datafusion::logical_expr::WindowUDF;
use smartsneaks_table_function::{
    Argument, ArgumentError, Arguments, Function, Kind, RelationFunction, TableFunction,
};

use crate::Error;
use crate::isolation_forest::{Cutoff, ForestOptions};

/// The table functions of this family: `detect_anomalies` over rows of features and over series, and `peer_outliers`.
pub fn functions() -> Vec<Function> {
    let rows: Arc<dyn RelationFunction> = Arc::new(rows::DetectRows);
    let series: [Arc<dyn TableFunction>; 2] = [Arc::new(series::DetectSeries), Arc::new(peers::PeerOutliers)];
    std::iter::once(Function::from(rows)).chain(series.into_iter().map(Function::from)).collect()
}

/// The window functions of this family: `anomaly_score_mad`.
#[must_use]
pub fn window_functions() -> Vec<WindowUDF> {
    vec![WindowUDF::new_from_impl(score_mad::AnomalyScoreMad::new())]
}

const THRESHOLD: Argument = Argument {
    name: "threshold",
    kind: Kind::Float,
    default: None,
    doc: "score from which a point is an anomaly: a robust z for robust_z and stl (default 3.5), an isolation score \
          between 0.5 and 1 for isolation_forest (0.6), -log10 of the p-value for forecast (default: so that one alarm \
          in five is false)",
};
const CONTAMINATION: Argument = Argument {
    name: "contamination",
    kind: Kind::Float,
    default: None,
    doc: "share of points that isolation_forest takes for anomalies, above 0 and at most 0.5, instead of a threshold",
};
const SEED: Argument = Argument {
    name: "seed",
    kind: Kind::Integer,
    default: Some("42"),
    doc: "seed of an isolation forest: the same rows, arguments and seed give the same scores",
};

/// The threshold, if one was given.
fn threshold(arguments: &Arguments) -> Result<Option<f64>, ArgumentError> {
    match arguments.float(THRESHOLD.name) {
        Some(threshold) if !(threshold > 0.0 && threshold.is_finite()) => {
            Err(arguments.error(THRESHOLD.name, format!("threshold must be above 0, not {threshold}")))
        }
        threshold => Ok(threshold),
    }
}

/// What an isolation forest takes for an anomaly.
fn cutoff(arguments: &Arguments) -> Result<Cutoff, ArgumentError> {
    match (arguments.float(CONTAMINATION.name), threshold(arguments)?) {
        (Some(_), Some(_)) => {
            Err(arguments.error(CONTAMINATION.name, "contamination and threshold can't both be given"))
        }
        (Some(share), None) if share > 0.0 && share <= 0.5 => Ok(Cutoff::Contamination(share)),
        (Some(share), None) => {
            let message = format!("contamination must be above 0 and at most 0.5, not {share}");
            Err(arguments.error(CONTAMINATION.name, message))
        }
        (None, Some(threshold)) if threshold > 0.5 && threshold < 1.0 => Ok(Cutoff::Threshold(threshold)),
        (None, Some(threshold)) => {
            let message = format!("threshold of isolation_forest must be between 0.5 and 1, not {threshold}");
            Err(arguments.error(THRESHOLD.name, message))
        }
        (None, None) => Ok(Cutoff::default()),
    }
}

fn forest(arguments: &Arguments) -> ForestOptions {
    let seed = arguments.integer(SEED.name).unwrap_or_default().cast_unsigned();
    ForestOptions { seed, ..ForestOptions::default() }
}

/// A short name for the `status` column.
fn code(error: &Error) -> &'static str {
    match error {
        Error::TooFew { .. } => "too_short",
        _ => "unsuitable",
    }
}
