//! The table function `detect_anomalies` over series: its signature, arguments and rows.

mod daily;
mod drivers;
mod judged;
mod trade;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray, new_empty_array, new_null_array};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_forecast::{HolidayRegion, timestamps};
use smartsneaks_table_function::{
    Argument, ArgumentError, Call, Kind, Operator, PanelOperator, Series, Signature, Sink, TableFunction,
    Workers, refusal,
};

use super::{CONTAMINATION, SEED, THRESHOLD, code, cutoff, forest, threshold};
use crate::auto::Method;
use crate::isolation_forest::{Cutoff, ForestOptions};
use crate::point::{Direction, Point, Severity, Side, Status};
use drivers::Drivers;
use judged::{Judged, Points};
use trade::{RETURNS_COL, REVENUE_COL, Trade};

const SIGNATURE: Signature = Signature {
    name: "detect_anomalies",
    aliases: &["anomaly"],
    description: "Judges every point of each series: what was expected, how far off it was, and a sentence on what is \
                  an anomaly. Daily sales are held against level, weekday, season and holidays, with p-values from all \
                  series together; other series against a decomposition or their median.",
    example: "SELECT city, timestamp, value, expected_value, explanation FROM detect_anomalies((SELECT city, date, orders \
              FROM city_daily_metrics)) WHERE is_anomaly ORDER BY anomaly_score DESC LIMIT 5",
    arguments: &[
        Argument::SERIES,
        Argument {
            name: "method",
            kind: Kind::Text,
            default: Some("auto"),
            doc: "auto, forecast (daily values), stl (a season and a trend), robust_z (distance from the median) or \
                  isolation_forest (a point's recent past as features, with returns_col and revenue_col also of what \
                  came back and of the price); auto takes forecast for 56 days and more without negative values, stl \
                  for 24 regular points and more, else robust_z",
        },
        THRESHOLD,
        CONTAMINATION,
        Argument {
            name: "direction",
            kind: Kind::Text,
            default: Some("both"),
            doc: "which anomalies count: both, high or low",
        },
        Argument {
            name: "last_n",
            kind: Kind::Integer,
            default: None,
            doc: "give the last points of each series only; their expectation comes from the points before them alone",
        },
        Argument {
            name: "holiday_region",
            kind: Kind::Text,
            default: Some("IN-TN"),
            doc: "whose public holidays may explain a day: IN-TN (Tamil Nadu) or none",
        },
        Argument {
            name: "promotions",
            kind: Kind::Relation,
            default: None,
            doc: "what may explain a day beside holidays, for daily values: a relation with a time, perhaps id columns of \
                  the series, and numbers or truth values such as a discount; a day without a row has none",
        },
        Argument {
            name: "driver_cols",
            kind: Kind::TextArray,
            default: None,
            doc: "id columns that are summed up: the sums are judged, with NULL in these columns, and the sentence names the \
                  part that drove an anomaly",
        },
        Argument::DATA_COL,
        Argument::TIMESTAMP_COL,
        Argument::ID_COLS,
        Argument::AS_OF,
        SEED,
        RETURNS_COL,
        REVENUE_COL,
    ],
};

#[derive(Debug)]
pub(super) struct DetectSeries;

impl TableFunction for DetectSeries {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn columns(&self, time: &DataType) -> Vec<Field> {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        vec![
            Field::new("timestamp", time.clone(), true),
            number("value"),
            number("expected_value"),
            number("lower_bound"),
            number("upper_bound"),
            Field::new("is_anomaly", DataType::Boolean, true),
            number("anomaly_score"),
            number("anomaly_probability"),
            text("direction"),
            text("severity"),
            text("method"),
            text("contributing_features"),
            text("explanation"),
            Field::new("status", DataType::Utf8, false),
            text("status_detail"),
        ]
    }

