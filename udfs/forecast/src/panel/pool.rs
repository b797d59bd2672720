//! What series of a category, and of the whole panel, have in common.

use std::collections::BTreeMap;

use super::profile::weekday;
use super::series::PreparedSeries;
use super::totals::between;

/// Days from the launch during which a series borrows its level.
pub(crate) const YOUNG: usize = 28;
/// Weeks of age that are told apart.
const WEEKS: usize = 53;
/// Sales and series-days of the panel that count as much as those of a category.
const PRIOR_SALES: f64 = 400.0;
const PRIOR_DAYS: f64 = 60.0;
/// Days that the panel's calendar may span; later ones only are looked at.
const CALENDAR: i64 = 2_000;

/// Sums over series by category.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pool {
    /// Categories, ascending; groups stand in this order after that of the whole panel.
    pub(crate) categories: Vec<u32>,
    pub(crate) groups: Vec<Group>,
    /// Day of the first of the running sums.
    pub(crate) first_day: i64,
}

/// Sums over one category.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    /// Weekday indices from Monday.
    pub(crate) index: [f64; 7],
    /// Mean sales of a day by week since the launch.
    pub(crate) curve: Vec<f64>,
    /// Sales of all days before each.
    pub(crate) sums: Vec<f64>,
}

#[derive(Clone)]
struct Tally {
    weekdays: [f64; 7],
    counts: [f64; 7],
    ages: Vec<(f64, f64)>,
    sales: f64,
    days: f64,
    daily: Vec<f64>,
}

impl Pool {
    /// Pools all but the last `held` values of every series; in the order in which they come.
    pub(crate) fn new(series: &[PreparedSeries], held: usize) -> Pool {
        let mut categories: Vec<u32> = series.iter().map(PreparedSeries::category).collect();
        categories.sort_unstable();
        categories.dedup();
        let ends = series.iter().map(|series| series.day(series.values.len()));
        let last_day = ends.max().unwrap_or(0);
        let earliest = series.iter().map(|series| series.first_day).min().unwrap_or(0);
        let first_day = earliest.max(last_day - CALENDAR);
        let days = (last_day - first_day).max(0) as usize;
        let empty = Tally {
            weekdays: [0.0; 7],
            counts: [0.0; 7],
            ages: vec![(0.0, 0.0); WEEKS],
            sales: 0.0,
            days: 0.0,
            daily: vec![0.0; days],
        };
        let mut tallies = vec![empty; categories.len() + 1];
        for series in series {
            let group = categories.partition_point(|category| *category < series.category()) + 1;
            tallies[group].add(series, held, first_day, earliest);
        }
        let (whole, parts) = tallies.split_at_mut(1);
        parts.iter().for_each(|part| whole[0].merge(part));
        let panel = tallies[0].group(None);
        let groups = std::iter::once(panel.clone())
            .chain(tallies[1..].iter().map(|tally| tally.group(Some(&panel))))
            .collect();
        Pool { categories, groups, first_day }
    }

    fn group(&self, category: u32) -> &Group {
        let group = self.categories.binary_search(&category).map_or(0, |at| at + 1);
        &self.groups[group]
    }

    /// Weekday indices of a category; those of the panel for one that is not known.
    pub(crate) fn index(&self, category: u32) -> &[f64; 7] {
        &self.group(category).index
    }

    /// Mean sales of a day at an age in days.
    pub(crate) fn level(&self, category: u32, age: usize) -> f64 {
        let curve = &self.group(category).curve;
        curve[(age / 7).min(curve.len() - 1)]
    }

    /// Mean sales a day of a category (of the panel without one) over the days from one to another. NaN where they are
    /// not known.
    pub(crate) fn daily(&self, category: Option<u32>, from: i64, to: i64) -> f64 {
        let sums = &category.map_or(&self.groups[0], |category| self.group(category)).sums;
        between(sums, self.first_day, from, to) / (to - from) as f64
    }
}

impl Tally {
    fn add(&mut self, series: &PreparedSeries, held: usize, first_day: i64, earliest: i64) {
        let known = series.values.len().saturating_sub(held);
        // Whoever sold from the first day on may have been launched long before.
        let launched = series.day(series.launch) >= earliest.saturating_add(YOUNG as i64);
        let recent = known.saturating_sub(364);
        for (at, value) in series.values[..known].iter().enumerate().skip(series.launch) {
            let value = f64::from(*value);
            let day = series.day(at);
            if at >= recent {
                self.weekdays[weekday(day)] += value;
                self.counts[weekday(day)] += 1.0;
                self.sales += value;
                self.days += 1.0;
            }
            if launched {
                let (sales, days) = &mut self.ages[((at - series.launch) / 7).min(WEEKS - 1)];
                *sales += value;
                *days += 1.0;
            }
            if day >= first_day
                && let Some(sum) = self.daily.get_mut((day - first_day) as usize)
            {
                *sum += value;
            }
        }
    }

