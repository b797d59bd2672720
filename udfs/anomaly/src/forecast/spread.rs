//! How far sales stray from their expectation.

use crate::quantile::quantile;

/// Part of the variance that grows with the square of the mean: demand itself varies by some 22% about what the calendar
/// says.
pub(super) const EXTRA: f64 = 0.05;

/// Deviation of sales in pieces of `unit` about their mean: √(mean · unit + 0.05 mean²), a negative binomial's.
pub(crate) fn deviation(mean: f64, unit: f64) -> f64 {
    (mean * unit + EXTRA * mean * mean).sqrt()
}

/// The standardised residual of a value.
pub(crate) fn residual(value: f64, mean: f64, unit: f64) -> f64 {
    (value - mean) / deviation(mean, unit)
}

/// Size of a sale: 1 where all values are whole numbers (counts), else variance over mean of the values, from
/// differences over a week without the greatest tenth.
pub(crate) fn unit(values: &[f64]) -> f64 {
    let finite = || values.iter().filter(|value| value.is_finite());
    if finite().all(|value| value.fract() == 0.0 && value.abs() < 1e6) {
        return 1.0;
    }
    let pairs = values.iter().zip(values.iter().skip(7));
    let mut ratios: Vec<f64> = pairs
        .filter(|(one, two)| *one + *two > 0.0 && (*one + *two).is_finite())
        .map(|(one, two)| (one - two).powi(2) / (one + two))
        .collect();
    let most = quantile(&mut ratios, 0.9);
    ratios.retain(|ratio| *ratio <= most);
    // 0.62 is the mean of the lower nine tenths of a χ² with one degree of freedom.
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64 / 0.62;
    if mean.is_finite() && mean > 0.0 { mean } else { 1.0 }
}

/// `value`, or what is `limit` deviations from the mean where it's further out.
pub(crate) fn winsorised(value: f64, mean: f64, unit: f64, limit: f64) -> f64 {
    let reach = limit * deviation(mean, unit);
    // One sale is never an outlier.
    value.min((mean + reach).max(unit)).max(mean - reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_size_of_a_sale() {
        assert_eq!(unit(&[3.0, 0.0, f64::NAN, 12.0]), 1.0);
        // Sales of 1,000.5 each, spread as a Poisson number with mean 8 would be.
        let mut random = crate::random::Random::new(3, 1);
        let values: Vec<f64> = (0..2_000)
            .map(|_| {
                let (mut left, mut count) = (random.unit(), -1.0);
                let mut part = (-8.0_f64).exp();
                while left > 0.0 {
                    left -= part;
                    count += 1.0;
                    part *= 8.0 / (count + 1.0);
                }
                count * 1_000.5
            })
            .collect();
        let unit = unit(&values);
        assert!((700.0..1_300.0).contains(&unit), "{unit}");
    }

    #[test]
    fn winsorising_spares_one_sale() {
        assert_eq!(winsorised(1.0, 0.001, 1.0, 3.0), 1.0);
        assert!(winsorised(50.0, 10.0, 1.0, 3.0) < 25.0);
    }
}
