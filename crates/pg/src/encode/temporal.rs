//! Dates, times and intervals: ISO text as PostgreSQL prints it, and its binary counts from 2000-01-01.

use std::fmt::Write;

use arrow::array::timezone::Tz;
use chrono::{DateTime, Offset, TimeZone};

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;

/// The session's time zone.
#[derive(Debug)]
pub(super) struct Zone(Option<Tz>);

impl Zone {
    /// A name that this build's database lacks is UTC: the engine checks names at SET.
    pub(super) fn new(name: &str) -> Self {
        Self(name.parse().ok())
    }

    /// Seconds east of UTC at an instant, in microseconds since 1970. Beyond chrono's 262,000 years nobody knows: 0.
    fn offset(&self, micros: i64) -> i32 {
        let instant = DateTime::from_timestamp_micros(micros);
        self.0.as_ref().zip(instant).map_or(0, |(zone, instant)| {
            zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
        })
    }
}

/// Days since 1970 → days since 2000; `None` when the wire's 32 bits can't hold them.
pub(super) fn date_binary(days: i64) -> Option<i32> {
    // The two extremes mean -infinity and infinity on the wire.
    i32::try_from(days - EPOCH_DAYS).ok().filter(|days| *days != i32::MIN && *days != i32::MAX)
}

/// Microseconds since 1970 → microseconds since 2000; `None` beyond 64 bits.
pub(super) fn timestamp_binary(micros: i64) -> Option<i64> {
    micros.checked_sub(EPOCH_DAYS * MICROS_PER_DAY).filter(|micros| *micros != i64::MIN)
}

/// `2026-03-31`, `0044-03-15 BC`.
pub(super) fn date(days: i64, out: &mut String) {
    let before_christ = civil(days, out);
    era(before_christ, out);
}

/// `13:05:00.25`, from microseconds since midnight.
pub(super) fn time(micros: i64, out: &mut String) {
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    fraction(micros.rem_euclid(MICROS_PER_SECOND), out);
}

/// `2026-03-31 13:05:00.25`, from microseconds since 1970.
pub(super) fn timestamp(micros: i64, out: &mut String) {
    let before_christ = civil(micros.div_euclid(MICROS_PER_DAY), out);
    out.push(' ');
    time(micros.rem_euclid(MICROS_PER_DAY), out);
    era(before_christ, out);
}

/// `2026-03-31 18:35:00.25+05:30`: the instant as clocks in `zone` showed it.
pub(super) fn timestamptz(micros: i64, zone: &Zone, out: &mut String) {
    let offset = zone.offset(micros);
    let local = micros.saturating_add(i64::from(offset) * MICROS_PER_SECOND);
    let before_christ = civil(local.div_euclid(MICROS_PER_DAY), out);
    out.push(' ');
    time(local.rem_euclid(MICROS_PER_DAY), out);
    let (sign, offset) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    let _ = write!(out, "{sign}{:02}", offset / 3600);
    if offset % 3600 != 0 {
        let _ = write!(out, ":{:02}", offset / 60 % 60);
    }
    if offset % 60 != 0 {
        let _ = write!(out, ":{:02}", offset % 60);
    }
    era(before_christ, out);
}

/// An interval as PostgreSQL keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) micros: i64,
}

impl Span {
    /// A length of time, with whole days taken out as PostgreSQL's subtraction of timestamps does.
    pub(super) fn of_micros(micros: i64) -> Self {
        // 2^63 microseconds are 107 million days: they fit.
        let days = i32::try_from(micros / MICROS_PER_DAY).unwrap_or(0);
        Self { months: 0, days, micros: micros % MICROS_PER_DAY }
    }

