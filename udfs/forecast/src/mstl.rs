//! Decomposition by STL, exponential smoothing of what is left, the last cycle of every season repeated.
//!
//! Hyndman & Athanasopoulos, *Forecasting: Principles and Practice* (3rd ed.), §5.7; several seasons as in Bandara,
//! Hyndman & Bergmeir (2021).

use crate::ets::Ets;
use crate::interval::Fitted;
use crate::stl::{self, Decomposition};

/// A fitted model.
#[derive(Debug)]
pub(crate) struct Mstl {
    periods: Vec<usize>,
    /// Seasonal values of the history, one row a period.
    seasons: Vec<Vec<f64>>,
    /// Of the series without seasons.
    inner: Box<dyn Fitted>,
}

impl Mstl {
    /// Fits values to seasons of `periods` steps, shortest first, of which there are two cycles each. None where
    /// exponential smoothing has no fit.
    pub(crate) fn fit(values: &[f64], periods: &[usize]) -> Option<Mstl> {
        Mstl::with(values, periods, |rest| Some(Box::new(Ets::fit(rest, 1)?)))
    }

    /// The same with another model of the series without seasons.
    pub(crate) fn with(
        values: &[f64],
        periods: &[usize],
        fit: impl FnOnce(&[f64]) -> Option<Box<dyn Fitted>>,
    ) -> Option<Mstl> {
        let periods: Vec<usize> =
            periods.iter().copied().filter(|period| *period > 1 && 2 * period <= values.len()).collect();
        let Decomposition { seasons, .. } = stl::decompose(values, &periods, 0);
        let inner = fit(&adjusted(values, &seasons, &periods))?;
        Some(Mstl { periods, seasons, inner })
    }
}

/// The values less their seasons; after the history those of the last cycle.
fn adjusted(values: &[f64], seasons: &[Vec<f64>], periods: &[usize]) -> Vec<f64> {
    let mut adjusted = values.to_vec();
    for (season, period) in seasons.iter().zip(periods) {
        for (time, value) in adjusted.iter_mut().enumerate() {
            *value -= season[place(season, *period, time)];
        }
    }
    adjusted
}

/// Where the seasonal value for a time stands: the time itself, or the same phase of the last cycle.
fn place(season: &[f64], period: usize, time: usize) -> usize {
    if time < season.len() { time } else { season.len() - period + (time - season.len()) % period }
}

impl Fitted for Mstl {
    /// From an origin within the history the season that was seen last is repeated, as it is from its end.
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let adjusted = adjusted(history, &self.seasons, &self.periods);
        let mut means = vec![0.0; horizon];
        self.inner.walk(&adjusted, first.max(self.warm_up()), horizon, &mut |origin, inner| {
            means.copy_from_slice(inner);
            for (season, period) in self.seasons.iter().zip(&self.periods) {
                for (step, mean) in means.iter_mut().enumerate() {
                    *mean += season[place(season, *period, origin - period + step % period)];
                }
            }
            visit(origin, &means);
        });
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        self.inner.growth(horizon)
    }

    /// Seasonal windows of 11 cycles and more leave about one index a step and cycle window.
    fn parameters(&self) -> usize {
        self.inner.parameters() + self.periods.iter().sum::<usize>()
    }

    fn warm_up(&self) -> usize {
        self.inner.warm_up().max(self.periods.iter().copied().max().unwrap_or(0))
    }

    fn form(&self) -> Option<String> {
        let periods: Vec<String> = self.periods.iter().map(usize::to_string).collect();
        let inner = self.inner.form().unwrap_or_default();
        if periods.is_empty() { Some(inner) } else { Some(format!("STL({}) + {inner}", periods.join(", "))) }
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Mstl::with(values, &self.periods, |rest| self.inner.refit(rest))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, weekly};
    use crate::seasonal_naive::SeasonalNaive;

    fn ahead(model: &Mstl, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        model.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn a_pure_season_is_repeated() {
        let values: Vec<f64> = (0..70).map(|day| [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0][day % 7]).collect();
        let model = Mstl::fit(&values, &[7]).unwrap();
        assert_close(&ahead(&model, &values, 7), &values[..7], 1e-6);
    }

    #[test]
    fn two_seasons_are_those_of_statsforecast() {
        // statsforecast 2.1.1, MSTL(season_length=[7, 28], trend_forecaster=Naive(), stl_kwargs={'seasonal_deg': 1}) on the
        // weekly fixture. It smooths at every position and in five passes of STL's inner loop, we at every tenth of a window
        // and in two, which makes 0.23% at most (done its way, ours differs by 1e-14). One pass over the seasons would make
        // 3.6%, three 0.43%, a window of 11 cycles for both 0.75%.
        let weekly = weekly();
        let model = Mstl::with(&weekly, &[7, 28], |_| Some(Box::new(SeasonalNaive { season: 1 }))).unwrap();
        let theirs = [
            34.023, 34.268, 44.537, 50.659, 52.237, 59.243, 52.194, 33.480, 40.126, 44.633, 48.107, 49.779,
            58.003, 48.688, 37.693, 41.801, 45.094, 49.615, 52.952, 60.603, 51.146, 32.548, 41.365, 46.706,
            49.000, 54.800, 60.669, 51.361,
        ];
        assert_close(&ahead(&model, &weekly, 28), &theirs, 3e-3);
    }

    #[test]
    fn without_a_season_it_is_exponential_smoothing() {
        let weekly = weekly();
        let model = Mstl::fit(&weekly, &[]).unwrap();
        let ets = Ets::fit(&weekly, 1).unwrap();
        let mut theirs = Vec::new();
        ets.walk(&weekly, weekly.len(), 5, &mut |_, means| theirs = means.to_vec());
        assert_close(&ahead(&model, &weekly, 5), &theirs, 1e-12);
    }
}
