//! Says in one sentence what stands out in a row.

use crate::feature::{Feature, Values};
use crate::order_statistics::quantile;
use crate::prepare::Prepared;
use crate::vocabulary::{Meaning, in_words, meaning, short};

/// Deviations from the median below this many standard deviations (or interquartile ranges) aren't worth a word.
const NOTABLE: f64 = 0.5;

/// Values rarer than this are worth a word.
const RARE: f64 = 0.2;

/// Medians and shares of all clustered rows, against which rows are explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Explainer {
    references: Vec<(Spoken, Reference)>,
}

/// How a feature is spoken of.
#[derive(Debug, Clone, PartialEq)]
struct Spoken {
    meaning: Option<Meaning>,
    words: String,
}

/// What a feature usually is.
#[derive(Debug, Clone, PartialEq)]
enum Reference {
    /// The median, as it is and scaled, and the column that scales.
    Number { median: f64, scaled: f64, column: usize },
    /// How often each value occurs, as a share.
    Category { shares: Vec<f64> },
    /// A feature that was left out.
    Unused,
}

impl Explainer {
    /// Takes medians and shares over the rows that were kept.
    pub fn new(features: &[Feature], prepared: &Prepared) -> Self {
        let references = features.iter().enumerate().map(|(at, feature)| {
            let spoken = Spoken { meaning: meaning(&feature.name), words: in_words(&feature.name) };
            let Some(column) = prepared.columns.iter().position(|column| column.feature == at) else {
                return (spoken, Reference::Unused);
            };
            let rows = || prepared.kept.iter();
            let shares = |codes: &dyn Fn(usize) -> Option<usize>, count: usize| {
                let mut shares = vec![0.0; count];
                rows()
                    .filter_map(|row| codes(*row))
                    .filter(|code| *code < count)
                    .for_each(|code| shares[code] += 1.0);
                shares.iter_mut().for_each(|share| *share /= prepared.kept.len() as f64);
                Reference::Category { shares }
            };
            let reference = match &feature.values {
                Values::Number(values) => {
                    let mut present: Vec<f64> =
                        rows().map(|row| values[*row]).filter(|value| value.is_finite()).collect();
                    let median = quantile(&mut present, 0.5);
                    Reference::Number { median, scaled: prepared.columns[column].forward(median), column }
                }
                Values::Boolean(values) => shares(&|row| values[row].map(usize::from), 2),
                Values::Category { codes, names } => {
                    shares(&|row| codes[row].map(|code| code as usize), names.len())
                }
            };
            (spoken, reference)
        });
        Explainer { references: references.collect() }
    }

