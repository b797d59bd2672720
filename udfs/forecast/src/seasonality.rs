//! Which seasons a series has, and how strong they are.

use crate::season;
use crate::stl::{self, Decomposition};

/// A seasonal period of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// Steps a cycle.
    pub period: usize,
    /// Strength, 0 for none to 1 for nothing else: 1 − Var(rest) / Var(season + rest) after STL (Wang, Smith & Hyndman
    /// 2006, "Characteristic-based clustering for time series data", *Data Mining and Knowledge Discovery* 13).
    pub strength: f64,
    /// Autocorrelation of the series less its trend at this lag, −1 to 1.
    pub autocorrelation: f64,
    /// Whether that autocorrelation is beyond its 90% limit under no season.
    pub significant: bool,
}

/// What shapes a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Seasonality {
    /// The periods that were looked at, strongest first.
    pub seasons: Vec<Season>,
    /// Strength of the trend, 0 to 1, defined like that of a season.
    pub trend_strength: f64,
}

/// Points that are looked at: the latest ones.
const LIMIT: usize = 20_000;
/// The longest period that is searched for.
const LONGEST: usize = 512;
/// Periods that a search returns at most.
const FOUND: usize = 3;
/// Standard errors above zero from which on a peak is significant: one of 500 lags of noise is beyond about three.
const LIMITS: f64 = 3.5;
/// Part of the highest peak that counts as as high.
const NEARLY: f64 = 0.8;

/// Seasons of at least five finite `values`, one a step, oldest first: of the given `periods`, or, where there are none,
/// of the highest peaks of the autocorrelation up to lag 512.
///
/// Periods below 2 and those of which the series holds fewer than two cycles are left out. Only the last 20,000 points
/// are looked at; the work is about 600 operations a point. Empty, constant, or not finite series have no season.
pub fn seasonality(values: &[f64], periods: &[usize]) -> Seasonality {
    let values = &values[values.len().saturating_sub(LIMIT)..];
    let none = Seasonality { seasons: Vec::new(), trend_strength: 0.0 };
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if values.len() < 5 || !values.iter().all(|value| value.is_finite()) || largest == 0.0 {
        return none;
    }
    let scaled: Vec<f64> = values.iter().map(|value| value / largest).collect();
    let found = if periods.is_empty() { peaks(&scaled) } else { periods.to_vec() };
    let mut fitting: Vec<usize> =
        found.into_iter().filter(|period| *period >= 2 && period.saturating_mul(2) <= scaled.len()).collect();
    fitting.sort_unstable();
    fitting.dedup();

    let parts = stl::decompose(&scaled, &fitting, 1);
    let rest = parts.rest(&scaled);
    let detrended: Vec<f64> = scaled.iter().zip(&parts.trend).map(|(value, trend)| value - trend).collect();
    let mut seasons: Vec<Season> = fitting
        .iter()
        .zip(&parts.seasons)
        .map(|(period, season)| Season {
            period: *period,
            strength: part_explained(season, &rest),
            autocorrelation: season::autocorrelation(&detrended, *period),
            significant: season::is_seasonal(&detrended, *period),
        })
        .collect();
    seasons.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(a.period.cmp(&b.period)));
    Seasonality { seasons, trend_strength: part_explained(&parts.trend, &rest) }
}

/// Strength of a season of at least two cycles; None for fewer.
pub(crate) fn strength(values: &[f64], period: usize) -> Option<f64> {
    if period < 2 || values.len() < 2 * period {
        return None;
    }
    let parts: Decomposition = stl::decompose(values, &[period], 0);
    Some(part_explained(&parts.seasons[0], &parts.rest(values)))
}

/// 1 − Var(rest) / Var(part + rest), 0 at least.
fn part_explained(part: &[f64], rest: &[f64]) -> f64 {
    let both: Vec<f64> = part.iter().zip(rest).map(|(part, rest)| part + rest).collect();
    let whole = variance(&both);
    // What a constant leaves is rounding.
    if whole <= 1e-20 { 0.0 } else { (1.0 - variance(rest) / whole).clamp(0.0, 1.0) }
}

fn variance(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count
}

