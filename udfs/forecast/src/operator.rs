//! The work of the table function `forecast`: from points to rows, for one series or a panel of them.

mod closed;
mod evaluate;
mod explain;
mod levels;
mod stored;
mod together;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{PanelOperator, Series, SeriesOperator, Sink, Workers};

use crate::calendar::Regular;
use crate::civil::DAY;
use crate::covariate::{Cause, Covariate};
use crate::forecast::{Forecast, Point, Request, forecast_with};
use crate::frequency::Frequency;
use crate::function::timestamps;
use crate::gaps::{Gaps, regularise_with};
use crate::holiday::HolidayRegion;
use crate::model::Model;
use crate::unforecastable::Unforecastable;

pub(crate) use evaluate::EvaluateOperator;
pub(crate) use explain::ExplainOperator;
pub(crate) use levels::Levels;
pub(crate) use stored::{ForecastTrainer, Kept, StoredForecast};

/// `forecast` with its arguments checked.
#[derive(Debug, Clone)]
pub(crate) struct ForecastOperator {
    /// Steps ahead.
    pub(crate) horizon: usize,
    /// Confidence level of the bounds.
    pub(crate) level: f64,
    pub(crate) model: Model,
    /// The kept model that forecasts instead.
    pub(crate) kept: Option<Kept>,
    /// The step; `None` tells it from the times.
    pub(crate) frequency: Option<Frequency>,
    pub(crate) gaps: Gaps,
    /// Holidays that models of daily series learn from.
    pub(crate) holiday_region: HolidayRegion,
    pub(crate) non_negative: bool,
    /// The history is told before the forecast.
    pub(crate) output_history: bool,
    /// Seed of what such a model draws.
    pub(crate) seed: u64,
    /// Names of the numbers that are known of each time.
    pub(crate) known: Vec<String>,
    /// Sums of series that are forecast too, so that all agree.
    pub(crate) levels: Option<Levels>,
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

    /// A series on its calendar.
    fn regular(&self, series: &Series) -> Result<Regular, Unforecastable> {
        let holidays = self.holiday_region.days();
        regularise_with(&series.times, &series.values, self.frequency, series.until, self.gaps, holidays)
    }

    /// The series of a panel on their calendars, each by itself.
    fn alone_of(&self, panel: &[Series], workers: &Workers) -> Result<Vec<Result<Regular, Unforecastable>>> {
        workers.map(panel.len(), |at| {
            let regular = self.regular(&panel[at]);
            // Two rows may be years apart.
            workers.hold(bytes(&regular))?;
            Ok(regular)
        })
    }

    /// The same, and what they tell of each other; the first `own` are no sums of others.
    fn regular_of(
        &self,
        panel: &[Series],
        own: usize,
        workers: &Workers,
    ) -> Result<Vec<Result<Regular, Unforecastable>>> {
        let mut regular = self.alone_of(panel, workers)?;
        if self.gaps == Gaps::Auto {
            closed::close(&panel[..own], &mut regular[..own], self.holiday_region, workers)?;
        }
        Ok(regular)
    }

    /// The forecast of a series by its own model, or by a kept one.
    fn alone(
        &self,
        series: &Series,
        regular: &Result<Regular, Unforecastable>,
    ) -> Result<Made, Unforecastable> {
        let regular = regular.as_ref().map_err(Clone::clone)?;
        if let Some(kept) = &self.kept {
            return self.ask(kept, series, regular);
        }
        let known = covariates(series, regular, self.horizon, self.holiday_region);
        Ok(Made::of(forecast_with(&regular.values, &self.request(regular), &known)?))
    }

    /// What is asked of a series.
    fn request(&self, regular: &Regular) -> Request {
        Request {
            horizon: self.horizon,
            confidence_level: self.level,
            model: self.model,
            season: regular.frequency().seasons(),
            non_negative: self.non_negative,
        }
    }