    fn operator(&self, call: &Call) -> Result<Operator, ArgumentError> {
        let arguments = &call.arguments;
        let method = match arguments.text("method").unwrap_or_default().to_lowercase().as_str() {
            "auto" => None,
            "forecast" => Some(Method::Forecast),
            "stl" => Some(Method::Stl { season: 0 }),
            "robust_z" => Some(Method::RobustZ),
            "isolation_forest" => Some(Method::IsolationForest),
            other => {
                let valid = ["auto", "forecast", "stl", "robust_z", "isolation_forest"];
                return Err(arguments.not_among("method", other, &valid));
            }
        };
        let side = match arguments.text("direction").unwrap_or_default().to_lowercase().as_str() {
            "both" => Side::Both,
            "high" => Side::High,
            "low" => Side::Low,
            other => return Err(arguments.not_among("direction", other, &["both", "high", "low"])),
        };
        let last_n = match arguments.integer("last_n") {
            None => None,
            Some(found) => Some(usize::try_from(found).ok().filter(|last| *last > 0).ok_or_else(|| {
                arguments.error("last_n", format!("last_n must be at least 1, not {found}"))
            })?),
        };
        let region = arguments.text("holiday_region").unwrap_or_default();
        let region = HolidayRegion::named(region).ok_or_else(|| {
            arguments.not_among("holiday_region", region, &HolidayRegion::ALL.map(HolidayRegion::name))
        })?;
        let forested = method == Some(Method::IsolationForest);
        if !forested && arguments.float(CONTAMINATION.name).is_some() {
            let error =
                arguments.error(CONTAMINATION.name, "contamination belongs to method => 'isolation_forest'");
            return Err(error.with_hint("give a threshold instead"));
        }
        let trade = Trade::read(call, forested)?;
        let promotions = if trade.given().next().is_some() { Vec::new() } else { call.known.clone() };
        if !promotions.is_empty() && !matches!(method, None | Some(Method::Forecast)) {
            let error =
                arguments.error("promotions", "promotions belongs to method => 'forecast' and to auto");
            return Err(error.with_hint("leave out the method, or the promotions"));
        }
        Ok(Operator::Panel(Arc::new(DetectOperator {
            method,
            threshold: threshold(arguments)?,
            cutoff: if forested { cutoff(arguments)? } else { Cutoff::default() },
            // A panel has a forest for each of its series.
            forest: ForestOptions { trees: Some(100), ..forest(arguments) },
            side,
            last_n,
            region,
            time: call.time.clone(),
            measure: call.value.clone(),
            promotions,
            trade,
            drivers: Drivers::read(call)?,
            ids: call.ids.clone(),
        })))
    }
}

/// What a point takes while its series is judged: its values, what is expected of them, and what is made of both.
const BYTES_A_POINT: usize = 130;

/// `detect_anomalies` with its arguments checked.
#[derive(Debug)]
struct DetectOperator {
    /// None chooses by the shape of each series.
    method: Option<Method>,
    threshold: Option<f64>,
    cutoff: Cutoff,
    forest: ForestOptions,
    side: Side,
    last_n: Option<usize>,
    region: HolidayRegion,
    time: DataType,
    /// Name of the value column.
    measure: String,
    /// Names of the numbers that may explain a day.
    promotions: Vec<String>,
    trade: Trade,
    drivers: Option<Drivers>,
    /// Names of the id columns.
    ids: Vec<String>,
}

impl PanelOperator for DetectOperator {
    fn describe(&self) -> String {
        let method = self.method.map_or("auto", Method::name);
        let mut text = format!("method={method}, direction={}", side_name(self.side));
        if let Some(threshold) = self.threshold {
            text += &format!(", threshold={threshold}");
        }
        if let Some(last) = self.last_n {
            text += &format!(", last_n={last}");
        }
        if !self.promotions.is_empty() {
            text += &format!(", promotions=[{}]", self.promotions.join(", "));
        }
        if let Some(drivers) = &self.drivers {
            text += &format!(", driver_cols=[{}]", drivers.describe(&self.ids));
        }
        for (argument, column) in self.trade.given() {
            text += &format!(", {argument}={column}");
        }
        text + &format!(", holiday_region={}", self.region.name())
    }

    fn groups(&self, panel: &[Series]) -> Result<Vec<Series>> {
        self.drivers.as_ref().map_or_else(|| Ok(Vec::new()), |drivers| drivers.groups(panel))
    }

    fn process(&self, panel: &[Series], workers: &Workers, out: &mut Sink<'_>) -> Result<()> {
        let Some(drivers) = &self.drivers else { return self.judge(panel, workers, |_| Ok(Vec::new()), out) };
        // Sums have no rows of their own; the parts, which come first, have no rows in the result.
        let parts = panel.len() - panel.iter().rev().take_while(|series| series.rows == 0).count();
        let nothing: Vec<ArrayRef> =
            DetectSeries.columns(&self.time).iter().map(|field| new_empty_array(field.data_type())).collect();
        (0..parts).try_for_each(|_| out(nothing.clone()))?;
        self.judge(&panel[parts..], workers, |judged| Ok(drivers.name(&panel[..parts], judged)), out)
    }

