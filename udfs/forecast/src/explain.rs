//! Of what a forecast is made: trend, seasons, and the effects of covariates.

use crate::covariate::{Cause, Covariate};
use crate::forecast::{Fit, Forecast, MAX_HORIZON, Request};
use crate::unforecastable::Unforecastable;

/// What a part of a forecast stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// Level and growth, and what fades of the last errors.
    Trend,
    /// The season of so many steps: 7 is the week of daily values.
    Season(usize),
    /// The season of the year, of daily values.
    Year,
    /// Covariates of one kind.
    Effect(Cause),
    /// What was added because values can't be below 0.
    Limit,
}

/// A forecast and its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The forecast, as [`forecast_with`](crate::forecast_with) makes it.
    pub forecast: Forecast,
    /// For each part one number a step, in units of the series. At every step they add up to the value (to rounding).
    pub parts: Vec<(Component, Vec<f64>)>,
}

/// Forecasts a series and takes the forecast apart.
///
/// Covariates and year are what the model says they are. The rest of the path is continued beyond the horizon, and each
/// season, shortest first, is what the path has beyond its average over one period; what is left is the trend. That
/// holds for whatever model made the path, multiplicative seasons and combinations included. `Limit` is there only
/// where it is not 0 throughout.
///
/// # Errors
/// As for [`forecast_with`](crate::forecast_with).
pub fn explain(
    history: &[f64],
    request: &Request,
    covariates: &[Covariate],
) -> Result<Explanation, Unforecastable> {
    let fit = Fit::of(history, request, covariates)?;
    let forecast = fit.forecast(request)?;
    let horizon = request.horizon;
    let origin = fit.values.len();
    let fitted = fit.choice.fitted.as_ref();
    // Seasons that the path would have to be continued too far for are left in the trend.
    let periods: Vec<usize> =
        fit.seasons.periods().iter().copied().filter(|period| *period <= MAX_HORIZON).collect();
    let beyond = 3 * periods.iter().sum::<usize>();

    let mut path = vec![0.0; horizon + beyond];
    fitted.walk(&fit.values, origin, horizon + beyond, &mut |_, means| path.copy_from_slice(means));
    let mut parts: Vec<(Component, Vec<f64>)> = Vec::new();
    for cause in [Cause::Holiday, Cause::Promotion, Cause::Other] {
        if !covariates.iter().any(|covariate| covariate.cause == cause) {
            continue;
        }
        let of = |step: usize| -> f64 {
            let effects = fitted.effects(origin + step);
            effects.iter().zip(&fit.causes).filter(|(_, of)| **of == cause).map(|(effect, _)| effect).sum()
        };
        let effect: Vec<f64> = (0..path.len()).map(of).collect();
        path.iter_mut().zip(&effect).for_each(|(mean, effect)| *mean -= effect);
        parts.push((Component::Effect(cause), effect));
    }
    let year: Vec<f64> = (0..path.len()).map(|step| fitted.annual(origin + step)).collect();
    if year.iter().any(|effect| *effect != 0.0) {
        path.iter_mut().zip(&year).for_each(|(mean, effect)| *mean -= effect);
        parts.push((Component::Year, year));
    }
    for period in periods {
        let smooth = smooth(&path, period);
        let season = path.iter().zip(&smooth).map(|(mean, smooth)| mean - smooth).collect();
        parts.push((Component::Season(period), season));
        path = smooth;
    }

    for (_, part) in &mut parts {
        part.truncate(horizon);
        part.iter_mut().for_each(|part| *part *= fit.scale);
    }
    let others = |step: usize| parts.iter().map(|(_, part)| part[step]).sum::<f64>();
    let value = |step: usize| forecast.points[step].value;
    let whole: Vec<f64> = (0..horizon).map(|step| path[step] * fit.scale + others(step)).collect();
    // Rounding goes to the trend, a limit stands on its own.
    let limited = |step: usize| request.non_negative && whole[step] < 0.0;
    let trend = |step: usize| if limited(step) { path[step] * fit.scale } else { value(step) - others(step) };
    let trend: Vec<f64> = (0..horizon).map(trend).collect();
    let limit: Vec<f64> =
        (0..horizon).map(|step| if limited(step) { value(step) - whole[step] } else { 0.0 }).collect();
    if limit.iter().any(|limit| *limit != 0.0) {
        parts.push((Component::Limit, limit));
    }
    parts.insert(0, (Component::Trend, trend));
    Ok(Explanation { forecast, parts })
}

