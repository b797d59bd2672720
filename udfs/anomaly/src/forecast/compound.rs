//! The distribution of a day's sum: a random number of sales of random sizes.

use crate::normal;

/// Sums of a negative binomial number of sales with mean `m` and variance m + extra · m², each of a size drawn from a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compound {
    /// Probability of the sizes 1, 2, …
    sizes: Vec<f64>,
    /// Mean size.
    mean: f64,
    /// Mean square of the size over the mean.
    ratio: f64,
    /// Part of the variance that grows with the squared mean.
    extra: f64,
}

/// Sums up to here are computed exactly.
const EXACT: f64 = 400.0;

impl Compound {
    pub(super) fn new(sizes: Vec<f64>, extra: impl Fn(f64) -> f64) -> Compound {
        let moment = |power: i32| -> f64 {
            sizes.iter().enumerate().map(|(at, part)| part * (at as f64 + 1.0).powi(power)).sum()
        };
        let (mean, square) = (moment(1), moment(2));
        Compound { sizes, mean, ratio: square / mean, extra: extra(square / mean) }
    }

    /// P(Y ≥ value) for a value above the mean, else P(Y ≤ value); both in pieces.
    /// 1 for means or values beyond 1e150.
    ///
    /// By the recursion of Panjer (1981), "Recursive evaluation of a family of compound distributions", *ASTIN Bulletin*
    /// 12; from 400 pieces on by a gamma distribution of the same mean and variance in the approximation of Wilson &
    /// Hilferty (1931).
    pub(super) fn tail(&self, mean: f64, value: f64) -> f64 {
        if !(mean > 0.0 && mean < 1e150 && value.abs() < 1e150) {
            return 1.0;
        }
        let above = value > mean;
        if mean.max(value) > EXACT {
            let z = self.gamma_z(mean, value);
            return normal::upper_tail(if above { z } else { -z });
        }
        if !above && value < 0.5 {
            return if value < -0.5 { 0.0 } else { self.none(mean) };
        }
        let mut sum = 0.0;
        if above {
            let first = value.round() as usize;
            // Sums that no sizes add up to have no part, so that one small part says nothing.
            let mut small = 0;
            self.walk(mean, |at, part| {
                if at >= first {
                    sum += part;
                    small = if part > 1e-6 * sum { 0 } else { small + 1 };
                }
                small <= self.sizes.len()
            });
        } else {
            let last = value.round().max(-1.0);
            self.walk(mean, |at, part| {
                let counts = at as f64 <= last;
                if counts {
                    sum += part;
                }
                counts
            });
        }
        sum.min(1.0)
    }

    /// The last sum below and the first above the mean whose tails have at most these probabilities: P(Y ≤ low) and
    /// P(Y ≥ high); −1 where even 0 is likelier.
    pub(super) fn limits(&self, mean: f64, low: f64, high: f64) -> (f64, f64) {
        if !(mean > 0.0 && mean < 1e150) {
            return (-1.0, f64::INFINITY);
        }
        if mean * 2.0 > EXACT {
            return (self.gamma_quantile(mean, low, -1.0), self.gamma_quantile(mean, high, 1.0));
        }
        let (mut below, mut sum, mut upper) = (-1.0, 0.0, 0.0);
        self.walk(mean, |at, part| {
            // What is left before this sum is P(Y ≥ at).
            upper = at as f64;
            if 1.0 - sum <= high.max(1e-14) {
                return false;
            }
            sum += part;
            if sum <= low {
                below = at as f64;
            }
            true
        });
        (below, upper.max(mean))
    }

    /// Probability of no sale.
    fn none(&self, mean: f64) -> f64 {
        let shape = 1.0 / self.extra;
        (-shape * (mean / self.mean / shape).ln_1p()).exp()
    }

    /// Visits the probabilities of the sums 0, 1, … until it's told to stop.
    fn walk(&self, mean: f64, mut visit: impl FnMut(usize, f64) -> bool) {
        let sales = mean / self.mean;
        let shape = 1.0 / self.extra;
        let a = sales / (shape + sales);
        let b = (shape - 1.0) * a;
        let mut parts = vec![self.none(mean)];
        let mut at = 0;
        while visit(at, parts[at]) && at < 4 * EXACT as usize {
            at += 1;
            let terms = self.sizes.iter().take(at).enumerate().map(|(index, size)| {
                let size_of = index as f64 + 1.0;
                (a + b * size_of / at as f64) * size * parts[at - 1 - index]
            });
            let part = terms.sum();
            parts.push(part);
        }
    }

    fn gamma_shape(&self, mean: f64) -> f64 {
        mean * mean / (mean * self.ratio + self.extra * mean * mean)
    }

    fn gamma_z(&self, mean: f64, value: f64) -> f64 {
        let ninth = 1.0 / (9.0 * self.gamma_shape(mean));
        ((value.max(0.0) / mean).cbrt() - 1.0 + ninth) / ninth.sqrt()
    }

    fn gamma_quantile(&self, mean: f64, probability: f64, sign: f64) -> f64 {
        let ninth = 1.0 / (9.0 * self.gamma_shape(mean));
        let z = sign * normal_size(probability);
        mean * (1.0 - ninth + z * ninth.sqrt()).max(0.0).powi(3)
    }
}

/// The z whose upper tail has a probability, by bisection.
fn normal_size(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 38.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if normal::upper_tail(middle) > probability { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_sales_are_negative_binomial() {
        // scipy 1.17: nbinom(20, 20 / 29): sf(19) and cdf(0); sums of one size are its own.
        let compound = Compound::new(vec![1.0], |_| 0.05);
        let zero = (20.0_f64 / 29.0).powi(20);
        assert!((compound.tail(9.0, 0.0) / zero - 1.0).abs() < 1e-9);
        let upper: f64 = compound.tail(9.0, 20.0);
        assert!((0.003..0.012).contains(&upper), "{upper}");
        // Two pieces a sale: as many sales, twice the pieces.
        let pairs = Compound::new(vec![0.0, 1.0], |_| 0.05);
        assert!((pairs.tail(18.0, 40.0) / upper - 1.0).abs() < 1e-3, "{} {upper}", pairs.tail(18.0, 40.0));
        let (low, high) = compound.limits(9.0, 1e-3, 1e-3);
        assert!(compound.tail(9.0, high) <= 1e-3 && compound.tail(9.0, high - 1.0) > 1e-3);
        assert!(compound.tail(9.0, low.max(0.0)) <= 1e-3 || low < 0.0);
    }

    #[test]
    fn the_approximation_meets_the_exact_tail() {
        let compound = Compound::new(vec![0.9, 0.08, 0.02], |_| 0.05);
        for (mean, value) in [(180.0, 399.0), (398.0, 120.0)] {
            let z = compound.gamma_z(mean, value);
            let near = normal::upper_tail(z.abs());
            let exact = compound.tail(mean, value);
            assert!((near.ln() / exact.ln() - 1.0).abs() < 0.15, "{near} {exact}");
        }
        assert_eq!(compound.tail(f64::NAN, 1.0), 1.0);
        assert!(compound.tail(1e300, 2e300) <= 1.0);
    }
}
