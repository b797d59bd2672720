//! Public holidays by region.

use std::sync::LazyLock;

use crate::civil::first_of_month;

/// Holidays of Tamil Nadu, 2018 to 2027, from the Python package holidays (<https://github.com/vacanza/holidays>, MIT
/// licence): one day a line, several holidays of a day joined by `; `.
const IN_TN: &str = include_str!("holiday/in_tn.csv");

/// The 18th of Aadi of the same years, the month in which Tamil Nadu's shops sell off: no public holiday of the state, so
/// not in that package. Aadi begins when the sun enters Cancer (the day after, if it does after sunset), reckoned by the
/// Surya Siddhanta's year as the printed almanacs do.
const IN_TN_AADI: &str = include_str!("holiday/in_tn_aadi.csv");

/// A calendar of holidays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HolidayRegion {
    /// Tamil Nadu, India (ISO 3166-2 code IN-TN).
    TamilNadu,
    /// No holidays.
    None,
}

/// A holiday on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Its name, which is the same each year.
    pub name: &'static str,
}

impl HolidayRegion {
    /// Every region, in the order in which messages list them.
    pub const ALL: [HolidayRegion; 2] = [HolidayRegion::TamilNadu, HolidayRegion::None];

    /// The name that SQL uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HolidayRegion::TamilNadu => "IN-TN",
            HolidayRegion::None => "none",
        }
    }

    /// The region called `name`, whatever its case.
    #[must_use]
    pub fn named(name: &str) -> Option<HolidayRegion> {
        Self::ALL.into_iter().find(|region| region.name().eq_ignore_ascii_case(name.trim()))
    }

    /// Its holidays by day; a day with two has two entries.
    #[must_use]
    pub fn holidays(self) -> &'static [Holiday] {
        static TAMIL_NADU: LazyLock<Vec<Holiday>> = LazyLock::new(|| Holiday::read(&[IN_TN, IN_TN_AADI]));
        match self {
            HolidayRegion::TamilNadu => &TAMIL_NADU,
            HolidayRegion::None => &[],
        }
    }

    /// The days of its holidays, ascending.
    pub(crate) fn days(self) -> &'static [i64] {
        static TAMIL_NADU: LazyLock<Vec<i64>> =
            LazyLock::new(|| HolidayRegion::TamilNadu.holidays().iter().map(|holiday| holiday.day).collect());
        match self {
            HolidayRegion::TamilNadu => &TAMIL_NADU,
            HolidayRegion::None => &[],
        }
    }
}

impl Holiday {
    /// Reads lines of dates and names, each text with a heading, and puts them in order.
    fn read(texts: &[&'static str]) -> Vec<Holiday> {
        let mut found = Vec::new();
        for line in texts.iter().flat_map(|text| text.lines().skip(1)) {
            let Some((date, names)) = line.split_once(',') else { continue };
            let mut parts = date.split('-').map(str::parse::<i64>);
            let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let day = first_of_month(year * 12 + month - 1) + day - 1;
            let names = names.trim_matches('"').split("; ");
            found.extend(names.map(|name| Holiday { day, name }));
        }
        found.sort_by_key(|holiday| holiday.day);
        found
    }
}

/// Holidays as days with the number of their kind: every Pongal has the same. Kinds are numbered by name.
#[must_use]
pub(crate) fn kinds(holidays: &[Holiday]) -> Vec<(i64, u32)> {
    let mut names: Vec<&str> = holidays.iter().map(|holiday| holiday.name).collect();
    names.sort_unstable();
    names.dedup();
    let kind = |name: &str| names.binary_search(&name).map_or(0, |at| at as u32);
    holidays.iter().map(|holiday| (holiday.day, kind(holiday.name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2018 to 2027.
    const YEARS: usize = 10;

    #[test]
    fn every_line_is_read() {
        let holidays = HolidayRegion::TamilNadu.holidays();
        assert!(holidays.len() >= IN_TN.lines().count() - 1 + YEARS);
        assert!(holidays.is_sorted_by_key(|holiday| holiday.day));
        assert_eq!(HolidayRegion::TamilNadu.days().len(), holidays.len());
        let pongal: Vec<i64> =
            holidays.iter().filter(|one| one.name == "Pongal").map(|one| one.day).collect();
        assert_eq!(pongal.len(), YEARS);
        assert_eq!(holidays.iter().filter(|one| one.name == "Aadi Perukku").count(), YEARS);
        // 2018-01-14
        assert_eq!(pongal[0], 17_545);
        assert!(holidays.iter().any(|one| one.name == "Tamil New Year"));
        assert!(HolidayRegion::None.holidays().is_empty());
    }

    #[test]
    fn kinds_are_the_same_each_year() {
        let holidays = HolidayRegion::named("in-tn").unwrap().holidays();
        let kinds = kinds(holidays);
        let of = |name: &str| {
            let days = holidays.iter().zip(&kinds).filter(|(holiday, _)| holiday.name == name);
            days.map(|(_, kind)| kind.1).collect::<std::collections::BTreeSet<u32>>()
        };
        assert_eq!((of("Pongal").len(), of("Diwali").len()), (1, 1));
        assert_ne!(of("Pongal"), of("Diwali"));
        assert_eq!(HolidayRegion::named("mars"), None);
    }
}