    fn refuse(&self, _series: &Series, status: &str, detail: &str) -> Result<Vec<ArrayRef>> {
        Ok(refusal(&DetectSeries.columns(&self.time), status, detail))
    }
}

/// Names what drove the anomalies of judged series, by their positions.
type Named = Vec<Vec<(usize, Vec<String>)>>;

impl DetectOperator {
    /// Gives the rows of every series; `name` says what drove the anomalies of those that were judged.
    fn judge(
        &self,
        panel: &[Series],
        workers: &Workers,
        name: impl Fn(&[(usize, &Judged)]) -> Result<Named>,
        out: &mut Sink<'_>,
    ) -> Result<()> {
        let points = workers.map(panel.len(), |at| {
            workers.hold(BYTES_A_POINT * panel[at].values.len())?;
            Ok(Points::of(&panel[at], self.method, &self.trade))
        })?;
        let mut judged = self.judge_daily(panel, &points, workers)?;
        let others: Vec<usize> = (0..panel.len()).filter(|at| !judged.contains_key(at)).collect();
        let found = workers.map(others.len(), |at| Ok(self.judge_alone(&points[others[at]])))?;
        judged.extend(others.into_iter().zip(found));
        let able: Vec<(usize, &Judged)> =
            judged.iter().filter_map(|(at, judged)| Some((*at, judged.as_ref().ok()?))).collect();
        let named = name(&able)?;
        let places: Vec<usize> = able.iter().map(|(at, _)| *at).collect();
        for (at, drivers) in places.into_iter().zip(named) {
            if let Some(Ok(judged)) = judged.get_mut(&at) {
                judged.drivers = drivers;
            }
        }
        workers.check()?;
        let rows = |at: usize| match &judged[&at] {
            Ok(judged) => self.rows(&panel[at], judged),
            Err(error) => self.refuse(&panel[at], code(error), &error.to_string()),
        };
        workers.rows(panel.len(), rows, out)
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Both => "both",
        Side::High => "high",
        Side::Low => "low",
    }
}

fn status(point: &Point) -> &'static str {
    match point.status {
        Status::Ok => "ok",
        Status::NoValue => "no_value",
        Status::NotEnoughHistory => "not_enough_history",
    }
}

impl DetectOperator {
    fn rows(&self, series: &Series, judged: &Judged) -> Result<Vec<ArrayRef>> {
        let count = judged.points.len();
        let first = count - self.last_n.unwrap_or(count).min(count);
        let points = &judged.points[first..];
        let number = |of: fn(&Point) -> f64| -> ArrayRef {
            let finite = points.iter().map(|point| Some(of(point)).filter(|value| value.is_finite()));
            Arc::new(finite.collect::<Float64Array>())
        };
        let features = points.iter().zip(first..).map(|(point, at)| match point.is_anomaly {
            true => judged.features(at),
            false => None,
        });
        let sentences = points.iter().zip(first..).map(|(point, at)| match point.is_anomaly {
            true => Some(judged.sentence(&self.measure, series, &self.time, at)),
            false => None,
        });
        Ok(vec![
            timestamps(&self.time, judged.times[first..].iter().copied())?,
            number(|point| point.value),
            number(|point| point.expected),
            number(|point| point.lower),
            number(|point| point.upper),
            Arc::new(points.iter().map(|point| Some(point.is_anomaly)).collect::<BooleanArray>()),
            number(|point| point.score),
            number(|point| point.probability),
            Arc::new(
                points.iter().map(|point| point.direction.map(Direction::name)).collect::<StringArray>(),
            ),
            Arc::new(points.iter().map(|point| point.severity.map(Severity::name)).collect::<StringArray>()),
            Arc::new(StringArray::from(vec![judged.method.name(); points.len()])),
            Arc::new(features.collect::<StringArray>()),
            Arc::new(sentences.collect::<StringArray>()),
            Arc::new(StringArray::from_iter_values(points.iter().map(status))),
            match &judged.remark {
                Some(remark) => Arc::new(StringArray::from(vec![remark.as_str(); points.len()])),
                None => new_null_array(&DataType::Utf8, points.len()),
            },
        ])
    }
}
