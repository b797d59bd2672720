//! Bounds around forecasts from errors of the whole panel: conformal prediction, pooled by level.
//!
//! Vovk, Gammerman & Shafer (2005), *Algorithmic Learning in a Random World*, ch. 4 (split conformal); the bins are the
//! taxonomy of their Mondrian form. An error is divided by the deviation that is expected at its level and by how
//! unsteady the series has been (Papadopoulos et al. 2008, normalised scores), as far as that measures better.

use smartsneaks_table_function::{Run, for_each};

use crate::forecast::Point;

use super::draw;
use super::profile::variance;

/// Errors a bin should have, and bins at most.
const BIN: usize = 400;
const BINS: usize = 16;
/// Quantiles that are kept, at even steps of the logit of their probability up to this.
const GRID: usize = 121;
const REACH: f64 = 7.0;
/// Powers of the unsteadiness that are tried.
const POWERS: [f64; 3] = [0.0, 0.5, 1.0];
/// The part of a lower tail that can't be missed, because nothing falls below 0, that is given to the upper one. All of
/// it would bring coverage nearest to the level, none the interval score to its least.
const SHIFTED: f64 = 0.75;
/// Parts of the horizon in which the growth of errors is measured.
const PARTS: usize = 4;

/// One held-out forecast and what came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Position of the series; halves are split by it.
    pub(crate) series: usize,
    pub(crate) step: usize,
    pub(crate) mean: f64,
    pub(crate) actual: f64,
    /// How unsteady the series is, 1 in the usual case.
    pub(crate) spread: f64,
    pub(crate) whole: bool,
}

/// Quantiles of scaled errors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    pub(crate) power: f64,
    pub(crate) horizon: usize,
    /// Growth by part of the horizon.
    pub(crate) growth: [f64; PARTS],
    /// Logarithm of the typical mean of each bin, ascending, and the quantiles of its errors.
    pub(crate) bins: Vec<(f64, Vec<f32>)>,
}

impl Band {
    /// The band of the power that scores best on halves of the series that it was not made from.
    pub(crate) fn new(outcomes: &[Outcome], horizon: usize, run: Run<'_>) -> Band {
        let mut tried = POWERS.map(|power| (power, f64::INFINITY));
        for_each(run, &mut tried, |_, (power, score)| {
            *score = crossed(outcomes, horizon, *power, run);
        });
        let mut best: Option<(f64, f64)> = None;
        for (power, score) in tried {
            if best.is_none_or(|(least, _)| score < 0.998 * least) {
                best = Some((score, power));
            }
        }
        Band::with(outcomes, horizon, best.map_or(0.0, |(_, power)| power))
    }

    fn with(outcomes: &[Outcome], horizon: usize, power: f64) -> Band {
        let mut band = Band { power, horizon, growth: [1.0; PARTS], bins: Vec::new() };
        band.growth = band.measured(outcomes);
        let mut scored: Vec<(f64, u64, f64)> = outcomes
            .iter()
            .map(|one| {
                let error = (one.actual - one.mean) / band.scale(one);
                (one.mean.max(1e-6), draw::hash(0, one.series as u64, one.step as u64), error)
            })
            .collect();
        // Equal means fall into bins by draw: by error they would part the large from the small.
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let bins = (scored.len() / BIN).clamp(1, BINS);
        for bin in 0..bins {
            let members = &scored[bin * scored.len() / bins..(bin + 1) * scored.len() / bins];
            if members.is_empty() {
                break;
            }
            let centre = members[members.len() / 2].0.ln();
            let mut errors: Vec<f64> = members.iter().map(|member| member.2).collect();
            errors.sort_by(f64::total_cmp);
            let quantiles = (0..GRID).map(|at| quantile(&errors, probability(at)) as f32).collect();
            band.bins.push((centre, quantiles));
        }
        band
    }

    /// Mean size of scaled errors by part of the horizon, over that of all.
    fn measured(&self, outcomes: &[Outcome]) -> [f64; PARTS] {
        let mut sums = [(0.0, 0.0); PARTS];
        for one in outcomes {
            let (sum, count) = &mut sums[self.part(one.step)];
            *sum += (one.actual - one.mean).abs() / self.scale(one);
            *count += 1.0;
        }
        let total = sums.iter().fold((0.0, 0.0), |total, part| (total.0 + part.0, total.1 + part.1));
        sums.map(|(sum, count)| {
            let ratio: f64 = (sum / count) / (total.0 / total.1);
            if ratio.is_finite() && count > 100.0 { ratio.clamp(0.5, 2.0) } else { 1.0 }
        })
    }

    fn part(&self, step: usize) -> usize {
        (step * PARTS / self.horizon.max(1)).min(PARTS - 1)
    }

    fn scale(&self, one: &Outcome) -> f64 {
        let deviation = variance(one.mean.max(1e-6)).sqrt();
        deviation * one.spread.powf(self.power) * self.growth[self.part(one.step)]
    }

    /// Bounds that hold with probability `level`; `one.actual` is not looked at.
    pub(crate) fn point(&self, one: &Outcome, level: f64) -> Point {
        let tail = (1.0 - level) / 2.0;
        let scale = self.scale(one);
        let bound = |probability: f64| {
            let bound = (one.mean + self.error(one.mean, probability) * scale).max(0.0);
            if one.whole { bound.round() } else { bound }
        };
        let value = one.mean.max(0.0);
        let lower = bound(tail);
        let above = if lower <= 0.0 { tail * (1.0 + SHIFTED) } else { tail };
        Point { value, lower: lower.min(value) + 0.0, upper: bound(1.0 - above).max(value) }
    }

