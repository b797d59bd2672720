//! One series on its way: its points, how they were judged, and what is said of them.

use smartsneaks_forecast::{Frequency, regularise};
use smartsneaks_table_function::Series;

use super::super::rows::listed;
use super::DetectOperator;
use super::trade::{Trade, Traded};
use crate::auto::{Method, series_method};
use crate::explanation::{Facts, explain, explain_features};
use crate::isolation_forest::{IsolationForest, judge_scores};
use crate::point::{Direction, Side};
use crate::robust_z::{ROBUST_Z_THRESHOLD, robust_z, robust_z_or_counts};
use crate::stl::{StlOptions, stl};
use crate::{Contribution, Error, Matrix, Point};

/// Values before a point that an isolation forest looks at.
pub(super) const WINDOW: usize = 28;
/// Place of the mean of those values among the features.
const ROLLING_MEAN: usize = 3;
const SECOND: i64 = 1_000_000;

/// The points of a series that are judged.
#[derive(Debug)]
pub(super) struct Points {
    /// Microseconds since 1970.
    pub(super) times: Vec<Option<i64>>,
    pub(super) values: Vec<f64>,
    pub(super) method: Method,
    /// What came back and what was paid.
    traded: Traded,
    /// Days without a row that count as zero.
    filled: usize,
}

impl Points {
    /// Days without a sale are zeros, in a series of days; measurements within the day stay as they are.
    pub(super) fn of(series: &Series, method: Option<Method>, trade: &Trade) -> Points {
        let within_days = Frequency::infer(&series.times) == Frequency::Hourly;
        let regular = match within_days {
            true => None,
            false => regularise(&series.times, &series.values, None, series.until).ok(),
        };
        let traded = trade.of(series);
        let (times, values, filled, traded): (Vec<Option<i64>>, _, _, _) = match regular {
            Some(regular) => {
                let times = (0..regular.values.len()).map(|at| regular.time(at)).collect();
                // Numbers at the same times stand on the same steps; sums beyond all numbers say nothing.
                let traded = traded.map(|numbers| {
                    let steps = regularise(&series.times, numbers, None, series.until);
                    steps.map_or_else(|_| vec![0.0; regular.values.len()], |steps| steps.values)
                });
                (times, regular.values, regular.gaps_filled, traded)
            }
            None => (series.times.iter().copied().map(Some).collect(), series.values.clone(), 0, traded),
        };
        let seconds: Vec<i64> = times.iter().flatten().map(|time| time.div_euclid(SECOND)).collect();
        let found = series_method(&seconds, &values);
        let method = match (method, found) {
            (None, found) => found,
            // The season is what the shape of the series says.
            (Some(Method::Stl { .. }), Method::Stl { season }) => Method::Stl { season },
            (Some(Method::Stl { .. }), Method::Forecast) => Method::Stl { season: 7 },
            (Some(Method::Stl { .. }), _) => Method::Stl { season: 1 },
            (Some(method), _) => method,
        };
        Points { times, values, method, traded, filled }
    }

    pub(super) fn remark(&self) -> Option<String> {
        let (filled, all) = (self.filled, self.values.len());
        (filled > 0).then(|| format!("{filled} of {all} steps without a row count as zero"))
    }
}

/// A judged series.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) times: Vec<Option<i64>>,
    pub(super) points: Vec<Point>,
    pub(super) method: Method,
    pub(super) remark: Option<String>,
    /// What was expected without holidays, where that differs from what was expected.
    pub(super) usual: Vec<f64>,
    /// Holidays of an anomaly's day, each with the factor that was expected of it.
    pub(super) causes: Vec<(usize, Vec<(String, f64)>)>,
    /// The part of a sum that drove an anomaly.
    pub(super) drivers: Vec<(usize, Vec<String>)>,
    /// Shares of the features in an anomaly, of an isolation forest.
    pub(super) shares: Vec<(usize, Vec<Contribution>)>,
}

impl Judged {
    /// What had a part in an anomaly, with its share.
    pub(super) fn features(&self, at: usize) -> Option<String> {
        if let Some(shares) = at_point(&self.shares, at) {
            return listed(shares);
        }
        let causes = at_point(&self.causes, at)?;
        let names = causes.iter().map(|(name, factor)| format!("{name} ×{factor:.2}"));
        let list = names.collect::<Vec<_>>().join(", ");
        (!list.is_empty()).then_some(list)
    }

