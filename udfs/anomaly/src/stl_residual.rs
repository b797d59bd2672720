//! What a trend and a season leave of a series.
//!
//! Cleveland, Cleveland, McRae & Terpenning (1990), "STL: A Seasonal-Trend Decomposition Procedure Based on Loess",
//! *Journal of Official Statistics* 6, with robustness weights, so that outliers stay in the remainder.

use crate::loess::Loess;
use crate::quantile::median;

/// Robustness passes; the paper finds that few suffice where outliers are rare.
const OUTER: usize = 5;
/// Passes of the inner loop for each.
const INNER: usize = 2;

/// The remainder of a decomposition with seasons of `season` steps, and the season itself.
#[derive(Debug, Clone)]
pub(crate) struct Decomposition {
    /// Season and trend together.
    pub(crate) fitted: Vec<f64>,
    /// Value less what was fitted.
    pub(crate) remainder: Vec<f64>,
}

/// Decomposes at least two whole seasons of finite values; below that the season is left out, and a `season` under 2 is
/// none. `seasonal` is the paper's n_s: how many seasons a seasonal value is smoothed over, odd and at least 7. `trend` is
/// its n_t, the steps that the trend is smoothed over; None is the paper's choice, one and a half seasons. Takes
/// O(n · n_s) a pass and 10 n numbers of memory.
pub(crate) fn decompose(
    values: &[f64],
    season: usize,
    seasonal: usize,
    trend: Option<usize>,
) -> Decomposition {
    let count = values.len();
    let has_season = season >= 2 && count >= 2 * season;
    let period = if has_season { season } else { 1 };
    let trend_span = if let Some(trend) = trend {
        odd(trend)
    } else if has_season {
        odd((1.5 * period as f64 / (1.0 - 1.5 / seasonal as f64)).ceil() as usize)
    } else {
        odd((count / 4).max(7))
    };
    let (low_pass, trend_loess) = (Loess::new(odd(period), 1), Loess::new(trend_span, 1));
    let subseries = Loess { jump: 1, ..Loess::new(seasonal, 1) };
    let mut weights = vec![1.0; count];
    let mut trend = vec![0.0; count];
    let mut season = vec![0.0; count];
    for outer in 0..=OUTER {
        for _ in 0..INNER {
            if has_season {
                let detrended: Vec<f64> =
                    values.iter().zip(&trend).map(|(value, trend)| value - trend).collect();
                let cycle = cycle(&detrended, &weights, period, &subseries);
                let low = low_pass.smooth(&averages(&cycle, period), &vec![1.0; count]);
                season = (0..count).map(|at| cycle[at + period] - low[at]).collect();
            }
            let adjusted: Vec<f64> =
                values.iter().zip(&season).map(|(value, season)| value - season).collect();
            trend = trend_loess.smooth(&adjusted, &weights);
        }
        if outer < OUTER {
            weights = robustness(values, &trend, &season);
        }
    }
    let fitted: Vec<f64> = trend.iter().zip(&season).map(|(trend, season)| trend + season).collect();
    let remainder = values.iter().zip(&fitted).map(|(value, fitted)| value - fitted).collect();
    Decomposition { fitted, remainder }
}

/// Each phase of the season smoothed by itself, one season longer at both ends.
fn cycle(detrended: &[f64], weights: &[f64], period: usize, loess: &Loess) -> Vec<f64> {
    let mut cycle = vec![0.0; detrended.len() + 2 * period];
    for phase in 0..period {
        let pick = |values: &[f64]| values.iter().skip(phase).step_by(period).copied().collect::<Vec<f64>>();
        let (values, weights) = (pick(detrended), pick(weights));
        let last = values.len() as f64;
        cycle[phase] = loess.at(-1.0, &values, &weights);
        for (index, smooth) in loess.smooth(&values, &weights).into_iter().enumerate() {
            cycle[phase + (index + 1) * period] = smooth;
        }
        cycle[phase + (values.len() + 1) * period] = loess.at(last, &values, &weights);
    }
    cycle
}

/// Moving averages over the season, the season again, and three.
fn averages(cycle: &[f64], period: usize) -> Vec<f64> {
    moving_average(&moving_average(&moving_average(cycle, period), period), 3)
}

fn moving_average(values: &[f64], width: usize) -> Vec<f64> {
    values
        .windows(width)
        .scan(None, |sum: &mut Option<(f64, f64)>, window| {
            // The sum moves along; what leaves is remembered.
            let next = match *sum {
                None => window.iter().sum(),
                Some((sum, leaving)) => sum - leaving + window[width - 1],
            };
            *sum = Some((next, window[0]));
            Some(next / width as f64)
        })
        .collect()
}

/// Bisquare weights of the remainders, 0 from six times their median.
fn robustness(values: &[f64], trend: &[f64], season: &[f64]) -> Vec<f64> {
    let sizes: Vec<f64> = values
        .iter()
        .zip(trend)
        .zip(season)
        .map(|((value, trend), season)| (value - trend - season).abs())
        .collect();
    let limit = 6.0 * median(&mut sizes.clone());
    let weight = |size: &f64| {
        let part = size / limit;
        if *size <= 0.001 * limit {
            1.0
        } else if part < 0.999 {
            (1.0 - part * part).powi(2)
        } else {
            0.0
        }
    };
    sizes.iter().map(weight).collect()
}

fn odd(number: usize) -> usize {
    number.max(3) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_stays_in_the_remainder() {
        let mut values: Vec<f64> = (0..140)
            .map(|day| 100.0 + day as f64 / 10.0 + [0.0, 1.0, 2.0, 3.0, 9.0, 20.0, 15.0][day % 7])
            .collect();
        values[70] += 50.0;
        values.iter_mut().enumerate().for_each(|(day, value)| *value += 3.0 * (1.7 * day as f64).sin());
        let remainder = decompose(&values, 7, 7, None).remainder;
        // statsmodels 0.15, STL(values, period=7, seasonal=7, robust=True).fit(inner_iter=2, outer_iter=5).
        let theirs =
            [(0, 0.928), (1, -0.529), (35, 0.145), (69, -0.751), (70, 49.518), (71, 0.735), (139, 0.795)];
        for (day, expected) in theirs {
            assert!((remainder[day] - expected).abs() < 0.25, "{day}: {}", remainder[day]);
        }
    }

    #[test]
    fn short_and_flat_series_are_survived() {
        assert!(decompose(&[], 7, 7, None).fitted.is_empty());
        assert!(decompose(&[2.0], 7, 7, None).remainder[0].abs() < 1e-9);
        let flat = decompose(&[5.0; 100], 7, 7, None);
        assert!(flat.remainder.iter().all(|remainder| remainder.abs() < 1e-9));
        let huge: Vec<f64> = (0..30).map(|at| if at % 2 == 0 { 1e150 } else { -1e150 }).collect();
        assert!(decompose(&huge, 4, 7, None).fitted.iter().all(|fitted| fitted.is_finite()));
    }
}
