//! From a panel to a model of it, and from that to forecasts.

use std::sync::Arc;

use smartsneaks_table_function::{Run, for_each};

use crate::forecast::Point;
use crate::unforecastable::Unforecastable;

use super::band::{Band, Outcome};
use super::boost::{Binned, Boost, Learner, Trial};
use super::features::Features;
use super::holdout::{HeldOut, PanelMethod, PanelScore, Skills};
use super::local::LocalModel;
use super::loss::{self, PanelLoss};
use super::pool::Pool;
use super::profile::Profile;
use super::sample;
use super::series::{PanelRequest, PreparedSeries};
use super::totals::Totals;

/// Series from which on it is worth learning across them.
const MANY: usize = 20;

/// The first trees of a panel too short to hold anything out.
const UNTRIED: usize = 60;

/// Leaves that are divided at once where threads would idle.
const AHEAD: usize = 4;

/// What was learned from a panel. [`to_bytes`](Self::to_bytes) keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelModel {
    pub(crate) horizon: usize,
    pub(crate) report: PanelReport,
    pub(crate) pool: Pool,
    pub(crate) features: Features,
    pub(crate) boost: Boost,
    pub(crate) band: Band,
}

/// How a panel's model was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelReport {
    /// The method that forecasts.
    pub method: PanelMethod,
    /// What the trees of the global model make small: of both losses the one whose first trees forecast the held-out days
    /// better.
    pub loss: PanelLoss,
    /// Every method that was tried, on the last `horizon` days of each judged series; empty where histories were too
    /// short to tell.
    pub scores: Vec<PanelScore>,
    /// Series that were judged.
    pub judged: usize,
    /// Trees of the global model.
    pub trees: usize,
    /// What the trees divide by, with its share of all they gained; the largest first, those above 0.
    pub importance: Vec<(String, f64)>,
}

/// The forecast of one series of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelForecast {
    /// One point a day, as many as the horizon; never below 0, whole bounds for whole numbers.
    pub points: Vec<Point>,
    /// Who made them.
    pub method: PanelMethod,
}