    /// The rows of a series, or the one that says why there are none.
    fn told(
        &self,
        series: &Series,
        regular: &Result<Regular, Unforecastable>,
        made: Result<Made, Unforecastable>,
    ) -> Result<Vec<ArrayRef>> {
        match (regular, &made) {
            (Ok(regular), Ok(made)) => self.rows(series, regular, made),
            (Err(reason), _) | (_, Err(reason)) => self.refused(series, reason.code(), &reason.to_string()),
        }
    }

    fn rows(&self, series: &Series, regular: &Regular, made: &Made) -> Result<Vec<ArrayRef>> {
        let (ahead, history) = (made.points.len(), regular.values.len());
        let past = if self.output_history { history } else { 0 };
        let rows = past + ahead;
        let times =
            (history - past..history + ahead).map(|index| regular.time(index)).collect::<Option<Vec<_>>>();
        let Some(times) = times else {
            let reason = Unforecastable::OutOfRange { what: "forecast_timestamp" };
            return self.refused(series, reason.code(), &reason.to_string());
        };
        let mut remarks: Vec<String> = made.detail.iter().map(ToString::to_string).collect();
        if regular.gaps_filled > 0 {
            let means = if self.gaps == Gaps::Interpolate { "are interpolated" } else { "count as zero" };
            remarks.push(format!("{} of {history} steps without a row {means}", regular.gaps_filled));
        }
        if !regular.stock_outs.is_empty() {
            let steps: usize = regular.stock_outs.iter().map(ExactSizeIterator::len).sum();
            remarks.push(format!("{steps} steps in stock-outs, not learned as zero demand"));
        }
        if !regular.closed.is_empty() {
            let steps = regular.closed.len();
            remarks.push(format!("{steps} steps on which nothing was to be had, not learned as zero demand"));
        }
        if regular.duplicates_summed > 0 {
            remarks.push(format!("{} times added to others of their step", regular.duplicates_summed));
        }
        if regular.partial_dropped {
            remarks.push("the unfinished last step is forecast, not read".to_string());
        }
        // The last step of the history is 0.
        let steps = (1 - past as i32..).take(rows).collect::<Vec<i32>>();
        let column = |known: &[f64], of: fn(&Point) -> f64| -> ArrayRef {
            let known = known.iter().copied().map(Some).chain(std::iter::repeat(None)).take(past);
            Arc::new(known.chain(made.points.iter().map(of).map(Some)).collect::<Float64Array>())
        };
        // Of the history there is nothing to tell.
        let repeat = |text: Option<&str>| -> ArrayRef {
            let none = std::iter::repeat_n(None, past);
            Arc::new(none.chain(std::iter::repeat_n(text, ahead)).collect::<StringArray>())
        };
        let detail = remarks.join("; ");
        Ok(vec![
            timestamps(&self.time, times.into_iter().map(Some))?,
            Arc::new(Int32Array::from(steps)),
            column(&regular.values, |point| point.value),
            column(&[], |point| point.lower),
            column(&[], |point| point.upper),
            Arc::new(Float64Array::from(vec![self.level; rows])),
            repeat(Some(&made.model)),
            Arc::new(Float64Array::from(vec![made.skill_vs_naive; rows])),
            Arc::new(Int64Array::from(vec![history as i64; rows])),
            Arc::new(Int64Array::from(vec![self.version; rows])),
            Arc::new(StringArray::from(vec!["ok"; rows])),
            repeat(Some(detail.as_str()).filter(|_| !remarks.is_empty())),
        ])
    }

