//! Anomalies of a series at any regular step: what trend and season leave unexplained, for longer than by chance.

use crate::point::{Point, Side};
use crate::quantile::quantile;
use crate::robust_z::Spread;
use crate::stl_residual::decompose;
use crate::{Error, Status};

/// How a series is decomposed and judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StlOptions {
    /// Steps in a season, such as 24 for hours of a day; below 2 there is none.
    pub season: usize,
    /// Robust z of the remainder from which a point is an anomaly; None takes it from the series, see [`stl`].
    pub threshold: Option<f64>,
    /// Which deviations count.
    pub side: Side,
}

/// Robust z below which a threshold taken from a series never is.
const LEAST_THRESHOLD: f64 = 3.5;
/// A point's threshold is this quantile of all points' z, times the second number.
const POINT: (f64, f64) = (0.99, 2.0);
/// The same for means over a season.
const SEASON: (f64, f64) = (0.95, 1.5);
/// Seasons that the trend is smoothed over: what is unusual for less is no trend.
const TREND: usize = 10;
/// Seasons that a seasonal value is smoothed over.
const SEASONAL: usize = 7;
/// Steps from which on a season is long enough for its mean to say something.
const LONG: usize = 12;
/// Fewest values.
const NEEDED: usize = 8;

/// Judges each value by the robust z of its remainder after a robust decomposition (STL, see Cleveland et al. 1990) into
/// trend and season, and, for seasons of at least 12 steps, by that of the mean over the season around it, which finds what is a little unusual
/// but for long. The score is the greater, a z for which [`Point`]'s bounds and the threshold hold.
///
/// Values that aren't finite are filled by the line between their neighbours for the decomposition and not judged. Without
/// a given threshold it comes from the series: twice the 99% quantile of the points' z, and one and a half times the
/// 95% quantile of the means', but at least 3.5, for remainders of measurements have longer tails than the normal
/// distribution and follow one another. With one, it holds for both.
///
/// # Errors
///
/// [`Error::TooFew`] below eight finite values, [`Error::Argument`] for a threshold that isn't positive.
pub fn stl(values: &[f64], options: StlOptions) -> Result<Vec<Point>, Error> {
    if let Some(threshold) = options.threshold
        && !(threshold > 0.0 && threshold.is_finite())
    {
        return Err(Error::Argument { name: "threshold", range: "above 0" });
    }
    let found = values.iter().filter(|value| value.is_finite()).count();
    if found < NEEDED {
        return Err(Error::TooFew { found, needed: NEEDED });
    }
    // Scaled so that squares of huge values don't overflow.
    let largest =
        values.iter().filter(|value| value.is_finite()).fold(0.0_f64, |most, value| most.max(value.abs()));
    let scale = if largest > 1e100 { 1e-200 } else { 1.0 };
    let filled: Vec<f64> = filled(values).into_iter().map(|value| value * scale).collect();
    let season = options.season;
    let fitted = decompose(&filled, season, SEASONAL, (season >= 2).then_some(TREND * season));
    let Some(spread) = Spread::of(&fitted.remainder) else {
        return Err(Error::TooFew { found, needed: NEEDED });
    };
    let z: Vec<f64> = fitted.remainder.iter().map(|remainder| spread.z(*remainder)).collect();
    let threshold = options.threshold.unwrap_or_else(|| own_threshold(&z, POINT));
    let means = if season >= LONG { centred_means(&z, season, threshold) } else { Vec::new() };
    let wide = Spread::of(&means);
    let wide_z: Vec<f64> = wide.map_or(Vec::new(), |wide| means.iter().map(|mean| wide.z(*mean)).collect());
    let wide_threshold = options.threshold.unwrap_or_else(|| own_threshold(&wide_z, SEASON));
    let judged = |(at, value): (usize, &f64)| {
        if !value.is_finite() {
            return Point::unjudged(*value, Status::NoValue);
        }
        let wide = wide_z.get(at).map_or(0.0, |z| z / wide_threshold * threshold);
        let score = if wide.abs() > z[at].abs() { wide } else { z[at] };
        let expected = (fitted.fitted[at] + spread.centre) / scale;
        Point::by_z(*value, expected, spread.scale / scale, score, threshold, options.side)
    };
    Ok(values.iter().enumerate().map(judged).collect())
}

/// A threshold from the sizes of all z: a quantile, times a factor.
fn own_threshold(z: &[f64], (share, times): (f64, f64)) -> f64 {
    let mut sizes: Vec<f64> = z.iter().map(|z| z.abs()).collect();
    (times * quantile(&mut sizes, share)).max(LEAST_THRESHOLD)
}

/// Means over the `width` z around each, fewer at the ends; none counts for more than `limit`, so that one outlier
/// doesn't make its neighbours unusual.
fn centred_means(values: &[f64], width: usize, limit: f64) -> Vec<f64> {
    let mut sums = vec![0.0];
    let cut = |value: &f64| value.max(-limit).min(limit);
    values.iter().for_each(|value| sums.push(sums[sums.len() - 1] + cut(value)));
    (0..values.len())
        .map(|at| {
            let (from, to) = (at.saturating_sub(width / 2), (at + width.div_ceil(2)).min(values.len()));
            (sums[to] - sums[from]) / (to - from) as f64
        })
        .collect()
}

/// Gaps bridged by straight lines, and the ends carried on.
fn filled(values: &[f64]) -> Vec<f64> {
    let mut filled = values.to_vec();
    let known: Vec<usize> = (0..values.len()).filter(|at| values[*at].is_finite()).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return vec![0.0; values.len()] };
    filled[..*first].fill(values[*first]);
    filled[last + 1..].fill(values[*last]);
    for pair in known.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        for (step, between) in filled[from + 1..to].iter_mut().enumerate() {
            let part = (step + 1) as f64 / (to - from) as f64;
            *between = values[from] * (1.0 - part) + values[to] * part;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAILY: StlOptions = StlOptions { season: 7, threshold: None, side: Side::Both };

    #[test]
    fn a_drop_is_found_and_gaps_are_not_judged() {
        let mut values: Vec<f64> = (0..200)
            .map(|day| 50.0 + [0.0, 1.0, 2.0, 3.0, 9.0, 20.0, 15.0][day % 7] + (day as f64 * 1.7).sin())
            .collect();
        values[100] -= 30.0;
        values[50] = f64::NAN;
        let points = stl(&values, DAILY).unwrap();
        let found: Vec<usize> = (0..200).filter(|day| points[*day].is_anomaly).collect();
        assert_eq!(found, [100]);
        assert_eq!(points[50].status, Status::NoValue);
        assert!((points[100].expected - (values[100] + 30.0)).abs() < 3.0);
    }

    #[test]
    fn hostile_series_are_survived() {
        assert!(stl(&[1.0; 5], DAILY).is_err());
        assert!(stl(&[f64::NAN; 50], DAILY).is_err());
        assert!(stl(&[4.0; 50], DAILY).unwrap().iter().all(|point| !point.is_anomaly));
        let mut values = vec![1.0; 50];
        (values[9], values[20], values[30]) = (f64::MAX, f64::MIN, f64::INFINITY);
        assert_eq!(stl(&values, DAILY).unwrap().len(), 50);
        assert!(stl(&values, StlOptions { threshold: Some(-1.0), ..DAILY }).is_err());
    }
}