/// Learns from all series of a panel, given in the order of their positions; with the model comes what its method gained on
/// each series that was held out. The same bits whatever `run` does.
///
/// With fewer than 20 series and no covariates only local models are used. `side_by_side` is worth it where `run` has
/// several threads: the final model then grows while it is tried out, in vain where local models win. Time is bounded by
/// the rows that are drawn (200,000, three times) plus some 50 µs a series; memory by about 200 MB plus the series.
///
/// # Errors
/// `InvalidRequest` where there is no series, or they differ in their number of codes, of covariates or in horizon.
pub fn train(
    series: &[PreparedSeries],
    request: &PanelRequest,
    side_by_side: bool,
    run: Run<'_>,
) -> Result<(PanelModel, Skills), Unforecastable> {
    let Some(first) = series.first() else {
        return Err(Unforecastable::InvalidRequest("a panel needs at least one series"));
    };
    let alike = |other: &PreparedSeries| {
        (other.codes.len(), other.covariate_count(), other.horizon)
            == (first.codes.len(), first.covariate_count(), request.horizon)
    };
    if !series.iter().all(alike) {
        return Err(Unforecastable::InvalidRequest(
            "all series of a panel need the same codes, covariates and horizon",
        ));
    }
    let global = series.len() >= MANY || first.covariate_count() > 0;

    // From all days, and from those before the held-out ones, side by side.
    let totals = Arc::new(if global { Totals::of(series) } else { Vec::new() });
    let make = |held| (Pool::new(series, held), Features::new(series, held, Arc::clone(&totals), request));
    let mut both = [(0, None), (request.horizon, None)];
    for_each(run, &mut both, |_, (held, made)| *made = Some(make(*held)));
    let [(pool, features), before] = both.map(|(held, made)| made.unwrap_or_else(|| make(held)));
    let held_out = HeldOut::new(series, request, before, run);
    let tried = global && !held_out.is_empty();

    // Of the losses that trees may make small, the one whose first trees do better on the held-out days.
    let mut trials = if tried { held_out.trials(series, run) } else { Vec::new() };
    for_each(run, &mut trials, |_, trial| trial.race(run));
    let better = |first, other| if Trial::rmsse(&other) < Trial::rmsse(&first) { other } else { first };
    let mut trial = trials.into_iter().reduce(better);
    let loss = trial.as_ref().map_or(PanelLoss::Tweedie, Trial::loss);

    // What is learned without the held-out days says how many trees there should be. What is learned from all days can
    // grow side by side with it, as far as it is sure to be wanted: the bits and the work stay the same.
    let mut whole: Option<Learner> = None;
    let all = || {
        let rows = sample::draw_rows(series, 0, &features, &pool, request.horizon, request.seed, run);
        Learner::new(Arc::new(Binned::new(rows, run)), loss, request.seed)
    };
    let (mut done, mut best) = (!tried, trial.as_ref().map_or(0, Trial::best));
    while !done {
        // A statement that was stopped runs nothing more.
        done = true;
        // The one that grows alone keeps the threads busy by itself.
        let caught_up = whole.as_ref().is_some_and(|whole| whole.boost.trees.len() == best);
        let ahead = if side_by_side && caught_up { AHEAD } else { 1 };
        let mut sides = [Side::Trial(&mut trial, &mut done), Side::Whole(&mut whole)];
        let sides = if side_by_side { &mut sides[..] } else { &mut sides[..1] };
        for_each(run, sides, |_, side| match side {
            Side::Trial(trial, done) => {
                **done = trial.as_mut().is_none_or(|trial| trial.round(ahead, run));
            }
            Side::Whole(whole) => whole.get_or_insert_with(all).grow_to(best, 1, run),
        });
        best = trial.as_ref().map_or(best, Trial::best);
    }
    let judged = held_out.judge(&trial.map(Trial::into_boost).unwrap_or_default(), run);
    let (method, wanted) = match judged.method {
        _ if global && !tried => (PanelMethod::Global, UNTRIED),
        PanelMethod::Local => (PanelMethod::Local, 0),
        method => (method, best),
    };
    let (mut boost, mut gained) = (Boost::default(), Vec::new());
    if wanted > 0 {
        let mut whole = whole.unwrap_or_else(all);
        whole.grow_to(wanted, if side_by_side { AHEAD } else { 1 }, run);
        (boost, gained) = (whole.boost, whole.gained);
    }
    let gains = |feature: usize| gained.iter().map(|gains| gains[feature]).sum::<f64>();
    let gains: Vec<f64> = (0..features.width()).map(gains).collect();
    let total: f64 = gains.iter().sum();
    let shares = features.names().into_iter().zip(gains.iter().map(|gain| gain / total));
    let mut importance: Vec<(String, f64)> = shares.filter(|(_, share)| *share > 0.0).collect();
    importance.sort_by(|a, b| b.1.total_cmp(&a.1));
    let report = PanelReport {
        method,
        loss,
        scores: judged.scores,
        judged: judged.series,
        trees: boost.trees.len(),
        importance,
    };
    let band = Band::new(&judged.outcomes, request.horizon, run);
    let features = features.latest(request.horizon);
    let model = PanelModel { horizon: request.horizon, report, pool, features, boost, band };
    // Where the method is chosen without trying, none was held to it.
    Ok((model, if method == judged.method { judged.skills } else { Skills::new() }))
}

