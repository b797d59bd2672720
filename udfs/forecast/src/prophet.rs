//! Prophet: a line that bends at changepoints, Fourier seasons and regressors, each drawn towards nothing.
//!
//! Taylor & Letham (2018), "Forecasting at Scale", *The American Statistician* 72. Priors and scales are those of its
//! program; the most probable coefficients are found by coordinate descent and not by L-BFGS, which halts at the edge
//! that the prior on changes has at nothing.
//!
//! A step counts as a day, from day 0 on. Seasons are those of the series, not of the calendar.

use std::f64::consts::TAU;

use crate::interval::Fitted;

/// Points needed for a line and its error.
pub(crate) const NEEDED: usize = 5;

/// Changepoints that the trend may have, and the part of the history that they are spread over.
const CHANGEPOINTS: (usize, f64) = (25, 0.8);
/// Scale of the Laplace prior on how much the slope changes at one.
const CHANGE_SCALE: f64 = 0.05;
/// A change of slope, in units of the largest value over the length of the history, that counts as one (Prophet's plots
/// have the same).
const CHANGE: f64 = 0.01;
/// Scale of the normal prior on coefficients of seasons and regressors.
const EFFECT_SCALE: f64 = 10.0;
/// Pairs of sine and cosine of a season, at most.
const WAVES: usize = 10;
/// Days of a year, its pairs of waves, and the days of history from which on it is modelled.
const YEAR: (f64, usize, usize) = (365.25, 10, 731);
/// Scale of the normal prior on slope and level.
const LINE_SCALE: f64 = 5.0;
/// Rounds of coefficients and spread, and sweeps over the coefficients in each, at most.
const ROUNDS: usize = 50;
const SWEEPS: usize = 400;
/// Effects that move less than this in a sweep, in parts of the largest value, stand.
const STILL: f64 = 1e-7;
/// The least variance of errors, in parts of the largest value's square.
const LEAST: f64 = 1e-10;

/// A fitted curve.
#[derive(Debug, Clone)]
pub(crate) struct Prophet {
    /// Values that it was fitted to.
    count: usize,
    periods: Vec<usize>,
    trend: Trend,
    terms: Vec<Term>,
    coefficients: Vec<f64>,
    regressors: Vec<Vec<f64>>,
}

/// Time runs from 0 at the first value of the history to 1 at its last.
#[derive(Debug, Clone)]
struct Trend {
    slope: f64,
    level: f64,
    /// When the slope changes, in order, and by how much.
    changes: Vec<(f64, f64)>,
    /// Changes that are more than the prior's leftovers.
    turns: usize,
}

impl Trend {
    fn at(&self, time: f64) -> f64 {
        let passed = self.changes.iter().take_while(|(when, _)| *when <= time);
        self.level + self.slope * time + passed.map(|(when, by)| by * (time - when)).sum::<f64>()
    }
}

/// One column of the design.
#[derive(Debug, Clone, Copy)]
enum Term {
    Wave { period: f64, turns: usize, sine: bool },
    Regressor(usize),
}

impl Prophet {
    /// Fits at least [`NEEDED`] values to seasons of `periods` steps and to regressors, each with one value a step of
    /// the history and of any horizon to come. A season of seven steps is taken for the week of daily values, which
    /// have a year as well once there are two. None where numbers overflow.
    pub(crate) fn fit(values: &[f64], periods: &[usize], regressors: &[Vec<f64>]) -> Option<Prophet> {
        let count = values.len();
        if count < NEEDED {
            return None;
        }
        let mut terms = Vec::new();
        for period in periods.iter().copied().filter(|period| *period > 1 && 2 * period <= count) {
            // Of the shortest wave, which alternates, the sine is 0 at every step.
            let seen = move |term: &Term| !matches!(term, Term::Wave { turns, sine: true, .. } if 2 * turns == period);
            terms.extend(waves(period as f64, WAVES.min(period / 2)).filter(seen));
        }
        let (year, turns, enough) = YEAR;
        if periods.first() == Some(&7) && count >= enough {
            terms.extend(waves(year, turns));
        }
        terms.extend((0..regressors.len()).map(Term::Regressor));
        let mut model = Prophet {
            count,
            periods: periods.to_vec(),
            trend: Trend { slope: 0.0, level: values[0], changes: Vec::new(), turns: 0 },
            terms,
            coefficients: Vec::new(),
            regressors: regressors.to_vec(),
        };
        model.coefficients = vec![0.0; model.terms.len()];
        // Of a constant the most probable error is none, which has no logarithm.
        if values.iter().all(|value| *value == values[0]) {
            return Some(model);
        }
        model.optimise(values)?;
        Some(model)
    }

