//! What goes wrong with a row on its way into the log: each row has at most one flaw.

use crate::random::{Purpose, Stream};

/// A kind of dirty row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// A SKU that the catalogue does not know.
    UnknownSku,
    /// No price.
    MissingPrice,
    /// The same row again, at once or up to three days later.
    Duplicate,
    /// A date in the year 2087.
    FutureDate,
    /// A quantity or price that is not a number.
    BadNumber,
    /// A sound row that stands in a later month's file.
    Late,
}

/// Chance of each flaw; late rows only from the last ten days of a month.
const RATES: [(Flaw, f64); 6] = [
    (Flaw::UnknownSku, 0.0015),
    (Flaw::MissingPrice, 0.002),
    (Flaw::Duplicate, 0.003),
    (Flaw::FutureDate, 0.0008),
    (Flaw::BadNumber, 0.0015),
    (Flaw::Late, 0.02),
];

/// The year of dates from a broken clock.
pub(crate) const FUTURE_YEAR: &[u8] = b"2087";

impl Flaw {
    /// Reason as the warehouse names it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Flaw::UnknownSku => "UNKNOWN_SKU",
            Flaw::MissingPrice => "MISSING_PRICE",
            Flaw::Duplicate => "DUPLICATE_ORDER",
            Flaw::FutureDate => "FUTURE_DATE",
            Flaw::BadNumber => "BAD_NUMBER",
            Flaw::Late => "LATE_ARRIVAL",
        }
    }

    /// All kinds.
    pub(crate) fn all() -> impl Iterator<Item = Flaw> {
        RATES.into_iter().map(|(flaw, _)| flaw)
    }

    /// The flaw of a row, with a stream for its details.
    pub(crate) fn of(seed: u64, purpose: Purpose, number: u64) -> (Option<Flaw>, Stream) {
        let mut stream = Stream::new(seed, purpose, number);
        let mut at = stream.unit();
        let flaw = RATES.into_iter().find(|(_, rate)| {
            let hit = at < *rate;
            at -= rate;
            hit
        });
        (flaw.map(|(flaw, _)| flaw), stream)
    }
}

/// A quantity nobody can add up.
pub(crate) fn bad_quantity(stream: &mut Stream) -> &'static str {
    stream.pick(&["two", "one pair", "1O", "N/A", "?"]).copied().unwrap_or("?")
}

/// A price nobody can add up, quoted where the format needs it.
pub(crate) fn bad_price(stream: &mut Stream, paise: i64) -> String {
    let rupees = paise / 100;
    match stream.below(4) {
        0 => format!("\"{},{:02}x\"", rupees, paise % 100),
        1 => format!("Rs {rupees}"),
        2 => "free".to_owned(),
        _ => format!("{}.{:02}.00", rupees / 100, rupees % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_come_at_their_rates() {
        let n = 200_000;
        for (flaw, rate) in RATES {
            let hits = (0..n).filter(|&row| Flaw::of(1, Purpose::Flaw, row).0 == Some(flaw)).count();
            let share = hits as f64 / n as f64;
            assert!((share / rate - 1.0).abs() < 0.25, "{flaw:?}: {share}");
        }
    }

    #[test]
    fn bad_numbers_are_not_numbers() {
        let mut stream = Stream::new(1, Purpose::Flaw, 0);
        for _ in 0..100 {
            assert!(bad_quantity(&mut stream).parse::<f64>().is_err());
            assert!(bad_price(&mut stream, 499_505).trim_matches('"').parse::<f64>().is_err());
        }
    }
}
