//! Initial states: a rule of thumb, then least squares.

use super::filter::{Form, Smoothing, State, Step, Trend, run};
use crate::season::{self, Kind};

/// Seasons from which the first seasonal indices are guessed.
const SEASONS: usize = 5;
/// The part of a series that may be zero, days on which a shop is closed, where errors are relative to the mean.
const CLOSED: f64 = 0.02;
/// The longest season whose indices are refined: the work grows with its square.
const LONGEST: usize = 60;

/// States guessed from the beginning of the series: indices by decomposition, level and trend by regression (Hyndman et
/// al. 2008, §2.6.1). None where the series is too short for the form.
pub(crate) fn guess(form: Form, values: &[f64], season: usize) -> Option<State> {
    let relative = form.error == Kind::Multiplicative;
    if relative {
        let below = values.iter().any(|value| *value < 0.0);
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        if below || zeros as f64 > CLOSED * values.len() as f64 {
            return None;
        }
    }
    let indices = match form.season {
        None => vec![0.0],
        Some(kind) => season::indices(&values[..values.len().min(SEASONS * season)], season, kind)?,
    };
    let window = if form.season.is_some() { season.max(10) } else { 10 };
    let adjusted: Vec<f64> = values
        .iter()
        .zip(indices.iter().cycle())
        .take(window)
        .map(
            |(value, index)| {
                if form.season == Some(Kind::Multiplicative) { value / index } else { value - index }
            },
        )
        .collect();
    let (level, trend) = line(&adjusted);
    let state = match form.trend {
        Trend::None => {
            State { level: adjusted.iter().sum::<f64>() / adjusted.len() as f64, trend: 0.0, season: indices }
        }
        _ => State { level, trend, season: indices },
    };
    (!relative || state.level > 0.0).then_some(state)
}

/// Intercept (one step before the first value) and slope of a least-squares line.
fn line(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let centre = (count + 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let (mut products, mut squares) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let x = (index + 1) as f64 - centre;
        products += x * (value - mean);
        squares += x * x;
    }
    let slope = if squares > 0.0 { products / squares } else { 0.0 };
    (mean - slope * centre, slope)
}

/// The states that minimise the squared errors under given smoothing: one Gauss–Newton step, which is exact where the
/// error is additive, because errors are then linear in the initial states (Hyndman et al. 2008, §2.6.2). None where
/// the equations have no solution or the season is too long.
pub(crate) fn refine(form: Form, smoothing: Smoothing, state: &State, values: &[f64]) -> Option<State> {
    if state.season.len() > LONGEST {
        return None;
    }
    let unknowns = form.states(state.season.len());
    let errors_of = |mut state: State| {
        let mut errors = Vec::with_capacity(values.len());
        run(form, smoothing, &mut state, values, |_, step: Step, _| errors.push(step.error));
        errors
    };
    let nudge = if form.error == Kind::Multiplicative { 1e-5 } else { 1.0 };
    let errors = errors_of(state.clone());
    let slopes: Vec<Vec<f64>> = (0..unknowns)
        .map(|unknown| {
            let moved = errors_of(shifted(form, state, unknown, nudge));
            moved.iter().zip(&errors).map(|(moved, error)| (moved - error) / nudge).collect()
        })
        .collect();

    let mut matrix = vec![vec![0.0; unknowns]; unknowns];
    let mut right = vec![0.0; unknowns];
    for row in 0..unknowns {
        for column in 0..=row {
            matrix[row][column] = dot(&slopes[row], &slopes[column]);
        }
        right[row] = -dot(&slopes[row], &errors);
    }
    let change = solve(matrix, right)?;
    let mut refined = state.clone();
    for (unknown, by) in change.iter().enumerate() {
        refined = shifted(form, &refined, unknown, *by);
    }
    Some(refined)
}

/// A state with one unknown changed: the level, the trend, or an index at the cost of the last one, which keeps their
/// sum.
fn shifted(form: Form, state: &State, unknown: usize, by: f64) -> State {
    let mut state = state.clone();
    let seasonal = 1 + usize::from(form.trend != Trend::None);
    if unknown == 0 {
        state.level += by;
    } else if unknown < seasonal {
        state.trend += by;
    } else {
        state.season[unknown - seasonal] += by;
        if let Some(last) = state.season.last_mut() {
            *last -= by;
        }
    }
    state
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves a positive definite system, given as its lower triangle, by Cholesky's decomposition. A trace of ridge keeps
/// a state that no value depends on where it is.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    let largest = (0..size).map(|row| matrix[row][row]).fold(0.0, f64::max);
    for row in 0..size {
        matrix[row][row] += 1e-10 * largest;
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| matrix[row][k] * matrix[column][k]).sum();
            let rest = matrix[row][column] - known;
            matrix[row][column] = if row > column {
                rest / matrix[column][column]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    for row in 0..size {
        let known: f64 = (0..row).map(|k| matrix[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|k| matrix[k][row] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right.iter().all(|value| value.is_finite()).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_season_is_fitted_without_error() {
        let weekly = [-3.0, -1.0, 0.0, 0.0, 1.0, 2.0, 1.0];
        let values: Vec<f64> = (0..40).map(|t| 20.0 + 0.5 * f64::from(t) + weekly[t as usize % 7]).collect();
        let form = Form { error: Kind::Additive, trend: Trend::Additive, season: Some(Kind::Additive) };
        let smoothing = Smoothing { alpha: 0.1, beta: 0.01, gamma: 0.1, phi: 1.0 };
        let start = State { level: 7.0, trend: 0.0, season: vec![0.0; 7] };
        let mut state = refine(form, smoothing, &start, &values).unwrap();
        run(form, smoothing, &mut state, &values, |_, step, _| assert!(step.error.abs() < 1e-6, "{step:?}"));
    }

    #[test]
    fn short_series_have_no_seasonal_guess() {
        let form = Form { error: Kind::Additive, trend: Trend::None, season: Some(Kind::Additive) };
        assert_eq!(guess(form, &[1.0; 13], 7), None);
        assert!(guess(form, &[1.0; 14], 7).is_some());
    }
}
