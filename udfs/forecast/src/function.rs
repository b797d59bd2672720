//! The table function `forecast`: its signature and the checks of its arguments.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use smartsneaks_table_function::{Argument, ArgumentError, Call, Kind, Operator, Signature, TableFunction};

use crate::forecast::MAX_HORIZON;
use crate::frequency::Frequency;
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
        Argument {
            name: "horizon",
            kind: Kind::Integer,
            default: Some("14"),
            doc: "steps ahead, 1 to 10000; a step is the frequency's",
        },
        Argument {
            name: "confidence_level",
            kind: Kind::Float,
            default: Some("0.95"),
            doc: "probability, between 0 and 1, that a value falls between its bounds",
        },
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        Argument {
            name: "frequency",
            kind: Kind::Text,
            default: Some("auto"),
            doc: "the step: hourly, daily, weekly, monthly, quarterly, yearly, or auto, which tells it from the times",
        },
        Argument {
            name: "model",
            kind: Kind::Text,
            default: Some("auto"),
            doc: "seasonal_naive, ets, theta, or auto: the one with the smallest error on rolling origins",
        },
        Argument {
            name: "non_negative",
            kind: Kind::Boolean,
            default: Some("true"),
            doc: "values below 0 can't happen: forecasts and bounds stop there",
        },
        Argument {
            name: "gap_fill",
            kind: Kind::Text,
            default: Some("zero"),
            doc: "what a step without a row means: zero is no sale (nothing else is implemented)",
        },
        Argument::AS_OF,
    ],
};

/// The table functions of this family: `forecast`.
pub fn functions() -> Vec<Arc<dyn TableFunction>> {
    vec![Arc::new(ForecastFunction)]
}

#[derive(Debug)]
struct ForecastFunction;

impl TableFunction for ForecastFunction {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
        ForecastOperator::columns(time)
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        let horizon = arguments.integer("horizon").unwrap_or_default();
        let horizon = usize::try_from(horizon).ok().filter(|horizon| (1..=MAX_HORIZON).contains(horizon));
        let horizon = horizon.ok_or_else(|| {
            let found = arguments.integer("horizon").unwrap_or_default();
            arguments.error("horizon", format!("horizon must be between 1 and {MAX_HORIZON}, not {found}"))
        })?;
        let level = arguments.float("confidence_level").unwrap_or(f64::NAN);
        if !(level > 0.0 && level < 1.0) {
            let message = format!("confidence_level must be between 0 and 1, both excluded, not {level}");
            return Err(arguments.error("confidence_level", message));
        }
        let model = arguments.text("model").unwrap_or_default();
        let model: Model =
            model.parse().map_err(|_| arguments.not_among("model", model, &Model::ALL.map(Model::name)))?;
        let frequency = match arguments.text("frequency").unwrap_or_default() {
            auto if auto.eq_ignore_ascii_case("auto") => None,
            name => Some(name.parse::<Frequency>().map_err(|_| {
                let mut valid = vec!["auto"];
                valid.extend(Frequency::ALL.map(Frequency::name));
                arguments.not_among("frequency", name, &valid)
            })?),
        };
        if frequency == Some(Frequency::Hourly) && !matches!(call.time, DataType::Timestamp(_, _)) {
            let message = format!("frequency hourly needs timestamps, the series has dates ({})", call.time);
            return Err(arguments.error("frequency", message));
        }
        let gap_fill = arguments.text("gap_fill").unwrap_or_default();
        if !gap_fill.eq_ignore_ascii_case("zero") {
            return Err(arguments.not_among("gap_fill", gap_fill, &["zero"]));
        }
        let non_negative = arguments.boolean("non_negative").unwrap_or(true);
        let time = call.time.clone();
        let version = call.version;
        let operator = ForecastOperator { horizon, level, model, frequency, non_negative, time, version };
        Ok(Operator::Series(Arc::new(operator)))
    }
}
