//! A date and time as cameras write it.

use std::fmt;

/// A date and time of no known zone. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment {
    /// Year, 1 to 9999.
    pub(crate) year: u16,
    /// Month, 1 to 12.
    pub(crate) month: u8,
    /// Day of the month, from 1.
    pub(crate) day: u8,
    /// Hour, 0 to 23.
    pub(crate) hour: u8,
    /// Minute, 0 to 59.
    pub(crate) minute: u8,
    /// Second, 0 to 60.
    pub(crate) second: u8,
}

impl Moment {
    /// Reads `2024:02:29 23:59:58` as EXIF has it; `None` for what is no date, as the blanks of a camera
    /// without a clock.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u16>> =
            text.trim().split([':', ' ', '-', 'T']).map(|part| part.parse().ok()).collect();
        let &[year, month, day, hour, minute, second] = numbers?.as_slice() else { return None };
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u16::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let valid = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|part| part as u8);
        valid.then_some(Moment { year, month, day, hour, minute, second })
    }

    /// Seconds since 1970 if the zone were UTC (Hinnant 2013, *chrono-compatible low-level date algorithms*).
    #[must_use]
    pub(crate) fn seconds(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        // Years begin in March, so that the day of a leap year is the last one.
        let year = i64::from(self.year) - i64::from(month <= 2);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let days =
            era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        days * 86_400 + i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_unix() {
        let seconds = |text: &str| Moment::parse(text).map(Moment::seconds);
        // date -u -d '…' +%s
        assert_eq!(seconds("1970:01:01 00:00:00"), Some(0));
        assert_eq!(seconds("2024:02:29 23:59:58"), Some(1_709_251_198));
        assert_eq!(seconds("2000-03-01T12:00:00"), Some(951_912_000));
        assert_eq!(seconds("1969:12:31 23:59:59"), Some(-1));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "    :  :     :  :  ",
            "0000:00:00 00:00:00",
            "2023:02:29 00:00:00",
            "2024:13:01 0:0:0",
            "2024:01:01",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
