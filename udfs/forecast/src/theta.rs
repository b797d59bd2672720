//! The dynamic optimised Theta model.
//!
//! Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), "Models for optimising the theta method and their
//! relationship to state space models", *International Journal of Forecasting* 32, §3: simple exponential smoothing
//! plus a part `w = 1 − 1/θ` of the line fitted to what was seen so far. Given alpha, the errors are linear in the
//! first level and in `w`, so both are solved for and the search is over alpha alone. Alpha may go below the paper's
//! 0.1, which daily sales of few pieces need.
//!
//! The series is seasonally adjusted first where it [is seasonal](season::is_seasonal): by multiplicative indices where
//! they exist, else by additive ones.

use crate::interval::Fitted;
use crate::season::{self, Kind};

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theta {
    pub(crate) alpha: f64,
    /// Part of the line: 1 − 1/θ, in [0, 1].
    pub(crate) weight: f64,
    /// Level before the first value, of the adjusted series.
    pub(crate) level: f64,
    pub(crate) season: Option<(Kind, Vec<f64>)>,
    /// Steps a season, whether there is one or not.
    pub(crate) period: usize,
}

/// Points needed for a level, a line and their error.
pub(crate) const NEEDED: usize = 5;

/// Errors left out at the beginning, where the line hangs on a point or two.
const SKIPPED: usize = 3;
/// Bounds of alpha.
const ALPHA: (f64, f64) = (0.005, 0.99);
/// Where the search begins.
const GRID: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.17, 0.27, 0.4, 0.55, 0.75, 0.95];
/// Halvings of the interval around the best of the grid.
const REFINEMENTS: usize = 7;

impl Theta {
    /// Fits at least [`NEEDED`] values with seasons of `season` steps.
    pub(crate) fn fit(values: &[f64], season: usize) -> Theta {
        let period = season;
        let season = season::is_seasonal(values, season)
            .then(|| {
                let indices = |kind| season::indices(values, season, kind).map(|indices| (kind, indices));
                indices(Kind::Multiplicative).or_else(|| indices(Kind::Additive))
            })
            .flatten();
        let mut model = Theta { alpha: 0.0, weight: 0.0, level: 0.0, season, period };
        let adjusted: Vec<f64> = (0..values.len()).map(|time| model.adjust(values[time], time)).collect();
        let lines = lines(&adjusted);

        let solve = |alpha: f64| Solution::at(alpha, &adjusted, &lines);
        let mut best = GRID.iter().map(|alpha| solve(*alpha)).fold(None, Solution::better);
        let mut width = 0.5;
        for _ in 0..REFINEMENTS {
            // Steps are relative to alpha: 0.01 and 0.02 differ as much as 0.3 and 0.6 do.
            if let Some(alpha) = best.as_ref().map(|best| best.alpha) {
                for near in [alpha * (1.0 - 0.6 * width), alpha * (1.0 + width)] {
                    best = Solution::better(best, solve(near.clamp(ALPHA.0, ALPHA.1)));
                }
            }
            width *= 0.6;
        }
        if let Some(best) = best {
            (model.alpha, model.weight, model.level) = (best.alpha, best.weight, best.level);
        }
        model
    }

    /// Whether the series was seasonally adjusted, and θ.
    pub(crate) fn form(&self) -> String {
        let season = match &self.season {
            None => "no season",
            Some((Kind::Additive, _)) => "additive season",
            Some((Kind::Multiplicative, _)) => "multiplicative season",
        };
        format!("DOTM, {season}")
    }

    fn adjust(&self, value: f64, time: usize) -> f64 {
        match &self.season {
            None => value,
            Some((Kind::Additive, indices)) => value - indices[time % indices.len()],
            Some((Kind::Multiplicative, indices)) => value / indices[time % indices.len()],
        }
    }

    fn restore(&self, mean: f64, time: usize) -> f64 {
        match &self.season {
            None => mean,
            Some((Kind::Additive, indices)) => mean + indices[time % indices.len()],
            Some((Kind::Multiplicative, indices)) => mean * indices[time % indices.len()],
        }
    }
}

/// The least-squares line through the values so far, in the paper's recursion (equations 16 to 18).
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    count: f64,
    mean: f64,
    intercept: f64,
    slope: f64,
}

impl Line {
    fn and(self, value: f64) -> Line {
        let t = self.count + 1.0;
        if t < 1.5 {
            return Line { count: 1.0, mean: value, intercept: value, slope: 0.0 };
        }
        let mean = ((t - 1.0) * self.mean + value) / t;
        let slope = ((t - 2.0) * self.slope + 6.0 / t * (value - self.mean)) / (t + 1.0);
        Line { count: t, mean, intercept: mean - (t + 1.0) / 2.0 * slope, slope }
    }

    /// What the line adds to the next mean at weight 1; `decay` is (1 − alpha)^count.
    fn pull(self, alpha: f64, decay: f64) -> f64 {
        decay * self.intercept + (1.0 - decay * (1.0 - alpha)) / alpha * self.slope
    }
}

/// The line before each value.
fn lines(values: &[f64]) -> Vec<Line> {
    values
        .iter()
        .scan(Line::default(), |line, value| {
            let before = *line;
            *line = line.and(*value);
            Some(before)
        })
        .collect()
}

/// The best first level and weight for an alpha.
#[derive(Debug, Clone, Copy)]
struct Solution {
    alpha: f64,
    weight: f64,
    level: f64,
    squares: f64,
}

