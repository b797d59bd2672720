//! What a column means to a reader, by its name.

/// The part of recency, frequency and monetary value that a column plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// Days since the last purchase: small is good.
    Recency,
    /// Number of purchases.
    Frequency,
    /// Money spent.
    Monetary,
}

/// Words of a name, by which its meaning is known.
const RECENCY: &[&str] = &["recency", "days since", "last seen days", "days inactive"];
const FREQUENCY: &[&str] =
    &["frequency", "orders", "order count", "num orders", "purchases", "invoices", "visits"];
const MONETARY: &[&str] =
    &["monetary", "revenue", "spend", "spent", "sales", "amount", "turnover", "net value", "lifetime value"];

/// The meaning of a column name, if it has one of the three. Case and underscores don't matter.
pub fn meaning(name: &str) -> Option<Meaning> {
    let name = name.to_lowercase().replace(['_', '-', '.'], " ");
    let says = |words: &[&str]| {
        words.iter().any(|word| {
            name.match_indices(word).any(|(at, _)| {
                let end = at + word.len();
                (at == 0 || name.as_bytes()[at - 1] == b' ')
                    && (end == name.len() || name.as_bytes()[end] == b' ')
            })
        })
    };
    if says(RECENCY) {
        Some(Meaning::Recency)
    } else if says(MONETARY) {
        // Before frequency: "orders amount" is money.
        Some(Meaning::Monetary)
    } else if says(FREQUENCY) {
        Some(Meaning::Frequency)
    } else {
        None
    }
}

/// The column that clusters are numbered by, most valuable first: the first with a monetary meaning, else the first.
pub(crate) fn leading<'a>(mut names: impl Iterator<Item = &'a str>) -> usize {
    names.position(|name| meaning(name) == Some(Meaning::Monetary)).unwrap_or(0)
}

/// A name in words: `total_revenue` as `total revenue`.
pub(crate) fn in_words(name: &str) -> String {
    name.replace('_', " ")
}

/// A number with at most three significant digits, and thousands as they are.
pub(crate) fn short(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() || magnitude >= 1e15 || (magnitude > 0.0 && magnitude < 1e-4) {
        return format!("{value:.2e}");
    }
    let decimals = match magnitude {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.1 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_meanings() {
        assert_eq!(meaning("Recency"), Some(Meaning::Recency));
        assert_eq!(meaning("days_since_last_order"), Some(Meaning::Recency));
        assert_eq!(meaning("order_count"), Some(Meaning::Frequency));
        assert_eq!(meaning("total_revenue"), Some(Meaning::Monetary));
        assert_eq!(meaning("orders_amount"), Some(Meaning::Monetary));
        assert_eq!(meaning("bookings"), None);
        assert_eq!(meaning("borders"), None);
        assert_eq!(leading(["recency", "age", "revenue"].into_iter()), 2);
        assert_eq!(leading(["height", "age"].into_iter()), 0);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [1234.5, 12.345, 1.0, 0.25, 0.0, -0.001, 1e300, 1e-9, -1e-300].map(short);
        assert_eq!(shown, ["1234", "12.3", "1", "0.25", "0", "-0.001", "1.00e300", "1.00e-9", "-1.00e-300"]);
    }
}