/// What grows side by side.
enum Side<'a, 'b> {
    /// Without the held-out days; and whether it is done.
    Trial(&'a mut Option<Trial<'b>>, &'a mut bool),
    /// From all days.
    Whole(&'a mut Option<Learner>),
}

impl PanelModel {
    /// How the model was chosen.
    pub fn report(&self) -> &PanelReport {
        &self.report
    }

    /// Power of the unsteadiness in bounds.
    pub fn power(&self) -> f64 {
        self.band.power
    }

    /// Days ahead that it forecasts.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Forecasts the days after a series' history with bounds that hold with probability `confidence_level`: a series of
    /// the panel, a new one, or one of later days. Call it in parallel.
    ///
    /// # Errors
    /// `InvalidRequest` for a level outside (0, 1) and for a series with other codes, covariates or horizon than the
    /// panel had.
    pub fn predict(
        &self,
        series: &PreparedSeries,
        confidence_level: f64,
    ) -> Result<PanelForecast, Unforecastable> {
        self.predict_with(series, None, confidence_level)
    }

    /// The local models of a series, where its forecast asks them.
    pub(crate) fn local(&self, series: &PreparedSeries) -> Option<LocalModel> {
        let asked = self.report.method != PanelMethod::Global;
        if asked { LocalModel::fit(series, series.values.len()) } else { None }
    }

    /// [`predict`](Self::predict) with local models that were fitted before, where they suit.
    pub(crate) fn predict_with(
        &self,
        series: &PreparedSeries,
        kept: Option<&LocalModel>,
        confidence_level: f64,
    ) -> Result<PanelForecast, Unforecastable> {
        if !(confidence_level > 0.0 && confidence_level < 1.0) {
            return Err(Unforecastable::InvalidRequest(
                "confidence_level must be between 0 and 1, both excluded",
            ));
        }
        let asked = self.ask(series, kept)?;
        let method = self.report.method;
        let mut row = Vec::with_capacity(self.features.width());
        let points = (0..self.horizon)
            .map(|step| {
                let start = asked.start(step);
                let mut global = start;
                if method != PanelMethod::Local {
                    asked.row(step, &mut row);
                    global = loss::mean(start.ln() + self.boost.score(&row));
                }
                let local = asked.local.as_ref().map_or(start, |local| f64::from(local[step]));
                let mean = method.combine(local, global);
                let Asked { spread, .. } = asked;
                let one =
                    Outcome { series: series.position, step, mean, actual: 0.0, spread, whole: series.whole };
                self.band.point(&one, confidence_level)
            })
            .collect();
        Ok(PanelForecast { points, method })
    }

    /// What a forecast of a series is made from.
    pub(super) fn ask<'a>(
        &'a self,
        series: &'a PreparedSeries,
        kept: Option<&LocalModel>,
    ) -> Result<Asked<'a>, Unforecastable> {
        let shape = (series.codes.len(), series.covariate_count(), series.horizon);
        if shape != (self.features.ranks.len(), self.features.covariates, self.horizon) {
            return Err(Unforecastable::InvalidRequest(
                "the series has other codes, covariates or horizon than the panel",
            ));
        }
        let origin = series.values.len();
        let profile = Profile::fit(series, origin, &self.pool);
        // Three weeks more than are asked for, to tell the week from the rest.
        let means = |local: &LocalModel| local.means_to(series, origin, self.horizon + BEYOND);
        let local = kept.and_then(means).or_else(|| means(&self.local(series)?));
        let spread = profile.spread(&series.values, origin);
        Ok(Asked { model: self, series, profile, local, spread })
    }
}

/// Days beyond the horizon for which local models are asked.
pub(super) const BEYOND: usize = 21;

/// A series before its model.
pub(super) struct Asked<'a> {
    model: &'a PanelModel,
    pub(super) series: &'a PreparedSeries,
    pub(super) profile: Profile,
    /// Means of the local models for the horizon and [`BEYOND`]; None where the profile stands for them.
    pub(super) local: Option<Vec<f32>>,
    spread: f64,
}

