//! All daily series of a call together: expectations from what they share, p-values from all their errors.

use std::collections::BTreeMap;

use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::{Known, Workers};

use super::DetectOperator;
use super::judged::{Judged, Points};
use crate::Error;
use crate::auto::Method;
use crate::forecast::{
    Expectation, FALSE_DISCOVERIES, Holiday, PanelSurprises, Profile, Promotion, SaleSizes, Series,
    collect_scores, collect_sizes, collect_surprises, forecast_threshold, judge,
};

const DAY: i64 = 86_400_000_000;
/// Days times series that are held at most, some 130 bytes each.
const MOST: usize = 16_000_000;
/// Days whose expectation looks at the past alone, where `last_n` does not say.
const LAST: usize = 7;

impl DetectOperator {
    /// Judges the series whose method is `forecast`, by their positions. All stand on the panel's calendar: from the
    /// first day of any to the last.
    pub(super) fn judge_daily(
        &self,
        panel: &[smartsneaks_table_function::Series],
        points: &[Points],
        workers: &Workers,
    ) -> Result<BTreeMap<usize, Result<Judged, Error>>> {
        let daily = |points: &Points| {
            let day = |at: usize| points.times.get(at).copied().flatten().map(|time| time.div_euclid(DAY));
            let first = day(0)?;
            let last = day(points.values.len().checked_sub(1)?)?;
            let steps = usize::try_from(last - first).ok()? + 1;
            (points.method == Method::Forecast && steps == points.values.len()).then_some((first, last))
        };
        let spans: BTreeMap<usize, (i64, i64)> =
            points.iter().enumerate().filter_map(|(at, points)| Some((at, daily(points)?))).collect();
        let (Some(first), Some(last)) =
            (spans.values().map(|span| span.0).min(), spans.values().map(|span| span.1).max())
        else {
            return Ok(BTreeMap::new());
        };
        let days = usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
        if days.saturating_mul(spans.len()) > MOST {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "detect_anomalies would hold {} series of {days} days; use method => 'robust_z', or fewer series",
                spans.len()
            )));
        }
        let positions: Vec<usize> = spans.keys().copied().collect();
        let starts: Vec<usize> =
            spans.values().map(|span| usize::try_from(span.0 - first).unwrap_or_default()).collect();
        // Days before a series begins count as before its first sale, days after its end as without sales, and days
        // on which more came back than was sold as well: counts have no sign.
        let padded = |at: usize| -> Days<'_> {
            let mut values = vec![0.0; days];
            let own = points[positions[at]].values.iter();
            values[starts[at]..].iter_mut().zip(own).for_each(|(place, value)| *place = value.max(0.0));
            let mut intensities = intensities(&panel[positions[at]].known, first, days);
            // A sum of parts that know different things knows nothing.
            intensities.resize(self.promotions.len(), vec![0.0; days]);
            Days { first, values, names: &self.promotions, intensities }
        };
        let none = vec![vec![0.0; days]; self.promotions.len()];
        let mut total = Days { first, values: vec![0.0; days], names: &self.promotions, intensities: none };
        (0..positions.len()).for_each(|at| total.add(&padded(at)));
        total.even_out();
        let named = self.region.holidays();
        let holidays: Vec<Holiday<'_>> =
            named.iter().map(|holiday| Holiday { day: holiday.day, name: holiday.name }).collect();
        // More last days than half of all would leave nothing to learn from.
        let looking_back = self.last_n.unwrap_or(LAST).min(days / 2);
        let profile = match total.with(|total| Profile::fit(total, &holidays, looking_back)) {
            Ok(profile) => profile,
            Err(error) => return Ok(positions.into_iter().map(|at| (at, Err(error))).collect()),
        };
        let expected = workers
            .map(positions.len(), |at| Ok(padded(at).with(|days| Expectation::fit(days, &profile))))?;
        let usable: Vec<usize> = (0..positions.len()).filter(|at| expected[*at].is_ok()).collect();

        // Counts and sums in the order of the series: the same whoever computed the expectations.
        let mut sizes = SaleSizes::default();
        for at in &usable {
            if let Ok(expectation) = &expected[*at] {
                padded(*at).with(|days| collect_sizes(days, expectation, &mut sizes));
            }
        }
        workers.check()?;
        let mut surprises = PanelSurprises::new(&sizes);
        for at in &usable {
            if let Ok(expectation) = &expected[*at] {
                padded(*at).with(|days| collect_surprises(days, expectation, &mut surprises));
            }
        }
        workers.check()?;
        let tails = surprises.finish();
        let threshold = match self.threshold {
            Some(threshold) => threshold,
            None => {
                let found = workers.map(usable.len(), |at| {
                    let mut scores = Vec::new();
                    if let Ok(expectation) = &expected[usable[at]] {
                        let own = padded(usable[at]);
                        own.with(|days| collect_scores(days, expectation, &tails, self.side, &mut scores));
                    }
                    Ok(scores)
                })?;
                forecast_threshold(&mut found.concat(), &tails, FALSE_DISCOVERIES)
            }
        };
        let judged = workers.map(positions.len(), |at| {
            let expectation = match &expected[at] {
                Ok(expectation) => expectation,
                Err(error) => return Ok(Err(*error)),
            };
            let own_days = padded(at);
            let made = own_days.with(|days| judge(days, expectation, &tails, threshold, self.side));
            Ok(made.map(|all| {
                let points = &points[positions[at]];
                let own = starts[at]..starts[at] + points.values.len();
                let causes = own.clone().filter(|day| all[*day].is_anomaly).map(|day| {
                    let causes = own_days.with(|days| {
                        let causes = expectation.causes(day, &profile, days).into_iter();
                        causes.map(|(name, factor)| (name.to_owned(), factor)).collect()
                    });
                    (day - own.start, causes)
                });
                let causes = causes.collect();
                let mut judged = all[own.clone()].to_vec();
                judged.iter_mut().zip(&points.values).for_each(|(point, value)| point.value = *value);
                Judged {
                    causes,
                    usual: expectation.usual[own].to_vec(),
                    points: judged,
                    times: points.times.clone(),
                    method: Method::Forecast,
                    remark: points.remark(),
                    drivers: Vec::new(),
                    shares: Vec::new(),
                }
            }))
        })?;
        Ok(positions.into_iter().zip(judged).collect())
    }
}

