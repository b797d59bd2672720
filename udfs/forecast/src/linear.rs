//! Regression on trend, seasons and regressors, with an autoregressive error.
//!
//! Harvey (1989), *Forecasting, Structural Time Series Models and the Kalman Filter*, §2.3 (dummies and trigonometric
//! seasons); Hyndman & Athanasopoulos, *FPP* (3rd ed.), ch. 7 and §10.1. Least squares gives the coefficients; what
//! they leave over fades from its last value by its first-order autocorrelation.

use std::f64::consts::TAU;

use crate::interval::Fitted;
use crate::regression::Normal;
use crate::season;

/// Points needed for a line and its error.
pub(crate) const NEEDED: usize = 5;

/// Up to this many steps a season has an index a step, beyond a few waves.
const DUMMIES: usize = 31;
/// Pairs of sine and cosine of a longer season.
const WAVES: usize = 10;
/// Days of a year, its pairs of waves, and the days of history from which on it is modelled.
const YEAR: (f64, usize, usize) = (365.25, 4, 548);
/// The most that is carried from one error to the next.
const PERSISTENCE: f64 = 0.98;

/// What a coefficient belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The year of daily series.
    Year,
    /// The regressor at this position.
    Regressor(usize),
}

/// A fitted regression.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    /// Values that it was fitted to.
    count: usize,
    periods: Vec<usize>,
    terms: Vec<Term>,
    coefficients: Vec<f64>,
    regressors: Vec<Vec<f64>>,
    persistence: f64,
}

/// One column of the design.
#[derive(Debug, Clone, Copy)]
enum Term {
    Level,
    Slope,
    /// The index of a phase, at the cost of the last phase.
    Phase {
        period: usize,
        phase: usize,
    },
    Wave {
        period: f64,
        turns: usize,
        sine: bool,
    },
    Regressor(usize),
}

impl Linear {
    /// Fits at least [`NEEDED`] values to seasons of `periods` steps and to regressors, each with one value a step of
    /// the history and of any horizon to come. A season of seven steps is taken for the week of daily values, which
    /// have a year as well once there are eighteen months of them.
    pub(crate) fn fit(values: &[f64], periods: &[usize], regressors: &[Vec<f64>]) -> Option<Linear> {
        let count = values.len();
        if count < NEEDED {
            return None;
        }
        let mut terms = vec![Term::Level, Term::Slope];
        for period in periods.iter().copied().filter(|period| *period > 1 && 2 * period <= count) {
            if period <= DUMMIES {
                terms.extend((0..period - 1).map(|phase| Term::Phase { period, phase }));
            } else {
                terms.extend(waves(period as f64, WAVES.min((period - 1) / 2)));
            }
        }
        let (year, turns, enough) = YEAR;
        if periods.first() == Some(&7) && count >= enough {
            terms.extend(waves(year, turns));
        }
        terms.extend((0..regressors.len()).map(Term::Regressor));
        // More columns than half the values explain everything and foretell nothing.
        terms.truncate(count / 2);
        let mut model = Linear {
            count,
            periods: periods.to_vec(),
            terms,
            coefficients: Vec::new(),
            regressors: regressors.to_vec(),
            persistence: 0.0,
        };
        let column = |term: &Term| (0..count).map(|time| model.term(*term, time)).collect::<Vec<f64>>();
        let columns: Vec<Vec<f64>> = model.terms.iter().map(column).collect();
        model.coefficients = Normal::fit(&columns, values)?.0;
        let rest: Vec<f64> = (0..count).map(|time| values[time] - model.mean(time)).collect();
        model.persistence = season::autocorrelation(&rest, 1).clamp(0.0, PERSISTENCE);
        Some(model)
    }

    /// The regression's mean at a time.
    fn mean(&self, time: usize) -> f64 {
        self.terms.iter().zip(&self.coefficients).map(|(term, by)| by * self.term(*term, time)).sum()
    }

