//! Rain that keeps people at home: spells of the two monsoons, by coast and hills, on top of a lasting dip.

use crate::calendar::Period;
use crate::places::{Places, Zone};
use crate::random::{Purpose, Stream};
use chrono::Datelike;

/// Share of the usual sales that a rainy day leaves.
const WET: f64 = 0.45;
/// Share that a dry day in the monsoon leaves.
const DAMP: f64 = 0.86;

/// Factor of demand by town and day.
#[derive(Debug)]
pub(crate) struct Weather {
    towns: Vec<Vec<f32>>,
}

impl Weather {
    pub(crate) fn new(seed: u64, period: &Period, places: &Places) -> Weather {
        let spells: Vec<(Zone, Vec<bool>)> = [Zone::NorthEast, Zone::SouthWest]
            .into_iter()
            .map(|zone| (zone, spells(seed, period, zone)))
            .collect();
        let towns = places.towns.iter().enumerate().map(|(town, place)| {
            let mut stream = Stream::new(seed, Purpose::Rain, 100 + town as u64);
            let spell = spells.iter().find(|(zone, _)| *zone == place.zone);
            (0..period.days)
                .map(|day| {
                    // A spell spares some towns.
                    let hit = stream.chance(0.8);
                    let Some((zone, wet)) = spell.filter(|(zone, _)| monsoon(period, day, *zone)) else {
                        return 1.0;
                    };
                    let hard = if *zone == Zone::NorthEast { 1.0 } else { 0.5 };
                    let left = if hit && wet.get(day as usize) == Some(&true) { WET } else { DAMP };
                    (1.0 - hard * (1.0 - left)) as f32
                })
                .collect()
        });
        Weather { towns: towns.collect() }
    }

    /// Share of the usual sales left in a town on a day, at most 1.
    pub(crate) fn factor(&self, town: usize, day: u32) -> f64 {
        self.towns.get(town).and_then(|days| days.get(day as usize)).map_or(1.0, |&factor| f64::from(factor))
    }
}

/// Rainy days of a zone: spells of about three days, begun on one day in nine.
fn spells(seed: u64, period: &Period, zone: Zone) -> Vec<bool> {
    let mut stream = Stream::new(seed, Purpose::Rain, zone as u64);
    let mut wet = false;
    (0..period.days)
        .map(|_| {
            wet = stream.chance(if wet { 0.68 } else { 0.11 });
            wet
        })
        .collect()
}

fn monsoon(period: &Period, day: u32, zone: Zone) -> bool {
    let date = period.date(i64::from(day));
    match zone {
        Zone::NorthEast => matches!((date.month(), date.day()), (10, 15..) | (11, _) | (12, 1..=15)),
        Zone::SouthWest => matches!(date.month(), 6..=8),
        Zone::Dry => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn the_coast_is_wet_in_november_and_the_plain_is_not() {
        let options = Options::new(100_000, 1096, 42, "x");
        let period = Period::new(&options).unwrap();
        let places = Places::new(&options).unwrap();
        let weather = Weather::new(42, &period, &places);
        let mean = |name: &str, month: u32| {
            let town = places.towns.iter().position(|town| town.name == name).unwrap();
            let days: Vec<f64> = (0..period.days)
                .filter(|&day| period.date(i64::from(day)).month() == month)
                .map(|day| weather.factor(town, day))
                .collect();
            days.iter().sum::<f64>() / days.len() as f64
        };
        assert!(mean("Chennai", 11) < 0.85, "{}", mean("Chennai", 11));
        assert!((mean("Chennai", 2) - 1.0).abs() < 1e-9);
        assert!((mean("Salem", 11) - 1.0).abs() < 1e-9);
        assert!(mean("Ooty", 7) < 1.0);
    }
}
