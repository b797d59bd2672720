//! First centroids.

use crate::points::{Points, squared_distance};
use crate::random::Random;

/// `k` rows that are far from each other, as row-major centroids; fewer where there are fewer distinct rows.
///
/// Greedy k-means++: Arthur & Vassilvitskii (2007), "k-means++: the advantages of careful seeding", *SODA*: each next
/// centroid is a row drawn with probability proportional to its squared distance to the nearest centroid so far; of
/// 2 + ln k drawn rows the one that lowers the sum of squares most is taken. Time O(rows · k · ln k · columns), memory
/// 16 bytes a row.
pub(crate) fn plus_plus(points: Points, k: usize, random: &mut Random) -> Vec<f64> {
    let rows = points.rows();
    let trials = 2 + (k as f64).ln() as usize;
    let mut centroids = Vec::with_capacity(k * points.columns());
    let first = points.row(random.below(rows));
    centroids.extend_from_slice(first);
    let mut nearest: Vec<f64> = (0..rows).map(|row| squared_distance(points.row(row), first)).collect();
    let mut total: f64 = nearest.iter().sum();
    let mut candidate = vec![0.0; rows];
    let mut best = vec![0.0; rows];
    while centroids.len() < k * points.columns() && total > 0.0 {
        let mut chosen: Option<(usize, f64)> = None;
        for _ in 0..trials {
            let row = draw(&nearest, total * random.unit());
            let centre = points.row(row);
            let mut sum = 0.0;
            for (index, (new, old)) in candidate.iter_mut().zip(&nearest).enumerate() {
                *new = squared_distance(points.row(index), centre).min(*old);
                sum += *new;
            }
            if chosen.is_none_or(|(_, least)| sum < least) {
                chosen = Some((row, sum));
                std::mem::swap(&mut candidate, &mut best);
            }
        }
        let Some((row, sum)) = chosen else { break };
        centroids.extend_from_slice(points.row(row));
        std::mem::swap(&mut nearest, &mut best);
        total = sum;
    }
    centroids
}

/// The row at which the running sum of weights passes `target`; never one of weight 0 as long as another weight is
/// positive.
fn draw(weights: &[f64], target: f64) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (row, weight) in weights.iter().enumerate() {
        if *weight > 0.0 {
            sum += weight;
            last = row;
            if sum > target {
                return row;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_groups_get_a_centroid_each() {
        let values: Vec<f64> =
            (0..300).map(|row| f64::from(row % 3) * 100.0 + f64::from(row) / 1000.0).collect();
        for seed in 0..20 {
            let mut centroids =
                plus_plus(Points::new(&values, 1).unwrap(), 3, &mut Random::new(seed, 0)).to_vec();
            centroids.sort_by(f64::total_cmp);
            assert!(centroids[0] < 1.0 && (centroids[1] - 100.0).abs() < 1.0 && centroids[2] > 199.0);
        }
    }

    #[test]
    fn equal_rows_give_one_centroid() {
        assert_eq!(plus_plus(Points::new(&[5.0; 8], 2).unwrap(), 3, &mut Random::new(1, 0)), [5.0, 5.0]);
    }
}
