//! The profile of a series: a level that follows its sales, times an index for the weekday.
//!
//! Simple exponential smoothing (Hyndman & Athanasopoulos, *FPP* 3rd ed., §8.1) of what is left of the weekday; the
//! weekday's indices are pulled towards those of similar series as a Gamma prior pulls a Poisson rate (Gelman et al.,
//! *Bayesian Data Analysis* 3rd ed., §2.6): few sales say little about weekdays. A young series borrows its level from
//! the age curve of its category.

use super::pool::{Pool, YOUNG};
use super::series::PreparedSeries;

/// How fast levels may follow.
const ALPHAS: [f32; 8] = [0.01, 0.02, 0.04, 0.07, 0.11, 0.17, 0.27, 0.42];
/// Sales that count as much as those of similar series.
const PRIOR: f64 = 1_000.0;
/// Days from the launch that the first level is the mean of, and after which errors count.
const START: usize = 14;
/// Sales that count as much as the age curve of the category.
const BORROWED: f64 = 2.0;
/// Days over which the spread of errors is taken.
const SPREAD: usize = 182;
/// Variance that counts for a series being as steady as counts are.
const STEADY: f64 = 5.0;
/// Days ahead whose mean an alpha is judged by, and how much each day of history says about which alpha is right:
/// errors of overlapping days are nearly the same.
const AHEAD: usize = 28;
const TRUST: f64 = 0.015;
/// The least level.
const LEAST: f64 = 1e-4;

/// Weekday of a day since 1970-01-01, Monday is 0.
pub(crate) fn weekday(day: i64) -> usize {
    (day + 3).rem_euclid(7) as usize
}

/// Variance to expect around a mean, for an error to be measured by: that of counts, and of demand that varies.
pub(crate) fn variance(mean: f64) -> f64 {
    mean + 0.05 * mean * mean
}

/// A fitted profile.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// By weekday from Monday; their mean is about 1.
    pub(crate) index: [f64; 7],
    /// Level by one who knows the first so many values.
    levels: Vec<f32>,
    /// Running sums of values.
    sums: Vec<f64>,
    launch: usize,
    first_day: i64,
    category: u32,
}

impl Profile {
    /// Fits the first `cut` values.
    pub(crate) fn fit(series: &PreparedSeries, cut: usize, pool: &Pool) -> Profile {
        let values = &series.values[..cut.min(series.values.len())];
        let launch = series.launch.min(values.len());
        let category = series.category();
        let index = index(values, series.first_day, launch, pool.index(category));
        let mut sums = Vec::with_capacity(values.len() + 1);
        sums.push(0.0);
        let mut sum = 0.0;
        for value in values {
            sum += f64::from(*value);
            sums.push(sum);
        }
        let levels = levels(values, series.first_day, launch, &index);
        Profile { index, levels, sums, launch, first_day: series.first_day, category }
    }

    /// Days since the launch at an origin.
    pub(crate) fn age(&self, origin: usize) -> usize {
        origin.saturating_sub(self.launch)
    }

    /// Sum of the values from one position to another.
    pub(crate) fn sum(&self, from: usize, to: usize) -> f64 {
        self.sums[to] - self.sums[from.min(to)]
    }

    /// Mean of the last `days` values before the origin, since the launch.
    pub(crate) fn mean(&self, origin: usize, days: usize) -> f64 {
        let from = origin.saturating_sub(days).max(self.launch);
        if from >= origin { f64::NAN } else { self.sum(from, origin) / (origin - from) as f64 }
    }

    /// The level at an origin: smoothed, and not far below what has been; for a young series borrowed in part.
    pub(crate) fn level(&self, origin: usize, pool: &Pool) -> f64 {
        let age = self.age(origin);
        if age < YOUNG {
            return self.young(origin, age, pool);
        }
        let floor = (0.03 * self.mean(origin, 91)).max(0.005 * self.mean(origin, usize::MAX));
        f64::from(self.levels[origin]).max(floor).max(LEAST)
    }

    fn young(&self, origin: usize, age: usize, pool: &Pool) -> f64 {
        let expected: f64 = (0..age).map(|day| pool.level(self.category, day)).sum();
        let seen = self.sum(self.launch, origin.max(self.launch));
        let part = (seen + BORROWED) / (expected + BORROWED);
        (part * pool.level(self.category, age)).max(LEAST)
    }

    /// Forecast for a position by one who knows the first `origin` values.
    pub(crate) fn mean_at(&self, origin: usize, target: usize, pool: &Pool) -> f64 {
        let mut level = self.level(origin, pool);
        let age = self.age(origin);
        if age < YOUNG {
            let grown = pool.level(self.category, age + (target - origin)) / pool.level(self.category, age);
            level *= if grown.is_finite() { grown.clamp(0.1, 10.0) } else { 1.0 };
        }
        (level * self.index[weekday(self.first_day + target as i64)]).max(LEAST)
    }

    /// Root of the recent squared one-step errors by what is expected of counts; pulled to 1 where sales are few.
    pub(crate) fn spread(&self, values: &[f32], origin: usize) -> f64 {
        let first = origin.saturating_sub(SPREAD).max(self.launch + START);
        let (mut squares, mut expected) = (STEADY, STEADY);
        for (at, value) in values.iter().enumerate().take(origin).skip(first) {
            let mean =
                (f64::from(self.levels[at]) * self.index[weekday(self.first_day + at as i64)]).max(LEAST);
            squares += (f64::from(*value) - mean).powi(2);
            expected += variance(mean);
        }
        (squares / expected).sqrt()
    }
}

