//! What sets a cluster apart: sizes, means and medians beside those of all rows.

use crate::feature::{Feature, Values};
use crate::order_statistics::quantile;

/// One cluster and its features.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Number of rows.
    pub size: usize,
    /// Share of all clustered rows.
    pub share: f64,
    /// One entry a feature, in their order.
    pub features: Vec<FeatureProfile>,
}

/// A feature inside a cluster beside all clustered rows, in its own units.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureProfile {
    /// A number; missing values don't count.
    Number {
        /// Mean inside the cluster; NaN where it has no values.
        mean: f64,
        /// Median inside the cluster; NaN where it has no values.
        median: f64,
        /// Mean of all clustered rows.
        overall_mean: f64,
        /// Median of all clustered rows.
        overall_median: f64,
        /// Share of all clustered rows at or below the median of the cluster, rows equal to it counting half.
        rank: f64,
    },
    /// A category or truth value.
    Category {
        /// The most frequent value inside the cluster; empty where there is none.
        value: String,
        /// Its share inside the cluster.
        share: f64,
        /// Its share among all clustered rows.
        overall_share: f64,
    },
}

/// Profiles of the clusters 0..k. Rows labelled `None` count neither inside nor among all. Memory: 8 bytes a row.
pub fn profile(features: &[Feature], labels: &[Option<u32>], k: usize) -> Vec<Profile> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); k];
    for (row, label) in labels.iter().enumerate() {
        if let Some(rows) = label.and_then(|label| members.get_mut(label as usize)) {
            rows.push(row);
        }
    }
    let all = members.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    let mut profiles: Vec<Profile> = members
        .iter()
        .map(|rows| Profile { size: rows.len(), share: rows.len() as f64 / all, features: Vec::new() })
        .collect();
    for feature in features {
        let columns = match &feature.values {
            Values::Number(values) => number(values, &members),
            Values::Boolean(values) => {
                let codes: Vec<Option<u32>> = values.iter().map(|value| value.map(u32::from)).collect();
                category(&codes, &["false".into(), "true".into()], &members)
            }
            Values::Category { codes, names } => category(codes, names, &members),
        };
        profiles.iter_mut().zip(columns).for_each(|(profile, column)| profile.features.push(column));
    }
    profiles
}

fn number(values: &[f64], members: &[Vec<usize>]) -> Vec<FeatureProfile> {
    let of = |rows: &[usize]| -> Vec<f64> {
        rows.iter().map(|row| values[*row]).filter(|value| value.is_finite()).collect()
    };
    let mut all: Vec<f64> = members.iter().flat_map(|rows| of(rows)).collect();
    all.sort_unstable_by(f64::total_cmp);
    let (overall_mean, overall_median) = (mean(&all), median(&mut all.clone()));
    members
        .iter()
        .map(|rows| {
            let mut inside = of(rows);
            let (mean, median) = (mean(&inside), median(&mut inside));
            let below = all.partition_point(|value| *value < median);
            let up_to = all.partition_point(|value| *value <= median);
            let rank = 0.5 * (below + up_to) as f64 / all.len().max(1) as f64;
            FeatureProfile::Number { mean, median, overall_mean, overall_median, rank }
        })
        .collect()
}

fn category(codes: &[Option<u32>], names: &[String], members: &[Vec<usize>]) -> Vec<FeatureProfile> {
    let count = |rows: &[usize]| -> Vec<usize> {
        let mut counts = vec![0; names.len()];
        for row in rows {
            if let Some(count) = codes[*row].and_then(|code| counts.get_mut(code as usize)) {
                *count += 1;
            }
        }
        counts
    };
    let inside: Vec<Vec<usize>> = members.iter().map(|rows| count(rows)).collect();
    let total: Vec<usize> =
        (0..names.len()).map(|code| inside.iter().map(|counts| counts[code]).sum()).collect();
    let rows = members.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    inside
        .iter()
        .zip(members)
        .map(|(counts, rows_inside)| {
            let most = (0..names.len()).filter(|code| counts[*code] > 0).max_by(|a, b| {
                // Of equally frequent values the one first by name.
                counts[*a].cmp(&counts[*b]).then_with(|| names[*b].cmp(&names[*a]))
            });
            match most {
                Some(code) => FeatureProfile::Category {
                    value: names[code].clone(),
                    share: counts[code] as f64 / rows_inside.len() as f64,
                    overall_share: total[code] as f64 / rows,
                },
                None => FeatureProfile::Category { value: String::new(), share: 0.0, overall_share: 0.0 },
            }
        })
        .collect()
}

/// Mean by shares, so that the sum of huge values can't overflow; NaN for none.
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let scale = values.iter().fold(1.0f64, |most, value| most.max(value.abs()));
    values.iter().map(|value| value / scale).sum::<f64>() / values.len() as f64 * scale
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() { f64::NAN } else { quantile(values, 0.5) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let features = [
            Feature { name: "x".into(), values: Values::Number(vec![1.0, 2.0, 9.0, f64::NAN, 100.0]) },
            Feature {
                name: "b".into(),
                values: Values::Boolean(vec![Some(true), None, Some(false), Some(false), None]),
            },
        ];
        let profiles = profile(&features, &[Some(0), Some(0), Some(1), Some(1), None], 2);
        assert_eq!((profiles[0].size, profiles[0].share), (2, 0.5));
        assert_eq!(
            profiles[0].features[0],
            FeatureProfile::Number {
                mean: 1.5,
                median: 1.5,
                overall_mean: 4.0,
                overall_median: 2.0,
                rank: 1.0 / 3.0
            }
        );
        assert_eq!(
            profiles[1].features[1],
            FeatureProfile::Category { value: "false".into(), share: 1.0, overall_share: 0.5 }
        );
    }

    #[test]
    fn empty_and_huge() {
        let features = [Feature { name: "x".into(), values: Values::Number(vec![1e308; 4]) }];
        let profiles = profile(&features, &[Some(0), Some(0), Some(0), Some(7)], 2);
        assert!(matches!(profiles[0].features[0], FeatureProfile::Number { mean, .. } if mean == 1e308));
        assert!(matches!(profiles[1].features[0], FeatureProfile::Number { mean, .. } if mean.is_nan()));
        assert_eq!(profiles[1].share, 0.0);
    }
}
