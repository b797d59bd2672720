//! What a segment contributed to the change of a ratio.

/// Sums above and below the line of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fraction {
    pub(crate) above: f64,
    pub(crate) below: f64,
}

impl Fraction {
    /// The ratio; `None` where the line has 0 below.
    pub(crate) fn ratio(self) -> Option<f64> {
        let ratio = self.above / self.below;
        ratio.is_finite().then_some(ratio)
    }
}

/// The Aumann-Shapley value of a segment: the part of the change of the whole's ratio that flows through the segment
/// while all segments go from reference to interest at the same pace. Values of segments that make up the whole add up
/// to the change of its ratio. `None` where the sum below the line is 0 or changes its sign.
///
/// Aumann & Shapley (1974), *Values of Non-Atomic Games*: the integral over t from 0 to 1 of Δa / B(t) − A(t) · Δb /
/// B(t)², with a, b the sums of the segment and A, B those of the whole; in closed form.
pub(crate) fn attribution(segment: (Fraction, Fraction), whole: (Fraction, Fraction)) -> Option<f64> {
    let (reference, interest) = whole;
    let same_side = reference.below.signum() == interest.below.signum();
    if reference.below == 0.0 || interest.below == 0.0 || !same_side {
        return None;
    }
    let rise_above = interest.above - reference.above;
    let rise_below = interest.below - reference.below;
    let x = rise_below / reference.below;
    // Integrals of 1 / B, 1 / B² and t / B² over the way.
    let one = if x == 0.0 { 1.0 } else { x.ln_1p() / x } / reference.below;
    let square = 1.0 / (reference.below * interest.below);
    let weighted = if x.abs() < 1e-4 {
        // The exact form loses all its digits here.
        (0.5 - x * (2.0 / 3.0 - 0.75 * x)) / (reference.below * reference.below)
    } else {
        (one - 1.0 / interest.below) / rise_below
    };
    let (before, after) = segment;
    let value = (after.above - before.above) * one
        - (after.below - before.below) * (reference.above * square + rise_above * weighted);
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(above: f64, below: f64) -> Fraction {
        Fraction { above, below }
    }

    #[test]
    fn parts_add_up_to_the_change() {
        for scale in [0.5, 1.0, 1.000_01, 3.0] {
            let parts = [
                (fraction(3.0, 10.0), fraction(5.0, 11.0 * scale)),
                (fraction(8.0, 20.0), fraction(4.0, 19.0 * scale)),
                (fraction(0.0, 5.0), fraction(1.0, 5.0 * scale)),
            ];
            let sum = |part: fn(&(Fraction, Fraction)) -> Fraction| {
                let all = parts.iter().map(part);
                all.fold(fraction(0.0, 0.0), |a, b| fraction(a.above + b.above, a.below + b.below))
            };
            let whole = (sum(|part| part.0), sum(|part| part.1));
            let total: f64 = parts.iter().filter_map(|part| attribution(*part, whole)).sum();
            let change = whole.1.ratio().unwrap() - whole.0.ratio().unwrap();
            assert!((total - change).abs() < 1e-9, "{scale}: {total} {change}");
            assert!((attribution(whole, whole).unwrap() - change).abs() < 1e-9);
        }
    }

    #[test]
    fn by_hand() {
        // B stays 10, so the value is Δa / 10 − Δb · (A₀ + A₁) / 2 / 100.
        let whole = (fraction(4.0, 10.0), fraction(6.0, 10.0));
        let value = attribution((fraction(1.0, 2.0), fraction(2.0, 4.0)), whole).unwrap();
        assert!((value - (0.1 - 2.0 * 5.0 / 100.0)).abs() < 1e-12);
        assert_eq!(attribution(whole, (fraction(4.0, 0.0), fraction(6.0, 10.0))), None);
        assert_eq!(fraction(1.0, 0.0).ratio(), None);
    }
}
