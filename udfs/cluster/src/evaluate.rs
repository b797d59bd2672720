//! Compares numbers of clusters, and chooses one.

use crate::agreement::adjusted_rand_index;
use crate::error::ClusterError;
use crate::kmeans::{MOST_CLUSTERS, kmeans};
use crate::lloyd::{Stop, assign, lloyd};
use crate::parallel::{Run, for_each, in_order};
use crate::points::Points;
use crate::random::Random;
use crate::seeding::plus_plus;
use crate::silhouette;
use crate::validity::validity;

/// Rows that a number of clusters is chosen on, at most.
const CHOICE_ROWS: usize = 10_000;

/// Half samples that stability is measured on.
const DRAWS: usize = 6;

/// Rows that the labels of half samples are compared on, at most.
const COMPARED_ROWS: usize = 2_000;

/// A number of clusters counts as stable from this mean agreement on.
const STABLE: f64 = 0.8;

/// Below this mean silhouette there is no substantial structure (Kaufman & Rousseeuw 1990, *Finding Groups in Data*).
pub const WEAK_SILHOUETTE: f64 = 0.25;

/// What one number of clusters is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Number of clusters.
    pub k: usize,
    /// Sum of squared distances to the centroids.
    pub inertia: f64,
    /// Mean silhouette over at most 2,000 sampled rows.
    pub silhouette: f64,
    /// Agreement of clusterings of half samples: mean adjusted Rand index, 1 for the same groups each time. Ben-Hur,
    /// Elisseeff & Guyon (2002), "A stability based method for discovering structure in clustered data", *PSB*.
    pub stability: f64,
    /// Caliński-Harabasz index; larger is better.
    pub calinski_harabasz: f64,
    /// Davies-Bouldin index; smaller is better.
    pub davies_bouldin: f64,
    /// Whether `k => 'auto'` takes this one: the largest silhouette among the stable ones.
    pub chosen: bool,
}

/// Evaluates k-means for every k from `least` to `most` on all rows. Time: one k-means a k.
///
/// # Errors
/// [`ClusterError::ClusterCount`] where the range is empty, begins below 2, or ends above 100 or the number of rows.
pub fn evaluate(
    points: Points,
    least: usize,
    most: usize,
    seed: u64,
    run: Run,
) -> Result<Vec<Evaluation>, ClusterError> {
    let limit = points.rows().min(MOST_CLUSTERS);
    if least < 2 || least > most {
        return Err(ClusterError::ClusterCount { k: least, least: 2, most: limit.min(most) });
    }
    if most > limit {
        return Err(ClusterError::ClusterCount { k: most, least: 2, most: limit });
    }
    let mut evaluations = Vec::with_capacity(most - least + 1);
    for k in least..=most {
        let found = kmeans(points, k, seed, run)?;
        let merit = validity(points, &found.labels);
        evaluations.push(Evaluation {
            k,
            inertia: found.inertia,
            silhouette: silhouette::mean(points, &found.labels, seed, run),
            stability: stability(points, k, seed, run),
            calinski_harabasz: merit.calinski_harabasz,
            davies_bouldin: merit.davies_bouldin,
            chosen: false,
        });
        if found.clusters() < k {
            break; // fewer distinct rows than k: larger ones give the same clusters
        }
    }
    mark(&mut evaluations);
    Ok(evaluations)
}

/// Evaluates as [`evaluate`] does, on a sample of at most 10,000 rows, for the range as far as the rows allow it; empty
/// where there are fewer than two rows.
///
/// # Errors
/// Those of [`evaluate`].
pub fn choose(
    points: Points,
    least: usize,
    most: usize,
    seed: u64,
    run: Run,
) -> Result<Vec<Evaluation>, ClusterError> {
    let rows = Random::new(seed, u64::MAX - 1).sample(points.rows(), CHOICE_ROWS);
    let most = most.min(rows.len());
    if most < least.max(2) {
        return Ok(Vec::new());
    }
    let values = points.gather(&rows);
    evaluate(Points::trusted(&values, points.columns()), least.max(2), most, seed, run)
}

