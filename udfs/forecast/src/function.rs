//! The table functions of this family, and what their arguments have in common.

mod changepoints;
mod evaluate;
mod explain;
mod forecast;
mod seasonality;

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::Result;
use smartsneaks_table_function::{Argument, ArgumentError, Arguments, Kind, TableFunction};

use crate::forecast::MAX_HORIZON;
use crate::frequency::Frequency;
use crate::gaps::Gaps;
use crate::holiday::HolidayRegion;
use crate::model::Model;

/// The table functions of this family: `forecast`, `explain_forecast`, `evaluate_forecast`, `detect_changepoints` and
/// `seasonality`.
pub fn functions() -> Vec<Arc<dyn TableFunction>> {
    vec![
        Arc::new(forecast::ForecastFunction),
        Arc::new(explain::ExplainForecast),
        Arc::new(evaluate::EvaluateForecast),
        Arc::new(changepoints::DetectChangepoints),
        Arc::new(seasonality::SeasonalityFunction),
    ]
}

const HORIZON: Argument = Argument {
    name: "horizon",
    kind: Kind::Integer,
    default: Some("14"),
    doc: "steps ahead, 1 to 10000; a step is the frequency's",
};
const CONFIDENCE_LEVEL: Argument = Argument {
    name: "confidence_level",
    kind: Kind::Float,
    default: Some("0.95"),
    doc: "probability, between 0 and 1, that a value falls between its bounds",
};
const FREQUENCY: Argument = Argument {
    name: "frequency",
    kind: Kind::Text,
    default: Some("auto"),
    doc: "the step: hourly, daily, weekly, monthly, quarterly, yearly, or auto, which tells it from the times",
};
const MODEL: Argument = Argument {
    name: "model",
    kind: Kind::Text,
    default: Some("auto"),
    doc: "auto, or one of seasonal_naive, ets, theta, ces, arima, mstl, dshw, linear, prophet, croston_sba, tsb and adida; auto \
          is a combination that suits the series, and for 20 daily series and more (ten where future is given) what a \
          model of all of them says, where that was better on the last steps; or the name of a model that CREATE MODEL kept, name@3 for its third \
          version",
};
const NON_NEGATIVE: Argument = Argument {
    name: "non_negative",
    kind: Kind::Boolean,
    default: Some("true"),
    doc: "values below 0 can't happen: forecasts and bounds stop there",
};
const OUTPUT_HISTORY: Argument = Argument {
    name: "output_history",
    kind: Kind::Boolean,
    default: Some("false"),
    doc: "the history as it was learned comes before the forecast: horizon_step counts back from 0, without bounds",
};
const GAP_FILL: Argument = Argument {
    name: "gap_fill",
    kind: Kind::Text,
    default: Some("auto"),
    doc: "what a step without a row means: zero is no sale; auto too, but what chance does not explain are stock-outs, and \
          days on which a shop was closed, and not learned as zero demand; interpolate is the line between the values \
          around it",
};
const HOLIDAY_REGION: Argument = Argument {
    name: "holiday_region",
    kind: Kind::Text,
    default: Some("IN-TN"),
    doc: "whose holidays models of daily series learn from: IN-TN (Tamil Nadu) or none",
};
const RECONCILE: Argument = Argument {
    name: "reconcile",
    kind: Kind::Text,
    default: Some("none"),
    doc: "levels whose forecasts are to add up, from the finest, as in 'sku>brand>total': id columns, and total; their \
          sums come as rows whose other ids are NULL, as GROUP BY ROLLUP gives them",
};
const RECONCILE_METHOD: Argument = Argument {
    name: "reconcile_method",
    kind: Kind::Text,
    default: Some("mint_shrink"),
    doc: "mint_shrink moves all forecasts until they agree, the more the harder they are to forecast; bottom_up adds up \
          those of the finest level",
};
const SEED: Argument = Argument {
    name: "seed",
    kind: Kind::Integer,
    default: Some("0"),
    doc: "seed of the draws that a model of many series learns from",
};

fn horizon(arguments: &Arguments) -> Result<usize, ArgumentError> {
    let found = arguments.integer(HORIZON.name).unwrap_or_default();
    let horizon = usize::try_from(found).ok().filter(|horizon| (1..=MAX_HORIZON).contains(horizon));
    horizon.ok_or_else(|| {
        arguments.error(HORIZON.name, format!("horizon must be between 1 and {MAX_HORIZON}, not {found}"))
    })
}

fn confidence_level(arguments: &Arguments) -> Result<f64, ArgumentError> {
    let level = arguments.float(CONFIDENCE_LEVEL.name).unwrap_or(f64::NAN);
    if !(level > 0.0 && level < 1.0) {
        let message = format!("confidence_level must be between 0 and 1, both excluded, not {level}");
        return Err(arguments.error(CONFIDENCE_LEVEL.name, message));
    }
    Ok(level)
}

fn model(arguments: &Arguments) -> Result<Model, ArgumentError> {
    let model = arguments.text(MODEL.name).unwrap_or_default();
    model.parse().map_err(|_| arguments.not_among(MODEL.name, model, &Model::ALL.map(Model::name)))
}

/// The step; `None` tells it from the times.
fn frequency(arguments: &Arguments, time: &DataType) -> Result<Option<Frequency>, ArgumentError> {
    let frequency = match arguments.text(FREQUENCY.name).unwrap_or_default() {
        auto if auto.eq_ignore_ascii_case("auto") => None,
        name => Some(name.parse::<Frequency>().map_err(|_| {
            let mut valid = vec!["auto"];
            valid.extend(Frequency::ALL.map(Frequency::name));
            arguments.not_among(FREQUENCY.name, name, &valid)
        })?),
    };
    if frequency == Some(Frequency::Hourly) && !matches!(time, DataType::Timestamp(_, _)) {
        let message = format!("frequency hourly needs timestamps, the series has dates ({time})");
        return Err(arguments.error(FREQUENCY.name, message));
    }
    Ok(frequency)
}

fn gaps(arguments: &Arguments) -> Result<Gaps, ArgumentError> {
    let found = arguments.text(GAP_FILL.name).unwrap_or_default();
    let gaps = Gaps::ALL.into_iter().find(|gaps| gaps.name().eq_ignore_ascii_case(found));
    gaps.ok_or_else(|| arguments.not_among(GAP_FILL.name, found, &Gaps::ALL.map(Gaps::name)))
}

fn holiday_region(arguments: &Arguments) -> Result<HolidayRegion, ArgumentError> {
    let found = arguments.text(HOLIDAY_REGION.name).unwrap_or_default();
    let region = HolidayRegion::named(found);
    region.ok_or_else(|| {
        arguments.not_among(HOLIDAY_REGION.name, found, &HolidayRegion::ALL.map(HolidayRegion::name))
    })
}

/// Microseconds as the type of a time column.
pub fn timestamps(time: &DataType, micros: impl IntoIterator<Item = Option<i64>>) -> Result<ArrayRef> {
    let times = micros.into_iter().collect::<TimestampMicrosecondArray>();
    Ok(match time {
        DataType::Timestamp(unit, zone) => {
            let zoned: ArrayRef = Arc::new(times.with_timezone_opt(zone.clone()));
            if *unit == TimeUnit::Microsecond { zoned } else { cast(&zoned, time)? }
        }
        date => cast(&times, date)?,
    })
}
