//! Quantiles, mean, deviation and skewness of a column, for values of any magnitude.

/// The `probability` quantile, interpolated between order statistics at (N − 1)·p (type 7 of Hyndman & Fan 1996, the
/// default of NumPy). Reorders the values; 0 for none.
pub(crate) fn quantile(values: &mut [f64], probability: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let position = probability.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let below = position.floor() as usize;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    let share = position - below as f64;
    // Written so that the difference of two large values of opposite sign can't overflow.
    low * (1.0 - share) + next * share
}

/// Mean, population standard deviation and skewness (third standardised moment).
///
/// Values are divided by the largest magnitude first, so that squares of 1e300 don't overflow. All 0 for no values; a
/// deviation and a skewness of 0 for equal ones.
pub(crate) fn moments(values: &[f64]) -> (f64, f64, f64) {
    let scale = values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    if values.is_empty() || scale == 0.0 {
        return (0.0, 0.0, 0.0);
    }
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value / scale).sum::<f64>() / count;
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in values {
        let off = value / scale - mean;
        squares += off * off;
        cubes += off * off * off;
    }
    let deviation = (squares / count).sqrt();
    // Rounding alone leaves a spread of this size.
    if deviation <= 1e-15 * count.sqrt() {
        return (mean * scale, 0.0, 0.0);
    }
    (mean * scale, deviation * scale, cubes / count / deviation.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], 0.25), 1.75);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
        assert_eq!(quantile(&mut [-1e308, 1e308], 0.5), 0.0);
    }

    #[test]
    fn moments_of_any_magnitude() {
        let (mean, deviation, skewness) = moments(&[1.0, 2.0, 2.0, 7.0]);
        // numpy 2.4.6 mean, std; scipy 1.17.1 stats.skew
        assert!((mean - 3.0).abs() < 1e-12 && (deviation - 2.345_207_879_911_715).abs() < 1e-12);
        assert!((skewness - 1.046_621_698_472_996_8).abs() < 1e-9, "{skewness}");
        let (mean, deviation, _) = moments(&[1e300, -1e300]);
        assert_eq!((mean, deviation), (0.0, 1e300));
        assert_eq!(moments(&[0.1; 1000]).1, 0.0);
    }
}
