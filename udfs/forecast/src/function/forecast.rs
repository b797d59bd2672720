//! The table function `forecast`: its signature and the checks of its arguments.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Operator, Purpose, Signature, TableFunction, Trainer,
};

use super::{
    CONFIDENCE_LEVEL, FREQUENCY, GAP_FILL, HOLIDAY_REGION, HORIZON, MODEL, NON_NEGATIVE, OUTPUT_HISTORY,
    RECONCILE, RECONCILE_METHOD, SEED, confidence_level, frequency, gaps, holiday_region, horizon, model,
};
use crate::model::Model;
use crate::operator::{ForecastOperator, ForecastTrainer, Kept, Levels, StoredForecast};
use crate::panel::Reconciliation;

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
        RECONCILE,
        RECONCILE_METHOD,
        GAP_FILL,
        Argument::AS_OF,
        OUTPUT_HISTORY,
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
        let operator = operator(call)?;
        if operator.levels.is_some() {
            return Ok(Operator::Panel(Arc::new(operator)));
        }
        // A kept model has learned from them.
        if operator.kept.is_some() {
            return Ok(Operator::alone(call, Arc::new(operator)));
        }
        // Series learn from each other only where the model is left to choose.
        Ok(match operator.model {
            Model::Auto => Operator::Panel(Arc::new(operator)),
            _ => Operator::alone(call, Arc::new(operator)),
        })
    }

    fn is_model(&self, name: &str) -> bool {
        name.parse::<Model>().is_ok()
    }

    fn trainer(&self, call: &Call) -> Result<Arc<dyn Trainer>, ArgumentError> {
        let judged = match &call.purpose {
            Purpose::Judging(stored) => Some(StoredForecast::find(call, stored, horizon(&call.arguments)?)?),
            _ => None,
        };
        let operator = operator(call)?;
        if operator.levels.is_some() {
            let message = "a kept model is asked with reconcile, not learned with it";
            return Err(call.arguments.error(RECONCILE.name, message));
        }
        if operator.model != Model::Auto || operator.kept.is_some() {
            let model = call.arguments.text(MODEL.name).unwrap_or_default();
            let message = format!("a kept model is learned with model => 'auto', not '{model}'");
            return Err(call.arguments.error(MODEL.name, message));
        }
        Ok(Arc::new(ForecastTrainer { operator, ids: call.ids.clone(), judged }))
    }
}

/// The forecast that a call asks for; of `reconcile`, if its function has it.
pub(super) fn operator(call: &Call) -> Result<ForecastOperator, ArgumentError> {
    let arguments = &call.arguments;
    let horizon = horizon(arguments)?;
    let kept = match &call.stored {
        Some(stored) => Some(Kept {
            name: stored.name.clone(),
            version: stored.version,
            warehouse_version: stored.warehouse_version,
            forecast: StoredForecast::find(call, stored, horizon)?,
        }),
        None => None,
    };
    Ok(ForecastOperator {
        horizon,
        level: confidence_level(arguments)?,
        model: if kept.is_some() { Model::Auto } else { model(arguments).map_err(hint)? },
        kept,
        frequency: frequency(arguments, &call.time)?,
        gaps: gaps(arguments)?,
        holiday_region: holiday_region(arguments)?,
        non_negative: arguments.boolean(NON_NEGATIVE.name).unwrap_or(true),
        output_history: arguments.boolean(OUTPUT_HISTORY.name).unwrap_or(false),
        seed: arguments.integer(SEED.name).unwrap_or_default().cast_unsigned(),
        time: call.time.clone(),
        known: call.known.clone(),
        levels: levels(call)?,
        version: call.version,
    })
}

/// The levels of `reconcile`, and how they are made to agree.
fn levels(call: &Call) -> Result<Option<Levels>, ArgumentError> {
    let arguments = &call.arguments;
    let path = arguments.text(RECONCILE.name).unwrap_or("none");
    let method = match arguments.text(RECONCILE_METHOD.name).unwrap_or("mint_shrink") {
        name if name.eq_ignore_ascii_case("mint_shrink") => Reconciliation::MinTShrink,
        name if name.eq_ignore_ascii_case("bottom_up") => Reconciliation::BottomUp,
        name => return Err(arguments.not_among(RECONCILE_METHOD.name, name, &["mint_shrink", "bottom_up"])),
    };
    if path.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let fault = |message: String| {
        let ids = if call.ids.is_empty() { "there are none".to_owned() } else { call.ids.join(", ") };
        let error = arguments.error(RECONCILE.name, format!("reconcile => '{path}': {message}"));
        Err(error.with_hint(format!(
            "name id columns from the finest level on, and total last; the id columns: {ids}"
        )))
    };
    let names: Vec<&str> = path.split('>').map(str::trim).collect();
    let (Some(first), true) = (names.first(), names.len() > 1) else {
        return fault("needs two levels at least".to_owned());
    };
    if !call.ids.iter().any(|id| id == first) {
        return fault(format!("{first} is no id column"));
    }
    let mut columns = Vec::new();
    for (at, name) in names.iter().enumerate().skip(1) {
        let column = call.ids.iter().position(|id| id == name);
        match column {
            _ if names[..at].contains(name) => return fault(format!("{name} stands there twice")),
            Some(column) => columns.push(Some(column)),
            None if *name == "total" && at + 1 == names.len() => columns.push(None),
            None => return fault(format!("{name} is no id column")),
        }
    }
    Ok(Some(Levels { path: names.join(">"), columns, method }))
}

/// Says where kept models are found, to a name that is near none of ours.
fn hint(error: ArgumentError) -> ArgumentError {
    match error.hint {
        Some(_) => error,
        None => error.with_hint(
            "SELECT name, version FROM ml.models lists the models that were kept; a parameter can't name one",
        ),
    }
}
