//! Seasonal ARIMA with orders chosen by the corrected Akaike criterion, and regression with ARIMA errors.
//!
//! Box, Jenkins, Reinsel & Ljung (2015), *Time Series Analysis*, ch. 4, 7 and 9. The search is the stepwise one of
//! Hyndman & Khandakar (2008), "Automatic time series forecasting: the forecast package for R", *Journal of
//! Statistical Software* 27, kept to small orders and a fixed amount of work; the estimate is conditional least squares
//! with what came before the series at its mean, constant and regressors solved for at every step of it.

mod order;
mod polynomial;
mod sum_of_squares;

use crate::interval::Fitted;
use order::Order;
use polynomial::Lags;
use sum_of_squares::Estimate;

/// Points needed for a difference, a coefficient and an error.
pub(crate) const NEEDED: usize = 8;

/// The longest season that is modelled; a longer one is treated as none.
const LONGEST: usize = 60;

/// Multiplications that the search for orders may take: tens of milliseconds.
const WORK: usize = 40_000_000;

/// A fitted model.
#[derive(Debug, Clone)]
pub(crate) struct Arima {
    order: Order,
    /// Of the differenced series, in deviations from its mean.
    ar: Lags,
    ma: Lags,
    /// Of the differenced series.
    mean: f64,
    /// Regression coefficients, one a regressor.
    coefficients: Vec<f64>,
    /// Regressors by step of the history and the horizon.
    regressors: Vec<Vec<f64>>,
}

impl Arima {
    /// Fits at least [`NEEDED`] values with a season of `season` steps (1 is none) and regressors, each with one value
    /// a step of the history and of any horizon to come (what is missing counts as zero).
    pub(crate) fn fit(values: &[f64], season: usize, regressors: &[Vec<f64>]) -> Option<Arima> {
        if values.len() < NEEDED {
            return None;
        }
        let season = if season > LONGEST || values.len() < season.saturating_mul(3) { 1 } else { season };
        let base = Order::differences(values, season);
        let mut left = WORK;
        let best = order::search(base, values.len(), |order| {
            left = left.checked_sub(order.cost(values.len(), regressors.len()))?;
            Estimate::of(values, order, regressors)
        })?;
        Some(Arima::from(best, regressors))
    }

    fn from(estimate: Estimate, regressors: &[Vec<f64>]) -> Arima {
        let Estimate { order, ar, ma, mean, coefficients, .. } = estimate;
        Arima { order, ar, ma, mean, coefficients, regressors: regressors.to_vec() }
    }

    /// The part of a value that regressors account for.
    pub(crate) fn effect(&self, time: usize) -> f64 {
        Fitted::effects(self, time).iter().sum()
    }
}

impl Fitted for Arima {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let rest: Vec<f64> =
            history.iter().enumerate().map(|(time, value)| value - self.effect(time)).collect();
        let difference = self.order.difference();
        // Deviations of the differenced series and errors, both zero before there are any.
        let mut deviations = difference.difference(&rest);
        deviations.iter_mut().skip(self.order.lost()).for_each(|value| *value -= self.mean);
        let errors = polynomial::errors(&deviations, self.order.lost(), &self.ar, &self.ma);
        let (mut deviation, mut path, mut means) =
            (vec![0.0; horizon], vec![0.0; horizon], vec![0.0; horizon]);
        for origin in first.max(self.warm_up())..=history.len() {
            for step in 0..horizon {
                let time = origin + step;
                let known = |past: &[f64], ahead: &[f64], lag: usize| {
                    let back = time - lag;
                    if back < origin { past[back] } else { ahead[back - origin] }
                };
                let within = |lag: &usize| *lag <= time;
                let ar: f64 = self
                    .ar
                    .iter()
                    .filter(|(lag, _)| within(lag))
                    .map(|(lag, c)| c * known(&deviations, &deviation, *lag))
                    .sum();
                let ma: f64 = self
                    .ma
                    .iter()
                    .filter(|(lag, _)| *lag > step && within(lag))
                    .map(|(lag, c)| c * errors[time - lag])
                    .sum();
                deviation[step] = ar + ma;
                let before: f64 = difference.iter().map(|(lag, c)| c * known(&rest, &path, *lag)).sum();
                path[step] = ar + ma + self.mean + before;
                means[step] = path[step] + self.effect(time);
            }
            visit(origin, &means);
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let ar = self.ar.times(&self.order.difference(), -1.0);
        let mut psi = vec![1.0; horizon];
        for step in 1..horizon {
            let follows: f64 =
                ar.iter().filter(|(lag, _)| *lag <= step).map(|(lag, c)| c * psi[step - lag]).sum();
            psi[step] = follows + self.ma.iter().filter(|(lag, _)| *lag == step).map(|(_, c)| c).sum::<f64>();
        }
        let mut variance = 0.0;
        psi.iter()
            .map(|weight| {
                variance += weight * weight;
                f64::sqrt(variance)
            })
            .collect()
    }

