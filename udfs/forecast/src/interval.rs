//! Prediction intervals from the errors that a model makes on its own history.
//!
//! A fitted model walks over the history and forecasts from many origins. Its errors, divided by how they grow with the
//! horizon and with the level of the forecast, make one sample whose quantiles bound the future: conformal prediction
//! in its split form (Vovk, Gammerman & Shafer 2005, ch. 4; for scaled residuals Papadopoulos et al. 2008). Sales of
//! few pieces a day are skewed and their spread follows their level, which symmetric normal bounds miss. Where a
//! history is too short for quantiles, bounds are those of the state-space model with Student's t (Hyndman et al. 2008,
//! *Forecasting with Exponential Smoothing*, ch. 6).

use crate::forecast::Point;
use crate::quantile;

/// A model whose parameters are fixed and which can forecast from any point of a series.
pub(crate) trait Fitted: std::fmt::Debug {
    /// Calls `visit(origin, means)` for every origin from `first` (at least the warm-up) to `history.len()`: `means`
    /// are the forecasts of the next `horizon` values by one who knows the first `origin` values.
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64]));

    /// Standard deviation of the error at each step of the horizon, relative to the first.
    fn growth(&self, horizon: usize) -> Vec<f64>;

    /// How many parameters were estimated.
    fn parameters(&self) -> usize;

    /// The first origin that can be forecast from.
    fn warm_up(&self) -> usize;

    /// The form that was fitted, in words; None where there is but one.
    fn form(&self) -> Option<String> {
        None
    }

    /// What each regressor adds to the mean at a time; empty for a model without regressors.
    fn effects(&self, _time: usize) -> Vec<f64> {
        Vec::new()
    }

    /// What the season of the year adds to the mean at a time, where the model has one beside the series' periods.
    fn annual(&self, _time: usize) -> f64 {
        0.0
    }

    /// The same form fitted to other values of the same series, from these parameters on; None to fit afresh.
    fn refit(&self, _values: &[f64]) -> Option<Box<dyn Fitted>> {
        None
    }
}

/// The longest horizon whose errors are measured; beyond it they grow as the model says.
const LONGEST: usize = 400;
/// Origins from which errors are taken: the latest ones, as many as make quantiles steady.
const ORIGINS: usize = 400;
/// Steps of the horizon at which errors are taken, spread evenly.
const STEPS: usize = 14;
/// Fewer one-step errors than this make no quantile.
const ENOUGH: usize = 40;
/// Errors at a step for which their measured growth counts as much as the model's word.
const DOUBT: f64 = 8.0;
/// Errors that should lie beyond a quantile that is taken from the sample; further out the normal's tail takes over.
const BEYOND: f64 = 4.0;
/// The part of the mean level that is added to every level before it scales an error.
const FLOOR: f64 = 0.1;

/// Bounds of a short history are wider by the first, and grow with the horizon by a further power of their growth, the
/// second: its trend may break, and which model is right is hardly known (Chatfield 1993, "Calculating interval
/// forecasts", *Journal of Business & Economic Statistics* 11). Without, bands of 95% held 86% of the M4 competition's
/// yearly values at an earlier origin.
const CAUTION: (f64, f64) = (1.25, 0.3);

/// Stretches of the horizon that the promise of known errors is worth against those held out.
const PRIOR: f64 = 1.0;

/// The largest ratio of mean squares that is believed: beyond, one spike among zeros speaks.
const SURPRISE: f64 = 9.0;

/// How the spread of errors follows the level of the forecast: not at all, as for counts (variance in proportion to
/// the level), or in proportion.
const POWERS: [f64; 3] = [0.0, 0.5, 1.0];

/// Forecasts of `horizon` values after `history`, with bounds that should hold each with probability `level`.
pub(crate) fn points(fitted: &dyn Fitted, history: &[f64], horizon: usize, level: f64) -> Vec<Point> {
    checked_points(fitted, None, history, horizon, level)
}

/// The same, with bounds that are widened where a model that did not know the end of the history was more wrong about it
/// than its errors on what it knew promised. `held` is that model and where its knowledge ends.
pub(crate) fn checked_points(
    fitted: &dyn Fitted,
    held: Option<(&dyn Fitted, usize)>,
    history: &[f64],
    horizon: usize,
    level: f64,
) -> Vec<Point> {
    let (errors, means, growth) = errors(fitted, history, horizon);
    let tail = (1.0 - level) / 2.0;
    let typical = history.iter().map(|value| value.abs()).sum::<f64>() / history.len().max(1) as f64;
    let powers = if history.iter().all(|value| *value >= 0.0) { &POWERS[..] } else { &POWERS[..1] };

    let mut best: Option<(f64, Band)> = None;
    for power in powers {
        let scale = Scale { power: *power, typical };
        let band = Band::new(&errors, scale, tail, fitted.parameters());
        let score = band.score(&errors, tail);
        if best.as_ref().is_none_or(|(least, _)| score < 0.999 * least) {
            best = Some((score, band));
        }
    }
    let mut band =
        best.map_or(Band { scale: Scale { power: 0.0, typical }, below: 0.0, above: 0.0 }, |(_, band)| band);
    if let Some((part, cut)) = held {
        let by = surprise(part, cut, history, &errors, &growth, band.scale, fitted.parameters());
        band.below *= by;
        band.above *= by;
    }
    let short = errors.iter().filter(|error| error.step == 0).count() < ENOUGH;
    let wider = |growth: f64| if short { CAUTION.0 * growth.powf(1.0 + CAUTION.1) } else { growth };
    means.iter().zip(&growth).map(|(mean, growth)| band.point(*mean, wider(*growth))).collect()
}