    /// Finds the coefficients, which stand at nothing.
    fn optimise(&mut self, values: &[f64]) -> Option<()> {
        let count = self.count;
        let most = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let scaled: Vec<f64> = values.iter().map(|value| value / most).collect();
        let time = |step: usize| step as f64 / (count - 1) as f64;
        let columns: Vec<Column> = self.terms.iter().map(|term| self.column(*term)).collect();
        let (most_changes, part) = CHANGEPOINTS;
        let early = (count as f64 * part) as usize;
        let changes = most_changes.min(early - 1);
        let place = |number: usize| (number as f64 / changes as f64 * (early - 1) as f64).round_ties_even();
        let when: Vec<f64> = (1..=changes).map(|number| time(place(number) as usize)).collect();

        let times: Vec<f64> = (0..count).map(time).collect();
        let mut design =
            vec![(times.clone(), Prior::Normal(LINE_SCALE)), (vec![1.0; count], Prior::Normal(LINE_SCALE))];
        design.extend(columns.iter().map(|column| (column.scaled.clone(), Prior::Normal(EFFECT_SCALE))));
        let hinge = |at: &f64| times.iter().map(|time| (time - at).max(0.0)).collect::<Vec<f64>>();
        design.extend(when.iter().map(|at| (hinge(at), Prior::Laplace(CHANGE_SCALE))));
        let found = optimum(&design, &scaled)?;
        let (effects, delta) = found[2..].split_at(columns.len());

        self.trend = Trend {
            slope: found[0] * most,
            level: found[1] * most,
            turns: delta.iter().filter(|by| by.abs() >= CHANGE).count(),
            changes: when.into_iter().zip(delta.iter().map(|by| by * most)).collect(),
        };
        for ((coefficient, column), beta) in self.coefficients.iter_mut().zip(&columns).zip(effects) {
            *coefficient = beta * most / column.spread;
            // What a regressor adds is counted from its 0, not from its mean.
            self.trend.level -= *coefficient * column.mean;
        }
        Some(())
    }