    /// One sentence on an anomaly.
    pub(super) fn sentence(
        &self,
        measure: &str,
        series: &Series,
        time: &arrow::datatypes::DataType,
        at: usize,
    ) -> String {
        let ids = series
            .ids
            .iter()
            .filter(|id| !id.is_null())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let subject = if ids.is_empty() { String::new() } else { format!("of {ids}") };
        if let Some(shares) = at_point(&self.shares, at) {
            let subject =
                if subject.is_empty() { measure.to_owned() } else { format!("{measure} {subject}") };
            return explain_features(&subject, shares);
        }
        let moment = self.times[at].and_then(|micros| when(micros, time)).unwrap_or_default();
        let causes = at_point(&self.causes, at).unwrap_or_default();
        let causes: Vec<(&str, f64)> = causes.iter().map(|(name, factor)| (name.as_str(), *factor)).collect();
        let point = &self.points[at];
        explain(&Facts {
            measure,
            subject: &subject,
            when: &moment,
            value: point.value,
            usual: self.usual.get(at).copied().filter(|usual| usual.is_finite()).unwrap_or(point.expected),
            causes: &causes,
            driver: at_point(&self.drivers, at).and_then(<[String]>::first).map(String::as_str),
        })
    }
}

/// What is kept of a point, in a list that is sorted by points.
fn at_point<T>(kept: &[(usize, Vec<T>)], at: usize) -> Option<&[T]> {
    let place = kept.binary_search_by_key(&at, |(point, _)| *point).ok()?;
    Some(&kept[place].1)
}

/// A time as SQL writes it: a date, or a timestamp.
fn when(micros: i64, time: &arrow::datatypes::DataType) -> Option<String> {
    let array = smartsneaks_forecast::timestamps(time, [Some(micros)]).ok()?;
    arrow::util::display::array_value_to_string(&array, 0).ok()
}

impl DetectOperator {
    /// Says on which side an anomaly lies that has no expectation; on the side that does not count it is none.
    fn direct(&self, point: &mut Point, deviation: f64) {
        if self.side != Side::Both && !self.side.counts(deviation) {
            (point.is_anomaly, point.severity) = (false, None);
        } else if deviation != 0.0 {
            point.direction = Some(if deviation > 0.0 { Direction::High } else { Direction::Low });
        }
    }

    /// Judges a series by itself.
    pub(super) fn judge_alone(&self, points: &Points) -> Result<Judged, Error> {
        let values = &points.values;
        let mut shares = Vec::new();
        let judged = match points.method {
            Method::Stl { season } => {
                stl(values, StlOptions { season, threshold: self.threshold, side: self.side })?
            }
            Method::IsolationForest => {
                let (names, features) = points.traded.features(values)?;
                let matrix = Matrix::new(&features, names.len())?;
                let forest = IsolationForest::fit(matrix, self.forest)?;
                let mut judged = judge_scores(&forest.scores(matrix)?, self.cutoff)?;
                let rows = features.chunks_exact(names.len());
                for ((point, value), row) in judged.iter_mut().zip(values).zip(rows) {
                    // A row of features has no expectation of its own.
                    (point.value, point.expected) = (*value, f64::NAN);
                    (point.lower, point.upper) = (f64::NAN, f64::NAN);
                    if point.is_anomaly {
                        self.direct(point, value - row[ROLLING_MEAN]);
                    }
                }
                let anomalies: Vec<usize> = (0..judged.len()).filter(|at| judged[*at].is_anomaly).collect();
                let parts = forest.contributions(matrix, &anomalies)?;
                let named = |shares: Vec<f64>| {
                    let parts = names.iter().zip(shares);
                    parts.map(|(name, share)| Contribution { name: (*name).to_owned(), share }).collect()
                };
                shares = anomalies.into_iter().zip(parts.into_iter().map(named)).collect();
                judged
            }
            Method::Forecast if self.method.is_some() => return Err(Error::NotDaily),
            // What is left here of a forecast that auto chose are series that have gaps among their days.
            Method::RobustZ | Method::Forecast => {
                // Who asks for the method gets the textbook's.
                let judge = if self.method.is_some() { robust_z } else { robust_z_or_counts };
                judge(values, self.threshold.unwrap_or(ROBUST_Z_THRESHOLD), self.side)?
            }
        };
        Ok(Judged {
            times: points.times.clone(),
            points: judged,
            method: if points.method == Method::Forecast { Method::RobustZ } else { points.method },
            remark: points.remark(),
            usual: Vec::new(),
            causes: Vec::new(),
            drivers: Vec::new(),
            shares,
        })
    }
}
