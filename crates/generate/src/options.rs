//! What the caller chooses, and the sizes that follow from it.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use chrono::{Days, NaiveDate};

use crate::Error;
use crate::calendar::{FIRST_DATE, LAST_DATE};

const ORDERS: RangeInclusive<u64> = 1..=1_000_000_000;
/// SKU900000 and up are the unknown ones.
const SKUS: RangeInclusive<u32> = 1..=100_000;
const STORES: RangeInclusive<u32> = 1..=2_000;
const GZIP_LEVEL: RangeInclusive<u32> = 0..=9;

/// What to generate. The same options give the same bytes, whatever [`Options::threads`] is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sale orders, one line each, at least 1. Returns and duplicates come on top.
    pub orders: u64,
    /// Length of the period in days, at least 1.
    pub days: u32,
    /// Seed of every draw.
    pub seed: u64,
    /// Folder to write to; created when it does not exist.
    pub out: PathBuf,
    /// First day; `None` lets the period end on 2026-03-31. The period must lie in 2018–2027, for which the dates of the
    /// moving holidays are known.
    pub start: Option<NaiveDate>,
    /// Products; `None` lets them grow with the orders (about 240 for 100,000).
    pub skus: Option<u32>,
    /// Shops; `None` lets them grow with the orders (about 46 for 100,000). From 38 shops on they stand in at least 30
    /// towns.
    pub stores: Option<u32>,
    /// Registered customers; `None` means one for about six orders.
    pub customers: Option<u64>,
    /// Compression of the `.gz` files, 0 (none) to 9 (smallest).
    pub gzip_level: u32,
    /// Worker threads; `None` takes as many as the machine has cores.
    pub threads: Option<NonZeroUsize>,
}

impl Options {
    /// Options with everything but the size left to its default.
    pub fn new(orders: u64, days: u32, seed: u64, out: impl Into<PathBuf>) -> Options {
        Options {
            orders,
            days,
            seed,
            out: out.into(),
            start: None,
            skus: None,
            stores: None,
            customers: None,
            gzip_level: 6,
            threads: None,
        }
    }

    /// First day of the period; `None` when it lies outside the calendar.
    pub(crate) fn first_date(&self) -> Option<NaiveDate> {
        match self.start {
            Some(start) => Some(start),
            None => NaiveDate::from_ymd_opt(2026, 4, 1)?.checked_sub_days(Days::new(u64::from(self.days))),
        }
    }

    /// Number of products.
    pub(crate) fn sku_count(&self) -> u32 {
        self.skus.unwrap_or_else(|| grow(self.orders, 1.35, 0.45).clamp(12, 10_000))
    }

    /// Number of shops.
    pub(crate) fn store_count(&self) -> u32 {
        self.stores.unwrap_or_else(|| grow(self.orders, 1.455, 0.3).clamp(38, 400))
    }

    /// Number of registered customers.
    pub(crate) fn customer_count(&self) -> u64 {
        self.customers.unwrap_or(self.orders / 6).clamp(50, 4_000_000)
    }

    pub(crate) fn thread_count(&self) -> usize {
        self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }

    /// Refuses what can't be generated, with the range that can.
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("orders", self.orders, &ORDERS)?;
        within("days", self.days, &(1..=u32::MAX))?;
        within("gzip level", self.gzip_level, &GZIP_LEVEL)?;
        if let Some(skus) = self.skus {
            within("skus", skus, &SKUS)?;
        }
        if let Some(stores) = self.stores {
            within("stores", stores, &STORES)?;
        }
        if let Some(customers) = self.customers {
            within("customers", customers, &(1..=4_000_000))?;
        }
        let first = self.first_date();
        let last = first.and_then(|first| first.checked_add_days(Days::new(u64::from(self.days) - 1)));
        match (first, last) {
            (Some(first), Some(last)) if first >= FIRST_DATE && last <= LAST_DATE => Ok(()),
            _ => Err(Error::Option {
                option: "days",
                found: match (first, last) {
                    (Some(first), Some(last)) => format!("{} ({first} to {last})", self.days),
                    _ => self.days.to_string(),
                },
                expected: format!("a period within {FIRST_DATE} to {LAST_DATE}: lower it or move the start"),
            }),
        }
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    option: &'static str,
    found: T,
    range: &RangeInclusive<T>,
) -> Result<(), Error> {
    if range.contains(&found) {
        return Ok(());
    }
    let expected = format!("{} to {}", range.start(), range.end());
    Err(Error::Option { option, found: found.to_string(), expected })
}

fn grow(orders: u64, factor: f64, exponent: f64) -> u32 {
    (factor * (orders as f64).powf(exponent)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(options: Options) -> String {
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn sizes_grow_with_the_orders() {
        let demo = Options::new(100_000, 1096, 42, "x");
        assert!((230..=250).contains(&demo.sku_count()), "{}", demo.sku_count());
        assert!((44..=50).contains(&demo.store_count()), "{}", demo.store_count());
        let large = Options::new(10_000_000, 1096, 42, "x");
        assert!(large.sku_count() > 1_500 && large.store_count() > 150);
        assert_eq!(Options::new(1, 1, 42, "x").store_count(), 38);
    }

    #[test]
    fn the_default_period_ends_in_march_2026() {
        let first = Options::new(1, 1096, 1, "x").first_date();
        assert_eq!(first, NaiveDate::from_ymd_opt(2023, 4, 1));
    }

    #[test]
    fn wrong_options_say_what_is_right() {
        assert_eq!(message(Options::new(0, 1, 1, "x")), "orders is 0, expected 1 to 1000000000");
        assert!(message(Options::new(1, 0, 1, "x")).starts_with("days is 0, expected 1 to"));
        let long = message(Options::new(1, 9_000, 1, "x"));
        assert!(long.contains("2018-01-01 to 2027-12-31"), "{long}");
        assert!(message(Options::new(1, u32::MAX, 1, "x")).contains("2018-01-01"));
        let mut options = Options::new(1, 10, 1, "x");
        options.start = NaiveDate::from_ymd_opt(2017, 12, 31);
        assert!(message(options.clone()).contains("2017-12-31 to 2018-01-09"));
        options.start = None;
        options.skus = Some(0);
        assert!(message(options.clone()).starts_with("skus is 0"));
        options.skus = Some(900_000);
        assert!(message(options.clone()).starts_with("skus is 900000"));
        options.skus = None;
        options.gzip_level = 10;
        assert_eq!(message(options), "gzip level is 10, expected 0 to 9");
    }
}
