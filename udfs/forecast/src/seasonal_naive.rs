//! The seasonal naive model: the next Monday is the last Monday.
//!
//! Hyndman & Athanasopoulos, *Forecasting: Principles and Practice* (3rd ed.), §5.2 (method) and §5.5 (variance of the
//! underlying seasonal random walk without drift: σ² · (k + 1), k the full seasons before the step).

use crate::interval::Fitted;

/// The model has nothing to fit but its season.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeasonalNaive {
    /// Steps a season; 1 repeats the last value.
    pub(crate) season: usize,
}

impl SeasonalNaive {
    /// Points needed for one forecast and two residuals to judge it by.
    pub(crate) fn needed(season: usize) -> usize {
        season.saturating_add(2)
    }
}

impl Fitted for SeasonalNaive {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        for origin in first.max(self.season)..=history.len() {
            let last = &history[origin - self.season..origin];
            for (mean, value) in means.iter_mut().zip(last.iter().cycle()) {
                *mean = *value;
            }
            visit(origin, &means);
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        (0..horizon).map(|step| ((step / self.season + 1) as f64).sqrt()).collect()
    }

    fn parameters(&self) -> usize {
        0
    }

    fn warm_up(&self) -> usize {
        self.season
    }

    fn refit(&self, _values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::AIR_PASSENGERS;

    #[test]
    fn repeats_the_last_season_from_every_origin() {
        let model = SeasonalNaive { season: 12 };
        let mut origins = 0;
        model.walk(&AIR_PASSENGERS, 0, 14, &mut |origin, means| {
            origins += 1;
            assert_eq!(means[0], AIR_PASSENGERS[origin - 12]);
            assert_eq!(means[12], means[0]);
        });
        assert_eq!(origins, 144 - 12 + 1);
    }

    #[test]
    fn errors_grow_once_a_season() {
        let growth = SeasonalNaive { season: 7 }.growth(15);
        assert_eq!((growth[0], growth[6], growth[7], growth[14]), (1.0, 1.0, 2_f64.sqrt(), 3_f64.sqrt()));
    }
}
