//! What is sold: products with a brand, a price, a popularity and a life from launch to clearance.

use std::collections::HashSet;
use std::io::{self, Write};

use chrono::{Datelike, Days, NaiveDate, Weekday};

use crate::alias::Alias;
use crate::calendar::Period;
use crate::random::{Purpose, Stream};

/// Kind of shoe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Running,
    Training,
    Basketball,
    Lifestyle,
    Walking,
    School,
}

impl Category {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Category::Running => "Running",
            Category::Training => "Training",
            Category::Basketball => "Basketball",
            Category::Lifestyle => "Lifestyle",
            Category::Walking => "Walking",
            Category::School => "School",
        }
    }

    /// Price elasticity of demand: demand grows as (1 - discount)^-elasticity. Parents buy school shoes at any price,
    /// a lifestyle shoe can wait for the sale.
    pub(crate) fn elasticity(self) -> f64 {
        match self {
            Category::Running => 1.7,
            Category::Training => 1.5,
            Category::Basketball => 1.2,
            Category::Lifestyle => 2.3,
            Category::Walking => 1.9,
            Category::School => 0.8,
        }
    }

    /// How much more than on average the category sells at a time of the year.
    pub(crate) fn season(self, date: NaiveDate) -> f64 {
        match (self, date.month(), date.day()) {
            (Category::School, 5, 15..) | (Category::School, 6, 1..=20) => 3.0,
            (Category::School, ..) => 0.85,
            (Category::Running, 12, _) | (Category::Running, 1, _) => 1.2,
            (Category::Walking, 3..=5, _) => 1.1,
            _ => 1.0,
        }
    }
}

/// A brand's range in one category.
#[derive(Debug)]
struct Range {
    brand: &'static str,
    category: Category,
    /// Lowest and highest list price, rupees.
    prices: (f64, f64),
    /// Share of the catalogue.
    breadth: f64,
    families: &'static [&'static str],
}

const fn range(
    brand: &'static str,
    category: Category,
    prices: (f64, f64),
    breadth: f64,
    families: &'static [&'static str],
) -> Range {
    Range { brand, category, prices, breadth, families }
}

use Category::{Basketball, Lifestyle, Running, School, Training, Walking};

/// The first one holds SKU1.
const RANGES: [Range; 24] = [
    range(
        "Nike",
        Running,
        (3_695.0, 14_995.0),
        7.0,
        &["Revolution", "Downshifter", "Winflo", "Pegasus", "Zoom Fly"],
    ),
    range(
        "Nike",
        Lifestyle,
        (5_695.0, 12_795.0),
        6.0,
        &["Air Force 1", "Court Vision", "Dunk Low", "Air Max SC"],
    ),
    range(
        "Nike",
        Basketball,
        (6_995.0, 16_995.0),
        4.0,
        &["Giannis Immortality", "LeBron Witness", "Air Jordan 1 Mid"],
    ),
    range("Adidas", Running, (3_599.0, 16_999.0), 6.0, &["Galaxy", "Duramo", "Adizero SL", "Ultraboost"]),
    range(
        "Adidas",
        Lifestyle,
        (4_999.0, 11_999.0),
        6.0,
        &["Grand Court", "Stan Smith", "Samba OG", "Superstar"],
    ),
    range("Adidas", Training, (4_599.0, 9_999.0), 3.0, &["Dropset", "Amplimove", "Everyset"]),
    range("Puma", Running, (2_999.0, 11_999.0), 6.0, &["Softride", "Velocity Nitro", "Deviate Nitro"]),
    range("Puma", Lifestyle, (2_499.0, 8_999.0), 7.0, &["Smashic", "Suede Classic", "RS-X", "Carina"]),
    range("Puma", Training, (2_999.0, 6_999.0), 3.0, &["Fuse", "PWRFrame"]),
    range(
        "Asics",
        Running,
        (4_499.0, 16_999.0),
        6.0,
        &["Gel-Contend", "GT-1000", "Gel-Nimbus", "Gel-Kayano"],
    ),
    range("Asics", Lifestyle, (5_999.0, 9_999.0), 2.0, &["Japan S", "Gel-1130"]),
    range(
        "New Balance",
        Running,
        (5_999.0, 16_999.0),
        3.0,
        &["Fresh Foam Arishi", "Fresh Foam 1080", "FuelCell"],
    ),
    range("New Balance", Lifestyle, (6_999.0, 14_999.0), 4.0, &["574", "550", "9060"]),
    range("Skechers", Walking, (3_499.0, 8_999.0), 5.0, &["Go Walk", "Arch Fit", "Max Cushioning"]),
    range("Reebok", Training, (2_999.0, 8_999.0), 4.0, &["Energen", "Zig Dynamica", "Nano"]),
    range("Bata", Walking, (899.0, 2_499.0), 4.0, &["Power Glide", "Comfit", "Floatz"]),
    range("Bata", School, (499.0, 1_299.0), 4.0, &["Naughty Boy", "Scout", "Bubblegummers"]),
    range("Campus", Running, (899.0, 2_499.0), 7.0, &["Oxyfit", "North", "Mike", "Camp-Dragon"]),
    range("Campus", Lifestyle, (999.0, 2_299.0), 4.0, &["OG-L1", "Campus Classic"]),
    range("Campus", School, (549.0, 1_199.0), 2.0, &["Smart Step", "Pupil"]),
    range("Red Tape", Lifestyle, (1_299.0, 3_499.0), 5.0, &["Court Sneaker", "Athleisure", "Retro Runner"]),
    range("Red Tape", Walking, (1_199.0, 2_799.0), 3.0, &["Walk Lite", "Stride"]),
    range("Sparx", Running, (799.0, 1_899.0), 4.0, &["SM-680", "SM-414", "SM-752"]),
    range("Sparx", Walking, (699.0, 1_499.0), 3.0, &["SX-0502", "SX-0277"]),
];