/// By how much larger errors beyond `cut` are than those that were known, at least 1: the root of the ratio of mean
/// squares, drawn towards 1 the more the fewer stretches of the horizon there are beyond.
fn surprise(
    part: &dyn Fitted,
    cut: usize,
    history: &[f64],
    errors: &[Error],
    growth: &[f64],
    scale: Scale,
    parameters: usize,
) -> f64 {
    let measured = growth.len().min(LONGEST);
    let stride = measured.div_ceil(STEPS).max(1);
    let (mut squares, mut count, mut origins) = (0.0, 0.0, 0.0);
    part.walk(history, cut, measured, &mut |origin, means| {
        origins += 1.0;
        for (step, (actual, mean)) in history[origin..].iter().zip(means).enumerate().step_by(stride) {
            squares += ((actual - mean) / (growth[step] * scale.at(*mean)).max(f64::MIN_POSITIVE)).powi(2);
            count += 1.0;
        }
    });
    let known: f64 = errors
        .iter()
        .map(|error| (error.error / (error.growth * scale.at(error.mean)).max(f64::MIN_POSITIVE)).powi(2))
        .sum();
    let first = errors.iter().filter(|error| error.step == 0).count();
    let unbiased = first as f64 / first.saturating_sub(parameters).max(1) as f64;
    let known = known / errors.len().max(1) as f64 * unbiased;
    let ratio = (squares / count / known).min(SURPRISE);
    if !ratio.is_finite() {
        return 1.0;
    }
    let stretches = origins / (1.0 + (measured - 1) as f64 / 2.0);
    ((PRIOR + stretches * ratio) / (PRIOR + stretches)).max(1.0).sqrt()
}

/// One error that the model made on its history.
struct Error {
    mean: f64,
    error: f64,
    growth: f64,
    step: usize,
}

/// Errors of the walk, the forecasts from its end, and how the spread of errors grows by step.
fn errors(fitted: &dyn Fitted, history: &[f64], horizon: usize) -> (Vec<Error>, Vec<f64>, Vec<f64>) {
    let measured = horizon.min(LONGEST);
    let first = fitted.warm_up().max(history.len().saturating_sub(ORIGINS));
    let stride = measured.div_ceil(STEPS).max(1);
    let mut errors = Vec::with_capacity(ORIGINS * STEPS.min(measured));
    fitted.walk(history, first, measured, &mut |origin, means| {
        let future = &history[origin..];
        for (step, (actual, mean)) in future.iter().zip(means).enumerate().step_by(stride) {
            errors.push(Error { mean: *mean, error: actual - mean, growth: 1.0, step });
        }
    });
    let mut last = vec![0.0; horizon];
    fitted.walk(history, history.len(), horizon, &mut |_, means| last.copy_from_slice(means));

    let growth = growth(fitted, &errors, horizon, stride);
    for error in &mut errors {
        error.growth = growth[error.step];
    }
    (errors, last, growth)
}

/// Growth as the errors show it at every `stride`th step, the more the more of them there are; in between and beyond as
/// the model says.
fn growth(fitted: &dyn Fitted, errors: &[Error], horizon: usize, stride: usize) -> Vec<f64> {
    let mut growth = fitted.growth(horizon);
    let mut sums = vec![(0.0, 0_usize); horizon.div_ceil(stride)];
    for error in errors {
        let (sum, count) = &mut sums[error.step / stride];
        *sum += error.error.abs();
        *count += 1;
    }
    let mean = |index: usize| {
        let (sum, count) = sums.get(index)?;
        (*count > 0 && *sum > 0.0).then(|| (sum / *count as f64, *count as f64 / (*count as f64 + DOUBT)))
    };
    let Some((first, _)) = mean(0) else { return growth };
    let mut factor = 1.0;
    let mut factors = vec![1.0; horizon];
    for step in 0..horizon {
        if step % stride == 0
            && let Some((mean, weight)) = mean(step / stride)
        {
            factor = (mean / first / growth[step]).powf(weight);
        }
        factors[step] = factor;
    }
    for (growth, factor) in growth.iter_mut().zip(factors) {
        *growth *= factor;
    }
    growth
}

/// The scale of an error at a level.
#[derive(Clone, Copy)]
struct Scale {
    power: f64,
    typical: f64,
}

impl Scale {
    fn at(self, mean: f64) -> f64 {
        let level = mean.max(0.0) + FLOOR * self.typical;
        match self.power {
            0.0 => 1.0,
            0.5 => level.sqrt(),
            power => level.powf(power),
        }
    }
}