impl Solution {
    /// Least squares in one pass. With the first level x₁ + δ, the error at t is r_t − δ d_t − w g_t.
    fn at(alpha: f64, values: &[f64], lines: &[Line]) -> Solution {
        let start = values.first().copied().unwrap_or(0.0);
        let (mut level, mut decay) = (start, 1.0);
        let (mut rr, mut rd, mut rg, mut dd, mut dg, mut gg) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (time, (value, line)) in values.iter().zip(lines).enumerate() {
            if time >= SKIPPED {
                let (r, g) = (value - level, line.pull(alpha, decay));
                rr += r * r;
                rd += r * decay;
                rg += r * g;
                dd += decay * decay;
                dg += decay * g;
                gg += g * g;
            }
            level += alpha * (value - level);
            decay *= 1.0 - alpha;
        }
        // A trace of ridge holds a first level that no error depends on.
        let dd = dd + 1e-9;
        let left = gg - dg * dg / dd;
        let free = if left > 1e-12 * gg { (rg - dg * rd / dd) / left } else { 0.0 };
        let weight = free.clamp(0.0, 1.0);
        let shift = (rd - weight * dg) / dd;
        let squares = rr + shift * shift * dd + weight * weight * gg + 2.0 * shift * weight * dg
            - 2.0 * shift * rd
            - 2.0 * weight * rg;
        Solution { alpha, weight, level: start + shift, squares }
    }

    fn better(best: Option<Solution>, other: Solution) -> Option<Solution> {
        match best {
            Some(best) if other.squares >= best.squares || other.squares.is_nan() => Some(best),
            _ => Some(other),
        }
    }
}

impl Fitted for Theta {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        let (mut level, mut decay, mut line) = (self.level, 1.0, Line::default());
        for (time, value) in history.iter().enumerate() {
            let value = self.adjust(*value, time);
            level += self.alpha * (value - level);
            decay *= 1.0 - self.alpha;
            line = line.and(value);
            let origin = time + 1;
            if origin >= first {
                let (mut level, mut decay, mut line) = (level, decay, line);
                for (step, mean) in means.iter_mut().enumerate() {
                    // Forecasts take the place of the values that are not there yet (ibid., §3.2).
                    let expected = level + self.weight * line.pull(self.alpha, decay);
                    *mean = self.restore(expected, origin + step);
                    level += self.alpha * (expected - level);
                    decay *= 1.0 - self.alpha;
                    line = line.and(expected);
                }
                visit(origin, &means);
            }
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        (0..horizon).map(|step| (1.0 + step as f64 * self.alpha * self.alpha).sqrt()).collect()
    }

    fn parameters(&self) -> usize {
        3 + self.season.as_ref().map_or(0, |(_, indices)| indices.len() - 1)
    }

    fn warm_up(&self) -> usize {
        SKIPPED
    }

    fn form(&self) -> Option<String> {
        Some(Theta::form(self))
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Theta::fit(values, self.period)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, assert_close, weekly};

    fn ahead(theta: &Theta, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        theta.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn forecasts_agree_with_statsforecast() {
        // statsforecast 2.1.1, DynamicOptimizedTheta: alpha 0.72476 and 0.16756, theta 90.9 and 1.00.
        let theirs = [
            442.927, 432.298, 495.482, 482.575, 487.866, 556.122, 616.223, 616.110, 538.403, 470.411,
            410.999, 463.477,
        ];
        let theta = Theta::fit(&AIR_PASSENGERS, 12);
        assert_close(&ahead(&theta, &AIR_PASSENGERS, 12), &theirs, 0.002);
        assert!((theta.alpha - 0.72476).abs() < 0.02);

        let weekly = weekly();
        let theirs = [33.558, 38.060, 44.848, 47.486, 51.355, 62.614, 52.861, 33.558, 38.060];
        let theta = Theta::fit(&weekly, 7);
        assert_close(&ahead(&theta, &weekly, 9), &theirs, 0.001);
        assert!((theta.alpha - 0.16756).abs() < 0.005 && theta.weight < 0.01);
    }

    #[test]
    fn forecasts_agree_with_anofox() {
        // anofox-forecast 0.19.0, DynamicTheta::seasonal_optimized(7). (On AIR_PASSENGERS its search ends elsewhere, and
        // statsforecast's where ours does.)
        let weekly = weekly();
        let theirs = [33.5578, 38.0596, 44.8477, 47.4858, 51.3547, 62.6138, 52.8606];
        assert_close(&ahead(&Theta::fit(&weekly, 7), &weekly, 7), &theirs, 0.001);
    }

    #[test]
    fn the_line_is_that_of_least_squares() {
        let line = [3.0, 5.0, 4.0, 8.0].into_iter().fold(Line::default(), Line::and);
        // Slope 1.4 and intercept 1.5 at t = 0, by numpy.polyfit.
        assert_close(&[line.slope, line.intercept], &[1.4, 1.5], 1e-12);
    }

    #[test]
    fn a_constant_stays() {
        let theta = Theta::fit(&[5.0; 40], 7);
        assert_close(&ahead(&theta, &[5.0; 40], 3), &[5.0; 3], 1e-6);
        assert_eq!(theta.form(), "DOTM, no season");
    }

    #[test]
    fn a_series_with_zeros_gets_an_additive_season() {
        let values: Vec<f64> = (0..70).map(|day| if day % 7 == 6 { 4.0 } else { 0.0 }).collect();
        let theta = Theta::fit(&values, 7);
        assert_eq!(theta.form(), "DOTM, additive season");
        assert_close(&ahead(&theta, &values, 7)[6..], &[4.0], 0.01);
    }
}
