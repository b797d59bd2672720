//! Median and median absolute deviation of a window that moves.

use crate::robust_z::{MAD_TO_SIGMA, MEAN_TO_SIGMA, Spread};

/// The finite values of a window, kept sorted: a step costs a search and a move, a question a search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rolling {
    sorted: Vec<f64>,
}

impl Rolling {
    /// Takes a value in; one that isn't finite is left out.
    pub(crate) fn insert(&mut self, value: f64) {
        if value.is_finite() {
            let place = self.sorted.partition_point(|other| other.total_cmp(&value).is_lt());
            self.sorted.insert(place, value);
        }
    }

    /// Takes a value out that was taken in.
    pub(crate) fn remove(&mut self, value: f64) {
        let place = self.sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        if self.sorted.get(place).is_some_and(|found| found.total_cmp(&value).is_eq()) {
            self.sorted.remove(place);
        }
    }

    /// What [`Spread::of`] says of the values; `None` where there are none.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let count = self.sorted.len();
        let upper = *self.sorted.get(count / 2)?;
        let centre = match count % 2 {
            0 => middle(self.sorted.get(count / 2 - 1).copied().unwrap_or(upper), upper),
            _ => upper,
        };
        let above = self.nearest(centre, count / 2);
        let deviation = match count % 2 {
            0 => middle(self.nearest(centre, count / 2 - 1), above),
            _ => above,
        };
        let mad = MAD_TO_SIGMA * deviation;
        let scale = if mad > 0.0 {
            mad
        } else {
            // More than half lie at the centre and add nothing: only the others are summed.
            let from = self.sorted.partition_point(|value| *value < centre);
            let to = self.sorted.partition_point(|value| *value <= centre);
            let (below, above) = (self.sorted.get(..from), self.sorted.get(to..));
            let others = below.into_iter().chain(above).flatten();
            let sum: f64 = others.map(|value| (value - centre).abs().min(f64::MAX) / count as f64).sum();
            MEAN_TO_SIGMA * sum
        };
        Some(Spread { centre, scale: scale.min(f64::MAX) })
    }

    /// The distance from `centre` that is at place `rank` of all distances, ascending from 0: a search in two sorted lists,
    /// the distances below and above the centre.
    fn nearest(&self, centre: f64, rank: usize) -> f64 {
        let split = self.sorted.partition_point(|value| *value < centre);
        let distance = |value: f64| (value - centre).abs().min(f64::MAX);
        let below = |place: usize| distance(self.sorted[split - 1 - place]);
        let above = |place: usize| distance(self.sorted[split + place]);
        let (lefts, rights) = (split, self.sorted.len() - split);
        // How many of the nearest rank + 1 lie below.
        let (mut low, mut high) = ((rank + 1).saturating_sub(rights), (rank + 1).min(lefts));
        while low < high {
            let from_below = (low + high) / 2;
            // One more from below is right where it is nearer than the last from above.
            if below(from_below) < above(rank - from_below) {
                low = from_below + 1;
            } else {
                high = from_below;
            }
        }
        let last_below = low.checked_sub(1).map(below);
        let last_above = (rank + 1 - low).checked_sub(1).map(above);
        last_below.into_iter().chain(last_above).fold(0.0, f64::max)
    }
}

/// Halfway between two numbers, which may be huge.
fn middle(low: f64, high: f64) -> f64 {
    low / 2.0 + high / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_window_that_moves_is_judged_as_one_that_stands() {
        let mut random = Random::new(7, 0);
        let draw = |step: usize| match step % 5 {
            0 => 3.0,
            1 => f64::NAN,
            _ => (random.unit() * 40.0).floor() - 20.0,
        };
        let values: Vec<f64> = (0..400).map(draw).collect();
        for width in [1, 2, 3, 8, 29] {
            let mut rolling = Rolling::default();
            for at in 0..values.len() {
                rolling.insert(values[at]);
                if at >= width {
                    rolling.remove(values[at - width]);
                }
                let window = &values[(at + 1).saturating_sub(width)..=at];
                let (found, expected) = (rolling.spread(), Spread::of(window));
                assert_eq!(found.map(|s| s.centre), expected.map(|s| s.centre), "{window:?}");
                if let (Some(found), Some(expected)) = (found, expected) {
                    let near = (found.scale - expected.scale).abs() <= 1e-12 * expected.scale.max(1.0);
                    assert!(near, "{window:?}: {found:?} {expected:?}");
                }
            }
        }
    }

    #[test]
    fn huge_values_stay_finite() {
        let mut rolling = Rolling::default();
        [1e308, -1e308, 1e308, 5.0].into_iter().for_each(|value| rolling.insert(value));
        let spread = rolling.spread().unwrap();
        assert!(spread.centre.is_finite() && spread.scale.is_finite());
    }
}
