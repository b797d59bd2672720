//! Days on which something happened: injected spikes and drops whose truth is written beside the data.
//!
//! An anomaly is placed only where enough is usually sold for it to show, and away from the great festivals.

use std::io::{self, Write};

use crate::calendar::{Calendar, Period};
use crate::catalog::Catalog;
use crate::places::Places;
use crate::random::{Purpose, Stream};

/// Usual orders a day from which on a drop shows.
const ENOUGH_TO_DROP: f64 = 7.0;
/// Usual orders a day from which on a spike shows.
const ENOUGH_TO_SPIKE: f64 = 2.5;
/// One anomaly for so many days.
const EVERY: i64 = 36;

/// One injected anomaly: on one day, in a town or everywhere, of a product or all of them.
#[derive(Debug, Clone)]
pub(crate) struct Anomaly {
    pub(crate) day: u32,
    pub(crate) town: Option<usize>,
    pub(crate) sku: Option<usize>,
    /// Expected demand is multiplied by this: above 1 a spike, below 1 a drop.
    pub(crate) factor: f64,
    sentence: String,
}

/// All anomalies by day.
#[derive(Debug)]
pub(crate) struct Anomalies {
    pub(crate) all: Vec<Anomaly>,
}

/// What the plan is drawn from.
#[derive(Clone, Copy)]
struct Scene<'a> {
    places: &'a Places,
    catalog: &'a Catalog,
    /// Sum of the popularity of all products.
    popularity: f64,
    /// Orders on an average day.
    orders: f64,
    day: i64,
}

impl Anomalies {
    pub(crate) fn new(
        seed: u64,
        period: &Period,
        calendar: &Calendar,
        places: &Places,
        catalog: &Catalog,
        orders: u64,
    ) -> Anomalies {
        let count = i64::from(period.days) / EVERY;
        let popularity = catalog.products.iter().map(|product| product.popularity).sum();
        let orders = orders as f64 / f64::from(period.days);
        let mut all = Vec::new();
        for slot in 0..count {
            let mut stream = Stream::new(seed, Purpose::Anomaly, slot as u64);
            let days = (0..40).map(|_| slot * EVERY + stream.between(2, EVERY - 3));
            let Some(day) = days.into_iter().find(|&day| !calendar.near_festival(period.date(day))) else {
                continue;
            };
            let scene = Scene { places, catalog, popularity, orders, day };
            let found = match slot % 5 {
                0 => scene.town_drop(&mut stream),
                1 => scene.product_spike(&mut stream),
                2 => scene.town_spike(&mut stream),
                3 => scene.bulk_order(&mut stream),
                _ => scene.product_drop(&mut stream).or_else(|| scene.state_drop(&mut stream)),
            };
            all.extend(found);
        }
        Anomalies { all }
    }

    /// Anomalies of a day.
    pub(crate) fn on(&self, day: u32) -> impl Iterator<Item = &Anomaly> {
        self.all.iter().filter(move |anomaly| anomaly.day == day)
    }

    /// Writes `anomalies.csv`; an empty city or sku means all of them.
    pub(crate) fn write(&self, period: &Period, places: &Places, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "date,city,sku,kind,factor,sentence")?;
        for anomaly in &self.all {
            let date = period.date(i64::from(anomaly.day));
            let city =
                anomaly.town.and_then(|town| places.towns.get(town)).map_or("", |town| town.name.as_str());
            let sku = anomaly.sku.map_or_else(String::new, |sku| format!("SKU{}", sku + 1));
            let kind = if anomaly.factor > 1.0 { "spike" } else { "drop" };
            writeln!(out, "{date},{city},{sku},{kind},{:.2},{}", anomaly.factor, anomaly.sentence)?;
        }
        Ok(())
    }
}

