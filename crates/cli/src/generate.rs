//! `smartsneaks generate`: raw data of any size that behaves like retail.

use std::io::IsTerminal;
use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use smartsneaks_generate::Options;

use crate::failure::Failure;

/// What to write.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Sale orders; returns and duplicates come on top
    #[arg(long)]
    orders: u64,
    /// Days of history
    #[arg(long, default_value_t = 1096)]
    days: u32,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// First day; default: so that the last is 2026-03-31
    #[arg(long, value_name = "DATE")]
    start: Option<NaiveDate>,
    /// Products; default: grows with the orders
    #[arg(long)]
    skus: Option<u32>,
    /// Shops; default: grows with the orders
    #[arg(long)]
    stores: Option<u32>,
    /// Compression of .gz files, 0 to 9
    #[arg(long, default_value_t = 6)]
    gzip_level: u32,
}

impl Generate {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let options = Options {
            start: self.start,
            skus: self.skus,
            stores: self.stores,
            gzip_level: self.gzip_level,
            ..Options::new(self.orders, self.days, self.seed, self.out)
        };
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(self.orders)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} orders  {eta} left")
        {
            bar.set_style(style);
        }
        let summary = smartsneaks_generate::generate(&options, &mut |done| bar.set_position(done));
        bar.finish_and_clear();
        let summary = summary.map_err(|e| match e {
            smartsneaks_generate::Error::Option { .. } => Failure::usage(e.to_string()),
            other => Failure::failed(other.to_string()),
        })?;
        println!(
            "orders={} rows={} skus={} stores={} customers={} from={} to={}",
            summary.orders,
            summary.counts.raw_rows,
            summary.skus,
            summary.stores,
            summary.customers,
            summary.start,
            summary.end
        );
        Ok(())
    }
}
