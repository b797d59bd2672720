//! Reads what was generated as anyone would, line by line and without the generator's own code, and holds it to the truth
//! files and to what retail looks like.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono::{Datelike, NaiveDate};
use flate2::read::GzDecoder;
use smartsneaks_generate::{Error, Options, Summary, generate};

const DEMO: &str = "../../data/raw";

const HEADER: &str = "order_id,sku,timestamp,qty,price,city,store_id,customer_id,channel";

fn run(options: &Options) -> Summary {
    generate(options, &mut |_| {}).unwrap()
}

/// Every file under a folder with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Rows of a CSV file, compressed or not, by column name.
fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    let mut text = String::new();
    let mut file = File::open(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        file.read_to_string(&mut text).unwrap();
    }
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
}

/// A row that a warehouse has to load.
struct Sale {
    sku: String,
    date: NaiveDate,
    qty: i64,
    paise: i64,
    city: String,
    customer: String,
}

/// What a naive reader finds; sales by date.
#[derive(Default)]
struct Found {
    sales: Vec<Sale>,
    raw_rows: u64,
    late: u64,
    reasons: BTreeMap<String, u64>,
}

impl Found {
    fn read(root: &Path) -> Found {
        let known: HashSet<String> =
            rows(&root.join("catalog.csv")).into_iter().map(|row| row["sku"].clone()).collect();
        let mut logs: Vec<PathBuf> =
            fs::read_dir(root.join("sales")).unwrap().map(|entry| entry.unwrap().path()).collect();
        logs.sort();
        let (mut found, mut seen) = (Found::default(), HashSet::new());
        for log in logs {
            let month = log.file_name().unwrap().to_str().unwrap()["sales-".len()..][..7].to_owned();
            let mut text = String::new();
            GzDecoder::new(File::open(&log).unwrap()).read_to_string(&mut text).unwrap();
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            assert!(reader.headers().unwrap().iter().eq(HEADER.split(',')), "{}", log.display());
            for record in reader.records().map(Result::unwrap) {
                let fields: Vec<&str> = record.iter().collect();
                let [order, sku, timestamp, qty, price, city, _, customer, _] = fields[..] else {
                    panic!("{record:?}")
                };
                found.raw_rows += 1;
                let reason = if !seen.insert(order.to_owned()) {
                    "DUPLICATE_ORDER"
                } else if !known.contains(sku) {
                    "UNKNOWN_SKU"
                } else if price.is_empty() {
                    "MISSING_PRICE"
                } else if qty.parse::<i64>().is_err() || paise(price).is_none() {
                    "BAD_NUMBER"
                } else if timestamp.starts_with("2087") {
                    "FUTURE_DATE"
                } else {
                    found.late += u64::from(!timestamp.starts_with(&month));
                    found.sales.push(Sale {
                        sku: sku.to_owned(),
                        date: day(&timestamp[..10]),
                        qty: qty.parse().unwrap(),
                        paise: paise(price).unwrap(),
                        city: city.to_owned(),
                        customer: customer.to_owned(),
                    });
                    continue;
                };
                *found.reasons.entry(reason.to_owned()).or_default() += 1;
            }
        }
        found.sales.sort_by_key(|sale| sale.date);
        found
    }

    /// Number of sales, returns apart, for which a condition holds.
    fn count(&self, holds: impl Fn(&Sale) -> bool) -> f64 {
        self.sales.iter().filter(|sale| sale.qty > 0 && holds(sale)).count() as f64
    }

    /// Sales a day over a range of dates, both ends included.
    fn daily(&self, first: NaiveDate, last: NaiveDate, holds: impl Fn(&Sale) -> bool) -> f64 {
        let from = self.sales.partition_point(|sale| sale.date < first);
        let to = self.sales.partition_point(|sale| sale.date <= last);
        let sold = self.sales[from..to].iter().filter(|sale| sale.qty > 0 && holds(sale)).count();
        sold as f64 / ((last - first).num_days() + 1) as f64
    }
}

/// Rupees with exactly two decimals as paise.
fn paise(price: &str) -> Option<i64> {
    let (rupees, paise) = price.split_once('.')?;
    (paise.len() == 2).then_some(())?;
    Some(rupees.parse::<i64>().ok()? * 100 + paise.parse::<i64>().ok()?)
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    for (name, seed, threads) in [("a", 42, 1), ("b", 42, 3), ("c", 43, 2)] {
        let mut options = Options::new(3_000, 100, seed, folder.path().join(name));
        options.threads = NonZeroUsize::new(threads);
        run(&options);
        made.push(files(&folder.path().join(name)));
    }
    assert_eq!(made[0].len(), 4 + 3 + 3, "four months, three tables, three truths: {:?}", made[0].keys());
    assert!(made[0] == made[1], "the number of threads shows");
    for path in ["sales/sales-2026-01.csv.gz", "customers.csv.gz", "catalog.csv", "truth/counts.json"] {
        let path = Path::new(path);
        assert!(made[0][path] != made[2][path], "{} does not depend on the seed", path.display());
    }
}

