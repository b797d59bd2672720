//! Price cuts: the state's yearly sales and, every few weeks, a brand of its own.

use std::io::{self, Write};

use chrono::{Datelike, Days, NaiveDate};

use crate::calendar::{Calendar, Period};
use crate::catalog::{Catalog, Category, Product};
use crate::random::{Purpose, Stream};

/// A price cut on some products for some days, both ends included.
#[derive(Debug, Clone)]
pub(crate) struct Promotion {
    name: String,
    first: NaiveDate,
    last: NaiveDate,
    brand: Option<&'static str>,
    category: Option<Category>,
    percent: i64,
}

impl Promotion {
    fn covers(&self, product: &Product) -> bool {
        self.brand.is_none_or(|brand| brand == product.brand)
            && self.category.is_none_or(|category| category == product.category)
    }
}

/// Every promotion that touches the period, by first day.
#[derive(Debug)]
pub(crate) struct Promotions {
    pub(crate) all: Vec<Promotion>,
}

impl Promotions {
    pub(crate) fn new(seed: u64, period: &Period, calendar: &Calendar, catalog: &Catalog) -> Promotions {
        let mut all = seasonal(period, calendar);
        all.extend(brand_weeks(seed, period, catalog));
        let (first, last) = (period.date(0), period.date(i64::from(period.last())));
        all.retain(|promotion| promotion.first <= last && promotion.last >= first);
        all.sort_by_key(|promotion| promotion.first);
        Promotions { all }
    }

    /// Promotions of a day.
    pub(crate) fn active(&self, date: NaiveDate) -> Vec<&Promotion> {
        self.all.iter().filter(|promotion| promotion.first <= date && date <= promotion.last).collect()
    }

    /// Writes `promotions.csv`; the discount is a share of the list price.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "promotion_id,name,start_date,end_date,brand,category,discount")?;
        for (index, promotion) in self.all.iter().enumerate() {
            let Promotion { name, first, last, brand, category, percent } = promotion;
            let (brand, category) = (brand.unwrap_or(""), category.map_or("", Category::name));
            writeln!(out, "P{:03},{name},{first},{last},{brand},{category},0.{percent:02}", index + 1)?;
        }
        Ok(())
    }
}

/// The largest cut among promotions, in per cent: they don't add up.
pub(crate) fn best(active: &[&Promotion], product: &Product) -> i64 {
    let cuts = active.iter().filter(|promotion| promotion.covers(product)).map(|promotion| promotion.percent);
    cuts.max().unwrap_or(0)
}

fn seasonal(period: &Period, calendar: &Calendar) -> Vec<Promotion> {
    let mut found = Vec::new();
    let mut add = |name: &str, year: i32, from: Option<NaiveDate>, days: u64, category, percent| {
        let last = from.and_then(|from| from.checked_add_days(Days::new(days - 1)));
        if let (Some(first), Some(last)) = (from, last) {
            found.push(Promotion {
                name: format!("{name} {year}"),
                first,
                last,
                brand: None,
                category,
                percent,
            });
        }
    };
    let last_year = period.date(i64::from(period.last())).year() + 1;
    for year in period.first.year() - 1..=last_year {
        let on = |month, day| NaiveDate::from_ymd_opt(year, month, day);
        let before = |festivals: &[NaiveDate], days| {
            let festival = festivals.iter().find(|festival| festival.year() == year);
            festival.and_then(|festival| festival.checked_sub_days(Days::new(days)))
        };
        add("Republic Day Running Week", year, on(1, 22), 7, Some(Category::Running), 20);
        add("Back to School", year, on(5, 20), 24, Some(Category::School), 15);
        add("Aadi Sale", year, on(7, 17), 31, None, 15);
        add("Year-End Clearance", year, on(12, 18), 14, Some(Category::Training), 25);
        add("Pongal Offer", year, before(calendar.pongal(), 7), 9, None, 10);
        add("Puthandu Offer", year, before(calendar.new_year(), 5), 6, Some(Category::Lifestyle), 20);
        add("Deepavali Dhamaka", year, before(calendar.deepavali(), 12), 12, None, 12);
    }
    found
}

/// About nine weeks a year in which one brand, or one of its categories, is cheaper.
fn brand_weeks(seed: u64, period: &Period, catalog: &Catalog) -> Vec<Promotion> {
    let brands = catalog.brands();
    let mut found = Vec::new();
    let mut stream = Stream::new(seed, Purpose::Promotion, 0);
    let mut day = stream.between(5, 40);
    while day < i64::from(period.days) {
        let length = stream.between(5, 10);
        if let Some(&brand) = stream.pick(&brands) {
            let categories: Vec<Category> = catalog
                .products
                .iter()
                .filter(|product| product.brand == brand)
                .map(|product| product.category)
                .collect();
            let category = if stream.chance(0.4) { stream.pick(&categories).copied() } else { None };
            let percent = *stream.pick(&[15, 20, 20, 25, 30, 40]).unwrap_or(&20);
            let kind = category.map_or("", Category::name);
            let name = format!("{brand} {kind} Days").replace("  ", " ");
            let (first, last) = (period.date(day), period.date(day + length - 1));
            found.push(Promotion { name, first, last, brand: Some(brand), category, percent });
        }
        day += length + stream.between(18, 48);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn demo() -> (Promotions, Catalog) {
        let period = Period::new(&Options::new(100_000, 1096, 42, "x")).unwrap();
        let catalog = Catalog::new(42, &period, 240);
        (Promotions::new(42, &period, &Calendar::new().unwrap(), &catalog), catalog)
    }

    #[test]
    fn every_year_has_its_sales() {
        let (promotions, _) = demo();
        for name in ["Aadi Sale 2023", "Aadi Sale 2025", "Deepavali Dhamaka 2024", "Pongal Offer 2026"] {
            assert!(promotions.all.iter().any(|promotion| promotion.name == name), "{name}");
        }
        assert!(promotions.all.iter().filter(|promotion| promotion.brand.is_some()).count() > 20);
        assert!(promotions.all.is_sorted_by_key(|promotion| promotion.first));
    }

    #[test]
    fn the_largest_cut_counts() {
        let (promotions, catalog) = demo();
        let july = NaiveDate::from_ymd_opt(2024, 7, 20).unwrap();
        let active = promotions.active(july);
        assert!(catalog.products.iter().all(|product| best(&active, product) >= 15));
        assert_eq!(best(&[], &catalog.products[0]), 0);
    }

    #[test]
    fn the_file_has_fractions() {
        let (promotions, _) = demo();
        let mut out = Vec::new();
        promotions.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(",Aadi Sale 2024,2024-07-17,2024-08-16,,,0.15\n"), "{text}");
    }
}