    /// What one part adds to the mean at a time.
    pub(crate) fn part(&self, part: Part, time: usize) -> f64 {
        let belongs = |term: &Term| match (*term, part) {
            (Term::Wave { period, .. }, Part::Year) => period == YEAR.0,
            (Term::Regressor(which), Part::Regressor(of)) => which == of,
            _ => false,
        };
        let terms = self.terms.iter().zip(&self.coefficients).filter(|(term, _)| belongs(term));
        terms.map(|(term, by)| by * self.term(*term, time)).sum()
    }

    fn term(&self, term: Term, time: usize) -> f64 {
        match term {
            Term::Level => 1.0,
            Term::Slope => time as f64 / self.count as f64 - 0.5,
            Term::Phase { period, phase } if time % period == phase => 1.0,
            Term::Phase { period, .. } if time % period == period - 1 => -1.0,
            Term::Phase { .. } => 0.0,
            Term::Wave { period, turns, sine } => {
                let angle = TAU * turns as f64 * (time as f64 / period).fract();
                if sine { angle.sin() } else { angle.cos() }
            }
            Term::Regressor(which) => self.regressors[which].get(time).copied().unwrap_or(0.0),
        }
    }
}

fn waves(period: f64, turns: usize) -> impl Iterator<Item = Term> {
    (1..=turns).flat_map(move |turns| [true, false].map(|sine| Term::Wave { period, turns, sine }))
}

impl Fitted for Linear {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let first = first.max(1);
        if first > history.len() {
            return;
        }
        let path: Vec<f64> = (first - 1..history.len() + horizon).map(|time| self.mean(time)).collect();
        let mut means = vec![0.0; horizon];
        for origin in first..=history.len() {
            let at = origin - first;
            let mut rest = history[origin - 1] - path[at];
            for (mean, base) in means.iter_mut().zip(&path[at + 1..]) {
                rest *= self.persistence;
                *mean = base + rest;
            }
            visit(origin, &means);
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let (mut variance, mut weight) = (0.0, 1.0);
        (0..horizon)
            .map(|_| {
                variance += weight * weight;
                weight *= self.persistence;
                f64::sqrt(variance)
            })
            .collect()
    }

    fn parameters(&self) -> usize {
        self.terms.len() + 1
    }

    fn warm_up(&self) -> usize {
        1
    }

    fn form(&self) -> Option<String> {
        Some(format!("regression with {} terms", self.terms.len()))
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Linear::fit(values, &self.periods, &self.regressors)?))
    }

    fn effects(&self, time: usize) -> Vec<f64> {
        (0..self.regressors.len()).map(|which| self.part(Part::Regressor(which), time)).collect()
    }

    fn annual(&self, time: usize) -> f64 {
        self.part(Part::Year, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Noise, assert_close};

    fn ahead(model: &Linear, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        model.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn trend_week_and_promotion_are_continued() {
        let week = [0.0, 1.0, 2.0, 0.0, -1.0, 4.0, 3.0];
        let promotion: Vec<f64> = (0..120).map(|day| f64::from(u8::from(day % 13 == 5))).collect();
        let value = |day: usize| 20.0 + 0.1 * day as f64 + week[day % 7] + 6.0 * promotion[day];
        let values: Vec<f64> = (0..100).map(value).collect();
        let model = Linear::fit(&values, &[7], std::slice::from_ref(&promotion)).unwrap();
        let expected: Vec<f64> = (100..120).map(value).collect();
        assert_close(&ahead(&model, &values, 20), &expected, 1e-5);
        assert_close(&[model.part(Part::Regressor(0), 109), 1.0 + promotion[109]], &[6.0, 2.0], 1e-5);
    }

    #[test]
    fn a_year_is_found_in_three() {
        let mut noise = Noise(6);
        let value = |day: usize| 50.0 + 10.0 * (TAU * day as f64 / 365.25).sin();
        let values: Vec<f64> = (0..1000).map(|day| value(day) + 2.0 * (noise.uniform() - 0.5)).collect();
        let model = Linear::fit(&values, &[7], &[]).unwrap();
        for (step, mean) in ahead(&model, &values, 60).iter().enumerate() {
            assert!((mean - value(1000 + step)).abs() < 1.5, "{step}: {mean}");
        }
    }
}
