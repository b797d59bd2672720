//! When people buy shoes: the week, pay day, the seasons and the festivals of Tamil Nadu.
//!
//! Factors multiply; 1 is an ordinary day. Moving festivals come from the reference file of public holidays.

use chrono::{Datelike, Days, NaiveDate};

use crate::Error;
use crate::options::Options;

/// First date for which the holidays are known.
pub(crate) const FIRST_DATE: NaiveDate = date(2018, 1, 1);
/// Last date for which the holidays are known.
pub(crate) const LAST_DATE: NaiveDate = date(2027, 12, 31);

const HOLIDAYS: &str = include_str!("../../../data/reference/tn_holidays.csv");

/// Monday to Sunday.
const WEEK: [f64; 7] = [0.80, 0.78, 0.82, 0.88, 1.04, 1.38, 1.42];

const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

/// The days to generate, numbered from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period {
    pub(crate) first: NaiveDate,
    pub(crate) days: u32,
}

/// The days of the period that fall into one calendar month, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl Period {
    pub(crate) fn new(options: &Options) -> Result<Period, Error> {
        let first = options.first_date().ok_or_else(|| Error::Reference("no first date".into()))?;
        Ok(Period { first, days: options.days })
    }

    /// Date of a day number; days before the period are negative.
    pub(crate) fn date(&self, day: i64) -> NaiveDate {
        let moved = if day < 0 {
            self.first.checked_sub_days(Days::new(day.unsigned_abs()))
        } else {
            self.first.checked_add_days(Days::new(day as u64))
        };
        moved.unwrap_or(self.first)
    }

    /// Number of a date, negative before the period.
    #[cfg(test)]
    pub(crate) fn day(&self, date: NaiveDate) -> i64 {
        (date - self.first).num_days()
    }

    pub(crate) fn last(&self) -> u32 {
        self.days.saturating_sub(1)
    }

    /// The months in order.
    pub(crate) fn months(&self) -> Vec<Month> {
        let mut months: Vec<Month> = Vec::new();
        for day in 0..self.days {
            let date = self.date(i64::from(day));
            match months.last_mut() {
                Some(month) if (month.year, month.month) == (date.year(), date.month()) => month.last = day,
                _ => months.push(Month { year: date.year(), month: date.month(), first: day, last: day }),
            }
        }
        months
    }
}

/// The festivals that move shoe sales.
#[derive(Debug)]
pub(crate) struct Calendar {
    deepavali: Vec<NaiveDate>,
    pongal: Vec<NaiveDate>,
    new_year: Vec<NaiveDate>,
    ayudha_puja: Vec<NaiveDate>,
    other: Vec<NaiveDate>,
}

impl Calendar {
    /// Reads the reference file.
    pub(crate) fn new() -> Result<Calendar, Error> {
        let mut calendar = Calendar {
            deepavali: Vec::new(),
            pongal: Vec::new(),
            new_year: Vec::new(),
            ayudha_puja: Vec::new(),
            other: Vec::new(),
        };
        for line in HOLIDAYS.lines().skip(1) {
            let parsed = line.split_once(',').and_then(|(date, name)| Some((date.parse().ok()?, name)));
            let (date, name) = parsed.ok_or_else(|| Error::Reference(format!("holiday `{line}`")))?;
            let festival = match name {
                "Diwali" => &mut calendar.deepavali,
                "Pongal" => &mut calendar.pongal,
                "Ayudha Puja" => &mut calendar.ayudha_puja,
                _ if name.contains("Tamil New Year") => &mut calendar.new_year,
                _ => &mut calendar.other,
            };
            festival.push(date);
        }
        Ok(calendar)
    }

    /// Dates of Deepavali, a year each.
    pub(crate) fn deepavali(&self) -> &[NaiveDate] {
        &self.deepavali
    }

    /// Dates of Pongal, a year each.
    pub(crate) fn pongal(&self) -> &[NaiveDate] {
        &self.pongal
    }

    /// Dates of the Tamil New Year, a year each.
    pub(crate) fn new_year(&self) -> &[NaiveDate] {
        &self.new_year
    }

    /// True from three weeks before a great festival until a week after it: no place for an anomaly.
    pub(crate) fn near_festival(&self, date: NaiveDate) -> bool {
        [&self.deepavali, &self.pongal]
            .into_iter()
            .flatten()
            .any(|&festival| (-7..=21).contains(&(festival - date).num_days()))
    }

