//! How much is sold where: every influence meets here, once a day, in tables from which orders are drawn.

use chrono::NaiveDate;

use crate::Error;
use crate::alias::Alias;
use crate::anomalies::{Anomalies, Anomaly};
use crate::calendar::{Calendar, Period};
use crate::catalog::Catalog;
use crate::customers::Customers;
use crate::options::Options;
use crate::places::Places;
use crate::promotions::{self, Promotions};
use crate::random::{Purpose, Stream};
use crate::stockouts::Stockouts;
use crate::weather::Weather;

/// Growth of the chain a year.
const GROWTH: f64 = 0.09;

/// Everything that is drawn once, before the first order.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) period: Period,
    pub(crate) places: Places,
    pub(crate) catalog: Catalog,
    pub(crate) promotions: Promotions,
    pub(crate) customers: Customers,
    pub(crate) anomalies: Anomalies,
    pub(crate) stockouts: Stockouts,
    calendar: Calendar,
    weather: Weather,
    /// First order of each day, and the total: orders are numbered through.
    first_order: Vec<u64>,
    /// Added to the number of an order to get its identifier, so that all have as many digits.
    pub(crate) id_base: u64,
}

/// What orders of one day are drawn from.
#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) day: u32,
    /// Number of the day's first order.
    pub(crate) first_order: u64,
    pub(crate) orders: u64,
    /// By shop.
    pub(crate) stores: Alias,
    /// By product: in metros, and elsewhere.
    pub(crate) products: [Alias; 2],
    /// Products one town orders in bulk, with the share of the day's orders that this makes.
    pub(crate) bulk: Vec<(usize, usize, f64)>,
    /// Unit price by product, paise.
    pub(crate) prices: Vec<i64>,
    /// Share of orders placed online.
    pub(crate) online: f64,
    /// Products by town that are out of stock, a bit each.
    missing: Vec<u64>,
    skus: usize,
    /// Expected demand; the unit is arbitrary.
    weight: f64,
}

impl Day {
    /// True when a town can't sell a product today.
    pub(crate) fn is_missing(&self, town: usize, sku: usize) -> bool {
        let bit = town * self.skus + sku;
        self.missing.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }
}

impl World {
    /// Draws the world and shares the orders out over its days.
    pub(crate) fn new(options: &Options) -> Result<World, Error> {
        let seed = options.seed;
        let period = Period::new(options)?;
        let calendar = Calendar::new()?;
        let places = Places::new(options)?;
        let catalog = Catalog::new(seed, &period, options.sku_count());
        let promotions = Promotions::new(seed, &period, &calendar, &catalog);
        let customers = Customers::new(seed, &period, &places, options.customer_count());
        let anomalies = Anomalies::new(seed, &period, &calendar, &places, &catalog, options.orders);
        let stockouts = Stockouts::new(seed, &period, &places, &catalog, &anomalies);
        let weather = Weather::new(seed, &period, &places);
        let id_base = 10_u64.pow(if options.orders < 9_000_000 { 7 } else { 10 });
        let mut world = World {
            seed,
            period,
            places,
            catalog,
            promotions,
            customers,
            anomalies,
            stockouts,
            calendar,
            weather,
            first_order: Vec::new(),
            id_base,
        };
        world.first_order = world.share_out(options.orders);
        Ok(world)
    }

    /// The tables of a day.
    pub(crate) fn day(&self, day: u32) -> Day {
        let date = self.period.date(i64::from(day));
        let active = self.promotions.active(date);
        let today: Vec<&Anomaly> = self.anomalies.on(day).collect();
        let products = &self.catalog.products;
        let mut prices = Vec::with_capacity(products.len());
        let mut weights = [Vec::with_capacity(products.len()), Vec::with_capacity(products.len())];
        // Launches and cuts make a day better than a day with the same products at their steady sales.
        let mut steady = [0.0; 2];
        for (sku, product) in products.iter().enumerate() {
            let percent = promotions::best(&active, product);
            prices.push(product.price(percent));
            let cut = 1.0 - percent as f64 / 100.0;
            let lift = cut.powf(-product.category.elasticity());
            let weight = product.popularity
                * product.life(i64::from(day))
                * lift
                * product.category.season(date)
                * injected(&today, None, Some(sku));
            let on_sale = product.sold_on(i64::from(day));
            for tier in 0..2 {
                weights[tier].push(weight * product.by_tier[tier]);
                steady[tier] += if on_sale { product.popularity * product.by_tier[tier] } else { 0.0 };
            }
        }
        let products = weights.map(|weights| Alias::new(&weights));
        let lifted = |tier: usize| products[tier].total() / steady[tier].max(f64::MIN_POSITIVE);
        let stores: Vec<f64> = self
            .places
            .stores
            .iter()
            .map(|store| {
                let tier = self.tier(store.town);
                let here = self.weather.factor(store.town, day) * injected(&today, Some(store.town), None);
                store.share * here * lifted(tier)
            })
            .collect();
        let stores = Alias::new(&stores);
        let (bulk, extra) = self.bulk(&today, &products, lifted);
        let state = injected(&today, None, None) * self.growth(day) * self.calendar.season(date);
        let total = stores.total() + extra;
        let bulk = bulk.into_iter().map(|(town, sku, weight)| (town, sku, weight / total)).collect();
        let (missing, skus) = self.missing(day);
        let first_order = self.first_order.get(day as usize).copied().unwrap_or(0);
        let end = self.first_order.get(day as usize + 1).copied().unwrap_or(first_order);
        Day {
            day,
            first_order,
            orders: end - first_order,
            stores,
            products,
            bulk,
            prices,
            online: self.online(date, day),
            missing,
            skus,
            weight: total * state,
        }
    }

