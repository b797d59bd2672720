//! Measures of forecast error.

use crate::forecast::Point;

/// Errors of forecasts against what happened, summed up one pair at a time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Errors {
    count: f64,
    absolute: f64,
    squares: f64,
    signed: f64,
    actual: f64,
    symmetric: f64,
    scaled: f64,
    scaled_squares: f64,
    inside: f64,
    winkler: f64,
}

/// Figures of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Pairs of forecast and value that were compared.
    pub pairs: usize,
    /// Mean absolute error, in units of the series.
    pub mae: f64,
    /// Root mean squared error, in units of the series.
    pub rmse: f64,
    /// Sum of absolute errors / sum of absolute values; None where every value is zero.
    pub wape: Option<f64>,
    /// Mean of 2 |error| / (|value| + |forecast|), 0 to 2; a pair of zeros counts 0 (Makridakis 1993).
    pub smape: f64,
    /// Mean absolute error / that of the seasonal naive forecast one season ahead on the history before each origin
    /// (Hyndman & Koehler 2006). None where that is zero.
    pub mase: Option<f64>,
    /// The root of the mean squared error / that of the naive forecast one step ahead on the history (the M5
    /// competition's). None where that is zero.
    pub rmsse: Option<f64>,
    /// Mean of forecast − value, in units of the series: above 0 forecasts are too high.
    pub bias: f64,
    /// Part of the values within their bounds, 0 to 1.
    pub coverage: f64,
    /// Mean interval score (Winkler 1972; Gneiting & Raftery 2007): width, and 2 / (1 − level) times the distance of
    /// each value outside. Less is better.
    pub winkler: f64,
}

/// What errors at an origin are divided by: mean absolute error of the seasonal naive forecast, mean squared error of the
/// naive one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    absolute: f64,
    squared: f64,
}

impl Scale {
    pub(crate) fn of(history: &[f64], season: usize) -> Scale {
        let mean = |lag: usize, of: fn(f64) -> f64| {
            let steps = history.iter().zip(history.get(lag..).unwrap_or_default());
            let count = history.len().saturating_sub(lag).max(1) as f64;
            steps.map(|(early, late)| of(late - early)).sum::<f64>() / count
        };
        Scale { absolute: mean(season, f64::abs), squared: mean(1, |step| step * step) }
    }
}

impl Errors {
    pub(crate) fn add(&mut self, point: &Point, actual: f64, level: f64, scale: Scale) {
        let error = point.value - actual;
        let size = point.value.abs() + actual.abs();
        let outside = (point.lower - actual).max(actual - point.upper).max(0.0);
        self.count += 1.0;
        self.absolute += error.abs();
        self.squares += error * error;
        self.signed += error;
        self.actual += actual.abs();
        self.symmetric += if size > 0.0 { 2.0 * error.abs() / size } else { 0.0 };
        self.scaled += error.abs() / scale.absolute;
        self.scaled_squares += error * error / scale.squared;
        self.inside += f64::from(u8::from(outside == 0.0));
        self.winkler += point.upper - point.lower + 2.0 / (1.0 - level) * outside;
    }

    /// None before the first pair.
    pub(crate) fn metrics(&self) -> Option<Metrics> {
        let count = self.count;
        let finite = |value: f64| value.is_finite().then_some(value);
        (count > 0.0).then(|| Metrics {
            pairs: count as usize,
            mae: self.absolute / count,
            rmse: (self.squares / count).sqrt(),
            wape: finite(self.absolute / self.actual),
            smape: self.symmetric / count,
            mase: finite(self.scaled / count),
            rmsse: finite((self.scaled_squares / count).sqrt()),
            bias: self.signed / count,
            coverage: self.inside / count,
            winkler: self.winkler / count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::assert_close;

    #[test]
    fn figures_are_those_of_their_definitions() {
        let mut errors = Errors::default();
        // Seasonal steps of 2: 4, 2, |−1|, mean 7 / 3; steps of 1: 1, 3, −1, 0, mean square 11 / 4.
        let scale = Scale::of(&[1.0, 2.0, 5.0, 4.0, 4.0], 2);
        errors.add(&Point { value: 4.0, lower: 3.0, upper: 5.0 }, 6.0, 0.8, scale);
        errors.add(&Point { value: 3.0, lower: 1.0, upper: 4.0 }, 2.0, 0.8, scale);
        let found = errors.metrics().unwrap();
        let mase = 1.5 / (7.0 / 3.0);
        let expected = [
            1.5,
            2.5_f64.sqrt(),
            3.0 / 8.0,
            (0.4 + 0.4) / 2.0,
            mase,
            (2.5_f64 / 2.75).sqrt(),
            -0.5,
            0.5,
            7.5,
        ];
        let found = [
            found.mae,
            found.rmse,
            found.wape.unwrap(),
            found.smape,
            found.mase.unwrap(),
            found.rmsse.unwrap(),
            found.bias,
            found.coverage,
            found.winkler,
        ];
        assert_close(&found, &expected, 1e-12);
    }

    #[test]
    fn what_can_not_be_divided_by_is_none() {
        let mut errors = Errors::default();
        assert_eq!(errors.metrics(), None);
        errors.add(&Point { value: 0.0, lower: 0.0, upper: 0.0 }, 0.0, 0.95, Scale::of(&[0.0; 9], 1));
        let found = errors.metrics().unwrap();
        assert_eq!((found.wape, found.mase, found.rmsse, found.smape), (None, None, None, 0.0));
    }
}
