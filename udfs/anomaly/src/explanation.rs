//! A sentence that says what happened.

use crate::Contribution;

/// What is known of an anomaly.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is measured, such as `revenue`.
    pub measure: &'a str,
    /// Of what or where, such as `in Madurai`; may be empty.
    pub subject: &'a str,
    /// When, such as `2025-10-21`; may be empty.
    pub when: &'a str,
    /// What was measured.
    pub value: f64,
    /// What would be expected without holidays and promotions.
    pub usual: f64,
    /// Holidays and promotions of the day, with the factor by which each moves the expectation.
    pub causes: &'a [(&'a str, f64)],
    /// Who makes up most of the deviation, see [`driver`].
    pub driver: Option<&'a str>,
}

/// Part of the deviation from which a cause is named.
const WORTH_NAMING: f64 = 0.05;

/// One plain sentence without a full stop, such as "revenue in Madurai on 2025-10-21 was 2.4 times its expected 38,200;
/// Deepavali explains 60% of it; driver: Air Max 90".
///
/// What causes explain is their part in the deviation from what is usual, at most 100%; each cause has its part by the
/// logarithm of its factor, and causes that pull the other way have none.
#[must_use]
pub fn explain(facts: &Facts<'_>) -> String {
    let mut sentence = facts.measure.to_owned();
    if !facts.subject.is_empty() {
        sentence += &format!(" {}", facts.subject);
    }
    if !facts.when.is_empty() {
        sentence += &format!(" on {}", facts.when);
    }
    sentence += &compared(facts.value, facts.usual);
    for (name, share) in shares(facts) {
        if share >= WORTH_NAMING {
            sentence += &format!("; {name} explains {:.0}% of it", 100.0 * share);
        }
    }
    if let Some(driver) = facts.driver {
        sentence += &format!("; driver: {driver}");
    }
    sentence
}

/// The child whose deviation makes up most of the whole's, of children with their name, value and expectation. None where
/// none deviates the same way.
#[must_use]
pub fn driver<'a>(children: &[(&'a str, f64, f64)], is_high: bool) -> Option<&'a str> {
    let deviation = |child: &&(&str, f64, f64)| if is_high { child.1 - child.2 } else { child.2 - child.1 };
    let usable = children.iter().filter(|child| deviation(child) > 0.0 && deviation(child).is_finite());
    // The first of equals.
    usable.rev().max_by(|a, b| deviation(a).total_cmp(&deviation(b))).map(|child| child.0)
}

/// The sentence of a row of features, such as "row stands apart by price (62%) and qty (21%)": the two greatest shares
/// from 5% on.
#[must_use]
pub fn explain_features(subject: &str, contributions: &[Contribution]) -> String {
    let mut sorted: Vec<&Contribution> =
        contributions.iter().filter(|part| part.share >= WORTH_NAMING).collect();
    sorted.sort_by(|a, b| b.share.total_cmp(&a.share));
    let named: Vec<String> =
        sorted.iter().take(2).map(|part| format!("{} ({:.0}%)", part.name, 100.0 * part.share)).collect();
    match named.is_empty() {
        true => format!("{subject} stands apart"),
        false => format!("{subject} stands apart by {}", named.join(" and ")),
    }
}

fn compared(value: f64, usual: f64) -> String {
    if !usual.is_finite() {
        return format!(" was {}", number(value));
    }
    let ratio = value / usual;
    if usual <= 0.0 || !(0.0..1e6).contains(&ratio) {
        format!(" was {} where {} was expected", number(value), number(usual))
    } else if value == 0.0 {
        format!(" was 0 where {} was expected", number(usual))
    } else if ratio >= 1.095 {
        format!(" was {ratio:.1} times its expected {}", number(usual))
    } else {
        format!(" was {:.0}% of its expected {}", 100.0 * ratio, number(usual))
    }
}

/// Each cause's part in the deviation, 0 to 1.
fn shares<'a>(facts: &Facts<'a>) -> Vec<(&'a str, f64)> {
    let deviation = facts.value - facts.usual;
    let helps = |factor: f64| factor.is_finite() && factor > 0.0 && (factor - 1.0) * deviation > 0.0;
    let helpful = || facts.causes.iter().filter(|(_, factor)| helps(*factor));
    let together: f64 = helpful().map(|(_, factor)| factor.ln()).sum();
    let explained = (facts.usual * together.exp_m1() / deviation).clamp(0.0, 1.0);
    helpful().map(|(name, factor)| (*name, explained * factor.ln() / together)).collect()
}

/// A number as people write it: `38,200`, `412`, `3.5`, `0.02`.
fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || size >= 1e15 {
        return format!("{value:.3e}");
    }
    if size < 10.0 && value.fract() != 0.0 {
        return if size < 0.995 { format!("{value:.2}") } else { format!("{value:.1}") };
    }
    let digits = format!("{size:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 { format!("-{grouped}") } else { grouped }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        measure: "revenue",
        subject: "in Madurai",
        when: "2025-10-21",
        value: 91_680.0,
        usual: 38_200.0,
        causes: &[("Deepavali", 1.84), ("Monsoon", 0.9)],
        driver: Some("Air Max 90"),
    };

    #[test]
    fn a_sentence_says_what_happened() {
        assert_eq!(
            explain(&FACTS),
            "revenue in Madurai on 2025-10-21 was 2.4 times its expected 38,200; Deepavali explains 60% of it; \
             driver: Air Max 90"
        );
        let drop = Facts { value: 0.0, usual: 12.0, causes: &[], driver: None, ..FACTS };
        assert_eq!(explain(&drop), "revenue in Madurai on 2025-10-21 was 0 where 12 was expected");
        let low = Facts { value: 3.0, subject: "", when: "", ..drop };
        assert_eq!(explain(&low), "revenue was 25% of its expected 12");
    }

    #[test]
    fn odd_numbers_make_sentences_too() {
        for (value, usual) in
            [(f64::NAN, 1.0), (1.0, f64::NAN), (1.0, 0.0), (-5.0, 3.0), (1e300, 1e-300), (2.0, 2.0)]
        {
            let facts = Facts { value, usual, ..FACTS };
            assert!(explain(&facts).starts_with("revenue in Madurai on 2025-10-21 was "));
        }
        assert_eq!(number(-1_234_567.0), "-1,234,567");
        assert_eq!(
            (number(0.0213), number(3.46), number(412.4)),
            ("0.02".into(), "3.5".into(), "412".into())
        );
    }

    #[test]
    fn the_driver_deviates_most() {
        let children = [("a", 5.0, 4.0), ("b", 9.0, 2.0), ("c", 0.0, 3.0)];
        assert_eq!((driver(&children, true), driver(&children, false)), (Some("b"), Some("c")));
        assert_eq!(driver(&[], true), None);
        let parts = [("price", 0.62), ("day", 0.02), ("qty", 0.36)]
            .map(|(name, share)| Contribution { name: name.to_owned(), share });
        assert_eq!(explain_features("order 7", &parts), "order 7 stands apart by price (62%) and qty (36%)");
    }
}
