//! Where a series changes its level or its spread for good.

/// What is taken to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The mean, under a spread that stays.
    Mean,
    /// Mean and spread.
    MeanAndVariance,
}

/// A stretch between two changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Position of its first value.
    pub start: usize,
    /// Position after its last value.
    pub end: usize,
    /// Mean of its values.
    pub mean: f64,
    /// Their standard deviation (divisor n).
    pub deviation: f64,
    /// By how much the cost falls when this segment is not joined with the one before, beyond the penalty; 0 for the
    /// first. The larger, the surer.
    pub gain: f64,
}

/// Points that are looked at: the latest ones. Memory is 40 bytes a point.
const LIMIT: usize = 100_000;
/// Candidates kept at most: it bounds the work to so many operations a point where nothing prunes them.
const CANDIDATES: usize = 400;

/// Segments of a series by optimal partitioning with pruning and a BIC penalty.
///
/// Killick, Fearnhead & Eckley (2012), "Optimal detection of changepoints with a linear computational cost", *Journal of
/// the American Statistical Association* 107 (PELT). The cost of a segment is −2 × its normal log-likelihood; each
/// change costs `penalty` × ln n a parameter (1 is BIC's, for the change's place and what changes). The spread under
/// [`Change::Mean`] is estimated from the differences of neighbours, so that the changes don't inflate it.
///
/// * `values`: one a step, oldest first; only the last 100,000 are looked at, and positions count from the first of all.
/// * `shortest`: least length of a segment, at least 2.
///
/// Returns one segment for a series without change and none for one that is empty or has a value that is not finite. At
/// most 400 candidate beginnings are kept at a time (the best ones), beyond which the result may not be the optimum.
pub fn changepoints(values: &[f64], change: Change, shortest: usize, penalty: f64) -> Vec<Segment> {
    let skipped = values.len().saturating_sub(LIMIT);
    let values = &values[skipped..];
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let shortest = shortest.clamp(2, values.len().max(2));
    let cost = Cost::new(values, change);
    let parameters = if change == Change::Mean { 2.0 } else { 3.0 };
    let penalty = penalty.max(0.0) * parameters * (values.len() as f64).ln();

    // best[end] is the least cost of the first `end` values, from[end] where the last segment of that begins.
    let mut best = vec![f64::INFINITY; values.len() + 1];
    let mut from = vec![0_usize; values.len() + 1];
    best[0] = -penalty;
    let mut candidates: Vec<usize> = vec![0];
    let mut totals: Vec<f64> = Vec::new();
    for end in shortest..=values.len() {
        if end >= 2 * shortest {
            candidates.push(end - shortest);
        }
        totals.clear();
        totals.extend(candidates.iter().map(|start| best[*start] + cost.of(*start, end)));
        for (start, total) in candidates.iter().zip(&totals) {
            if total + penalty < best[end] {
                (best[end], from[end]) = (total + penalty, *start);
            }
        }
        // A beginning that is no better without the penalty never becomes the best.
        let bound = best[end];
        let mut kept = totals.iter().map(|total| *total <= bound);
        candidates.retain(|_| kept.next().unwrap_or(false));
        if candidates.len() > CANDIDATES {
            totals.retain(|total| *total <= bound);
            let mut sorted = totals.clone();
            let (_, limit, _) = sorted.select_nth_unstable_by(CANDIDATES / 2, f64::total_cmp);
            let mut kept = totals.iter().map(|total| *total <= *limit);
            candidates.retain(|_| kept.next().unwrap_or(false));
        }
    }

    let mut segments = Vec::new();
    let mut end = values.len();
    while end > 0 {
        let start = if best[end].is_finite() { from[end] } else { 0 };
        segments.push(cost.segment(start, end));
        end = start;
    }
    segments.reverse();
    for index in 1..segments.len() {
        let (before, after) = (segments[index - 1], segments[index]);
        let apart = cost.of(before.start, before.end) + cost.of(after.start, after.end);
        segments[index].gain = (cost.of(before.start, after.end) - apart - penalty).max(0.0);
    }
    for segment in &mut segments {
        segment.start += skipped;
        segment.end += skipped;
    }
    segments
}

/// Costs of segments from running sums.
#[derive(Debug)]
struct Cost {
    change: Change,
    /// Sums of the first n values, centred and scaled, and of their squares.
    sums: Vec<(f64, f64)>,
    centre: f64,
    scale: f64,
    /// Variance within segments: that under `Change::Mean`, else the least that is believed.
    variance: f64,
}

