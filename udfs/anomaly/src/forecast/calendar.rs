//! Which days are alike: days of the week, weeks of the month and of the year, and days around a holiday.

/// A holiday of a given day. Several on one day are several entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday<'a> {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Its name, the same every year.
    pub name: &'a str,
}

/// No slot.
pub(super) const NONE: u16 = u16::MAX;

/// Slots around a holiday: the day itself, single days before it, then wider spans, and after it.
pub(super) const AROUND: usize = 10;

/// Slot of a day that is `ahead` days before a holiday (negative after it): people buy for three weeks ahead of a feast,
/// and less in the week after it.
pub(super) fn around(ahead: i64) -> u16 {
    match ahead {
        0..=4 => ahead as u16,
        5..=7 => 5,
        8..=14 => 6,
        15..=21 => 7,
        -2..=-1 => 8,
        -6..=-3 => 9,
        _ => NONE,
    }
}

/// Monday is 0.
pub(super) fn weekday(day: i64) -> u16 {
    (day + 3).rem_euclid(7) as u16
}

/// Week of the month, 0 to 4: pay days fall into the first.
pub(super) fn month_week(day: i64) -> u16 {
    ((date(day).1 - 1) / 7) as u16
}

/// Week of the year, 0 to 51, with a longer last one.
pub(super) fn year_week(day: i64) -> u16 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (month, day) = date(day);
    ((BEFORE[month as usize - 1] + day - 1) / 7).min(51) as u16
}

/// Month and day of the month.
///
/// Howard Hinnant (2021), "chrono-compatible low-level date algorithms", `civil_from_days`.
fn date(day: i64) -> (i64, i64) {
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (if month < 10 { month + 3 } else { month - 9 }, of_year - (153 * month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_places() {
        // 2024-02-29 was a Thursday, 2025-12-31 a Wednesday, 1969-12-31 a Wednesday.
        for (day, expected, week) in [(19_782, (2, 29), 3), (20_453, (12, 31), 2), (-1, (12, 31), 2)] {
            assert_eq!((date(day), weekday(day)), (expected, week));
        }
        assert_eq!((month_week(19_782), year_week(20_453), year_week(0)), (4, 51, 0));
        assert_eq!([0, 4, 6, 21, 22, -1, -6, -7].map(around), [0, 4, 5, 7, NONE, 8, 9, NONE]);
    }
}