fn index(values: &[f32], first_day: i64, launch: usize, prior: &[f64; 7]) -> [f64; 7] {
    let (mut sales, mut days) = ([0.0; 7], [0.0; 7]);
    let first = launch.max(values.len().saturating_sub(364));
    for (at, value) in values.iter().enumerate().skip(first) {
        let weekday = weekday(first_day + at as i64);
        sales[weekday] += f64::from(*value);
        days[weekday] += 1.0;
    }
    let mean = sales.iter().sum::<f64>() / days.iter().sum::<f64>().max(1.0);
    let part = PRIOR / 7.0;
    std::array::from_fn(|day| (sales[day] + part * prior[day]) / (mean * days[day] + part))
}

/// The level by one who knows the first so many values: the mean over all alphas, weighted by how well each has forecast
/// the mean of the days ahead.
fn levels(values: &[f32], first_day: i64, launch: usize, index: &[f64; 7]) -> Vec<f32> {
    let index = index.map(|index| index as f32);
    let start = &values[launch..values.len().min(launch + START)];
    let mean = start.iter().sum::<f32>() / start.len().max(1) as f32;
    let weekdays: Vec<f32> =
        (0..values.len()).map(|at| index[weekday(first_day.saturating_add(at as i64))]).collect();
    let (mut sums, mut scales) = (vec![0.0_f64; values.len() + 1], vec![0.0_f64; values.len() + 1]);
    for at in 0..values.len() {
        sums[at + 1] = sums[at] + f64::from(values[at]);
        scales[at + 1] = scales[at] + f64::from(weekdays[at]);
    }
    let mut states = vec![[mean; ALPHAS.len()]];
    let mut squares = [0.0; ALPHAS.len()];
    for at in launch..values.len() {
        let mut state = states[at - launch];
        for (state, alpha) in state.iter_mut().zip(ALPHAS) {
            *state = (*state + alpha * (values[at] - *state * weekdays[at])).max(0.0);
        }
        let (from, to) = (at + 1, at + 1 + AHEAD);
        if at >= launch + START && to <= values.len() {
            let came = (sums[to] - sums[from]) / (scales[to] - scales[from]).max(1e-6);
            squares
                .iter_mut()
                .zip(state)
                .for_each(|(square, state)| *square += (came - f64::from(state)).powi(2));
        }
        states.push(state);
    }
    let least = squares.iter().copied().fold(f64::INFINITY, f64::min);
    let power = -TRUST * (values.len() - launch) as f64;
    let mut weights =
        squares.map(|square| if square > 0.0 { (square / least.max(1e-9)).powf(power) } else { 1.0 });
    let total: f64 = weights.iter().sum();
    weights =
        weights.map(|weight| if total.is_finite() { weight / total } else { 1.0 / ALPHAS.len() as f64 });
    let level = |state: &[f32; ALPHAS.len()]| -> f32 {
        state.iter().zip(weights).map(|(state, weight)| f64::from(*state) * weight).sum::<f64>() as f32
    };
    let mut levels = vec![mean; launch];
    levels.extend(states.iter().map(level));
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;
    use crate::panel::{PanelRequest, Series, prepare};

    fn prepared(values: &[f64]) -> PreparedSeries {
        let request = PanelRequest { horizon: 7, holidays: Vec::new(), series: 1, seed: 1 };
        // 2024-01-01, a Monday.
        let series = Series { position: 0, values, first_day: 19_723, codes: &[3], covariates: &[] };
        prepare(&series, &request).unwrap()
    }

    #[test]
    fn days_of_the_week_are_right() {
        assert_eq!((weekday(0), weekday(19_723), weekday(-4)), (3, 0, 6));
    }

    #[test]
    fn level_and_weekdays_are_recovered() {
        let mut noise = Noise(3);
        let week = [0.5, 0.8, 1.0, 1.0, 1.0, 1.5, 1.2];
        let values: Vec<f64> = (0..400).map(|day| noise.poisson(6.0 * week[day % 7])).collect();
        let series = prepared(&values);
        let pool = Pool::new(std::slice::from_ref(&series), 0);
        let profile = Profile::fit(&series, 400, &pool);
        assert!((profile.level(400, &pool) / 6.0 - 1.0).abs() < 0.12);
        for (found, index) in profile.index.iter().zip(week) {
            assert!((found - index).abs() < 0.12, "{:?}", profile.index);
        }
        assert!((profile.spread(&series.values, 400) - 0.9).abs() < 0.2);
        let known = Profile::fit(&series, 300, &pool);
        assert_eq!(known.level(250, &pool), known.level(250, &pool));
        assert_eq!(known.levels.len(), 301);
    }

    #[test]
    fn zeros_and_nothing_have_a_level_just_above_zero() {
        for values in [vec![0.0; 50], vec![], vec![0.0; 3]] {
            let series = prepared(&values);
            let pool = Pool::new(std::slice::from_ref(&series), 0);
            let profile = Profile::fit(&series, values.len(), &pool);
            let mean = profile.mean_at(values.len(), values.len() + 3, &pool);
            assert!(mean > 0.0 && mean < 0.1, "{mean}");
            assert!(profile.spread(&series.values, values.len()).is_finite());
        }
    }
}
