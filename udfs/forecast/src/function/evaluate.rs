//! The table function `evaluate_forecast`: how well models would have forecast each series.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Kind, Operator, Series, SeriesOperator, Signature, TableFunction,
};

use super::{
    CONFIDENCE_LEVEL, FREQUENCY, GAP_FILL, HORIZON, NON_NEGATIVE, confidence_level, frequency, gaps, horizon,
};
use crate::evaluate::{Evaluation, MAX_WINDOWS, evaluate};
use crate::forecast::Request;
use crate::frequency::Frequency;
use crate::gaps::{Gaps, regularise_with};
use crate::metric::Metrics;
use crate::model::Model;
use crate::unforecastable::Unforecastable;

const SIGNATURE: Signature = Signature {
    name: "evaluate_forecast",
    aliases: &[],
    description: "Says how well models would have forecast each series: every model is fitted anew at several past \
                  moments and compared with what came after, one row a series and model.",
    example: "SELECT model, rmse, rmsse, coverage, skill_vs_naive, rank FROM evaluate_forecast('SKU1', models => \
              ARRAY['auto', 'ets', 'theta'], windows => 4)",
    arguments: &[
        Argument::SERIES,
        HORIZON,
        Argument {
            name: "windows",
            kind: Kind::Integer,
            default: Some("3"),
            doc: "past moments to forecast from, 1 to 100",
        },
        Argument {
            name: "step",
            kind: Kind::Integer,
            default: None,
            doc: "steps from one such moment to the next; default: the horizon, so that no value is forecast twice",
        },
        Argument {
            name: "models",
            kind: Kind::TextArray,
            default: None,
            doc: "models to compare; default: auto, seasonal_naive, ets and theta",
        },
        CONFIDENCE_LEVEL,
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        FREQUENCY,
        NON_NEGATIVE,
        GAP_FILL,
        Argument::AS_OF,
    ],
};

#[derive(Debug)]
pub(super) struct EvaluateForecast;

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

impl TableFunction for EvaluateForecast {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, _time: &DataType) -> Vec<Field> {
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

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        let count = |name: &str, most: usize, default: usize| {
            let Some(found) = arguments.integer(name) else { return Ok(default) };
            usize::try_from(found).ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| {
                arguments.error(name, format!("{name} must be between 1 and {most}, not {found}"))
            })
        };
        let horizon = horizon(arguments)?;
        let models = match arguments.text_array("models") {
            None => vec![Model::Auto, Model::SeasonalNaive, Model::Ets, Model::Theta],
            Some([]) => return Err(arguments.error("models", "models names no model")),
            Some(names) => {
                let read = |name: &String| {
                    name.parse()
                        .map_err(|_| arguments.not_among("models", name, &Model::ALL.map(Model::name)))
                };
                names.iter().map(read).collect::<Result<Vec<Model>, ArgumentError>>()?
            }
        };
        Ok(Operator::Series(Arc::new(EvaluateOperator {
            horizon,
            windows: count("windows", MAX_WINDOWS, 3)?,
            step: count("step", 10_000, horizon)?,
            models,
            level: confidence_level(arguments)?,
            frequency: frequency(arguments, &call.time)?,
            gaps: gaps(arguments)?,
            non_negative: arguments.boolean(NON_NEGATIVE.name).unwrap_or(true),
        })))
    }
}

#[derive(Debug)]
struct EvaluateOperator {
    horizon: usize,
    windows: usize,
    step: usize,
    models: Vec<Model>,
    level: f64,
    frequency: Option<Frequency>,
    gaps: Gaps,
    non_negative: bool,
}

impl EvaluateOperator {
    fn evaluate(&self, series: &Series) -> Result<Vec<Evaluation>, Unforecastable> {
        let regular =
            regularise_with(&series.times, &series.values, self.frequency, series.until, self.gaps)?;
        let request = Request {
            horizon: self.horizon,
            confidence_level: self.level,
            model: Model::Auto,
            season: regular.frequency().seasons(),
            non_negative: self.non_negative,
        };
        evaluate(&regular.values, &request, &self.models, self.windows, self.step)
    }

    fn rows(&self, found: &[Evaluation]) -> Vec<ArrayRef> {
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
        let detail = |one: &Evaluation| one.metrics.as_ref().err().map(ToString::to_string);
        columns.push(Arc::new(found.iter().map(detail).collect::<StringArray>()));
        columns
    }
}

impl SeriesOperator for EvaluateOperator {
    fn describe(&self) -> String {
        let models = self.models.iter().map(|model| model.name()).collect::<Vec<_>>().join(", ");
        let Self { horizon, windows, step, level, .. } = self;
        format!(
            "models=[{models}], horizon={horizon}, windows={windows}, step={step}, confidence_level={level}"
        )
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        match self.evaluate(series) {
            Ok(found) => Ok(self.rows(&found)),
            Err(reason) => self.refuse(series, reason.code(), &reason.to_string()),
        }
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        let fields = EvaluateForecast.columns(&DataType::Date32);
        let mut columns: Vec<ArrayRef> =
            fields.iter().map(|field| new_null_array(field.data_type(), 1)).collect();
        columns.truncate(fields.len() - 2);
        columns.push(Arc::new(StringArray::from(vec![status])));
        columns.push(Arc::new(StringArray::from(vec![detail])));
        Ok(columns)
    }
}
