//! One series of the table function `forecast`: from points to rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::error::Result;
use smartsneaks_table_function::{Series, SeriesOperator};

use crate::calendar::regularise;
use crate::forecast::{Forecast, Point, Request, forecast};
use crate::frequency::Frequency;
use crate::model::Model;
use crate::unforecastable::Unforecastable;

/// `forecast` with its arguments checked.
#[derive(Debug, Clone)]
pub(crate) struct ForecastOperator {
    /// Steps ahead.
    pub(crate) horizon: usize,
    /// Confidence level of the bounds.
    pub(crate) level: f64,
    pub(crate) model: Model,
    /// The step; `None` tells it from the times.
    pub(crate) frequency: Option<Frequency>,
    pub(crate) non_negative: bool,
    /// Type of the time column, and so of `forecast_timestamp`.
    pub(crate) time: DataType,
    /// The warehouse version that is read.
    pub(crate) version: i64,
}

impl ForecastOperator {
    /// The columns after the ids.
    pub(crate) fn columns(time: &DataType) -> Vec<Field> {
        vec![
            Field::new("forecast_timestamp", time.clone(), true),
            Field::new("horizon_step", DataType::Int32, true),
            Field::new("forecast_value", DataType::Float64, true),
            Field::new("lower_bound", DataType::Float64, true),
            Field::new("upper_bound", DataType::Float64, true),
            Field::new("confidence_level", DataType::Float64, false),
            Field::new("model", DataType::Utf8, true),
            Field::new("skill_vs_naive", DataType::Float64, true),
            Field::new("history_points", DataType::Int64, false),
            Field::new("version", DataType::Int64, false),
            Field::new("status", DataType::Utf8, false),
            Field::new("status_detail", DataType::Utf8, true),
        ]
    }

    /// The forecast of a series, the times of its steps in microseconds, the steps of history, and remarks.
    fn fit(&self, series: &Series) -> Result<(Forecast, Vec<i64>, usize, Vec<String>), Unforecastable> {
        let regular = regularise(&series.times, &series.values, self.frequency, series.until)?;
        let history = regular.values.len();
        let request = Request {
            horizon: self.horizon,
            confidence_level: self.level,
            model: self.model,
            season: regular.frequency().season(),
            non_negative: self.non_negative,
        };
        let forecast = forecast(&regular.values, &request)?;
        let times = (history..history + self.horizon).map(|index| regular.time(index)).collect::<Option<_>>();
        let times = times.ok_or(Unforecastable::OutOfRange { what: "forecast_timestamp" })?;
        let mut remarks: Vec<String> = forecast.detail.clone().into_iter().collect();
        if regular.gaps_filled > 0 {
            remarks.push(format!("{} of {history} steps without a row count as zero", regular.gaps_filled));
        }
        if regular.partial_dropped {
            remarks.push("the unfinished last step is forecast, not read".to_string());
        }
        Ok((forecast, times, history, remarks))
    }

    /// Microseconds as the type of the time column.
    fn timestamps(&self, micros: Vec<i64>) -> Result<ArrayRef> {
        let times = TimestampMicrosecondArray::from(micros);
        Ok(match &self.time {
            DataType::Timestamp(unit, zone) => {
                let zoned: ArrayRef = Arc::new(times.with_timezone_opt(zone.clone()));
                if *unit == TimeUnit::Microsecond { zoned } else { cast(&zoned, &self.time)? }
            }
            date => cast(&times, date)?,
        })
    }

    fn ok(
        &self,
        forecast: &Forecast,
        times: Vec<i64>,
        history: usize,
        remarks: &[String],
    ) -> Result<Vec<ArrayRef>> {
        let rows = forecast.points.len();
        let steps = (1..).take(rows).collect::<Vec<i32>>();
        let column = |of: fn(&Point) -> f64| -> ArrayRef {
            Arc::new(forecast.points.iter().map(of).map(Some).collect::<Float64Array>())
        };
        let repeat = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        let detail = remarks.join("; ");
        Ok(vec![
            self.timestamps(times)?,
            Arc::new(Int32Array::from(steps)),
            column(|point| point.value),
            column(|point| point.lower),
            column(|point| point.upper),
            Arc::new(Float64Array::from(vec![self.level; rows])),
            repeat(forecast.model.name()),
            Arc::new(Float64Array::from(vec![forecast.skill_vs_naive; rows])),
            Arc::new(Int64Array::from(vec![history as i64; rows])),
            Arc::new(Int64Array::from(vec![self.version; rows])),
            repeat("ok"),
            if remarks.is_empty() { new_null_array(&DataType::Utf8, rows) } else { repeat(&detail) },
        ])
    }
}

impl SeriesOperator for ForecastOperator {
    fn describe(&self) -> String {
        let Self { horizon, level, model, non_negative, .. } = self;
        let frequency = self.frequency.map_or("auto", Frequency::name);
        format!(
            "model={model}, horizon={horizon}, frequency={frequency}, confidence_level={level}, \
             non_negative={non_negative}"
        )
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        match self.fit(series) {
            Ok((forecast, times, history, remarks)) => self.ok(&forecast, times, history, &remarks),
            Err(reason) => self.refuse(series, reason.code(), &reason.to_string()),
        }
    }

    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        let none = || -> ArrayRef { Arc::new(Float64Array::from(vec![None])) };
        Ok(vec![
            new_null_array(&self.time, 1),
            Arc::new(Int32Array::from(vec![None])),
            none(),
            none(),
            none(),
            Arc::new(Float64Array::from(vec![self.level])),
            new_null_array(&DataType::Utf8, 1),
            none(),
            Arc::new(Int64Array::from(vec![series.times.len() as i64])),
            Arc::new(Int64Array::from(vec![self.version])),
            Arc::new(StringArray::from(vec![status])),
            Arc::new(StringArray::from(vec![detail])),
        ])
    }
}
