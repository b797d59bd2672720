//! Fitting by name, and the combination that `auto` stands for.

use crate::arima::{self, Arima};
use crate::ces::{self, Ces};
use crate::combination::{Combination, Pool};
use crate::drift::Drift;
use crate::ets::{self, Ets};
use crate::intermittent::{self, Intermittent};
use crate::interval::Fitted;
use crate::linear::{self, Linear};
use crate::model::Model;
use crate::mstl::Mstl;
use crate::multi_seasonal::MultiSeasonal;
use crate::prophet::{self, Prophet};
use crate::seasonal_naive::SeasonalNaive;
use crate::theta::{self, Theta};
use crate::transform::{Logged, Shifted};

/// A fitted model and what it is called.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) model: Model,
    pub(crate) fitted: Box<dyn Fitted>,
    /// The same fitted to the history up to a point before its end, and that point.
    pub(crate) part: Option<(Box<dyn Fitted>, usize)>,
}

/// The longest horizon that is judged.
const LONGEST: usize = 64;
/// Values from which on a series shows how often it is zero, or that it grows.
const REGULAR: usize = 9;
/// From so many values on the form that was chosen without the held-out end is kept.
const LONG: usize = 300;
/// Squared error on the held-out end, in multiples of the best member's, up to which a member stays. (1.5, 2 and 3 were
/// measured on M5: 2 is the best for departments and items together.)
const TOLERATED: f64 = 2.0;
/// The longest season that exponential smoothing and Theta take.
const SINGLE: usize = 60;

/// Values that a model needs.
pub(crate) fn needed(model: Model, season: usize) -> usize {
    match model {
        Model::SeasonalNaive => SeasonalNaive::needed(season),
        Model::Ets | Model::Auto | Model::Mstl => ets::NEEDED,
        Model::Theta => theta::NEEDED,
        Model::Ces => ces::NEEDED,
        Model::Arima => arima::NEEDED,
        Model::Linear => linear::NEEDED,
        Model::Prophet => prophet::NEEDED,
        Model::Dshw => season.saturating_mul(2).max(3),
        Model::CrostonSba | Model::Tsb | Model::Adida => intermittent::NEEDED,
    }
}

fn boxed<F: Fitted + 'static>(fitted: F) -> Box<dyn Fitted> {
    Box::new(fitted)
}

/// Fits a model to values with seasons of `periods` steps, shortest first; None where the history is too short for it.
///
/// `regressors` hold one value a step of the history and of the horizon. Models without a place for them are fitted to
/// the series less the effects that a regression finds.
pub(crate) fn fit(
    model: Model,
    values: &[f64],
    periods: &[usize],
    regressors: &[Vec<f64>],
) -> Option<Box<dyn Fitted>> {
    let season = periods.first().copied().unwrap_or(1);
    if values.len() < needed(model, season) {
        return None;
    }
    if !regressors.is_empty() && !matches!(model, Model::Arima | Model::Linear | Model::Prophet) {
        let (effects, rest) = effects(values, periods, regressors)?;
        let inner = fit(model, &rest, periods, &[])?;
        return Some(boxed(Shifted { inner, effects }));
    }
    match model {
        Model::SeasonalNaive => Some(boxed(SeasonalNaive { season })),
        Model::Ets => Ets::fit(values, if season > SINGLE { 1 } else { season }).map(boxed),
        Model::Theta => Some(boxed(Theta::fit(values, season))),
        Model::Ces => Mstl::with(values, periods, |rest| Ces::fit(rest).map(boxed)).map(boxed),
        Model::Arima => Arima::fit(values, season, regressors).map(boxed),
        Model::Mstl => Mstl::fit(values, periods).map(boxed),
        Model::Dshw => MultiSeasonal::fit(values, periods).map(boxed),
        Model::Linear => Linear::fit(values, periods, regressors).map(boxed),
        Model::Prophet => Prophet::fit(values, periods, regressors).map(boxed),
        Model::CrostonSba => Some(boxed(Intermittent::croston_sba())),
        Model::Tsb => Some(boxed(Intermittent::tsb(values))),
        Model::Adida => Some(boxed(Intermittent::adida(values))),
        Model::Auto => combination(values, periods),
    }
}

