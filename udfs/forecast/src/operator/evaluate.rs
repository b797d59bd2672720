//! The work of the table function `evaluate_forecast`: rolling origins, for one series or a panel of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{PanelOperator, Series, SeriesOperator, Sink, Workers, refusal};

use super::{ForecastOperator, covariates};
use crate::calendar::Regular;
use crate::covariate::Covariate;
use crate::evaluate::{Evaluation, evaluate_by, first_origin};
use crate::forecast::{Point, Request, forecast_with};
use crate::metric::Metrics;
use crate::model::Model;
use crate::unforecastable::Unforecastable;

/// `evaluate_forecast` with its arguments checked.
#[derive(Debug)]
pub(crate) struct EvaluateOperator {
    /// Past moments to forecast from.
    pub(crate) windows: usize,
    /// Steps from one to the next.
    pub(crate) step: usize,
    pub(crate) models: Vec<Model>,
    /// The forecast that is judged under the name `auto`.
    pub(crate) forecast: ForecastOperator,
}

/// Name of a column, and the figure in it.
type Figure = (&'static str, fn(&Metrics) -> Option<f64>);

/// The figures of a model, in their order.
const FIGURES: [Figure; 9] = [
    ("mae", |metrics| Some(metrics.mae)),
    ("rmse", |metrics| Some(metrics.rmse)),
    ("wape", |metrics| metrics.wape),
    ("smape", |metrics| Some(metrics.smape)),
    ("mase", |metrics| metrics.mase),
    ("rmsse", |metrics| metrics.rmsse),
    ("bias", |metrics| Some(metrics.bias)),
    ("coverage", |metrics| Some(metrics.coverage)),
    ("winkler", |metrics| Some(metrics.winkler)),
];

/// What a model of the panel said of a series, by the length of history it knew, and what is to be told of it.
#[derive(Default)]
struct Together {
    points: BTreeMap<usize, Vec<Point>>,
    detail: Option<String>,
}

impl EvaluateOperator {
    /// The columns after the ids.
    pub(crate) fn columns() -> Vec<Field> {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let mut columns = vec![
            Field::new("model", DataType::Utf8, true),
            Field::new("compared_points", DataType::Int64, true),
        ];
        columns.extend(FIGURES.map(|(name, _)| number(name)));
        columns.push(number("skill_vs_naive"));
        columns.push(Field::new("rank", DataType::Int32, true));
        columns.push(Field::new("status", DataType::Utf8, false));
        columns.push(Field::new("status_detail", DataType::Utf8, true));
        columns
    }

    fn evaluate(
        &self,
        series: &Series,
        (regular, closed): (&Regular, &Regular),
        together: &Together,
    ) -> Result<Vec<Evaluation>, Unforecastable> {
        let request = self.forecast.request(regular);
        let known = covariates(series, regular, 0, self.forecast.holiday_region);
        let make = |model, origin: usize| {
            if let (Model::Auto, Some(points)) = (model, together.points.get(&origin)) {
                return Ok(points.clone());
            }
            let cut = |one: &Covariate| Covariate {
                cause: one.cause,
                values: one.values[..origin + request.horizon].to_vec(),
            };
            let known: Vec<Covariate> = known.iter().map(cut).collect();
            // As forecast does: only what it chooses itself looks at the other series.
            let told = if model == Model::Auto { closed } else { regular };
            Ok(forecast_with(&told.values[..origin], &Request { model, ..request }, &known)?.points)
        };
        evaluate_by(&regular.values, &request, &self.models, self.windows, self.step, &make)
    }

    /// What a model of all series says of each from each origin, counted from the end; nothing where there are few.
    fn together(
        &self,
        panel: &[Series],
        regular: &[Result<Regular, Unforecastable>],
        workers: &Workers,
    ) -> Result<Vec<Together>> {
        let mut found: Vec<Together> = panel.iter().map(|_| Together::default()).collect();
        if !self.forecast.learns(regular) {
            return Ok(found);
        }
        // Each window has a copy.
        workers.hold(regular.iter().map(super::bytes).sum())?;
        for window in 0..self.windows {
            let origin = |points: usize| {
                let first = first_origin(points, self.forecast.horizon, self.windows, self.step)?;
                Some(first + window * self.step)
            };
            // A series that is too short for the first origin is told so, and teaches nothing.
            let cut = |regular: &Result<Regular, Unforecastable>| -> Result<Regular, Unforecastable> {
                let mut regular = regular.clone()?;
                let points = regular.values.len();
                let origin = origin(points).ok_or(Unforecastable::TooShort { points, needed: points + 1 })?;
                regular.values.truncate(origin);
                Ok(regular)
            };
            let known: Vec<Result<Regular, Unforecastable>> = regular.iter().map(cut).collect();
            for (at, made) in self.forecast.together(panel, &known, workers)? {
                if let (Ok(made), Ok(known)) = (made, &known[at]) {
                    found[at].points.insert(known.values.len(), made.points);
                    found[at].detail =
                        Some(format!("{}, {}", made.model, made.detail.as_deref().unwrap_or_default()));
                }
            }
        }
        Ok(found)
    }

    fn rows(&self, found: &[Evaluation], together: &Together) -> Vec<ArrayRef> {
        let metrics = |one: &Evaluation| one.metrics.as_ref().ok().cloned();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(found.iter().map(|one| one.model.name()))),
            Arc::new(found.iter().map(|one| metrics(one).map(|m| m.pairs as i64)).collect::<Int64Array>()),
        ];
        for (_, figure) in FIGURES {
            let figures = found.iter().map(|one| metrics(one).as_ref().and_then(figure));
            columns.push(Arc::new(figures.map(|f| f.filter(|f| f.is_finite())).collect::<Float64Array>()));
        }
        columns.push(Arc::new(found.iter().map(|one| one.skill_vs_naive).collect::<Float64Array>()));
        columns
            .push(Arc::new(found.iter().map(|one| one.rank.map(|rank| rank as i32)).collect::<Int32Array>()));
        let status = |one: &Evaluation| one.metrics.as_ref().map_or_else(Unforecastable::code, |_| "ok");
        columns.push(Arc::new(StringArray::from_iter_values(found.iter().map(status))));
        let detail = |one: &Evaluation| match &one.metrics {
            Err(reason) => Some(reason.to_string()),
            Ok(_) => together.detail.clone().filter(|_| one.model == Model::Auto),
        };
        columns.push(Arc::new(found.iter().map(detail).collect::<StringArray>()));
        columns
    }

    fn told(
        &self,
        series: &Series,
        (regular, closed): (&Result<Regular, Unforecastable>, &Result<Regular, Unforecastable>),
        together: &Together,
    ) -> Result<Vec<ArrayRef>> {
        let both = regular.as_ref().and_then(|regular| Ok((regular, closed.as_ref()?)));
        match both.map_err(Clone::clone).and_then(|both| self.evaluate(series, both, together)) {
            Ok(found) => Ok(self.rows(&found, together)),
            Err(reason) => self.refused(reason.code(), &reason.to_string()),
        }
    }

    fn refused(&self, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(refusal(&Self::columns(), status, detail))
    }

    fn description(&self) -> String {
        let models = self.models.iter().map(|model| model.name()).collect::<Vec<_>>().join(", ");
        let Self { windows, step, forecast, .. } = self;
        let ForecastOperator { horizon, level, holiday_region, seed, .. } = forecast;
        let mut text = format!(
            "models=[{models}], horizon={horizon}, windows={windows}, step={step}, confidence_level={level}, \
             holiday_region={}, seed={seed}",
            holiday_region.name()
        );
        if !forecast.known.is_empty() {
            text += &format!(", future=[{}]", forecast.known.join(", "));
        }
        text
    }
}

impl SeriesOperator for EvaluateOperator {
    fn describe(&self) -> String {
        self.description()
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        let regular = self.forecast.regular(series);
        self.told(series, (&regular, &regular), &Together::default())
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.refused(status, detail)
    }
}

impl PanelOperator for EvaluateOperator {
    fn describe(&self) -> String {
        self.description()
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        let closed = self.forecast.regular_of(panel, panel.len(), workers)?;
        let together = self.together(panel, &closed, workers)?;
        let regular = self.forecast.alone_of(panel, workers)?;
        workers.rows(panel.len(), |at| self.told(&panel[at], (&regular[at], &closed[at]), &together[at]), out)
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.refused(status, detail)
    }
}
