//! What the global model sees of a series at an origin, for a day ahead.
//!
//! Everything that has a size is divided by the level of the profile, so that a rule learned on one series fits another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::civil;

use super::holiday::Holidays;
use super::pool::{Pool, ranks};
use super::profile::{Profile, weekday};
use super::series::{PanelRequest, PreparedSeries};
use super::totals::{LOOKED_AT, Totals};

/// The numbers that do not depend on the request.
const NAMES: [&str; 30] = [
    "level",
    "mean_7",
    "mean_28",
    "mean_91",
    "mean_364",
    "zeros_28",
    "zeros_91",
    "since_sale",
    "spread_28",
    "largest_28",
    "age",
    "step",
    "weekday",
    "weekday_index",
    "day_of_month",
    "day_of_year",
    "weekday_4",
    "weekday_12",
    "year_ago",
    "year_ago_category",
    "year_ago_panel",
    "category_7",
    "category_28",
    "panel_28",
    "last_1",
    "last_2",
    "age_target",
    "panel_7",
    "missed",
    "weekday_26",
];
/// Numbers of a code that other series share.
const OF_TOTAL: usize = 3;
/// Numbers a covariate.
const OF_COVARIATE: usize = 3;
/// Ratios to the level end here.
const MOST: f64 = 50.0;

/// What a row tells beside the level and the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// What happened at this time of the last year.
    Year,
    /// Covariates of the day: promotions, prices.
    Promotions,
    /// Days from holidays.
    Holidays,
}

/// Days before the origin that say what is usual of a covariate.
const USUAL: usize = 91;

/// How rows of features are made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Features {
    pub(crate) holidays: Holidays,
    /// A number for each code, by place among a series' codes.
    pub(crate) ranks: Vec<BTreeMap<u32, f32>>,
    pub(crate) covariates: usize,
    /// What the series of a code sell together, where that says something of each.
    pub(crate) totals: Arc<Vec<Totals>>,
}

impl Features {
    /// For a panel without the last `held` days of each series; `totals` may know them.
    pub(crate) fn new(
        series: &[PreparedSeries],
        held: usize,
        totals: Arc<Vec<Totals>>,
        request: &PanelRequest,
    ) -> Features {
        let first = series.iter().map(|series| series.first_day).min().unwrap_or(0);
        let known = |series: &PreparedSeries| series.day(series.values.len().saturating_sub(held));
        let last = series.iter().map(known).max().unwrap_or(0);
        let codes = series.first().map_or(0, |series| series.codes.len());
        let covariates = series.first().map_or(0, PreparedSeries::covariate_count);
        Features {
            holidays: Holidays::new(&request.holidays, first, last, request.horizon as i64),
            ranks: (0..codes).map(|code| ranks(series, held, code)).collect(),
            covariates,
            totals,
        }
    }

