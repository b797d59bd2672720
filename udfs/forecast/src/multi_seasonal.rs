//! Exponential smoothing with several seasons and an autoregressive error.
//!
//! Taylor (2003), "Short-term electricity demand forecasting using double seasonal exponential smoothing", *Journal of
//! the Operational Research Society* 54, in the additive innovations form of Gould et al. (2008), "Forecasting time
//! series with multiple seasonal patterns", *European Journal of Operational Research* 191: a level and one index a
//! step of each season follow the errors, and the first-order autocorrelation of what they leave over is a part of the
//! model. It has no trend: one of hours or days seldom lasts.

use crate::interval::Fitted;
use crate::season::{self, Kind};
use crate::simplex::Search;

/// A fitted model.
#[derive(Debug, Clone)]
pub(crate) struct MultiSeasonal {
    smoothing: Smoothing,
    initial: State,
}

/// How fast the components follow the errors.
#[derive(Debug, Clone)]
struct Smoothing {
    /// Of the level.
    alpha: f64,
    /// Autocorrelation of what level and seasons leave over.
    phi: f64,
    /// Of each season.
    gammas: Vec<f64>,
}

/// Components at some time.
#[derive(Debug, Clone)]
struct State {
    level: f64,
    /// What the last value had beyond level and seasons.
    rest: f64,
    /// Indices of each season; that for time t stands at t modulo its length.
    seasons: Vec<Vec<f64>>,
}

/// Cycles of the longest season that the first indices are taken from.
const CYCLES: usize = 4;
/// Bounds of alpha, phi and every gamma.
const LOWER: [f64; 3] = [1e-4, -0.5, 1e-4];
const UPPER: [f64; 3] = [0.95, 0.99, 0.9];
/// Evaluations a free parameter.
const EVALUATIONS: usize = 45;
/// The same where a former fit is the beginning.
const REFIT: usize = 15;

impl MultiSeasonal {
    /// Fits values to seasons of `periods` steps, shortest first; None with fewer than two cycles of the longest, or
    /// without a period.
    pub(crate) fn fit(values: &[f64], periods: &[usize]) -> Option<MultiSeasonal> {
        let mut starts = Vec::new();
        for (alpha, phi) in [(0.02, 0.5), (0.02, 0.9), (0.3, 0.2), (0.8, 0.0)] {
            for gamma in [0.02, 0.2] {
                let mut free = vec![alpha, phi];
                free.extend(periods.iter().map(|_| gamma));
                starts.push(free);
            }
        }
        MultiSeasonal::from(values, periods, starts, EVALUATIONS)
    }

    /// From the best of several beginnings, with so many evaluations a free parameter.
    fn from(
        values: &[f64],
        periods: &[usize],
        starts: Vec<Vec<f64>>,
        evaluations: usize,
    ) -> Option<MultiSeasonal> {
        let initial = first_state(values, periods)?;
        let squares = |free: &[f64]| {
            let smoothing = Smoothing::from_free(free);
            let mut squares = 0.0;
            run(&smoothing, &mut initial.clone(), values, |_, error, _| squares += error * error);
            squares
        };
        let mut best: Option<(f64, Vec<f64>)> = None;
        for free in starts {
            let value = squares(&free);
            if value.is_finite() && best.as_ref().is_none_or(|(least, _)| value < *least) {
                best = Some((value, free));
            }
        }
        let (least, start) = best?;
        let size = start.len();
        let bounds = |bounds: [f64; 3]| (0..size).map(|axis| bounds[axis.min(2)]).collect::<Vec<f64>>();
        let search = Search {
            start: &start,
            edge: &vec![0.08; size],
            lower: &bounds(LOWER),
            upper: &bounds(UPPER),
            evaluations: evaluations * size,
            tolerance: 1e-5 * least,
        };
        let (free, squares) = search.minimise(squares);
        squares.is_finite().then(|| MultiSeasonal { smoothing: Smoothing::from_free(&free), initial })
    }
}

impl Smoothing {
    fn from_free(free: &[f64]) -> Smoothing {
        Smoothing { alpha: free[0], phi: free[1], gammas: free[2..].to_vec() }
    }
}

/// Indices by classical decomposition of the first cycles, shortest season first, each of what the one before left.
fn first_state(values: &[f64], periods: &[usize]) -> Option<State> {
    let longest = *periods.last()?;
    if values.len() < longest.saturating_mul(2) {
        return None;
    }
    let window = values.len().min(CYCLES.saturating_mul(longest));
    let mut rest = values[..window].to_vec();
    let mut seasons = Vec::with_capacity(periods.len());
    for period in periods {
        let indices = season::indices(&rest, *period, Kind::Additive)?;
        for (value, index) in rest.iter_mut().zip(indices.iter().cycle()) {
            *value -= index;
        }
        seasons.push(indices);
    }
    let level = rest[..longest].iter().sum::<f64>() / longest as f64;
    Some(State { level, rest: 0.0, seasons })
}

/// Runs the recursions over `values`, from time 0, and calls `visit(time, error, state)` after each.
fn run(smoothing: &Smoothing, state: &mut State, values: &[f64], mut visit: impl FnMut(usize, f64, &State)) {
    let mut at = vec![0_usize; state.seasons.len()];
    for (time, value) in values.iter().enumerate() {
        let seasonal: f64 = state.seasons.iter().zip(&at).map(|(season, at)| season[*at]).sum();
        let rest = value - state.level - seasonal;
        let error = rest - smoothing.phi * state.rest;
        state.level += smoothing.alpha * error;
        state.rest = rest;
        for ((season, at), gamma) in state.seasons.iter_mut().zip(&mut at).zip(&smoothing.gammas) {
            season[*at] += gamma * error;
            *at += 1;
            if *at == season.len() {
                *at = 0;
            }
        }
        visit(time, error, state);
    }
}