    fn refused(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
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

    fn description(&self) -> String {
        let Self { horizon, level, non_negative, .. } = self;
        let model = match &self.kept {
            Some(kept) => format!("{}@{}", kept.name, kept.version),
            None => self.model.to_string(),
        };
        let frequency = self.frequency.map_or("auto", Frequency::name);
        let mut text = format!(
            "model={model}, horizon={horizon}, frequency={frequency}, confidence_level={level}, \
             non_negative={non_negative}"
        );
        if self.gaps != Gaps::default() {
            text += &format!(", gap_fill={}", self.gaps.name());
        }
        if self.output_history {
            text += ", output_history=true";
        }
        if !self.known.is_empty() {
            text += &format!(", future=[{}]", self.known.join(", "));
        }
        if let Some(levels) = &self.levels {
            text += &format!(", reconcile={levels}");
        }
        if self.kept.is_none() {
            text += &format!(", holiday_region={}", self.holiday_region.name());
        }
        // It matters to a model of many series alone.
        if self.model == Model::Auto && self.kept.is_none() {
            text += &format!(", seed={}", self.seed);
        }
        text
    }
}

/// Bytes that the values of a series take.
fn bytes(regular: &Result<Regular, Unforecastable>) -> usize {
    regular.as_ref().map_or(0, |regular| regular.values.len() * size_of::<f64>())
}

/// What is known of the steps of a series and of the horizon, one slice a name: the largest value within a step, NaN
/// where all are NULL, 0 where there is none.
fn known(series: &Series, regular: &Regular, horizon: usize) -> Vec<Vec<f64>> {
    let of = |values: &Vec<f64>| {
        let mut steps: Vec<Option<f64>> = vec![None; regular.values.len() + horizon];
        for (time, value) in series.known.times.iter().zip(values) {
            let index = usize::try_from(regular.index(*time)).ok();
            if let Some(step) = index.and_then(|index| steps.get_mut(index)) {
                // NaN loses against any number.
                *step = Some(step.unwrap_or(f64::NAN).max(*value));
            }
        }
        steps.into_iter().map(|step| step.unwrap_or(0.0)).collect()
    };
    series.known.values.iter().map(of).collect()
}

/// The same for models of one series: what is unknown is what was known last, 0 at first. And the kinds of holidays of a
/// daily series that lie in its history.
pub(crate) fn covariates(
    series: &Series,
    regular: &Regular,
    horizon: usize,
    region: HolidayRegion,
) -> Vec<Covariate> {
    let of = |mut values: Vec<f64>| {
        let mut last = 0.0;
        for value in &mut values {
            if value.is_finite() { last = *value } else { *value = last }
        }
        Covariate { cause: Cause::Promotion, values }
    };
    let mut found: Vec<Covariate> = known(series, regular, horizon).into_iter().map(of).collect();
    if regular.frequency() == Frequency::Daily {
        let steps = regular.values.len() + horizon;
        let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for holiday in region.holidays() {
            let step = usize::try_from(regular.index(holiday.day.saturating_mul(DAY))).ok();
            if let Some(step) = step.filter(|step| *step < steps) {
                kinds.entry(holiday.name).or_default().push(step);
            }
        }
        for days in kinds.into_values().filter(|days| days[0] < regular.values.len()) {
            let mut values = vec![0.0; steps];
            days.into_iter().for_each(|day| values[day] = 1.0);
            found.push(Covariate { cause: Cause::Holiday, values });
        }
    }
    found
}

/// A forecast, whoever made it.
struct Made {
    points: Vec<Point>,
    model: Arc<str>,
    skill_vs_naive: Option<f64>,
    detail: Option<Arc<str>>,
}

impl Made {
    /// By the series' own model.
    fn of(forecast: Forecast) -> Made {
        Made {
            points: forecast.points,
            model: forecast.model.name().into(),
            skill_vs_naive: forecast.skill_vs_naive,
            detail: forecast.detail.map(Into::into),
        }
    }
}

impl SeriesOperator for ForecastOperator {
    fn describe(&self) -> String {
        self.description()
    }

    fn process(&self, series: &Series) -> Result<Vec<ArrayRef>> {
        let regular = self.regular(series);
        let made = self.alone(series, &regular);
        self.told(series, &regular, made)
    }

    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.refused(series, status, detail)
    }
}

impl PanelOperator for ForecastOperator {
    fn describe(&self) -> String {
        self.description()
    }

