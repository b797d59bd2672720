//! How far apart the points of a regular series stand, and how that is told from its times.

use std::fmt;
use std::str::FromStr;

use crate::civil::{DAY, HOUR, days_in_month, month_of};
use crate::seasons::Seasons;

/// The step between two points of a regular series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frequency {
    /// One point an hour.
    Hourly,
    /// One point a day.
    Daily,
    /// One point every seven days.
    Weekly,
    /// One point a calendar month.
    Monthly,
    /// One point every three calendar months.
    Quarterly,
    /// One point a year.
    Yearly,
}

/// A name that is no frequency. Displays the name and the ones that are valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown frequency '{name}'; expected auto or one of: {}", Frequency::ALL.map(Frequency::name).join(", "))]
pub struct UnknownFrequency {
    /// What was asked for.
    pub name: String,
}

impl Frequency {
    /// Every frequency, finest first.
    pub const ALL: [Frequency; 6] = [
        Frequency::Hourly,
        Frequency::Daily,
        Frequency::Weekly,
        Frequency::Monthly,
        Frequency::Quarterly,
        Frequency::Yearly,
    ];

    /// The name that SQL uses, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Frequency::Hourly => "hourly",
            Frequency::Daily => "daily",
            Frequency::Weekly => "weekly",
            Frequency::Monthly => "monthly",
            Frequency::Quarterly => "quarterly",
            Frequency::Yearly => "yearly",
        }
    }

    /// Steps in a season: the day for hours, the week for days, the year for weeks, months and quarters. 1 is none.
    pub fn season(self) -> usize {
        match self {
            Frequency::Hourly => 24,
            Frequency::Daily => 7,
            Frequency::Weekly => 52,
            Frequency::Monthly => 12,
            Frequency::Quarterly => 4,
            Frequency::Yearly => 1,
        }
    }

    /// All seasonal periods: those of [`season`](Frequency::season), and the week (168) for hours.
    pub fn seasons(self) -> Seasons {
        match self {
            Frequency::Hourly => Seasons::HOURLY,
            other => Seasons::from(other.season()),
        }
    }

    /// The frequency that `times` (microseconds since 1970, ascending, repeats allowed) were recorded at.
    ///
    /// Times that differ within the day are hourly when the median gap is at most six hours, else a log of events to
    /// be counted by day. Dates are yearly, quarterly, monthly or weekly only where every gap is a whole number of such
    /// steps and most are exactly one; everything else, a sparse series above all, is daily.
    pub fn infer(times: &[i64]) -> Frequency {
        let mut times = times.to_vec();
        times.dedup();
        let Some(first) = times.first() else { return Frequency::Daily };
        if times.iter().any(|time| time.rem_euclid(DAY) != first.rem_euclid(DAY)) {
            let mut gaps: Vec<i64> = gaps(&times);
            gaps.sort_unstable();
            return if gaps[gaps.len() / 2] <= 6 * HOUR { Frequency::Hourly } else { Frequency::Daily };
        }
        let days: Vec<i64> = times.iter().map(|time| time.div_euclid(DAY)).collect();
        if shared_day_of_month(&days).is_some() {
            let gaps = gaps(&days.iter().map(|day| month_of(*day).0).collect::<Vec<_>>());
            for (months, frequency) in
                [(12, Frequency::Yearly), (3, Frequency::Quarterly), (1, Frequency::Monthly)]
            {
                if mostly(&gaps, months, 2) {
                    return frequency;
                }
            }
        }
        if mostly(&gaps(&days), 7, 4) { Frequency::Weekly } else { Frequency::Daily }
    }
}

/// The day of the month that all `days` (since 1970) fall on, where 31 stands for the last; None when they differ.
pub(crate) fn shared_day_of_month(days: &[i64]) -> Option<u32> {
    let shared = days.iter().map(|day| month_of(*day).1).max()?;
    let agrees = |day: &i64| {
        let (month, of_month) = month_of(*day);
        of_month == shared.min(days_in_month(month))
    };
    days.iter().all(agrees).then_some(shared)
}

fn gaps(values: &[i64]) -> Vec<i64> {
    values.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

/// At least `enough` gaps, every one a multiple of `step` and at least half of them exactly `step`.
fn mostly(gaps: &[i64], step: i64, enough: usize) -> bool {
    gaps.len() >= enough
        && gaps.iter().all(|gap| *gap > 0 && gap % step == 0)
        && 2 * gaps.iter().filter(|gap| **gap == step).count() >= gaps.len()
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Frequency {
    type Err = UnknownFrequency;

    /// Reads a name without regard to case or surrounding space. `auto` is for the caller: it is the lack of one.
    fn from_str(name: &str) -> Result<Self, UnknownFrequency> {
        let wanted = name.trim();
        Frequency::ALL
            .into_iter()
            .find(|frequency| frequency.name().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownFrequency { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::civil::first_of_month;

    fn days(days: impl IntoIterator<Item = i64>) -> Vec<i64> {
        days.into_iter().map(|day| day * DAY).collect()
    }

    #[test]
    fn regular_times_tell_their_frequency() {
        assert_eq!(Frequency::infer(&(0..50).map(|hour| hour * HOUR).collect::<Vec<_>>()), Frequency::Hourly);
        assert_eq!(Frequency::infer(&days(100..130)), Frequency::Daily);
        assert_eq!(Frequency::infer(&days((0..30).map(|week| 3 + 7 * week))), Frequency::Weekly);
        let month_starts = |step: i64| days((0..9).map(move |i| first_of_month(600 + i * step)));
        assert_eq!(Frequency::infer(&month_starts(1)), Frequency::Monthly);
        assert_eq!(Frequency::infer(&month_starts(3)), Frequency::Quarterly);
        assert_eq!(Frequency::infer(&month_starts(12)), Frequency::Yearly);
        let month_ends = days((601..612).map(|month| first_of_month(month) - 1));
        assert_eq!(Frequency::infer(&month_ends), Frequency::Monthly);
    }

    #[test]
    fn sparse_and_tiny_series_are_daily() {
        assert_eq!(Frequency::infer(&[]), Frequency::Daily);
        assert_eq!(Frequency::infer(&days([5])), Frequency::Daily);
        assert_eq!(Frequency::infer(&days([0, 14])), Frequency::Daily);
        assert_eq!(Frequency::infer(&days([0, 14, 35, 77, 98, 140])), Frequency::Daily);
        assert_eq!(Frequency::infer(&days([0, 1, 40, 41, 300])), Frequency::Daily);
    }

    #[test]
    fn a_log_of_rare_events_is_counted_by_day() {
        let log: Vec<i64> = (0..40).map(|i| i * DAY + (i * 7 % 24) * HOUR).collect();
        assert_eq!(Frequency::infer(&log), Frequency::Daily);
    }

    #[test]
    fn names_read_back() {
        for frequency in Frequency::ALL {
            assert_eq!(frequency.name().to_uppercase().parse::<Frequency>().unwrap(), frequency);
        }
        let message = "fortnightly".parse::<Frequency>().unwrap_err().to_string();
        assert!(message.ends_with("hourly, daily, weekly, monthly, quarterly, yearly"), "{message}");
    }
}
