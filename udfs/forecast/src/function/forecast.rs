//! The table function `forecast`: its signature and the checks of its arguments.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use smartsneaks_table_function::{Argument, ArgumentError, Call, Operator, Signature, TableFunction};

use super::{
    CONFIDENCE_LEVEL, FREQUENCY, GAP_FILL, HOLIDAY_REGION, HORIZON, MODEL, NON_NEGATIVE, SEED,
    confidence_level, frequency, holiday_region, horizon, model,
};
use crate::model::Model;
use crate::operator::ForecastOperator;

/// What `forecast` takes.
const SIGNATURE: Signature = Signature {
    name: "forecast",
    aliases: &[],
    description: "Forecasts each series of a relation, with prediction intervals: one row a step ahead, or one row that \
                  says why a series can't be forecast.",
    example: "SELECT * FROM forecast('SKU1', horizon => 28)",
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
pub(super) struct ForecastFunction;

impl TableFunction for ForecastFunction {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
        ForecastOperator::columns(time)
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        let operator = ForecastOperator {
            horizon: horizon(arguments)?,
            level: confidence_level(arguments)?,
            model: model(arguments)?,
            frequency: frequency(arguments, &call.time)?,
            holiday_region: holiday_region(arguments)?,
            non_negative: arguments.boolean(NON_NEGATIVE.name).unwrap_or(true),
            seed: arguments.integer(SEED.name).unwrap_or_default().cast_unsigned(),
            time: call.time.clone(),
            known: call.known.clone(),
            version: call.version,
        };
        // Series learn from each other only where the model is left to choose.
        Ok(match operator.model {
            Model::Auto => Operator::Panel(Arc::new(operator)),
            _ => Operator::alone(call, Arc::new(operator)),
        })
    }
}
