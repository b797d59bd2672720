//! Local straight lines over evenly spaced values.

/// Loess of degree 1 with tricube weights over the `span` nearest values.
///
/// Cleveland (1979), "Robust Locally Weighted Regression and Smoothing Scatterplots", *JASA* 74, in the form of the STL
/// paper of 1990: evaluated at every `jump`-th place, with straight lines between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loess {
    /// Nearest values that count.
    pub(crate) span: usize,
    /// Steps between two evaluations.
    pub(crate) jump: usize,
}

impl Loess {
    /// With a jump of a tenth of the span, at least `least`.
    pub(crate) fn new(span: usize, least: usize) -> Loess {
        Loess { span, jump: span.div_ceil(10).max(least) }
    }

    /// The smoothed values.
    pub(crate) fn smooth(&self, values: &[f64], weights: &[f64]) -> Vec<f64> {
        let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
        let mut smooth = vec![0.0; values.len()];
        smooth[0] = self.at(0.0, values, weights);
        let mut from = 0;
        while from < last {
            let to = (from + self.jump).min(last);
            smooth[to] = self.at(to as f64, values, weights);
            let slope = (smooth[to] - smooth[from]) / (to - from) as f64;
            for between in from + 1..to {
                smooth[between] = smooth[from] + slope * (between - from) as f64;
            }
            from = to;
        }
        smooth
    }

    /// The line at `place`, which may lie beyond the values; where all weights are 0 the nearest value.
    pub(crate) fn at(&self, place: f64, values: &[f64], weights: &[f64]) -> f64 {
        let count = values.len();
        if count == 0 {
            return 0.0;
        }
        let span = self.span.min(count);
        let first = (place - (span / 2) as f64).round().clamp(0.0, (count - span) as f64) as usize;
        let last = first + span - 1;
        // A span longer than the series reaches as far beyond it.
        let beyond = (self.span.saturating_sub(count) / 2) as f64;
        let reach = (place - first as f64).max(last as f64 - place) + beyond;
        let (mut sum, mut mean, mut total) = (0.0, 0.0, 0.0);
        let weight = |at: usize| {
            let distance = (at as f64 - place).abs();
            let part = if reach > 0.0 { distance / reach } else { 0.0 };
            if part >= 0.999 {
                0.0
            } else if part <= 0.001 {
                weights[at]
            } else {
                weights[at] * (1.0 - part * part * part).powi(3)
            }
        };
        let places = || values.iter().enumerate().take(last + 1).skip(first);
        for (at, value) in places() {
            let weight = weight(at);
            total += weight;
            mean += weight * at as f64;
            sum += weight * value;
        }
        if total <= 0.0 {
            return values[(place.max(0.0) as usize).min(count - 1)];
        }
        (mean, sum) = (mean / total, sum / total);
        let (mut square, mut product) = (0.0, 0.0);
        for (at, value) in places() {
            let weight = weight(at);
            let offset = at as f64 - mean;
            square += weight * offset * offset;
            product += weight * offset * value;
        }
        // A slope from places that are all but one is none.
        let slope = if (square / total).sqrt() > 0.001 * (count - 1) as f64 { product / square } else { 0.0 };
        sum + (place - mean) * slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept() {
        let values: Vec<f64> = (0..50).map(|at| 3.0 + 2.0 * at as f64).collect();
        let weights = vec![1.0; 50];
        let loess = Loess::new(21, 1);
        let smooth = loess.smooth(&values, &weights);
        assert!(smooth.iter().zip(&values).all(|(one, two)| (one - two).abs() < 1e-9));
        assert!((loess.at(-1.0, &values, &weights) - 1.0).abs() < 1e-9);
        assert!((Loess::new(201, 1).at(50.0, &values, &weights) - 103.0).abs() < 1e-9);
        assert_eq!(loess.at(3.0, &values, &[0.0; 50]), 9.0);
    }
}