/// The season with the highest peaks of the autocorrelation, then that of what it leaves, until no peak is significant.
fn peaks(values: &[f64]) -> Vec<usize> {
    let trend = stl::decompose(values, &[], 0).trend;
    let mut rest: Vec<f64> = values.iter().zip(trend).map(|(value, trend)| value - trend).collect();
    let least = 1e-4 * variance(&rest).max(1e-16);
    let mut found = Vec::new();
    while found.len() < FOUND && variance(&rest) > least {
        let Some(period) = highest(&rest) else { break };
        found.push(period);
        let mut sums = vec![(0.0, 0.0); period];
        for (time, value) in rest.iter().enumerate() {
            sums[time % period].0 += value;
            sums[time % period].1 += 1.0;
        }
        for (time, value) in rest.iter_mut().enumerate() {
            *value -= sums[time % period].0 / sums[time % period].1;
        }
    }
    found
}

/// The shortest lag at which the autocorrelation has a peak nearly as high as the highest: peaks repeat at every multiple
/// of a season. None where no peak is significant.
fn highest(values: &[f64]) -> Option<usize> {
    let count = values.len() as f64;
    let longest = LONGEST.min(values.len() / 3);
    // Each lag has fewer products than the one before: without this a week would lose to a day.
    let unbiased = |lag: usize| season::autocorrelation(values, lag) * count / (count - lag as f64);
    let correlations: Vec<f64> = (0..=longest + 1).map(unbiased).collect();
    let limit = |lag: usize| LIMITS / (count - lag as f64).sqrt();
    let peaks: Vec<usize> = (2..=longest)
        .filter(|lag| {
            let here = correlations[*lag];
            here > limit(*lag) && here >= correlations[lag - 1] && here > correlations[lag + 1]
        })
        .collect();
    let best = peaks.iter().map(|lag| correlations[*lag]).fold(0.0, f64::max);
    peaks.into_iter().find(|lag| correlations[*lag] >= NEARLY * best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, Noise, weekly};
    use proptest::prelude::*;

    #[test]
    fn the_week_is_found_and_weighed() {
        let found = seasonality(&weekly(), &[]);
        assert_eq!(found.seasons[0].period, 7, "{found:?}");
        assert!(found.seasons[0].strength > 0.85 && found.seasons[0].significant, "{found:?}");
        let year = seasonality(&AIR_PASSENGERS, &[12]);
        assert!(year.seasons[0].strength > 0.9 && year.trend_strength > 0.95, "{year:?}");
    }

    #[test]
    fn day_and_week_are_told_apart() {
        let mut noise = Noise(3);
        let values: Vec<f64> = (0..24 * 7 * 6)
            .map(|hour| {
                let day = (f64::from(hour) * std::f64::consts::TAU / 24.0).sin();
                10.0 + 3.0 * day + if hour / 24 % 7 >= 5 { -2.5 } else { 0.0 } + noise.uniform()
            })
            .collect();
        let periods: Vec<usize> =
            seasonality(&values, &[]).seasons.iter().map(|season| season.period).collect();
        assert!(periods.contains(&24) && periods.contains(&168), "{periods:?}");
    }

    #[test]
    fn noise_and_odd_series_have_none() {
        let mut noise = Noise(9);
        let values: Vec<f64> = (0..300).map(|_| noise.uniform()).collect();
        assert!(seasonality(&values, &[7]).seasons[0].strength < 0.3);
        for odd in [vec![], vec![5.0; 40], vec![0.0; 40], vec![f64::NAN; 40], vec![1e300; 9]] {
            assert!(seasonality(&odd, &[]).seasons.is_empty());
        }
        assert!(seasonality(&values, &[0, 1, 151]).seasons.is_empty());
    }

    proptest! {
        #[test]
        fn strengths_of_any_series_are_between_0_and_1(
            values in prop_oneof![
                prop::collection::vec(any::<f64>(), 0..60),
                prop::collection::vec((0_u8..3).prop_map(f64::from), 0..200),
            ],
            periods in prop::collection::vec(0_usize..40, 0..3),
        ) {
            let found = seasonality(&values, &periods);
            prop_assert!((0.0..=1.0).contains(&found.trend_strength));
            prop_assert!(found.seasons.iter().all(|season| (0.0..=1.0).contains(&season.strength)));
        }
    }
}
