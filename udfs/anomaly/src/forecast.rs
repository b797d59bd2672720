//! Anomalies of daily sales: what can't be explained by level, calendar, holidays and promotions.
//!
//! [`Profile::fit`] learns from the sum of all series what they share, [`Expectation::fit`] expects each day of a series.
//! [`SaleSizes`] and then [`PanelSurprises`] collect how the days of all series stray about that, so that at last [`judge`]
//! knows how improbable a deviation is. A threshold then means the same for a series that sells one pair a
//! month and one that sells a thousand a day, and false alarms can be counted over thousands of series.

mod calendar;
mod compound;
mod effect;
mod expectation;
mod level;
mod panel;
mod profile;
mod sizes;
mod spread;
mod tail;

pub use calendar::Holiday;
pub use effect::Promotion;
pub use expectation::Expectation;
pub use panel::{PanelSurprises, PanelTails};
pub use profile::Profile;
pub use sizes::SaleSizes;

use crate::Error;
use crate::point::{Direction, Point, Severity, Side, Status};

/// A series of daily values.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Day of the first value, in days since 1970-01-01.
    pub first_day: i64,
    /// One value a day, NaN where unknown. Days without a sale are 0.
    pub values: &'a [f64],
    /// Promotions, each as long as the values; the same columns for all series of a panel.
    pub promotions: &'a [Promotion<'a>],
}

impl Series<'_> {
    fn check(&self) -> Result<(), Error> {
        let expected = self.values.len();
        match self.promotions.iter().find(|column| column.intensity.len() != expected) {
            Some(column) => Err(Error::Length { what: "promotion", found: column.intensity.len(), expected }),
            None => Ok(()),
        }
    }
}

/// Share of false ones among the alarms of a panel, by default.
pub const FALSE_DISCOVERIES: f64 = 0.2;

/// The threshold of [`judge`], as −log₁₀ of a p-value, at which a share of about `rate` of all alarms of the panel is
/// false; half a false alarm is risked in any case.
///
/// Benjamini & Hochberg (1995), "Controlling the False Discovery Rate", *JRSS B* 57. `scores` are the scores of all
/// series of the panel (any order; those below 2 may be left out), which are sorted.
#[must_use]
pub fn forecast_threshold(scores: &mut [f64], tails: &PanelTails, rate: f64) -> f64 {
    let points = tails.points().max(1) as f64;
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    let limit = |rank: usize| (points / (rate * rank as f64)).log10();
    let accepted = (1..=scores.len()).rev().find(|rank| scores[rank - 1] >= limit(*rank));
    accepted.map_or(f64::INFINITY, limit).min((points / 0.5).log10())
}

/// Adds the days of a series to the sizes of its panel's sales.
pub fn collect_sizes(series: &Series<'_>, expectation: &Expectation, sizes: &mut SaleSizes) {
    for (value, mean) in series.values.iter().zip(&expectation.mean) {
        sizes.add(*mean, expectation.unit, *value);
    }
}

/// Adds the days of a series to the surprises of its panel.
pub fn collect_surprises(series: &Series<'_>, expectation: &Expectation, surprises: &mut PanelSurprises) {
    for (value, mean) in series.values.iter().zip(&expectation.mean) {
        surprises.add(*mean, expectation.unit, *value);
    }
}

/// The scores of [`judge`] that are at least 2 (a p-value of 0.01), for [`forecast_threshold`].
pub fn collect_scores(
    series: &Series<'_>,
    expectation: &Expectation,
    tails: &PanelTails,
    side: Side,
    scores: &mut Vec<f64>,
) {
    for (value, mean) in series.values.iter().zip(&expectation.mean) {
        if value.is_finite() && mean.is_finite() && side.counts(value - mean) {
            let score = score(tails, (*mean, expectation.unit), *value, side);
            if score >= 2.0 {
                scores.push(score);
            }
        }
    }
}

/// −log₁₀ of the p-value.
fn score(tails: &PanelTails, (mean, unit): (f64, f64), value: f64, side: Side) -> f64 {
    let chance = tails.probability(mean, unit, value);
    // Where not even 0 is as improbable, a few sales can stray upwards alone, and there is no other side to count.
    let is_alone = side != Side::Both || (value > mean && chance < tails.probability(mean, unit, 0.0));
    -(if is_alone { chance } else { 2.0 * chance }).clamp(1e-300, 1.0).log10()
}

/// The chances on the low and on the high side below which the p-value is below `limit`: see [`score`].
fn chances(tails: &PanelTails, (mean, unit): (f64, f64), limit: f64, side: Side) -> (f64, f64) {
    match side {
        Side::Both => (limit / 2.0, tails.probability(mean, unit, 0.0).clamp(limit / 2.0, limit)),
        Side::High | Side::Low => (limit, limit),
    }
}

/// Judges each day of a series: the score is −log₁₀ of the p-value, and a day whose score reaches `threshold` (see
/// [`forecast_threshold`]) is an anomaly. Days before the first sale have the status [`Status::NotEnoughHistory`].
///
/// # Errors
///
/// [`Error::Argument`] for a threshold that isn't positive, [`Error::Length`] where the expectation is another series'.
pub fn judge(
    series: &Series<'_>,
    expectation: &Expectation,
    tails: &PanelTails,
    threshold: f64,
    side: Side,
) -> Result<Vec<Point>, Error> {
    if !(threshold > 0.0 && threshold.is_finite()) {
        return Err(Error::Argument { name: "threshold", range: "above 0" });
    }
    let (found, expected) = (expectation.mean.len(), series.values.len());
    if found != expected {
        return Err(Error::Length { what: "expectation", found, expected });
    }
    let limit = 10_f64.powf(-threshold);
    let days = series.values.iter().zip(&expectation.mean);
    Ok(days
        .map(|(value, mean)| {
            if !value.is_finite() {
                return Point::unjudged(*value, Status::NoValue);
            }
            if !mean.is_finite() {
                return Point::unjudged(*value, Status::NotEnoughHistory);
            }
            let unit = expectation.unit;
            let score = score(tails, (*mean, unit), *value, side);
            let is_anomaly = score >= threshold && side.counts(value - mean);
            let chances = chances(tails, (*mean, unit), limit, side);
            let (lower, upper) = tails.bounds(*mean, unit, chances);
            let high = *value > *mean;
            Point {
                value: *value,
                expected: *mean,
                lower: if side == Side::High { f64::NEG_INFINITY } else { lower },
                upper: if side == Side::Low { f64::INFINITY } else { upper },
                is_anomaly,
                score,
                probability: 1.0 - 10_f64.powf(-score),
                direction: is_anomaly.then_some(if high { Direction::High } else { Direction::Low }),
                severity: if is_anomaly { Severity::of(score / threshold) } else { None },
                status: Status::Ok,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests;