/// What each regressor adds to each step that it has a value for, by a regression on trend and seasons too, and the
/// values without that.
pub(crate) fn effects(
    values: &[f64],
    periods: &[usize],
    regressors: &[Vec<f64>],
) -> Option<(Vec<Vec<f64>>, Vec<f64>)> {
    let regression = Linear::fit(values, periods, regressors)?;
    let mut rest = values.to_vec();
    let mut effects = Vec::with_capacity(regressors.len());
    for (which, regressor) in regressors.iter().enumerate() {
        let part = linear::Part::Regressor(which);
        let effect: Vec<f64> = (0..regressor.len()).map(|time| regression.part(part, time)).collect();
        rest.iter_mut().zip(&effect).for_each(|(value, effect)| *value -= effect);
        effects.push(effect);
    }
    Some((effects, rest))
}

/// The members of [`roster`] that can be fitted, as one.
fn combination(values: &[f64], periods: &[usize]) -> Option<Box<dyn Fitted>> {
    let (pool, roster) = roster(values, periods);
    let members: Vec<Box<dyn Fitted>> = roster.into_iter().flatten().collect();
    (!members.is_empty()).then(|| boxed(Combination { members, pool }))
}

/// The combination that suits the series: equal weights, members that err in different ways.
///
/// * mostly zero: Theta, TSB and ADIDA;
/// * several seasons: the median of methods with all of them, on the values and on their logarithms. Series of hours
///   differ so much in how their seasons act that any one of these is badly wrong for some;
/// * one season: exponential smoothing, Theta, smoothing with an autoregressive error, and regression;
/// * none: exponential smoothing and Theta, and, where values are all above zero, a line whose error fades, and drifts of
///   the logarithms, which those two underrate in series that grow.
fn roster(values: &[f64], periods: &[usize]) -> (Pool, Vec<Option<Box<dyn Fitted>>>) {
    let plain = |model| fit(model, values, periods, &[]);
    let logged = |model| Some(boxed(Logged::fit(values, |logged| fit(model, logged, periods, &[]))?));
    let drift = |drift: Drift| Some(boxed(Logged::fit(values, |_| Some(boxed(drift)))?));
    let enough = values.len() >= REGULAR;
    match periods {
        _ if enough && intermittent::is_intermittent(values) => {
            (Pool::Mean, vec![plain(Model::Theta), plain(Model::Tsb), plain(Model::Adida)])
        }
        [] if !enough || values.iter().any(|value| *value <= 0.0) => {
            (Pool::Mean, vec![plain(Model::Ets), plain(Model::Theta)])
        }
        [] => (
            Pool::Mean,
            vec![
                plain(Model::Ets),
                plain(Model::Theta),
                plain(Model::Linear),
                drift(Drift::FADING),
                drift(Drift::STEADY),
            ],
        ),
        [season] => (
            Pool::Mean,
            if *season > SINGLE {
                vec![plain(Model::Dshw), plain(Model::Linear), plain(Model::Theta)]
            } else {
                vec![plain(Model::Ets), plain(Model::Theta), plain(Model::Dshw), plain(Model::Linear)]
            },
        ),
        [.., longest] => {
            let season = *longest;
            let adjusted =
                |values: &[f64]| Mstl::with(values, periods, |rest| fit(Model::Theta, rest, &[], &[]));
            (
                Pool::Median,
                vec![
                    plain(Model::Dshw),
                    logged(Model::Dshw),
                    plain(Model::Linear),
                    logged(Model::Linear),
                    adjusted(values).map(boxed),
                    Logged::fit(values, |logged| adjusted(logged).map(boxed)).map(boxed),
                    Some(boxed(SeasonalNaive { season })),
                ],
            )
        }
    }
}

