//! Is a series seasonal, and what are its seasonal indices?

/// How a season acts on the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Adds to it; indices sum to 0.
    Additive,
    /// Multiplies it; indices have mean 1.
    Multiplicative,
}

/// Whether the autocorrelation at lag `season` is beyond its 90% limit under none.
///
/// The test of the M3 Theta entry, as in Fiorucci et al. (2016), §2: |r_m| > 1.645 √((1 + 2 Σ_{i<m} r_i²) / n).
pub(crate) fn is_seasonal(values: &[f64], season: usize) -> bool {
    if season < 2 || values.len() < 2 * season + 1 {
        return false;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let variance: f64 = centred.iter().map(|value| value * value).sum();
    if variance <= 0.0 {
        return false;
    }
    let correlation = |lag: usize| -> f64 {
        centred.iter().zip(&centred[lag..]).map(|(early, late)| early * late).sum::<f64>() / variance
    };
    let before: f64 = (1..season).map(|lag| correlation(lag).powi(2)).sum();
    correlation(season).abs() > 1.645 * ((1.0 + 2.0 * before) / count).sqrt()
}

/// Autocorrelation of a series at a lag; 0 for a constant one and lags beyond its length.
pub(crate) fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    let count = values.len();
    if lag >= count {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let products = values.iter().zip(&values[lag..]).map(|(early, late)| (early - mean) * (late - mean));
    if variance > 0.0 { products.sum::<f64>() / variance } else { 0.0 }
}

/// Seasonal indices by classical decomposition: `season` of them, the first for the first value.
///
/// The trend is a centred moving average over one season (Hyndman & Athanasopoulos, *FPP* 3rd ed., §3.4). None where
/// there are fewer than two seasons, or a multiplicative index would be near zero or below.
pub(crate) fn indices(values: &[f64], season: usize, kind: Kind) -> Option<Vec<f64>> {
    if season < 2 || values.len() < 2 * season {
        return None;
    }
    if kind == Kind::Multiplicative && values.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let trend = centred_average(values, season);
    let half = season / 2;
    let mut sums = vec![0.0; season];
    let mut counts = vec![0_usize; season];
    for (offset, trend) in trend.iter().enumerate() {
        let at = offset + half;
        sums[at % season] += match kind {
            Kind::Additive => values[at] - trend,
            Kind::Multiplicative => values[at] / trend,
        };
        counts[at % season] += 1;
    }
    let mut indices: Vec<f64> =
        sums.iter().zip(&counts).map(|(sum, count)| sum / (*count).max(1) as f64).collect();
    let mean = indices.iter().sum::<f64>() / season as f64;
    for index in &mut indices {
        *index = match kind {
            Kind::Additive => *index - mean,
            Kind::Multiplicative => *index / mean,
        };
    }
    let usable = |index: &f64| index.is_finite() && (kind == Kind::Additive || *index > 0.01);
    indices.iter().all(usable).then_some(indices)
}

/// Moving average over one season, centred: for an even season the ends count half. The first stands for position
/// `season / 2`, and there are `values.len() - 2 * (season / 2)`.
fn centred_average(values: &[f64], season: usize) -> Vec<f64> {
    let half = season / 2;
    let width = season as f64;
    (half..values.len() - half)
        .map(|at| {
            let window = &values[at - half..=at + half];
            let sum: f64 = window.iter().sum();
            let ends = if season.is_multiple_of(2) { (window[0] + window[2 * half]) / 2.0 } else { 0.0 };
            (sum - ends) / width
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovers_the_indices_of_a_trend_with_a_season() {
        let weekly = [-3.0, -1.0, 0.0, 0.0, 1.0, 2.0, 1.0];
        let values: Vec<f64> = (0..70).map(|t| 10.0 + 0.5 * f64::from(t) + weekly[t as usize % 7]).collect();
        for (found, index) in indices(&values, 7, Kind::Additive).unwrap().iter().zip(weekly) {
            assert!((found - index).abs() < 1e-9);
        }
        assert!(is_seasonal(&(0..70).map(|t| weekly[t % 7]).collect::<Vec<_>>(), 7));
    }

    #[test]
    fn recovers_multiplicative_indices_of_an_even_season() {
        let quarters = [0.8, 1.0, 1.3, 0.9];
        let values: Vec<f64> = (0..40).map(|t| 5.0 * quarters[t % 4]).collect();
        for (found, index) in indices(&values, 4, Kind::Multiplicative).unwrap().iter().zip(quarters) {
            assert!((found - index).abs() < 1e-9);
        }
        assert_eq!(indices(&[0.0; 40], 4, Kind::Multiplicative), None);
    }

    #[test]
    fn constants_and_short_series_are_not_seasonal() {
        assert!(!is_seasonal(&[5.0; 50], 7));
        assert!(!is_seasonal(&[1.0, 2.0, 1.0], 2));
        assert_eq!(indices(&[1.0; 13], 7, Kind::Additive), None);
    }
}
