//! A panel's model that is kept: trained once, then asked series by series.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use serde_json::json;
use smartsneaks_table_function::{ArgumentError, Call, Series, StoredModel, Trained, Trainer, Workers};

use super::together::{Codes, say};
use super::{ForecastOperator, Made};
use crate::calendar::Regular;
use crate::civil::DAY;
use crate::frequency::Frequency;
use crate::panel::{
    self, BadPanelModel, LocalModel, PANEL_HORIZON, PanelModel, Reader, ready, scale, write_text,
};
use crate::unforecastable::Unforecastable;

/// What the bytes are made like.
const VERSION: u8 = 2;
/// Id columns and covariates at most.
const NAMES: usize = 1_000;

/// A model of a panel, and what a call must have to ask it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredForecast {
    /// Names of the id columns, in order.
    ids: Vec<String>,
    /// Names of what is known of each time, in order.
    known: Vec<String>,
    codes: Codes,
    /// By the ids of a series.
    locals: BTreeMap<Vec<String>, LocalModel>,
    model: PanelModel,
}

impl StoredForecast {
    /// The kept model that a call names, if it suits the call.
    pub(crate) fn find(
        call: &Call,
        stored: &StoredModel,
        horizon: usize,
    ) -> Result<Arc<Self>, ArgumentError> {
        let fault = |message: String| call.arguments.error("model", message);
        let StoredModel { name, version, function, .. } = stored;
        if function != "forecast" {
            return Err(fault(format!("model {name} was made by {function}, not by forecast")));
        }
        let found = stored.decoded(Self::from_bytes).map_err(|reason| {
            fault(format!("version {version} of model {name} can't be read: {reason}"))
                .with_hint("train it again: CREATE OR REPLACE MODEL")
        })?;
        let differs = |what: &str, trained: &[String], given: &[String]| {
            let list = |names: &[String]| match names {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            let message = format!(
                "model {name} was trained with {what} {}, the call has {}",
                list(trained),
                list(given)
            );
            Err(fault(message))
        };
        if found.ids != call.ids {
            return differs("the id columns", &found.ids, &call.ids);
        }
        if found.known != call.known {
            return differs("the future columns", &found.known, &call.known);
        }
        if horizon > found.model.horizon() {
            let message =
                format!("model {name} forecasts {} steps, horizon is {horizon}", found.model.horizon());
            return Err(call.arguments.error("horizon", message));
        }
        Ok(found)
    }

    /// The model as bytes: a version, names, local models, and the panel's model.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let texts = |out: &mut Vec<u8>, texts: &[String]| {
            out.extend(u32::try_from(texts.len()).unwrap_or(u32::MAX).to_le_bytes());
            texts.iter().for_each(|text| write_text(out, text));
        };
        texts(&mut out, &self.ids);
        texts(&mut out, &self.known);
        out.extend(u32::try_from(self.codes.columns.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (column, names) in &self.codes.columns {
            out.extend(u32::try_from(*column).unwrap_or(u32::MAX).to_le_bytes());
            texts(&mut out, names);
        }
        out.extend(u32::try_from(self.locals.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (ids, local) in &self.locals {
            texts(&mut out, ids);
            local.write(&mut out);
        }
        out.extend(self.model.to_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, BadPanelModel> {
        let found = bytes.first().copied();
        if found != Some(VERSION) {
            return Err(BadPanelModel::Version { found });
        }
        let mut from = Reader::new(&bytes[1..]);
        let ids = from.list(4, Reader::text)?;
        let known = from.list(4, Reader::text)?;
        let columns = from.list(8, |from| Ok((from.number()?, from.list(4, Reader::text)?)))?;
        let sound = |(column, names): &(usize, Vec<String>)| *column < ids.len() && names.is_sorted();
        if ids.len() > NAMES || known.len() > NAMES || !columns.iter().all(sound) {
            return Err(BadPanelModel::Value("names"));
        }
        let locals = from.list(64, |from| Ok((from.list(4, Reader::text)?, LocalModel::read(from)?)))?;
        let model = PanelModel::from_bytes(from.rest())?;
        Ok(Self { ids, known, codes: Codes { columns }, locals: locals.into_iter().collect(), model })
    }

    /// The local models of a series, where there are any.
    fn local(&self, series: &Series) -> Option<&LocalModel> {
        self.locals.get(&names(&series.ids))
    }

    /// The model of the panel.
    pub(super) fn model(&self) -> &PanelModel {
        &self.model
    }

    /// A whole series as the model wants it, and its local models.
    pub(super) fn ready(
        &self,
        series: &Series,
        regular: &Regular,
    ) -> Result<(panel::PreparedSeries, Option<&LocalModel>), Unforecastable> {
        Ok((self.prepare(series, regular, regular.values.len())?, self.local(series)))
    }

    /// How well the model forecasts the last `held` days from those before them; None where there are too few.
    fn judge(&self, series: &Series, regular: &Regular, held: usize) -> Option<Judged> {
        let cut = regular.values.len().checked_sub(held)?;
        let prepared = self.prepare(series, regular, cut).ok()?;
        let scale = scale(prepared.known(cut))?;
        let points = self.model.predict_with(&prepared, self.local(series), 0.95).ok()?.points;
        let pairs = || points.iter().zip(&regular.values[cut..]);
        let squares: f64 = pairs().map(|(point, value)| (point.value - value).powi(2)).sum();
        let inside = pairs().filter(|(point, value)| (point.lower..=point.upper).contains(value)).count();
        Some(Judged { rmsse: (squares / held as f64 / scale).sqrt(), inside: inside as f64 / held as f64 })
    }

    /// A series up to `cut` as the model wants it.
    fn prepare(
        &self,
        series: &Series,
        regular: &Regular,
        cut: usize,
    ) -> Result<panel::PreparedSeries, Unforecastable> {
        if regular.frequency() != Frequency::Daily {
            return Err(Unforecastable::InvalidRequest("a kept model forecasts daily series"));
        }
        let horizon = self.model.horizon();
        let known = super::known(series, regular, horizon);
        let known: Vec<&[f64]> = known.iter().map(|values| &values[..cut + horizon]).collect();
        let one = panel::Series {
            position: 0,
            values: &regular.values[..cut],
            first_day: regular.time(0).unwrap_or_default().div_euclid(DAY),
            codes: &self.codes.of(&series.ids),
            covariates: &known,
        };
        ready(&one, horizon)
    }
}

/// Ids as they are kept.
fn names(ids: &[ScalarValue]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

struct Judged {
    /// Root mean squared error in steps of the history.
    rmsse: f64,
    /// The part of the days that fell between bounds of 95%.
    inside: f64,
}

impl ForecastOperator {
    /// The forecast of a series by a kept model.
    pub(super) fn ask(
        &self,
        kept: &Kept,
        series: &Series,
        regular: &Regular,
    ) -> Result<Made, Unforecastable> {
        let (prepared, local) = kept.forecast.ready(series, regular)?;
        let mut points = kept.forecast.model.predict_with(&prepared, local, self.level)?.points;
        points.truncate(self.horizon);
        let Kept { name, version, warehouse_version, .. } = kept;
        let detail =
            format!("version {version} of model {name}, trained on warehouse version {warehouse_version}");
        Ok(Made { points, model: name.as_str().into(), skill_vs_naive: None, detail: Some(detail.into()) })
    }
}

/// A kept model and what it is called.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) warehouse_version: i64,
    pub(crate) forecast: Arc<StoredForecast>,
}

/// Trains a model of a panel to be kept, or judges one.
#[derive(Debug)]
pub(crate) struct ForecastTrainer {
    pub(crate) operator: ForecastOperator,
    /// Names of the id columns.
    pub(crate) ids: Vec<String>,
    /// The model that is judged.
    pub(crate) judged: Option<Arc<StoredForecast>>,
}

impl Trainer for ForecastTrainer {
    fn describe(&self) -> String {
        let what = if self.judged.is_some() { "judging" } else { "training" };
        format!("{what}, {}", self.operator.description())
    }

    fn train(&self, panel: &[Series], workers: &Workers) -> Result<Result<Trained, String>> {
        let operator = &self.operator;
        if operator.horizon > PANEL_HORIZON {
            return Ok(Err(format!(
                "a kept model forecasts at most {PANEL_HORIZON} days, horizon is {}",
                operator.horizon
            )));
        }
        if !operator.non_negative {
            return Ok(Err("a kept model forecasts values from 0 on: non_negative must be true".to_owned()));
        }
        // Days on which a whole shop was closed stay: who asks for one series later doesn't see the others.
        let regular = operator.alone_of(panel, workers)?;
        if let Some(kept) = &self.judged {
            return self.judge(kept, panel, &regular, workers);
        }
        let Some(learned) = operator.learn(panel, &regular, workers)? else {
            let found = regular.first().map(|regular| match regular {
                Ok(regular) => format!("these are {}", regular.frequency().name()),
                Err(reason) => reason.to_string(),
            });
            let found = found.unwrap_or_else(|| "there is none".to_owned());
            return Ok(Err(format!("a model is learned from daily series; {found}")));
        };
        let report = learned.model.report();
        let score = report.scores.iter().find(|score| score.method == report.method);
        let metrics = json!({
            "method": report.method.name(),
            "rmsse": score.map(|score| score.rmsse),
            "interval_score": score.map(|score| score.interval_score),
            "horizon": operator.horizon,
            "series": learned.positions.len(),
            "judged": report.judged,
            "trees": report.trees,
            "detail": say(report, operator.horizon),
        });
        let (ids, known) = (self.ids.clone(), operator.known.clone());
        let locals = workers.map(learned.positions.len(), |at| {
            let local = learned.model.local(&learned.prepared[at]);
            Ok(local.map(|local| (names(&panel[learned.positions[at]].ids), local)))
        })?;
        let locals = locals.into_iter().flatten().collect();
        let kept = StoredForecast { ids, known, codes: learned.codes, locals, model: learned.model };
        Ok(Ok(Trained { state: Some(kept.to_bytes()), metrics: metrics.to_string() }))
    }
}

impl ForecastTrainer {
    fn judge(
        &self,
        kept: &StoredForecast,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<Result<Trained, String>> {
        let held = kept.model.horizon();
        let judged = workers.map(panel.len(), |at| {
            Ok(regular[at].as_ref().ok().and_then(|regular| kept.judge(&panel[at], regular, held)))
        })?;
        let judged: Vec<Judged> = judged.into_iter().flatten().collect();
        if judged.is_empty() {
            return Ok(Err(format!("no series is long enough to hold its last {held} days out")));
        }
        let mean = |of: fn(&Judged) -> f64| judged.iter().map(of).sum::<f64>() / judged.len() as f64;
        let metrics = json!({
            "rmsse": mean(|one| one.rmsse),
            "coverage": mean(|one| one.inside),
            "horizon": held,
            "judged": judged.len(),
        });
        Ok(Ok(Trained { state: None, metrics: metrics.to_string() }))
    }
}

#[cfg(test)]
mod tests {
    use smartsneaks_table_function::in_order;

    use super::*;
    use crate::fixtures::weekly;
    use crate::panel::{PanelRequest, PreparedSeries, prepare, train};

    #[test]
    fn states_come_back_and_those_of_other_versions_are_refused() {
        let request = PanelRequest { horizon: 7, holidays: Vec::new(), series: 3, seed: 1 };
        let values = weekly();
        let prepared: Vec<PreparedSeries> = (0..3)
            .map(|position| {
                let series = panel::Series {
                    position,
                    values: &values,
                    first_day: 19_000,
                    codes: &[],
                    covariates: &[],
                };
                prepare(&series, &request).unwrap()
            })
            .collect();
        let (model, _) = train(&prepared, &request, false, &in_order).unwrap();
        let local = model.local(&prepared[0]).unwrap();
        let locals = BTreeMap::from([(vec!["SKU1".to_owned()], local)]);
        let (ids, codes) = (vec!["sku".to_owned()], Codes { columns: Vec::new() });
        let kept = StoredForecast { ids, known: Vec::new(), codes, locals, model };
        assert_eq!(StoredForecast::from_bytes(&kept.to_bytes()).as_ref(), Ok(&kept));

        let mut bytes = kept.to_bytes();
        bytes[0] = VERSION + 1;
        assert_eq!(
            StoredForecast::from_bytes(&bytes),
            Err(BadPanelModel::Version { found: Some(VERSION + 1) })
        );
    }
}
