//! Models of a changed series: of its logarithms, or of what is left when known effects are taken away.

use crate::interval::Fitted;

/// A model of the logarithms of a series.
#[derive(Debug)]
pub(crate) struct Logged {
    inner: Box<dyn Fitted>,
    /// Values below this count as this.
    floor: f64,
    /// Logarithms of means are cut here.
    ceiling: f64,
}

/// Forecasts beyond twice the largest value, times the factor by which that stands above the smallest, are artefacts of
/// the logarithm.
const TWICE: f64 = std::f64::consts::LN_2;

impl Logged {
    /// Fits `fit` to the logarithms of values that are all above zero; None where some are not or `fit` fails.
    ///
    /// Means are back-transformed without correction: they are medians, which is what absolute errors ask for.
    pub(crate) fn fit(values: &[f64], fit: impl FnOnce(&[f64]) -> Option<Box<dyn Fitted>>) -> Option<Logged> {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if least <= 0.0 || least.is_infinite() {
            return None;
        }
        let logged: Vec<f64> = values.iter().map(|value| value.ln()).collect();
        Some(Logged {
            inner: fit(&logged)?,
            floor: least / 100.0,
            ceiling: 2.0 * most.ln() - least.ln() + TWICE,
        })
    }
}

impl Fitted for Logged {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let logged: Vec<f64> = history.iter().map(|value| value.max(self.floor).ln()).collect();
        let mut means = vec![0.0; horizon];
        self.inner.walk(&logged, first, horizon, &mut |origin, inner| {
            for (mean, logarithm) in means.iter_mut().zip(inner) {
                *mean = logarithm.min(self.ceiling).exp();
            }
            visit(origin, &means);
        });
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        self.inner.growth(horizon)
    }

    fn parameters(&self) -> usize {
        self.inner.parameters()
    }

    fn warm_up(&self) -> usize {
        self.inner.warm_up()
    }

    fn form(&self) -> Option<String> {
        self.inner.form().map(|form| format!("{form} of logarithms"))
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Logged::fit(values, |logged| self.inner.refit(logged))?))
    }
}

/// A model of a series less effects that are known for every step, past and future.
#[derive(Debug)]
pub(crate) struct Shifted {
    /// Fitted to the series less the effects.
    pub(crate) inner: Box<dyn Fitted>,
    /// For each regressor one for each step of the history and of every horizon that is asked for; zero beyond.
    pub(crate) effects: Vec<Vec<f64>>,
}

impl Shifted {
    fn own(&self, time: usize) -> impl Iterator<Item = f64> {
        self.effects.iter().map(move |effect| effect.get(time).copied().unwrap_or(0.0))
    }

    fn effect(&self, time: usize) -> f64 {
        self.own(time).sum()
    }
}

impl Fitted for Shifted {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let rest: Vec<f64> =
            history.iter().enumerate().map(|(time, value)| value - self.effect(time)).collect();
        let mut means = vec![0.0; horizon];
        self.inner.walk(&rest, first, horizon, &mut |origin, inner| {
            for (step, (mean, rest)) in means.iter_mut().zip(inner).enumerate() {
                *mean = rest + self.effect(origin + step);
            }
            visit(origin, &means);
        });
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        self.inner.growth(horizon)
    }

    fn parameters(&self) -> usize {
        self.inner.parameters() + self.effects.len()
    }

    fn warm_up(&self) -> usize {
        self.inner.warm_up()
    }

    fn form(&self) -> Option<String> {
        self.inner.form()
    }

    fn effects(&self, time: usize) -> Vec<f64> {
        self.own(time).chain(self.inner.effects(time)).collect()
    }

    fn annual(&self, time: usize) -> f64 {
        self.inner.annual(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::assert_close;
    use crate::seasonal_naive::SeasonalNaive;

    fn ahead(fitted: &dyn Fitted, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        fitted.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn logarithms_come_back() {
        let naive = |_: &[f64]| -> Option<Box<dyn Fitted>> { Some(Box::new(SeasonalNaive { season: 2 })) };
        let logged = Logged::fit(&[1.0, 5.0, 3.0], naive).unwrap();
        assert_close(&ahead(&logged, &[1.0, 5.0, 3.0], 2), &[5.0, 3.0], 1e-12);
        // A value that was not there when the model was fitted may be zero.
        assert_close(&ahead(&logged, &[1.0, 5.0, 0.0], 2), &[5.0, 0.01], 1e-12);
        assert!(Logged::fit(&[1.0, 0.0], naive).is_none());
    }

    #[test]
    fn effects_are_taken_away_and_given_back() {
        let inner = Box::new(SeasonalNaive { season: 1 });
        let shifted = Shifted { inner, effects: vec![vec![1.0, 2.0, 3.0, 10.0]] };
        assert_close(&ahead(&shifted, &[2.0, 3.0, 4.0], 2), &[11.0, 1.0], 1e-12);
    }
}
