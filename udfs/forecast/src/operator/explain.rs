//! The work of the table function `explain_forecast`: the forecast of each series, taken apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{PanelOperator, Series, SeriesOperator, Sink, Workers, refusal};

use super::together::{internal, say};
use super::{ForecastOperator, Made, covariates};
use crate::calendar::Regular;
use crate::covariate::Cause;
use crate::explain::{Component, explain};
use crate::frequency::Frequency;
use crate::function::timestamps;
use crate::panel::{LocalModel, PanelModel, PreparedSeries};
use crate::unforecastable::Unforecastable;

/// `explain_forecast` with its arguments checked.
#[derive(Debug)]
pub(crate) struct ExplainOperator {
    /// What is explained.
    pub(crate) forecast: ForecastOperator,
}

/// Name of a column, and what belongs to it.
type Part = (&'static str, fn(Component, Frequency) -> bool);

/// The parts, as BigQuery's `ML.EXPLAIN_FORECAST` calls those that it has, and what belongs to each.
const PARTS: [Part; 7] = [
    ("trend", |part, _| part == Component::Trend),
    ("seasonal_period_daily", |part, step| part == Component::Season(24) && step == Frequency::Hourly),
    ("seasonal_period_weekly", |part, step| match part {
        Component::Season(period) => {
            (period, step) == (168, Frequency::Hourly) || (period, step) == (7, Frequency::Daily)
        }
        _ => false,
    }),
    ("seasonal_period_yearly", |part, step| match part {
        Component::Season(_) => !matches!(step, Frequency::Hourly | Frequency::Daily),
        Component::Year => true,
        _ => false,
    }),
    ("holiday_effect", |part, _| part == Component::Effect(Cause::Holiday)),
    ("promotion_effect", |part, _| matches!(part, Component::Effect(Cause::Promotion | Cause::Other))),
    ("limit_effect", |part, _| part == Component::Limit),
];

/// A forecast and its parts.
struct Explained {
    made: Made,
    parts: Vec<(Component, Vec<f64>)>,
}

impl ExplainOperator {
    /// The columns after the ids.
    pub(crate) fn columns(time: &DataType) -> Vec<Field> {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let mut columns = vec![
            Field::new("forecast_timestamp", time.clone(), true),
            Field::new("horizon_step", DataType::Int32, true),
        ];
        columns.push(number("forecast_value"));
        columns.extend(PARTS.map(|(name, _)| number(name)));
        columns.push(Field::new("model", DataType::Utf8, true));
        columns.push(Field::new("status", DataType::Utf8, false));
        columns.push(Field::new("status_detail", DataType::Utf8, true));
        columns
    }

    /// By the series' own model, or by a kept one.
    fn alone(&self, series: &Series, regular: &Regular) -> Result<Explained, Unforecastable> {
        let forecast = &self.forecast;
        if let Some(kept) = &forecast.kept {
            let made = forecast.ask(kept, series, regular)?;
            let (prepared, local) = kept.forecast.ready(series, regular)?;
            return apart(made, kept.forecast.model(), &prepared, local);
        }
        let known = covariates(series, regular, forecast.horizon, forecast.holiday_region);
        let found = explain(&regular.values, &forecast.request(regular), &known)?;
        Ok(Explained { made: Made::of(found.forecast), parts: found.parts })
    }

    /// Those that a model of the panel forecasts, by their positions.
    fn together(
        &self,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<BTreeMap<usize, Explained>> {
        let Some(learned) = self.forecast.learn_together(panel, regular, workers)? else {
            return Ok(BTreeMap::new());
        };
        let detail: Arc<str> = say(learned.model.report(), self.forecast.horizon).into();
        let found = workers.map(learned.positions.len(), |at| {
            let (prepared, model) = (&learned.prepared[at], &learned.model);
            let points = model.predict(prepared, self.forecast.level).map_err(internal)?.points;
            let (name, detail) = (learned.name(), Some(Arc::clone(&detail)));
            let made = Made { points, model: name, skill_vs_naive: None, detail };
            apart(made, model, prepared, None).map_err(internal)
        })?;
        Ok(learned.positions.into_iter().zip(found).collect())
    }

    fn told(
        &self,
        regular: &Result<Regular, Unforecastable>,
        found: Result<Explained, Unforecastable>,
    ) -> Result<Vec<ArrayRef>> {
        match (regular, found) {
            (Ok(regular), Ok(found)) => self.rows(regular, &found),
            (Err(reason), _) => self.refused(reason.code(), &reason.to_string()),
            (_, Err(reason)) => self.refused(reason.code(), &reason.to_string()),
        }
    }

    fn rows(&self, regular: &Regular, found: &Explained) -> Result<Vec<ArrayRef>> {
        let Explained { made, parts } = found;
        let (rows, first) = (made.points.len(), regular.values.len());
        let times = (first..first + rows).map(|index| regular.time(index));
        let mut columns: Vec<ArrayRef> = vec![
            timestamps(&self.forecast.time, times)?,
            Arc::new((1..).take(rows).map(Some).collect::<Int32Array>()),
        ];
        let values = made.points.iter().map(|point| point.value);
        columns.push(Arc::new(Float64Array::from_iter_values(values)));
        for (_, belongs) in PARTS {
            let mut sum = vec![0.0; rows];
            for (_, values) in parts.iter().filter(|(part, _)| belongs(*part, regular.frequency())) {
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            columns.push(Arc::new(Float64Array::from(sum)));
        }
        let repeat = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        columns.push(repeat(&made.model));
        columns.push(repeat("ok"));
        columns.push(match &made.detail {
            Some(detail) => repeat(detail),
            None => new_null_array(&DataType::Utf8, rows),
        });
        Ok(columns)
    }

    fn refused(&self, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(refusal(&Self::columns(&self.forecast.time), status, detail))
    }
}

/// Takes what a panel's model made apart.
fn apart(
    made: Made,
    model: &PanelModel,
    prepared: &PreparedSeries,
    local: Option<&LocalModel>,
) -> Result<Explained, Unforecastable> {
    let mut parts = model.explain(prepared, local)?;
    parts.iter_mut().for_each(|(_, part)| part.truncate(made.points.len()));
    Ok(Explained { made, parts })
}

impl SeriesOperator for ExplainOperator {
    fn describe(&self) -> String {
        self.forecast.description()
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        let regular = self.forecast.regular(series);
        let found = regular.as_ref().map_err(Clone::clone).and_then(|regular| self.alone(series, regular));
        self.told(&regular, found)
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.refused(status, detail)
    }
}

impl PanelOperator for ExplainOperator {
    fn describe(&self) -> String {
        self.forecast.description()
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        let regular = self.forecast.regular_of(panel, panel.len(), workers)?;
        let together = self.together(panel, &regular, workers)?;
        let rows = |at: usize| match (together.get(&at), &regular[at]) {
            (Some(found), Ok(series)) => self.rows(series, found),
            // A series that the panel's model does not take goes on alone.
            (_, series) => {
                let found = series.as_ref().map_err(Clone::clone);
                self.told(series, found.and_then(|series| self.alone(&panel[at], series)))
            }
        };
        workers.rows(panel.len(), rows, out)
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.refused(status, detail)
    }
}