    /// Without what only rows of the past need.
    pub(crate) fn latest(self, horizon: usize) -> Features {
        let days = LOOKED_AT as usize + horizon;
        let totals =
            Arc::unwrap_or_clone(self.totals).into_iter().map(|totals| totals.latest(days)).collect();
        Features { totals: Arc::new(totals), ..self }
    }

    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        NAMES.len()
            + self.ranks.len()
            + OF_TOTAL * self.totals.len()
            + OF_COVARIATE * self.covariates
            + self.holidays.width()
    }

    /// What each number of a row is.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        names.extend((0..self.ranks.len()).map(|code| format!("code_{code}")));
        for totals in self.totals.iter() {
            names.extend([7, 28, 91].map(|days| format!("code_{}_{days}", totals.number)));
        }
        for covariate in 0..self.covariates {
            names.extend(["", "_past_28", "_past_7"].map(|part| format!("covariate_{covariate}{part}")));
        }
        names.extend(self.holidays.kinds.iter().map(|(kind, _)| format!("holiday_{kind}")));
        names
    }

    /// Adds the row of a series for position `target` as seen by one who knows the first `origin` values.
    pub(crate) fn push(
        &self,
        series: &PreparedSeries,
        profile: &Profile,
        pool: &Pool,
        (origin, target): (usize, usize),
        row: &mut Vec<f32>,
    ) {
        let level = profile.level(origin, pool);
        let ratio = |value: f64| (value / level).min(MOST) as f32;
        let (first, seen) = (series.launch.min(origin), &series.values[..origin]);
        let month = &seen[origin.saturating_sub(28).max(first)..];
        let quarter = &seen[origin.saturating_sub(91).max(first)..];
        let day = series.day(target);
        let index = profile.index[weekday(day)];

        row.push(level.ln() as f32);
        for days in [7, 28, 91, 364] {
            row.push(ratio(profile.mean(origin, days)));
        }
        row.extend([zeros(month), zeros(quarter)]);
        let since = seen.iter().rev().take(364).position(|value| *value > 0.0);
        row.push(since.map_or(f32::NAN, |since| since as f32));
        row.push(ratio(deviation(month)));
        row.push(ratio(month.iter().fold(0.0_f32, |most, value| most.max(*value)).into()));
        row.extend([profile.age(origin) as f32, (target - origin + 1) as f32]);
        let (_, of_month) = civil::month_of(day);
        row.extend([weekday(day) as f32, index as f32, of_month as f32, day_of_year(day)]);
        let weeks = |weeks| {
            same_weekday(seen, first, target, weeks).map_or(f32::NAN, |mean| ratio(mean / index.max(0.05)))
        };
        row.extend([weeks(4), weeks(12)]);
        year_ago(series, profile, pool, (origin, target), row);
        row.push(ratio(seen.last().copied().unwrap_or(f32::NAN).into()));
        row.push(ratio(seen.len().checked_sub(2).map_or(f32::NAN, |at| seen[at]).into()));
        row.push(profile.age(target) as f32);
        let today = series.day(origin);
        row.push((pool.daily(None, today - 7, today) / pool.daily(None, today - 28, today)) as f32);
        // What would have been sold since the last sale.
        let silent = since.unwrap_or(origin - first).min(origin - first);
        row.push((profile.mean(origin - silent, 91) * silent as f64) as f32);
        row.push(weeks(26));

        let rank = |(code, ranks): (usize, &BTreeMap<u32, f32>)| {
            series.codes.get(code).and_then(|code| ranks.get(code)).copied().unwrap_or(f32::NAN)
        };
        row.extend(self.ranks.iter().enumerate().map(rank));
        for totals in self.totals.iter() {
            row.extend(others(series, profile, totals, origin));
        }
        for number in 0..self.covariates {
            let covariate = series.covariate(number);
            row.push(covariate.get(target).copied().unwrap_or(f32::NAN));
            for days in [28, 7] {
                row.push(mean(&covariate[origin.saturating_sub(days)..origin]));
            }
        }
        self.holidays.push(day, row);
    }

    /// Takes from a row what it tells: holidays are far off, covariates are as they usually were (their median), last year
    /// is unknown.
    pub(crate) fn hide(&self, told: Told, series: &PreparedSeries, origin: usize, row: &mut [f32]) {
        let holidays = row.len().saturating_sub(self.holidays.width());
        match told {
            Told::Year => {
                let of_year = NAMES.iter().zip(row).filter(|(name, _)| name.starts_with("year_ago"));
                of_year.for_each(|(_, number)| *number = f32::NAN);
            }
            Told::Promotions => {
                let first = holidays - OF_COVARIATE * self.covariates;
                for number in 0..self.covariates {
                    let past = &series.covariate(number)[origin.saturating_sub(USUAL)..origin];
                    row[first + OF_COVARIATE * number] = median(past);
                }
            }
            Told::Holidays => row[holidays..].fill(f32::NAN),
        }
    }
}

/// The median of what is known; NaN where nothing is.
fn median(values: &[f32]) -> f32 {
    let mut known: Vec<f32> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let middle = known.len() / 2;
    if known.is_empty() { f32::NAN } else { *known.select_nth_unstable_by(middle, f32::total_cmp).1 }
}

impl PreparedSeries {
    /// How many covariates it has.
    pub(crate) fn covariate_count(&self) -> usize {
        self.covariates.len() / (self.values.len() + self.horizon).max(1)
    }
}

/// The last week by the last four, those by the last thirteen, and those by the last half year, of the other series that
/// share a code.
fn others(series: &PreparedSeries, profile: &Profile, totals: &Totals, origin: usize) -> [f32; OF_TOTAL] {
    let (today, code) = (series.day(origin), series.codes[totals.number]);
    let daily = |days: i64| {
        let (all, own) = (
            totals.sum(code, today - days, today),
            profile.sum(origin.saturating_sub(days as usize), origin),
        );
        // Less than what rounding may leave of a difference is nothing.
        let others = if all - own > 1e-9 * all { all - own } else { 0.0 };
        others / days as f64
    };
    let [week, month, quarter, half] = [7, 28, 91, LOOKED_AT].map(daily);
    [week / month, month / quarter, quarter / half].map(|ratio| ratio as f32)
}

