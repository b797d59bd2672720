//! Quantiles of a sample.

/// The `probability` quantile, interpolated between order statistics at (N − 1)·p (type 7 of Hyndman & Fan 1996).
/// Reorders the sample; NaN for an empty one.
pub(crate) fn quantile(values: &mut [f64], probability: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let position = probability.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let below = position.floor() as usize;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let part = position - below as f64;
    if part == 0.0 {
        return low;
    }
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low * (1.0 - part) + part * next
}

/// The median; reorders the sample.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], 0.5), 2.5);
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], 1.0), 4.0);
        assert_eq!(median(&mut [1e308, 1.7e308]), 1.35e308);
        assert!(median(&mut []).is_nan());
    }
}
