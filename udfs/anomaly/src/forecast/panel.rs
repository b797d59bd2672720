//! The surprises of a whole panel, by level: how often a series of this size strays so far.

use super::compound::Compound;
use super::sizes::SaleSizes;
use super::tail::ParetoTail;

/// Collects how surprising the days of a panel are: −ln of the probability that a sum of sales is as far out.
///
/// If sales were what [`SaleSizes`] and the expectations say, surprises would be exponential with mean 1. Their tails show
/// how far that is true, for each class of the mean (factors of two), upwards and downwards. Of each class only the
/// 2,000 largest on either side are kept, so that memory is bounded (2 MiB) however many points are added. The order of
/// points and of merges doesn't matter.
#[derive(Debug, Clone)]
pub struct PanelSurprises {
    compound: Compound,
    classes: Vec<Class>,
}

#[derive(Debug, Clone, Default)]
struct Class {
    count: usize,
    high: Largest,
    low: Largest,
}

/// The largest numbers of a stream.
#[derive(Debug, Clone, Default)]
struct Largest(Vec<f64>);

/// Numbers kept of each side of a class.
const KEPT: usize = 2_000;
/// Classes: means from 2^-12 to 2^19 sales.
const CLASSES: usize = 32;
/// From this class on (a mean of 1) sums are fine enough for a tail to show its shape.
const SMOOTH: usize = 12;
/// A class with fewer points is joined to its neighbour.
const ENOUGH: usize = 3_000;
/// Part of the points that make the tail.
const TAIL: f64 = 0.02;
/// Smallest probability that is told apart.
const LEAST: f64 = 1e-200;

impl PanelSurprises {
    /// Nothing yet, for sales of these sizes.
    #[must_use]
    pub fn new(sizes: &SaleSizes) -> PanelSurprises {
        let compound = Compound::new(sizes.probabilities(), |ratio| sizes.extra(ratio));
        PanelSurprises { compound, classes: vec![Class::default(); CLASSES] }
    }

    /// Adds a day with `value` where `mean` was expected, in pieces of `unit`; what isn't finite is left out.
    pub fn add(&mut self, mean: f64, unit: f64, value: f64) {
        if !(value.is_finite() && mean.is_finite()) {
            return;
        }
        let class = &mut self.classes[class(mean / unit)];
        class.count += 1;
        // Nearly all days are near their mean: no need to know how near.
        let side = if value > mean { &mut class.high } else { &mut class.low };
        side.add(surprise(&self.compound, mean / unit, value / unit));
    }

    /// Adds everything another one has.
    pub fn merge(&mut self, other: PanelSurprises) {
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            mine.count += theirs.count;
            theirs.high.0.into_iter().for_each(|value| mine.high.add(value));
            theirs.low.0.into_iter().for_each(|value| mine.low.add(value));
        }
    }

    /// Fits the tails.
    #[must_use]
    pub fn finish(self) -> PanelTails {
        let points = self.classes.iter().map(|class| class.count).sum();
        let mut tails: Vec<(usize, Tails)> = Vec::new();
        let mut open = Class::default();
        let last = self.classes.iter().rposition(|class| class.count > 0).unwrap_or(0);
        let mut rest: usize = points;
        for (index, class) in self.classes.into_iter().enumerate() {
            rest -= class.count;
            open.join(class);
            // What is left must be enough for a class of its own.
            if (open.count >= ENOUGH && rest >= ENOUGH) || index == last {
                tails.push((index, std::mem::take(&mut open).finish(index >= SMOOTH)));
            }
            if index == last {
                break;
            }
        }
        PanelTails { compound: self.compound, tails, points }
    }
}

impl Class {
    fn join(&mut self, other: Class) {
        self.count += other.count;
        other.high.0.into_iter().for_each(|value| self.high.add(value));
        other.low.0.into_iter().for_each(|value| self.low.add(value));
    }