    /// Quantile of scaled errors at a mean, between those of the two nearest bins.
    fn error(&self, mean: f64, probability: f64) -> f64 {
        let at = mean.max(1e-6).ln();
        let above = self.bins.partition_point(|bin| bin.0 < at);
        let of = |bin: usize| between(&self.bins[bin].1, probability);
        if self.bins.is_empty() {
            return 0.0;
        }
        if above == 0 {
            return of(0);
        }
        if above == self.bins.len() {
            return of(above - 1);
        }
        let (low, high) = (self.bins[above - 1].0, self.bins[above].0);
        let part = (at - low) / (high - low).max(1e-12);
        (1.0 - part) * of(above - 1) + part * of(above)
    }
}

/// Mean interval score (Gneiting & Raftery 2007, "Strictly proper scoring rules", *JASA* 102, §6.2) at 95%, of each half
/// of the series under the band of the other.
pub(crate) fn crossed(outcomes: &[Outcome], horizon: usize, power: f64, run: Run<'_>) -> f64 {
    let (even, odd): (Vec<Outcome>, Vec<Outcome>) =
        outcomes.iter().partition(|one| one.series.is_multiple_of(2));
    let mut halves = [(&even, &odd, 0.0), (&odd, &even, 0.0)];
    for_each(run, &mut halves, |_, (from, on, sum)| {
        let band = Band::with(if from.is_empty() { on } else { from }, horizon, power);
        *sum = on.iter().map(|one| interval_score(&band.point(one, 0.95), one.actual, 0.95)).sum::<f64>();
    });
    halves.map(|(_, _, sum)| sum).iter().sum::<f64>() / outcomes.len().max(1) as f64
}

/// The score of one interval: its width, and for a miss the distance times 2 / (1 − level).
pub(crate) fn interval_score(point: &Point, actual: f64, level: f64) -> f64 {
    let miss = (point.lower - actual).max(0.0) + (actual - point.upper).max(0.0);
    point.upper - point.lower + 2.0 / (1.0 - level) * miss
}

/// Probability of a place of the grid.
fn probability(at: usize) -> f64 {
    let logit = REACH * (2.0 * at as f64 / (GRID - 1) as f64 - 1.0);
    1.0 / (1.0 + (-logit).exp())
}

/// Quantile between those of the grid.
fn between(quantiles: &[f32], probability: f64) -> f64 {
    let logit = (probability / (1.0 - probability)).ln().clamp(-REACH, REACH);
    let position = (logit / REACH + 1.0) / 2.0 * (GRID - 1) as f64;
    let below = (position.floor() as usize).min(GRID - 2);
    let part = position - below as f64;
    let at = |place: usize| quantiles.get(place).copied().map_or(0.0, f64::from);
    (1.0 - part) * at(below) + part * at(below + 1)
}

/// Quantile of a sorted sample at p (N + 1), as conformal prediction asks (type 6 of Hyndman & Fan 1996).
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let position = (probability * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, (sorted.len() - 1) as f64);
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;
    use smartsneaks_table_function::in_order;

    fn outcomes(seed: u64, wild: f64) -> Vec<Outcome> {
        let mut noise = Noise(seed);
        (0..20_000)
            .map(|at| {
                let mean = [0.3, 1.0, 4.0, 12.0][at % 4];
                let spread = if at % 8 < 4 { 1.0 } else { wild };
                let actual =
                    if spread > 1.0 { spread * noise.poisson(mean / spread) } else { noise.poisson(mean) };
                Outcome { series: at / 28, step: at % 28, mean, actual, spread, whole: true }
            })
            .collect()
    }

    #[test]
    fn bounds_hold_as_often_as_they_say() {
        for wild in [1.0, 4.0] {
            let band = Band::new(&outcomes(1, wild), 28, &in_order);
            assert_eq!(band.power > 0.0, wild > 1.0);
            for level in [0.5, 0.8, 0.95, 0.99] {
                let fresh = outcomes(99, wild);
                let inside = |one: &&Outcome| {
                    let point = band.point(one, level);
                    assert!(0.0 <= point.lower && point.lower <= point.value && point.value <= point.upper);
                    (point.lower..=point.upper).contains(&one.actual)
                };
                let covered = fresh.iter().filter(inside).count() as f64 / fresh.len() as f64;
                // Counts of few pieces lie on a few values: a narrow interval gains or loses one as a whole.
                let (slack, excess) = if level < 0.9 { (0.16, 0.5) } else { (0.02, 0.04) };
                assert!(covered > level - slack && covered < level + excess, "{level}: {covered}");
            }
        }
    }

    #[test]
    fn a_higher_level_is_no_narrower_and_nothing_is_sound() {
        let band = Band::new(&outcomes(1, 1.0), 28, &in_order);
        let one = Outcome { series: 0, step: 3, mean: 2.5, actual: 0.0, spread: 1.0, whole: false };
        let widths: Vec<f64> = [0.1, 0.5, 0.9, 0.95, 0.999, 0.999_999]
            .map(|level| band.point(&one, level))
            .map(|point| point.upper - point.lower)
            .to_vec();
        assert!(widths.is_sorted(), "{widths:?}");
        let none = Band::new(&[], 28, &in_order).point(&one, 0.9);
        assert_eq!((none.lower, none.upper), (2.5, 2.5));
    }

    #[test]
    fn a_miss_costs_its_distance() {
        let point = Point { value: 2.0, lower: 1.0, upper: 4.0 };
        assert!((interval_score(&point, 5.0, 0.95) - 43.0).abs() < 1e-9);
        assert_eq!(interval_score(&point, 3.0, 0.95), 3.0);
    }
}