impl Cost {
    fn new(values: &[f64], change: Change) -> Cost {
        let centre = values.iter().map(|value| value / values.len() as f64).sum::<f64>();
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max((value - centre).abs()));
        let scale = if largest > 0.0 && largest.is_finite() { largest } else { 1.0 };
        let scaled: Vec<f64> =
            values.iter().map(|value| ((value - centre) / scale).clamp(-1.0, 1.0)).collect();
        let mut sums = vec![(0.0, 0.0)];
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in &scaled {
            sum += value;
            squares += value * value;
            sums.push((sum, squares));
        }
        // Differences of neighbours have twice the variance, 1.4826 × their median magnitude is their deviation. Of
        // counts more than half may be zero: then their mean square.
        let mut steps: Vec<f64> = scaled.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        let mean = steps.iter().map(|step| step * step).sum::<f64>() / steps.len().max(1) as f64;
        let median = crate::quantile::sample(&mut steps, 0.5);
        let robust = (1.4826 * median).powi(2) / 2.0;
        let variance = match change {
            Change::Mean if robust > 0.0 => robust,
            Change::Mean => (mean / 2.0).max(1e-12),
            Change::MeanAndVariance => (1e-4 * mean).max(1e-12),
        };
        Cost { change, sums, centre, scale, variance }
    }

    /// −2 × log-likelihood of the values from `start` up to `end`, up to what does not depend on the segments.
    fn of(&self, start: usize, end: usize) -> f64 {
        let (count, squares) = self.squares(start, end);
        match self.change {
            Change::Mean => squares / self.variance,
            Change::MeanAndVariance => count * (squares / count).max(self.variance).ln(),
        }
    }

    /// How many values there are, and their squares about their mean.
    fn squares(&self, start: usize, end: usize) -> (f64, f64) {
        let count = (end - start) as f64;
        let (sum, squares) = (self.sums[end].0 - self.sums[start].0, self.sums[end].1 - self.sums[start].1);
        (count, (squares - sum * sum / count).max(0.0))
    }

    fn segment(&self, start: usize, end: usize) -> Segment {
        let (count, squares) = self.squares(start, end);
        let mean = self.centre + self.scale * (self.sums[end].0 - self.sums[start].0) / count;
        Segment { start, end, mean, deviation: self.scale * (squares / count).sqrt(), gain: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;
    use proptest::prelude::*;

    fn starts(segments: &[Segment]) -> Vec<usize> {
        segments.iter().map(|segment| segment.start).collect()
    }

    fn normal(noise: &mut Noise) -> f64 {
        (0..12).map(|_| noise.uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn two_jumps_of_the_level_are_found() {
        let mut noise = Noise(21);
        let values: Vec<f64> = (0..300)
            .map(|t| {
                normal(&mut noise)
                    + if t < 100 {
                        0.0
                    } else if t < 220 {
                        4.0
                    } else {
                        1.0
                    }
            })
            .collect();
        let segments = changepoints(&values, Change::Mean, 5, 1.0);
        assert_eq!(segments.len(), 3, "{segments:?}");
        let starts = starts(&segments);
        assert!(starts[1].abs_diff(100) <= 2 && starts[2].abs_diff(220) <= 2, "{starts:?}");
        assert!((segments[1].mean - 4.0).abs() < 0.4 && segments[1].gain > 50.0, "{segments:?}");
        assert_eq!(segments[2].end, 300);
    }

    #[test]
    fn a_change_of_spread_is_found() {
        let mut noise = Noise(22);
        let values: Vec<f64> =
            (0..300).map(|t| normal(&mut noise) * if t < 150 { 1.0 } else { 5.0 }).collect();
        let segments = changepoints(&values, Change::MeanAndVariance, 10, 1.0);
        assert_eq!(segments.len(), 2, "{segments:?}");
        assert!(segments[1].start.abs_diff(150) <= 5 && segments[1].deviation > 4.0, "{segments:?}");
    }

    #[test]
    fn noise_and_odd_series_stay_whole() {
        let mut noise = Noise(23);
        let values: Vec<f64> = (0..400).map(|_| normal(&mut noise)).collect();
        for change in [Change::Mean, Change::MeanAndVariance] {
            assert_eq!(starts(&changepoints(&values, change, 7, 1.0)), [0]);
            for odd in [vec![5.0; 30], vec![0.0], vec![1e300, -1e300], vec![1.0, 2.0, 3.0]] {
                assert_eq!(changepoints(&odd, change, 5, 1.0).len(), 1, "{odd:?}");
            }
            assert!(changepoints(&[], change, 5, 1.0).is_empty());
            assert!(changepoints(&[1.0, f64::NAN], change, 5, 1.0).is_empty());
        }
    }

    #[test]
    fn the_partition_is_the_optimal_one() {
        // Against dynamic programming without pruning.
        let mut noise = Noise(24);
        let values: Vec<f64> = (0..120).map(|t| normal(&mut noise) + f64::from(t / 30 % 2) * 3.0).collect();
        let found = changepoints(&values, Change::Mean, 4, 1.0);
        let cost = Cost::new(&values, Change::Mean);
        let penalty = 2.0 * 120_f64.ln();
        let mut best = vec![f64::INFINITY; 121];
        best[0] = -penalty;
        for end in 4..=120 {
            for start in 0..=end - 4 {
                best[end] = f64::min(best[end], best[start] + cost.of(start, end) + penalty);
            }
        }
        let total: f64 = found.iter().map(|segment| cost.of(segment.start, segment.end) + penalty).sum();
        assert!((total - penalty - best[120]).abs() < 1e-6, "{total} {}", best[120]);
    }

    #[test]
    fn long_series_take_linear_work() {
        let mut noise = Noise(25);
        let values: Vec<f64> = (0..60_000).map(|_| normal(&mut noise)).collect();
        assert_eq!(changepoints(&values, Change::Mean, 5, 1.0).len(), 1);
    }

    proptest! {
        #[test]
        fn segments_of_any_series_lie_end_to_end(
            values in prop_oneof![
                prop::collection::vec(any::<f64>(), 0..60),
                prop::collection::vec((0_u8..3).prop_map(f64::from), 0..200),
            ],
            mean in any::<bool>(),
            shortest in 0_usize..30,
        ) {
            let change = if mean { Change::Mean } else { Change::MeanAndVariance };
            let segments = changepoints(&values, change, shortest, 1.0);
            let finite = !values.is_empty() && values.iter().all(|value| value.is_finite());
            prop_assert_eq!(segments.is_empty(), !finite);
            let mut at = 0;
            for segment in &segments {
                prop_assert!(segment.start == at && segment.end > at);
                at = segment.end;
            }
            prop_assert_eq!(at, if finite { values.len() } else { 0 });
        }
    }
}
