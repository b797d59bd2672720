//! The table function `evaluate_forecast`: how well models would have forecast each series.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use smartsneaks_table_function::{Argument, ArgumentError, Call, Kind, Operator, Signature, TableFunction};

use super::{
    CONFIDENCE_LEVEL, FREQUENCY, GAP_FILL, HOLIDAY_REGION, HORIZON, NON_NEGATIVE, SEED, confidence_level,
    frequency, gaps, holiday_region, horizon,
};
use crate::evaluate::MAX_WINDOWS;
use crate::model::Model;
use crate::operator::{EvaluateOperator, ForecastOperator};

const SIGNATURE: Signature = Signature {
    name: "evaluate_forecast",
    aliases: &[],
    description: "Says how well models would have forecast each series: every model is fitted anew at several past \
                  moments and compared with what came after, one row a series and model. auto is what forecast would \
                  have said: for 20 daily series and more a model of all of them, learned anew at each moment.",
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
        HOLIDAY_REGION,
        Argument::FUTURE,
        NON_NEGATIVE,
        GAP_FILL,
        Argument::AS_OF,
        SEED,
    ],
};

#[derive(Debug)]
pub(super) struct EvaluateForecast;

impl TableFunction for EvaluateForecast {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, _time: &DataType) -> Vec<Field> {
        EvaluateOperator::columns()
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
        let learns = models.contains(&Model::Auto);
        let operator = Arc::new(EvaluateOperator {
            windows: count("windows", MAX_WINDOWS, 3)?,
            step: count("step", 10_000, horizon)?,
            models,
            forecast: ForecastOperator {
                horizon,
                level: confidence_level(arguments)?,
                model: Model::Auto,
                kept: None,
                frequency: frequency(arguments, &call.time)?,
                gaps: gaps(arguments)?,
                holiday_region: holiday_region(arguments)?,
                non_negative: arguments.boolean(NON_NEGATIVE.name).unwrap_or(true),
                output_history: false,
                seed: arguments.integer(SEED.name).unwrap_or_default().cast_unsigned(),
                time: call.time.clone(),
                known: call.known.clone(),
                levels: None,
                version: call.version,
            },
        });
        // Series learn from each other only where the model is left to choose.
        Ok(if learns { Operator::Panel(operator) } else { Operator::alone(call, operator) })
    }
}
