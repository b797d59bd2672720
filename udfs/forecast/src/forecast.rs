//! One series in, one forecast out.

use crate::auto::{self, Choice};
use crate::covariate::{self, Cause, Covariate, Prepared};
use crate::holiday_effect;
use crate::intermittent;
use crate::interval::{self, Fitted};
use crate::model::Model;
use crate::seasons::Seasons;
use crate::transform::Shifted;
use crate::unforecastable::Unforecastable;

/// The longest horizon that is computed.
pub const MAX_HORIZON: usize = 10_000;

/// Points of history that are looked at, or four seasons if that is more: the latest ones. It bounds the time that one
/// series can take, whatever its length.
const HISTORY_LIMIT: usize = 4_096;

/// A series of whole numbers below this counts pieces.
const PIECES: f64 = 1e6;

/// What is asked of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// Steps ahead, 1 to [`MAX_HORIZON`].
    pub horizon: usize,
    /// Probability, in (0, 1), with which each step should fall between its bounds.
    pub confidence_level: f64,
    /// The model, or [`Model::Auto`].
    pub model: Model,
    /// Seasonal periods: `7.into()` for days, see [`Frequency::seasons`](crate::Frequency::seasons).
    pub season: Seasons,
    /// Values below 0 can't happen: forecasts and bounds stop there.
    pub non_negative: bool,
}

/// The forecast of one step: always `lower <= value <= upper`, all finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Expected value.
    pub value: f64,
    /// Lower bound at the confidence level.
    pub lower: f64,
    /// Upper bound at the confidence level.
    pub upper: f64,
}

/// The forecast of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// One point a step, as many as the horizon.
    pub points: Vec<Point>,
    /// The model that was asked for; the parts of [`Model::Auto`] are named in `detail`.
    pub model: Model,
    /// 1 − RMSE of the model / RMSE of the seasonal naive model, on rolling origins at the end of the history that the
    /// model was not fitted to. Above 0 the model is better. None where the history is too short to tell, or the
    /// seasonal naive model made no error.
    pub skill_vs_naive: Option<f64>,
    /// What a reader should know: the form that was fitted, a season that the history is too short for.
    pub detail: Option<String>,
}

/// Forecasts a regular series.
///
/// `history` is one value a step, oldest first, as [`regularise`](crate::regularise) makes it. Only the last 4,096
/// points (four seasons, if more) are looked at. The result depends on nothing but the arguments, bit for bit.
///
/// # Errors
/// `TooShort` and `NotFinite` say what is wrong with the series, `OutOfRange` that its forecast overflows,
/// `InvalidRequest` that an argument is outside what [`Request`] documents.
pub fn forecast(history: &[f64], request: &Request) -> Result<Forecast, Unforecastable> {
    forecast_with(history, request, &[])
}

/// Forecasts a regular series whose values depend on covariates too.
///
/// ARIMA, the regression and Prophet take covariates into their likelihood; every other model is fitted to the series less the
/// effects that a regression on trend, seasons and covariates finds. Covariates that are constant over the history have
/// no effect. What holidays of daily series add ([`Cause::Holiday`]) is taken away first, for every model.
///
/// # Errors
/// As for [`forecast`], and `InvalidRequest` where a covariate has not one finite value for each step of the history
/// and of the horizon, or there are more than [`MAX_COVARIATES`](crate::MAX_COVARIATES).
pub fn forecast_with(
    history: &[f64],
    request: &Request,
    covariates: &[Covariate],
) -> Result<Forecast, Unforecastable> {
    Fit::of(history, request, covariates)?.forecast(request)
}

/// A fitted series.
#[derive(Debug)]
pub(crate) struct Fit {
    /// The recent part of the history, divided by `scale`.
    pub(crate) values: Vec<f64>,
    /// A power of two.
    pub(crate) scale: f64,
    /// Seasons that the history is long enough for.
    pub(crate) seasons: Seasons,
    pub(crate) choice: Choice,
    /// What each regressor of the model is.
    pub(crate) causes: Vec<Cause>,
    skill: Option<f64>,
    notes: Vec<String>,
    pieces: bool,
}