impl Fitted for MultiSeasonal {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        run(&self.smoothing, &mut self.initial.clone(), history, |time, _, state| {
            let origin = time + 1;
            if origin < first {
                return;
            }
            let mut rest = state.rest;
            for (step, mean) in means.iter_mut().enumerate() {
                rest *= self.smoothing.phi;
                let index = |season: &Vec<f64>| season[(origin + step) % season.len()];
                *mean = state.level + rest + state.seasons.iter().map(index).sum::<f64>();
            }
            visit(origin, &means);
        });
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let Smoothing { alpha, phi, gammas } = &self.smoothing;
        let (mut variance, mut fading) = (1.0, 1.0);
        (0..horizon)
            .map(|step| {
                if step > 0 {
                    fading *= phi;
                    let seasonal: f64 = self
                        .initial
                        .seasons
                        .iter()
                        .zip(gammas)
                        .filter(|(season, _)| step % season.len() == 0)
                        .map(|(_, gamma)| gamma)
                        .sum();
                    let follows = fading + alpha + seasonal;
                    variance += follows * follows;
                }
                f64::sqrt(variance)
            })
            .collect()
    }

    fn parameters(&self) -> usize {
        3 + self.smoothing.gammas.len()
            + self.initial.seasons.iter().map(|season| season.len() - 1).sum::<usize>()
    }

    fn warm_up(&self) -> usize {
        1
    }

    fn form(&self) -> Option<String> {
        let periods: Vec<String> =
            self.initial.seasons.iter().map(|season| season.len().to_string()).collect();
        Some(format!("seasons of {} with an autoregressive error", periods.join(" and ")))
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        let periods: Vec<usize> = self.initial.seasons.iter().map(Vec::len).collect();
        let Smoothing { alpha, phi, gammas } = &self.smoothing;
        let start = [*alpha, *phi].into_iter().chain(gammas.iter().copied()).collect();
        Some(Box::new(MultiSeasonal::from(values, &periods, vec![start], REFIT)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Noise, assert_close, weekly};

    fn two_seasons(points: usize, spread: f64) -> Vec<f64> {
        let mut noise = Noise(3);
        (0..points)
            .map(|hour| {
                let day = (hour as f64 * std::f64::consts::TAU / 24.0).sin();
                let weekend = if hour / 24 % 7 >= 5 { -2.0 } else { 0.0 };
                20.0 + 3.0 * day + weekend + spread * (noise.uniform() - 0.5)
            })
            .collect()
    }

    #[test]
    fn both_seasons_are_continued() {
        let values = two_seasons(24 * 7 * 5 + 48, 0.5);
        let (history, future) = values.split_at(24 * 7 * 5);
        let model = MultiSeasonal::fit(history, &[24, 168]).unwrap();
        let mut ahead = Vec::new();
        model.walk(history, history.len(), 48, &mut |_, means| ahead = means.to_vec());
        let off: f64 = ahead.iter().zip(future).map(|(mean, value)| (mean - value).abs()).sum::<f64>() / 48.0;
        assert!(off < 0.25, "{off}, of which the noise is 0.125");
    }

    #[test]
    fn means_and_deviations_agree_with_statsmodels() {
        // With its smoothing given, the model is an ARIMA: (1 - φB)(1 - B⁴) y = (1 - B⁴) ε + (1 - φB)(α(B + B² + B³ + B⁴) +
        // γ₁(B² + B⁴) + γ₂B⁴) ε for seasons of 2 and 4. statsmodels 0.15.0, SARIMAX(weekly fixture, order=(1, 0, 5),
        // seasonal_order=(0, 1, 0, 4), enforce_stationarity=False, enforce_invertibility=False).smooth([0.4, 0.3, 0.38, 0.1,
        // -0.32, -0.32, 1]).get_forecast(8): predicted_mean and se_mean. It starts from states about which nothing is known;
        // of how ours begins, 0.94^140 is left, which makes 8e-6. States that followed the rest instead of the error would
        // make 10%.
        let weekly = weekly();
        let model = MultiSeasonal {
            smoothing: Smoothing { alpha: 0.3, phi: 0.4, gammas: vec![0.2, 0.3] },
            initial: State { level: 40.0, rest: 0.0, seasons: vec![vec![0.0; 2], vec![0.0; 4]] },
        };
        let mut ahead = Vec::new();
        model.walk(&weekly, weekly.len(), 8, &mut |_, means| ahead = means.to_vec());
        let means = [49.07113, 46.588791, 52.767051, 49.410972, 50.403632, 47.121792, 52.980252, 49.496252];
        assert_close(&ahead, &means, 3e-5);
        let deviations = [1.0, 1.220656, 1.38766, 1.434607, 1.655207, 1.684031, 1.75786, 1.783552];
        assert_close(&model.growth(8), &deviations, 2e-6);
    }

    #[test]
    fn two_cycles_are_needed() {
        assert!(MultiSeasonal::fit(&two_seasons(335, 0.0), &[24, 168]).is_none());
        assert!(MultiSeasonal::fit(&two_seasons(335, 0.0), &[]).is_none());
        assert!(MultiSeasonal::fit(&two_seasons(336, 0.0), &[24, 168]).is_some());
    }
}