/// Bounds of a scaled error.
struct Band {
    scale: Scale,
    below: f64,
    above: f64,
}

impl Band {
    fn new(errors: &[Error], scale: Scale, tail: f64, parameters: usize) -> Band {
        let divisor = |error: &Error| (error.growth * scale.at(error.mean)).max(f64::MIN_POSITIVE);
        let first_step = || errors.iter().filter(|error| error.step == 0);
        let count = first_step().count();
        let freedom = count.saturating_sub(parameters).max(1);
        if count < ENOUGH {
            let squares: f64 = first_step().map(|error| (error.error / divisor(error)).powi(2)).sum();
            let reach = quantile::student(1.0 - tail, freedom) * (squares / freedom as f64).sqrt();
            return Band { scale, below: -reach, above: reach };
        }
        let mut scaled: Vec<f64> = errors.iter().map(|error| error.error / divisor(error)).collect();
        // Errors on the history the parameters were fitted to are a little too small.
        let unbiased = (count as f64 / freedom as f64).sqrt();
        let taken = tail.max((BEYOND / count as f64).min(0.25));
        let stretch =
            unbiased * if taken > tail { quantile::normal(tail) / quantile::normal(taken) } else { 1.0 };
        let below = quantile::sample(&mut scaled, taken) * stretch;
        let above = quantile::sample(&mut scaled, 1.0 - taken) * stretch;
        Band { scale, below: below.min(0.0), above: above.max(0.0) }
    }

    fn point(&self, mean: f64, growth: f64) -> Point {
        let scale = growth * self.scale.at(mean);
        Point { value: mean, lower: mean + self.below * scale, upper: mean + self.above * scale }
    }

    /// Mean interval score over the errors (Gneiting & Raftery 2007, §6.2): width, and for each miss its distance
    /// times 2 / (1 − level).
    fn score(&self, errors: &[Error], tail: f64) -> f64 {
        let total: f64 = errors
            .iter()
            .map(|error| {
                let scale = error.growth * self.scale.at(error.mean);
                let (below, above) = (self.below * scale, self.above * scale);
                above - below + ((below - error.error).max(0.0) + (error.error - above).max(0.0)) / tail
            })
            .sum();
        total / errors.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;
    use crate::seasonal_naive::SeasonalNaive;

    #[test]
    fn a_short_history_has_the_bounds_of_students_t() {
        // Errors of the naive model: 2, -2, 2, -2, 2. Their root mean square is 2, of five degrees of freedom.
        let points = points(&SeasonalNaive { season: 1 }, &[-1.0, 1.0, -1.0, 1.0, -1.0, 1.0], 1, 0.95);
        let reach = CAUTION.0 * 2.0 * 2.570_581_8;
        assert_eq!(points[0].value, 1.0);
        assert!((points[0].upper - 1.0 - reach).abs() < 0.01, "{points:?}");
        assert!((points[0].lower - 1.0 + reach).abs() < 0.01, "{points:?}");
    }

    #[test]
    fn bounds_of_a_skewed_series_are_skewed() {
        let mut noise = Noise(5);
        let values: Vec<f64> = (0..400).map(|_| -(1.0 - noise.uniform()).ln()).collect();
        let point = points(&Constant(1.0), &values, 1, 0.9)[0];
        // The exponential's 5% and 95% quantiles are 0.051 and 2.996.
        assert!((point.lower - 0.051).abs() < 0.05 && (point.upper - 2.996).abs() < 0.4, "{point:?}");
    }

    #[test]
    fn growth_is_measured_where_the_model_is_wrong_about_it() {
        // A random walk, of which the model says that errors do not grow.
        let mut noise = Noise(11);
        let walk: Vec<f64> = (0..400)
            .scan(0.0, |at, _| {
                *at += noise.uniform() - 0.5;
                Some(*at)
            })
            .collect();
        let points = points(&Last, &walk, 9, 0.8);
        let width = |step: usize| points[step].upper - points[step].lower;
        let ratio = width(8) / width(0);
        assert!((2.0..4.0).contains(&ratio), "{ratio}, expected about 3");
    }

    /// Forecasts the same whatever happened.
    #[derive(Debug)]
    struct Constant(f64);

    impl Fitted for Constant {
        fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
            (first..=history.len()).for_each(|origin| visit(origin, &vec![self.0; horizon]));
        }

        fn growth(&self, horizon: usize) -> Vec<f64> {
            vec![1.0; horizon]
        }

        fn parameters(&self) -> usize {
            0
        }

        fn warm_up(&self) -> usize {
            0
        }
    }

    /// The last value, said to have the same error at every step.
    #[derive(Debug)]
    struct Last;

    impl Fitted for Last {
        fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
            SeasonalNaive { season: 1 }.walk(history, first, horizon, visit);
        }

        fn growth(&self, horizon: usize) -> Vec<f64> {
            vec![1.0; horizon]
        }

        fn parameters(&self) -> usize {
            0
        }

        fn warm_up(&self) -> usize {
            1
        }
    }
}
