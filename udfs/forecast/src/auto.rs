//! Which model: fit each to all but the end of the history, and see which forecasts the end best.
//!
//! The errors are those of every origin in the held-out end (Tashman 2000, "Out-of-sample tests of forecasting
//! accuracy", *International Journal of Forecasting* 16: rolling origins with fixed parameters), which costs one fit a
//! model instead of one an origin.

use crate::ets::{self, Ets};
use crate::interval::Fitted;
use crate::model::Model;
use crate::seasonal_naive::SeasonalNaive;
use crate::theta::{self, Theta};

/// A fitted model of any kind.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    SeasonalNaive(SeasonalNaive),
    Ets(Box<Ets>),
    Theta(Theta),
}

/// Models that are tried, the one that is best on most series first.
const TRIED: [Model; 3] = [Model::Theta, Model::Ets, Model::SeasonalNaive];
/// A later model's squared error has to be smaller by this part, and by one point's share of the held-out end: the
/// winner of a short contest is often the luckier one. (Measured on M5 and M4; it also settles ties.)
const MARGIN: f64 = 0.05;
/// The longest horizon that is judged.
const LONGEST: usize = 64;

impl Choice {
    /// Fits a model; None where the history is too short for it. `Auto` fits the first that can be.
    pub(crate) fn fit(model: Model, values: &[f64], season: usize) -> Option<Choice> {
        let enough = |needed: usize| values.len() >= needed;
        match model {
            Model::SeasonalNaive => enough(SeasonalNaive::needed(season))
                .then_some(Choice::SeasonalNaive(SeasonalNaive { season })),
            Model::Ets => enough(ets::NEEDED)
                .then(|| Ets::fit(values, season))
                .flatten()
                .map(|ets| Choice::Ets(Box::new(ets))),
            Model::Theta => enough(theta::NEEDED).then(|| Choice::Theta(Theta::fit(values, season))),
            Model::Auto => TRIED.into_iter().find_map(|model| Choice::fit(model, values, season)),
        }
    }

    /// The same form, fitted to the whole history.
    pub(crate) fn refit(self, values: &[f64], season: usize) -> Choice {
        match self {
            Choice::SeasonalNaive(model) => Choice::SeasonalNaive(model),
            Choice::Ets(ets) => Choice::Ets(Box::new(ets.refit(values, season))),
            Choice::Theta(_) => Choice::Theta(Theta::fit(values, season)),
        }
    }

    pub(crate) fn model(&self) -> Model {
        match self {
            Choice::SeasonalNaive(_) => Model::SeasonalNaive,
            Choice::Ets(_) => Model::Ets,
            Choice::Theta(_) => Model::Theta,
        }
    }

    pub(crate) fn fitted(&self) -> &dyn Fitted {
        match self {
            Choice::SeasonalNaive(model) => model,
            Choice::Ets(model) => model.as_ref(),
            Choice::Theta(model) => model,
        }
    }

    /// The form that was fitted, in words.
    pub(crate) fn form(&self) -> Option<String> {
        match self {
            Choice::SeasonalNaive(_) => None,
            Choice::Ets(ets) => Some(ets.form()),
            Choice::Theta(theta) => Some(theta.form()),
        }
    }
}

/// The chosen model, fitted to the whole history, and its skill against the seasonal naive model.
pub(crate) fn choose(
    model: Model,
    values: &[f64],
    season: usize,
    horizon: usize,
) -> Option<(Choice, Option<f64>)> {
    let Some(cut) = cut(values.len(), season, horizon) else {
        return Choice::fit(model, values, season).map(|choice| (choice, None));
    };
    let horizon = horizon.min(values.len() - cut).min(LONGEST);
    let squares = |choice: &Choice| squared_error(choice.fitted(), values, cut, horizon);
    let wanted = if model == Model::Auto { &TRIED[..] } else { &[model][..] };
    let margin = MARGIN + 1.0 / (values.len() - cut) as f64;
    let mut best: Option<(Choice, f64)> = None;
    for model in wanted {
        let Some(choice) = Choice::fit(*model, &values[..cut], season) else { continue };
        let error = squares(&choice);
        if best.as_ref().is_none_or(|(_, least)| error < *least * (1.0 - margin)) {
            best = Some((choice, error));
        }
    }
    let (choice, error) = best?;
    let naive = squares(&Choice::SeasonalNaive(SeasonalNaive { season }));
    // Against errors that all but vanish beside the model's, the ratio overflows.
    let skill = (naive > 0.0).then(|| 1.0 - (error / naive).sqrt()).filter(|skill| skill.is_finite());
    Some((choice.refit(values, season), skill))
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
        let (choice, skill) = choose(Model::Auto, &weekly(), 7, 7).unwrap();
        assert_ne!(choice.model(), Model::SeasonalNaive);
        assert!(skill.unwrap() > 0.15, "{skill:?}");
    }

    #[test]
    fn a_seasonal_random_walk_is_left_to_the_naive_model() {
        let mut noise = Noise(7);
        let mut values = vec![50.0; 7];
        for day in 7..400 {
            values.push(values[day - 7] + 4.0 * (noise.uniform() - 0.5));
        }
        // A model that learns how fast seasons move does no worse, so what counts is that skill is near none.
        let (_, skill) = choose(Model::Auto, &values, 7, 7).unwrap();
        assert!(skill.unwrap().abs() < 0.15, "{skill:?}");
        let (_, skill) = choose(Model::SeasonalNaive, &values, 7, 7).unwrap();
        assert_eq!(skill, Some(0.0));
    }

    #[test]
    fn the_same_form_is_refitted_to_the_whole() {
        let (choice, _) = choose(Model::Ets, &AIR_PASSENGERS, 12, 12).unwrap();
        assert_eq!(choice.model(), Model::Ets);
        assert!(choice.form().unwrap().starts_with("ETS(M,"));
    }

    #[test]
    fn short_histories_have_no_skill_and_the_first_model_that_fits() {
        let (choice, skill) = choose(Model::Auto, &[3.0, 1.0, 2.0, 4.0, 2.0, 3.0], 1, 3).unwrap();
        assert_eq!((choice.model(), skill), (Model::Theta, None));
        let (choice, _) = choose(Model::Auto, &[3.0, 1.0, 2.0], 1, 3).unwrap();
        assert_eq!(choice.model(), Model::SeasonalNaive);
        assert!(choose(Model::Auto, &[3.0, 1.0], 1, 3).is_none());
    }
}