#[test]
fn a_naive_reader_finds_what_the_truth_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, orders, days) in [("year", 12_000, 400), ("day", 500, 1), ("few", 3, 90)] {
        let root = folder.path().join(name);
        let summary = run(&Options::new(orders, days, 7, &root));
        let written: serde_json::Value =
            serde_json::from_slice(&fs::read(root.join("truth/counts.json")).unwrap()).unwrap();
        assert_eq!(written, serde_json::to_value(&summary).unwrap());
        holds_the_truth(&root, &written);
        assert_eq!(summary.orders, orders);
        assert_eq!(summary.counts.raw_rows, orders + summary.counts.returns + summary.counts.duplicates);
    }
}

/// Compares what the files hold with the truth about them, and hands over what they hold.
fn holds_the_truth(root: &Path, truth: &serde_json::Value) -> Found {
    let number = |key: &str| truth[key].as_i64().unwrap();
    let found = Found::read(root);
    assert_eq!(number("raw_rows"), found.raw_rows as i64);
    assert_eq!(number("kept_rows"), found.sales.len() as i64);
    assert_eq!(number("late_arrivals"), found.late as i64);
    assert_eq!(number("duplicates"), found.reasons.get("DUPLICATE_ORDER").map_or(0, |&rows| rows as i64));
    for (reason, rows) in truth["rows_by_reason"].as_object().unwrap() {
        let expected = if reason == "LATE_ARRIVAL" {
            found.late
        } else {
            found.reasons.get(reason).copied().unwrap_or(0)
        };
        assert_eq!(rows.as_u64(), Some(expected), "{reason}");
    }
    let revenue: i64 = found.sales.iter().map(|sale| sale.qty * sale.paise).sum();
    assert_eq!(number("kept_revenue_paise"), revenue);
    assert_eq!(number("kept_qty"), found.sales.iter().map(|sale| sale.qty).sum::<i64>());
    assert_eq!(number("kept_returns"), found.sales.iter().filter(|sale| sale.qty < 0).count() as i64);
    assert_eq!(number("raw_rows"), number("kept_rows") + number("quarantined") + number("duplicates"));
    let listed: i64 = truth["files"].as_object().unwrap().values().map(|rows| rows.as_i64().unwrap()).sum();
    assert_eq!(listed, number("raw_rows"));
    let customers: HashSet<String> =
        rows(&root.join("customers.csv.gz")).into_iter().map(|row| row["customer_id"].clone()).collect();
    assert_eq!(customers.len() as i64, number("customers"));
    assert!(found.sales.iter().all(|sale| customers.contains(&sale.customer)));
    found
}