const COLOURS: [&str; 14] = [
    "Black",
    "White",
    "Navy",
    "Grey",
    "Red",
    "Royal Blue",
    "Olive",
    "Cream",
    "Pink",
    "Lime",
    "Tan",
    "Teal",
    "Maroon",
    "Black/White",
];

/// One product. Its SKU is `SKU` and its index + 1.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) brand: &'static str,
    pub(crate) model: String,
    pub(crate) category: Category,
    /// Day number of the launch, negative when it was before the period.
    pub(crate) launch: i64,
    /// Day number after which it is no longer sold.
    end: Option<i64>,
    launched_with: Launch,
    pub(crate) list_paise: i64,
    cost_paise: i64,
    /// Popularity in its steady state; the unit is arbitrary.
    pub(crate) popularity: f64,
    /// Factor of popularity in metros and elsewhere: dear shoes sell better in the large cities.
    pub(crate) by_tier: [f64; 2],
}

/// How the first weeks go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Launch {
    /// Sold steadily since long ago.
    Forgotten,
    /// Twice and a half the steady sales, decaying over a month.
    Usual,
    /// Seven times, decaying over twelve days.
    Hyped,
}

impl Product {
    /// Factor of popularity on a day: nothing before the launch and after the end, a spike that decays after the launch,
    /// a fade-out before the end.
    pub(crate) fn life(&self, day: i64) -> f64 {
        let age = (day - self.launch) as f64;
        if !self.sold_on(day) {
            return 0.0;
        }
        let fresh = match self.launched_with {
            Launch::Forgotten => 1.0,
            Launch::Usual => 0.85 + 1.7 * (-age / 30.0).exp(),
            Launch::Hyped => 0.55 + 6.5 * (-age / 12.0).exp(),
        };
        let left = self.end.map_or(f64::INFINITY, |end| (end - day) as f64);
        fresh * (0.2 + 0.8 * (left / 60.0).min(1.0))
    }

    /// True from the launch to the end.
    pub(crate) fn sold_on(&self, day: i64) -> bool {
        day >= self.launch && self.end.is_none_or(|end| day <= end)
    }

    /// Unit price after a discount in per cent, paise.
    pub(crate) fn price(&self, discount_percent: i64) -> i64 {
        (self.list_paise * (100 - discount_percent) + 50) / 100
    }
}

/// All products; SKU1 is the steadiest seller.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) products: Vec<Product>,
}

impl Catalog {
    pub(crate) fn new(seed: u64, period: &Period, count: u32) -> Catalog {
        let breadth: Vec<f64> = RANGES.iter().map(|range| range.breadth).collect();
        let ranges = Alias::new(&breadth);
        let ranks = ranks(seed, count);
        let mut taken = HashSet::new();
        let mut products: Vec<Product> = ranks
            .into_iter()
            .enumerate()
            .map(|(index, rank)| {
                let mut stream = Stream::new(seed, Purpose::Product, index as u64);
                let range = &RANGES[if index == 0 { 0 } else { ranges.draw(&mut stream) }];
                product(range, index == 0, rank, count, period, &mut stream, &mut taken)
            })
            .collect();
        let most = products.iter().map(|product| product.popularity).fold(0.0, f64::max);
        if let Some(first) = products.first_mut() {
            first.popularity = most;
        }
        Catalog { products }
    }

    /// Writes `catalog.csv`.
    pub(crate) fn write(&self, period: &Period, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "sku,brand,model,category,launch_date,list_price,unit_cost")?;
        for (index, product) in self.products.iter().enumerate() {
            let Product { brand, model, category, launch, list_paise, cost_paise, .. } = product;
            let (number, category, launch) = (index + 1, category.name(), period.date(*launch));
            let (list, cost) = (rupees(*list_paise), rupees(*cost_paise));
            writeln!(out, "SKU{number},{brand},{model},{category},{launch},{list},{cost}")?;
        }
        Ok(())
    }

    /// Brands in the catalogue, each once.
    pub(crate) fn brands(&self) -> Vec<&'static str> {
        let mut brands: Vec<_> = self.products.iter().map(|product| product.brand).collect();
        brands.sort_unstable();
        brands.dedup();
        brands
    }
}

