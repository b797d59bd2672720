//! Figures in a sentence.

use crate::insight::Figures;

/// Says how a segment changed and how that compares to the rest.
pub(crate) fn explain(drivers: &[String], figures: &Figures) -> String {
    let name = if drivers == ["all"] { "the whole".to_owned() } else { drivers.join(", ") };
    let name = capitalised(&name, drivers);
    if figures.difference.is_nan() {
        return format!("{name} has nothing to divide by on one side.");
    }
    let way = match figures.difference {
        d if d > 0.0 => "rose",
        d if d < 0.0 => "fell",
        _ => return format!("{name} stayed at {}{}", number(figures.reference), rest(figures)),
    };
    let relative =
        figures.relative.map_or(String::new(), |share| format!(" ({}%)", number(100.0 * share.abs())));
    format!(
        "{name} {way} by {}{relative}, from {} to {}{}",
        number(figures.difference.abs()),
        number(figures.reference),
        number(figures.interest),
        rest(figures)
    )
}

/// Only "the whole" begins a sentence in lower case by itself; names of columns stay as they are.
fn capitalised(name: &str, drivers: &[String]) -> String {
    if drivers == ["all"] { "The whole".to_owned() } else { name.to_owned() }
}

fn rest(figures: &Figures) -> String {
    if let Some(ratio) = figures.ratio {
        return match ratio.aumann_shapley_attribution {
            Some(value) => format!("; it accounts for {} of the change of the whole.", signed(value)),
            None => ".".into(),
        };
    }
    match figures.unexpected {
        Some(off) if off == figures.difference => ".".into(),
        Some(off) if number(off.abs()) == "0" => ", as much as the rest leads to expect.".into(),
        Some(off) => {
            let more = if off > 0.0 { "more" } else { "less" };
            format!(", {} {more} than the rest leads to expect.", number(off.abs()))
        }
        None => ".".into(),
    }
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", number(value)) } else { number(value) }
}

/// Whole numbers with separators from 1,000 on, three significant digits below.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e15 || (magnitude > 0.0 && magnitude < 1e-6) {
        return format!("{value:.2e}");
    }
    if magnitude >= 999.5 {
        let digits = format!("{magnitude:.0}");
        let mut grouped = String::from(if value < 0.0 { "-" } else { "" });
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return grouped;
    }
    let decimals = match magnitude {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.1 => 3,
        m if m >= 0.01 => 4,
        _ => 8,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::Sums;

    fn sentence(driver: &str, interest: f64, reference: f64) -> String {
        let all = Sums { interest: 200.0, reference: 100.0, ..Sums::default() };
        let part = Sums { interest, reference, ..Sums::default() };
        explain(&[driver.to_owned()], &Figures::of_sum(&part, &all, driver == "all"))
    }

    #[test]
    fn sentences() {
        let rose = "city=Chennai rose by 40 (100%), from 40 to 80, as much as the rest leads to expect.";
        assert_eq!(sentence("city=Chennai", 80.0, 40.0), rose);
        let fell = "city=Salem fell by 5 (50%), from 10 to 5, 16.7 less than the rest leads to expect.";
        assert_eq!(sentence("city=Salem", 5.0, 10.0), fell);
        assert_eq!(sentence("all", 200.0, 100.0), "The whole rose by 100 (100%), from 100 to 200.");
        assert_eq!(sentence("city=New", 20.0, 0.0), "city=New rose by 20, from 0 to 20.");
    }

    #[test]
    fn numbers() {
        let shown = [1_549_663.2, -1234.0, 999.6, 12.34, 0.0, 1e300, 0.001_08].map(number);
        assert_eq!(shown, ["1,549,663", "-1,234", "1,000", "12.3", "0", "1.00e300", "0.00108"]);
    }
}
