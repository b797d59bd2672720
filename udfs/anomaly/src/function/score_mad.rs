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
