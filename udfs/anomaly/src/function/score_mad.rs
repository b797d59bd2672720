//! The window function `anomaly_score_mad(x) OVER (…)`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDFImpl};
use datafusion::scalar::ScalarValue;

use crate::rolling::Rolling;

/// How many robust deviations the row's value lies from the median of its window frame: 0.6745 (x − median) / MAD, see
/// [`anomaly_score_mad`](crate::anomaly_score_mad). NULL for NULL; values that are NULL or not finite are left out.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AnomalyScoreMad {
    signature: Signature,
}

impl AnomalyScoreMad {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable) }
    }
}

impl WindowUDFImpl for AnomalyScoreMad {
    fn name(&self) -> &str {
        "anomaly_score_mad"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _arguments: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Frames::default()))
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(arguments.name(), DataType::Float64, true)))
    }
}

/// The frames of one partition, row by row.
#[derive(Debug, Default)]
struct Frames {
    /// What is in the frame.
    window: Rolling,
    frame: Range<usize>,
    /// The row whose turn it is: an evaluator is asked for each in order, and not told which.
    row: usize,
}

impl PartitionEvaluator for Frames {
    fn evaluate(&mut self, values: &[ArrayRef], frame: &Range<usize>) -> Result<ScalarValue> {
        let Some(values) = values.first().and_then(|values| values.as_primitive_opt::<Float64Type>()) else {
            return exec_err!("anomaly_score_mad takes numbers");
        };
        let value = |row: usize| if values.is_null(row) { f64::NAN } else { values.value(row) };
        // Frames move on: what left is taken out, what is new is taken in.
        if frame.start >= self.frame.end || frame.end < self.frame.end || frame.start < self.frame.start {
            self.window = Rolling::default();
            frame.clone().for_each(|row| self.window.insert(value(row)));
        } else {
            (self.frame.start..frame.start).for_each(|row| self.window.remove(value(row)));
            (self.frame.end..frame.end).for_each(|row| self.window.insert(value(row)));
        }
        self.frame = frame.clone();
        let row = self.row;
        self.row += 1;
        if row >= values.len() || values.is_null(row) {
            return Ok(ScalarValue::Float64(None));
        }
        let (own, spread) = (values.value(row), self.window.spread());
        let score = spread.map_or(f64::NAN, |spread| if own.is_finite() { spread.z(own) } else { f64::NAN });
        Ok(ScalarValue::Float64(Some(score)))
    }

    fn uses_window_frame(&self) -> bool {
        true
    }

    // Counting rows needs all rows of a partition at once.
    fn supports_bounded_execution(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::*;

    #[test]
    fn frames_agree_with_scipy() {
        // scipy 1.17.1, numpy 2.4.6: (x - np.median(frame)) / stats.median_abs_deviation(frame, scale='normal'), the frame
        // being four rows before to the row itself, and two before to two after; of one row, 0 by ours and NaN by theirs.
        let values = [3.2, 3.3, 8.1, 3.2, 2.9, 3.7, 3.1, 3.5, 3.3];
        let arrays: [ArrayRef; 1] = [Arc::new(Float64Array::from(values.to_vec()))];
        let trailing = [
            0.0,
            0.6744897501960817,
            32.37550800941204,
            -0.6744897501960817,
            -2.023469250588254,
            0.6744897501960825,
            -0.22482991673202724,
            0.6744897501960817,
            0.0,
        ];
        let centred = [
            -0.6744897501960817,
            0.6744897501960817,
            33.04999775960812,
            -0.16862243754901987,
            -0.6744897501960817,
            1.1241495836601367,
            -0.6744897501960803,
            0.33724487509804124,
            0.0,
        ];
        for (before, after, expected) in [(4, 0, trailing), (2, 2, centred)] {
            let mut frames = Frames::default();
            for (row, expected) in expected.into_iter().enumerate() {
                let frame = row.saturating_sub(before)..(row + after + 1).min(values.len());
                let found = frames.evaluate(&arrays, &frame).unwrap();
                let ScalarValue::Float64(Some(found)) = found else { panic!("{found:?}") };
                assert!((found - expected).abs() < 1e-9, "row {row} of {frame:?}: {found}, not {expected}");
            }
        }
    }
}