    /// How much more than on an ordinary day is sold in the whole state.
    pub(crate) fn season(&self, date: NaiveDate) -> f64 {
        let weekday = WEEK[date.weekday().num_days_from_monday() as usize];
        weekday * pay_day(date.day()) * time_of_year(date.month(), date.day()) * self.festive(date)
    }

    fn festive(&self, date: NaiveDate) -> f64 {
        let deepavali = match nearest(&self.deepavali, date) {
            0 => 0.75,
            1 => 2.9,
            2 => 3.1,
            3 => 2.8,
            4 => 2.4,
            5..=7 => 2.0,
            8..=14 => 1.6,
            15..=21 => 1.25,
            -6..=-1 => 0.72,
            _ => 1.0,
        };
        let pongal = match nearest(&self.pongal, date) {
            0 => 0.55,
            1..=2 => 2.1,
            3 => 1.9,
            4..=7 => 1.5,
            8..=11 => 1.2,
            -2..=-1 => 0.78,
            _ => 1.0,
        };
        let new_year = match nearest(&self.new_year, date) {
            0 => 1.1,
            1..=2 => 1.6,
            3..=6 => 1.3,
            _ => 1.0,
        };
        let minor = if (0..=2).contains(&nearest(&self.ayudha_puja, date)) {
            1.2
        } else if self.other.contains(&date) {
            1.12
        } else {
            1.0
        };
        deepavali * pongal * new_year * minor
    }
}

/// Days until the nearest of the festivals; negative after it.
fn nearest(festivals: &[NaiveDate], date: NaiveDate) -> i64 {
    let distances = festivals.iter().map(|&festival| (festival - date).num_days());
    distances.min_by_key(|distance| distance.abs()).unwrap_or(i64::MAX)
}

/// Salaries come on the first of the month and are gone towards its end.
fn pay_day(day_of_month: u32) -> f64 {
    match day_of_month {
        1..=7 => 1.12,
        25.. => 0.95,
        _ => 1.0,
    }
}

fn time_of_year(month: u32, day: u32) -> f64 {
    match (month, day) {
        // Examinations.
        (2, _) | (3, 1..=20) => 0.92,
        // A new school year.
        (5, 15..) | (6, 1..=15) => 1.12,
        // Aadi, the month in which shops clear their stock.
        (7, 17..) | (8, 1..=16) => 1.22,
        (12, 20..=24 | 30..=31) => 1.28,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_cover_the_period() {
        let period = Period { first: date(2024, 1, 31), days: 31 };
        let months = period.months();
        assert_eq!(months.len(), 3);
        assert_eq!(months[1], Month { year: 2024, month: 2, first: 1, last: 29 });
        assert_eq!(months[2].last, period.last());
        assert_eq!(period.day(period.date(17)), 17);
        assert_eq!(period.date(-1), date(2024, 1, 30));
    }

    #[test]
    fn festivals_are_known_for_every_year() {
        let calendar = Calendar::new().unwrap();
        for festival in [&calendar.deepavali, &calendar.pongal, &calendar.new_year, &calendar.ayudha_puja] {
            let years: Vec<i32> = festival.iter().map(Datelike::year).collect();
            assert_eq!(years, (2018..=2027).collect::<Vec<_>>());
        }
    }

    #[test]
    fn seasons_have_their_peaks() {
        let calendar = Calendar::new().unwrap();
        let ordinary = calendar.season(date(2024, 9, 11));
        assert!(calendar.season(date(2024, 10, 29)) > 2.0 * ordinary, "two days before Deepavali");
        assert!(calendar.season(date(2025, 1, 12)) > 2.0 * ordinary, "two days before Pongal");
        assert!(calendar.season(date(2024, 4, 12)) > 1.3 * ordinary, "before the Tamil New Year");
        assert!(calendar.season(date(2024, 7, 24)) > 1.1 * ordinary, "Aadi");
        assert!(calendar.season(date(2024, 9, 15)) > 1.5 * ordinary, "Sunday");
        assert!(calendar.near_festival(date(2024, 10, 20)) && !calendar.near_festival(date(2024, 6, 1)));
    }
}
