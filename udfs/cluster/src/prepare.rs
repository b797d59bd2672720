//! From columns of a table to rows of comparable numbers.

use crate::error::ClusterError;
use crate::feature::{Feature, Values, rows};
use crate::names::{Missing, Standardize, Transform};
use crate::order_statistics::{moments, quantile};
use crate::points::{LARGEST_COORDINATE, Points};

/// Categories of a column that get a column of their own; rarer ones share one.
pub const CATEGORIES: usize = 20;

/// The most columns after one-hot coding.
pub const MOST_COLUMNS: usize = 1_000;

/// Skewness from which a column without negative values is transformed by ln(1 + x).
const SKEWED: f64 = 1.0;

/// Weight of a one-hot column: two rows of different categories are a distance of 1 apart.
const ONE_HOT: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// What became of a row before clustering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowStatus {
    /// All values were there.
    Ok,
    /// At least one missing value was replaced by the median or the most frequent category.
    Imputed,
    /// Left out because a value was missing.
    MissingValue,
}

impl RowStatus {
    /// `ok`, `imputed` or `missing_value`.
    pub fn name(self) -> &'static str {
        match self {
            RowStatus::Ok => "ok",
            RowStatus::Imputed => "imputed",
            RowStatus::MissingValue => "missing_value",
        }
    }
}

/// Where a column of numbers comes from and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name of the feature, followed by `=category` for a one-hot column.
    pub name: String,
    /// Index of the feature it comes from.
    pub feature: usize,
    /// Whether it says only if a row has a category.
    pub one_hot: bool,
    /// Whether ln(1 + x) was taken first.
    pub log: bool,
    /// Subtracted from the (logarithmed) value.
    pub centre: f64,
    /// Divides the difference; positive.
    pub scale: f64,
}

impl Column {
    /// Brings a value to the common scale, within ±1e100.
    pub fn forward(&self, value: f64) -> f64 {
        let value = if self.log { value.max(0.0).ln_1p() } else { value };
        // Halves, so that a difference of values near the largest double stays finite.
        let off = (0.5 * value - 0.5 * self.centre) / (0.5 * self.scale);
        off.clamp(-LARGEST_COORDINATE, LARGEST_COORDINATE)
    }

    /// The value whose scaled form this is.
    pub fn backward(&self, scaled: f64) -> f64 {
        let value = scaled * self.scale + self.centre;
        if self.log { value.exp_m1().max(0.0) } else { value }
    }
}

/// Comparable numbers for the rows that can be clustered.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Row-major, `kept.len() × columns.len()`.
    pub values: Vec<f64>,
    /// The columns, at least one.
    pub columns: Vec<Column>,
    /// Which rows of the features these are, ascending.
    pub kept: Vec<usize>,
    /// Status of every row of the features.
    pub status: Vec<RowStatus>,
    /// What the user should know: columns dropped, transformed, categories put together.
    pub remarks: Vec<String>,
}

impl Prepared {
    /// The rows, ready to be clustered.
    pub fn points(&self) -> Points<'_> {
        Points::trusted(&self.values, self.columns.len())
    }
}

/// How to prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preparation {
    /// How columns are brought to one scale.
    pub standardize: Standardize,
    /// What is done to skewed columns.
    pub transform: Transform,
    /// What is done with rows that lack a value.
    pub missing: Missing,
}

/// Transforms, scales and codes the features. Constant columns are dropped with a remark. Memory: 8 bytes a value of
/// the result and of one column.
///
/// # Errors
/// [`ClusterError::NoFeatures`] where no column is left, [`ClusterError::NoRows`] where no row is, and
/// [`ClusterError::Shape`] for columns of different length.
pub fn prepare(features: &[Feature], how: Preparation) -> Result<Prepared, ClusterError> {
    let all = rows(features)?;
    let mut status = vec![RowStatus::Ok; all];
    for feature in features {
        for (row, status) in status.iter_mut().enumerate() {
            if feature.values.is_missing(row) {
                *status = match how.missing {
                    Missing::Impute => RowStatus::Imputed,
                    Missing::Skip => RowStatus::MissingValue,
                };
            }
        }
    }
    let kept: Vec<usize> = (0..all).filter(|row| status[*row] != RowStatus::MissingValue).collect();
    if kept.is_empty() {
        return Err(ClusterError::NoRows);
    }
    let mut remarks = Vec::new();
    let mut columns: Vec<(Column, Vec<f64>)> = Vec::new();
    for (at, feature) in features.iter().enumerate() {
        match &feature.values {
            Values::Number(values) => {
                let values = kept.iter().map(|row| values[*row]).collect();
                columns.extend(number(&feature.name, at, values, how, &mut remarks));
            }
            Values::Boolean(values) => {
                let codes: Vec<Option<u32>> = kept.iter().map(|row| values[*row].map(u32::from)).collect();
                let names = ["false".to_owned(), "true".to_owned()];
                columns.extend(one_hot(&feature.name, at, &codes, &names, &mut remarks));
            }
            Values::Category { codes, names } => {
                let codes: Vec<Option<u32>> = kept.iter().map(|row| codes[*row]).collect();
                columns.extend(one_hot(&feature.name, at, &codes, names, &mut remarks));
            }
        }
        if columns.len() > MOST_COLUMNS {
            let got = columns.len() as f64;
            return Err(ClusterError::Parameter { name: "number of columns", expected: "at most 1000", got });
        }
    }
    if columns.is_empty() {
        return Err(ClusterError::NoFeatures(remarks.join("; ")));
    }
    let mut values = vec![0.0; kept.len() * columns.len()];
    let width = columns.len();
    for (at, (_, column)) in columns.iter().enumerate() {
        for (row, value) in column.iter().enumerate() {
            values[row * width + at] = *value;
        }
    }
    let columns = columns.into_iter().map(|(column, _)| column).collect();
    Ok(Prepared { values, columns, kept, status, remarks })
}