    fn finish(self, smooth: bool) -> Tails {
        let count = self.count;
        let tail = |largest: Largest| {
            let wanted = ((count as f64 * TAIL) as usize).clamp(100, KEPT - 1).min(count / 8);
            let largest = largest.finish(wanted + 1);
            ParetoTail::fit(&largest, count, smooth)
        };
        Tails { high: tail(self.high), low: tail(self.low) }
    }
}

impl Largest {
    fn add(&mut self, value: f64) {
        self.0.push(value);
        if self.0.len() >= 2 * KEPT {
            self.0.select_nth_unstable_by(KEPT, |a, b| b.total_cmp(a));
            self.0.truncate(KEPT);
        }
    }

    fn finish(mut self, count: usize) -> Vec<f64> {
        self.0.sort_unstable_by(|a, b| b.total_cmp(a));
        self.0.truncate(count);
        self.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Tails {
    high: Option<ParetoTail>,
    low: Option<ParetoTail>,
}

/// How probable surprises are in a panel.
#[derive(Debug, Clone)]
pub struct PanelTails {
    compound: Compound,
    /// Upper class and tails.
    tails: Vec<(usize, Tails)>,
    /// Number of days.
    points: usize,
}

impl PanelTails {
    /// Number of days that the tails come from.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points
    }

    /// Probability that an ordinary day with this mean is at least as far out on the same side as `value`.
    #[must_use]
    pub fn probability(&self, mean: f64, unit: f64, value: f64) -> f64 {
        let surprise = surprise(&self.compound, mean / unit, value / unit);
        let chance = (-surprise).exp();
        match self.tail(mean, unit, value > mean) {
            // Sales never stray less than chance makes them.
            Some(tail) if surprise > tail.threshold => tail.probability(surprise).max(chance),
            Some(tail) => chance.max(tail.above),
            None => chance,
        }
    }

    /// The values that are reached with these probabilities on the low and on the high side; 0 is the least.
    pub(super) fn bounds(&self, mean: f64, unit: f64, (low, high): (f64, f64)) -> (f64, f64) {
        let raw = |high, probability| match self.tail(mean, unit, high) {
            Some(tail) if probability < tail.above => (-tail.quantile(probability)).exp().min(probability),
            _ => probability,
        };
        let (low, high) = self.compound.limits(mean / unit, raw(false, low), raw(true, high));
        ((low * unit).max(0.0), high * unit)
    }

    fn tail(&self, mean: f64, unit: f64, high: bool) -> Option<ParetoTail> {
        let class = class(mean / unit);
        let (_, tails) = self.tails.iter().find(|(upper, _)| class <= *upper).or(self.tails.last())?;
        if high { tails.high } else { tails.low }
    }
}

fn surprise(compound: &Compound, mean: f64, value: f64) -> f64 {
    -compound.tail(mean, value).max(LEAST).ln()
}

fn class(sales: f64) -> usize {
    (sales.max(1e-300).log2() + 12.0).clamp(0.0, (CLASSES - 1) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn false_alarms_are_as_many_as_said() {
        // Numbers around 1,000 that stray much further than sales would.
        let mut random = Random::new(5, 5);
        let mut draw = || 1_000.0 * (0.4 * ((0..12).map(|_| random.unit()).sum::<f64>() - 6.0)).exp();
        let values: Vec<f64> = (0..50_000).map(|_| draw()).collect();
        let mut panel = PanelSurprises::new(&SaleSizes::default());
        values.iter().for_each(|value| panel.add(1_000.0, 1.0, *value));
        let tails = panel.finish();
        assert_eq!(tails.points(), 50_000);
        for probability in [1e-2, 1e-3] {
            let is_out =
                |value: &&f64| **value > 1_000.0 && tails.probability(1_000.0, 1.0, **value) < probability;
            let share = values.iter().filter(is_out).count() as f64 / 50_000.0;
            assert!((share / probability - 1.0).abs() < 0.5, "{probability}: {share}");
        }
    }
}
