//! From the rows of a series to one value a step.

use crate::civil::{DAY, HOUR, days_in_month, first_of_month, month_of};
use crate::frequency::{Frequency, shared_day_of_month};
use crate::unforecastable::Unforecastable;

/// The most gaps that are filled in one series: 270 years of days, 11 of hours. One row dated 9999 must not eat memory.
pub const GAP_LIMIT: usize = 100_000;

/// A series on its calendar: one value a step, oldest first, nothing missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Regular {
    /// One value a step, at least one.
    pub values: Vec<f64>,
    /// Steps that had no row and got zero.
    pub gaps_filled: usize,
    /// Rows that were added to an earlier row of the same step.
    pub duplicates_summed: usize,
    /// The rows are finer than the step and end within a week, month, quarter or year: that unfinished step was left
    /// out and is the first to be forecast.
    pub partial_dropped: bool,
    /// Steps in runs without a sale that are not learned as zero demand; their values are filled in.
    pub stock_outs: Vec<std::ops::Range<usize>>,
    /// Single steps on which nothing could be sold, such as days on which the shop was closed; their values are filled
    /// in, too.
    pub closed: Vec<usize>,
    calendar: Calendar,
    first: i64,
}

impl Regular {
    /// The step between two values.
    pub fn frequency(&self) -> Frequency {
        self.calendar.frequency
    }

    /// Time of the value at `index`, microseconds since 1970. Indexes from `values.len()` on are the future. None
    /// beyond what an i64 holds.
    pub fn time(&self, index: usize) -> Option<i64> {
        self.calendar.time(self.first.checked_add(i64::try_from(index).ok()?)?)
    }

    /// Index of the step that a moment falls in, negative before the first.
    pub(crate) fn index(&self, time: i64) -> i64 {
        self.calendar.step(time) - self.first
    }
}

/// Puts rows on a calendar: duplicates are summed, gaps become zero (no sale).
///
/// * `times`: microseconds since 1970 of each row, ascending, repeats allowed; dates are midnights.
/// * `values`: as many as `times`.
/// * `frequency`: the step, or None to [infer](Frequency::infer) it. Finer rows are summed into their step. Steps keep
///   the weekday, day of month or time of day that all rows share, and otherwise begin on Monday, the first, midnight.
/// * `until`: the last moment that the history knows about. Rows after it are ignored and the series is continued with
///   zeros up to it, because a shoe that stopped selling is not one whose history ended. None ends at the last row.
///
/// # Errors
/// [`Unforecastable::TooShort`] without rows, `NotFinite`, `Unsorted`, `TooSparse` beyond [`GAP_LIMIT`].
pub fn regularise(
    times: &[i64],
    values: &[f64],
    frequency: Option<Frequency>,
    until: Option<i64>,
) -> Result<Regular, Unforecastable> {
    if times.len() != values.len() {
        return Err(Unforecastable::InvalidRequest("a series needs one time for each value"));
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Unforecastable::NotFinite { index });
    }
    if let Some(index) = times.windows(2).position(|pair| pair[1] < pair[0]) {
        return Err(Unforecastable::Unsorted { index: index + 1 });
    }
    let known = until.map_or(times.len(), |until| times.partition_point(|time| *time <= until));
    let (times, values) = (&times[..known], &values[..known]);
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Err(Unforecastable::TooShort { points: 0, needed: 1 });
    };

    let calendar = Calendar::new(frequency.unwrap_or_else(|| Frequency::infer(times)), times);
    let begin = calendar.step(*first);
    let seen = calendar.step(*last);
    let end = until.map_or(seen, |until| calendar.last_finished(until).max(seen));

    let mut distinct =
        1 + times.windows(2).filter(|pair| calendar.step(pair[0]) != calendar.step(pair[1])).count();
    let length = usize::try_from(end - begin).unwrap_or(usize::MAX).saturating_add(1);
    if length - distinct > GAP_LIMIT {
        return Err(Unforecastable::TooSparse { points: distinct, limit: GAP_LIMIT });
    }
    let duplicates_summed = times.len() - distinct;
    let mut filled = vec![0.0; length];
    for (index, (time, value)) in times.iter().zip(values).enumerate() {
        let cell = &mut filled[(calendar.step(*time) - begin) as usize];
        *cell += value;
        if !cell.is_finite() {
            return Err(Unforecastable::NotFinite { index });
        }
    }

    let partial_dropped = end > begin && end > calendar.last_finished(until.unwrap_or(*last));
    if partial_dropped {
        filled.truncate(length - 1);
        distinct -= 1;
    }
    let gaps_filled = filled.len() - distinct;
    Ok(Regular {
        values: filled,
        gaps_filled,
        duplicates_summed,
        partial_dropped,
        stock_outs: Vec::new(),
        closed: Vec::new(),
        calendar,
        first: begin,
    })
}

