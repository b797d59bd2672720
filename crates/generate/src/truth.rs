//! What was written, counted as it was written: the truth that an ETL is held to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::rupees;
use crate::dirt::Flaw;
use crate::month::Row;

/// Rows of the sales files by what should become of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Data rows in all sales files: kept, quarantined and duplicates.
    pub raw_rows: u64,
    /// Dirty rows by reason, among them late arrivals, which are kept.
    pub rows_by_reason: BTreeMap<&'static str, u64>,
    /// Rows that have to be quarantined.
    pub quarantined: u64,
    /// Rows that repeat an order.
    pub duplicates: u64,
    /// Sound rows that stand in a later month's file.
    pub late_arrivals: u64,
    /// Rows that have to be loaded.
    pub kept_rows: u64,
    /// Loaded rows with a negative quantity.
    pub kept_returns: u64,
    /// Pairs sold less pairs returned, over the loaded rows.
    pub kept_qty: i64,
    /// Sum of quantity times unit price over the loaded rows, in paise: exact.
    pub kept_revenue_paise: i64,
    /// The same in rupees, two decimals.
    pub kept_revenue: String,
    /// Return orders, loaded or not, duplicates apart.
    pub returns: u64,
}

impl Counts {
    /// Nothing counted yet, every reason present.
    pub(crate) fn new() -> Counts {
        let rows_by_reason = Flaw::all().map(|flaw| (flaw.reason(), 0)).collect();
        Counts { rows_by_reason, kept_revenue: rupees(0), ..Counts::default() }
    }

    /// Counts a row.
    pub(crate) fn add(&mut self, row: &Row) {
        self.raw_rows += 1;
        if let Some(flaw) = row.flaw {
            *self.rows_by_reason.entry(flaw.reason()).or_default() += 1;
        }
        let order = &row.order;
        self.returns += u64::from(order.qty < 0 && row.flaw != Some(Flaw::Duplicate));
        match row.flaw {
            Some(Flaw::Duplicate) => self.duplicates += 1,
            Some(Flaw::Late) | None => {
                self.late_arrivals += u64::from(row.flaw.is_some());
                self.kept_rows += 1;
                self.kept_returns += u64::from(order.qty < 0);
                self.kept_qty += i64::from(order.qty);
                self.kept_revenue_paise += i64::from(order.qty) * order.price_paise;
                self.kept_revenue = rupees(self.kept_revenue_paise);
            }
            Some(_) => self.quarantined += 1,
        }
    }

    /// Adds what another file has.
    pub(crate) fn merge(&mut self, other: &Counts) {
        self.raw_rows += other.raw_rows;
        for (reason, rows) in &other.rows_by_reason {
            *self.rows_by_reason.entry(reason).or_default() += rows;
        }
        self.quarantined += other.quarantined;
        self.duplicates += other.duplicates;
        self.late_arrivals += other.late_arrivals;
        self.kept_rows += other.kept_rows;
        self.kept_returns += other.kept_returns;
        self.kept_qty += other.kept_qty;
        self.kept_revenue_paise += other.kept_revenue_paise;
        self.kept_revenue = rupees(self.kept_revenue_paise);
        self.returns += other.returns;
    }
}

/// What a run wrote: the content of `truth/counts.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Seed of every draw.
    pub seed: u64,
    /// Sale orders, the number asked for. Returns and duplicates come on top.
    pub orders: u64,
    /// Length of the period.
    pub days: u32,
    /// First day, `YYYY-MM-DD`.
    pub start: String,
    /// Last day, `YYYY-MM-DD`.
    pub end: String,
    /// Products in the catalogue.
    pub skus: u64,
    /// Shops.
    pub stores: u64,
    /// Towns with a shop.
    pub towns: u64,
    /// Registered customers.
    pub customers: u64,
    /// Promotions.
    pub promotions: u64,
    /// Injected anomalies.
    pub anomalies: u64,
    /// Stock-outs.
    pub stockouts: u64,
    /// What stands in the sales files.
    #[serde(flatten)]
    pub counts: Counts,
    /// Data rows of each sales file, by its path in the output folder.
    pub files: BTreeMap<String, u64>,
}