#[test]
fn the_demo_set_is_what_its_command_makes() {
    let folder = tempfile::tempdir().unwrap();
    run(&Options::new(100_000, 1096, 42, folder.path()));
    let (made, committed) = (files(folder.path()), files(Path::new(DEMO)));
    assert_eq!(made.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (path, bytes) in &made {
        assert!(
            bytes == &committed[path],
            "{} differs: make the demo set again (data/README.md)",
            path.display()
        );
    }
    assert!(committed.values().map(Vec::len).sum::<usize>() < 5_500_000, "the demo set has grown too large");
}

#[test]
fn the_demo_behaves_like_retail() {
    let root = Path::new(DEMO);
    let truth = serde_json::from_slice(&fs::read(root.join("truth/counts.json")).unwrap()).unwrap();
    let found = holds_the_truth(root, &truth);
    weeks_and_festivals(&found);
    prices_and_promotions(root, &found);
    shelves_and_anomalies(root, &found);

    let cities: HashSet<&str> = found.sales.iter().map(|sale| sale.city.as_str()).collect();
    assert!(cities.len() >= 30, "{} towns", cities.len());
    let mut days_sold: HashMap<&str, HashSet<NaiveDate>> = HashMap::new();
    for sale in found.sales.iter().filter(|sale| sale.qty > 0) {
        days_sold.entry(&sale.sku).or_default().insert(sale.date);
    }
    assert!(days_sold["SKU1"].len() > 1_000, "SKU1 sells on {} days", days_sold["SKU1"].len());
    assert!(days_sold.values().filter(|days| days.len() < 60).count() > 40, "there is no long tail");
}

fn weeks_and_festivals(found: &Found) {
    let weekend = found.count(|sale| sale.date.weekday().number_from_monday() >= 6) / 2.0;
    let working = found.count(|sale| sale.date.weekday().number_from_monday() <= 4) / 4.0;
    assert!((1.4..2.2).contains(&(weekend / working)), "weekend {}", weekend / working);
    for deepavali in [date(2023, 11, 12), date(2024, 10, 31), date(2025, 10, 20)] {
        let before = |days| deepavali - chrono::Days::new(days);
        let peak = found.daily(before(7), before(1), |_| true);
        let usual = found.daily(before(70), before(35), |_| true);
        assert!(peak > 1.9 * usual, "Deepavali {deepavali}: {peak} after {usual}");
    }
    let pongal = found.daily(date(2025, 1, 8), date(2025, 1, 13), |_| true);
    assert!(pongal > 1.5 * found.daily(date(2025, 1, 21), date(2025, 2, 20), |_| true));
    // Chennai in the monsoon against a dry town, each by its own usual sales.
    let november = |city: &str| {
        let wet: f64 = [2023, 2024, 2025]
            .map(|year| found.daily(date(year, 11, 14), date(year, 12, 14), |sale| sale.city == city))
            .iter()
            .sum();
        wet / found.count(|sale| sale.city == city)
    };
    assert!(november("Chennai") < 0.9 * november("Coimbatore"));
}

fn prices_and_promotions(root: &Path, found: &Found) {
    let catalog: HashMap<String, HashMap<String, String>> =
        rows(&root.join("catalog.csv")).into_iter().map(|row| (row["sku"].clone(), row)).collect();
    let promotions = rows(&root.join("promotions.csv"));
    let lists: HashMap<&str, (i64, NaiveDate)> = catalog
        .iter()
        .map(|(sku, row)| (sku.as_str(), (paise(&row["list_price"]).unwrap(), day(&row["launch_date"]))))
        .collect();
    for sale in &found.sales {
        let (list, launch) = lists[sale.sku.as_str()];
        let share = sale.paise as f64 / list as f64;
        assert!((0.55..=1.0).contains(&share), "{} sold at {share} of its list price", sale.sku);
        assert!(sale.date >= launch, "{} sold before its launch", sale.sku);
    }
    // Brand weeks, each against the weeks beside it; the sum of many smooths chance.
    let (mut during, mut beside) = (0.0, 0.0);
    for promotion in promotions.iter().filter(|promotion| !promotion["brand"].is_empty()) {
        let (first, last) = (day(&promotion["start_date"]), day(&promotion["end_date"]));
        let fits = |sale: &Sale| {
            let product = &catalog[&sale.sku];
            let category = &promotion["category"];
            product["brand"] == promotion["brand"]
                && (category.is_empty() || product["category"] == *category)
        };
        let far = chrono::Days::new(14);
        // By share of all sales, so that the season cancels out.
        let share = |first, last| {
            found.daily(first, last, fits) / found.daily(first, last, |_| true).max(f64::MIN_POSITIVE)
        };
        during += share(first, last);
        beside += (share(first - far, last - far) + share(first + far, last + far)) / 2.0;
    }
    assert!((1.2..2.5).contains(&(during / beside)), "promotions lift sales by {}", during / beside);
}

fn shelves_and_anomalies(root: &Path, found: &Found) {
    let mut sold: HashMap<&str, Vec<&Sale>> = HashMap::new();
    for sale in found.sales.iter().filter(|sale| sale.qty > 0) {
        sold.entry(&sale.sku).or_default().push(sale);
    }
    for gap in rows(&root.join("truth/stockouts.csv")) {
        let days = day(&gap["start_date"])..=day(&gap["end_date"]);
        for sale in sold.get(gap["sku"].as_str()).into_iter().flatten() {
            let there = gap["city"].is_empty() || gap["city"] == sale.city;
            assert!(!there || !days.contains(&sale.date), "{} sold although out of stock: {gap:?}", sale.sku);
        }
    }
    let anomalies = rows(&root.join("truth/anomalies.csv"));
    assert!(anomalies.len() >= 20);
    let mut shown = 0;
    for anomaly in &anomalies {
        let on = day(&anomaly["date"]);
        let fits = |sale: &Sale| {
            (anomaly["city"].is_empty() || anomaly["city"] == sale.city)
                && (anomaly["sku"].is_empty() || anomaly["sku"] == sale.sku)
        };
        let that_day = found.daily(on, on, fits);
        let weeks: Vec<f64> = [-21_i64, -14, -7, 7, 14, 21]
            .iter()
            .map(|&days| on + chrono::TimeDelta::days(days))
            .map(|other| found.daily(other, other, fits))
            .collect();
        let usual = weeks.iter().sum::<f64>() / weeks.len() as f64;
        shown += usize::from(if anomaly["kind"] == "spike" {
            that_day > 2.0 * usual
        } else {
            that_day < 0.6 * usual
        });
    }
    assert!(shown * 10 >= anomalies.len() * 9, "{shown} of {} anomalies show", anomalies.len());
}

#[test]
fn progress_reaches_the_orders() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    generate(&Options::new(2_000, 60, 1, folder.path()), &mut |done| told.push(done)).unwrap();
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&2_000));
    assert_eq!(told.len(), 60);
}

#[test]
fn what_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = generate(&Options::new(10, 10, 1, file.join("out")), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with(&format!("cannot create {}", file.join("out").display())),
        "{error}"
    );

    let out = folder.path().join("out");
    run(&Options::new(10, 60, 1, &out));
    run(&Options::new(20, 60, 2, &out));
    let error = generate(&Options::new(10, 10, 1, &out), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("sales-2026-01.csv.gz is from another run"), "{error}");

    let error = generate(&Options::new(0, 10, 1, &out), &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "orders is 0, expected 1 to 1000000000");
}
