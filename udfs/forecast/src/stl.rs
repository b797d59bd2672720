//! Seasonal-trend decomposition by loess.
//!
//! Cleveland, Cleveland, McRae & Terpenning (1990), "STL: a seasonal-trend decomposition procedure based on loess",
//! *Journal of Official Statistics* 6; several seasons by Bandara, Hyndman & Bergmeir (2021), "MSTL: a seasonal-trend
//! decomposition algorithm for time series with multiple seasonal patterns", arXiv 2107.13462.

use crate::loess::Loess;

/// How STL smooths one season.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stl {
    /// Steps a season, at least 2.
    pub(crate) period: usize,
    /// Cycles that a seasonal index looks at, odd, at least 7 by the authors' advice.
    pub(crate) seasonal: usize,
    /// Positions between those that are computed are interpolated: a tenth of each window is skipped. Off, every
    /// position is computed.
    pub(crate) jumps: bool,
    /// Iterations that weigh down outliers.
    pub(crate) robust: usize,
}

/// A series as trend + season + rest, each as long as the series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decomposition {
    pub(crate) trend: Vec<f64>,
    /// One for each period that was asked for.
    pub(crate) seasons: Vec<Vec<f64>>,
}

/// Passes of the inner loop.
const INNER: usize = 2;
/// Passes over all seasons.
const PASSES: usize = 2;

impl Decomposition {
    /// The value less trend and seasons.
    pub(crate) fn rest(&self, values: &[f64]) -> Vec<f64> {
        let seasonal = |time: usize| self.seasons.iter().map(|season| season[time]).sum::<f64>();
        values.iter().enumerate().map(|(time, value)| value - self.trend[time] - seasonal(time)).collect()
    }
}

/// Decomposes values into a trend and seasons of `periods` steps, shortest first, of which there are two cycles at
/// least; periods with fewer get a season of zeros. Without a period the trend is loess over a third of the series.
///
/// Windows of the seasons are 11, 15 and 19 cycles, as in MSTL. Work: a few hundred operations a value.
pub(crate) fn decompose(values: &[f64], periods: &[usize], robust: usize) -> Decomposition {
    let count = values.len();
    let mut seasons = vec![vec![0.0; count]; periods.len()];
    let fitting: Vec<usize> =
        (0..periods.len()).filter(|which| periods[*which] >= 2 && 2 * periods[*which] <= count).collect();
    if fitting.is_empty() {
        let window = (count / 3) | 1;
        let trend = Loess { window: window.max(7), jump: window.div_ceil(10), weights: None }.smooth(values);
        return Decomposition { trend, seasons };
    }
    let mut rest = values.to_vec();
    let mut trend = vec![0.0; count];
    let passes = if fitting.len() > 1 { PASSES } else { 1 };
    for _ in 0..passes {
        for which in &fitting {
            for (rest, season) in rest.iter_mut().zip(&seasons[*which]) {
                *rest += season;
            }
            let stl = Stl { period: periods[*which], seasonal: 11 + 4 * which, jumps: true, robust };
            let (season, smooth) = stl.fit(&rest);
            for (rest, season) in rest.iter_mut().zip(&season) {
                *rest -= season;
            }
            seasons[*which] = season;
            trend = smooth;
        }
    }
    Decomposition { trend, seasons }
}

impl Stl {
    /// Season and trend of at least two cycles of values.
    pub(crate) fn fit(&self, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let count = values.len();
        let (mut season, mut trend) = (vec![0.0; count], vec![0.0; count]);
        let mut weights: Option<Vec<f64>> = None;
        for pass in 0..=self.robust {
            for _ in 0..INNER {
                self.pass(values, weights.as_deref(), &mut season, &mut trend);
            }
            if pass < self.robust {
                let rest: Vec<f64> =
                    (0..count).map(|at| (values[at] - season[at] - trend[at]).abs()).collect();
                weights = Some(bisquare(&rest));
            }
        }
        (season, trend)
    }

