//! How well models forecast a series: rolling origins, every model fitted anew at each.
//!
//! Tashman (2000), "Out-of-sample tests of forecasting accuracy: an analysis and review", *International Journal of
//! Forecasting* 16.

use crate::forecast::{Point, Request, forecast};
use crate::metric::{Errors, Metrics, Scale};
use crate::model::Model;
use crate::unforecastable::Unforecastable;

/// The most origins of one evaluation.
pub const MAX_WINDOWS: usize = 100;

/// The figures of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The model.
    pub model: Model,
    /// Its figures over all origins and steps; the reason where it could not forecast from one of them.
    pub metrics: Result<Metrics, Unforecastable>,
    /// 1 − RMSE / RMSE of the seasonal naive model on the same pairs: above 0 the model is better. None where either
    /// can't be told.
    pub skill_vs_naive: Option<f64>,
    /// 1 for the least RMSE among the models; equal figures share a rank. None for a model without figures.
    pub rank: Option<usize>,
}

/// Evaluates models on the last `windows` × `step` values of a series.
///
/// From each of `windows` origins, `step` apart, the last one `request.horizon` before the end, every model is fitted to
/// the values before it and its forecast compared with the values after. `request.model` is ignored. Results are in the
/// order of `models`.
///
/// # Errors
/// `InvalidRequest` where `windows` is not 1 to [`MAX_WINDOWS`], `step` is 0 or no model is given, `TooShort` where no
/// history is left before the first origin. What one model can't do is in its [`Evaluation`].
pub fn evaluate(
    history: &[f64],
    request: &Request,
    models: &[Model],
    windows: usize,
    step: usize,
) -> Result<Vec<Evaluation>, Unforecastable> {
    let make = |model, origin| Ok(forecast(&history[..origin], &Request { model, ..*request })?.points);
    evaluate_by(history, request, models, windows, step, &make)
}

/// What makes the forecast of a model from the values before an origin.
pub(crate) type Maker<'a> = dyn Fn(Model, usize) -> Result<Vec<Point>, Unforecastable> + 'a;

/// The values before the first of some origins; None where there are none.
pub(crate) fn first_origin(points: usize, horizon: usize, windows: usize, step: usize) -> Option<usize> {
    let held = horizon.saturating_add(windows.saturating_sub(1).saturating_mul(step));
    points.checked_sub(held).filter(|first| *first > 0)
}

/// The same with forecasts that `make` makes.
pub(crate) fn evaluate_by(
    history: &[f64],
    request: &Request,
    models: &[Model],
    windows: usize,
    step: usize,
    make: &Maker<'_>,
) -> Result<Vec<Evaluation>, Unforecastable> {
    if !(1..=MAX_WINDOWS).contains(&windows) {
        return Err(Unforecastable::InvalidRequest("windows must be between 1 and 100"));
    }
    if step == 0 {
        return Err(Unforecastable::InvalidRequest("step must be at least 1"));
    }
    if models.is_empty() {
        return Err(Unforecastable::InvalidRequest("at least one model is needed"));
    }
    if let Some(index) = history.iter().position(|value| !value.is_finite()) {
        return Err(Unforecastable::NotFinite { index });
    }
    let Some(first) = first_origin(history.len(), request.horizon, windows, step) else {
        let held = request.horizon.saturating_add((windows - 1).saturating_mul(step));
        return Err(Unforecastable::TooShort { points: history.len(), needed: held.saturating_add(1) });
    };
    let figures = |model: Model| -> Result<Metrics, Unforecastable> {
        let mut errors = Errors::default();
        for origin in (0..windows).map(|window| first + window * step) {
            let (known, future) = history.split_at(origin);
            let made = make(model, origin)?;
            let scale = Scale::of(known, request.season.shortest());
            for (point, actual) in made.iter().zip(future) {
                errors.add(point, *actual, request.confidence_level, scale);
            }
        }
        errors.metrics().ok_or(Unforecastable::InvalidRequest("horizon must be between 1 and 10000"))
    };
    let naive = figures(Model::SeasonalNaive).ok().map(|metrics| metrics.rmse);
    let all: Vec<Result<Metrics, Unforecastable>> = models.iter().map(|model| figures(*model)).collect();
    let better = |rmse: f64| all.iter().flatten().filter(|other| other.rmse < rmse).count();
    Ok(models
        .iter()
        .zip(&all)
        .map(|(model, metrics)| {
            let rmse = metrics.as_ref().ok().map(|metrics| metrics.rmse);
            let skill = rmse.zip(naive).map(|(rmse, naive)| 1.0 - rmse / naive);
            Evaluation {
                model: *model,
                metrics: metrics.clone(),
                skill_vs_naive: skill.filter(|skill| skill.is_finite()),
                rank: rmse.map(|rmse| 1 + better(rmse)),
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, weekly};

    fn request(season: usize, horizon: usize) -> Request {
        let model = Model::Auto;
        Request { horizon, confidence_level: 0.9, model, season: season.into(), non_negative: true }
    }

    #[test]
    fn seasonal_naive_has_the_figures_of_its_definition() {
        // numpy 2.4.6 on the last two years: the naive forecast is the year before.
        let found =
            evaluate(&AIR_PASSENGERS, &request(12, 12), &[Model::SeasonalNaive], 1, 1).unwrap().remove(0);
        let metrics = found.metrics.unwrap();
        assert!((metrics.mae - 47.8333).abs() < 1e-3 && (metrics.rmse - 50.7084).abs() < 1e-3, "{metrics:?}");
        assert!((metrics.bias + 47.8333).abs() < 1e-3 && metrics.pairs == 12, "{metrics:?}");
        assert!((metrics.smape - 0.105_718).abs() < 1e-6, "{metrics:?}");
        assert!((metrics.wape.unwrap() - 0.100_455).abs() < 1e-6, "{metrics:?}");
        assert!((metrics.mase.unwrap() - 1.570_881).abs() < 1e-6, "{metrics:?}");
        assert!((metrics.rmsse.unwrap() - 1.618_413).abs() < 1e-6, "{metrics:?}");
        assert_eq!((found.skill_vs_naive, found.rank), (Some(0.0), Some(1)));
    }

    #[test]
    fn models_are_ranked_and_one_that_fails_says_why() {
        let models = [Model::SeasonalNaive, Model::Ets, Model::Theta, Model::Dshw];
        let found = evaluate(&weekly(), &request(7, 7), &models, 4, 7).unwrap();
        let mut ranks: Vec<usize> = found.iter().filter_map(|one| one.rank).collect();
        assert_eq!(found[0].rank, Some(4));
        ranks.sort_unstable();
        assert_eq!(ranks, [1, 2, 3, 4]);
        assert!(found[1].skill_vs_naive.unwrap() > 0.1);
        let short = evaluate(&weekly()[..11], &request(7, 2), &[Model::Dshw, Model::Ets], 1, 1).unwrap();
        assert!(
            short[0].metrics.is_err() && short[0].rank.is_none() && short[1].rank == Some(1),
            "{short:?}"
        );
    }

    #[test]
    fn impossible_evaluations_are_refused() {
        let one = [Model::Theta];
        assert!(evaluate(&weekly(), &request(7, 7), &[], 1, 1).is_err());
        assert!(evaluate(&weekly(), &request(7, 7), &one, 0, 1).is_err());
        assert!(evaluate(&weekly(), &request(7, 7), &one, 1, 0).is_err());
        assert!(evaluate(&weekly(), &request(7, 7), &one, 100, 7).is_err());
        assert!(evaluate(&weekly(), &request(7, 7), &one, usize::MAX, usize::MAX).is_err());
    }
}
