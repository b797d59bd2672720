//! What the series that share a code sell together, day by day.

use super::series::PreparedSeries;

/// Days before an origin that are looked at.
pub(crate) const LOOKED_AT: i64 = 182;
/// Days of the calendar, from its end: later than any row is drawn from, and what is looked at before it.
const CALENDAR: i64 = 1_300;
/// Series that a code has in the mean, at least, for it to say something of each.
const SHARED: usize = 4;
/// Codes and days of all columns together, at most: 64 MB.
const CELLS: usize = 8_000_000;

/// Sums over the series that share a code, by code.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Totals {
    /// The place of the code among those of a series.
    pub(crate) number: usize,
    /// Codes, ascending; sums stand in this order.
    pub(crate) codes: Vec<u32>,
    /// Day of the first of the running sums.
    pub(crate) first_day: i64,
    /// Sales of all days before each.
    pub(crate) sums: Vec<Vec<f64>>,
}

impl Totals {
    /// Of all codes but the first, which the [`Pool`](super::pool::Pool) knows; without those that few series share. One
    /// who asks for days before an origin alone sees nothing that is held out.
    pub(crate) fn of(series: &[PreparedSeries]) -> Vec<Totals> {
        let numbers = series.first().map_or(0, |series| series.codes.len());
        let last_day = series.iter().map(|series| series.day(series.values.len())).max().unwrap_or(0);
        let earliest = series.iter().map(|series| series.first_day).min().unwrap_or(0);
        let first_day = earliest.max(last_day.saturating_sub(CALENDAR));
        let days = (last_day - first_day).max(0) as usize;
        let (mut found, mut cells) = (Vec::new(), 0);
        for number in 1..numbers {
            let mut codes: Vec<u32> = series.iter().map(|series| series.codes[number]).collect();
            codes.sort_unstable();
            codes.dedup();
            let wanted = codes.len() * days;
            if codes.len() * SHARED > series.len() || cells + wanted > CELLS {
                continue;
            }
            cells += wanted;
            let mut sums = vec![vec![0.0; days + 1]; codes.len()];
            for series in series {
                let sums = &mut sums[codes.partition_point(|code| *code < series.codes[number])];
                let skipped = usize::try_from(first_day - series.first_day).unwrap_or(0);
                let start = (series.day(skipped) - first_day) as usize;
                let values = series.values.iter().skip(skipped);
                sums[start + 1..].iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            for sums in &mut sums {
                let mut sum = 0.0;
                sums.iter_mut().for_each(|day| {
                    sum += *day;
                    *day = sum;
                });
            }
            found.push(Totals { number, codes, first_day, sums });
        }
        found
    }

    /// Sales of a code over the days from one to another. NaN where they are not known.
    pub(crate) fn sum(&self, code: u32, from: i64, to: i64) -> f64 {
        self.codes
            .binary_search(&code)
            .map_or(f64::NAN, |at| between(&self.sums[at], self.first_day, from, to))
    }

    /// Without all but the last so many days.
    pub(crate) fn latest(mut self, days: usize) -> Totals {
        let known = self.sums.first().map_or(0, Vec::len);
        let gone = known.saturating_sub(days + 1);
        self.first_day += gone as i64;
        self.sums.iter_mut().for_each(|sums| drop(sums.drain(..gone)));
        self
    }
}

/// What was added over the days from one to another, of running sums that begin at `first_day`. NaN where they are not
/// known.
pub(crate) fn between(sums: &[f64], first_day: i64, from: i64, to: i64) -> f64 {
    let (from, to) = (from - first_day, to - first_day);
    if from < 0 || to >= sums.len() as i64 || to <= from {
        return f64::NAN;
    }
    sums[to as usize] - sums[from as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::{PanelRequest, Series, prepare};

    /// Eight series of two items in four stores; the later of each item begins ten days later.
    fn panel() -> Vec<PreparedSeries> {
        let request = PanelRequest { horizon: 7, holidays: Vec::new(), series: 8, seed: 1 };
        (0..8)
            .map(|position| {
                let late = 10 * (position / 4);
                let values = vec![f64::from(position as u32 + 1); 100 - late];
                let codes = [0, position as u32 % 2, position as u32];
                let first_day = 19_000 + late as i64;
                let series = Series { position, values: &values, first_day, codes: &codes, covariates: &[] };
                prepare(&series, &request).unwrap()
            })
            .collect()
    }

    #[test]
    fn codes_that_series_share_are_summed_day_by_day() {
        let totals = Totals::of(&panel());
        assert_eq!(
            totals.iter().map(|totals| totals.number).collect::<Vec<_>>(),
            [1],
            "each has its own third code"
        );
        let items = &totals[0];
        // Positions 0 and 2 sell 1 and 3 from the start, 4 and 6 sell 5 and 7 from day 10.
        assert_eq!((items.sum(0, 19_000, 19_010), items.sum(0, 19_009, 19_011)), (40.0, 4.0 + 16.0));
        assert_eq!(items.sum(1, 19_093, 19_100), 7.0 * 20.0);
        assert!(items.sum(0, 18_999, 19_003).is_nan() && items.sum(0, 19_095, 19_101).is_nan());
        assert!(items.sum(2, 19_010, 19_011).is_nan(), "a code that none had");
        let latest = items.clone().latest(20);
        assert_eq!((latest.sums[0].len(), latest.sum(0, 19_080, 19_100)), (21, items.sum(0, 19_080, 19_100)));
        assert!(latest.sum(0, 19_079, 19_100).is_nan());
        assert_eq!(items.clone().latest(1_000), *items);
        assert!(Totals::of(&[]).is_empty());
    }
}
