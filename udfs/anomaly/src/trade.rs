//! Features of each point of a series of sales that its values alone don't show: what came back, and the price.

use crate::Error;

/// Names of the features of [`returns_features`], in their order.
pub const RETURNS_FEATURES: [&str; 2] = ["returns_ratio", "returns_change"];
/// Names of the features of [`price_features`], in their order.
pub const PRICE_FEATURES: [&str; 2] = ["price", "price_change"];

/// The largest change of a price, in multiples of the price before: beyond it one price is as odd as another.
const LARGEST_CHANGE: f64 = 100.0;

/// Two features for each point, from what was sold less what came back (`values`) and what came back (`returned`, of
/// either sign: a return is often written as a sale below zero), in the same unit:
///
/// | feature | is |
/// |---|---|
/// | `returns_ratio` | part of what came back in all that was sold, 0 to 1: `returned / (returned + value)`; 1 where nothing else was sold, 0 without a return |
/// | `returns_change` | less that part in the `window` points before taken together |
///
/// Where values are not less what came back, the ratio is smaller, and points have the same order by it. Only the past is
/// looked at, and the first point's past is itself. A feature that needs a number that isn't finite is NaN.
///
/// # Errors
///
/// [`Error::Argument`] for a window of 0, [`Error::Length`] where `returned` is not as long as `values`.
pub fn returns_features(values: &[f64], returned: &[f64], window: usize) -> Result<Vec<[f64; 2]>, Error> {
    check(values, ("returned", returned), window)?;
    let part = |points: std::ops::Range<usize>| {
        let back: f64 = returned[points.clone()].iter().map(|number| number.abs()).sum();
        // More came back than was sold: of these points' own sales nothing was kept.
        let kept: f64 = values[points].iter().map(|value| value.max(0.0)).sum();
        if back == 0.0 { 0.0 } else { back / (back + kept) }
    };
    let features = (0..values.len()).map(|at| {
        let ratio = part(at..at + 1);
        [ratio, ratio - part(past(at, window))]
    });
    Ok(features.collect())
}

/// Two features for each point, from what was sold and what was paid for it:
///
/// | feature | is |
/// |---|---|
/// | `price` | `revenue / value` |
/// | `price_change` | `price` divided by its mean over the `window` points before, less 1; at most 100 |
///
/// A point without a price, because nothing was sold or nothing paid, has the last price before it, or before the first
/// price that one. A series without any has zeros.
///
/// # Errors
///
/// [`Error::Argument`] for a window of 0, [`Error::Length`] where `revenue` is not as long as `values`.
pub fn price_features(values: &[f64], revenue: &[f64], window: usize) -> Result<Vec<[f64; 2]>, Error> {
    check(values, ("revenue", revenue), window)?;
    let paid: Vec<Option<f64>> =
        values.iter().zip(revenue).map(|(value, paid)| price(*value, *paid)).collect();
    let mut last = paid.iter().copied().flatten().next().unwrap_or_default();
    let mut prices = Vec::with_capacity(paid.len());
    for price in paid {
        last = price.unwrap_or(last);
        prices.push(last);
    }
    let features = prices.iter().enumerate().map(|(at, price)| {
        let before = &prices[past(at, window)];
        let mean = before.iter().map(|price| price / before.len() as f64).sum::<f64>();
        [*price, if mean > 0.0 { (price / mean - 1.0).min(LARGEST_CHANGE) } else { 0.0 }]
    });
    Ok(features.collect())
}

/// The `window` points before one; of the first, itself.
fn past(at: usize, window: usize) -> std::ops::Range<usize> {
    if at == 0 { 0..1 } else { at.saturating_sub(window)..at }
}

/// What was paid for one, where it says something.
fn price(value: f64, revenue: f64) -> Option<f64> {
    Some(revenue / value).filter(|price| value > 0.0 && revenue > 0.0 && price.is_finite() && *price > 0.0)
}

fn check(values: &[f64], (what, numbers): (&'static str, &[f64]), window: usize) -> Result<(), Error> {
    if window == 0 {
        return Err(Error::Argument { name: "window", range: "above 0" });
    }
    if numbers.len() != values.len() {
        return Err(Error::Length { what, found: numbers.len(), expected: values.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_are_a_part_of_what_was_sold() {
        // 10 sold, then 8 of which 2 came back, then a return alone, then nothing.
        let found = returns_features(&[10.0, 6.0, -1.0, 0.0], &[0.0, -2.0, 1.0, 0.0], 2).unwrap();
        assert_eq!(found[0], [0.0, 0.0]);
        assert_eq!(found[1], [0.25, 0.25]);
        assert_eq!(found[2], [1.0, 1.0 - 2.0 / 18.0]);
        assert_eq!(found[3], [0.0, -3.0 / 9.0]);
    }

    #[test]
    fn a_price_lasts_until_the_next() {
        let found = price_features(&[0.0, 2.0, 0.0, 1.0, -1.0], &[0.0, 200.0, 5.0, 50.0, -80.0], 2).unwrap();
        let prices: Vec<f64> = found.iter().map(|row| row[0]).collect();
        assert_eq!(prices, [100.0, 100.0, 100.0, 50.0, 50.0]);
        assert_eq!(found[3][1], -0.5);
        assert!((found[4][1] - (50.0 / 75.0 - 1.0)).abs() < 1e-12);
        assert_eq!(price_features(&[0.0, 1.0], &[3.0, 0.0], 2).unwrap(), [[0.0, 0.0], [0.0, 0.0]]);
    }

    #[test]
    fn only_the_past_counts() {
        let values: Vec<f64> = (0..60).map(|day| f64::from(day % 7) + 1.0).collect();
        let beside: Vec<f64> = (0..60).map(|day| f64::from(day % 5) + 1.0).collect();
        let mut later = beside.clone();
        later[40] = 1e6;
        for features in [returns_features, price_features] {
            let (one, other) =
                (features(&values, &beside, 28).unwrap(), features(&values, &later, 28).unwrap());
            assert!(one[..40] == other[..40] && one[40] != other[40]);
        }
    }

    #[test]
    fn hostile_numbers_are_survived() {
        let hostile = [f64::NAN, f64::MAX, f64::INFINITY, f64::MIN_POSITIVE, -1.0, f64::MIN, 0.0];
        for turn in 0..hostile.len() {
            let mut other = hostile;
            other.rotate_left(turn);
            assert_eq!(returns_features(&hostile, &other, 3).unwrap().len(), 7);
            let prices = price_features(&hostile, &other, 3).unwrap();
            assert!(prices.iter().flatten().all(|number| number.is_finite()), "{prices:?}");
        }
        let short = Err(Error::Length { what: "revenue", found: 1, expected: 2 });
        assert_eq!(price_features(&[1.0, 2.0], &[1.0], 3), short);
        assert!(returns_features(&[1.0], &[1.0], 0).is_err());
        assert!(returns_features(&[], &[], 7).unwrap().is_empty());
    }
}