impl Asked<'_> {
    /// What trees begin from.
    pub(super) fn start(&self, step: usize) -> f64 {
        let origin = self.series.values.len();
        self.profile.mean_at(origin, origin + step, &self.model.pool)
    }

    /// What they see.
    pub(super) fn row(&self, step: usize, row: &mut Vec<f32>) {
        let (origin, PanelModel { features, pool, .. }) = (self.series.values.len(), self.model);
        row.clear();
        features.push(self.series, &self.profile, pool, (origin, origin + step), row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;
    use crate::panel::{BadPanelModel, Series, prepare};
    use smartsneaks_table_function::{Workers, in_order};

    /// Sixty series of counts over 300 days and a week ahead, three times as many on promoted days; the last is new.
    fn panel() -> (Vec<PreparedSeries>, PanelRequest) {
        let request =
            PanelRequest { horizon: 7, holidays: vec![(19_800, 1), (20_020, 1)], series: 60, seed: 9 };
        let mut noise = Noise(8);
        let series = (0..60)
            .map(|position| {
                let days = if position == 59 { 3 } else { 300 };
                let promoted: Vec<f64> =
                    (0..days + 7).map(|day| f64::from(u8::from((day + position) % 10 < 2))).collect();
                let mean = 0.5 + (position % 4) as f64;
                let values: Vec<f64> = promoted[..days]
                    .iter()
                    .map(|promoted| noise.poisson(mean * (1.0 + 2.0 * promoted)))
                    .collect();
                let first_day = 19_723 + (300 - days) as i64;
                let codes = [position as u32 % 4, position as u32 % 6];
                let series =
                    Series { position, values: &values, first_day, codes: &codes, covariates: &[&promoted] };
                prepare(&series, &request).unwrap()
            })
            .collect();
        (series, request)
    }

    #[test]
    fn promotions_are_learned_across_the_panel() {
        let (series, request) = panel();
        let (model, skills) = train(&series, &request, false, &in_order).unwrap();
        assert_ne!(model.report().method, PanelMethod::Local);
        let scores = &model.report().scores;
        assert!(scores[0].rmsse < 0.95 * scores[2].rmsse, "{scores:?}");
        let better = skills.values().filter(|skill| **skill > 0.0).count();
        assert!(skills.len() >= 50 && better * 10 > skills.len() * 8, "{better} of {}", skills.len());
        assert!(!skills.contains_key(&59), "a new series has no past to be held to");
        assert!(model.report().importance[0].0.starts_with("covariate_0"), "{:?}", model.report().importance);
        for series in &series {
            let forecast = model.predict(series, 0.9).unwrap();
            assert_eq!(forecast.points.len(), 7);
            for point in &forecast.points {
                assert!(0.0 <= point.lower && point.lower <= point.value && point.value <= point.upper);
                assert!(point.upper.is_finite());
            }
        }
        // Position 59 is of the category that sells 3.5 a day.
        let new: f64 = model.predict(&series[59], 0.9).unwrap().points.iter().map(|point| point.value).sum();
        assert!((15.0..60.0).contains(&new), "{new}");
    }

    #[test]
    fn a_stored_model_forecasts_the_same_and_damage_is_noticed() {
        let (series, request) = panel();
        let (model, skills) = train(&series, &request, false, &in_order).unwrap();
        assert_eq!((model.clone(), skills.clone()), train(&series, &request, false, &in_order).unwrap());
        let workers = Workers::new(3);
        let run = |count: usize, job: &(dyn Fn(usize) + Sync)| workers.run(count, job);
        assert_eq!((model.clone(), skills), train(&series, &request, true, &run).unwrap());
        let bytes = model.to_bytes();
        let read = PanelModel::from_bytes(&bytes).unwrap();
        assert_eq!((read.features.totals.len(), &read), (1, &model));
        assert_eq!(read.predict(&series[3], 0.8), model.predict(&series[3], 0.8));
        assert_eq!(PanelModel::from_bytes(&[]), Err(BadPanelModel::Version { found: None }));
        assert_eq!(PanelModel::from_bytes(&[9]), Err(BadPanelModel::Version { found: Some(9) }));
        for at in (0..bytes.len()).step_by(97) {
            assert!(PanelModel::from_bytes(&bytes[..at]).is_err());
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            if let Ok(model) = PanelModel::from_bytes(&damaged) {
                let _ = model.predict(&series[3], 0.8);
            }
        }
        assert_eq!(PanelModel::from_bytes(&[&bytes[..], &[0]].concat()), Err(BadPanelModel::Length));
    }

    #[test]
    fn odd_panels_are_sound() {
        let request = PanelRequest { horizon: 3, holidays: Vec::new(), series: 60, seed: 1 };
        let odd: [Vec<f64>; 7] = [
            vec![],
            vec![5.0],
            vec![0.0; 100],
            vec![7.0; 100],
            vec![1e12; 100],
            vec![-4.0; 100],
            (0..100).map(|day| if day == 50 { 1e11 } else { 0.0 }).collect(),
        ];
        let prepared: Vec<PreparedSeries> = (0..60)
            .map(|position| {
                let values = &odd[position % odd.len()];
                let series = Series { position, values, first_day: 19_723, codes: &[], covariates: &[] };
                prepare(&series, &request).unwrap()
            })
            .collect();
        for panel in [&prepared[..], &prepared[..1], &prepared[2..3]] {
            let (model, skills) = train(panel, &request, true, &in_order).unwrap();
            assert!(skills.values().all(|skill| skill.is_finite()));
            assert_eq!(PanelModel::from_bytes(&model.to_bytes()).as_ref(), Ok(&model));
            for series in &prepared {
                for point in model.predict(series, 0.99).unwrap().points {
                    assert!(0.0 <= point.lower && point.lower <= point.value && point.value <= point.upper);
                    assert!(point.upper.is_finite());
                }
            }
        }
        assert!(train(&[], &request, false, &in_order).is_err());
        assert!(train(&prepared, &PanelRequest { horizon: 4, ..request }, false, &in_order).is_err());
    }
}