/// Numbers the steps of a frequency and knows where in its day, week or year each begins.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Calendar {
    frequency: Frequency,
    /// Microseconds from the start of the hour or day to the step.
    offset: i64,
    /// Days, or months, from the start of the count to step 0.
    phase: i64,
    /// Day of the month on which the steps of months stand; 31 is the last.
    day: u32,
    /// Rows are finer than the step.
    sums: bool,
}

/// 1970-01-05, a Monday.
const MONDAY: i64 = 4;

impl Calendar {
    fn new(frequency: Frequency, times: &[i64]) -> Calendar {
        let shared = |of: &dyn Fn(i64) -> i64| {
            let first = times.first().map(|time| of(*time))?;
            times.iter().all(|time| of(*time) == first).then_some(first)
        };
        let unit = if frequency == Frequency::Hourly { HOUR } else { DAY };
        let offset = shared(&|time| time.rem_euclid(unit)).unwrap_or(0);
        let day_of = |time: i64| time.saturating_sub(offset).div_euclid(DAY);
        let days = || times.iter().map(|time| day_of(*time)).collect::<Vec<_>>();
        let mut calendar = Calendar { frequency, offset, phase: 0, day: 1, sums: false };
        match frequency {
            Frequency::Hourly | Frequency::Daily => {}
            Frequency::Weekly => {
                let weekday = shared(&|time| day_of(time).rem_euclid(7));
                calendar.sums = weekday.is_none();
                calendar.phase = weekday.unwrap_or(MONDAY);
            }
            Frequency::Monthly | Frequency::Quarterly | Frequency::Yearly => {
                let months = calendar.months();
                let phase = shared(&|time| month_of(day_of(time)).0.rem_euclid(months));
                let day = shared_day_of_month(&days());
                calendar.sums = phase.is_none() || day.is_none();
                if let (Some(phase), Some(day)) = (phase, day) {
                    (calendar.phase, calendar.day) = (phase, day);
                }
            }
        }
        calendar
    }

    fn months(&self) -> i64 {
        match self.frequency {
            Frequency::Quarterly => 3,
            Frequency::Yearly => 12,
            _ => 1,
        }
    }

    /// Number of the step that holds a time.
    fn step(&self, time: i64) -> i64 {
        let time = time.saturating_sub(self.offset);
        let day = time.div_euclid(DAY);
        match self.frequency {
            Frequency::Hourly => time.div_euclid(HOUR),
            Frequency::Daily => day,
            Frequency::Weekly => (day - self.phase).div_euclid(7),
            _ => (month_of(day).0 - self.phase).div_euclid(self.months()),
        }
    }

    /// Time of a step.
    fn time(&self, step: i64) -> Option<i64> {
        let day = match self.frequency {
            Frequency::Hourly => return step.checked_mul(HOUR)?.checked_add(self.offset),
            Frequency::Daily => step,
            Frequency::Weekly => step.checked_mul(7)?.checked_add(self.phase)?,
            _ => {
                let month = step.checked_mul(self.months())?.checked_add(self.phase)?;
                // Beyond this no day fits into microseconds, and the calendar's own arithmetic would overflow.
                if month.abs() > 12 * 300_000 {
                    return None;
                }
                first_of_month(month) + i64::from(self.day.min(days_in_month(month))) - 1
            }
        };
        day.checked_mul(DAY)?.checked_add(self.offset)
    }