/// A series on the panel's calendar, with what may explain its days.
struct Days<'a> {
    first: i64,
    values: Vec<f64>,
    names: &'a [String],
    /// A number a day for each name.
    intensities: Vec<Vec<f64>>,
}

impl Days<'_> {
    fn with<T>(&self, work: impl FnOnce(&Series<'_>) -> T) -> T {
        let promotions = self.names.iter().zip(&self.intensities);
        let promotions: Vec<Promotion<'_>> =
            promotions.map(|(name, intensity)| Promotion { name, intensity }).collect();
        work(&Series { first_day: self.first, values: &self.values, promotions: &promotions })
    }

    /// Adds a series; its promotions count as much as it sells.
    fn add(&mut self, other: &Days<'_>) {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
        let sold: f64 = other.values.iter().filter(|value| value.is_finite()).sum();
        for (sums, others) in self.intensities.iter_mut().zip(&other.intensities) {
            sums.iter_mut().zip(others).for_each(|(sum, intensity)| *sum += sold * intensity);
        }
    }

    /// Turns the sums of promotions into the usual promotion of a sale.
    fn even_out(&mut self) {
        let sold: f64 = self.values.iter().filter(|value| value.is_finite()).sum();
        let sold = if sold > 0.0 { sold } else { 1.0 };
        self.intensities.iter_mut().flatten().for_each(|intensity| *intensity /= sold);
    }
}

/// What is known of each day from `first` on: the largest number of the day, 0 without one.
fn intensities(known: &Known, first: i64, days: usize) -> Vec<Vec<f64>> {
    let of = |values: &Vec<f64>| {
        let mut found: Vec<Option<f64>> = vec![None; days];
        for (time, value) in known.times.iter().zip(values).filter(|(_, value)| value.is_finite()) {
            let day = usize::try_from(time.div_euclid(DAY) - first).ok();
            if let Some(place) = day.and_then(|day| found.get_mut(day)) {
                *place = Some(place.map_or(*value, |most| most.max(*value)));
            }
        }
        found.into_iter().map(Option::unwrap_or_default).collect()
    };
    known.values.iter().map(of).collect()
}