impl Scene<'_> {
    fn town_drop(self, stream: &mut Stream) -> Option<Anomaly> {
        let town = self.town(stream, ENOUGH_TO_DROP)?;
        let reason =
            stream.pick(&["a transport strike", "a power cut", "a flooded road", "a card network outage"])?;
        let factor = hundredths(stream.range(0.03, 0.2));
        self.anomaly(Some(town), None, factor, |city, _| format!("{reason} kept shoppers away in {city}"))
    }

    fn state_drop(self, stream: &mut Stream) -> Option<Anomaly> {
        if self.orders < ENOUGH_TO_DROP {
            return None;
        }
        let reason = stream.pick(&[
            "a bandh closed shops",
            "the payment system was down",
            "a cyclone warning closed shops",
        ])?;
        let factor = hundredths(stream.range(0.1, 0.3));
        self.anomaly(None, None, factor, |_, _| format!("{reason} all over Tamil Nadu"))
    }

    fn town_spike(self, stream: &mut Stream) -> Option<Anomaly> {
        let town = self.town(stream, ENOUGH_TO_SPIKE)?;
        let reason =
            stream.pick(&["a marathon", "a college sports meet", "a shop anniversary", "a cricket final"])?;
        let factor = hundredths(stream.range(3.5, 6.0));
        self.anomaly(Some(town), None, factor, |city, _| format!("{reason} brought shoppers in {city}"))
    }

    fn product_spike(self, stream: &mut Stream) -> Option<Anomaly> {
        let sku = self.product(stream, 0.6)?;
        let usual = self.usual(sku);
        let reason = stream.pick(&["a film star wore", "a video made famous", "a cricketer praised"])?;
        let factor = hundredths((stream.range(14.0, 26.0) / usual).clamp(4.0, 30.0));
        self.anomaly(None, Some(sku), factor, |_, sku| format!("{reason} {sku}"))
    }

    fn product_drop(self, stream: &mut Stream) -> Option<Anomaly> {
        let sku = self.product(stream, ENOUGH_TO_DROP)?;
        self.anomaly(None, Some(sku), 0.0, |_, sku| format!("a recall took {sku} off the shelves for a day"))
    }

    /// One product in one town, a dozen pairs or so where there is usually hardly one.
    fn bulk_order(self, stream: &mut Stream) -> Option<Anomaly> {
        let sku = self.product(stream, 0.4)?;
        let town = stream.below(self.places.towns.len().min(12) as u64) as usize;
        let usual = self.usual(sku) * self.places.towns.get(town)?.share;
        let factor = hundredths((stream.range(11.0, 18.0) / usual).max(8.0));
        let buyer = stream.pick(&[
            "an athletics club",
            "a school",
            "a police training college",
            "a football team",
        ])?;
        self.anomaly(Some(town), Some(sku), factor, |city, sku| {
            format!("{buyer} in {city} ordered {sku} for everyone")
        })
    }

    /// A town with at least so many orders a day.
    fn town(self, stream: &mut Stream, enough: f64) -> Option<usize> {
        let towns = self.places.towns.iter().enumerate();
        let fit: Vec<usize> =
            towns.filter(|(_, town)| town.share * self.orders >= enough).map(|(index, _)| index).collect();
        stream.pick(&fit).copied()
    }

    /// A product on sale, past its launch, with at least so many orders a day.
    fn product(self, stream: &mut Stream, enough: f64) -> Option<usize> {
        let products = self.catalog.products.iter().enumerate();
        let steady =
            products.filter(|(_, product)| product.sold_on(self.day) && product.launch < self.day - 60);
        let fit: Vec<usize> =
            steady.map(|(index, _)| index).filter(|&index| self.usual(index) >= enough).collect();
        stream.pick(&fit).copied()
    }

    /// Orders of a product on an average day.
    fn usual(self, sku: usize) -> f64 {
        self.catalog
            .products
            .get(sku)
            .map_or(0.0, |product| self.orders * product.popularity / self.popularity)
    }

    fn anomaly(
        self,
        town: Option<usize>,
        sku: Option<usize>,
        factor: f64,
        sentence: impl Fn(&str, &str) -> String,
    ) -> Option<Anomaly> {
        let city = town.and_then(|town| self.places.towns.get(town)).map_or("", |town| town.name.as_str());
        let name = sku.map_or_else(String::new, |sku| format!("SKU{}", sku + 1));
        Some(Anomaly {
            day: u32::try_from(self.day).ok()?,
            town,
            sku,
            factor,
            sentence: sentence(city, &name),
        })
    }
}

/// As written to the truth file.
fn hundredths(factor: f64) -> f64 {
    (factor * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn plan(orders: u64, days: u32) -> (Anomalies, Period, Calendar, Places) {
        let options = Options::new(orders, days, 42, "x");
        let (period, places) = (Period::new(&options).unwrap(), Places::new(&options).unwrap());
        let (catalog, calendar) = (Catalog::new(42, &period, options.sku_count()), Calendar::new().unwrap());
        let anomalies = Anomalies::new(42, &period, &calendar, &places, &catalog, orders);
        (anomalies, period, calendar, places)
    }

    #[test]
    fn the_demo_has_every_kind() {
        let (anomalies, period, calendar, places) = plan(100_000, 1096);
        assert!(anomalies.all.len() >= 15, "{}", anomalies.all.len());
        let has = |town: bool, sku: bool, spike: bool| {
            let fits = |found: &&Anomaly| {
                (found.town.is_some(), found.sku.is_some(), found.factor > 1.0) == (town, sku, spike)
            };
            anomalies.all.iter().any(|anomaly| fits(&anomaly))
        };
        assert!(
            has(true, false, false)
                && has(true, false, true)
                && has(false, true, true)
                && has(true, true, true)
        );
        assert!(anomalies.all.iter().all(|found| !calendar.near_festival(period.date(i64::from(found.day)))));
        assert!(anomalies.all.is_sorted_by_key(|found| found.day));
        let mut out = Vec::new();
        anomalies.write(&period, &places, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.split(',').count() == 6), "{text}");
    }

    #[test]
    fn little_data_has_none() {
        assert!(plan(100, 1096).0.all.is_empty());
        assert!(plan(100_000, 10).0.all.is_empty());
    }
}