impl Fit {
    /// Checks the arguments and fits the model.
    pub(crate) fn of(
        history: &[f64],
        request: &Request,
        covariates: &[Covariate],
    ) -> Result<Fit, Unforecastable> {
        check(history, request)?;
        let limit = HISTORY_LIMIT.max(request.season.longest().saturating_mul(4));
        let recent = &history[history.len().saturating_sub(limit)..];
        let Prepared { mut causes, regressors, holidays } =
            covariate::prepare(covariates, history.len(), recent.len(), request.horizon)?;

        // Squares of 1e300 overflow. A power of two changes no digit of anything.
        let scale = power_of_two(recent);
        let values: Vec<f64> = recent.iter().map(|value| value / scale).collect();
        let mut notes = Vec::new();
        let mut season = request.season.shortest();
        let mut seasons = request.season.within(values.len());
        if request.model == Model::SeasonalNaive {
            seasons = season.into();
        } else if season > 1 && seasons == Seasons::NONE {
            notes
                .push(format!("{} points are less than two seasons of {season}: none assumed", values.len()));
            season = 1;
        }
        let needed = auto::needed(request.model, season);
        // Promotions repeat and explain what they can before holidays do.
        let unpromoted = || match regressors.as_slice() {
            [] => Some(values.clone()),
            regressors => Some(auto::effects(&values, seasons.periods(), regressors)?.1),
        };
        // Methods for series that are mostly zero tell sales from none: there is nothing to be taken from a zero.
        let sparse = matches!(request.model, Model::CrostonSba | Model::Tsb | Model::Adida)
            || intermittent::is_intermittent(&values);
        let added = (!holidays.is_empty() && !sparse).then(unpromoted).flatten();
        let added =
            added.and_then(|values| holiday_effect::effects(&values, &holidays, season, request.horizon));
        let rest =
            added.as_ref().map(|added| values.iter().zip(added).map(|(value, add)| value - add).collect());
        let rest: &[f64] = rest.as_ref().map_or(&values, |rest: &Vec<f64>| rest);
        let chosen = auto::choose(request.model, rest, seasons.periods(), &regressors, request.horizon);
        let Some((mut choice, skill)) = chosen.filter(|_| values.len() >= needed) else {
            return Err(Unforecastable::TooShort { points: values.len(), needed });
        };
        if let Some(added) = added {
            let shifted = |inner: Box<dyn Fitted>| -> Box<dyn Fitted> {
                Box::new(Shifted { inner, effects: vec![added.clone()] })
            };
            choice.fitted = shifted(choice.fitted);
            choice.part = choice.part.map(|(part, cut)| (shifted(part), cut));
            causes.insert(0, Cause::Holiday);
            notes.push("holidays are told from other days".into());
        }
        let pieces = recent.iter().all(|value| value.fract() == 0.0 && value.abs() < PIECES);
        Ok(Fit { values, scale, seasons, choice, causes, skill, notes, pieces })
    }

    /// The forecast in the units of the series.
    pub(crate) fn forecast(&self, request: &Request) -> Result<Forecast, Unforecastable> {
        let fitted = self.choice.fitted.as_ref();
        let (horizon, level) = (request.horizon, request.confidence_level);
        let points = match &self.choice.part {
            None => interval::points(fitted, &self.values, horizon, level),
            Some((part, cut)) => {
                let held = Some((part.as_ref(), *cut));
                interval::checked_points(fitted, held, &self.values, horizon, level)
            }
        };
        let points: Result<Vec<Point>, Unforecastable> = points
            .into_iter()
            .map(|point| finish(point, self.scale, request.non_negative, self.pieces))
            .collect();
        let notes: Vec<String> = fitted.form().into_iter().chain(self.notes.iter().cloned()).collect();
        let detail = (!notes.is_empty()).then(|| notes.join("; "));
        Ok(Forecast { points: points?, model: self.choice.model, skill_vs_naive: self.skill, detail })
    }
}