    /// Index into tables that differ between metros (0) and other towns (1).
    pub(crate) fn tier(&self, town: usize) -> usize {
        usize::from(!self.places.towns.get(town).is_some_and(|town| town.metro))
    }

    /// Number of orders.
    pub(crate) fn orders(&self) -> u64 {
        self.first_order.last().copied().unwrap_or(0)
    }

    /// What spikes of one product in one town add, each and in sum.
    fn bulk(
        &self,
        today: &[&Anomaly],
        products: &[Alias; 2],
        lifted: impl Fn(usize) -> f64,
    ) -> (Vec<(usize, usize, f64)>, f64) {
        let mut bulk = Vec::new();
        for anomaly in today {
            if let (Some(town), Some(sku)) = (anomaly.town, anomaly.sku) {
                let tier = self.tier(town);
                let product = &self.catalog.products[sku];
                let share = product.popularity * product.by_tier[tier] / products[tier].total();
                let town_share = self.places.towns[town].share * lifted(tier);
                bulk.push((town, sku, (anomaly.factor - 1.0).max(0.0) * share * town_share));
            }
        }
        let extra = bulk.iter().map(|(_, _, weight)| weight).sum();
        (bulk, extra)
    }

    fn missing(&self, day: u32) -> (Vec<u64>, usize) {
        let (towns, skus) = (self.places.towns.len(), self.catalog.products.len());
        let mut bits = vec![0_u64; (towns * skus).div_ceil(64)];
        for stockout in self.stockouts.on(day) {
            let hit = stockout.town.map_or(0..towns, |town| town..town + 1);
            for bit in hit.map(|town| town * skus + stockout.sku) {
                bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        (bits, skus)
    }

    fn growth(&self, day: u32) -> f64 {
        (GROWTH * f64::from(day) / 365.0).exp()
    }

    /// More is ordered online from year to year, and when it rains on Chennai.
    fn online(&self, date: NaiveDate, day: u32) -> f64 {
        let years = (date - self.period.first).num_days() as f64 / 365.0;
        let rain = 1.0 - self.weather.factor(0, day);
        (0.14 + 0.035 * years + 0.15 * rain).min(0.6)
    }

    /// Splits the orders over the days as the demand and chance have it; returns the first order of each day.
    fn share_out(&self, orders: u64) -> Vec<u64> {
        let weights: Vec<f64> = (0..self.period.days).map(|day| self.day(day).weight).collect();
        let scale = orders as f64 / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let mut reached = 0.0;
        let sums: Vec<f64> = weights
            .iter()
            .enumerate()
            .map(|(day, weight)| {
                let mut stream = Stream::new(self.seed, Purpose::Volume, day as u64);
                let expected = weight * scale * (0.05 * stream.normal()).exp();
                reached += (expected + expected.sqrt() * stream.normal()).max(0.0);
                reached
            })
            .collect();
        let total = reached.max(f64::MIN_POSITIVE);
        let mut first_order = vec![0];
        first_order.extend(sums.iter().map(|sum| ((sum / total * orders as f64).round() as u64).min(orders)));
        if let Some(last) = first_order.last_mut() {
            *last = orders;
        }
        first_order
    }
}

/// Product of the anomalies of a day that have exactly this scope.
fn injected(today: &[&Anomaly], town: Option<usize>, sku: Option<usize>) -> f64 {
    let fitting = today.iter().filter(|anomaly| (anomaly.town, anomaly.sku) == (town, sku));
    fitting.map(|anomaly| anomaly.factor).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_shared_out_to_the_last() {
        for (orders, days) in [(1, 1), (7, 1096), (100_000, 1096), (5_000, 3)] {
            let world = World::new(&Options::new(orders, days, 42, "x")).unwrap();
            assert_eq!(world.orders(), orders);
            assert!(world.first_order.is_sorted());
            assert_eq!(world.first_order.len() as u32, days + 1);
        }
    }

    #[test]
    fn a_cut_lifts_the_product() {
        let world = World::new(&Options::new(100_000, 1096, 42, "x")).unwrap();
        let aadi = u32::try_from(world.period.day(NaiveDate::from_ymd_opt(2024, 7, 24).unwrap())).unwrap();
        let day = world.day(aadi);
        assert!(day.prices[0] < world.catalog.products[0].list_paise);
        assert!(day.products[1].total() > world.day(aadi - 14).products[1].total());
    }

    #[test]
    fn years_grow_moderately() {
        let world = World::new(&Options::new(300_000, 1096, 42, "x")).unwrap();
        let year = |from: usize| world.first_order[from + 365] - world.first_order[from];
        let growth = year(731) as f64 / year(0) as f64;
        assert!((1.05..1.45).contains(&growth), "{growth}");
    }
}
