//! Clusters as dense regions; rows outside are noise.

use std::collections::VecDeque;

use crate::error::ClusterError;
use crate::neighbours::Neighbours;
use crate::points::Points;
use crate::random::Random;

/// The most rows.
pub const DBSCAN_ROWS: usize = 100_000;

/// Rows that a radius is chosen from.
const SAMPLE_ROWS: usize = 2_000;

/// Labels rows by density; `None` is noise.
///
/// Ester, Kriegel, Sander & Xu (1996), "A density-based algorithm for discovering clusters in large spatial databases
/// with noise", *KDD*. A row with `least` rows within `radius`, itself included, is a core; cores within reach of each
/// other and what they reach are a cluster. Clusters are numbered by their first core; a row on the border of two
/// belongs to the first. Memory O(rows); time O(rows · log rows) for a small radius and O(rows²) for one that spans
/// the data.
///
/// # Errors
/// [`ClusterError::TooManyRows`] above 100,000 rows, [`ClusterError::Parameter`] for a radius that is not positive and
/// finite or `least` of 0.
pub fn dbscan(points: Points, radius: f64, least: usize) -> Result<Vec<Option<u32>>, ClusterError> {
    let rows = points.rows();
    if rows > DBSCAN_ROWS {
        return Err(ClusterError::TooManyRows { method: "dbscan", rows, limit: DBSCAN_ROWS });
    }
    check(radius, least)?;
    let tree = Neighbours::new(points);
    let mut labels: Vec<Option<u32>> = vec![None; rows];
    let mut next = 0;
    let mut found = Vec::new();
    let mut queue = VecDeque::new();
    let mut looked = vec![false; rows];
    for start in 0..rows {
        if labels[start].is_some() || looked[start] {
            continue;
        }
        looked[start] = true;
        tree.within(points.row(start), radius, &mut found);
        if found.len() < least {
            continue;
        }
        labels[start] = Some(next);
        spread(&found, next, &mut labels, &looked, &mut queue);
        while let Some(row) = queue.pop_front() {
            if looked[row] {
                continue;
            }
            looked[row] = true;
            tree.within(points.row(row), radius, &mut found);
            if found.len() >= least {
                spread(&found, next, &mut labels, &looked, &mut queue);
            }
        }
        next += 1;
    }
    Ok(labels)
}

/// Gives unlabelled rows the label and queues those that may be cores. A row known to be no core is not queued again.
fn spread(
    found: &[usize],
    label: u32,
    labels: &mut [Option<u32>],
    looked: &[bool],
    queue: &mut VecDeque<usize>,
) {
    for row in found {
        if labels[*row].is_none() {
            labels[*row] = Some(label);
            if !looked[*row] {
                queue.push_back(*row);
            }
        }
    }
}

pub(crate) fn check(radius: f64, least: usize) -> Result<(), ClusterError> {
    if !(radius > 0.0 && radius.is_finite()) {
        return Err(ClusterError::Parameter { name: "epsilon", expected: "positive", got: radius });
    }
    if least == 0 {
        return Err(ClusterError::Parameter { name: "min_points", expected: "at least 1", got: 0.0 });
    }
    Ok(())
}

/// A radius for data about which nothing is known: the knee of the sorted distances to the `least`-th nearest row, over
/// at most 2,000 sampled rows (the rule of Ester et al. 1996, with the knee as the point farthest below the chord, as
/// in Satopää, Albrecht, Irwin & Raghavan 2011, "Finding a 'kneedle' in a haystack"). Always positive.
pub fn radius(points: Points, least: usize, seed: u64) -> f64 {
    let tree = Neighbours::new(points);
    let rows = Random::new(seed, 0).sample(points.rows(), SAMPLE_ROWS);
    let mut distances: Vec<f64> = rows.iter().map(|row| tree.distance_to(points.row(*row), least)).collect();
    distances.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (distances.first().copied(), distances.last().copied()) else {
        return 1.0;
    };
    let steps = (distances.len() - 1).max(1) as f64;
    let below = |at: usize, distance: f64| first + (last - first) * at as f64 / steps - distance;
    let mut knee = (last, 0.0);
    for (at, distance) in distances.iter().enumerate() {
        if below(at, *distance) > knee.1 {
            knee = (*distance, below(at, *distance));
        }
    }
    let fallback = if last > 0.0 { last } else { 1.0 };
    if knee.0 > 0.0 { knee.0 } else { fallback }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        // scikit-learn 1.9.1 DBSCAN(eps=1.5, min_samples=3): [0 0 0 0 -1 1 1 1 1 -1]
        let values = [0.0, 1.0, 2.0, 3.4, 5.0, 9.0, 9.5, 10.0, 11.0, 30.0];
        let labels = dbscan(Points::new(&values, 1).unwrap(), 1.5, 3).unwrap();
        let expected = [0, 0, 0, 0, -1, 1, 1, 1, 1, -1];
        let labels: Vec<i64> = labels.iter().map(|label| label.map_or(-1, i64::from)).collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn odd_inputs() {
        let equal = Points::new(&[1.0; 64], 2).unwrap();
        assert_eq!(dbscan(equal, radius(equal, 5, 1), 5).unwrap(), [Some(0); 32]);
        assert_eq!(dbscan(Points::new(&[1.0], 1).unwrap(), 1.0, 2).unwrap(), [None]);
        assert!(dbscan(equal, 0.0, 5).is_err() && dbscan(equal, f64::NAN, 5).is_err());
        assert!(dbscan(equal, 1.0, 0).is_err());
        assert!(dbscan(Points::trusted(&vec![0.0; 100_001], 1), 1.0, 5).is_err());
    }
}
