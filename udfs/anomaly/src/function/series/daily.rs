//! All daily series of a call together: expectations from what they share, p-values from all their errors.

use std::collections::BTreeMap;

use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::Workers;

use super::DetectOperator;
use super::judged::{Judged, Points};
use crate::Error;
use crate::auto::Method;
use crate::forecast::{
    Expectation, FALSE_DISCOVERIES, Holiday, PanelSurprises, Profile, SaleSizes, Series, collect_scores,
    collect_sizes, collect_surprises, forecast_threshold, judge,
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
        let padded = |at: usize| -> Vec<f64> {
            let mut values = vec![0.0; days];
            let own = points[positions[at]].values.iter();
            values[starts[at]..].iter_mut().zip(own).for_each(|(place, value)| *place = value.max(0.0));
            values
        };
        let mut total = vec![0.0; days];
        for at in 0..positions.len() {
            let own = points[positions[at]].values.iter();
            total[starts[at]..].iter_mut().zip(own).for_each(|(total, value)| *total += value.max(0.0));
        }
        let named = self.region.holidays();
        let holidays: Vec<Holiday<'_>> =
            named.iter().map(|holiday| Holiday { day: holiday.day, name: holiday.name }).collect();
        // More last days than half of all would leave nothing to learn from.
        let looking_back = self.last_n.unwrap_or(LAST).min(days / 2);
        let profile = match Profile::fit(&on(first, &total), &holidays, looking_back) {
            Ok(profile) => profile,
            Err(error) => return Ok(positions.into_iter().map(|at| (at, Err(error))).collect()),
        };
        let expected =
            workers.map(positions.len(), |at| Ok(Expectation::fit(&on(first, &padded(at)), &profile)))?;
        let usable: Vec<usize> = (0..positions.len()).filter(|at| expected[*at].is_ok()).collect();

        // Counts and sums in the order of the series: the same whoever computed the expectations.
        let mut sizes = SaleSizes::default();
        for at in &usable {
            if let Ok(expectation) = &expected[*at] {
                collect_sizes(&on(first, &padded(*at)), expectation, &mut sizes);
            }
        }
        workers.check()?;
        let mut surprises = PanelSurprises::new(&sizes);
        for at in &usable {
            if let Ok(expectation) = &expected[*at] {
                collect_surprises(&on(first, &padded(*at)), expectation, &mut surprises);
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
                        let values = padded(usable[at]);
                        collect_scores(&on(first, &values), expectation, &tails, self.side, &mut scores);
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
            let values = padded(at);
            let series = on(first, &values);
            let made = judge(&series, expectation, &tails, threshold, self.side);
            Ok(made.map(|all| {
                let points = &points[positions[at]];
                let own = starts[at]..starts[at] + points.values.len();
                let causes = own.clone().filter(|day| all[*day].is_anomaly).map(|day| {
                    let causes = expectation.causes(day, &profile, &series).into_iter();
                    (day - own.start, causes.map(|(name, factor)| (name.to_owned(), factor)).collect())
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
                    shares: Vec::new(),
                }
            }))
        })?;
        Ok(positions.into_iter().zip(judged).collect())
    }
}

/// A series that begins on day `first_day`.
fn on(first_day: i64, values: &[f64]) -> Series<'_> {
    Series { first_day, values, promotions: &[] }
}
