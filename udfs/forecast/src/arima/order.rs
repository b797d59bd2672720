//! Orders of an ARIMA model: how often to difference, and the stepwise search for the rest.

use std::fmt;

use super::polynomial::Lags;
use super::sum_of_squares::Estimate;
use crate::seasonality;

/// ARIMA(p, d, q)(P, D, Q) with seasons of `season` steps, with or without a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) p: usize,
    pub(crate) d: usize,
    pub(crate) q: usize,
    /// P, D, Q.
    pub(crate) seasonal: (usize, usize, usize),
    /// 1 is none.
    pub(crate) season: usize,
    /// A mean of the differenced series.
    pub(crate) constant: bool,
}

/// Largest p and q, largest P and Q, and the most of all four.
const LARGEST: (usize, usize, usize) = (3, 1, 5);
/// Models that are tried.
const TRIED: usize = 24;
/// Evaluations of the search for coefficients: these and so many a coefficient.
pub(crate) const EVALUATIONS: (usize, usize) = (20, 45);
/// From this strength of the season on the series is differenced by it (Wang, Smith & Hyndman 2006; FPP3 §9.1).
const STRONG: f64 = 0.64;
/// Critical value of the KPSS test of a level at 5%.
const CRITICAL: f64 = 0.463;

impl Order {
    /// Differences that make a series stationary: by season where that is strong, then once or twice by KPSS tests.
    pub(crate) fn differences(values: &[f64], season: usize) -> Order {
        let seasonal =
            season > 1 && seasonality::strength(values, season).is_some_and(|strength| strength > STRONG);
        let mut order =
            Order { p: 0, d: 0, q: 0, seasonal: (0, usize::from(seasonal), 0), season, constant: true };
        while order.d < 2 - usize::from(seasonal) {
            let differenced = order.difference().difference(values);
            if kpss(&differenced[order.lost()..]) <= CRITICAL {
                break;
            }
            order.d += 1;
        }
        order.constant = order.d + order.seasonal.1 <= 1;
        order
    }

    /// The differences as lags of the series.
    pub(crate) fn difference(&self) -> Lags {
        let mut lags = Lags::default();
        for _ in 0..self.d {
            lags = lags.times(&Lags::every(1, &[1.0]), -1.0);
        }
        for _ in 0..self.seasonal.1 {
            lags = lags.times(&Lags::every(self.season, &[1.0]), -1.0);
        }
        lags
    }

    /// Values that the differences take.
    pub(crate) fn lost(&self) -> usize {
        self.d + self.seasonal.1 * self.season
    }

    /// Coefficients of lags.
    pub(crate) fn coefficients(&self) -> usize {
        self.p + self.q + self.seasonal.0 + self.seasonal.2
    }

    /// Coefficients and constant.
    pub(crate) fn parameters(&self) -> usize {
        self.coefficients() + usize::from(self.constant)
    }

    /// Multiplications that an estimate takes at most.
    pub(crate) fn cost(&self, points: usize, regressors: usize) -> usize {
        let lags = (self.p + 1) * (self.seasonal.0 + 1) + (self.q + 1) * (self.seasonal.2 + 1);
        let columns = 1 + usize::from(self.constant) + regressors;
        (EVALUATIONS.0 + EVALUATIONS.1 * self.coefficients()) * points * (lags * columns + columns * columns)
    }

    fn within(&self) -> bool {
        let (plain, seasonal, all) = LARGEST;
        self.p <= plain
            && self.q <= plain
            && self.seasonal.0 <= seasonal
            && self.seasonal.2 <= seasonal
            && self.coefficients() <= all
            && (self.season > 1 || self.seasonal == (0, 0, 0))
    }
}

/// The order with the least AICc of those that stepwise search meets: from four beginnings, then to a neighbour as long
/// as one is better. `estimate` may refuse one.
pub(crate) fn search(
    base: Order,
    points: usize,
    mut estimate: impl FnMut(Order) -> Option<Estimate>,
) -> Option<Estimate> {
    let at = |p, q, sp, sq| {
        let (_, d, _) = base.seasonal;
        let seasonal = if base.season > 1 { (sp, d, sq) } else { (0, 0, 0) };
        Order { p, q, seasonal, ..base }
    };
    let mut tried: Vec<Order> = Vec::with_capacity(TRIED);
    let mut best: Option<Estimate> = None;
    let mut attempt = |order: Order, best: &mut Option<Estimate>| {
        let fits = order.within() && order.lost() + 2 * order.parameters() + 3 <= points;
        if !fits || tried.len() >= TRIED || tried.contains(&order) {
            return false;
        }
        tried.push(order);
        let Some(estimate) = estimate(order) else { return false };
        let better = best.as_ref().is_none_or(|best| estimate.aicc < best.aicc);
        if better {
            *best = Some(estimate);
        }
        better
    };
    for order in [at(0, 0, 0, 0), at(1, 0, 1, 0), at(0, 1, 0, 1), at(2, 2, 1, 1)] {
        attempt(order, &mut best);
    }
    if base.constant && base.d + base.seasonal.1 > 0 {
        attempt(Order { constant: false, ..at(0, 0, 0, 0) }, &mut best);
    }
    while let Some(centre) = best.as_ref().map(|best| best.order) {
        if !neighbours(centre, base.constant).into_iter().any(|order| attempt(order, &mut best)) {
            break;
        }
    }
    best
}

