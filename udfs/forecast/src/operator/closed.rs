//! Days on which a whole shop, town or brand sold nothing, which a series of few sales cannot tell by itself.

use std::collections::BTreeMap;

use datafusion::error::Result;
use smartsneaks_table_function::{Series, Workers};

use crate::calendar::Regular;
use crate::civil::DAY;
use crate::frequency::Frequency;
use crate::gaps;
use crate::holiday::HolidayRegion;
use crate::unforecastable::Unforecastable;

/// A series on its calendar.
type Regularised = std::result::Result<Regular, Unforecastable>;

/// Series that a group needs: fewer tell little more than each by itself.
const NEEDED: usize = 3;

/// Takes those days for unknown in each series, as if it had been sold out. Groups are the series of one value of an id
/// column, and all of them; a day is one on which chance does not explain that a group sold nothing.
pub(super) fn close(
    panel: &[Series],
    regular: &mut [Regularised],
    region: HolidayRegion,
    workers: &Workers,
) -> Result<()> {
    let mut found = vec![Vec::new(); panel.len()];
    for group in groups(panel, regular) {
        workers.check()?;
        let days = closed(&group, regular, region);
        for at in group.into_iter().filter(|_| !days.is_empty()) {
            let Ok(series) = &regular[at] else { continue };
            let first = first_day(series);
            let steps = days.iter().filter_map(|day| usize::try_from(day - first).ok());
            // One that has not begun, or is sold out as well, has lost nothing.
            let begun = series.values.iter().position(|value| *value != 0.0).unwrap_or(usize::MAX);
            let told = |step: &usize| series.stock_outs.iter().any(|run| run.contains(step));
            found[at].extend(
                steps.filter(|step| *step > begun && series.values.get(*step) == Some(&0.0) && !told(step)),
            );
        }
    }
    for (series, closed) in regular.iter_mut().zip(found).filter(|(_, closed)| !closed.is_empty()) {
        workers.check()?;
        if let Ok(series) = series {
            gaps::close(series, closed);
        }
    }
    Ok(())
}

/// Positions of the daily series of each group.
fn groups(panel: &[Series], regular: &[Regularised]) -> Vec<Vec<usize>> {
    let daily = |at: &usize| regular[*at].as_ref().is_ok_and(|series| series.frequency() == Frequency::Daily);
    let all: Vec<usize> = (0..panel.len()).filter(daily).collect();
    let columns = all.first().map_or(0, |at| panel[*at].ids.len());
    let mut found = Vec::new();
    for column in 0..columns {
        let mut by_value: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for at in &all {
            by_value.entry(panel[*at].ids[column].to_string()).or_default().push(*at);
        }
        found.extend(by_value.into_values());
    }
    found.push(all);
    found.retain(|group| group.len() >= NEEDED);
    found
}

/// Days, since 1970, on which a group sold nothing, and not by chance; but not holidays, whose sales are learned.
fn closed(group: &[usize], regular: &[Regularised], region: HolidayRegion) -> Vec<i64> {
    let series = || group.iter().filter_map(|at| regular[*at].as_ref().ok());
    let first = series().map(first_day).min().unwrap_or_default();
    let end = series().map(|series| first_day(series) + series.values.len() as i64).max().unwrap_or_default();
    let mut sums = vec![0.0; usize::try_from(end - first).unwrap_or_default()];
    for series in series() {
        let start = usize::try_from(first_day(series) - first).unwrap_or_default();
        // What was returned took place on another day.
        sums[start..].iter_mut().zip(&series.values).for_each(|(sum, value)| *sum += value.max(0.0));
    }
    let season = Frequency::Daily.season();
    let runs = gaps::stock_outs(&sums).into_iter().flatten();
    let days = runs.chain(gaps::closed(&sums, season)).map(|step| first + step as i64);
    days.filter(|day| region.days().binary_search(day).is_err()).collect()
}

fn first_day(series: &Regular) -> i64 {
    series.time(0).unwrap_or_default().div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::common::ScalarValue;

    use super::*;
    use crate::fixtures::Noise;
    use crate::gaps::{Gaps, regularise_with};

    /// 2021-03-01, days from which no holiday of Tamil Nadu is near for four weeks.
    const FIRST: i64 = 18_687;

    /// Forty articles of a pair in two days each in two towns; Madurai is closed on days 100 and 101.
    fn panel(seed: u64) -> Vec<Series> {
        let mut noise = Noise(seed);
        let mut panel = Vec::new();
        for town in ["Chennai", "Madurai"] {
            for article in 0..40 {
                let sold: Vec<(i64, f64)> = (0..200)
                    .map(|day| (FIRST + day, noise.poisson(0.5)))
                    .filter(|(day, pairs)| {
                        *pairs > 0.0 && !(town == "Madurai" && [100, 101].contains(&(day - FIRST)))
                    })
                    .collect();
                panel.push(Series {
                    ids: vec![ScalarValue::from(town), ScalarValue::from(format!("SKU{article}"))],
                    times: sold.iter().map(|(day, _)| day * DAY).collect(),
                    values: sold.iter().map(|(_, pairs)| *pairs).collect(),
                    until: Some((FIRST + 199) * DAY),
                    rows: sold.len(),
                    left_out: 0,
                    known: Arc::default(),
                });
            }
        }
        panel
    }

    fn regular(panel: &[Series]) -> Vec<Regularised> {
        let daily = Some(Frequency::Daily);
        let of = |series: &Series| {
            regularise_with(&series.times, &series.values, daily, series.until, Gaps::Auto, &[])
        };
        panel.iter().map(of).collect()
    }

    #[test]
    fn a_closed_town_is_seen_in_its_series_alone() {
        let panel = panel(5);
        let before = regular(&panel);
        let mut found = before.clone();
        close(&panel, &mut found, HolidayRegion::TamilNadu, &Workers::new(1)).unwrap();
        for ((series, before), after) in panel.iter().zip(&before).zip(&found) {
            let (before, after) = (before.as_ref().unwrap(), after.as_ref().unwrap());
            let closed = series.ids[0] == ScalarValue::from("Madurai");
            let days: Vec<i64> =
                after.closed.iter().map(|step| first_day(after) - FIRST + *step as i64).collect();
            assert_eq!(days, if closed { vec![100, 101] } else { Vec::new() }, "{:?}", series.ids);
            assert!(closed || before == after);
        }
    }

    #[test]
    fn nothing_is_closed_where_few_sell_seldom() {
        for seed in 0..20 {
            let panel: Vec<Series> = panel(seed).into_iter().step_by(20).collect();
            let mut found = regular(&panel);
            let before = found.clone();
            close(&panel, &mut found, HolidayRegion::TamilNadu, &Workers::new(1)).unwrap();
            assert!(before == found, "{seed}");
        }
    }
}