fn check(history: &[f64], request: &Request) -> Result<(), Unforecastable> {
    if !(1..=MAX_HORIZON).contains(&request.horizon) {
        return Err(Unforecastable::InvalidRequest("horizon must be between 1 and 10000"));
    }
    if !(request.confidence_level > 0.0 && request.confidence_level < 1.0) {
        return Err(Unforecastable::InvalidRequest(
            "confidence_level must be between 0 and 1, both excluded",
        ));
    }
    if request.season.shortest() == 0 {
        return Err(Unforecastable::InvalidRequest("season must be at least 1"));
    }
    match history.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Unforecastable::NotFinite { index }),
        None => Ok(()),
    }
}

/// The power of two just below the largest magnitude; 1 for zeros.
fn power_of_two(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest > 0.0 { largest.log2().floor().clamp(-1000.0, 1000.0).exp2() } else { 1.0 }
}

/// Back to the units of the series, and in order. Bounds of `pieces` are whole: one at 0.1 would leave out the zeros
/// that it stands for, and rounding to the nearest makes them no wider on average.
fn finish(point: Point, scale: f64, non_negative: bool, pieces: bool) -> Result<Point, Unforecastable> {
    let floor = if non_negative { 0.0 } else { f64::NEG_INFINITY };
    let bound = |bound: f64| {
        let bound = (bound * scale).max(floor);
        if pieces { bound.round() } else { bound }
    };
    let value = (point.value * scale).max(floor);
    let lower = bound(point.lower).min(value);
    let upper = bound(point.upper).max(value);
    if [value, lower, upper].iter().all(|number| number.is_finite()) {
        // Adding zero turns -0 into 0, which would print as "-0".
        Ok(Point { value: value + 0.0, lower: lower + 0.0, upper: upper + 0.0 })
    } else {
        Err(Unforecastable::OutOfRange { what: "forecast" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, Noise, assert_close, weekly};
    use proptest::prelude::*;

    fn request(model: Model, season: usize, horizon: usize) -> Request {
        Request { horizon, confidence_level: 0.95, model, season: season.into(), non_negative: true }
    }

    fn assert_in_order(points: &[Point], request: &Request) {
        assert_eq!(points.len(), request.horizon);
        for point in points {
            assert!(point.lower <= point.value && point.value <= point.upper, "{point:?}");
            assert!(point.lower.is_finite() && point.upper.is_finite(), "{point:?}");
            assert!(!request.non_negative || point.lower >= 0.0, "{point:?}");
        }
    }

    #[test]
    fn seasonal_naive_bounds_are_near_those_of_statsforecast() {
        // statsforecast 2.1.1, SeasonalNaive(season_length=7), weekly fixture, 80%: 30.283 ± 4.237, later ± 5.992.
        // Its errors there are normal by assumption, ours are those seen (a triangle, whose 80% reach is shorter).
        let request = Request { confidence_level: 0.8, ..request(Model::SeasonalNaive, 7, 14) };
        let forecast = forecast(&weekly(), &request).unwrap();
        let values: Vec<f64> = forecast.points[..7].iter().map(|point| point.value).collect();
        assert_close(&values, &[30.283, 40.049, 46.862, 48.577, 53.470, 61.126, 51.361], 1e-4);
        for (point, theirs) in [(forecast.points[0], 2.0 * 4.237), (forecast.points[13], 2.0 * 5.992)] {
            let ratio = (point.upper - point.lower) / theirs;
            assert!((0.7..1.3).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn air_passengers_are_forecast_within_their_bounds() {
        // The last year held out; statsforecast 2.1.1 AutoETS on the same has a MAPE of 4.2%, DynamicOptimizedTheta 3.1%.
        let (history, future) = AIR_PASSENGERS.split_at(132);
        for model in [Model::Ets, Model::Theta, Model::Auto] {
            let forecast = forecast(history, &request(model, 12, 12)).unwrap();
            let off: f64 = forecast.points.iter().zip(future).map(|(p, y)| (p.value / y - 1.0).abs()).sum();
            assert!(off / 12.0 < 0.06, "{model}: {}", off / 12.0);
            let inside =
                forecast.points.iter().zip(future).filter(|(p, y)| (p.lower..=p.upper).contains(y)).count();
            assert!(inside >= 10, "{model}: {inside} of 12");
            assert!(forecast.skill_vs_naive.unwrap() > 0.2, "{model}: {:?}", forecast.skill_vs_naive);
        }
    }

    /// Part of the points of the next four weeks that lie in their interval, over daily series of every level.
    fn coverage(model: Model, level: f64, series: usize, draw: impl Fn(&mut Noise, f64) -> f64) -> f64 {
        let week = [0.7, 0.8, 0.8, 0.9, 1.1, 1.5, 1.2];
        let mut noise = Noise(2026);
        let (mut inside, mut count) = (0.0, 0.0);
        for number in 0..series {
            let mean = [0.4, 1.5, 4.0, 12.0, 40.0][number % 5];
            let values: Vec<f64> = (0..420).map(|day| draw(&mut noise, mean * week[day % 7])).collect();
            let (history, future) = values.split_at(392);
            let request = Request { confidence_level: level, ..request(model, 7, 28) };
            for (point, value) in forecast(history, &request).unwrap().points.iter().zip(future) {
                inside += f64::from(u8::from((point.lower..=point.upper).contains(value)));
                count += 1.0;
            }
        }
        inside / count
    }

    #[test]
    fn intervals_of_counts_cover_what_they_say() {
        let poisson = |noise: &mut Noise, mean: f64| noise.poisson(mean);
        let dispersed = |noise: &mut Noise, mean: f64| noise.negative_binomial(mean, 2);
        for (model, series) in
            [(Model::SeasonalNaive, 40), (Model::Theta, 40), (Model::Ets, 40), (Model::Auto, 40)]
        {
            for (found, low, high) in [
                (coverage(model, 0.95, series, poisson), 0.92, 0.98),
                (coverage(model, 0.95, series, dispersed), 0.92, 0.98),
                (coverage(model, 0.80, series, poisson), 0.77, 0.92),
                (coverage(model, 0.80, series, dispersed), 0.77, 0.92),
            ] {
                assert!((low..=high).contains(&found), "{model}: {found} outside {low}..={high}");
            }
        }
    }

    #[test]
    fn odd_series_get_odd_but_sound_forecasts() {
        let mut huge = vec![1e300; 30];
        huge[4] = -1e300;
        let mut flash = vec![0.0; 40];
        (flash[8], flash[22], flash[37]) = (3e291, 4e131, 1e-9);
        let sparse: Vec<f64> = (0..60).map(|day| if day == 20 { 3.0 } else { 0.0 }).collect();
        let line: Vec<f64> = (0..60).map(|day| -5.0 * f64::from(day)).collect();
        for model in Model::ALL {
            let constants = [0.0, 7.5, -2.0].map(|constant| vec![constant; 40]);
            for history in [&sparse, &line, &huge, &flash].into_iter().chain(&constants) {
                let signed = Request { non_negative: false, ..request(model, 7, 28) };
                for request in [request(model, 7, 28), signed] {
                    let forecast = forecast(history, &request).unwrap();
                    assert_in_order(&forecast.points, &request);
                    assert!(forecast.skill_vs_naive.is_none_or(f64::is_finite));
                }
            }
            let zeros = forecast(&[0.0; 40], &request(model, 7, 3)).unwrap();
            assert_eq!(zeros.points[2], Point { value: 0.0, lower: 0.0, upper: 0.0 });
            assert_eq!(zeros.skill_vs_naive, None);
            let constant = forecast(&[7.5; 40], &request(model, 7, 3)).unwrap();
            // The correction of Syntetos & Boylan is one for gaps, of which there are none.
            let expected = if model == Model::CrostonSba { 7.125 } else { 7.5 };
            assert_close(&[constant.points[2].value], &[expected], 1e-6);
        }
    }

    #[test]
    fn a_feast_makes_no_sales_of_days_without_any() {
        let mut noise = Noise(21);
        let feast = |day: usize| (day + 1_460) % 365 > 343;
        let values: Vec<f64> =
            (0..1_090).map(|day| noise.poisson(if feast(day) { 1.2 } else { 0.3 })).collect();
        let on = |day: usize| f64::from(u8::from((day + 1_460).is_multiple_of(365)));
        let feasts = Covariate { cause: Cause::Holiday, values: (0..1_104).map(on).collect() };
        for model in [Model::CrostonSba, Model::Tsb, Model::Adida, Model::Auto] {
            let request = request(model, 7, 14);
            let alone = super::forecast(&values, &request).unwrap();
            assert_eq!(forecast_with(&values, &request, std::slice::from_ref(&feasts)), Ok(alone), "{model}");
        }
        // One that sells daily is told them.
        let many: Vec<f64> =
            (0..1_090).map(|day| noise.poisson(if feast(day) { 60.0 } else { 15.0 })).collect();
        let request = request(Model::Auto, 7, 14);
        let alone = super::forecast(&many, &request).unwrap();
        let told = forecast_with(&many, &request, std::slice::from_ref(&feasts)).unwrap();
        // The feast is on step 5; after it a model that wasn't told goes on as before.
        assert!(told.points[10].value < 0.8 * alone.points[10].value, "{told:?} {alone:?}");
    }

    #[test]
    fn short_series_say_what_they_need() {
        for (model, points, needed) in
            [(Model::SeasonalNaive, 8, 9), (Model::Ets, 2, 3), (Model::Theta, 4, 5), (Model::Auto, 2, 3)]
        {
            let refused =
                forecast(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0][..points], &request(model, 7, 7));
            assert_eq!(refused, Err(Unforecastable::TooShort { points, needed }));
        }
        let detail = forecast(&[1.0, 4.0, 2.0, 3.0, 5.0], &request(Model::Auto, 7, 7)).unwrap().detail;
        assert_eq!(
            detail.unwrap(),
            "mean of ETS(M,N,N), DOTM, no season; 5 points are less than two seasons of 7: none assumed"
        );
    }

    #[test]
    fn bad_arguments_and_values_are_named() {
        let good = request(Model::Auto, 7, 7);
        let bad = [
            Request { horizon: 0, ..good },
            Request { horizon: MAX_HORIZON + 1, ..good },
            Request { confidence_level: 1.0, ..good },
            Request { confidence_level: f64::NAN, ..good },
            Request { season: 0.into(), ..good },
        ];
        for bad in bad {
            assert_eq!(forecast(&weekly(), &bad).unwrap_err().code(), "invalid_request");
        }
        let mut values = weekly();
        values[17] = f64::INFINITY;
        assert_eq!(forecast(&values, &good), Err(Unforecastable::NotFinite { index: 17 }));
    }

    #[test]
    fn units_do_not_matter() {
        let thousandth: Vec<f64> = weekly().iter().map(|value| value / 1024.0).collect();
        let whole = forecast(&weekly(), &request(Model::Auto, 7, 14)).unwrap();
        let part = forecast(&thousandth, &request(Model::Auto, 7, 14)).unwrap();
        for (whole, part) in whole.points.iter().zip(&part.points) {
            assert_eq!((whole.value, whole.upper), (part.value * 1024.0, part.upper * 1024.0));
        }
    }

    #[test]
    fn a_higher_level_has_wider_bounds() {
        let at = |level| {
            let request = Request { confidence_level: level, ..request(Model::Theta, 7, 14) };
            let points = forecast(&weekly(), &request).unwrap().points;
            points.iter().map(|point| point.upper - point.lower).sum::<f64>()
        };
        let widths: Vec<f64> = [0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999].into_iter().map(at).collect();
        assert!(widths.is_sorted_by(|a, b| a < b), "{widths:?}");
    }

    #[test]
    fn only_the_recent_part_of_a_long_history_is_looked_at() {
        let mut noise = Noise(1);
        let values: Vec<f64> = (0..20_000).map(|_| noise.poisson(3.0)).collect();
        let request = request(Model::SeasonalNaive, 7, 7);
        assert_eq!(forecast(&values, &request), forecast(&values[20_000 - HISTORY_LIMIT..], &request));
    }

    #[test]
    fn ten_million_points_are_no_more_work_than_their_end() {
        let values: Vec<f64> = (0..10_000_000).map(|t| f64::from(t % 7) + f64::from(t % 13)).collect();
        let request = request(Model::Auto, 7, 7);
        assert_eq!(forecast(&values, &request), forecast(&values[10_000_000 - HISTORY_LIMIT..], &request));
    }

    #[test]
    fn two_seasons_are_forecast_by_default() {
        let mut noise = Noise(31);
        let value = |hour: usize| {
            let day = (hour as f64 * std::f64::consts::TAU / 24.0).sin();
            20.0 + 6.0 * day + if hour / 24 % 7 >= 5 { -5.0 } else { 0.0 }
        };
        let values: Vec<f64> = (0..24 * 35).map(|hour| value(hour) + noise.uniform()).collect();
        let seasons = crate::Frequency::Hourly.seasons();
        let request = Request { season: seasons, ..request(Model::Auto, 24, 48) };
        let forecast = forecast(&values, &request).unwrap();
        for (step, point) in forecast.points.iter().enumerate() {
            assert!((point.value - value(24 * 35 + step) - 0.5).abs() < 1.0, "{step} {point:?}");
        }
        assert!(forecast.skill_vs_naive.unwrap() > 0.3 && forecast.detail.unwrap().starts_with("median of"));
    }

    #[test]
    fn regular_series_are_covered_too() {
        // A random walk, an autoregression and noise around a week, 120 and 300 values long.
        let mut noise = Noise(77);
        let (mut inside, mut count) = (0.0, 0.0);
        for number in 0..90 {
            let length = if number % 2 == 0 { 120 } else { 300 };
            let (mut walk, mut fading) = (0.0, 0.0);
            let values: Vec<f64> = (0..length + 14)
                .map(|day| {
                    let shock = (0..6).map(|_| noise.uniform() - 0.5).sum::<f64>();
                    (walk, fading) = (walk + 0.3 * shock, 0.7 * fading + shock);
                    let week = [0.0, 1.0, 2.0, 0.0, -1.0, 4.0, 3.0][day % 7];
                    50.0 + week + [walk, fading, shock][number % 3]
                })
                .collect();
            let (history, future) = values.split_at(length);
            let made = forecast(history, &request(Model::Auto, 7, 14)).unwrap();
            for (point, value) in made.points.iter().zip(future) {
                inside += f64::from(u8::from((point.lower..=point.upper).contains(value)));
                count += 1.0;
            }
        }
        let found = inside / count;
        assert!((0.92..=0.98).contains(&found), "{found}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn any_series_has_an_ordered_forecast_or_a_reason(
            values in prop_oneof![
                prop::collection::vec(any::<f64>(), 0..60),
                prop::collection::vec(-1e3..1e3, 0..120),
                prop::collection::vec((0_u8..4).prop_map(f64::from), 0..120),
            ],
            model in prop::sample::select(Model::ALL.to_vec()),
            season in prop_oneof![1_usize..15, Just(usize::MAX)],
            horizon in 1_usize..40,
            confidence_level in 0.001..0.9999,
            non_negative in any::<bool>(),
        ) {
            let request = Request { horizon, confidence_level, model, season: season.into(), non_negative };
            let result = forecast(&values, &request);
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                prop_assert_eq!(&result, &Err(Unforecastable::NotFinite { index }));
            }
            match &result {
                Ok(forecast) => {
                    assert_in_order(&forecast.points, &request);
                    prop_assert_eq!(forecast.model, model);
                    prop_assert!(forecast.skill_vs_naive.is_none_or(f64::is_finite));
                }
                Err(reason) => prop_assert!(!reason.to_string().is_empty()),
            }
            prop_assert_eq!(result, super::forecast(&values, &request));
        }
    }
}