/// The chosen model, fitted to the whole history, and its skill against the seasonal naive model on rolling origins in
/// the held-out end (Tashman 2000, "Out-of-sample tests of forecasting accuracy", *International Journal of
/// Forecasting* 16: parameters stay those of the first origin, which costs one fit).
pub(crate) fn choose(
    model: Model,
    values: &[f64],
    periods: &[usize],
    regressors: &[Vec<f64>],
    horizon: usize,
) -> Option<(Choice, Option<f64>)> {
    if model == Model::Auto && !regressors.is_empty() {
        let (effects, rest) = effects(values, periods, regressors)?;
        let (choice, skill) = choose(model, &rest, periods, &[], horizon)?;
        let whole = boxed(Shifted { inner: choice.fitted, effects: effects.clone() });
        let part = choice.part.map(|(inner, cut)| (boxed(Shifted { inner, effects }), cut));
        return Some((Choice { model, fitted: whole, part }, skill));
    }
    let season = periods.first().copied().unwrap_or(1);
    let Some(cut) = cut(values.len(), season, horizon) else {
        return Some((Choice { model, fitted: fit(model, values, periods, regressors)?, part: None }, None));
    };
    let horizon = horizon.min(values.len() - cut).min(LONGEST);
    let squares = |fitted: &dyn Fitted| squared_error(fitted, values, cut, horizon);
    let (part, whole) = if model == Model::Auto {
        pruned(values, periods, cut, squares)?
    } else {
        let part = fit(model, &values[..cut], periods, regressors);
        let kept = part.as_ref().filter(|_| values.len() >= LONG).and_then(|part| part.refit(values));
        let whole = match kept {
            Some(kept) => kept,
            None => fit(model, values, periods, regressors)?,
        };
        (part, whole)
    };
    let naive = squares(&SeasonalNaive { season });
    // Against errors that all but vanish beside the model's, the ratio overflows.
    let skill = part
        .as_ref()
        .filter(|_| naive > 0.0)
        .map(|part| 1.0 - (squares(part.as_ref()) / naive).sqrt())
        .filter(|skill| skill.is_finite());
    Some((Choice { model, fitted: whole, part: part.map(|part| (part, cut)) }, skill))
}

/// The combination fitted without and with the held-out end, less the members that forecast that end much worse than
/// the best of them: one that is wrong about the series does more harm in a mean than a weak one does good.
#[expect(clippy::type_complexity, reason = "a pair of the same thing, used once")]
fn pruned(
    values: &[f64],
    periods: &[usize],
    cut: usize,
    squares: impl Fn(&dyn Fitted) -> f64,
) -> Option<(Option<Box<dyn Fitted>>, Box<dyn Fitted>)> {
    let (pool, parts) = roster(&values[..cut], periods);
    let errors: Vec<f64> =
        parts.iter().map(|part| part.as_ref().map_or(f64::INFINITY, |part| squares(part.as_ref()))).collect();
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    // A median needs no such care, and the end of a series without season is a handful of values.
    let tolerated = if periods.len() == 1 { TOLERATED * least } else { f64::INFINITY };
    let keep: Vec<bool> = errors.iter().map(|error| *error <= tolerated).collect();
    let together = |members: Vec<Option<Box<dyn Fitted>>>, pool: Pool| {
        let same = members.len() == keep.len();
        let kept = members.into_iter().zip(&keep).filter(|(_, keep)| !same || **keep);
        let members: Vec<Box<dyn Fitted>> = kept.filter_map(|(member, _)| member).collect();
        (!members.is_empty()).then(|| boxed(Combination { members, pool }))
    };
    let part = together(parts, pool);
    let kept = part.as_ref().filter(|_| values.len() >= LONG).and_then(|part| part.refit(values));
    let whole = match kept {
        Some(kept) => kept,
        None => {
            let (pool, members) = roster(values, periods);
            together(members, pool).or_else(|| combination(values, periods))?
        }
    };
    Some((part, whole))
}

