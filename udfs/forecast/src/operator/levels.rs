//! Sums of series that are forecast too, and forecasts that add up to them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::Series;

use super::Made;
use crate::calendar::Regular;
use crate::forecast::Point;
use crate::panel::{Hierarchy, Reconciliation, reconcile};
use crate::unforecastable::Unforecastable;

/// Errors of each series that are looked at, the latest.
const ERRORS: usize = 400;

/// The levels of `reconcile => 'sku>brand>total'`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Levels {
    /// As they were written.
    pub(crate) path: String,
    /// Those above the series: the place of an id column, or none for the sum of all.
    pub(crate) columns: Vec<Option<usize>>,
    pub(crate) method: Reconciliation,
}

/// Series of a level: what they share, and their positions.
type Group = (Option<ScalarValue>, Vec<usize>);

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.method_name())
    }
}

impl Levels {
    fn method_name(&self) -> &'static str {
        match self.method {
            Reconciliation::BottomUp => "bottom_up",
            Reconciliation::MinTShrink => "mint_shrink",
        }
    }

    /// The groups of each level, in the order of their first series.
    fn members(&self, panel: &[Series]) -> Vec<Vec<Group>> {
        let level = |column: &Option<usize>| {
            let mut groups: Vec<Group> = Vec::new();
            let mut places: BTreeMap<Option<String>, usize> = BTreeMap::new();
            for (position, series) in panel.iter().enumerate() {
                let id = column.and_then(|column| series.ids.get(column));
                let name = id.filter(|id| !id.is_null()).map(ToString::to_string);
                let place = *places.entry(name).or_insert(groups.len());
                if place == groups.len() {
                    groups.push((id.cloned(), Vec::new()));
                }
                groups[place].1.push(position);
            }
            groups
        };
        self.columns.iter().map(level).collect()
    }

    /// How many of a panel's series are groups that [`groups`](Self::groups) added: they come last.
    pub(super) fn count(&self, panel: &[Series]) -> usize {
        // Those that were added have no rows of their own.
        panel.iter().rev().take_while(|series| series.rows == 0).count()
    }

    /// The sums, level by level, with NULL for the ids that they sum over.
    pub(super) fn groups(&self, panel: &[Series]) -> Result<Vec<Series>> {
        let Some(first) = panel.first() else { return Ok(Vec::new()) };
        let none: Vec<ScalarValue> =
            first.ids.iter().map(|id| ScalarValue::try_from(&id.data_type())).collect::<Result<_>>()?;
        let mut sums = Vec::new();
        for (column, groups) in self.columns.iter().zip(self.members(panel)) {
            for (id, members) in groups {
                let mut points: BTreeMap<i64, f64> = BTreeMap::new();
                for series in members.iter().map(|member| &panel[*member]) {
                    for (time, value) in series.times.iter().zip(&series.values) {
                        *points.entry(*time).or_default() += value;
                    }
                }
                let mut ids = none.clone();
                if let (Some(column), Some(id)) = (column, id) {
                    ids[*column] = id;
                }
                let (times, values) = points.into_iter().unzip();
                let until = members.iter().filter_map(|member| panel[*member].until).max();
                sums.push(Series { ids, times, values, until, rows: 0, left_out: 0, known: Arc::default() });
            }
        }
        Ok(sums)
    }

    /// Moves the forecasts of a panel and of the groups behind it until they add up.
    pub(super) fn agree(
        &self,
        (panel, regular): (&[Series], &[Result<Regular, Unforecastable>]),
        made: &mut BTreeMap<usize, Result<Made, Unforecastable>>,
        non_negative: bool,
    ) -> Result<()> {
        // Series that have no forecast are in no sum.
        let able: Vec<usize> =
            (0..panel.len()).filter(|at| made.get(at).is_some_and(Result::is_ok)).collect();
        let mut frequencies = able.iter().filter_map(|at| regular[*at].as_ref().ok()).map(Regular::frequency);
        let Some(frequency) = frequencies.next() else { return Ok(()) };
        if frequencies.any(|other| other != frequency) {
            let reason = "series with steps of several lengths do not add up: give frequency";
            let all: Vec<usize> = made.keys().copied().collect();
            all.into_iter().for_each(|at| {
                made.insert(at, Err(Unforecastable::InvalidRequest(reason)));
            });
            return Ok(());
        }
        let members = self.members(panel);
        let codes: Vec<Vec<u32>> = members
            .iter()
            .map(|groups| {
                let of =
                    |at: &usize| groups.iter().position(|(_, members)| members.binary_search(at).is_ok());
                able.iter().map(|at| of(at).unwrap_or_default() as u32).collect()
            })
            .collect();
        let bad = |error| DataFusionError::Execution(format!("forecast: reconcile: {error}"));
        let hierarchy = Hierarchy::new(able.len(), &codes).map_err(bad)?;

        // The nodes in the hierarchy's order: groups that have a series, level by level, then the series.
        let mut nodes = Vec::with_capacity(hierarchy.nodes());
        let mut place = panel.len();
        for (level, groups) in members.iter().enumerate() {
            for group in 0..groups.len() {
                if hierarchy.group(level, group as u32).is_some() {
                    nodes.push(place);
                } else {
                    let reason = "none of its series has a forecast";
                    made.insert(place, Err(Unforecastable::InvalidRequest(reason)));
                }
                place += 1;
            }
        }
        let upper = nodes.len();
        nodes.extend(&able);
        let points = |at: usize| made.get(&at).and_then(|made| made.as_ref().ok()).map(|made| &made.points);
        let horizon = points(able[0]).map_or(0, Vec::len);
        let of = |value: fn(&Point) -> f64| -> Vec<Vec<f64>> {
            let bottom: Vec<Vec<f64>> =
                able.iter().filter_map(|at| Some(points(*at)?.iter().map(value).collect())).collect();
            let mut rows = vec![Vec::with_capacity(horizon); hierarchy.nodes()];
            for step in 0..horizon {
                let at: Vec<f64> = bottom.iter().map(|row| row[step]).collect();
                rows.iter_mut().zip(hierarchy.sum(&at)).for_each(|(row, sum)| row.push(sum));
            }
            // A group that has a forecast of its own says that.
            for (row, node) in rows.iter_mut().zip(&nodes[..upper]) {
                if let Some(points) = points(*node).filter(|points| points.len() == horizon) {
                    *row = points.iter().map(value).collect();
                }
            }
            rows
        };
        let (base, lower, above) =
            (of(|point| point.value), of(|point| point.lower), of(|point| point.upper));
        let errors = self.errors(&nodes, regular);
        // Values of 1e100 and beyond.
        let Ok(agreed) = reconcile(&hierarchy, &base, &errors, self.method, non_negative) else {
            nodes.iter().for_each(|node| {
                made.insert(*node, Err(Unforecastable::OutOfRange { what: "forecast that is to be summed" }));
            });
            return Ok(());
        };
        let remark = format!("reconciled over {} by {}", self.path, self.method_name());
        for (row, node) in nodes.iter().enumerate() {
            let moved = (0..horizon).map(|step| {
                let (value, by) = (agreed[row][step], agreed[row][step] - base[row][step]);
                let floor = |bound: f64| if non_negative { bound.max(0.0) } else { bound };
                let (lower, upper) = (floor(lower[row][step] + by), floor(above[row][step] + by));
                Point { value, lower: lower.min(value), upper: upper.max(value) }
            });
            let moved: Vec<Point> = moved.collect();
            let own = made.remove(node).and_then(Result::ok);
            let own = own.unwrap_or_else(|| Made {
                points: Vec::new(),
                model: "sum".into(),
                skill_vs_naive: None,
                detail: None,
            });
            let detail = match own.detail {
                Some(detail) => format!("{detail}; {remark}"),
                None => remark.clone(),
            };
            made.insert(*node, Ok(Made { points: moved, detail: Some(detail.into()), ..own }));
        }
        Ok(())
    }

    /// How hard each node is to forecast, and which miss together: the latest errors of the seasonal naive forecast,
    /// since models of a panel have none of each series' past.
    fn errors(&self, nodes: &[usize], regular: &[Result<Regular, Unforecastable>]) -> Vec<Vec<f64>> {
        if self.method == Reconciliation::BottomUp {
            return Vec::new();
        }
        let values = |node: usize| regular.get(node).and_then(|regular| regular.as_ref().ok());
        let longest = nodes.iter().filter_map(|node| values(*node)).map(|one| one.values.len()).max();
        let kept = longest.unwrap_or(0).clamp(3, ERRORS);
        let errors = |node: &usize| {
            let mut errors = vec![0.0; kept];
            if let Some(regular) = values(*node) {
                let season = regular.frequency().season().max(1);
                let values = &regular.values;
                for back in 1..=kept.min(values.len().saturating_sub(season)) {
                    let at = values.len() - back;
                    errors[kept - back] = values[at] - values[at - season];
                }
            }
            errors
        };
        nodes.iter().map(errors).collect()
    }
}
