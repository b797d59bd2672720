//! Which method suits an input.

use crate::Error;
use crate::point::{Point, Side};
use crate::quantile::quantile;
use crate::robust_z::{ROBUST_Z_THRESHOLD, robust_z_or_counts};
use crate::stl::{StlOptions, stl};

/// How anomalies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Distance from the median; no order needed.
    RobustZ,
    /// Rows of features that are easily separated from the others.
    IsolationForest,
    /// What a trend and a season of so many steps leave; 1 is no season.
    Stl {
        /// Steps in a season.
        season: usize,
    },
    /// Daily sales against level, calendar, holidays and promotions.
    Forecast,
}

impl Method {
    /// As SQL shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::RobustZ => "robust_z",
            Method::IsolationForest => "isolation_forest",
            Method::Stl { .. } => "stl",
            Method::Forecast => "forecast",
        }
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Days from which on a series of days is expected by the calendar.
const ENOUGH_DAYS: usize = 56;
/// Values from which on a series has a trend.
const ENOUGH: usize = 24;
/// Part of the days that may be negative: days on which more came back than was sold.
const RETURNS: f64 = 0.05;
/// Part of the steps that must be alike.
const REGULAR: f64 = 0.8;

/// The method `auto` takes for one series. `times` are seconds, ascending; empty where there are none.
///
/// With feature columns it is always [`Method::IsolationForest`], which the caller sees before. Else, in this order:
/// 1. fewer than 24 values, no times, or fewer than four of five steps alike: [`Method::RobustZ`];
/// 2. a value a day, at least 56, at most one in twenty negative (a day of returns): [`Method::Forecast`];
/// 3. steps of at most half a day: [`Method::Stl`] with the season of a day; of a day: a week; of a week: 52; of a month:
///    12; of a quarter: 4; no season where fewer than two are there, or the step is another.
#[must_use]
pub fn series_method(times: &[i64], values: &[f64]) -> Method {
    if times.len() != values.len() || values.len() < ENOUGH {
        return Method::RobustZ;
    }
    let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64).collect();
    let step = quantile(&mut steps, 0.5);
    let alike = steps.iter().filter(|other| (**other - step).abs() <= 0.15 * step).count();
    if step <= 0.0 || (alike as f64) < REGULAR * steps.len() as f64 {
        return Method::RobustZ;
    }
    let step = step as i64;
    let negative = values.iter().filter(|value| **value < 0.0).count() as f64;
    if step == DAY && values.len() >= ENOUGH_DAYS && negative <= RETURNS * values.len() as f64 {
        return Method::Forecast;
    }
    let season = match step {
        step if step <= DAY / 2 => (DAY + step / 2) / step,
        DAY => 7,
        step if step == 7 * DAY => 52,
        step if (28 * DAY..=31 * DAY).contains(&step) => 12,
        step if (89 * DAY..=92 * DAY).contains(&step) => 4,
        _ => 1,
    };
    let season = usize::try_from(season).unwrap_or(1);
    Method::Stl { season: if values.len() >= 2 * season { season } else { 1 } }
}

/// Judges one series by itself with the method that [`series_method`] names, and where that is `forecast`, which takes a
/// panel, by a decomposition with weeks.
///
/// # Errors
///
/// Those of the method.
pub fn detect_series(
    times: &[i64],
    values: &[f64],
    threshold: Option<f64>,
    side: Side,
) -> Result<Vec<Point>, Error> {
    match series_method(times, values) {
        Method::Stl { season } => stl(values, StlOptions { season, threshold, side }),
        Method::Forecast => stl(values, StlOptions { season: 7, threshold, side }),
        _ => robust_z_or_counts(values, threshold.unwrap_or(ROBUST_Z_THRESHOLD), side),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_decides() {
        let times = |step: i64, count: i64| (0..count).map(|at| at * step).collect::<Vec<_>>();
        let method = |times: &[i64]| series_method(times, &vec![1.0; times.len()]);
        assert_eq!(method(&times(DAY, 100)), Method::Forecast);
        assert_eq!(method(&times(DAY, 40)), Method::Stl { season: 7 });
        assert_eq!(series_method(&times(DAY, 100), &[-1.0; 100]), Method::Stl { season: 7 });
        assert_eq!(method(&times(5 * MINUTE, 1_000)), Method::Stl { season: 288 });
        assert_eq!(method(&times(HOUR, 30)), Method::Stl { season: 1 });
        assert_eq!(method(&times(30 * DAY, 36)), Method::Stl { season: 12 });
        assert_eq!(method(&times(DAY, 20)), Method::RobustZ);
        assert_eq!(method(&(0..100).map(|at| at * at).collect::<Vec<_>>()), Method::RobustZ);
        assert_eq!(series_method(&[], &[1.0; 100]), Method::RobustZ);
        assert_eq!(series_method(&[0; 100], &[1.0; 100]), Method::RobustZ);
    }
}
