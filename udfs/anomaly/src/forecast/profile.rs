//! What all series of a panel share: the calendar's factors and the elasticities of promotions.

use super::calendar::{AROUND, Holiday, NONE, around, month_week, weekday, year_week};
use super::effect::Groups;
use super::{Series, level, spread};
use crate::Error;

/// Factors that were learnt from the sum of a panel (or from a single series) and hold for each of its series: weekday,
/// week of the month, week of the year, the days around holidays, and the elasticity of each promotion column.
///
/// Each factor is the posterior mean under a gamma prior around 1, so that a slot with few sales stays near 1; factors
/// are found by backfitting with the level in between. Memory: 30 bytes a day.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Days that effects were learnt from.
    pub(super) known: usize,
    /// Weekday, weeks of month and year.
    pub(super) season: Vec<f64>,
    /// Holidays.
    pub(super) holiday: Vec<f64>,
    /// Index of the name of the holiday with the greatest effect, or [`NONE`].
    pub(super) holiday_name: Vec<u16>,
    /// Names of the holidays.
    pub(super) names: Vec<String>,
    /// Elasticity of each promotion column.
    pub(super) elasticities: Vec<f64>,
}

/// Half-life of the level, in days: slower than any holiday.
const HALF_LIFE: f64 = 60.0;
/// Holidays whose neighbourhood may matter.
const MAJOR: usize = 6;
/// What a neighbourhood has to gain, as a log-likelihood: by chance it gains less than nothing.
const ENOUGH: f64 = 6.0;
/// Deviations at which a value is cut off before anything is learnt from it.
const LIMIT: f64 = 4.0;
/// Days from which on a week of the year is learnt: each came twice.
const TWO_YEARS: usize = 730;
/// Fewest known days.
pub(super) const NEEDED: usize = 28;

impl Profile {
    /// Learns from the days of `total` but its last `last`. Holidays may reach beyond the series.
    ///
    /// A holiday's neighbourhood (three weeks before to one after) is learnt where the likelihood says that it matters,
    /// for six holidays at most; of the others only the day itself.
    ///
    /// # Errors
    ///
    /// [`Error::TooFew`] below 28 known days with a value, [`Error::Length`] where a promotion's length differs.
    pub fn fit(total: &Series<'_>, holidays: &[Holiday<'_>], last: usize) -> Result<Profile, Error> {
        total.check()?;
        let days = total.values.len();
        let known = days.saturating_sub(last);
        let found = total.values[..known].iter().filter(|value| value.is_finite()).count();
        if found < NEEDED {
            return Err(Error::TooFew { found, needed: NEEDED });
        }
        let of = |slot: fn(i64) -> u16| (0..days as i64).map(|day| slot(total.first_day + day)).collect();
        let mut fit = Fit::new(total, known);
        fit.groups.push(Groups::new(of(weekday), 7, 10.0));
        fit.groups.push(Groups::new(of(month_week), 5, 30.0));
        let seasons = fit.groups.len();
        fit.rounds(6);

        let mut names: Vec<&str> = holidays.iter().map(|holiday| holiday.name).collect();
        names.sort_unstable();
        names.dedup();
        let mut group_names = Vec::new();
        for _ in 0..MAJOR {
            let Some((name, groups)) = fit.best_neighbourhood(&names, holidays) else { break };
            group_names.push(name);
            fit.groups.push(groups);
            names.retain(|other| *other != name);
            fit.rounds(5);
        }
        fit.groups.push(days_themselves(&names, holidays, total.first_day, days));
        let of_year = fit.groups.len();
        // Weeks of the year come last: a feast of a fixed date begins on a day, not with a week.
        if known >= TWO_YEARS {
            fit.groups.push(Groups::new(of(year_week), 52, 60.0));
        }
        fit.rounds(6);

        let product =
            |groups: &[Groups], day: usize| groups.iter().map(|groups| groups.factor(day)).product::<f64>();
        let season = (0..days)
            .map(|day| product(&fit.groups[..seasons], day) * product(&fit.groups[of_year..], day))
            .collect();
        let holiday = (0..days).map(|day| product(&fit.groups[seasons..of_year], day)).collect();
        let major = group_names.len();
        let holiday_name = (0..days)
            .map(|day| {
                let effect = |groups: &Groups| groups.factor(day).ln().abs();
                let strongest =
                    (0..=major).filter(|group| fit.groups[seasons + group].slots[day] != NONE).max_by(
                        |a, b| effect(&fit.groups[seasons + a]).total_cmp(&effect(&fit.groups[seasons + b])),
                    );
                match strongest {
                    None => NONE,
                    Some(group) if group == major => major as u16 + fit.groups[seasons + group].slots[day],
                    Some(group) => group as u16,
                }
            })
            .collect();
        Ok(Profile {
            known,
            season,
            holiday,
            holiday_name,
            names: group_names.iter().chain(&names).map(|name| (*name).to_owned()).collect(),
            elasticities: fit.elasticities,
        })
    }
}