    fn parameters(&self) -> usize {
        self.order.parameters() + self.coefficients.len()
    }

    fn warm_up(&self) -> usize {
        self.order.lost().max(1)
    }

    fn form(&self) -> Option<String> {
        Some(self.order.to_string())
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        let estimate = Estimate::of(values, self.order, &self.regressors)?;
        Some(Box::new(Arima::from(estimate, &self.regressors)))
    }

    fn effects(&self, time: usize) -> Vec<f64> {
        let at = |regressor: &Vec<f64>| regressor.get(time).copied().unwrap_or(0.0);
        self.coefficients.iter().zip(&self.regressors).map(|(by, column)| by * at(column)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, Noise, assert_close};

    fn ahead(arima: &Arima, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        arima.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn a_line_goes_on() {
        let line: Vec<f64> = (0..40).map(|t| 3.0 + 2.0 * f64::from(t)).collect();
        let arima = Arima::fit(&line, 1, &[]).unwrap();
        assert_close(&ahead(&arima, &line, 3), &[83.0, 85.0, 87.0], 1e-6);
    }

    #[test]
    fn a_regressor_is_separated_from_an_autoregression() {
        let mut noise = Noise(12);
        let promotion: Vec<f64> = (0..320).map(|day| f64::from(u8::from(day % 11 == 3))).collect();
        let mut rest = 0.0;
        let values: Vec<f64> = (0..300)
            .map(|day| {
                rest = 0.7 * rest + noise.uniform() - 0.5;
                10.0 + rest + 4.0 * promotion[day]
            })
            .collect();
        let arima = Arima::fit(&values, 1, std::slice::from_ref(&promotion)).unwrap();
        assert!((arima.coefficients[0] - 4.0).abs() < 0.15, "{arima:?}");
        let ahead = ahead(&arima, &values, 20);
        for (step, mean) in ahead.iter().enumerate().skip(8) {
            assert!((mean - 10.0 - 4.0 * promotion[300 + step]).abs() < 0.6, "{ahead:?}");
        }
    }

    #[test]
    fn the_airline_model_is_estimated() {
        // Conditional least squares by scipy 1.17.1 (lfilter, Nelder-Mead): -0.3772, -0.5724. Maximum likelihood of
        // statsmodels 0.15.0: -0.4019, -0.5571, and the forecasts below.
        let logged: Vec<f64> = AIR_PASSENGERS.iter().map(|value| value.ln()).collect();
        let order = Order { p: 0, d: 1, q: 1, seasonal: (0, 1, 1), season: 12, constant: false };
        let estimate = Estimate::of(&logged, order, &[]).unwrap();
        let ma: Vec<(usize, f64)> = estimate.ma.iter().copied().collect();
        assert!((ma[0].1 + 0.3772).abs() < 0.01 && (ma[1].1 + 0.5724).abs() < 0.01, "{ma:?}");
        let ahead: Vec<f64> =
            ahead(&Arima::from(estimate, &[]), &logged, 3).into_iter().map(f64::exp).collect();
        assert_close(&ahead, &[450.423, 425.720, 479.016], 0.01);
    }

    #[test]
    fn errors_of_a_random_walk_grow_with_the_root_of_time() {
        let mut noise = Noise(2);
        let walk: Vec<f64> = (0..300)
            .scan(0.0, |at, _| {
                *at += noise.uniform() - 0.5;
                Some(*at)
            })
            .collect();
        let order = Order { p: 0, d: 1, q: 0, seasonal: (0, 0, 0), season: 1, constant: false };
        let arima = Arima::from(Estimate::of(&walk, order, &[]).unwrap(), &[]);
        assert_close(&arima.growth(4), &[1.0, 2_f64.sqrt(), 3_f64.sqrt(), 2.0], 1e-12);
        assert_close(&ahead(&arima, &walk, 2), &[walk[299]; 2], 1e-12);
    }
}
