//! Losses of the global model: the deviance of a variance in proportion to a power of the mean, with a logarithmic link.
//!
//! Wedderburn (1974), "Quasi-likelihood functions, generalized linear models, and the Gauss-Newton method",
//! *Biometrika* 61. With a power of 0 it is the squared error, with one in (1, 2) that of the Tweedie distributions
//! (Jørgensen 1987, "Exponential dispersion models", *Journal of the Royal Statistical Society B* 49).

/// What trees make small. Squared errors are what forecasts are judged by, and measured best where little of what sells
/// can be told (M5: RMSSE 0.6% less than Tweedie's in the mean of seven blocks); where promotions and holidays multiply
/// sales, Tweedie's deviance learns them faster (generated sales: 3% less in the mean of four blocks, 6% over Deepavali).
/// Powers between the two were between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanelLoss {
    /// Squared errors, of means that effects multiply.
    Squares,
    /// The deviance of a Tweedie law of power 1.2: sums of a random number of sizes, such as orders of some pairs.
    Tweedie,
}

/// The least and largest score (logarithm of a mean).
const SCORES: (f64, f64) = (-20.0, 30.0);

/// Mean for a score.
pub(crate) fn mean(score: f64) -> f64 {
    score.clamp(SCORES.0, SCORES.1).exp()
}

impl PanelLoss {
    /// Both.
    pub const ALL: [PanelLoss; 2] = [PanelLoss::Squares, PanelLoss::Tweedie];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            PanelLoss::Squares => "squared errors",
            PanelLoss::Tweedie => "Tweedie deviance",
        }
    }

    /// Of the mean that the variance is in proportion to.
    fn power(self) -> f64 {
        match self {
            PanelLoss::Squares => 0.0,
            PanelLoss::Tweedie => 1.2,
        }
    }

    /// First derivative of the loss by the score, and what is expected of the second (Fisher's scoring: the second itself
    /// can be negative).
    pub(crate) fn derivatives(self, value: f64, score: f64) -> (f64, f64) {
        let (mean, spread) = self.spread(score);
        ((mean - value) * spread, mean * spread)
    }

    /// The mean, and it by the variance.
    fn spread(self, score: f64) -> (f64, f64) {
        let mean = mean(score);
        let spread = match self {
            PanelLoss::Squares => mean,
            PanelLoss::Tweedie => (score.clamp(SCORES.0, SCORES.1) * (1.0 - self.power())).exp(),
        };
        (mean, spread)
    }

    /// How much rows of a series count that sells `size` a day, so that series of any size count alike: errors of counts
    /// grow with the root of the size.
    pub(crate) fn weight(self, size: f32) -> f32 {
        size.max(0.01).powf(self.power() as f32 - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl PanelLoss {
        /// The loss itself, up to a part that does not depend on the score.
        fn loss(self, value: f64, score: f64) -> f64 {
            let (mean, spread) = self.spread(score);
            mean * spread / (2.0 - self.power()) - value * spread / (1.0 - self.power())
        }
    }

    #[test]
    fn derivatives_are_those_of_the_loss() {
        for loss in PanelLoss::ALL {
            for (value, score) in [(0.0, -1.0), (3.0, 0.5), (40.0, 4.0), (1.0, -3.0)] {
                let (gradient, expected) = loss.derivatives(value, score);
                let step = 1e-5;
                let slope = (loss.loss(value, score + step) - loss.loss(value, score - step)) / (2.0 * step);
                assert!((gradient - slope).abs() < 1e-5 * (1.0 + gradient.abs()), "{gradient} {slope}");
                // Where the value is the mean, the second derivative is what is expected of it.
                let around = [step, -step].map(|step| loss.derivatives(mean(score), score + step).0);
                assert!((expected - (around[0] - around[1]) / (2.0 * step)).abs() < 1e-5 * (1.0 + expected));
            }
        }
    }

    #[test]
    fn the_loss_is_least_at_the_value() {
        for loss in PanelLoss::ALL {
            let at = |score: f64| loss.loss(5.0, score);
            assert!(at(5.0_f64.ln()) < at(4.9_f64.ln()) && at(5.0_f64.ln()) < at(5.1_f64.ln()));
            assert!(mean(1e9).is_finite() && loss.derivatives(1e12, -1e9).1.is_finite());
        }
    }

    #[test]
    fn series_of_any_size_count_alike() {
        for loss in PanelLoss::ALL {
            // The loss of a typical error of counts, 3 roots of the mean, above that of none.
            let of = |size: f64| {
                let value = size + 3.0 * size.sqrt();
                let above = loss.loss(value, size.ln()) - loss.loss(value, value.ln());
                above * f64::from(loss.weight(size as f32))
            };
            let ratio = of(400.0) / of(100.0);
            assert!((ratio - 1.0).abs() < 0.12, "{loss:?} {ratio}");
        }
    }
}
