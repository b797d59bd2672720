//! Empty shelves: a product that a town, or the whole state, can't sell for some days.

use std::io::{self, Write};

use crate::anomalies::Anomalies;
use crate::calendar::Period;
use crate::catalog::Catalog;
use crate::places::Places;
use crate::random::{Purpose, Stream};

/// Only the best-selling products run out in a town; nobody notices it of the others.
const NOTICED: usize = 60;

/// A run of days, both ends included, without a sale of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stockout {
    pub(crate) sku: usize,
    /// `None` is the whole state.
    pub(crate) town: Option<usize>,
    first: u32,
    last: u32,
}

/// All stock-outs. SKU1 never runs out, so that there is always something to sell.
#[derive(Debug)]
pub(crate) struct Stockouts {
    pub(crate) all: Vec<Stockout>,
}

impl Stockouts {
    pub(crate) fn new(
        seed: u64,
        period: &Period,
        places: &Places,
        catalog: &Catalog,
        anomalies: &Anomalies,
    ) -> Stockouts {
        let years = f64::from(period.days) / 365.0;
        let mut stream = Stream::new(seed, Purpose::Stockout, 0);
        let mut all = Vec::new();
        let mut add = |sku, town, length: i64, stream: &mut Stream| {
            let first = stream.below(u64::from(period.days)) as u32;
            let last = first.saturating_add(length as u32 - 1).min(period.last());
            let busy = |found: &&crate::anomalies::Anomaly| {
                found.sku == Some(sku) && (first..=last).contains(&found.day)
            };
            if !anomalies.all.iter().any(|anomaly| busy(&anomaly)) {
                all.push(Stockout { sku, town, first, last });
            }
        };
        let mut ranking: Vec<usize> = (1..catalog.products.len()).collect();
        let popularity = |sku: &usize| catalog.products[*sku].popularity;
        ranking.sort_by(|a, b| popularity(b).total_cmp(&popularity(a)));
        for &sku in &ranking {
            if stream.chance((0.08 * years).min(0.9)) {
                let length = stream.between(5, 15);
                add(sku, None, length, &mut stream);
            }
        }
        for &sku in ranking.iter().take(NOTICED) {
            for town in 0..places.towns.len() {
                if stream.chance((0.2 * years).min(0.9)) {
                    let length = stream.between(4, 21);
                    add(sku, Some(town), length, &mut stream);
                }
            }
        }
        all.sort_by_key(|stockout| (stockout.first, stockout.sku, stockout.town));
        Stockouts { all }
    }

    /// Stock-outs that include a day.
    pub(crate) fn on(&self, day: u32) -> impl Iterator<Item = &Stockout> {
        self.all.iter().filter(move |stockout| (stockout.first..=stockout.last).contains(&day))
    }

    /// Writes `stockouts.csv`; an empty city is the whole state.
    pub(crate) fn write(&self, period: &Period, places: &Places, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "sku,city,start_date,end_date")?;
        for stockout in &self.all {
            let city =
                stockout.town.and_then(|town| places.towns.get(town)).map_or("", |town| town.name.as_str());
            let (first, last) =
                (period.date(i64::from(stockout.first)), period.date(i64::from(stockout.last)));
            writeln!(out, "SKU{},{city},{first},{last}", stockout.sku + 1)?;
        }
        Ok(())
    }
}