    fn merge(&mut self, other: &Tally) {
        for day in 0..7 {
            self.weekdays[day] += other.weekdays[day];
            self.counts[day] += other.counts[day];
        }
        for (ours, theirs) in self.ages.iter_mut().zip(&other.ages) {
            *ours = (ours.0 + theirs.0, ours.1 + theirs.1);
        }
        self.sales += other.sales;
        self.days += other.days;
        self.daily.iter_mut().zip(&other.daily).for_each(|(ours, theirs)| *ours += theirs);
    }

    fn group(&self, panel: Option<&Group>) -> Group {
        let panel_level = panel.map_or(self.sales / self.days.max(1.0), |panel| panel.curve[WEEKS - 1]);
        let level = (self.sales + PRIOR_DAYS * panel_level) / (self.days + PRIOR_DAYS);
        let index = std::array::from_fn(|day| {
            let prior = panel.map_or(1.0, |panel| panel.index[day]);
            let part = PRIOR_SALES / 7.0;
            let mean = self.sales / self.days.max(1.0);
            (self.weekdays[day] + part * prior) / (mean * self.counts[day] + part)
        });
        // Where few were launched within view, the curve is the level.
        let curve = self
            .ages
            .iter()
            .map(|(sales, days)| (sales + PRIOR_DAYS * level) / (days + PRIOR_DAYS))
            .collect();
        let mut sums = Vec::with_capacity(self.daily.len() + 1);
        let mut sum = 0.0;
        sums.push(sum);
        for daily in &self.daily {
            sum += daily;
            sums.push(sum);
        }
        Group { index, curve, sums }
    }
}

/// Ranks of codes by the mean sales of the series that have them: a code as a number that trees can divide.
pub(crate) fn ranks(series: &[PreparedSeries], held: usize, number: usize) -> BTreeMap<u32, f32> {
    let mut totals: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    let (mut sales, mut days) = (0.0, 0.0);
    for series in series {
        let Some(code) = series.codes.get(number) else { continue };
        let known = series.values.len().saturating_sub(held);
        let sold: f64 = series.values[..known].iter().map(|value| f64::from(*value)).sum();
        let total = totals.entry(*code).or_default();
        *total = (total.0 + sold, total.1 + known as f64);
        sales += sold;
        days += known as f64;
    }
    let mean = sales / f64::max(days, 1.0);
    let mut order: Vec<(f64, u32)> = totals
        .into_iter()
        .map(|(code, (sold, known))| ((sold + PRIOR_DAYS * mean) / (known + PRIOR_DAYS), code))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.into_iter().enumerate().map(|(rank, (_, code))| (code, rank as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::{PanelRequest, Series, prepare};

    fn panel() -> Vec<PreparedSeries> {
        let request = PanelRequest { horizon: 7, holidays: Vec::new(), series: 1, seed: 1 };
        let old: Vec<f64> = (0..400).map(|day| if day % 7 == 0 { 8.0 } else { 2.0 }).collect();
        // Launched on day 200, ten a day for two weeks, then one.
        let new: Vec<f64> = (0..400)
            .map(|day| {
                if day < 200 {
                    0.0
                } else if day < 214 {
                    10.0
                } else {
                    1.0
                }
            })
            .collect();
        [(old, 1), (new, 2)]
            .into_iter()
            .enumerate()
            .map(|(position, (values, code))| {
                let codes = [code];
                let series =
                    Series { position, values: &values, first_day: 19_723, codes: &codes, covariates: &[] };
                prepare(&series, &request).unwrap()
            })
            .collect()
    }

    #[test]
    fn categories_have_their_own_week_and_age() {
        let pool = Pool::new(&panel(), 0);
        assert!(pool.index(1)[0] > 2.0 && pool.index(1)[1] < 0.8, "{:?}", pool.index(1));
        assert!(pool.level(2, 0) > 1.4 * pool.level(2, 30), "{:?}", pool.groups[2].curve);
        assert_eq!(pool.index(77), &pool.groups[0].index);
        assert!((pool.daily(Some(1), 19_723, 19_730) - 20.0 / 7.0).abs() < 1e-9);
        assert!((pool.daily(None, 19_923, 19_930) - 90.0 / 7.0).abs() < 1e-9);
        assert!(pool.daily(None, 19_722, 19_730).is_nan() && pool.daily(None, 19_723, 30_000).is_nan());
    }

    #[test]
    fn what_is_held_out_is_not_seen() {
        let mut changed = panel();
        changed[0].values[399] = 1000.0;
        assert_eq!(Pool::new(&changed, 1).groups[1].index, Pool::new(&panel(), 1).groups[1].index);
        assert_eq!(ranks(&changed, 1, 0), ranks(&panel(), 1, 0));
        assert!(ranks(&panel(), 0, 0)[&1] > ranks(&panel(), 0, 0)[&2]);
        assert_eq!(Pool::new(&[], 0).groups.len(), 1);
    }
}
