//! Named evidence, and how it adds up to one probability.
//!
//! The log odds of being authentic are a sum: a start, the model's own log odds times a slope, and for each check its
//! value times its weight. So every check's part can be shown, and the parts add up to the score.

use std::collections::BTreeMap;

use serde::Deserialize;

/// How much each check counts beside a model: its `checks.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Weights {
    /// Log odds before any evidence.
    pub(crate) start: f64,
    /// What the model's log odds are multiplied by.
    pub(crate) slope: f64,
    /// Log odds to a unit of a check's value, by the check's name. A check without a weight is shown and counts nothing.
    pub(crate) weights: BTreeMap<String, f64>,
}

impl Default for Weights {
    fn default() -> Self {
        Self { start: 0.0, slope: 1.0, weights: BTreeMap::new() }
    }
}

/// The checks, and what a unit of each one's value is.
pub(crate) const CHECKS: &[(&str, &str)] = &[
    ("start", "1: the log odds before any evidence"),
    ("model", "the model's log odds"),
    ("familiarity", "how unlike the photos of shoes that the model learned from, 1 at the limit"),
    ("editing software", "1 where metadata name a program that edits photos"),
    ("metadata", "1 where a JPEG has none"),
    ("capture date", "1 where the photo was taken in the future"),
    ("place", "100 km between where the photo was taken and the shop, at most 10"),
    ("error level", "how far the strongest blocks stand out of the median, as a natural logarithm"),
    ("double compression", "how sure it is that the photo was compressed before at another quality, 0 to 1"),
    ("re-used photo", "1 where another listing of the statement shows the same photo"),
    ("stock photo", "1 where the photo is one of the references"),
    ("colour", "distance between the colours of the shoe and of the nearest reference, 0 to 1"),
    ("references", "cosine distance to the nearest reference, 0 to 2"),
    ("price", "natural logarithm of the market price to the asked price, at least 0"),
];

impl Weights {
    /// Reads a `checks.toml`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let weights: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let names = || CHECKS.iter().map(|(name, _)| *name);
        if let Some(name) = weights.weights.keys().find(|name| !names().any(|known| known == name.as_str())) {
            let valid = names().collect::<Vec<_>>().join(", ");
            return Err(format!("unknown check '{name}'; valid: {valid}"));
        }
        let finite =
            [weights.start, weights.slope].iter().chain(weights.weights.values()).all(|w| w.is_finite());
        if !finite {
            return Err("weights must be finite numbers".to_owned());
        }
        Ok(weights)
    }

    /// The weight of a check.
    #[must_use]
    pub(crate) fn of(&self, check: &str) -> f64 {
        match check {
            "start" => self.start,
            "model" => self.slope,
            check => self.weights.get(check).copied().unwrap_or(0.0),
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// Name of the check: one of [`CHECKS`], or what a detector's class is called.
    pub(crate) check: String,
    /// What part of the photo it is about: `photo`, `shoe`, `file`, `listing`.
    pub(crate) region: &'static str,
    /// Left, top, width and height of it in pixels of the photo, where it is a part.
    pub(crate) bounds: Option<[u32; 4]>,
    /// What was measured, in the unit of [`CHECKS`]; `None` where the check could not be made.
    pub(crate) value: Option<f64>,
    /// What was seen.
    pub(crate) observed: String,
    /// What an authentic listing has.
    pub(crate) expected: String,
    /// What that means, in a few words that continue a sentence; empty where it means nothing.
    pub(crate) note: String,
}

/// A finding with its part in the score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weighed {
    /// What was found.
    pub(crate) finding: Finding,
    /// Its part in the log odds of being authentic.
    pub(crate) score: f64,
    /// Log odds to a unit.
    pub(crate) weight: f64,
}

/// The probability of being authentic, and the part of each finding in its log odds, which they add up to.
/// No probability without the model's word: the other checks can't tell a shoe from a shoe box.
#[must_use]
pub(crate) fn weigh(findings: Vec<Finding>, weights: &Weights) -> (Option<f64>, Vec<Weighed>) {
    let model = findings.iter().any(|one| one.check == "model" && one.value.is_some());
    let start = (weights.start != 0.0).then(|| Finding {
        check: "start".to_owned(),
        region: "photo",
        bounds: None,
        value: Some(1.0),
        observed: String::new(),
        expected: String::new(),
        note: String::new(),
    });
    let weighed: Vec<Weighed> = start
        .into_iter()
        .chain(findings)
        .map(|finding| {
            let weight = weights.of(&finding.check);
            let score = finding.value.map_or(0.0, |value| value * weight);
            Weighed { finding, score, weight }
        })
        .collect();
    let odds = weighed.iter().map(|one| one.score).sum::<f64>();
    (model.then(|| 1.0 / (1.0 + (-odds).exp())), weighed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: &str, value: Option<f64>) -> Finding {
        let (observed, expected, note) = Default::default();
        Finding { check: check.to_owned(), region: "photo", bounds: None, value, observed, expected, note }
    }

    #[test]
    fn the_parts_add_up_to_the_score() {
        let text = "start = 0.2\nslope = 0.5\n[weights]\n\"stock photo\" = -1.5\nprice = -0.7\n";
        let weights = Weights::read(text).unwrap();
        let findings = vec![
            finding("model", Some(2.0)),
            finding("stock photo", Some(1.0)),
            finding("price", None),
            finding("colour", Some(0.4)),
        ];
        let (probability, weighed) = weigh(findings, &weights);
        let odds = weighed.iter().map(|one| one.score).sum::<f64>();
        assert!((odds - (0.2 + 1.0 - 1.5)).abs() < 1e-12);
        assert!((probability.unwrap() - 1.0 / (1.0 + (-odds).exp())).abs() < 1e-12);
        assert_eq!((weighed[0].score, weighed[4].score), (0.2, 0.0));
    }

    #[test]
    fn without_the_model_there_is_no_probability() {
        let (probability, weighed) = weigh(vec![finding("price", Some(1.0))], &Weights::default());
        assert_eq!((probability, weighed.len()), (None, 1));
    }

    #[test]
    fn an_unknown_check_is_named() {
        let error = Weights::read("[weights]\nsmell = 1\n").unwrap_err();
        assert!(error.starts_with("unknown check 'smell'; valid: start, model, "), "{error}");
        assert!(Weights::read("slope = inf").is_err());
    }
}