    /// One pass of the inner loop: season by cycle-subseries less its own trend, then the trend of the rest.
    fn pass(&self, values: &[f64], weights: Option<&[f64]>, season: &mut [f64], trend: &mut [f64]) {
        let (count, period) = (values.len(), self.period);
        let jump = |window: usize| if self.jumps { window.div_ceil(10) } else { 1 };
        let detrended: Vec<f64> = values.iter().zip(&*trend).map(|(value, trend)| value - trend).collect();

        let mut cycles = vec![0.0; count + 2 * period];
        for phase in 0..period {
            let every =
                |values: &[f64]| values[phase..].iter().copied().step_by(period).collect::<Vec<f64>>();
            let sub = every(&detrended);
            let sub_weights = weights.map(every);
            let loess =
                Loess { window: self.seasonal, jump: jump(self.seasonal), weights: sub_weights.as_deref() };
            let smooth = loess.smooth(&sub);
            let last = sub.len() - 1;
            let reach = (self.seasonal - 1).min(last);
            cycles[phase] = loess.at(&sub, -1.0, 0, reach).unwrap_or(smooth[0]);
            for (cycle, value) in smooth.iter().enumerate() {
                cycles[phase + period * (cycle + 1)] = *value;
            }
            let after = (last + 1) as f64;
            cycles[phase + period * (last + 2)] =
                loess.at(&sub, after, last - reach, last).unwrap_or(smooth[last]);
        }

        let low = averages(&averages(&averages(&cycles, period), period), 3);
        let window = period + 1 + period % 2;
        let low = Loess { window, jump: jump(window), weights: None }.smooth(&low);
        for at in 0..count {
            season[at] = cycles[period + at] - low[at];
        }
        let adjusted: Vec<f64> = values.iter().zip(&*season).map(|(value, season)| value - season).collect();
        let window = self.trend();
        trend.copy_from_slice(&Loess { window, jump: jump(window), weights }.smooth(&adjusted));
    }

    /// Window of the trend: the smallest odd number above 1.5 · period / (1 − 1.5 / seasonal).
    fn trend(&self) -> usize {
        let least = 1.5 * self.period as f64 / (1.0 - 1.5 / self.seasonal as f64);
        (least.ceil() as usize) | 1
    }
}

/// Moving averages of `width` values, as many as there are places for.
fn averages(values: &[f64], width: usize) -> Vec<f64> {
    let mut sum: f64 = values[..width].iter().sum();
    let mut averages = vec![sum / width as f64];
    for at in width..values.len() {
        sum += values[at] - values[at - width];
        averages.push(sum / width as f64);
    }
    averages
}

/// Bisquare weights of the magnitudes of what is left over, on six times their median.
fn bisquare(rest: &[f64]) -> Vec<f64> {
    let mut sorted = rest.to_vec();
    let limit = 6.0 * crate::quantile::sample(&mut sorted, 0.5);
    rest.iter()
        .map(|rest| {
            if *rest <= 0.001 * limit {
                1.0
            } else if *rest <= 0.999 * limit {
                let part = rest / limit;
                (1.0 - part * part).powi(2)
            } else {
                0.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, assert_close};

    #[test]
    fn parts_agree_with_statsmodels() {
        // statsmodels 0.15.0, STL(AirPassengers, period=12, seasonal=11).fit(inner_iter=2), at 0, 50 and 143: as it is, with jumps of a
        // tenth of each window, and robust with three outer iterations.
        for (jumps, robust, season, trend) in [
            (false, 0, [-8.86382, 6.56868, -60.16122], [121.27081, 219.92116, 494.37261]),
            (true, 0, [-8.84994, 6.57563, -60.17167], [121.29074, 219.63589, 494.39235]),
            (false, 3, [-9.5042, 4.87541, -60.90328], [122.14615, 217.02349, 496.47365]),
        ] {
            let stl = Stl { period: 12, seasonal: 11, jumps, robust };
            let found = stl.fit(&AIR_PASSENGERS);
            let at = |values: &[f64]| [0, 50, 143].map(|time| values[time]);
            assert_close(&at(&found.0), &season, 1e-4);
            assert_close(&at(&found.1), &trend, 1e-4);
        }
    }

    #[test]
    fn parts_add_up_and_short_periods_are_left_out() {
        let parts = decompose(&AIR_PASSENGERS, &[12, 100], 0);
        assert!(parts.seasons[1].iter().all(|value| *value == 0.0));
        let rest = parts.rest(&AIR_PASSENGERS);
        let sum = rest[7] + parts.trend[7] + parts.seasons[0][7];
        assert_close(&[sum], &[AIR_PASSENGERS[7]], 1e-12);
        let constant = decompose(&[3.0; 30], &[7], 2);
        assert!(constant.seasons[0].iter().all(|value| value.abs() < 1e-9));
    }
}