    /// A sentence from the two largest deviations of a row from the median, counted in the scale that clusters were
    /// found in: `Bought 2.1 times as often as the median, last 5 days ago.`
    pub fn explain(&self, features: &[Feature], prepared: &Prepared, row: usize) -> String {
        let mut found: Vec<(f64, usize)> = (0..features.len())
            .filter_map(|at| {
                self.deviation(&features[at], at, prepared, row).map(|deviation| (deviation, at))
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(2);
        if found.is_empty() {
            return "Close to the median in everything.".into();
        }
        // A purchase is told before its date.
        let recency = |at: usize| self.references[at].0.meaning == Some(Meaning::Recency);
        found.sort_by_key(|(_, at)| recency(*at));
        let mut sentence = String::new();
        for (_, at) in &found {
            let phrase = self.phrase(&features[*at], *at, row);
            if !sentence.is_empty() {
                sentence.push_str(", ");
            }
            if recency(*at) {
                sentence.push_str(if sentence.starts_with("bought") { "last " } else { "last purchase " });
            }
            sentence.push_str(&phrase);
        }
        let mut letters = sentence.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        format!("{first}{}.", letters.as_str())
    }

    /// How far a row is from usual in a feature; `None` where that is not worth a word.
    fn deviation(&self, feature: &Feature, at: usize, prepared: &Prepared, row: usize) -> Option<f64> {
        if feature.values.is_missing(row) {
            return None;
        }
        let rarity = |share: f64| {
            // As far from usual as a normal value of that rarity would be, roughly.
            (share < RARE).then(|| (-2.0 * share.max(1e-12).ln()).sqrt() * 0.5)
        };
        match (&feature.values, &self.references[at].1) {
            (Values::Number(values), Reference::Number { scaled, column, .. }) => {
                let deviation = (prepared.columns[*column].forward(values[row]) - scaled).abs();
                (deviation >= NOTABLE).then_some(deviation)
            }
            (Values::Boolean(values), Reference::Category { shares }) => {
                rarity(shares[usize::from(values[row].unwrap_or(false))])
            }
            (Values::Category { codes, .. }, Reference::Category { shares }) => {
                rarity(shares[codes[row].unwrap_or(0) as usize])
            }
            _ => None,
        }
    }

    fn phrase(&self, feature: &Feature, at: usize, row: usize) -> String {
        let (spoken, reference) = &self.references[at];
        match (&feature.values, reference) {
            (Values::Number(values), Reference::Number { median, .. }) => {
                number(spoken, values[row], *median)
            }
            (Values::Boolean(values), Reference::Category { shares }) => {
                let value = values[row].unwrap_or(false);
                category(spoken, if value { "true" } else { "false" }, shares[usize::from(value)])
            }
            (Values::Category { codes, names }, Reference::Category { shares }) => {
                let code = codes[row].unwrap_or(0) as usize;
                category(spoken, &names[code], shares[code])
            }
            _ => String::new(),
        }
    }
}

fn category(spoken: &Spoken, value: &str, share: f64) -> String {
    format!("{} {value}, like {}% of all rows", spoken.words, short(100.0 * share))
}

fn number(spoken: &Spoken, value: f64, median: f64) -> String {
    let ratio = value / median;
    let comparable = median > 0.0 && value > 0.0 && (0.1..1e6).contains(&ratio);
    let times = if ratio >= 10.0 { format!("{ratio:.0}") } else { format!("{ratio:.1}") };
    let words = &spoken.words;
    match spoken.meaning {
        Some(Meaning::Recency) => match value {
            v if v < 0.5 => "today".into(),
            v if v < 1.5 => "1 day ago".into(),
            v => format!("{v:.0} days ago"),
        },
        Some(Meaning::Frequency) if comparable => format!("bought {times} times as often as the median"),
        Some(Meaning::Monetary) if comparable => format!("spent {times} times as much as the median"),
        _ if comparable => format!("{words} {} is {times} times the median", short(value)),
        _ => format!("{words} {} against a median of {}", short(value), short(median)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Missing, Standardize, Transform};
    use crate::prepare::{Preparation, prepare};

    fn explained(features: &[Feature], row: usize) -> String {
        let how = Preparation {
            standardize: Standardize::ZScore,
            transform: Transform::None,
            missing: Missing::Impute,
        };
        let prepared = prepare(features, how).unwrap();
        Explainer::new(features, &prepared).explain(features, &prepared, row)
    }

    fn numbers(name: &str, values: &[f64]) -> Feature {
        Feature { name: name.into(), values: Values::Number(values.to_vec()) }
    }

    #[test]
    fn purchases_are_told_as_such() {
        let features = [
            numbers("recency", &[5.0, 60.0, 60.0, 70.0, 61.0]),
            numbers("frequency", &[21.0, 10.0, 10.0, 9.0, 11.0]),
        ];
        assert_eq!(explained(&features, 0), "Bought 2.1 times as often as the median, last 5 days ago.");
        assert_eq!(explained(&features, 1), "Close to the median in everything.");
        assert_eq!(explained(&features[..1], 0), "Last purchase 5 days ago.");
    }

    #[test]
    fn other_features_and_missing_values() {
        let codes = (0..10).map(|row| Some(u32::from(row == 3))).collect();
        let names = vec!["Chennai".into(), "Madurai".into()];
        let features = [
            numbers("shoe_size", &[8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 16.0]),
            numbers("balance", &[0.0, 0.0, 0.0, 0.0, 0.0, -5e300, f64::NAN, 0.0, 0.0, 0.0]),
            Feature { name: "city".into(), values: Values::Category { codes, names } },
        ];
        assert_eq!(explained(&features, 9), "Shoe size 16 is 2.0 times the median.");
        assert_eq!(explained(&features, 5), "Balance -5.00e300 against a median of 0.");
        assert_eq!(explained(&features, 3), "City Madurai, like 10% of all rows.");
        assert_eq!(explained(&features, 6), "Close to the median in everything.");
    }
}
