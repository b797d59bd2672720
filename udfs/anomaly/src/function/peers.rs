//! The table function `peer_outliers`: which series behaves unlike the others.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result};
use smartsneaks_forecast::{Frequency, Regular, regularise, timestamps};
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Kind, Operator, PanelOperator, Series, Signature, Sink, TableFunction,
    Workers, refusal,
};

use super::code;
use crate::peers::{Peer, PeerOptions, SEGMENTS, peer_outliers};

const SIGNATURE: Signature = Signature {
    name: "peer_outliers",
    aliases: &[],
    description: "Finds the series that behave unlike the others, whatever their size: one row a series, with the time \
                  in which it differs most.",
    example: "SELECT city, score, explanation FROM peer_outliers((SELECT city, date, revenue FROM city_daily_metrics), \
              frequency => 'weekly') ORDER BY score DESC LIMIT 5",
    arguments: &[
        Argument::SERIES,
        Argument {
            name: "neighbours",
            kind: Kind::Integer,
            default: Some("3"),
            doc: "how many near peers make a group",
        },
        Argument {
            name: "threshold",
            kind: Kind::Float,
            default: Some("3.5"),
            doc: "robust z of the distance to that many peers, from which on a peer is not near",
        },
        Argument {
            name: "frequency",
            kind: Kind::Text,
            default: Some("daily"),
            doc: "the step to compare by: hourly, daily, weekly, monthly, quarterly or yearly",
        },
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        Argument::AS_OF,
    ],
};

/// Steps times series that are held at most, 8 bytes each.
const MOST: usize = 60_000_000;

#[derive(Debug)]
pub(super) struct PeerOutliers;

impl TableFunction for PeerOutliers {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
        vec![
            Field::new("is_outlier", DataType::Boolean, true),
            Field::new("score", DataType::Float64, true),
            Field::new("differs_from", time.clone(), true),
            Field::new("differs_until", time.clone(), true),
            Field::new("explanation", DataType::Utf8, true),
            Field::new("status", DataType::Utf8, false),
            Field::new("status_detail", DataType::Utf8, true),
        ]
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        let found = arguments.integer("neighbours").unwrap_or_default();
        let neighbours = usize::try_from(found).ok().filter(|found| *found > 0).ok_or_else(|| {
            arguments.error("neighbours", format!("neighbours must be at least 1, not {found}"))
        })?;
        let threshold = arguments.float("threshold").unwrap_or(f64::NAN);
        if !(threshold > 0.0 && threshold.is_finite()) {
            return Err(arguments.error("threshold", format!("threshold must be above 0, not {threshold}")));
        }
        let name = arguments.text("frequency").unwrap_or_default();
        let frequency = name
            .parse()
            .map_err(|_| arguments.not_among("frequency", name, &Frequency::ALL.map(Frequency::name)))?;
        let (options, time) = (PeerOptions { neighbours, threshold }, call.time.clone());
        Ok(Operator::Panel(Arc::new(PeerOperator { options, frequency, time })))
    }
}

#[derive(Debug)]
struct PeerOperator {
    options: PeerOptions,
    frequency: Frequency,
    time: DataType,
}

/// The series on one calendar: the times of its steps, and all values one series after another.
struct Aligned {
    times: Vec<Option<i64>>,
    values: Vec<f64>,
}

impl PeerOperator {
    fn align(&self, regular: &[Option<Regular>]) -> Option<Aligned> {
        let longest = regular.iter().flatten().max_by_key(|regular| regular.values.len())?;
        let length = longest.values.len();
        let times: Vec<Option<i64>> = (0..length).map(|at| longest.time(at)).collect();
        let mut values = vec![f64::NAN; length.checked_mul(regular.len())?];
        for (series, out) in regular.iter().zip(values.chunks_exact_mut(length)) {
            let Some(series) = series else { continue };
            // All histories end at the same moment; a later first row is a later start.
            let start = length - series.values.len();
            out[start..].copy_from_slice(&series.values);
        }
        Some(Aligned { times, values })
    }

    fn row(&self, series: &Series, peer: Peer, aligned: &Aligned) -> Result<Vec<ArrayRef>> {
        let length = aligned.times.len();
        let bound = |segment: usize| (segment * length / SEGMENTS).min(length - 1);
        let from = aligned.times[bound(peer.segment)];
        let until = aligned.times[bound(peer.segment + 1).saturating_sub(1).max(bound(peer.segment))];
        let ids = series.ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let sentence = peer
            .is_outlier
            .then(|| format!("{ids} behaves unlike the others ({:.1} times as far)", peer.score));
        let judged = peer.score.is_finite();
        Ok(vec![
            Arc::new(BooleanArray::from(vec![judged.then_some(peer.is_outlier)])),
            Arc::new(Float64Array::from(vec![Some(peer.score).filter(|score| score.is_finite())])),
            timestamps(&self.time, [from.filter(|_| judged)])?,
            timestamps(&self.time, [until.filter(|_| judged)])?,
            Arc::new(StringArray::from(vec![sentence])),
            Arc::new(StringArray::from(vec![if judged { "ok" } else { "no_value" }])),
            new_null_array(&DataType::Utf8, 1),
        ])
    }
}

impl PanelOperator for PeerOperator {
    fn describe(&self) -> String {
        let PeerOptions { neighbours, threshold } = self.options;
        format!("neighbours={neighbours}, threshold={threshold}, frequency={}", self.frequency)
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        let regular = workers.map(panel.len(), |at| {
            let series = &panel[at];
            Ok(regularise(&series.times, &series.values, Some(self.frequency), series.until).ok())
        })?;
        let refused = |status: &str, detail: &str, out: &mut Sink<'_>| {
            panel.iter().try_for_each(|series| out(self.refuse(series, status, detail)?))
        };
        let longest = regular.iter().flatten().map(|regular| regular.values.len()).max().unwrap_or(0);
        if longest.saturating_mul(panel.len()) > MOST {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "peer_outliers would hold {} series of {longest} steps; use a coarser frequency, or fewer series",
                panel.len()
            )));
        }
        let Some(aligned) = self.align(&regular) else {
            return refused("unsuitable", "no series has a regular step", out);
        };
        match peer_outliers(&aligned.values, aligned.times.len(), self.options) {
            Ok(peers) => {
                panel.iter().zip(peers).try_for_each(|(series, peer)| out(self.row(series, peer, &aligned)?))
            }
            Err(error) => refused(code(&error), &error.to_string(), out),
        }
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(refusal(&PeerOutliers.columns(&self.time), status, detail))
    }
}