/// Paise as rupees with two decimals.
pub(crate) fn rupees(paise: i64) -> String {
    let sign = if paise < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", paise.abs() / 100, paise.abs() % 100)
}

/// Popularity rank of each product: SKU1 leads, the others come in any order.
fn ranks(seed: u64, count: u32) -> Vec<u32> {
    let mut ranks: Vec<u32> = (0..count).collect();
    if let Some((_, others)) = ranks.split_first_mut() {
        Stream::new(seed, Purpose::Product, u64::MAX).shuffle(others);
    }
    ranks
}

fn product(
    range: &'static Range,
    first: bool,
    rank: u32,
    count: u32,
    period: &Period,
    stream: &mut Stream,
    taken: &mut HashSet<String>,
) -> Product {
    let (low, high) = range.prices;
    let skew = if first { 0.1 } else { stream.unit().powf(1.7) };
    let ending = if high > 3_000.0 { 5.0 } else { 1.0 };
    let list = (((low + skew * (high - low)) / 100.0).round() * 100.0 - ending).max(low);
    let cost_share = stream.range(0.50, 0.64);
    let tail = if f64::from(rank) > 0.7 * f64::from(count) { 0.2 } else { 1.0 };
    let popularity = tail * (f64::from(rank) + 9.0).powf(-1.15) * (3_000.0 / list).powf(0.3);
    let (launch, end, launched_with) =
        if first { (-400, None, Launch::Forgotten) } else { life(period, stream) };
    Product {
        brand: range.brand,
        model: model(range, stream, taken),
        category: range.category,
        launch,
        end,
        launched_with,
        list_paise: (list * 100.0).round() as i64,
        cost_paise: (list * cost_share * 100.0).round() as i64,
        popularity,
        by_tier: if low >= 2_900.0 { [1.3, 0.85] } else { [0.75, 1.2] },
    }
}

/// Half of the products are there throughout; the others come or go within the period.
fn life(period: &Period, stream: &mut Stream) -> (i64, Option<i64>, Launch) {
    let days = i64::from(period.days);
    match stream.below(100) {
        0..50 => (-stream.between(90, 900), None, Launch::Forgotten),
        50..65 => (-stream.between(90, 900), Some(stream.between(days / 10, days)), Launch::Forgotten),
        _ => {
            let launch = on_friday(period, stream.between(0, days - 1));
            let end = stream.chance(0.4).then(|| launch + stream.between(300, 500));
            (launch, end, if stream.chance(0.3) { Launch::Hyped } else { Launch::Usual })
        }
    }
}

/// The Friday on or after a day: the day of launches.
fn on_friday(period: &Period, day: i64) -> i64 {
    let date = period.date(day);
    (0..7)
        .find(|&ahead| {
            date.checked_add_days(Days::new(ahead)).is_some_and(|date| date.weekday() == Weekday::Fri)
        })
        .map_or(day, |ahead| day + ahead as i64)
}

/// A model name that no other product has.
fn model(range: &Range, stream: &mut Stream, taken: &mut HashSet<String>) -> String {
    let family = stream.pick(range.families).copied().unwrap_or("Classic");
    let colour = stream.pick(&COLOURS).copied().unwrap_or("Black");
    let mut version = stream.between(2, 9);
    loop {
        let model = format!("{family} {version} {colour}");
        if taken.insert(format!("{} {model}", range.brand)) {
            return model;
        }
        version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn demo() -> (Catalog, Period) {
        let period = Period::new(&Options::new(100_000, 1096, 42, "x")).unwrap();
        (Catalog::new(42, &period, 240), period)
    }

    #[test]
    fn the_first_product_sells_steadily_and_most() {
        let (catalog, _) = demo();
        let first = &catalog.products[0];
        assert!((0..1096).all(|day| first.life(day) == 1.0));
        assert!(catalog.products.iter().all(|other| other.popularity <= first.popularity));
    }

    #[test]
    fn prices_are_sane_and_models_unique() {
        let (catalog, _) = demo();
        let mut models = HashSet::new();
        for product in &catalog.products {
            assert!((40_000..2_000_000).contains(&product.list_paise), "{product:?}");
            assert!(product.cost_paise < product.list_paise && product.cost_paise > product.list_paise / 3);
            assert!(models.insert((product.brand, product.model.clone())));
            assert!(product.price(15) < product.list_paise);
        }
        assert_eq!(catalog.products[3].price(0), catalog.products[3].list_paise);
    }

    #[test]
    fn launches_are_on_fridays_spike_and_decay() {
        let (catalog, period) = demo();
        let hyped = catalog.products.iter().find(|product| product.launched_with == Launch::Hyped).unwrap();
        assert_eq!(period.date(hyped.launch).weekday(), Weekday::Fri);
        assert_eq!(hyped.life(hyped.launch - 1), 0.0);
        assert!(hyped.life(hyped.launch) > 5.0 * hyped.life(hyped.launch + 60));
    }

    #[test]
    fn rupees_have_two_decimals() {
        assert_eq!(rupees(499_505), "4995.05");
        assert_eq!(rupees(-7), "-0.07");
    }
}
