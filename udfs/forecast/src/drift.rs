//! The last value and a drift that fades.
//!
//! A random walk with drift (Hyndman & Athanasopoulos, *FPP* 3rd ed., §5.2) with the damping of Gardner & McKenzie
//! (1985), "Forecasting trends in time series", *Management Science* 31, and a drift that outliers don't move, in the
//! manner of the Delta method of Doornik, Castle & Hendry (2020), "Card forecasts for M4", *International Journal of
//! Forecasting* 36.

use crate::interval::Fitted;

/// The model has nothing to fit: the drift is that before each origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drift {
    /// Changes that the drift is the mean of, the latest ones, without the largest and the smallest where there are
    /// five; None for all changes.
    window: Option<usize>,
    /// Part of the drift that is left after a step.
    damping: f64,
}

/// Changes below which none is left out.
const TRIMMED: usize = 5;

impl Drift {
    /// The mean of all changes, for ever.
    pub(crate) const STEADY: Drift = Drift { window: None, damping: 1.0 };
    /// The trimmed mean of the last ten changes, a tenth less each step.
    pub(crate) const FADING: Drift = Drift { window: Some(10), damping: 0.9 };

    fn drift(&self, known: &[f64]) -> f64 {
        let count = known.len();
        let Some(window) = self.window else { return (known[count - 1] - known[0]) / (count - 1) as f64 };
        let changes = known[count.saturating_sub(window + 1)..].windows(2).map(|pair| pair[1] - pair[0]);
        let (mut sum, mut least, mut most, mut number) = (0.0, f64::INFINITY, f64::NEG_INFINITY, 0);
        for change in changes {
            sum += change;
            least = change.min(least);
            most = change.max(most);
            number += 1;
        }
        if number < TRIMMED { sum / number as f64 } else { (sum - least - most) / (number - 2) as f64 }
    }
}

impl Fitted for Drift {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        for origin in first.max(self.warm_up())..=history.len() {
            let known = &history[..origin];
            let (mut level, mut drift) = (known[origin - 1], self.drift(known));
            for mean in &mut means {
                level += drift;
                *mean = level;
                drift *= self.damping;
            }
            visit(origin, &means);
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        (1..=horizon).map(|step| (step as f64).sqrt()).collect()
    }

    fn parameters(&self) -> usize {
        1
    }

    fn warm_up(&self) -> usize {
        2
    }

    fn form(&self) -> Option<String> {
        Some(if self.damping < 1.0 { "fading drift" } else { "drift" }.to_string())
    }

    fn refit(&self, _values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::assert_close;

    fn ahead(drift: Drift, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        drift.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn drifts_go_on_or_fade() {
        let values = [1.0, 2.0, 4.0, 7.0];
        assert_close(&ahead(Drift::STEADY, &values, 2), &[9.0, 11.0], 1e-12);
        assert_close(&ahead(Drift::FADING, &values, 2), &[9.0, 10.8], 1e-12);
    }

    #[test]
    fn one_jump_does_not_make_a_drift() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 95.0, 96.0, 97.0, 98.0, 99.0, 100.0];
        assert_close(&ahead(Drift::FADING, &values, 1), &[101.0], 1e-12);
    }
}