/// Orders one step away, those with one thing changed first.
fn neighbours(order: Order, constants: bool) -> Vec<Order> {
    let by = |value: usize, step: isize| value.checked_add_signed(step);
    let mut all = Vec::new();
    let mut push = |p: isize, q: isize, sp: isize, sq: isize| {
        let (a, d, b) = order.seasonal;
        if let (Some(p), Some(q), Some(a), Some(b)) = (by(order.p, p), by(order.q, q), by(a, sp), by(b, sq)) {
            all.push(Order { p, q, seasonal: (a, d, b), ..order });
        }
    };
    for step in [-1, 1] {
        push(0, 0, step, 0);
        push(0, 0, 0, step);
        push(step, 0, 0, 0);
        push(0, step, 0, 0);
    }
    for step in [-1, 1] {
        push(step, step, 0, 0);
        push(0, 0, step, step);
    }
    if constants {
        all.push(Order { constant: !order.constant, ..order });
    }
    all
}

/// The statistic of Kwiatkowski, Phillips, Schmidt & Shin (1992), "Testing the null hypothesis of stationarity against
/// the alternative of a unit root", *Journal of Econometrics* 54, for a level, with 4 (n / 100)^¼ lags.
fn kpss(values: &[f64]) -> f64 {
    let count = values.len();
    if count < 4 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let lags = (4.0 * (count as f64 / 100.0).powf(0.25)) as usize;
    let covariance = |lag: usize| -> f64 {
        centred.iter().zip(&centred[lag..]).map(|(early, late)| early * late).sum::<f64>() / count as f64
    };
    let mut variance = covariance(0);
    for lag in 1..=lags.min(count - 1) {
        variance += 2.0 * (1.0 - lag as f64 / (lags + 1) as f64) * covariance(lag);
    }
    // What is left of a line after one difference is rounding.
    if variance <= 1e-20 * (1.0 + mean * mean) {
        return 0.0;
    }
    let mut sum = 0.0;
    let squares: f64 = centred
        .iter()
        .map(|value| {
            sum += value;
            sum * sum
        })
        .sum();
    squares / (count as f64 * count as f64 * variance)
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ARIMA({},{},{})", self.p, self.d, self.q)?;
        if self.season > 1 {
            let (p, d, q) = self.seasonal;
            write!(f, "({p},{d},{q})[{}]", self.season)?;
        }
        match (self.constant, self.d + self.seasonal.1) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str(" with mean"),
            (true, _) => f.write_str(" with drift"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, Noise};

    #[test]
    fn trends_and_seasons_are_differenced_and_noise_is_not() {
        let mut noise = Noise(4);
        let values: Vec<f64> = (0..200).map(|_| noise.uniform()).collect();
        let order = Order::differences(&values, 7);
        assert_eq!((order.d, order.seasonal.1, order.constant), (0, 0, true));
        let logged: Vec<f64> = AIR_PASSENGERS.iter().map(|value| value.ln()).collect();
        let order = Order::differences(&logged, 12);
        assert_eq!(order.seasonal.1, 1);
        let walk: Vec<f64> = values
            .iter()
            .scan(0.0, |at, value| {
                *at += value - 0.5;
                Some(*at)
            })
            .collect();
        assert_eq!(Order::differences(&walk, 1).d, 1);
    }

    #[test]
    fn the_test_of_a_level_agrees_with_statsmodels() {
        // statsmodels 0.15.0, kpss(AirPassengers, nlags=4): 2.739474.
        assert!((kpss(&AIR_PASSENGERS) - 2.739_474).abs() < 1e-5, "{}", kpss(&AIR_PASSENGERS));
    }

    #[test]
    fn orders_have_their_usual_names() {
        let order = Order { p: 0, d: 1, q: 1, seasonal: (0, 1, 1), season: 12, constant: false };
        assert_eq!(order.to_string(), "ARIMA(0,1,1)(0,1,1)[12]");
        let order = Order { p: 2, d: 1, q: 0, seasonal: (0, 0, 0), season: 1, constant: true };
        assert_eq!(order.to_string(), "ARIMA(2,1,0) with drift");
    }
}