/// A scaled column of numbers; none where it is constant or empty.
fn number(
    name: &str,
    feature: usize,
    mut values: Vec<f64>,
    how: Preparation,
    remarks: &mut Vec<String>,
) -> Option<(Column, Vec<f64>)> {
    let mut present: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if present.is_empty() {
        remarks.push(format!("{name} has no values and was left out"));
        return None;
    }
    let median = quantile(&mut present, 0.5);
    values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = median);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let log = least >= 0.0
        && match how.transform {
            Transform::None => false,
            Transform::Log1p => true,
            Transform::Auto => moments(&present).2 > SKEWED,
        };
    if log {
        remarks.push(format!("ln(1 + {name}) was used"));
        values.iter_mut().for_each(|value| *value = value.ln_1p());
    } else if how.transform == Transform::Log1p {
        remarks.push(format!("{name} has negative values and was not transformed"));
    }
    let (mean, deviation, _) = moments(&values);
    if deviation == 0.0 {
        remarks.push(format!("{name} is constant and was left out"));
        return None;
    }
    let (centre, scale) = match how.standardize {
        Standardize::None => (0.0, 1.0),
        Standardize::ZScore => (mean, deviation),
        Standardize::Robust => {
            let mut sorted = values.clone();
            let range = 0.5 * quantile(&mut sorted, 0.75) - 0.5 * quantile(&mut sorted, 0.25);
            let centre = quantile(&mut sorted, 0.5);
            if range > 0.0 {
                (centre, (2.0 * range).min(f64::MAX))
            } else {
                remarks.push(format!("half of {name} is one value; it was scaled by its standard deviation"));
                (centre, deviation)
            }
        }
    };
    // A deviation below the smallest normal number can't divide.
    let column = Column {
        name: name.to_owned(),
        feature,
        one_hot: false,
        log,
        centre,
        scale: scale.max(f64::MIN_POSITIVE),
    };
    let plain = Column { log: false, ..column.clone() };
    values.iter_mut().for_each(|value| *value = plain.forward(*value));
    Some((column, values))
}

