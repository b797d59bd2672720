//! What was to be expected of each day of one series.

use super::calendar::{NONE, weekday};
use super::effect::Groups;
use super::{Profile, Series, level, spread};
use crate::Error;

/// The expectation of each day of a series, and what of it is ordinary.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Mean of each day; NaN before the first sale.
    pub mean: Vec<f64>,
    /// The mean without holidays and promotions.
    pub usual: Vec<f64>,
    /// Size of a sale, see the variance of a residual.
    pub unit: f64,
    /// Factor of the promotions of each day.
    pub(super) promotion: Vec<f64>,
}

/// Half-lives of the level to choose from, in days.
const HALF_LIVES: [f64; 5] = [8.0, 20.0, 60.0, 200.0, 1_000.0];
/// Deviations at which a value is cut off before anything is learnt from it.
const LIMIT: f64 = 3.0;

impl Expectation {
    /// Expects each day from the series' level around it, times the profile's factors, the series' own weekdays and its
    /// own elasticities, which are near the profile's while sales are few.
    ///
    /// No day has a part in its own level. The level of days that the profile was not learnt from (the `last` of
    /// [`Profile::fit`]) comes from the days before them alone. How fast the level moves is chosen by the likelihood of
    /// days given their neighbours. Takes O(days), with 200 bytes a day while at it.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the series isn't as long as the profile or has other promotions, [`Error::TooFew`]
    /// below 28 days from its first sale on, or where the mean isn't above 0.
    pub fn fit(series: &Series<'_>, profile: &Profile) -> Result<Expectation, Error> {
        series.check()?;
        let (days, known) = (profile.season.len(), profile.known);
        let same = |what, found, expected| {
            if found == expected { Ok(()) } else { Err(Error::Length { what, found, expected }) }
        };
        same("series", series.values.len(), days)?;
        same("promotions", series.promotions.len(), profile.elasticities.len())?;
        let first = series.values.iter().position(|value| value.is_finite() && *value != 0.0).unwrap_or(days);
        let found = known.saturating_sub(first);
        let sum: f64 = series.values[..known].iter().filter(|value| value.is_finite()).sum();
        if found < super::profile::NEEDED || sum <= 0.0 {
            return Err(Error::TooFew {
                found: if sum > 0.0 { found } else { 0 },
                needed: super::profile::NEEDED,
            });
        }
        let slots = (0..days as i64).map(|day| weekday(series.first_day + day)).collect();
        let mut fit = Fit {
            series,
            profile,
            first,
            unit: spread::unit(&series.values[..known]),
            week: Groups::new(slots, 7, 40.0),
            elasticities: profile.elasticities.clone(),
            values: series.values.to_vec(),
        };
        fit.values[..first].fill(f64::NAN);
        for _ in 0..4 {
            let mut mean = fit.mean(60.0);
            fit.cut_off(&mean);
            fit.week.update(&fit.values, &mut mean, known, fit.unit);
            for (index, column) in series.promotions.iter().enumerate() {
                let state = (&fit.values[..], &mut mean[..]);
                let (own, all) = (fit.elasticities[index], profile.elasticities[index]);
                fit.elasticities[index] = column.update(own, all, state, known, fit.unit);
            }
        }
        let mut half_life = fit.best_half_life();
        for _ in 0..2 {
            let mean = fit.mean(half_life);
            fit.cut_off(&mean);
            half_life = fit.best_half_life();
        }
        let mut mean = fit.mean(half_life);
        mean[..first].fill(f64::NAN);
        let promotion: Vec<f64> = (0..days).map(|day| fit.promotion(day)).collect();
        let usual = (0..days).map(|day| mean[day] / promotion[day] / profile.holiday[day]).collect();
        Ok(Expectation { mean, usual, unit: fit.unit, promotion })
    }

    /// The standardised residual of a day's value: (y − μ) / √(μ · unit + 0.05 μ²).
    #[must_use]
    pub fn residual(&self, day: usize, value: f64) -> f64 {
        spread::residual(value, self.mean[day], self.unit)
    }

    /// The causes of a day that were expected, each with its factor: the holiday that matters most (with whatever others
    /// matter), and the promotions.
    #[must_use]
    pub fn causes<'a>(&self, day: usize, profile: &'a Profile, series: &Series<'a>) -> Vec<(&'a str, f64)> {
        let mut causes = Vec::new();
        let name = profile.holiday_name[day];
        if name != NONE
            && let Some(name) = profile.names.get(usize::from(name))
        {
            causes.push((name.as_str(), profile.holiday[day]));
        }
        let strongest = series.promotions.iter().filter(|column| column.at(day) != 0.0);
        if let Some(column) = strongest.max_by(|a, b| a.at(day).abs().total_cmp(&b.at(day).abs())) {
            causes.push((column.name, self.promotion[day]));
        }
        causes
    }
}

struct Fit<'a> {
    series: &'a Series<'a>,
    profile: &'a Profile,
    first: usize,
    unit: f64,
    week: Groups,
    elasticities: Vec<f64>,
    /// The values, outliers cut off, NaN before the first sale.
    values: Vec<f64>,
}

impl Fit<'_> {
    fn promotion(&self, day: usize) -> f64 {
        let columns = self.series.promotions.iter().zip(&self.elasticities);
        columns.map(|(column, elasticity)| column.at(day) * elasticity).sum::<f64>().exp()
    }

    /// The mean of each day for a half-life. Half a sale at the mean level of the whole series is added to what the
    /// neighbours say, and another half to the whole series', so that no mean is 0.
    fn mean(&self, half_life: f64) -> Vec<f64> {
        let days = self.values.len();
        let base: Vec<f64> = (0..days)
            .map(|day| {
                self.profile.season[day]
                    * self.profile.holiday[day]
                    * self.week.factor(day)
                    * self.promotion(day)
            })
            .collect();
        let sums = level::sums(&self.values, &base, half_life, self.profile.known);
        let all = level::sums(&self.values, &base, 1e9, self.profile.known);
        (0..days)
            .map(|day| {
                let half = 0.5 * self.unit;
                let overall = (all[day].0.max(0.0) + half) / (all[day].1 + base[day]);
                let prior = half / overall;
                base[day] * (sums[day].0.max(0.0) + half) / (sums[day].1 + prior)
            })
            .collect()
    }

    fn cut_off(&mut self, mean: &[f64]) {
        let days = self.values.iter_mut().zip(self.series.values).zip(mean);
        for ((value, given), mean) in days.skip(self.first) {
            *value = spread::winsorised(*given, *mean, self.unit, LIMIT);
        }
    }

    /// The half-life under which known days are most likely given their neighbours (Poisson).
    fn best_half_life(&self) -> f64 {
        let likelihood = |half_life: f64| -> f64 {
            let mean = self.mean(half_life);
            let known = (self.first..self.profile.known).filter(|day| self.values[*day].is_finite());
            known.map(|day| self.values[day] * mean[day].ln() - mean[day]).sum()
        };
        let scored = HALF_LIVES.map(|half_life| (half_life, likelihood(half_life)));
        scored
            .into_iter()
            .fold((60.0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best })
            .0
    }
}
