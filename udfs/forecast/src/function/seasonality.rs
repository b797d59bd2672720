//! The table function `seasonality`: which cycles a series has.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Operator, Series, SeriesOperator, Signature, TableFunction, refusal,
};

use super::{FREQUENCY, GAP_FILL, frequency, gaps};
use crate::frequency::Frequency;
use crate::gaps::{Gaps, regularise_with};
use crate::seasonality::{Season, seasonality};
use crate::unforecastable::Unforecastable;

const SIGNATURE: Signature = Signature {
    name: "seasonality",
    aliases: &[],
    description: "Says which cycles each series has and how strong they are: one row a cycle that chance does not \
                  explain, the strongest first, searched in the autocorrelation up to 512 steps.",
    example: "SELECT period, strength, autocorrelation FROM seasonality((SELECT date, revenue FROM daily_brand_sales))",
    arguments: &[
        Argument::SERIES,
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        FREQUENCY,
        GAP_FILL,
        Argument::AS_OF,
    ],
};

#[derive(Debug)]
pub(super) struct SeasonalityFunction;

impl TableFunction for SeasonalityFunction {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, _time: &DataType) -> Vec<Field> {
        vec![
            Field::new("frequency", DataType::Utf8, true),
            Field::new("period", DataType::Int32, true),
            Field::new("strength", DataType::Float64, true),
            Field::new("autocorrelation", DataType::Float64, true),
            Field::new("trend_strength", DataType::Float64, true),
            Field::new("status", DataType::Utf8, false),
            Field::new("status_detail", DataType::Utf8, true),
        ]
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let frequency = frequency(&call.arguments, &call.time)?;
        Ok(Operator::Series(Arc::new(SeasonalityOperator { frequency, gaps: gaps(&call.arguments)? })))
    }
}

#[derive(Debug)]
struct SeasonalityOperator {
    frequency: Option<Frequency>,
    gaps: Gaps,
}

/// The cycles of a series, the strength of its trend, and its step.
type Found = (Vec<Season>, f64, Frequency);

impl SeasonalityOperator {
    fn find(&self, series: &Series) -> Result<Found, Unforecastable> {
        let regular =
            regularise_with(&series.times, &series.values, self.frequency, series.until, self.gaps, &[])?;
        let mut found = seasonality(&regular.values, &[]);
        // A peak that chance explains is no cycle, however well it can be fitted.
        found.seasons.retain(|season| season.significant);
        Ok((found.seasons, found.trend_strength, regular.frequency()))
    }
}

impl SeriesOperator for SeasonalityOperator {
    fn describe(&self) -> String {
        format!("frequency={}", self.frequency.map_or("auto", Frequency::name))
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        let (seasons, trend, step) = match self.find(series) {
            Ok(found) => found,
            Err(reason) => return self.refuse(series, reason.code(), &reason.to_string()),
        };
        if seasons.is_empty() {
            return self.refuse(series, "none", "no cycle stands out");
        }
        let rows = seasons.len();
        Ok(vec![
            Arc::new(StringArray::from(vec![step.name(); rows])),
            Arc::new(Int32Array::from_iter_values(seasons.iter().map(|season| season.period as i32))),
            Arc::new(Float64Array::from_iter_values(seasons.iter().map(|season| season.strength))),
            Arc::new(Float64Array::from_iter_values(seasons.iter().map(|season| season.autocorrelation))),
            Arc::new(Float64Array::from(vec![trend; rows])),
            Arc::new(StringArray::from(vec!["ok"; rows])),
            new_null_array(&DataType::Utf8, rows),
        ])
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(refusal(&SeasonalityFunction.columns(&DataType::Date32), status, detail))
    }
}
