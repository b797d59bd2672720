//! Polynomials of the lag operator, and the errors that a pair of them leaves of a series.

/// Coefficients by lag, ascending, few of them: `x(t) = Σ c · x(t − lag)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lags(Vec<(usize, f64)>);

impl Lags {
    /// Coefficients of the lags `step`, 2 `step`, ….
    pub(crate) fn every(step: usize, coefficients: &[f64]) -> Lags {
        Lags(coefficients.iter().enumerate().map(|(index, c)| ((index + 1) * step, *c)).collect())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (usize, f64)> {
        self.0.iter()
    }

    /// The product of two polynomials: `sign` is −1 for (1 − Σ a Bⁱ)(1 − Σ b Bʲ), 1 for those with plus.
    pub(crate) fn times(&self, other: &Lags, sign: f64) -> Lags {
        let mut product = Lags::default();
        self.0.iter().chain(&other.0).for_each(|(lag, c)| product.add(*lag, *c));
        for (lag, c) in &self.0 {
            other.0.iter().for_each(|(other, by)| product.add(lag + other, sign * c * by));
        }
        product
    }

    fn add(&mut self, lag: usize, coefficient: f64) {
        match self.0.binary_search_by_key(&lag, |(lag, _)| *lag) {
            Ok(at) => self.0[at].1 += coefficient,
            Err(at) => self.0.insert(at, (lag, coefficient)),
        }
    }

    /// `x(t) − Σ c · x(t − lag)` from the longest lag on, zero before.
    pub(crate) fn difference(&self, values: &[f64]) -> Vec<f64> {
        let longest = self.0.last().map_or(0, |(lag, _)| *lag);
        let at =
            |time: usize| values[time] - self.0.iter().map(|(lag, c)| c * values[time - lag]).sum::<f64>();
        (0..values.len()).map(|time| if time < longest { 0.0 } else { at(time) }).collect()
    }
}

/// `e(t) = x(t) − Σ ar · x(t − lag) − Σ ma · e(t − lag)` from `start` on, zero before.
pub(crate) fn errors(values: &[f64], start: usize, ar: &Lags, ma: &Lags) -> Vec<f64> {
    let mut errors = vec![0.0; values.len()];
    // Up to the longest lag some of the terms are missing.
    let longest = ar.iter().chain(ma.iter()).map(|(lag, _)| *lag).max().unwrap_or(0);
    for time in start..values.len().min(start + longest) {
        let ar: f64 = ar.iter().filter(|(lag, _)| *lag <= time).map(|(lag, c)| c * values[time - lag]).sum();
        let ma: f64 = ma.iter().filter(|(lag, _)| *lag <= time).map(|(lag, c)| c * errors[time - lag]).sum();
        errors[time] = values[time] - ar - ma;
    }
    for time in (start + longest).min(values.len())..values.len() {
        let mut error = values[time];
        for (lag, c) in ar.iter() {
            error -= c * values[time - lag];
        }
        for (lag, c) in ma.iter() {
            error -= c * errors[time - lag];
        }
        errors[time] = error;
    }
    errors
}

/// Coefficients of a stationary autoregression from partial autocorrelations in (−1, 1): the recursion of Durbin and
/// Levinson (Monahan 1984, "A note on enforcing stationarity in autoregressive-moving average models", *Biometrika* 71).
pub(crate) fn stationary(partial: &[f64]) -> Vec<f64> {
    let mut coefficients: Vec<f64> = Vec::with_capacity(partial.len());
    for last in partial {
        let reversed: Vec<f64> = coefficients.iter().rev().copied().collect();
        for (c, mirror) in coefficients.iter_mut().zip(reversed) {
            *c -= last * mirror;
        }
        coefficients.push(*last);
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::assert_close;

    #[test]
    fn two_differences_and_a_seasonal_one_multiply() {
        let first = Lags::every(1, &[1.0]);
        let both = first.times(&Lags::every(4, &[1.0]), -1.0);
        assert_eq!(both, Lags(vec![(1, 1.0), (4, 1.0), (5, -1.0)]));
        let squares: Vec<f64> = (0..9).map(|t| f64::from(t * t)).collect();
        assert_close(&first.times(&first, -1.0).difference(&squares)[2..], &[2.0; 7], 1e-12);
    }

    #[test]
    fn errors_of_an_autoregression_with_moving_average() {
        // x: 1, 0.9, 0.71 has errors 1, 0.2, 0.1 under x(t) = 0.5 x(t − 1) + e(t) + 0.2 e(t − 1).
        let values = [1.0, 0.5 + 0.2 + 0.2, 0.45 + 0.1 + 0.04];
        let found = errors(&values, 0, &Lags::every(1, &[0.5]), &Lags::every(1, &[0.2]));
        assert_close(&found, &[1.0, 0.2, 0.1], 1e-12);
    }

    #[test]
    fn partial_autocorrelations_give_stationary_coefficients() {
        // φ₁ = r₁ (1 − r₂), φ₂ = r₂.
        assert_close(&stationary(&[0.8, -0.5]), &[0.8 * 1.5, -0.5], 1e-12);
    }
}
