//! The figures of one segment.

use crate::shapley::{Fraction, attribution};
use crate::sums::Sums;

/// One segment: the columns of BigQuery's `AI.KEY_DRIVERS`, for a ratio those of `ML.GET_INSIGHTS` besides, and a
/// sentence. A figure that would divide by 0 is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Insight {
    /// `name=value` of each dimension that makes the segment, in the order of the dimensions; `all` for all rows.
    pub drivers: Vec<String>,
    /// For each dimension of the table the index of the segment's value; `None` where the segment has all values.
    pub values: Vec<Option<u32>>,
    /// The metric over the rows of interest; NaN for a ratio with 0 below the line.
    pub metric_interest: f64,
    /// The metric over the rows of reference; NaN for a ratio with 0 below the line.
    pub metric_reference: f64,
    /// `metric_interest - metric_reference`.
    pub difference: f64,
    /// `difference / metric_reference`.
    pub relative_difference: Option<f64>,
    /// `metric_interest` less what was to be expected: `metric_reference` times the change of all rows outside the
    /// segment. For all rows the difference itself. `None` for a ratio.
    pub unexpected_difference: Option<f64>,
    /// `unexpected_difference` over what was to be expected.
    pub relative_unexpected_difference: Option<f64>,
    /// Share of the segment in all rows of interest or of reference, whichever is greater; for a ratio above the line.
    pub apriori_support: f64,
    /// Magnitude of the difference; for a ratio of the attribution. Insights are ordered by it.
    pub contribution: f64,
    /// Only for a ratio.
    pub ratio: Option<RatioFigures>,
    /// One sentence.
    pub explanation: String,
}

/// What a ratio metric has besides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioFigures {
    /// `metric_interest / metric_reference`.
    pub interest_over_reference: Option<f64>,
    /// `metric_interest` over the same ratio of the rows of interest outside the segment.
    pub interest_over_complement: Option<f64>,
    /// `metric_reference` over the same ratio of the rows of reference outside the segment.
    pub reference_over_complement: Option<f64>,
    /// The part of the change of the whole's ratio that is due to the segment; those of segments that make up the whole
    /// add up to its change.
    pub aumann_shapley_attribution: Option<f64>,
}

/// Figures without names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    pub(crate) interest: f64,
    pub(crate) reference: f64,
    pub(crate) difference: f64,
    pub(crate) relative: Option<f64>,
    pub(crate) unexpected: Option<f64>,
    pub(crate) relative_unexpected: Option<f64>,
    pub(crate) contribution: f64,
    pub(crate) ratio: Option<RatioFigures>,
}

impl Figures {
    /// Figures of a summed metric; `whole` says that the segment is all rows.
    pub(crate) fn of_sum(sums: &Sums, all: &Sums, whole: bool) -> Self {
        let difference = sums.interest - sums.reference;
        let change = if whole {
            Some(1.0)
        } else {
            quotient(all.interest - sums.interest, all.reference - sums.reference)
        };
        let expected = change.map(|change| sums.reference * change);
        let unexpected = expected.map(|expected| sums.interest - expected);
        Figures {
            interest: sums.interest,
            reference: sums.reference,
            difference,
            relative: quotient(difference, sums.reference),
            unexpected,
            relative_unexpected: unexpected.zip(expected).and_then(|(off, expected)| quotient(off, expected)),
            contribution: difference.abs(),
            ratio: None,
        }
    }

    /// Figures of a ratio metric.
    pub(crate) fn of_ratio(sums: &Sums, all: &Sums) -> Self {
        let (before, after) = fractions(sums);
        let (all_before, all_after) = fractions(all);
        let rest = |all: Fraction, part: Fraction| Fraction {
            above: all.above - part.above,
            below: all.below - part.below,
        };
        let over = |a: Option<f64>, b: Option<f64>| a.zip(b).and_then(|(a, b)| quotient(a, b));
        let (interest, reference) = (after.ratio(), before.ratio());
        let attribution = attribution((before, after), (all_before, all_after));
        let difference =
            interest.zip(reference).map_or(f64::NAN, |(interest, reference)| interest - reference);
        Figures {
            interest: interest.unwrap_or(f64::NAN),
            reference: reference.unwrap_or(f64::NAN),
            difference,
            relative: reference.and_then(|reference| quotient(difference, reference)),
            unexpected: None,
            relative_unexpected: None,
            contribution: attribution.map_or(0.0, f64::abs),
            ratio: Some(RatioFigures {
                interest_over_reference: over(interest, reference),
                interest_over_complement: over(interest, rest(all_after, after).ratio()),
                reference_over_complement: over(reference, rest(all_before, before).ratio()),
                aumann_shapley_attribution: attribution,
            }),
        }
    }
}

fn fractions(sums: &Sums) -> (Fraction, Fraction) {
    (
        Fraction { above: sums.reference, below: sums.reference_below },
        Fraction { above: sums.interest, below: sums.interest_below },
    )
}

fn quotient(a: f64, b: f64) -> Option<f64> {
    let quotient = a / b;
    quotient.is_finite().then_some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_documented_example() {
        // The output example of the documentation of BigQuery's AI.KEY_DRIVERS (Iowa liquor sales of 2024), whose
        // inputs are rounded to whole numbers.
        let all = Sums { interest: 230_372_400.0, reference: 216_802_833.0, ..Sums::default() };
        for (interest, reference, unexpected, relative) in [
            (50_788_320.0, 43_857_330.0, 5_247_510.0, 0.115),
            (11_068_763.0, 5_297_807.0, 5_575_616.0, 1.015),
            (21_255_149.0, 19_015_184.0, 1_150_744.0, 0.057),
            (3_661_058.0, 2_111_396.0, 1_431_452.0, 0.642),
            (35_528_047.0, 34_155_473.0, -908_292.0, -0.025),
            (25_824_531.0, 27_001_845.0, -3_275_264.0, -0.113),
        ] {
            let sums = Sums { interest, reference, ..Sums::default() };
            let figures = Figures::of_sum(&sums, &all, false);
            assert!((figures.unexpected.unwrap() - unexpected).abs() < 20.0, "{figures:?}");
            assert!((figures.relative_unexpected.unwrap() - relative).abs() < 1e-3, "{figures:?}");
        }
        let whole = Figures::of_sum(&all, &all, true);
        assert_eq!(whole.unexpected, Some(13_569_567.0));
    }

    #[test]
    fn ratios_over_the_rest() {
        // The example in the documentation of BigQuery's ML.GET_INSIGHTS: 1.38 and 0.24.
        let all = Sums {
            interest: 126.0,
            interest_below: 310.0,
            reference: 1.0,
            reference_below: 2.0,
            ..Sums::default()
        };
        for (above, below, expected) in [(50.0, 100.0, 1.38), (1.0, 10.0, 0.24)] {
            let part = Sums { interest: above, interest_below: below, ..Sums::default() };
            let ratio = Figures::of_ratio(&part, &all).ratio.unwrap();
            assert!((ratio.interest_over_complement.unwrap() - expected).abs() < 0.005);
            assert_eq!(ratio.interest_over_reference, None);
        }
    }

    #[test]
    fn nothing_to_divide_by() {
        let all = Sums { interest: 5.0, reference: 3.0, ..Sums::default() };
        let fresh = Sums { interest: 2.0, ..Sums::default() };
        let figures = Figures::of_sum(&fresh, &all, false);
        assert_eq!(
            (figures.relative, figures.unexpected, figures.relative_unexpected),
            (None, Some(2.0), None)
        );
        assert_eq!(Figures::of_sum(&all, &all, false).unexpected, None);
    }
}