/// A column for each of the 20 most frequent categories and one for the others; none where there is one category.
fn one_hot(
    name: &str,
    feature: usize,
    codes: &[Option<u32>],
    names: &[String],
    remarks: &mut Vec<String>,
) -> Vec<(Column, Vec<f64>)> {
    let mut counts = vec![0usize; names.len()];
    for code in codes.iter().flatten() {
        if let Some(count) = counts.get_mut(*code as usize) {
            *count += 1;
        }
    }
    let mut used: Vec<usize> = (0..names.len()).filter(|code| counts[*code] > 0).collect();
    used.sort_by(|a, b| counts[*b].cmp(&counts[*a]).then_with(|| names[*a].cmp(&names[*b])));
    let Some(most_frequent) = used.first().copied() else {
        remarks.push(format!("{name} has no values and was left out"));
        return Vec::new();
    };
    if used.len() == 1 {
        remarks.push(format!("{name} is constant and was left out"));
        return Vec::new();
    }
    let own = if used.len() > CATEGORIES + 1 { CATEGORIES } else { used.len() };
    if own < used.len() {
        remarks.push(format!("{} rarer values of {name} count as 'other'", used.len() - own));
    }
    let mut place = vec![own; names.len()];
    used.iter().take(own).enumerate().for_each(|(at, code)| place[*code] = at);
    let width = own + usize::from(own < used.len());
    (0..width)
        .map(|at| {
            let label = if at < own { names[used[at]].as_str() } else { "other" };
            let column = Column {
                name: format!("{name}={label}"),
                feature,
                one_hot: true,
                log: false,
                centre: 0.0,
                scale: 1.0 / ONE_HOT,
            };
            let values = codes
                .iter()
                .map(|code| {
                    let code = code.map_or(most_frequent, |code| code as usize);
                    let here = place.get(code).copied().unwrap_or(0) == at;
                    if here { ONE_HOT } else { 0.0 }
                })
                .collect();
            (column, values)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Preparation = Preparation {
        standardize: Standardize::ZScore,
        transform: Transform::Auto,
        missing: Missing::Impute,
    };

    fn numbers(name: &str, values: &[f64]) -> Feature {
        Feature { name: name.into(), values: Values::Number(values.to_vec()) }
    }

    #[test]
    fn scales_and_goes_back() {
        let features = [numbers("a", &[1.0, 2.0, 3.0, 4.0]), numbers("b", &[0.0, 0.0, 1.0, 1e6])];
        for standardize in [Standardize::ZScore, Standardize::Robust, Standardize::None] {
            let prepared = prepare(&features, Preparation { standardize, ..HOW }).unwrap();
            assert_eq!(prepared.columns.iter().map(|column| column.log).collect::<Vec<_>>(), [false, true]);
            for (at, column) in prepared.columns.iter().enumerate() {
                let Values::Number(raw) = &features[at].values else { unreachable!() };
                for (row, raw) in raw.iter().enumerate() {
                    let scaled = prepared.values[row * 2 + at];
                    assert!((column.forward(*raw) - scaled).abs() < 1e-12);
                    assert!(
                        (column.backward(scaled) - raw).abs() < 1e-6,
                        "{} {raw}",
                        column.backward(scaled)
                    );
                }
            }
        }
    }

    #[test]
    fn missing_values_are_imputed_or_skipped() {
        let features = [numbers("a", &[1.0, f64::NAN, 3.0, f64::INFINITY, 8.0])];
        let prepared = prepare(&features, Preparation { standardize: Standardize::None, ..HOW }).unwrap();
        assert_eq!(prepared.values, [1.0, 3.0, 3.0, 3.0, 8.0]);
        assert_eq!(prepared.status[1], RowStatus::Imputed);
        let skipped = prepare(&features, Preparation { missing: Missing::Skip, ..HOW }).unwrap();
        assert_eq!((skipped.kept, skipped.status[3]), (vec![0, 2, 4], RowStatus::MissingValue));
        assert_eq!(
            prepare(&[numbers("a", &[f64::NAN])], HOW).unwrap_err().to_string(),
            "no feature is left to cluster by: a has no values and was left out"
        );
    }

    #[test]
    fn huge_values_stay_finite() {
        let huge = [1e300, -1e300, 1.7e308, -1.7e308, 0.0, 1.0, 2.0];
        for standardize in [Standardize::ZScore, Standardize::Robust, Standardize::None] {
            let prepared = prepare(&[numbers("a", &huge)], Preparation { standardize, ..HOW }).unwrap();
            assert!(Points::new(&prepared.values, 1).is_ok(), "{standardize} {:?}", prepared.values);
        }
        let tiny = prepare(&[numbers("a", &[0.0, 5e-324, 1e-323])], HOW).unwrap();
        assert!(tiny.values.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn categories_become_columns() {
        let names: Vec<String> = (0..30).map(|at| format!("c{at:02}")).collect();
        let codes: Vec<Option<u32>> = (0..90).map(|row| Some(row % 30)).chain([None, Some(99)]).collect();
        let city = Feature { name: "city".into(), values: Values::Category { codes, names } };
        let member = Feature {
            name: "member".into(),
            values: Values::Boolean((0..92).map(|row| (row > 0).then_some(row % 3 == 0)).collect()),
        };
        let constant = Feature { name: "x".into(), values: Values::Boolean(vec![Some(true); 92]) };
        let prepared = prepare(&[city, member, constant], HOW).unwrap();
        assert_eq!(prepared.columns.len(), 21 + 2);
        assert_eq!(prepared.columns[20].name, "city=other");
        assert_eq!(
            prepared.remarks,
            ["10 rarer values of city count as 'other'", "x is constant and was left out"]
        );
        let points = prepared.points();
        assert!(
            (crate::points::squared_distance(&points.row(0)[..21], &points.row(1)[..21]) - 1.0).abs() < 1e-12
        );
        assert_eq!(prepared.status[91], RowStatus::Imputed);
    }

    #[test]
    fn nothing_left() {
        assert!(matches!(prepare(&[], HOW), Err(ClusterError::NoFeatures(_))));
        assert_eq!(prepare(&[numbers("a", &[])], HOW), Err(ClusterError::NoRows));
        let uneven = [numbers("a", &[1.0]), numbers("b", &[1.0, 2.0])];
        assert!(matches!(prepare(&uneven, HOW), Err(ClusterError::Shape { .. })));
        assert!(matches!(prepare(&[numbers("a", &[7.0; 4])], HOW), Err(ClusterError::NoFeatures(_))));
    }
}