    /// The last step that is over once the day (or hour) of `time` is.
    fn last_finished(&self, time: i64) -> i64 {
        let step = self.step(time);
        let unfinished = self.sums && self.step(time.saturating_add(DAY)) == step;
        step - i64::from(unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{NaiveDate, NaiveDateTime};
    use proptest::prelude::*;

    fn micros(date: &str) -> i64 {
        let time = NaiveDateTime::parse_from_str(date, "%Y-%m-%d %H:%M:%S").or_else(|_| {
            NaiveDate::parse_from_str(date, "%Y-%m-%d").map(|date| date.and_hms_opt(0, 0, 0).unwrap())
        });
        time.unwrap().and_utc().timestamp_micros()
    }

    fn series(rows: &[(&str, f64)], frequency: Option<Frequency>, until: Option<&str>) -> Regular {
        let times: Vec<i64> = rows.iter().map(|row| micros(row.0)).collect();
        let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
        regularise(&times, &values, frequency, until.map(micros)).unwrap()
    }

    #[test]
    fn sums_duplicates_and_fills_gaps_with_zero() {
        let rows = [("2024-02-27", 1.0), ("2024-02-27", 2.0), ("2024-03-01", 5.0), ("2024-03-02", 1.0)];
        let regular = series(&rows, None, None);
        assert_eq!(regular.frequency(), Frequency::Daily);
        assert_eq!(regular.values, [3.0, 0.0, 0.0, 5.0, 1.0]);
        assert_eq!((regular.gaps_filled, regular.duplicates_summed), (2, 1));
        assert_eq!(regular.time(5), Some(micros("2024-03-03")));
    }

    #[test]
    fn until_continues_with_zeros_and_hides_what_came_later() {
        let rows = [("2024-01-01", 4.0), ("2024-01-02", 4.0), ("2024-01-09", 9.0)];
        let regular = series(&rows, None, Some("2024-01-05"));
        assert_eq!(regular.values, [4.0, 4.0, 0.0, 0.0, 0.0]);
        assert_eq!(regular.time(5), Some(micros("2024-01-06")));
    }

    #[test]
    fn month_ends_stay_month_ends() {
        let rows = [("2023-10-31", 1.0), ("2023-11-30", 2.0), ("2024-01-31", 4.0), ("2024-02-29", 5.0)];
        let regular = series(&rows, None, None);
        assert_eq!(regular.frequency(), Frequency::Monthly);
        assert_eq!(regular.values, [1.0, 2.0, 0.0, 4.0, 5.0]);
        assert_eq!(regular.time(5), Some(micros("2024-03-31")));
        assert_eq!(regular.time(6), Some(micros("2024-04-30")));
    }

    #[test]
    fn days_are_summed_into_weeks_and_the_unfinished_week_is_forecast() {
        // 2024-01-01 is a Monday; the third week has its Monday and Tuesday only.
        let times: Vec<i64> = (0..16).map(|day| micros("2024-01-01") + day * DAY).collect();
        let regular = regularise(&times, &[1.0; 16], Some(Frequency::Weekly), None).unwrap();
        assert_eq!((regular.values.as_slice(), regular.partial_dropped), ([7.0, 7.0].as_slice(), true));
        assert_eq!(regular.time(2), Some(micros("2024-01-15")));
        let whole = regularise(&times[..14], &[1.0; 14], Some(Frequency::Weekly), None).unwrap();
        assert_eq!((whole.values.as_slice(), whole.partial_dropped), ([7.0, 7.0].as_slice(), false));
    }

    #[test]
    fn weeks_keep_their_weekday_and_days_their_hour() {
        let rows = [
            ("2024-01-03", 1.0),
            ("2024-01-10", 2.0),
            ("2024-01-24", 3.0),
            ("2024-01-31", 1.0),
            ("2024-02-07", 1.0),
        ];
        let weekly = series(&rows, None, None);
        assert_eq!((weekly.frequency(), weekly.values.len()), (Frequency::Weekly, 6));
        assert_eq!(weekly.time(6), Some(micros("2024-02-14")));
        let daily = series(&[("2024-01-03 18:30:00", 1.0), ("2024-01-04 18:30:00", 2.0)], None, None);
        assert_eq!(daily.time(2), Some(micros("2024-01-05 18:30:00")));
    }

    #[test]
    fn two_dates_millennia_apart_are_refused_before_memory_is_taken() {
        let times = [micros("0001-01-01"), micros("9999-12-31")];
        let refused = regularise(&times, &[1.0, 1.0], None, None).unwrap_err();
        assert_eq!(refused, Unforecastable::TooSparse { points: 2, limit: GAP_LIMIT });
        let refused =
            regularise(&[i64::MIN, i64::MAX], &[1.0, 1.0], Some(Frequency::Hourly), None).unwrap_err();
        assert_eq!(refused.code(), "too_sparse");
    }

    #[test]
    fn bad_rows_are_named() {
        assert_eq!(regularise(&[], &[], None, None).unwrap_err().code(), "too_short");
        assert_eq!(
            regularise(&[0, DAY], &[1.0, f64::NAN], None, None),
            Err(Unforecastable::NotFinite { index: 1 })
        );
        assert_eq!(
            regularise(&[DAY, 0], &[1.0, 1.0], None, None),
            Err(Unforecastable::Unsorted { index: 1 })
        );
        let overflow = regularise(&[0, 0], &[f64::MAX, f64::MAX], None, None);
        assert_eq!(overflow, Err(Unforecastable::NotFinite { index: 1 }));
    }

    proptest! {
        #[test]
        fn keeps_the_total_and_never_panics(
            rows in prop::collection::vec((any::<i64>(), 0u16..100), 1..20),
            which in 0usize..7,
            until in any::<Option<i64>>(),
        ) {
            let mut times: Vec<i64> = rows.iter().map(|row| row.0).collect();
            times.sort_unstable();
            let values: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
            let _ = regularise(&times, &values, Frequency::ALL.get(which).copied(), until);
            // The same within three years, where it has to succeed.
            let mut near: Vec<i64> = times.iter().map(|time| time.rem_euclid(1096 * DAY)).collect();
            near.sort_unstable();
            let regular = regularise(&near, &values, Frequency::ALL.get(which).copied(), None).unwrap();
            if !regular.partial_dropped {
                prop_assert_eq!(regular.values.iter().sum::<f64>(), values.iter().sum::<f64>());
            }
            let times: Vec<_> = (0..regular.values.len() + 5).map(|index| regular.time(index).unwrap()).collect();
            prop_assert!(times.is_sorted_by(|a, b| a < b));
        }
    }
}