    fn groups(&self, panel: &[Series]) -> Result<Vec<Series>> {
        self.levels.as_ref().map_or_else(|| Ok(Vec::new()), |levels| levels.groups(panel))
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        // Sums learn nothing from each other that their series do not.
        let groups = self.levels.as_ref().map_or(0, |levels| levels.count(panel));
        let own = panel.len() - groups;
        let regular = self.regular_of(panel, own, workers)?;
        let mut together = self.together(&panel[..own], &regular[..own], workers)?;
        // A series that the panel's model does not take goes on alone.
        let alone: Vec<usize> = (0..panel.len()).filter(|at| !together.contains_key(at)).collect();
        let made = workers.map(alone.len(), |at| {
            let made = self.alone(&panel[alone[at]], &regular[alone[at]]);
            let points = made.as_ref().map_or(0, |made| made.points.len());
            workers.hold(points * size_of::<Point>())?;
            Ok(made)
        })?;
        let made = alone.into_iter().zip(made);
        let mut made: BTreeMap<usize, _> = made.chain(std::mem::take(&mut together)).collect();
        if let Some(levels) = &self.levels {
            levels.agree((&panel[..own], &regular), &mut made, self.non_negative)?;
        }
        let made: Vec<_> = made.into_values().map(Mutex::new).collect();
        let rows = |at: usize| {
            let none = Err(Unforecastable::InvalidRequest("taken"));
            let made = std::mem::replace(&mut *made[at].lock().unwrap_or_else(PoisonError::into_inner), none);
            self.told(&panel[at], &regular[at], made)
        };
        workers.rows(panel.len(), rows, out)
    }

    fn refuse(&self, series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        self.refused(series, status, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartsneaks_table_function::Known;

    #[test]
    fn holidays_of_the_history_are_told_to_daily_series() {
        // 2019-01-01 to 2020-01-14, the day before Pongal.
        let days = 17_897..18_276;
        let series = Series {
            ids: Vec::new(),
            times: days.clone().map(|day| day * DAY).collect(),
            values: days.map(|_| 1.0).collect(),
            until: None,
            rows: 379,
            left_out: 0,
            known: Arc::default(),
        };
        let regular = regularise_with(&series.times, &series.values, None, None, Gaps::Zero, &[]).unwrap();
        let found = covariates(&series, &regular, 14, HolidayRegion::TamilNadu);
        assert!(found.iter().all(|one| one.cause == Cause::Holiday && one.values.len() == 393));
        // 2019-01-15 and 2020-01-15.
        let pongal = |one: &&Covariate| one.values[14] == 1.0 && one.values[379] == 1.0;
        assert_eq!(
            found.iter().filter(pongal).map(|one| one.values.iter().sum::<f64>()).collect::<Vec<_>>(),
            [2.0]
        );
        assert!(covariates(&series, &regular, 14, HolidayRegion::None).is_empty());
    }

    #[test]
    fn what_is_known_falls_into_its_step() {
        let days = 0..14;
        let series = Series {
            ids: Vec::new(),
            // 1970-01-05 is a Monday.
            times: days.clone().map(|day| (4 + day) * DAY).collect(),
            values: days.map(|_| 1.0).collect(),
            until: None,
            rows: 14,
            left_out: 0,
            known: Arc::new(Known {
                times: [0, 5, 6, 12, 26].map(|day| day * DAY).to_vec(),
                values: vec![vec![9.0, 2.0, 3.0, f64::NAN, 4.0]],
            }),
        };
        let weekly = Some(Frequency::Weekly);
        let regular = regularise_with(&series.times, &series.values, weekly, None, Gaps::Zero, &[]).unwrap();
        let found = known(&series, &regular, 2);
        assert_eq!((found.len(), found[0].len(), found[0][0]), (1, 4, 3.0));
        assert!(found[0][1].is_nan());
        assert_eq!(found[0][2..], [0.0, 4.0]);
        let carried = &covariates(&series, &regular, 2, HolidayRegion::TamilNadu)[0].values;
        assert_eq!(carried[..], [3.0, 3.0, 0.0, 4.0]);
    }
}
