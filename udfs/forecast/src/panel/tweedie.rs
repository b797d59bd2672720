//! The loss of the global model: the deviance of a variance in proportion to a power of the mean, with a logarithmic
//! link.
//!
//! Wedderburn (1974), "Quasi-likelihood functions, generalized linear models, and the Gauss-Newton method",
//! *Biometrika* 61. With a power in (1, 2) it is that of the Tweedie distributions (Jørgensen 1987), with 1 of Poisson
//! counts, with 0 of squared errors. A power of 1/2 has measured as the best compromise between squared errors, which
//! forecasts are judged by, and the unequal spread of small and large sales (0, 1/2 and 1.15 tried on M5 and on
//! generated sales).

/// The power of the variance.
const POWER: f64 = 0.5;

/// The least and largest score (logarithm of a mean).
const SCORES: (f64, f64) = (-20.0, 30.0);

/// Mean for a score.
pub(crate) fn mean(score: f64) -> f64 {
    score.clamp(SCORES.0, SCORES.1).exp()
}

/// First derivative of the loss by the score, and what is expected of the second (Fisher's scoring: the second itself
/// can be negative).
pub(crate) fn derivatives(value: f64, score: f64) -> (f64, f64) {
    let mean = mean(score);
    let spread = mean.powf(1.0 - POWER);
    ((mean - value) * spread, mean * spread)
}

/// The loss, up to a part that does not depend on the score.
pub(crate) fn loss(value: f64, score: f64) -> f64 {
    let mean = mean(score);
    let spread = mean.powf(1.0 - POWER);
    mean * spread / (2.0 - POWER) - value * spread / (1.0 - POWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_loss() {
        for (value, score) in [(0.0, -1.0), (3.0, 0.5), (40.0, 4.0), (1.0, -3.0)] {
            let (gradient, expected) = derivatives(value, score);
            let step = 1e-5;
            let slope = (loss(value, score + step) - loss(value, score - step)) / (2.0 * step);
            assert!((gradient - slope).abs() < 1e-5 * (1.0 + gradient.abs()), "{gradient} {slope}");
            // Where the value is the mean, the second derivative is what is expected of it.
            let at = derivatives(mean(score), score + step).0 - derivatives(mean(score), score - step).0;
            assert!((expected - at / (2.0 * step)).abs() < 1e-5 * (1.0 + expected));
        }
    }

    #[test]
    fn the_loss_is_least_at_the_value() {
        let at = |score: f64| loss(5.0, score);
        assert!(at(5.0_f64.ln()) < at(4.9_f64.ln()) && at(5.0_f64.ln()) < at(5.1_f64.ln()));
        assert!(mean(1e9).is_finite() && derivatives(1e12, -1e9).1.is_finite());
    }
}
