//! Months of the proleptic Gregorian calendar over plain day counts.
//!
//! Howard Hinnant, "chrono-compatible low-level date algorithms" (2013). Any day that an i64 of microseconds can name
//! is in range, which chrono's dates are not.

/// Microseconds in an hour.
pub(crate) const HOUR: i64 = 3_600_000_000;
/// Microseconds in a day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Month (months since January of year 0) and day of the month (from 1) of a day since 1970-01-01.
pub(crate) fn month_of(day: i64) -> (i64, u32) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    ((year_of_era + era * 400) * 12 + march_month + 2, day_of_month as u32)
}

/// The day since 1970-01-01 on which a month (months since January of year 0) begins.
pub(crate) fn first_of_month(month: i64) -> i64 {
    let from_march = month - 2;
    let year = from_march.div_euclid(12);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * from_march.rem_euclid(12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// Days in a month (months since January of year 0).
pub(crate) fn days_in_month(month: i64) -> u32 {
    (first_of_month(month + 1) - first_of_month(month)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, NaiveDate};

    #[test]
    fn agrees_with_chrono_on_every_day_of_eight_centuries() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut date = NaiveDate::from_ymd_opt(1600, 1, 1).unwrap();
        while date.year() < 2400 {
            let day = (date - epoch).num_days();
            let (month, of_month) = month_of(day);
            assert_eq!(
                (month, of_month),
                (i64::from(date.year()) * 12 + i64::from(date.month0()), date.day())
            );
            if of_month == 1 {
                assert_eq!(first_of_month(month), day);
            }
            date = date.succ_opt().unwrap();
        }
    }

    #[test]
    fn knows_leap_years() {
        assert_eq!(days_in_month(2024 * 12 + 1), 29);
        assert_eq!(days_in_month(2100 * 12 + 1), 28);
        assert_eq!(days_in_month(-12 + 11), 31);
    }
}
