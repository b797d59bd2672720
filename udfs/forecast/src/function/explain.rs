//! The table function `explain_forecast`: of what a forecast is made.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Operator, Series, SeriesOperator, Signature, TableFunction,
};

use super::{
    CONFIDENCE_LEVEL, FREQUENCY, GAP_FILL, HOLIDAY_REGION, HORIZON, MODEL, NON_NEGATIVE, confidence_level,
    frequency, gaps, holiday_region, horizon, model, timestamps,
};
use crate::covariate::Cause;
use crate::explain::{Component, Explanation, explain};
use crate::forecast::Request;
use crate::frequency::Frequency;
use crate::gaps::{Gaps, regularise_with};
use crate::holiday::HolidayRegion;
use crate::model::Model;
use crate::operator::covariates;
use crate::unforecastable::Unforecastable;

const SIGNATURE: Signature = Signature {
    name: "explain_forecast",
    aliases: &[],
    description: "Takes the forecast of each series apart: one row a step, whose trend, seasonal parts, effects of holidays and of what is known of the future (promotions, prices) add up to the \
                  forecast. What a model of many series says can't be taken apart; this is the series' own model.",
    example: "SELECT forecast_timestamp, forecast_value, trend, seasonal_period_weekly, seasonal_period_yearly FROM \
              explain_forecast('SKU1')",
    arguments: &[
        Argument::SERIES,
        HORIZON,
        CONFIDENCE_LEVEL,
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        FREQUENCY,
        MODEL,
        HOLIDAY_REGION,
        Argument::FUTURE,
        NON_NEGATIVE,
        GAP_FILL,
        Argument::AS_OF,
    ],
};

#[derive(Debug)]
pub(super) struct ExplainForecast;

impl TableFunction for ExplainForecast {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
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

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        Ok(Operator::alone(
            call,
            Arc::new(ExplainOperator {
                horizon: horizon(arguments)?,
                level: confidence_level(arguments)?,
                model: model(arguments)?,
                frequency: frequency(arguments, &call.time)?,
                gaps: gaps(arguments)?,
                holiday_region: holiday_region(arguments)?,
                non_negative: arguments.boolean(NON_NEGATIVE.name).unwrap_or(true),
                time: call.time.clone(),
            }),
        ))
    }
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

#[derive(Debug)]
struct ExplainOperator {
    horizon: usize,
    level: f64,
    model: Model,
    frequency: Option<Frequency>,
    gaps: Gaps,
    holiday_region: HolidayRegion,
    non_negative: bool,
    time: DataType,
}

impl ExplainOperator {
    /// The explanation, the times of its steps in microseconds, and their distance.
    fn explain(&self, series: &Series) -> Result<(Explanation, Vec<Option<i64>>, Frequency), Unforecastable> {
        let holidays = self.holiday_region.days();
        let Series { times, values, until, .. } = series;
        let regular = regularise_with(times, values, self.frequency, *until, self.gaps, holidays)?;
        let request = Request {
            horizon: self.horizon,
            confidence_level: self.level,
            model: self.model,
            season: regular.frequency().seasons(),
            non_negative: self.non_negative,
        };
        let known = covariates(series, &regular, self.horizon, self.holiday_region);
        let explained = explain(&regular.values, &request, &known)?;
        let first = regular.values.len();
        let times = (first..first + self.horizon).map(|index| regular.time(index)).collect();
        Ok((explained, times, regular.frequency()))
    }
}

impl SeriesOperator for ExplainOperator {
    fn describe(&self) -> String {
        let Self { model, horizon, holiday_region, .. } = self;
        format!("model={model}, horizon={horizon}, holiday_region={}", holiday_region.name())
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        let (explained, times, step) = match self.explain(series) {
            Ok(explained) => explained,
            Err(reason) => return self.refuse(series, reason.code(), &reason.to_string()),
        };
        let rows = self.horizon;
        let mut columns: Vec<ArrayRef> = vec![
            timestamps(&self.time, times)?,
            Arc::new((1..).take(rows).map(Some).collect::<Int32Array>()),
        ];
        let values = explained.forecast.points.iter().map(|point| point.value);
        columns.push(Arc::new(Float64Array::from_iter_values(values)));
        for (_, belongs) in PARTS {
            let mine = explained.parts.iter().filter(|(part, _)| belongs(*part, step));
            let sum = mine.map(|(_, values)| values.clone()).reduce(|mut sum, values| {
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                sum
            });
            columns.push(Arc::new(Float64Array::from(sum.unwrap_or_else(|| vec![0.0; rows]))));
        }
        let repeat = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        columns.push(repeat(explained.forecast.model.name()));
        columns.push(repeat("ok"));
        columns.push(match &explained.forecast.detail {
            Some(detail) => repeat(detail),
            None => new_null_array(&DataType::Utf8, rows),
        });
        Ok(columns)
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        let fields = ExplainForecast.columns(&self.time);
        let mut columns: Vec<ArrayRef> =
            fields.iter().map(|field| new_null_array(field.data_type(), 1)).collect();
        columns.truncate(fields.len() - 2);
        columns.push(Arc::new(StringArray::from(vec![status])));
        columns.push(Arc::new(StringArray::from(vec![detail])));
        Ok(columns)
    }
}
