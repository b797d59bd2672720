//! Forecasts of many daily series by a model of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::{Series, Workers};

use super::{ForecastOperator, Made};
use crate::calendar::Regular;
use crate::civil::DAY;
use crate::frequency::Frequency;
use crate::holiday::kinds;
use crate::model::Model;
use crate::panel::{
    self, PANEL_HORIZON, PanelMethod, PanelModel, PanelReport, PanelRequest, PreparedSeries, Skills, prepare,
    train,
};
use crate::unforecastable::Unforecastable;

/// Series from which on they are looked at together. Measured on M5 and generated sales, with a model of all against one
/// each: 39 and 40 series 3 to 5% less RMSSE, before Deepavali 15%; 20 to 26 1 to 9% less; 10 as good on average, but by
/// chance: so few say little of which is better.
const MANY: usize = 20;
/// The same where something is known of each day, such as promotions, that each series alone has seen too seldom: ten
/// have 10 to 30% less RMSSE where promotions or a feast fall into the days ahead, and are as good elsewhere.
const SOME: usize = 10;
/// Id columns that are told to the model, at most.
const CODES: usize = 8;

impl ForecastOperator {
    /// The forecasts of those series that a model of the panel forecasts, by their positions; none where there are few.
    pub(super) fn together(
        &self,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<BTreeMap<usize, Result<Made, Unforecastable>>> {
        let Some(learned) = self.learn_together(panel, regular, workers)? else {
            return Ok(BTreeMap::new());
        };
        let detail: Arc<str> = say(learned.model.report(), self.horizon).into();
        let made = workers.map(learned.positions.len(), |at| {
            let (prepared, model) = (&learned.prepared[at], &learned.model);
            let forecast = model.predict(prepared, self.level).map_err(internal)?;
            let (model, detail) = (learned.name(), Some(Arc::clone(&detail)));
            let skill_vs_naive = learned.skills.get(&prepared.position).copied();
            Ok(Ok(Made { points: forecast.points, model, skill_vs_naive, detail }))
        })?;
        Ok(learned.positions.into_iter().zip(made).collect())
    }

    /// What a forecast of the panel is made from; None where its series are forecast one by one.
    pub(super) fn learn_together(
        &self,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<Option<Learned>> {
        if !self.learns(regular) {
            return Ok(None);
        }
        self.learn(panel, regular, workers)
    }

    /// Whether the series of a panel are forecast together.
    pub(super) fn learns(&self, regular: &[Result<Regular, Unforecastable>]) -> bool {
        let enough = if self.known.is_empty() { MANY } else { SOME };
        self.model == Model::Auto
            && self.kept.is_none()
            && self.horizon <= PANEL_HORIZON
            && self.non_negative
            && regular.iter().filter(|regular| suits(regular)).count() >= enough
    }

    /// Learns from the series of a panel that suit it; None where none does.
    pub(super) fn learn(
        &self,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<Option<Learned>> {
        let chosen: Vec<usize> = (0..panel.len()).filter(|at| suits(&regular[*at])).collect();
        let request = PanelRequest {
            horizon: self.horizon,
            holidays: kinds(self.holiday_region.holidays()),
            series: chosen.len(),
            seed: self.seed,
        };
        let codes = Codes::new(panel, &chosen);
        let prepared = workers.map(chosen.len(), |position| {
            let Ok(regular) = &regular[chosen[position]] else { return Ok(None) };
            let series = &panel[chosen[position]];
            let first_day = regular.time(0).unwrap_or_default().div_euclid(DAY);
            let codes = codes.of(&series.ids);
            let values = &regular.values;
            // One that the panel refuses (a value beyond its range) goes on alone.
            let known = super::known(series, regular, self.horizon);
            let known: Vec<&[f64]> = known.iter().map(Vec::as_slice).collect();
            let series = panel::Series { position, values, first_day, codes: &codes, covariates: &known };
            Ok(prepare(&series, &request).ok())
        })?;
        let (positions, prepared): (Vec<usize>, Vec<PreparedSeries>) =
            chosen.iter().zip(prepared).filter_map(|(at, series)| Some((*at, series?))).unzip();
        workers.check()?;
        if prepared.is_empty() {
            return Ok(None);
        }
        let run = |count: usize, job: &(dyn Fn(usize) + Sync)| workers.run(count, job);
        let model = train(&prepared, &request, workers.threads() > 1, &run);
        workers.check()?;
        let (model, skills) = model.map_err(internal)?;
        Ok(Some(Learned { model, skills, codes, positions, prepared }))
    }
}

/// Whether a panel's model can learn from a series.
fn suits(regular: &Result<Regular, Unforecastable>) -> bool {
    regular.as_ref().is_ok_and(|regular| {
        regular.frequency() == Frequency::Daily && regular.values.iter().all(|value| value.is_finite())
    })
}

impl Learned {
    /// What the forecasts' model is called.
    pub(super) fn name(&self) -> Arc<str> {
        match self.model.report().method {
            PanelMethod::Local => "panel_local",
            PanelMethod::Global => "panel_global",
            PanelMethod::Average => "panel_average",
        }
        .into()
    }
}

/// What was learned from a panel.
pub(super) struct Learned {
    pub(super) model: PanelModel,
    /// By the series' positions among those that suit it.
    skills: Skills,
    pub(super) codes: Codes,
    /// Those of its series, in the call's panel.
    pub(super) positions: Vec<usize>,
    pub(super) prepared: Vec<PreparedSeries>,
}

/// What was checked before can't fail.
pub(super) fn internal(reason: Unforecastable) -> DataFusionError {
    DataFusionError::Internal(format!("the panel's model: {reason}"))
}

/// How the model was chosen, in words.
pub(super) fn say(report: &PanelReport, horizon: usize) -> String {
    if report.scores.is_empty() {
        return "a model of all series, whose histories are too short to try others".into();
    }
    let scores = report.scores.iter().map(|score| {
        format!("{} RMSSE {:.3} interval score {:.3}", score.method.name(), score.rmsse, score.interval_score)
    });
    let scores = scores.collect::<Vec<_>>().join(", ");
    let trees = match report.trees {
        0 => String::new(),
        trees => format!("; {trees} trees, of {}", report.loss.name()),
    };
    format!("chosen on the last {horizon} days of {} series: {scores}{trees}", report.judged)
}

/// Id columns as numbers that mean the same in every series: those whose values several series share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Codes {
    /// Places of the id columns, and the values of each, sorted: a value's place is its number.
    pub(super) columns: Vec<(usize, Vec<String>)>,
}

impl Codes {
    fn new(panel: &[Series], chosen: &[usize]) -> Self {
        let ids = panel.first().map_or(0, |series| series.ids.len());
        let column = |column: usize| {
            let mut names: Vec<String> = chosen.iter().map(|at| panel[*at].ids[column].to_string()).collect();
            names.sort_unstable();
            names.dedup();
            (names.len() > 1 && names.len() <= chosen.len() / 2).then_some((column, names))
        };
        Self { columns: (0..ids).filter_map(column).take(CODES).collect() }
    }

    /// The numbers of a series; a value that none had is one more than all.
    pub(super) fn of(&self, ids: &[ScalarValue]) -> Vec<u32> {
        let code = |(column, names): &(usize, Vec<String>)| {
            let name = ids.get(*column).map(ToString::to_string).unwrap_or_default();
            names.binary_search(&name).unwrap_or(names.len()) as u32
        };
        self.columns.iter().map(code).collect()
    }
}
