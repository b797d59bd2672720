//! Names for clusters that a reader understands.

use std::collections::BTreeMap;

use crate::profile::{FeatureProfile, Profile};
use crate::vocabulary::{Meaning, in_words, meaning};

/// Ranks this far from the middle are worth a word.
const NOTABLE_RANK: f64 = 0.15;

/// A value is worth a word where the cluster has it more often than all rows by this much.
const NOTABLE_SHARE: f64 = 0.2;

/// A label for each cluster, in their order; labels that would be equal get numbers. `names` are those of the features.
///
/// Where the features hold recency, frequency and monetary value by name, labels are the customary segments, by rules
/// on where the cluster's median lies among all rows, as a quintile from 1 (worst) to 5 (best) with fractions: recency
/// R, and the mean V of frequency and monetary value. In this order: Champions (R from 3.5, V from 4.5), Loyal (R from
/// 2.5, V from 3.5), New (R from 3.5, V below 2.5), Potential loyalists (R from 2.5), At risk (V from 3), Hibernating
/// (R from 1.5 or V from 2.5), Lost. Otherwise the two features whose medians rank farthest from the middle name the
/// cluster: `high revenue, low visits`.
pub fn labels(names: &[&str], profiles: &[Profile]) -> Vec<String> {
    let place = |wanted| names.iter().position(|name| meaning(name) == Some(wanted));
    let rfm = (place(Meaning::Recency), place(Meaning::Frequency), place(Meaning::Monetary));
    let labels: Vec<String> = profiles
        .iter()
        .map(|profile| match rfm {
            (Some(recency), Some(frequency), Some(monetary)) => {
                let rank = |feature: usize| match profile.features[feature] {
                    FeatureProfile::Number { rank, .. } => rank,
                    FeatureProfile::Category { .. } => 0.5,
                };
                let value = 0.5 * (quintile(rank(frequency)) + quintile(rank(monetary)));
                segment(quintile(1.0 - rank(recency)), value).to_owned()
            }
            _ => describe(names, profile),
        })
        .collect();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    labels.iter().for_each(|label| counts.entry(label).or_default().0 += 1);
    labels
        .iter()
        .map(|label| {
            let (total, so_far) = counts.entry(label).or_default();
            *so_far += 1;
            if *total > 1 { format!("{label} {so_far}") } else { label.clone() }
        })
        .collect()
}

/// The quintile of a rank from 0 to 1, between 0.5 and 5.5: 3 is the middle.
fn quintile(rank: f64) -> f64 {
    0.5 + 5.0 * rank
}

fn segment(recency: f64, value: f64) -> &'static str {
    match (recency, value) {
        (r, v) if r >= 3.5 && v >= 4.5 => "Champions",
        (r, v) if r >= 2.5 && v >= 3.5 => "Loyal",
        (r, v) if r >= 3.5 && v < 2.5 => "New",
        (r, _) if r >= 2.5 => "Potential loyalists",
        (_, v) if v >= 3.0 => "At risk",
        (r, v) if r >= 1.5 || v >= 2.5 => "Hibernating",
        _ => "Lost",
    }
}

fn describe(names: &[&str], profile: &Profile) -> String {
    let mut words: Vec<(f64, usize, String)> = Vec::new();
    for (at, (name, feature)) in names.iter().zip(&profile.features).enumerate() {
        match feature {
            FeatureProfile::Number { rank, .. } => {
                let off = rank - 0.5;
                if off.abs() >= NOTABLE_RANK {
                    let side = if off > 0.0 { "high" } else { "low" };
                    words.push((2.0 * off.abs(), at, format!("{side} {}", in_words(name))));
                }
            }
            FeatureProfile::Category { value, share, overall_share } => {
                if share - overall_share >= NOTABLE_SHARE {
                    words.push((share - overall_share, at, format!("{} {value}", in_words(name))));
                }
            }
        }
    }
    words.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    if words.is_empty() {
        return "average".into();
    }
    words.into_iter().take(2).map(|(_, _, word)| word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(ranks: &[f64]) -> Profile {
        let features = ranks
            .iter()
            .map(|rank| FeatureProfile::Number {
                mean: 0.0,
                median: 0.0,
                overall_mean: 0.0,
                overall_median: 0.0,
                rank: *rank,
            })
            .collect();
        Profile { size: 1, share: 0.5, features }
    }

    #[test]
    fn recency_frequency_and_money_give_segments() {
        let names = ["recency_days", "frequency", "monetary"];
        let labels = labels(
            &names,
            &[
                ranks(&[0.1, 0.9, 0.9]),
                ranks(&[0.4, 0.7, 0.7]),
                ranks(&[0.1, 0.2, 0.2]),
                ranks(&[0.4, 0.5, 0.4]),
                ranks(&[0.8, 0.7, 0.8]),
                ranks(&[0.65, 0.3, 0.2]),
                ranks(&[0.95, 0.2, 0.1]),
                ranks(&[0.95, 0.1, 0.1]),
            ],
        );
        assert_eq!(
            labels,
            [
                "Champions",
                "Loyal",
                "New",
                "Potential loyalists",
                "At risk",
                "Hibernating",
                "Lost 1",
                "Lost 2"
            ]
        );
    }

    #[test]
    fn other_features_describe() {
        let mut mixed = ranks(&[0.9, 0.5]);
        let value = "Chennai".to_owned();
        mixed.features.push(FeatureProfile::Category { value, share: 0.9, overall_share: 0.3 });
        let names = ["order_value", "age", "city"];
        assert_eq!(labels(&names, &[mixed])[0], "high order value, city Chennai");
        assert_eq!(
            labels(&names[..2], &[ranks(&[0.05, 0.2]), ranks(&[0.5, 0.6])]),
            ["low order value, low age", "average"]
        );
    }
}
