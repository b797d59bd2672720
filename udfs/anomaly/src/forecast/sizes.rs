//! How many pieces a sale has, from daily sums of slow series.

use super::spread;

/// Largest size of a sale.
pub(super) const LARGEST: usize = 64;
/// Sums kept apart.
const SUMS: usize = LARGEST + 1;
/// Classes of the mean: factors of two from 2^-10 to 2^1 pieces a day.
const CLASSES: usize = 11;
/// Days a class must have, and days with a sale.
const ENOUGH: (u64, u64) = (2_000, 200);
/// Deviations at which a value is cut off before its square is summed.
const LIMIT: f64 = 4.0;
/// Bounds of the part of the variance that grows with the squared mean.
const EXTRA: (f64, f64) = (0.002, 0.5);
/// The largest sales aren't believed, up to this part of all and so many: the anomalies are among them.
const DOUBTED: (f64, f64) = (2e-4, 8.0);
/// Squared variation of the means within a class of a factor of two, and of the errors of the means.
const MIXED: f64 = 0.06;

/// Counts the daily sums of slow series (a mean of two pieces a day or less), from which the sizes of single sales can be
/// told. Memory: 6 KiB. Add and merge in the
/// order of the series, since sums of squares depend on it in their last bits.
#[derive(Debug, Clone, PartialEq)]
pub struct SaleSizes {
    counts: Vec<[u64; SUMS]>,
    /// Sums over all days: squared deviations, means, and squared means.
    squares: [f64; 3],
}

impl Default for SaleSizes {
    fn default() -> Self {
        SaleSizes { counts: vec![[0; SUMS]; CLASSES], squares: [0.0; 3] }
    }
}

impl SaleSizes {
    /// Adds a day with `value` where `mean` was expected, in pieces of `unit`.
    pub fn add(&mut self, mean: f64, unit: f64, value: f64) {
        let (mean, value, unit) = (mean / unit, value / unit, 1.0);
        if (0.5..1e9).contains(&mean) && value.is_finite() {
            let deviation = spread::winsorised(value, mean, unit, LIMIT) - mean;
            let terms = [deviation * deviation, mean, mean * mean];
            self.squares.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        let class = mean.log2() + 10.0;
        if value.is_finite() && (0.0..CLASSES as f64).contains(&class) {
            let sum = value.round().clamp(0.0, LARGEST as f64);
            self.counts[class as usize][sum as usize] += 1;
        }
    }

    /// Adds all that another one has.
    pub fn merge(&mut self, other: &SaleSizes) {
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *mine += theirs;
        }
        self.squares.iter_mut().zip(other.squares).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// How much the variance grows with the square of the mean, given the sizes' mean square over mean.
    pub(super) fn extra(&self, ratio: f64) -> f64 {
        let [squares, means, squared_means] = self.squares;
        let extra = (squares - ratio * means) / squared_means;
        if extra.is_finite() { extra.clamp(EXTRA.0, EXTRA.1) } else { spread::EXTRA }
    }

    /// Probability of each size from 1 on, without what is never seen at the end; all sales have size 1 where there are
    /// too few slow days.
    ///
    /// Buchmann & Grübel (2003), "Decompounding: an estimation problem for Poisson random sums", *Annals of Statistics*
    /// 31, with the recursion of Panjer for a negative binomial number of sales, since means differ within a class; for the
    /// class with the most days on which something was sold.
    pub(super) fn probabilities(&self) -> Vec<f64> {
        let days = |class: &&[u64; SUMS]| class.iter().sum::<u64>();
        let sold = |class: &[u64; SUMS]| class[1..].iter().sum::<u64>();
        let usable = self.counts.iter().filter(|class| {
            days(class) >= ENOUGH.0 && sold(class) >= ENOUGH.1 && 5 * class[0] >= days(class)
        });
        let Some(class) = usable.max_by_key(|class| sold(class)) else { return vec![1.0] };
        let share = class.map(|count| count as f64 / days(&class) as f64);
        let shape = 1.0 / MIXED;
        let sales = shape * (share[0].powf(-MIXED) - 1.0);
        let a = sales / (shape + sales);
        let b = (shape - 1.0) * a;
        let mut sizes = vec![0.0; SUMS];
        for size in 1..SUMS {
            let before: f64 = (1..size)
                .map(|part| (a + b * part as f64 / size as f64) * sizes[part] * share[size - part])
                .sum();
            sizes[size] = ((share[size] - before) / ((a + b) * share[0])).max(0.0);
        }
        let doubted = DOUBTED.0 + DOUBTED.1 / sold(class) as f64;
        let mut doubt = doubted * sizes.iter().sum::<f64>();
        while let Some(last) = sizes.last().copied()
            && sizes.len() > 2
            && last <= doubt
        {
            doubt -= last;
            sizes.pop();
        }
        let sum: f64 = sizes.iter().sum();
        if sum > 0.0 { sizes[1..].iter().map(|size| size / sum).collect() } else { vec![1.0] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn sizes_come_out_of_the_sums() {
        let mut random = Random::new(9, 9);
        let mut sizes = SaleSizes::default();
        for day in 0..200_000 {
            let (mut sum, mut left, mut part) = (0.0, random.unit(), (-0.3_f64).exp());
            let mut count = 0.0;
            while left > part {
                left -= part;
                count += 1.0;
                part *= 0.3 / count;
                sum += if random.unit() < 0.9 { 1.0 } else { 8.0 };
            }
            sizes.add(0.3 * 1.7, 1.0, if day % 40_000 == 7 { 40.0 } else { sum });
        }
        let found = sizes.probabilities();
        assert!((found[0] - 0.9).abs() < 0.01 && (found[7] - 0.1).abs() < 0.01, "{found:?}");
        assert!(found.len() < 30 && found[1] < 0.01);
        assert_eq!(SaleSizes::default().probabilities(), [1.0]);
    }
}
