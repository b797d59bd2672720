//! Forecasts of many daily series by a model of all of them.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
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
    self, PANEL_HORIZON, PanelMethod, PanelReport, PanelRequest, PreparedSeries, prepare, train,
};
use crate::unforecastable::Unforecastable;

/// Series from which on they are looked at together.
const MANY: usize = 50;
/// Id columns that are told to the model, at most.
const CODES: usize = 8;

impl ForecastOperator {
    /// The rows of those series that a model of the panel forecasts, by their positions; none where there are few.
    pub(super) fn together(
        &self,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<BTreeMap<usize, Vec<ArrayRef>>> {
        let suits = |regular: &Result<Regular, Unforecastable>| {
            regular.as_ref().is_ok_and(|regular| {
                regular.frequency() == Frequency::Daily
                    && regular.values.iter().all(|value| value.is_finite())
            })
        };
        let chosen: Vec<usize> = (0..panel.len()).filter(|at| suits(&regular[*at])).collect();
        if chosen.len() < MANY
            || self.model != Model::Auto
            || self.horizon > PANEL_HORIZON
            || !self.non_negative
        {
            return Ok(BTreeMap::new());
        }
        let request = PanelRequest {
            horizon: self.horizon,
            holidays: kinds(&self.holiday_region.holidays()),
            series: chosen.len(),
            seed: self.seed,
        };
        let codes = codes(panel, &chosen);
        let prepared = workers.map(chosen.len(), |position| {
            let Ok(regular) = &regular[chosen[position]] else { return Ok(None) };
            let first_day = regular.time(0).unwrap_or_default().div_euclid(DAY);
            let codes = codes.iter().map(|column| column[position]).collect::<Vec<u32>>();
            let values = &regular.values;
            // One that the panel refuses (a value beyond its range) goes on alone.
            let known = super::known(&panel[chosen[position]], regular, self.horizon);
            let known: Vec<&[f64]> = known.iter().map(Vec::as_slice).collect();
            let series = panel::Series { position, values, first_day, codes: &codes, covariates: &known };
            Ok(prepare(&series, &request).ok())
        })?;
        let (positions, prepared): (Vec<usize>, Vec<PreparedSeries>) =
            chosen.iter().zip(prepared).filter_map(|(at, series)| Some((*at, series?))).unzip();
        workers.check()?;
        let run = |count: usize, job: &(dyn Fn(usize) + Sync)| workers.run(count, job);
        let model = train(&prepared, &request, workers.threads() > 1, &run);
        workers.check()?;
        let model = model.map_err(internal)?;
        let detail = say(model.report(), self.horizon);
        let name = match model.report().method {
            PanelMethod::Local => "panel_local",
            PanelMethod::Global => "panel_global",
            PanelMethod::Average => "panel_average",
        };
        let rows = workers.map(positions.len(), |at| {
            let Ok(regular) = &regular[positions[at]] else {
                return Err(DataFusionError::Internal("a series of the panel lost its history".into()));
            };
            let forecast = model.predict(&prepared[at], self.level).map_err(internal)?;
            let made = Made {
                points: &forecast.points,
                model: name,
                skill_vs_naive: None,
                detail: Some(detail.clone()),
            };
            self.rows(&panel[positions[at]], regular, made)
        })?;
        Ok(positions.into_iter().zip(rows).collect())
    }
}

/// What was checked before can't fail.
fn internal(reason: Unforecastable) -> DataFusionError {
    DataFusionError::Internal(format!("the panel's model: {reason}"))
}

/// How the model was chosen, in words.
fn say(report: &PanelReport, horizon: usize) -> String {
    if report.scores.is_empty() {
        return "a model of all series, whose histories are too short to try others".into();
    }
    let scores = report.scores.iter().map(|score| {
        format!("{} RMSSE {:.3} interval score {:.3}", score.method.name(), score.rmsse, score.interval_score)
    });
    let scores = scores.collect::<Vec<_>>().join(", ");
    format!("chosen on the last {horizon} days of {} series: {scores}", report.judged)
}

/// Id columns as numbers that mean the same in every series: those whose values several series share.
fn codes(panel: &[Series], chosen: &[usize]) -> Vec<Vec<u32>> {
    let columns = panel.first().map_or(0, |series| series.ids.len());
    let mut found = Vec::new();
    for column in 0..columns {
        let ids: Vec<&ScalarValue> = chosen.iter().map(|at| &panel[*at].ids[column]).collect();
        let mut names: Vec<String> = ids.iter().map(|id| id.to_string()).collect();
        let of = names.clone();
        names.sort_unstable();
        names.dedup();
        if names.len() > 1 && names.len() <= chosen.len() / 2 && found.len() < CODES {
            let code = |name: &String| names.binary_search(name).map_or(0, |at| at as u32);
            found.push(of.iter().map(code).collect());
        }
    }
    found
}