/// Marks the largest silhouette among the stable ones; among all of them where none is stable. Of equal ones the
/// smallest k.
fn mark(evaluations: &mut [Evaluation]) {
    let any_stable = evaluations.iter().any(|one| one.stability >= STABLE);
    let mut chosen: Option<usize> = None;
    for (at, one) in evaluations.iter().enumerate() {
        let eligible = !any_stable || one.stability >= STABLE;
        if eligible && chosen.is_none_or(|best| one.silhouette > evaluations[best].silhouette) {
            chosen = Some(at);
        }
    }
    if let Some(at) = chosen {
        evaluations[at].chosen = true;
    }
}

/// Mean adjusted Rand index of pairs of clusterings, each found on its own half of at most 20,000 rows and carried over
/// to the same sampled rows.
fn stability(points: Points, k: usize, seed: u64, run: Run) -> f64 {
    let compared = Random::new(seed, u64::MAX - 2).sample(points.rows(), COMPARED_ROWS);
    let compared = points.gather(&compared);
    let compared = Points::trusted(&compared, points.columns());
    let half = (points.rows() / 2).clamp(k.min(points.rows()), CHOICE_ROWS.max(k));
    let mut draws: Vec<Vec<u32>> = vec![Vec::new(); DRAWS];
    for_each(run, &mut draws, |draw, labels| {
        let mut random = Random::new(seed, 1_000_000 + draw as u64);
        let rows = random.sample(points.rows(), half);
        let values = points.gather(&rows);
        let half = Points::trusted(&values, points.columns());
        let stop = Stop { iterations: 50, tolerance: 0.0 };
        let mut best: Option<crate::lloyd::Fit> = None;
        for _ in 0..4 {
            let fit = lloyd(half, plus_plus(half, k, &mut random), stop, &in_order);
            if best.as_ref().is_none_or(|best| fit.inertia < best.inertia) {
                best = Some(fit);
            }
        }
        if let Some(best) = best {
            *labels = assign(compared, &best.centroids, &in_order).0.iter().map(|near| near.first).collect();
        }
    });
    let mut sum = 0.0;
    let mut pairs = 0.0;
    for a in 0..DRAWS {
        for b in a + 1..DRAWS {
            sum += adjusted_rand_index(&draws[a], &draws[b]);
            pairs += 1.0;
        }
    }
    sum / pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_groups_are_four() {
        let mut random = Random::new(1, 0);
        let values: Vec<f64> = (0..2_000)
            .flat_map(|row| {
                let group = row % 4;
                let x = f64::from(group % 2) * 6.0 + random.unit() + random.unit();
                [x, f64::from(group / 2) * 6.0 + random.unit() + random.unit()]
            })
            .collect();
        let evaluations = evaluate(Points::new(&values, 2).unwrap(), 2, 8, 7, &in_order).unwrap();
        let chosen: Vec<usize> = evaluations.iter().filter(|one| one.chosen).map(|one| one.k).collect();
        assert_eq!(chosen, [4]);
        assert!(evaluations[2].stability > 0.99 && evaluations[2].silhouette > 0.7, "{:?}", evaluations[2]);
        assert!(evaluations.windows(2).all(|pair| pair[1].inertia < pair[0].inertia));
    }

    #[test]
    fn odd_ranges() {
        let points = Points::new(&[1.0, 2.0, 9.0], 1).unwrap();
        assert!(evaluate(points, 1, 2, 0, &in_order).is_err());
        assert!(evaluate(points, 3, 2, 0, &in_order).is_err());
        assert!(evaluate(points, 2, 4, 0, &in_order).is_err());
        assert_eq!(choose(points, 2, 10, 0, &in_order).unwrap().len(), 2);
        assert!(choose(Points::new(&[1.0], 1).unwrap(), 2, 10, 0, &in_order).unwrap().is_empty());
        let equal = choose(Points::new(&[1.0; 5], 1).unwrap(), 2, 10, 0, &in_order).unwrap();
        assert_eq!((equal.len(), equal[0].inertia), (1, 0.0));
    }
}
