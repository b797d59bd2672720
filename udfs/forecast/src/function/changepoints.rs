//! The table function `detect_changepoints`: when a series changed its level for good.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Kind, Operator, Series, SeriesOperator, Signature, TableFunction, refusal,
};

use super::{FREQUENCY, GAP_FILL, frequency, gaps, timestamps};
use crate::calendar::Regular;
use crate::changepoint::{Change, Segment, changepoints};
use crate::frequency::Frequency;
use crate::gaps::{Gaps, regularise_with};
use crate::unforecastable::Unforecastable;

const SIGNATURE: Signature = Signature {
    name: "detect_changepoints",
    aliases: &[],
    description: "Cuts each series where it changed its level (or its level and spread) for good: one row a stretch.",
    example: "SELECT segment_start, segment_end, mean, change_from_previous FROM detect_changepoints('SKU1', \
              frequency => 'weekly')",
    arguments: &[
        Argument::SERIES,
        Argument {
            name: "change",
            kind: Kind::Text,
            default: Some("mean"),
            doc: "what changes: mean, or mean_and_variance",
        },
        Argument {
            name: "min_length",
            kind: Kind::Integer,
            default: Some("7"),
            doc: "shortest stretch, in steps, at least 2",
        },
        Argument {
            name: "penalty",
            kind: Kind::Float,
            default: Some("1"),
            doc: "cost of a change, 1 is that of the Bayesian information criterion; more gives fewer changes",
        },
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        FREQUENCY,
        GAP_FILL,
        Argument::AS_OF,
    ],
};

#[derive(Debug)]
pub(super) struct DetectChangepoints;

impl TableFunction for DetectChangepoints {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
        vec![
            Field::new("segment_start", time.clone(), true),
            Field::new("segment_end", time.clone(), true),
            Field::new("points", DataType::Int64, true),
            Field::new("mean", DataType::Float64, true),
            Field::new("standard_deviation", DataType::Float64, true),
            Field::new("change_from_previous", DataType::Float64, true),
            Field::new("gain", DataType::Float64, true),
            Field::new("status", DataType::Utf8, false),
            Field::new("status_detail", DataType::Utf8, true),
        ]
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        let change = match arguments.text("change").unwrap_or_default() {
            mean if mean.eq_ignore_ascii_case("mean") => Change::Mean,
            both if both.eq_ignore_ascii_case("mean_and_variance") => Change::MeanAndVariance,
            other => return Err(arguments.not_among("change", other, &["mean", "mean_and_variance"])),
        };
        let found = arguments.integer("min_length").unwrap_or_default();
        let Some(shortest) = usize::try_from(found).ok().filter(|shortest| *shortest >= 2) else {
            return Err(arguments.error("min_length", format!("min_length must be at least 2, not {found}")));
        };
        let penalty = arguments.float("penalty").unwrap_or(f64::NAN);
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(arguments.error("penalty", format!("penalty must be above 0, not {penalty}")));
        }
        let (frequency, time) = (frequency(arguments, &call.time)?, call.time.clone());
        Ok(Operator::Series(Arc::new(ChangepointOperator {
            change,
            shortest,
            penalty,
            frequency,
            gaps: gaps(arguments)?,
            time,
        })))
    }
}

#[derive(Debug)]
struct ChangepointOperator {
    change: Change,
    shortest: usize,
    penalty: f64,
    frequency: Option<Frequency>,
    gaps: Gaps,
    time: DataType,
}

impl ChangepointOperator {
    fn segments(&self, series: &Series) -> Result<(Vec<Segment>, Regular), Unforecastable> {
        let regular =
            regularise_with(&series.times, &series.values, self.frequency, series.until, self.gaps, &[])?;
        Ok((changepoints(&regular.values, self.change, self.shortest, self.penalty), regular))
    }
}

impl SeriesOperator for ChangepointOperator {
    fn describe(&self) -> String {
        let Self { change, shortest, penalty, .. } = self;
        let change = if *change == Change::Mean { "mean" } else { "mean_and_variance" };
        format!("change={change}, min_length={shortest}, penalty={penalty}")
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        let (segments, regular) = match self.segments(series) {
            Ok(found) => found,
            Err(reason) => return self.refuse(series, reason.code(), &reason.to_string()),
        };
        let rows = segments.len();
        let changes = segments.iter().enumerate().map(|(at, segment)| {
            let before = segments.get(at.checked_sub(1)?)?;
            Some(segment.mean - before.mean)
        });
        let figure = |of: fn(&Segment) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(segments.iter().map(of)))
        };
        Ok(vec![
            timestamps(&self.time, segments.iter().map(|segment| regular.time(segment.start)))?,
            timestamps(&self.time, segments.iter().map(|segment| regular.time(segment.end - 1)))?,
            Arc::new(Int64Array::from_iter_values(segments.iter().map(|s| (s.end - s.start) as i64))),
            figure(|segment| segment.mean),
            figure(|segment| segment.deviation),
            Arc::new(changes.collect::<Float64Array>()),
            Arc::new(
                segments
                    .iter()
                    .enumerate()
                    .map(|(at, s)| (at > 0).then_some(s.gain))
                    .collect::<Float64Array>(),
            ),
            Arc::new(StringArray::from(vec!["ok"; rows])),
            new_null_array(&DataType::Utf8, rows),
        ])
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(refusal(&DetectChangepoints.columns(&self.time), status, detail))
    }
}