    /// A term over the history; a regressor that is more than on and off is counted in standard deviations.
    fn column(&self, term: Term) -> Column {
        let values: Vec<f64> = (0..self.count).map(|time| self.term(term, time)).collect();
        let as_it_is = values.iter().all(|value| *value == values[0] || *value == 0.0 || *value == 1.0);
        if matches!(term, Term::Wave { .. }) || as_it_is {
            return Column { scaled: values, mean: 0.0, spread: 1.0 };
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let spread = (squares / (values.len() - 1) as f64).sqrt();
        if !(spread > 0.0 && spread.is_finite()) {
            return Column { scaled: values, mean: 0.0, spread: 1.0 };
        }
        Column { scaled: values.iter().map(|value| (value - mean) / spread).collect(), mean, spread }
    }

    /// The curve at a time.
    fn mean(&self, time: usize) -> f64 {
        let terms = self.terms.iter().zip(&self.coefficients);
        self.trend.at(time as f64 / (self.count - 1) as f64)
            + terms.map(|(term, by)| by * self.term(*term, time)).sum::<f64>()
    }

    fn term(&self, term: Term, time: usize) -> f64 {
        match term {
            Term::Wave { period, turns, sine } => {
                let angle = TAU * turns as f64 * (time as f64 / period).fract();
                if sine { angle.sin() } else { angle.cos() }
            }
            Term::Regressor(which) => self.regressors[which].get(time).copied().unwrap_or(0.0),
        }
    }

    /// What the terms that are `part` add at a time.
    fn sum(&self, part: impl Fn(&Term) -> bool, time: usize) -> f64 {
        let terms = self.terms.iter().zip(&self.coefficients).filter(|(term, _)| part(term));
        terms.map(|(term, by)| by * self.term(*term, time)).sum()
    }
}

struct Column {
    scaled: Vec<f64>,
    mean: f64,
    spread: f64,
}

fn waves(period: f64, turns: usize) -> impl Iterator<Item = Term> {
    (1..=turns).flat_map(move |turns| [true, false].map(|sine| Term::Wave { period, turns, sine }))
}

/// What a coefficient is thought to be before anything is seen: near 0, by this scale.
#[derive(Debug, Clone, Copy)]
enum Prior {
    Normal(f64),
    Laplace(f64),
}

/// The most probable coefficients of columns, with the spread of the errors: coordinate descent (Friedman, Hastie &
/// Tibshirani 2010, *Journal of Statistical Software* 33) on the sums of products, and the spread in closed form, in
/// turn. At a spread the posterior has one peak.
fn optimum(design: &[(Vec<f64>, Prior)], values: &[f64]) -> Option<Vec<f64>> {
    let (width, count) = (design.len(), values.len() as f64);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut products = vec![vec![0.0; width]; width];
    for row in 0..width {
        for column in 0..=row {
            products[row][column] = dot(&design[row].0, &design[column].0);
            products[column][row] = products[row][column];
        }
    }
    let mut rest: Vec<f64> = design.iter().map(|(column, _)| dot(column, values)).collect();
    let mut found = vec![0.0; width];
    let mean = values.iter().sum::<f64>() / count;
    let mut variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    for _ in 0..ROUNDS {
        for _ in 0..SWEEPS {
            let mut moved = 0.0_f64;
            for which in 0..width {
                let own = products[which][which];
                if own <= 0.0 {
                    continue;
                }
                let pull = rest[which] + own * found[which];
                let next = match design[which].1 {
                    Prior::Normal(scale) => pull / (own + variance / (scale * scale)),
                    Prior::Laplace(scale) => (pull.abs() - variance / scale).max(0.0).copysign(pull) / own,
                };
                let by = next - found[which];
                if by != 0.0 {
                    found[which] = next;
                    rest.iter_mut().zip(&products[which]).for_each(|(rest, product)| *rest -= by * product);
                }
                moved = moved.max(by.abs() * (own / count).sqrt());
            }
            if moved < STILL {
                break;
            }
        }
        let left = |step: usize| {
            values[step] - design.iter().zip(&found).map(|((column, _), by)| by * column[step]).sum::<f64>()
        };
        let squares: f64 = (0..values.len()).map(|step| left(step).powi(2)).sum();
        // Of a half-normal prior of 0.5: 4 v² + n v = squares. A spread of nothing has no logarithm.
        let next = (((count * count + 16.0 * squares).sqrt() - count) / 8.0).max(LEAST);
        let settled = (next - variance).abs() <= 1e-6 * variance;
        variance = next;
        if settled {
            break;
        }
    }
    found.iter().all(|number| number.is_finite()).then_some(found)
}

impl Fitted for Prophet {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let path: Vec<f64> = (first..history.len() + horizon).map(|time| self.mean(time)).collect();
        for origin in first..=history.len() {
            visit(origin, &path[origin - first..origin - first + horizon]);
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        vec![1.0; horizon]
    }

    fn parameters(&self) -> usize {
        // Level, slope and spread. Changes that the prior has drawn to nothing are none (Zou, Hastie & Tibshirani 2007).
        3 + self.trend.turns + self.terms.len()
    }

    fn warm_up(&self) -> usize {
        0
    }