/// The week around the target a year ago by the four weeks before the origin a year ago, of the series, its category
/// and the panel; then how the latter two have moved lately.
fn year_ago(
    series: &PreparedSeries,
    profile: &Profile,
    pool: &Pool,
    (origin, target): (usize, usize),
    row: &mut Vec<f32>,
) {
    let year = 364;
    let known = target + 4 <= origin + year;
    let own = || {
        let (week, month) = (target.checked_sub(year + 3)?, origin.checked_sub(year + 28)?);
        (week.min(month) >= series.launch).then(|| {
            let before = profile.sum(month, month + 28) / 28.0;
            (profile.sum(week, week + 7) / 7.0 + 0.02) / (before + 0.02)
        })
    };
    row.push(own().filter(|_| known).map_or(f32::NAN, |ratio| ratio.min(MOST) as f32));
    let category = Some(series.category());
    let (today, then) = (series.day(origin), series.day(target) - year as i64);
    for group in [category, None] {
        let (week, before) = (pool.daily(group, then - 3, then + 4), {
            let last_year = today - year as i64;
            pool.daily(group, last_year - 28, last_year)
        });
        row.push(if known { (week / before.max(1e-9)).min(MOST) as f32 } else { f32::NAN });
    }
    let past = |group, days| pool.daily(group, today - days, today);
    row.push((past(category, 7) / past(category, 28)) as f32);
    row.push((past(category, 28) / past(category, 91)) as f32);
    row.push((past(None, 28) / past(None, 91)) as f32);
}

fn zeros(values: &[f32]) -> f32 {
    values.iter().filter(|value| **value == 0.0).count() as f32 / values.len().max(1) as f32
}

/// Mean of what is known; NaN where nothing is.
fn mean(values: &[f32]) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values.iter().filter(|value| !value.is_nan()) {
        sum += f64::from(*value);
        count += 1.0;
    }
    (sum / count) as f32
}

fn deviation(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    (values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// Mean of the last so many values on the weekday of the target.
fn same_weekday(seen: &[f32], first: usize, target: usize, weeks: usize) -> Option<f64> {
    let back = (target - seen.len()) / 7 + 1;
    let latest = target.checked_sub(7 * back)?;
    let (mut sum, mut count) = (0.0, 0.0);
    let mut at = Some(latest);
    while let Some(place) = at.filter(|place| *place >= first && count < weeks as f64) {
        sum += f64::from(seen[place]);
        count += 1.0;
        at = place.checked_sub(7);
    }
    (count > 0.0).then(|| sum / count)
}

fn day_of_year(day: i64) -> f32 {
    let (month, of_month) = civil::month_of(day);
    let january = civil::first_of_month(month - month.rem_euclid(12));
    let first = civil::first_of_month(month);
    (first - january + i64::from(of_month)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::{Series, prepare};

    #[test]
    fn a_row_says_what_its_names_say() {
        let request = PanelRequest { horizon: 7, holidays: vec![(20_100, 4)], series: 1, seed: 1 };
        let values: Vec<f64> = (0..410).map(|day| if day % 7 == 0 { 0.0 } else { 4.0 }).collect();
        let price: Vec<f64> = (0..417).map(|day| if day >= 410 { 5.0 } else { 9.0 }).collect();
        // 2024-01-01, a Monday, on which nothing is sold.
        let series =
            Series { position: 0, values: &values, first_day: 19_723, codes: &[6], covariates: &[&price] };
        let panel = [prepare(&series, &request).unwrap()];
        let pool = Pool::new(&panel, 0);
        let features = Features::new(&panel, 0, Arc::default(), &request);
        let profile = Profile::fit(&panel[0], 410, &pool);
        let mut row = Vec::new();
        features.push(&panel[0], &profile, &pool, (410, 412), &mut row);
        assert_eq!((row.len(), features.names().len()), (features.width(), features.width()));
        let named = |name: &str| row[features.names().iter().position(|own| own == name).unwrap()];
        assert!((named("level").exp() - 24.0 / 7.0).abs() < 0.1);
        assert!((named("zeros_28") - 1.0 / 7.0).abs() < 1e-6);
        // Day 412 is 2025-02-16, a Sunday; origin 410 a Friday, the last value a Thursday.
        assert_eq!((named("weekday"), named("day_of_month"), named("day_of_year")), (6.0, 16.0, 47.0));
        assert_eq!((named("step"), named("age"), named("since_sale")), (3.0, 409.0, 0.0));
        assert!((named("weekday_4") - 1.0).abs() < 0.1 && (named("year_ago") - 1.0).abs() < 0.02);
        assert_eq!((named("covariate_0"), named("covariate_0_past_7")), (5.0, 9.0));
        assert!(named("holiday_4").is_nan());
        assert_eq!(named("code_0"), 0.0);
    }
}
