//! From a table to ordered insights.

use crate::error::InsightError;
use crate::explain::explain;
use crate::insight::{Figures, Insight};
use crate::redundancy::prune;
use crate::search::{MOST_COMBINED, Segment, search};
use crate::sums::Sums;
use crate::table::{Metric, Table};
use smartsneaks_table_function::Run;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Least share of a segment in the metric of interest or of reference, from 0 to 1.
    pub min_apriori_support: f64,
    /// The most segments returned besides the whole, those with the largest contribution.
    pub top_k: Option<usize>,
    /// The most dimensions combined, from 1 to 4.
    pub max_dimensions: usize,
    /// Whether segments that a more precise one says all about are left out.
    pub enable_pruning: bool,
}

impl Default for Options {
    /// A support of 0.1 as in BigQuery, no limit on the number, up to three dimensions, pruning.
    fn default() -> Self {
        Options { min_apriori_support: 0.1, top_k: None, max_dimensions: 3, enable_pruning: true }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Drivers {
    /// The whole first, then segments by contribution, largest first; of equal ones by the text of their drivers.
    pub insights: Vec<Insight>,
    /// Rows that were summed.
    pub rows: usize,
    /// Rows left out because the metric or a dimension is NULL.
    pub rows_left_out: usize,
    /// Segments with enough support, before pruning and `top_k`.
    pub segments: usize,
}

/// Finds the segments that drove the change of the metric from the rows of reference to those of interest.
///
/// Columns and their definitions follow BigQuery's `AI.KEY_DRIVERS` and, for ratios, its contribution analysis models;
/// unlike there, negative values are allowed (a segment's support is then compared with what its magnitudes allow while
/// searching, and with its own share in the end) and `top_k` goes by contribution. Memory and time: see the search;
/// with millions of rows about 100 bytes a row at twelve dimensions, plus at most a million segments.
///
/// # Errors
/// [`InsightError`] for columns that don't fit each other, options out of range, a table with one side only, and more
/// than a million segments.
pub fn key_drivers(table: &Table, options: &Options, run: Run) -> Result<Drivers, InsightError> {
    let support = options.min_apriori_support;
    if !(0.0..=1.0).contains(&support) {
        let (name, expected) = ("min_apriori_support", "between 0 and 1");
        return Err(InsightError::Option { name, expected, got: support });
    }
    if options.max_dimensions == 0 || options.max_dimensions > MOST_COMBINED {
        let got = options.max_dimensions as f64;
        return Err(InsightError::Option { name: "max_dimensions", expected: "between 1 and 4", got });
    }
    if options.top_k == Some(0) {
        return Err(InsightError::Option { name: "top_k", expected: "at least 1", got: 0.0 });
    }
    table.check()?;
    let rows = table.usable();
    if rows.is_empty() {
        return Err(InsightError::NoRows);
    }
    let first = table.interest[rows[0] as usize];
    if rows.iter().all(|row| table.interest[*row as usize] == first) {
        return Err(InsightError::OneSided(first));
    }
    let (all, found) = search(table, &rows, support, options.max_dimensions, run)?;
    let segments = found.len();
    let found = if options.enable_pruning { prune(found) } else { found };
    let mut ranked: Vec<(Segment, Figures)> = found
        .into_iter()
        .map(|segment| {
            let figures = figures(table, &segment.sums, &all, false);
            (segment, figures)
        })
        .collect();
    ranked.sort_by(|(a, x), (b, y)| {
        y.contribution.total_cmp(&x.contribution).then_with(|| texts(table, a).cmp(texts(table, b)))
    });
    ranked.truncate(options.top_k.unwrap_or(usize::MAX));
    let whole = Segment { key: Vec::new(), sums: all };
    let whole_figures = figures(table, &all, &all, true);
    let insights = std::iter::once((whole, whole_figures)).chain(ranked);
    let insights = insights.map(|(segment, figures)| insight(table, &segment, figures, &all)).collect();
    Ok(Drivers { insights, rows: rows.len(), rows_left_out: table.interest.len() - rows.len(), segments })
}

fn figures(table: &Table, sums: &Sums, all: &Sums, whole: bool) -> Figures {
    match table.metric {
        Metric::Sum(_) => Figures::of_sum(sums, all, whole),
        Metric::Ratio { .. } => Figures::of_ratio(sums, all),
    }
}

/// Names and values of a segment, for putting equal contributions in order.
fn texts<'a>(table: &'a Table, segment: &'a Segment) -> impl Iterator<Item = (&'a str, &'a str)> {
    segment.key.iter().map(|(dimension, code)| {
        let dimension = &table.dimensions[*dimension as usize];
        (dimension.name, dimension.values[*code as usize].as_str())
    })
}

fn insight(table: &Table, segment: &Segment, figures: Figures, all: &Sums) -> Insight {
    let mut drivers: Vec<String> =
        texts(table, segment).map(|(name, value)| format!("{name}={value}")).collect();
    if drivers.is_empty() {
        drivers.push("all".into());
    }
    let mut values = vec![None; table.dimensions.len()];
    segment.key.iter().for_each(|(dimension, code)| values[*dimension as usize] = Some(*code));
    Insight {
        explanation: explain(&drivers, &figures),
        drivers,
        values,
        metric_interest: figures.interest,
        metric_reference: figures.reference,
        difference: figures.difference,
        relative_difference: figures.relative,
        unexpected_difference: figures.unexpected,
        relative_unexpected_difference: figures.relative_unexpected,
        apriori_support: segment.sums.support(all),
        contribution: figures.contribution,
        ratio: figures.ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Dimension;
    use smartsneaks_table_function::in_order;

    /// Two cities, two brands; Chennai sells Nike only.
    struct Shop {
        city: (Vec<u32>, Vec<String>),
        brand: (Vec<u32>, Vec<String>),
        sales: Vec<f64>,
        units: Vec<f64>,
        interest: Vec<bool>,
    }

    fn shop() -> Shop {
        let names = |names: [&str; 2]| names.map(String::from).to_vec();
        Shop {
            //          before:  C N   M N   M P   after: C N   M N   M P   null
            city: (vec![0, 1, 1, 0, 1, 1, 9], names(["Chennai", "Madurai"])),
            brand: (vec![0, 0, 1, 0, 0, 1, 0], names(["Nike", "Puma"])),
            sales: vec![100.0, 60.0, 40.0, 150.0, 60.0, 30.0, 7.0],
            units: vec![10.0, 6.0, 4.0, 12.0, 6.0, 4.0, 1.0],
            interest: vec![false, false, false, true, true, true, true],
        }
    }

    fn with(shop: &Shop, ratio: bool, options: &Options) -> Result<Drivers, InsightError> {
        let dimensions = [
            Dimension { name: "city", codes: &shop.city.0, values: &shop.city.1 },
            Dimension { name: "brand", codes: &shop.brand.0, values: &shop.brand.1 },
        ];
        let metric = if ratio {
            Metric::Ratio { numerator: &shop.sales, denominator: &shop.units }
        } else {
            Metric::Sum(&shop.sales)
        };
        key_drivers(&Table { dimensions: &dimensions, metric, interest: &shop.interest }, options, &in_order)
    }

    #[test]
    fn by_hand() {
        let found = with(&shop(), false, &Options::default()).unwrap();
        assert_eq!((found.rows, found.rows_left_out, found.segments), (6, 1, 7));
        let rows: Vec<(String, f64, f64)> = found
            .insights
            .iter()
            .map(|one| {
                (one.drivers.join(" "), one.difference, (one.apriori_support * 1000.0).round() / 1000.0)
            })
            .collect();
        // city=Chennai and brand=Puma are said by the pairs; brand=Nike and city=Madurai are not.
        let expected = [
            ("all", 40.0, 1.0),
            ("brand=Nike", 50.0, 0.875),
            ("city=Chennai brand=Nike", 50.0, 0.625),
            ("city=Madurai", -10.0, 0.5),
            ("city=Madurai brand=Puma", -10.0, 0.2),
            ("city=Madurai brand=Nike", 0.0, 0.3),
        ];
        assert_eq!(rows, expected.map(|(name, by, support)| (name.to_owned(), by, support)));
        let nike = &found.insights[1];
        // The rest went from 40 to 30, so 160 · 0.75 = 120 was to be expected of Nike.
        assert_eq!(
            (nike.unexpected_difference, nike.relative_unexpected_difference),
            (Some(90.0), Some(0.75))
        );
        assert_eq!((nike.relative_difference, nike.values.clone()), (Some(0.3125), vec![None, Some(0)]));
        assert_eq!(
            nike.explanation,
            "brand=Nike rose by 50 (31.2%), from 160 to 210, 90 more than the rest leads to expect."
        );
    }

    #[test]
    fn options_change_what_is_found() {
        let every = Options { enable_pruning: false, ..Options::default() };
        assert_eq!(with(&shop(), false, &every).unwrap().insights.len(), 8);
        let singles = Options { max_dimensions: 1, min_apriori_support: 0.6, ..Options::default() };
        let found = with(&shop(), false, &singles).unwrap();
        let names: Vec<&str> = found.insights[1..].iter().map(|one| one.drivers[0].as_str()).collect();
        assert_eq!(names, ["brand=Nike", "city=Chennai"]);
        let top = Options { top_k: Some(1), ..Options::default() };
        assert_eq!(with(&shop(), false, &top).unwrap().insights.len(), 2);
    }

    #[test]
    fn a_ratio_by_hand() {
        let found = with(&shop(), true, &Options { min_apriori_support: 0.0, ..Options::default() }).unwrap();
        let all = &found.insights[0];
        assert_eq!((all.metric_reference, all.metric_interest), (10.0, 240.0 / 22.0));
        let parts: f64 = found
            .insights
            .iter()
            .filter(|one| one.drivers.len() == 2)
            .filter_map(|one| one.ratio.and_then(|ratio| ratio.aumann_shapley_attribution))
            .sum();
        assert!((parts - all.difference).abs() < 1e-12);
        // Nike: 50 · ln(1.1) / 2 − 2 · (200 / 440 + 40 · (ln(1.1) / 2 − 1 / 22) / 2), and as much for Nike in Chennai.
        let one = 1.1f64.ln() / 2.0;
        let nike = 50.0 * one - 2.0 * (200.0 / 440.0 + 40.0 * (one - 1.0 / 22.0) / 2.0);
        assert!((found.insights[1].contribution - nike).abs() < 1e-12);
        assert_eq!(found.insights[1].drivers, ["brand=Nike"]);
        assert_eq!(found.insights[2].drivers, ["city=Chennai", "brand=Nike"]);
    }

    #[test]
    fn bad_tables_and_options() {
        let bad = |options| with(&shop(), false, &options).unwrap_err().to_string();
        assert_eq!(
            bad(Options { min_apriori_support: f64::NAN, ..Options::default() }),
            "min_apriori_support must be between 0 and 1, got NaN"
        );
        assert_eq!(bad(Options { top_k: Some(0), ..Options::default() }), "top_k must be at least 1, got 0");
        assert!(with(&shop(), false, &Options { max_dimensions: 9, ..Options::default() }).is_err());
        let mut one_sided = shop();
        one_sided.interest = vec![true; 7];
        assert_eq!(with(&one_sided, false, &Options::default()), Err(InsightError::OneSided(true)));
        let mut empty = shop();
        empty.sales = vec![f64::NAN; 7];
        assert_eq!(with(&empty, false, &Options::default()), Err(InsightError::NoRows));
        let mut huge = shop();
        huge.sales = vec![1.7e308; 7];
        assert_eq!(with(&huge, false, &Options::default()), Err(InsightError::OutOfRange));
        let mut short = shop();
        short.brand.0.pop();
        let error = with(&short, false, &Options::default()).unwrap_err().to_string();
        assert_eq!(error, "column 'brand' has 6 rows, expected 7");
    }

    #[test]
    fn zero_metrics_and_returns() {
        let mut zero = shop();
        zero.sales = vec![0.0; 7];
        let found = with(&zero, false, &Options { min_apriori_support: 0.0, ..Options::default() }).unwrap();
        assert!(
            found.insights.iter().all(|one| one.contribution == 0.0 && one.relative_difference.is_none())
        );
        let mut returns = shop();
        returns.sales[4] = -60.0;
        let found = with(&returns, false, &Options::default()).unwrap();
        assert_eq!(found.insights[0].difference, -80.0);
        assert!(found.insights.iter().any(|one| one.drivers == ["city=Madurai", "brand=Nike"]));
    }

    #[test]
    fn too_many_segments_are_an_error() {
        let rows = 1_200_000;
        let values: Vec<String> = (0..rows).map(|at| at.to_string()).collect();
        let codes: Vec<u32> = (0..rows as u32).collect();
        let dimensions = [Dimension { name: "id", codes: &codes, values: &values }];
        let metric = vec![1.0; rows];
        let interest: Vec<bool> = (0..rows).map(|row| row % 2 == 0).collect();
        let table = Table { dimensions: &dimensions, metric: Metric::Sum(&metric), interest: &interest };
        let options = Options { min_apriori_support: 0.0, ..Options::default() };
        assert!(matches!(
            key_drivers(&table, &options, &in_order),
            Err(InsightError::TooManySegments { .. })
        ));
    }
}
