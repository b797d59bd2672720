//! The table function `explain_forecast`: of what a forecast is made.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use smartsneaks_table_function::{Argument, ArgumentError, Call, Operator, Signature, TableFunction};

use super::{CONFIDENCE_LEVEL, FREQUENCY, GAP_FILL, HOLIDAY_REGION, HORIZON, MODEL, NON_NEGATIVE, SEED};
use crate::model::Model;
use crate::operator::ExplainOperator;

const SIGNATURE: Signature = Signature {
    name: "explain_forecast",
    aliases: &[],
    description: "Takes the forecast of each series apart, whoever makes it: one row a step, whose trend, seasonal parts, \
                  effects of holidays and of what is known of the future (promotions, prices) add up to the forecast. \
                  Of a model of many series an effect is what its forecast would be less without.",
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
        SEED,
    ],
};

#[derive(Debug)]
pub(super) struct ExplainForecast;

impl TableFunction for ExplainForecast {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
        ExplainOperator::columns(time)
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let forecast = super::forecast::operator(call)?;
        let alone = forecast.kept.is_some() || forecast.model != Model::Auto;
        let operator = Arc::new(ExplainOperator { forecast });
        // As forecast does: series learn from each other only where the model is left to choose.
        Ok(if alone { Operator::alone(call, operator) } else { Operator::Panel(operator) })
    }

    fn is_model(&self, name: &str) -> bool {
        name.parse::<Model>().is_ok()
    }
}
