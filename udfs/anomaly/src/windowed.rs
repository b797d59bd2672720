//! Features of each point of a series, for an isolation forest.

use crate::Error;
use crate::robust_z::Spread;

/// Names of the features of [`windowed_features`], in their order.
pub const WINDOWED_FEATURES: [&str; 8] = [
    "value",
    "change",
    "season_change",
    "rolling_mean",
    "rolling_deviation",
    "rolling_z",
    "season_share",
    "run",
];

/// Eight features for each point, row after row, from the last `window` values and those a `season` before:
///
/// | feature | is |
/// |---|---|
/// | `value` | the value |
/// | `change` | less the value before |
/// | `season_change` | less the value a season before |
/// | `rolling_mean` | mean of the `window` values before |
/// | `rolling_deviation` | their standard deviation |
/// | `rolling_z` | robust z of the value among them, at most 100 either way |
/// | `season_share` | part of the value in the sum of the sizes of the season that ends with it |
/// | `run` | how many values in a row are equal |
///
/// Only the past is looked at. Where it doesn't reach back far enough, it's as if the first value had gone on before.
/// A feature that needs a value that isn't finite is NaN, and a forest doesn't score that row.
///
/// # Errors
///
/// [`Error::Argument`] for a window below 3 or above 1,000, or a season that is 0.
pub fn windowed_features(values: &[f64], season: usize, window: usize) -> Result<Vec<f64>, Error> {
    if !(3..=1_000).contains(&window) {
        return Err(Error::Argument { name: "window", range: "between 3 and 1000" });
    }
    if season == 0 {
        return Err(Error::Argument { name: "season", range: "above 0" });
    }
    let mut features = Vec::with_capacity(values.len() * WINDOWED_FEATURES.len());
    let mut run = 0.0;
    for (at, value) in values.iter().enumerate() {
        let before = |steps: usize| values[at.saturating_sub(steps)];
        let past = if at == 0 { &values[..1] } else { &values[at.saturating_sub(window)..at] };
        let mean = past.iter().sum::<f64>() / past.len() as f64;
        let variance = past.iter().map(|other| (other - mean).powi(2)).sum::<f64>() / past.len() as f64;
        let z = Spread::of(past).map_or(f64::NAN, |spread| spread.z(*value).clamp(-100.0, 100.0));
        // Seasons longer than the window are cut, so that the time stays bounded.
        let cycle = &values[(at + 1).saturating_sub(season.min(window))..=at];
        let sum: f64 = cycle.iter().map(|other| other.abs()).sum();
        run = if at > 0 && before(1) == *value { run + 1.0 } else { 1.0 };
        features.extend([
            *value,
            value - before(1),
            value - before(season),
            mean,
            variance.sqrt(),
            z,
            if sum == 0.0 { 0.0 } else { value / sum },
            run,
        ]);
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_those_of_the_past() {
        let values: Vec<f64> = (0..30).map(|day| (day % 7) as f64 + 1.0).collect();
        let features = windowed_features(&values, 7, 14).unwrap();
        let row = &features[8 * 20..8 * 21];
        assert_eq!(row[..4], [7.0, 1.0, 0.0, 4.0 - 1.0 / 14.0 * 0.0]);
        assert!((row[4] - 2.0).abs() < 1e-12 && (row[6] - 0.25).abs() < 1e-12 && row[7] == 1.0);
        let mut later = values.clone();
        later[25] = 1e6;
        assert_eq!(windowed_features(&later, 7, 14).unwrap()[..8 * 25], features[..8 * 25]);
    }

    #[test]
    fn hostile_values_are_survived() {
        let features = windowed_features(&[0.0, f64::NAN, f64::MAX, f64::MIN, 0.0, 0.0], 7, 3).unwrap();
        assert_eq!(features.len(), 48);
        assert_eq!(features[47], 2.0);
        assert!(windowed_features(&[1.0], 0, 7).is_err() && windowed_features(&[1.0], 7, 2).is_err());
        assert!(windowed_features(&[], 7, 7).unwrap().is_empty());
    }
}