struct Fit<'a> {
    series: &'a Series<'a>,
    known: usize,
    unit: f64,
    groups: Vec<Groups>,
    elasticities: Vec<f64>,
    mean: Vec<f64>,
    /// The values, outliers cut off.
    values: Vec<f64>,
}

impl<'a> Fit<'a> {
    fn new(series: &'a Series<'a>, known: usize) -> Fit<'a> {
        Fit {
            series,
            known,
            unit: spread::unit(&series.values[..known]),
            groups: Vec::new(),
            elasticities: vec![0.0; series.promotions.len()],
            mean: Vec::new(),
            values: series.values[..known].to_vec(),
        }
    }

    fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let base: Vec<f64> = (0..self.known)
                .map(|day| {
                    let promotions = self.series.promotions.iter().zip(&self.elasticities);
                    let effect: f64 =
                        promotions.map(|(column, elasticity)| column.at(day) * elasticity).sum();
                    self.groups.iter().map(|groups| groups.factor(day)).product::<f64>() * effect.exp()
                })
                .collect();
            let sums = level::sums(&self.values, &base, HALF_LIFE, self.known);
            let floor = 0.01 * self.unit / self.known as f64;
            self.mean = (0..self.known)
                .map(|day| {
                    let (seen, expected) = sums[day];
                    let level = if expected > 0.0 { seen / expected } else { 0.0 };
                    base[day] * level.max(floor)
                })
                .collect();
            for day in 0..self.known {
                self.values[day] =
                    spread::winsorised(self.series.values[day], self.mean[day], self.unit, LIMIT);
            }
            for groups in &mut self.groups {
                groups.update(&self.values, &mut self.mean, self.known, self.unit);
            }
            for (column, elasticity) in self.series.promotions.iter().zip(&mut self.elasticities) {
                let state = (&self.values[..], &mut self.mean[..]);
                *elasticity = column.update(*elasticity, 0.0, state, self.known, self.unit);
            }
        }
    }

    /// The holiday whose neighbourhood says most of days that it is not learnt from, if it says enough.
    fn best_neighbourhood<'n>(
        &self,
        names: &[&'n str],
        holidays: &[Holiday<'_>],
    ) -> Option<(&'n str, Groups)> {
        let noise = self.dispersion();
        let candidates = names.iter().map(|name| {
            let groups = neighbourhood(name, holidays, self.series.first_day, self.series.values.len());
            let gain = groups.gain(&self.values, &self.mean, self.known, self.unit) / noise;
            (*name, groups, gain)
        });
        let best = candidates.max_by(|a, b| a.2.total_cmp(&b.2))?;
        (best.2 > ENOUGH).then_some((best.0, best.1))
    }

    /// Mean squared residual in units of a Poisson's, at least 1.
    fn dispersion(&self) -> f64 {
        let finite = (0..self.known).filter(|day| self.values[*day].is_finite() && self.mean[*day] > 0.0);
        let squares =
            finite.map(|day| (self.values[day] - self.mean[day]).powi(2) / (self.mean[day] * self.unit));
        let (sum, count) = squares.fold((0.0, 0_usize), |(sum, count), square| (sum + square, count + 1));
        (sum / count.max(1) as f64).max(1.0)
    }
}

/// The days around a holiday; where two of the same name are near, the nearer one counts.
fn neighbourhood(name: &str, holidays: &[Holiday<'_>], first_day: i64, days: usize) -> Groups {
    let mut slots = vec![NONE; days];
    let mut distances = vec![i64::MAX; days];
    for holiday in holidays.iter().filter(|holiday| holiday.name == name) {
        for ahead in -6..=21 {
            if let Some(day) = within(holiday.day - ahead, first_day, days)
                && ahead.abs() < distances[day]
            {
                (slots[day], distances[day]) = (around(ahead), ahead.abs());
            }
        }
    }
    Groups::new(slots, AROUND, 10.0)
}

/// Each of these holidays by itself, in the order of the names.
fn days_themselves(names: &[&str], holidays: &[Holiday<'_>], first_day: i64, days: usize) -> Groups {
    let mut slots = vec![NONE; days];
    for holiday in holidays {
        if let (Ok(name), Some(day)) =
            (names.binary_search(&holiday.name), within(holiday.day, first_day, days))
        {
            slots[day] = name.min(usize::from(NONE) - 100) as u16;
        }
    }
    Groups::new(slots, names.len().min(usize::from(NONE) - 99), 30.0)
}

fn within(day: i64, first_day: i64, days: usize) -> Option<usize> {
    let offset = usize::try_from(day.checked_sub(first_day)?).ok()?;
    (offset < days).then_some(offset)
}

impl Profile {
    /// The holidays whose neighbourhood matters, and the elasticity of each promotion column.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{:?} {:?}", self.names, self.elasticities)
    }
}