    fn form(&self) -> Option<String> {
        let turns = self.trend.turns;
        Some(format!("prophet with {turns} changepoint{}", if turns == 1 { "" } else { "s" }))
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Prophet::fit(values, &self.periods, &self.regressors)?))
    }

    fn effects(&self, time: usize) -> Vec<f64> {
        let of = |which: usize| self.sum(|term| matches!(term, Term::Regressor(of) if *of == which), time);
        (0..self.regressors.len()).map(of).collect()
    }

    fn annual(&self, time: usize) -> f64 {
        self.sum(|term| matches!(term, Term::Wave { period, .. } if *period == YEAR.0), time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, Noise, assert_close, weekly};

    fn ahead(model: &Prophet, count: usize, horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        model.walk(&vec![0.0; count], count, horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    /// Python's prophet 1.5.0 on days from 1970-01-01, without its own seasons and with
    /// `add_seasonality(period=12, fourier_order=6)`.
    #[test]
    fn air_passengers_are_those_of_python() {
        let (history, future) = AIR_PASSENGERS.split_at(132);
        let model = Prophet::fit(history, &[12], &[]).unwrap();
        let found = ahead(&model, 132, 12);
        let theirs = [
            423.486, 418.908, 455.149, 448.367, 452.953, 491.079, 526.844, 528.416, 484.614, 450.170,
            420.185, 448.358,
        ];
        assert_close(&found, &theirs, 0.005);
        // MAPE of the last year: 6.57%, as theirs. (Its seasons are additive; the passengers' grow.)
        let off: f64 = found.iter().zip(future).map(|(mean, value)| (mean / value - 1.0).abs()).sum();
        assert!(off / 12.0 < 0.067, "{}", off / 12.0);
        assert_eq!(model.form().unwrap(), "prophet with 1 changepoint");
    }

    /// Python's prophet 1.5.0 with `add_seasonality(period=7, fourier_order=3)` and `add_regressor`.
    #[test]
    fn a_promotion_is_that_of_python_and_told_apart() {
        let promotion: Vec<f64> = (0..154).map(|day| f64::from(u8::from(day % 9 == 4))).collect();
        let values: Vec<f64> = weekly().iter().zip(&promotion).map(|(value, on)| value + 30.0 * on).collect();
        let model = Prophet::fit(&values, &[7], std::slice::from_ref(&promotion)).unwrap();
        let theirs = [
            35.756, 39.953, 46.025, 48.525, 52.171, 62.209, 53.397, 36.013, 69.126, 46.281, 48.781, 52.428,
            62.465, 53.654,
        ];
        assert_close(&ahead(&model, 140, 14), &theirs, 0.005);
        assert_close(&[model.effects(148)[0], 1.0 + model.effects(149)[0]], &[28.917, 1.0], 0.005);
        // Counted in other units, it adds the same.
        let cents: Vec<f64> = promotion.iter().map(|on| 5.0 + 100.0 * on).collect();
        let model = Prophet::fit(&values, &[7], &[cents]).unwrap();
        assert_close(&ahead(&model, 140, 14), &theirs, 0.005);
        assert!(
            (model.effects(148)[0] - model.effects(149)[0] - 28.9).abs() < 0.2,
            "{:?}",
            model.effects(148)
        );
    }

    /// Python's prophet 1.5.0 with those of 7 (order 3) and 365.25 (order 10).
    #[test]
    fn a_week_and_a_year_are_those_of_python_whatever_the_thread() {
        let week = [-12.0, -8.0, -3.0, 0.0, 4.0, 14.0, 5.0];
        let mut noise = Noise(6);
        let year = |day: usize| 10.0 * (TAU * day as f64 / 365.25).sin();
        let values: Vec<f64> = (0..1000)
            .map(|day| 50.0 + year(day) + week[day % 7] + 0.01 * day as f64 + 2.0 * (noise.uniform() - 0.5))
            .collect();
        let fit = || Prophet::fit(&values, &[7], &[]).unwrap();
        let model = fit();
        let found = ahead(&model, 1000, 60);
        let theirs =
            [55.0844, 64.1036, 53.9977, 50.2288, 47.4436, 42.9957, 39.6477, 57.2751, 67.0066, 57.6679];
        assert_close(&found.iter().copied().step_by(6).collect::<Vec<_>>(), &theirs, 0.005);
        for day in (1000..1365).step_by(30) {
            assert!(
                (model.annual(day) - year(day)).abs() < 0.6,
                "{day}: {} {}",
                model.annual(day),
                year(day)
            );
        }
        let again: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| ahead(&fit(), 1000, 60))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(again.iter().all(|again| *again == found));
    }

    #[test]
    fn a_constant_stays_and_a_few_values_make_a_line() {
        let model = Prophet::fit(&[3.5; 20], &[7], &[]).unwrap();
        assert_eq!(ahead(&model, 20, 3), [3.5; 3]);
        assert_eq!(model.form().unwrap(), "prophet with 0 changepoints");
        assert!(Prophet::fit(&[1.0, 2.0, 3.0, 5.0], &[], &[]).is_none());
        let line: Vec<f64> = (0..60).map(|day| 100.0 - f64::from(day)).collect();
        assert_close(&ahead(&Prophet::fit(&line, &[], &[]).unwrap(), 60, 3), &[40.0, 39.0, 38.0], 0.02);
    }
}
