//! How improbable a large surprise is, from the largest of many.

/// A generalized Pareto tail of surprises above a threshold.
///
/// Pickands (1975), "Statistical Inference Using Extreme Order Statistics", *Annals of Statistics* 3. The anomalies that
/// are looked for are in the tail themselves, so the largest fifth of the exceedances counts only as "at least so large"
/// (censored), which leaves the fit unbiased and deaf to their size. Surprises of a true model have shape 0 and scale 1;
/// a prior keeps the shape near 0 (deviation 0.05, within 0 and 0.2, after Coles & Dixon 1999, *Extremes* 2) and the
/// scale is at least a half, since counts come in steps and steps are no tail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ParetoTail {
    /// Above this the tail holds.
    pub(crate) threshold: f64,
    /// Probability of being above it.
    pub(crate) above: f64,
    shape: f64,
    scale: f64,
}

/// Part of the exceedances whose size isn't trusted.
const CENSORED: f64 = 0.2;
/// The others are put into so many classes, so that the likelihood is cheap.
const CLASSES: usize = 64;
/// Least scale.
const LEAST_SCALE: f64 = 0.5;
/// Fewest exceedances.
const NEEDED: usize = 10;

impl ParetoTail {
    /// Fits the tail to the largest of `total` residuals, in descending order; the last is the threshold. Without
    /// `shaped` the shape is 0. None where there are too few.
    pub(crate) fn fit(largest: &[f64], total: usize, shaped: bool) -> Option<ParetoTail> {
        let (threshold, exceedances) = largest.split_last()?;
        if exceedances.len() < NEEDED {
            return None;
        }
        let censored = (exceedances.len() as f64 * CENSORED).ceil() as usize;
        let seen: Vec<f64> = exceedances[censored..].iter().map(|value| value - threshold).collect();
        let limit = exceedances[censored - 1] - threshold;
        let limit = limit.min(seen.first().copied().unwrap_or(limit) * 1.5);
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        if !mean.is_finite() {
            return None;
        }
        let classes: Vec<(f64, f64)> = seen
            .chunks(seen.len().div_ceil(CLASSES))
            .map(|class| (class.iter().sum::<f64>() / class.len() as f64, class.len() as f64))
            .collect();
        let likelihood = |shape: f64, scale: f64| {
            let count = seen.len() as f64;
            let density: f64 = classes
                .iter()
                .map(|(value, weight)| weight * (1.0 + shape) * log_over_shape(shape, value / scale))
                .sum();
            let prior = (shape / 0.05).powi(2) / 2.0;
            -count * scale.ln() - density - censored as f64 * log_over_shape(shape, limit / scale) - prior
        };
        let mut best = (f64::NEG_INFINITY, 0.0, mean);
        for step in 0..=if shaped { 10 } else { 0 } {
            let shape = f64::from(step) / 50.0;
            let (mut low, mut high) = (LEAST_SCALE.ln(), (20.0 * mean.max(LEAST_SCALE)).ln());
            for _ in 0..24 {
                let (a, b) = (low + (high - low) * 0.382, low + (high - low) * 0.618);
                let (at_a, at_b) = (likelihood(shape, a.exp()), likelihood(shape, b.exp()));
                if at_a > at_b { high = b } else { low = a }
            }
            let scale = ((low + high) / 2.0).exp();
            let found = likelihood(shape, scale);
            if found > best.0 {
                best = (found, shape, scale);
            }
        }
        let above = exceedances.len() as f64 / total.max(1) as f64;
        Some(ParetoTail { threshold: *threshold, above, shape: best.1, scale: best.2 })
    }

    /// Probability of a residual of at least this size; only for those above the threshold.
    pub(crate) fn probability(&self, residual: f64) -> f64 {
        let excess = ((residual - self.threshold) / self.scale).max(0.0);
        self.above * (-log_over_shape(self.shape, excess)).exp()
    }

    /// The residual that is reached with a probability, which must be below `above`.
    pub(crate) fn quantile(&self, probability: f64) -> f64 {
        let log = (self.above / probability.max(1e-300)).ln().max(0.0);
        let excess = if self.shape.abs() < 1e-9 { log } else { (self.shape * log).exp_m1() / self.shape };
        self.threshold + self.scale * excess
    }
}

/// ln(1 + ξ x) / ξ, which is x at ξ = 0 and infinite beyond the end of a bounded tail.
fn log_over_shape(shape: f64, x: f64) -> f64 {
    if shape.abs() < 1e-9 { x } else { (shape * x).ln_1p() / shape }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The largest 500 of 20,000 exponential numbers and the quantile they'd follow, with `wild` of them replaced.
    fn largest(wild: usize) -> Vec<f64> {
        let mut random = Random::new(11, 0);
        let mut values: Vec<f64> = (0..20_000).map(|_| -(1.0 - random.unit()).ln()).collect();
        values[..wild].fill(1e4);
        values.sort_by(|a, b| b.total_cmp(a));
        values.truncate(501);
        values
    }

    #[test]
    fn an_exponential_tail_is_found_and_anomalies_do_not_move_it() {
        for wild in [0, 40] {
            let tail = ParetoTail::fit(&largest(wild), 20_000, true).unwrap();
            // P(X ≥ 12) = 6.1e-6
            let ratio = tail.probability(12.0) / (-12.0_f64).exp();
            assert!((0.1..10.0).contains(&ratio), "{wild}: {ratio} {tail:?}");
            assert!((tail.quantile(tail.probability(9.0)) - 9.0).abs() < 1e-6);
        }
    }

    #[test]
    fn too_little_is_no_tail() {
        assert_eq!(ParetoTail::fit(&[], 0, true), None);
        assert_eq!(
            ParetoTail::fit(&[1.0; 100], 1_000, true).map(|tail| tail.scale > 0.49 && tail.scale < 0.6),
            Some(true)
        );
        assert_eq!(ParetoTail::fit(&[3.0, 2.0, 1.0], 100, true), None);
    }
}
