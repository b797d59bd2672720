//! The recursions of exponential smoothing in innovations state-space form.
//!
//! Hyndman, Koehler, Ord & Snyder (2008), *Forecasting with Exponential Smoothing*, tables 2.2 and 2.3. Errors are
//! additive, or multiplicative: relative to the mean.

use crate::season::Kind;

/// Which components a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Multiplicative where the season is.
    pub(crate) error: Kind,
    pub(crate) trend: Trend,
    pub(crate) season: Option<Kind>,
}

/// What the level does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trend {
    /// It stays.
    None,
    /// It grows by the same amount each step.
    Additive,
    /// It grows by less each step.
    Damped,
}

impl Form {
    /// The taxonomy's name: `ETS(A,Ad,N)` and its like.
    pub(crate) fn name(self) -> String {
        let letter = |kind| match kind {
            None => "N",
            Some(Kind::Additive) => "A",
            Some(Kind::Multiplicative) => "M",
        };
        let trend = match self.trend {
            Trend::None => "N",
            Trend::Additive => "A",
            Trend::Damped => "Ad",
        };
        format!("ETS({},{trend},{})", letter(Some(self.error)), letter(self.season))
    }

    /// Smoothing parameters that are estimated.
    pub(crate) fn smoothing(self) -> usize {
        let trend = match self.trend {
            Trend::None => 0,
            Trend::Additive => 1,
            Trend::Damped => 2,
        };
        1 + trend + usize::from(self.season.is_some())
    }

    /// Initial states that are estimated, for seasons of `season` steps.
    pub(crate) fn states(self, season: usize) -> usize {
        let seasonal = if self.season.is_some() { season - 1 } else { 0 };
        1 + usize::from(self.trend != Trend::None) + seasonal
    }
}

/// How fast each component follows the errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Smoothing {
    /// Of the level, in (0, 1).
    pub(crate) alpha: f64,
    /// Of the trend, in (0, alpha).
    pub(crate) beta: f64,
    /// Of the season, in (0, 1 − alpha).
    pub(crate) gamma: f64,
    /// Damping of the trend, in (0, 1]; 1 is none.
    pub(crate) phi: f64,
}

/// Level, trend and seasonal indices at some time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) level: f64,
    pub(crate) trend: f64,
    /// The index for time t stands at t modulo its length; `[0]` or `[1]` by kind where there is no season.
    pub(crate) season: Vec<f64>,
}

/// The error of one step and the mean that it was expected to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) mean: f64,
    /// Relative to the mean where errors are multiplicative.
    pub(crate) error: f64,
}

/// Runs the recursions over `values`, from time 0, and calls `visit` after each with the state updated.
pub(crate) fn run(
    form: Form,
    smoothing: Smoothing,
    state: &mut State,
    values: &[f64],
    visit: impl FnMut(usize, Step, &State),
) {
    use Kind::{Additive, Multiplicative};
    match (form.trend != Trend::None, form.season, form.error) {
        (false, None, Additive) => run_form::<false, 0, false>(smoothing, state, values, visit),
        (true, None, Additive) => run_form::<true, 0, false>(smoothing, state, values, visit),
        (false, None, Multiplicative) => run_form::<false, 0, true>(smoothing, state, values, visit),
        (true, None, Multiplicative) => run_form::<true, 0, true>(smoothing, state, values, visit),
        (false, Some(Additive), _) => run_form::<false, 1, false>(smoothing, state, values, visit),
        (true, Some(Additive), _) => run_form::<true, 1, false>(smoothing, state, values, visit),
        (false, Some(Multiplicative), _) => run_form::<false, 2, true>(smoothing, state, values, visit),
        (true, Some(Multiplicative), _) => run_form::<true, 2, true>(smoothing, state, values, visit),
    }
}

/// The loop, compiled for each form: the fit spends all its time here.
fn run_form<const TREND: bool, const SEASON: u8, const RELATIVE: bool>(
    smoothing: Smoothing,
    state: &mut State,
    values: &[f64],
    mut visit: impl FnMut(usize, Step, &State),
) {
    let Smoothing { alpha, beta, gamma, phi } = smoothing;
    let mut at = 0;
    for (time, value) in values.iter().enumerate() {
        let drift = if TREND { phi * state.trend } else { 0.0 };
        let base = state.level + drift;
        let mean = match SEASON {
            0 => base,
            1 => base + state.season[at],
            _ => base * state.season[at],
        };
        let error = match RELATIVE {
            false => value - mean,
            true if mean == 0.0 => 0.0,
            true => (value - mean) / mean,
        };
        let pull = if RELATIVE { base * error } else { error };
        state.level = base + alpha * pull;
        if TREND {
            state.trend = drift + beta * pull;
        }
        match SEASON {
            0 => {}
            1 => state.season[at] += gamma * error,
            _ => state.season[at] *= 1.0 + gamma * error,
        }
        if SEASON > 0 {
            at += 1;
            if at == state.season.len() {
                at = 0;
            }
        }
        visit(time, Step { mean, error }, state);
    }
}

/// Means of the steps after time `now` (the number of values seen), as many as `means` holds.
pub(crate) fn project(form: Form, smoothing: Smoothing, state: &State, now: usize, means: &mut [f64]) {
    let mut level = state.level;
    let mut trend = state.trend;
    for (step, mean) in means.iter_mut().enumerate() {
        if form.trend != Trend::None {
            trend *= smoothing.phi;
            level += trend;
        }
        let index = state.season[(now + step) % state.season.len()];
        *mean = match form.season {
            None => level,
            Some(Kind::Additive) => level + index,
            Some(Kind::Multiplicative) => level * index,
        };
    }
}