    /// `1 year 2 mons -3 days +04:05:06.7` (`EncodeInterval`, style `postgres`).
    pub(super) fn text(self, out: &mut String) {
        let start = out.len();
        let mut negative_before = false;
        for (value, unit) in [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")] {
            if value == 0 {
                continue;
            }
            if out.len() > start {
                out.push(' ');
            }
            if negative_before && value > 0 {
                out.push('+');
            }
            let _ = write!(out, "{value} {unit}{}", if value == 1 { "" } else { "s" });
            negative_before = value < 0;
        }
        if self.micros == 0 && out.len() > start {
            return;
        }
        if out.len() > start {
            out.push(' ');
        }
        if self.micros < 0 {
            out.push('-');
        } else if negative_before {
            out.push('+');
        }
        let micros = self.micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        fraction(i64::try_from(micros % 1_000_000).unwrap_or(0), out);
    }
}

/// Writes year, month and day of the proleptic Gregorian calendar; returns whether the year is before Christ.
/// (H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.)
fn civil(days: i64, out: &mut String) -> bool {
    let shifted = days + 719_468;
    let cycle = shifted.div_euclid(146_097);
    let day_of_cycle = shifted.rem_euclid(146_097);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - year } else { year };
    let _ = write!(out, "{shown:04}-{month:02}-{day:02}");
    before_christ
}

fn era(before_christ: bool, out: &mut String) {
    if before_christ {
        out.push_str(" BC");
    }
}

fn fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn dates() {
        assert_eq!(text(|o| date(0, o)), "1970-01-01");
        assert_eq!(text(|o| date(20_543, o)), "2026-03-31");
        assert_eq!(text(|o| date(-719_528, o)), "0001-01-01 BC");
        assert_eq!(text(|o| date(-719_162, o)), "0001-01-01");
        assert_eq!(text(|o| date(2_932_897, o)), "10000-01-01");
        assert_eq!(text(|o| date(i64::from(i32::MAX), o)), "5881580-07-11");
        assert_eq!(date_binary(10_957), Some(0));
        assert_eq!(date_binary(i64::from(i32::MIN)), None);
    }

    #[test]
    fn timestamps() {
        assert_eq!(text(|o| timestamp(0, o)), "1970-01-01 00:00:00");
        assert_eq!(text(|o| timestamp(-1, o)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(|o| timestamp(1_500_000, o)), "1970-01-01 00:00:01.5");
        assert_eq!(timestamp_binary(946_684_800_000_000), Some(0));
        assert_eq!(timestamp_binary(i64::MIN), None);
        assert_eq!(text(|o| timestamp(i64::MAX, o)), "294247-01-10 04:00:54.775807");
    }

    #[test]
    fn timestamps_in_a_zone() {
        let zone = Zone::new;
        assert_eq!(text(|o| timestamptz(0, &zone("UTC"), o)), "1970-01-01 00:00:00+00");
        assert_eq!(text(|o| timestamptz(0, &zone("Asia/Kolkata"), o)), "1970-01-01 05:30:00+05:30");
        assert_eq!(text(|o| timestamptz(0, &zone("America/New_York"), o)), "1969-12-31 19:00:00-05");
        assert_eq!(text(|o| timestamptz(0, &zone("-03:30"), o)), "1969-12-31 20:30:00-03:30");
        assert_eq!(text(|o| timestamptz(i64::MAX, &zone("UTC"), o)), "294247-01-10 04:00:54.775807+00");
    }

    /// The right-hand sides are what PostgreSQL 15 prints.
    #[test]
    fn intervals() {
        let span = |months, days, micros| text(|o| Span { months, days, micros }.text(o));
        assert_eq!(span(0, 0, 0), "00:00:00");
        assert_eq!(span(14, 3, 14_706_789_000), "1 year 2 mons 3 days 04:05:06.789");
        assert_eq!(span(-14, 3, -14_706_000_000), "-1 years -2 mons +3 days -04:05:06");
        assert_eq!(span(1, -1, 1), "1 mon -1 days +00:00:00.000001");
        assert_eq!(span(0, 0, i64::MIN), "-2562047788:00:54.775808");
        assert_eq!(Span::of_micros(MICROS_PER_DAY + 1), Span { months: 0, days: 1, micros: 1 });
    }
}
