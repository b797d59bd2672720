//! Sums that are judged, and which of their parts drove an anomaly: `driver_cols => ARRAY['sku']`.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::{ArgumentError, Call, Series};

use super::judged::Judged;
use crate::explanation::driver;
use crate::point::Direction;

/// Points before an anomaly by which the share of each part is told.
const BEFORE: usize = 56;

/// The id columns that are summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drivers {
    /// Their places among the id columns.
    columns: Vec<usize>,
}

impl Drivers {
    /// Finds the columns among those that tell the series apart.
    pub(super) fn read(call: &Call) -> Result<Option<Self>, ArgumentError> {
        let Some(names) = call.arguments.text_array("driver_cols") else { return Ok(None) };
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            match call.ids.iter().position(|id| id == name) {
                Some(column) if !columns.contains(&column) => columns.push(column),
                Some(_) => {
                    return Err(call
                        .arguments
                        .error("driver_cols", format!("driver_cols names {name} twice")));
                }
                None => {
                    let ids = if call.ids.is_empty() { "none".to_owned() } else { call.ids.join(", ") };
                    let message =
                        format!("driver_cols names {name}, which is no id column; the id columns are {ids}");
                    return Err(call.arguments.error("driver_cols", message));
                }
            }
        }
        Ok((!columns.is_empty()).then_some(Self { columns }))
    }

    pub(super) fn describe(&self, ids: &[String]) -> String {
        let names = self.columns.iter().map(|column| ids[*column].as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Positions of the parts of each sum, in the order of their first part.
    fn members(&self, panel: &[Series]) -> Vec<Vec<usize>> {
        let mut places: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (position, series) in panel.iter().enumerate() {
            let ids = series.ids.iter().enumerate().filter(|(place, _)| !self.columns.contains(place));
            // NULL is told from the text NULL.
            let key = ids.map(|(_, id)| format!("{} {id}", id.is_null())).collect();
            let place = *places.entry(key).or_insert(members.len());
            if place == members.len() {
                members.push(Vec::new());
            }
            members[place].push(position);
        }
        members
    }

    /// The sums, with NULL for the ids that they sum over.
    pub(super) fn groups(&self, panel: &[Series]) -> Result<Vec<Series>> {
        let members = self.members(panel);
        let sum = |members: Vec<usize>| {
            let parts = || members.iter().map(|member| &panel[*member]);
            let mut points: BTreeMap<i64, f64> = BTreeMap::new();
            for (time, value) in parts().flat_map(|part| part.times.iter().zip(&part.values)) {
                *points.entry(*time).or_default() += value;
            }
            let first = &panel[members[0]];
            let mut ids = first.ids.clone();
            for column in &self.columns {
                ids[*column] = ScalarValue::try_from(&ids[*column].data_type())?;
            }
            let (times, values) = points.into_iter().unzip();
            // What is known of all parts alike is known of the sum.
            let same = parts().all(|part| Arc::ptr_eq(&part.known, &first.known));
            let known = if same { Arc::clone(&first.known) } else { Arc::default() };
            let until = parts().filter_map(|part| part.until).max();
            Ok::<_, DataFusionError>(Series { ids, times, values, until, rows: 0, left_out: 0, known })
        };
        members.into_iter().map(sum).collect()
    }

    /// For each sum behind the panel's own series: the parts that drove its anomalies, by their points.
    pub(super) fn name(&self, panel: &[Series], sums: &[(usize, &Judged)]) -> Vec<Vec<(usize, Vec<String>)>> {
        let members = self.members(panel);
        let of = |(group, judged): &(usize, &Judged)| {
            let parts: Vec<Part<'_>> =
                members[*group].iter().map(|member| Part::of(&panel[*member], &self.columns)).collect();
            let anomalies = (0..judged.points.len()).filter(|at| judged.points[*at].is_anomaly);
            anomalies.filter_map(|at| Some((at, vec![drove(&parts, judged, at)?]))).collect()
        };
        sums.iter().map(of).collect()
    }
}

/// A part of a sum: its name, its times, and the sums of its values before each.
struct Part<'a> {
    name: String,
    times: &'a [i64],
    before: Vec<f64>,
}

impl<'a> Part<'a> {
    fn of(series: &'a Series, columns: &[usize]) -> Self {
        let name =
            columns.iter().map(|column| series.ids[*column].to_string()).collect::<Vec<_>>().join(", ");
        let mut sum = 0.0;
        let mut before = vec![0.0];
        before.extend(series.values.iter().map(|value| {
            sum += if value.is_finite() { value } else { &0.0 };
            sum
        }));
        Part { name, times: &series.times, before }
    }

    /// The sum of its values from one time to before another.
    fn between(&self, from: i64, to: i64) -> f64 {
        let place = |time: i64| self.times.partition_point(|found| *found < time);
        self.before[place(to)] - self.before[place(from)]
    }
}

/// The part that makes up most of an anomaly: each is expected to have the share of the sum's expectation that it had in
/// the points before.
fn drove(parts: &[Part<'_>], judged: &Judged, at: usize) -> Option<String> {
    let point = &judged.points[at];
    let is_high = point.direction == Some(Direction::High);
    let time = |at: usize| judged.times.get(at).copied().flatten();
    let (from, now) = (time(at.saturating_sub(BEFORE))?, time(at)?);
    let until = time(at + 1).unwrap_or(i64::MAX);
    let usual: Vec<f64> = parts.iter().map(|part| part.between(from, now)).collect();
    let all: f64 = usual.iter().sum();
    if !(point.expected.is_finite() && all > 0.0) {
        return None;
    }
    let children: Vec<(&str, f64, f64)> = parts
        .iter()
        .zip(&usual)
        .map(|(part, usual)| (part.name.as_str(), part.between(now, until), point.expected * usual / all))
        .collect();
    driver(&children, is_high).map(str::to_owned)
}