/// Where the held-out end begins: at most a quarter of the history, enough of it for a few horizons or seasons. None
/// where what is left would be too short to fit a season to.
fn cut(count: usize, season: usize, horizon: usize) -> Option<usize> {
    let wanted = (3 * horizon.min(LONGEST)).max(season.saturating_mul(2)).max(12);
    let held = wanted.min(count / 4);
    let cut = count - held;
    (held >= 4 && cut >= season.saturating_mul(2).saturating_add(5)).then_some(cut)
}

/// Sum of squared errors, over all origins from `cut` on and all steps up to `horizon` that the history knows.
fn squared_error(fitted: &dyn Fitted, values: &[f64], cut: usize, horizon: usize) -> f64 {
    let mut squares = 0.0;
    fitted.walk(values, cut, horizon, &mut |origin, means| {
        squares +=
            values[origin..].iter().zip(means).map(|(value, mean)| (value - mean).powi(2)).sum::<f64>();
    });
    squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, Noise, weekly};

    #[test]
    fn a_season_beats_the_naive_model_where_there_is_noise() {
        let (_, skill) = choose(Model::Auto, &weekly(), &[7], &[], 7).unwrap();
        assert!(skill.unwrap() > 0.1, "{skill:?}");
    }

    #[test]
    fn a_seasonal_random_walk_is_left_to_the_naive_model() {
        let mut noise = Noise(7);
        let mut values = vec![50.0; 7];
        for day in 7..400 {
            values.push(values[day - 7] + 4.0 * (noise.uniform() - 0.5));
        }
        // Models that learn how fast seasons move do no worse, the others cost a little.
        let (_, skill) = choose(Model::Auto, &values, &[7], &[], 7).unwrap();
        assert!(skill.unwrap() > -0.3, "{skill:?}");
        let (_, skill) = choose(Model::SeasonalNaive, &values, &[7], &[], 7).unwrap();
        assert_eq!(skill, Some(0.0));
    }

    #[test]
    fn every_model_has_a_fit_and_the_combination_names_its_parts() {
        for model in Model::ALL {
            let fitted = fit(model, &AIR_PASSENGERS, &[12], &[]).unwrap();
            let mut ahead = Vec::new();
            fitted.walk(&AIR_PASSENGERS, 144, 24, &mut |_, means| ahead = means.to_vec());
            assert!(ahead.len() == 24 && ahead.iter().all(|mean| mean.is_finite()), "{model}: {ahead:?}");
        }
        let form = fit(Model::Auto, &AIR_PASSENGERS, &[12], &[]).unwrap().form().unwrap();
        assert!(form.starts_with("mean of ETS(M,") && form.contains("DOTM"), "{form}");
    }

    #[test]
    fn regressors_reach_models_that_have_no_place_for_them() {
        let promotion: Vec<f64> = (0..154).map(|day| f64::from(u8::from(day % 9 == 4))).collect();
        let values: Vec<f64> = weekly().iter().zip(&promotion).map(|(value, on)| value + 30.0 * on).collect();
        for model in [Model::Auto, Model::Ets, Model::Theta, Model::Arima, Model::Linear] {
            let fitted = fit(model, &values, &[7], std::slice::from_ref(&promotion)).unwrap();
            let mut ahead = Vec::new();
            fitted.walk(&values, 140, 14, &mut |_, means| ahead = means.to_vec());
            let lift = ahead[7] - ahead[0];
            assert!(promotion[147] == 0.0 && promotion[139] == 1.0 && lift.abs() < 4.0, "{model}: {ahead:?}");
            let on = ahead[8] - ahead[1];
            assert!(promotion[148] == 1.0 && (25.0..35.0).contains(&on), "{model}: {ahead:?}");
        }
    }

    #[test]
    fn short_histories_have_no_skill() {
        let (_, skill) = choose(Model::Auto, &[3.0, 1.0, 2.0, 4.0, 2.0, 3.0], &[], &[], 3).unwrap();
        assert_eq!(skill, None);
        assert!(choose(Model::Auto, &[3.0, 1.0], &[], &[], 3).is_none());
    }
}