/// The average of a path over one period, centred on each step. Before the first step and after the last the path is
/// taken to have the phases of the nearest period, moved by the growth from one period to the next.
pub(crate) fn smooth(path: &[f64], period: usize) -> Vec<f64> {
    let count = path.len();
    let half = period / 2;
    let mean = |from: usize| path[from..from + period].iter().sum::<f64>() / period as f64;
    let (early, late) = (mean(period) - mean(0), mean(count - period) - mean(count - 2 * period));
    let mut longer: Vec<f64> = Vec::with_capacity(count + 2 * half);
    longer.extend((0..half).map(|back| path[period - half + back] - early));
    longer.extend_from_slice(path);
    longer.extend((0..half).map(|on| path[count - period + on] + late));
    let odd = period % 2 == 1;
    let mut sum: f64 = longer[..period].iter().sum();
    (0..count)
        .map(|step| {
            // An even period has half of the value at either end.
            let ends = if odd { 0.0 } else { (longer[step + period] - longer[step]) / 2.0 };
            let average = (sum + ends) / period as f64;
            if let Some(next) = longer.get(step + period) {
                sum += next - longer[step];
            }
            average
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, assert_close, weekly};
    use crate::model::Model;
    use crate::seasons::Seasons;
    use proptest::prelude::*;

    fn request(model: Model, season: impl Into<Seasons>, horizon: usize) -> Request {
        Request { horizon, confidence_level: 0.95, model, season: season.into(), non_negative: true }
    }

    fn assert_adds_up(explanation: &Explanation) {
        for (step, point) in explanation.forecast.points.iter().enumerate() {
            let sum: f64 = explanation.parts.iter().map(|(_, part)| part[step]).sum();
            assert!((sum - point.value).abs() <= 1e-12 * (1.0 + point.value.abs()), "{sum} {point:?}");
        }
    }

    #[test]
    fn every_model_adds_up() {
        for model in Model::ALL {
            let explanation = explain(&AIR_PASSENGERS, &request(model, 12, 30), &[]).unwrap();
            assert_adds_up(&explanation);
            let parts: Vec<Component> = explanation.parts.iter().map(|(component, _)| *component).collect();
            assert_eq!(parts, [Component::Trend, Component::Season(12)], "{model}");
        }
    }

    #[test]
    fn a_path_of_trend_and_season_is_taken_apart() {
        let week = [-3.0, -1.0, 0.0, 0.0, 1.0, 2.0, 1.0];
        let path: Vec<f64> = (0..40).map(|t| 5.0 + 0.5 * f64::from(t) + week[t as usize % 7]).collect();
        let trend: Vec<f64> = (0..40).map(|t| 5.0 + 0.5 * f64::from(t)).collect();
        assert_close(&smooth(&path, 7), &trend, 1e-12);
        let path: Vec<f64> =
            (0..40).map(|t| 5.0 + 0.5 * f64::from(t) + [1.0, -1.0, 3.0, -3.0][t as usize % 4]).collect();
        assert_close(&smooth(&path, 4), &trend, 1e-12);
    }

    #[test]
    fn promotion_and_holiday_are_told_apart() {
        let on = |step: usize, of: usize| f64::from(u8::from(step % of == 4));
        let promotion: Vec<f64> = (0..154).map(|day| on(day, 9)).collect();
        let holiday: Vec<f64> = (0..154).map(|day| on(day, 31)).collect();
        let mut values = weekly();
        for (day, value) in values.iter_mut().enumerate() {
            *value += 20.0 * promotion[day] + 60.0 * holiday[day];
        }
        let covariates = [
            Covariate { cause: Cause::Holiday, values: holiday.clone() },
            Covariate { cause: Cause::Promotion, values: promotion.clone() },
        ];
        for model in [Model::Auto, Model::Arima, Model::Linear, Model::Theta] {
            let explanation = explain(&values, &request(model, 7, 14), &covariates).unwrap();
            assert_adds_up(&explanation);
            let part = |of: Component| {
                let found = explanation.parts.iter().find(|(component, _)| *component == of);
                found.map(|(_, part)| part.clone()).unwrap()
            };
            let promoted = part(Component::Effect(Cause::Promotion));
            for (step, effect) in promoted.iter().enumerate() {
                assert!((effect - 20.0 * promotion[140 + step]).abs() < 3.0, "{model}: {promoted:?}");
            }
            assert!(
                part(Component::Effect(Cause::Holiday))
                    .iter()
                    .zip(&holiday[140..])
                    .all(|(e, on)| (e - 60.0 * on).abs() < 6.0)
            );
        }
    }

    #[test]
    fn what_a_limit_adds_is_shown() {
        let falling: Vec<f64> = (0..40).map(|t| 40.0 - f64::from(t)).collect();
        let explanation = explain(&falling, &request(Model::Ets, 1, 10), &[]).unwrap();
        assert_adds_up(&explanation);
        assert_eq!(explanation.parts[1].0, Component::Limit);
        assert!(explanation.parts[0].1[9] < -5.0, "{explanation:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn any_forecast_with_any_covariates_adds_up_or_has_a_reason(
            values in prop_oneof![
                prop::collection::vec(any::<f64>(), 0..40),
                prop::collection::vec(-1e3..1e3, 0..90),
                prop::collection::vec((0_u8..3).prop_map(f64::from), 0..90),
            ],
            model in prop::sample::select(Model::ALL.to_vec()),
            periods in prop::collection::vec(1_usize..20, 0..4),
            horizon in 1_usize..20,
            columns in 0_usize..4,
            spread in prop_oneof![Just(1.0), Just(1e300), Just(0.0)],
            non_negative in any::<bool>(),
        ) {
            let season = Seasons::new(&periods).unwrap_or(Seasons::NONE);
            let request = Request { horizon, confidence_level: 0.9, model, season, non_negative };
            let covariates: Vec<Covariate> = (0..columns)
                .map(|column| Covariate {
                    cause: [Cause::Holiday, Cause::Promotion, Cause::Other][column % 3],
                    values: (0..values.len() + horizon).map(|t| spread * f64::from(u8::from(t % (column + 2) == 1))).collect(),
                })
                .collect();
            match explain(&values, &request, &covariates) {
                Ok(explanation) => {
                    let sizes = explanation.parts.iter().flat_map(|(_, part)| part).map(|part| part.abs());
                    let largest = sizes.fold(0.0, f64::max);
                    for (step, point) in explanation.forecast.points.iter().enumerate() {
                        let sum: f64 = explanation.parts.iter().map(|(_, part)| part[step]).sum();
                        prop_assert!(largest > 1e290 || (sum - point.value).abs() <= 1e-9 * (1e-300 + largest), "{} {:?}", sum, point);
                    }
                }
                Err(reason) => prop_assert!(!reason.to_string().is_empty()),
            }
        }
    }
}
