//! k-means: many starts on a sample, the best ones run to the end on all rows.

use crate::error::ClusterError;
use crate::lloyd::{Fit, Stop, lloyd};
use crate::parallel::{Run, for_each, in_order};
use crate::points::Points;
use crate::random::Random;
use crate::scan::Nearest;
use crate::seeding::plus_plus;
use crate::swap::improve;

/// The most clusters.
pub const MOST_CLUSTERS: usize = 100;

/// Rows of the sample that starts are tried on, at least; 256 a cluster where that is more.
const SAMPLE_ROWS: usize = 8_192;

/// Starts on the sample; more on small samples, up to four times as many.
const STARTS: usize = 8;

/// Row visits that all starts together may use to go beyond eight.
const START_ROWS: usize = 65_536;

/// Solutions of the sample that are run to the end on all rows, at most.
const FINALISTS: usize = 3;

/// A solution of the sample that is worse than the best by more than this share is no finalist.
const FINALIST_MARGIN: f64 = 0.01;

/// Rounds on all rows after which a finalist has to be this close to the best one to go on.
const TRIAL_ROUNDS: usize = 10;
const TRIAL_MARGIN: f64 = 5e-4;

/// The most rounds of one run.
const ITERATIONS: usize = 300;

/// Stops when the squared moves of the centroids add up to less than this share of the mean column variance: a
/// thousandth of a per cent of a standard deviation.
const TOLERANCE: f64 = 1e-10;

/// Rows in `k` groups around their means.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// Row-major, `clusters × columns`. Fewer clusters than asked for where there are fewer distinct rows.
    pub centroids: Vec<f64>,
    /// Number of columns.
    pub columns: usize,
    /// Cluster of each row, from 0.
    pub labels: Vec<u32>,
    /// Second-nearest cluster of each row; the own one where there is no other.
    pub second: Vec<u32>,
    /// Distance of each row to its centroid.
    pub distance: Vec<f64>,
    /// Distance of each row to the second-nearest centroid; infinite where there is none.
    pub second_distance: Vec<f64>,
    /// Sum of squared distances to the centroids.
    pub inertia: f64,
    /// Rounds of the winning run.
    pub iterations: usize,
    /// Whether the winning run stopped by itself.
    pub converged: bool,
}

impl KMeans {
    /// Number of clusters.
    pub fn clusters(&self) -> usize {
        self.centroids.len() / self.columns
    }

    /// The centroid of a cluster.
    pub fn centroid(&self, cluster: usize) -> &[f64] {
        &self.centroids[cluster * self.columns..(cluster + 1) * self.columns]
    }
}

/// Finds `k` clusters with a small sum of squares.
///
/// 8 to 32 starts with greedy k-means++ (Arthur & Vassilvitskii 2007) run on a sample of 8,192 rows (256 a cluster
/// where that is more), and the best three are improved by swaps. Those within 1% of the best go on on all rows by
/// Lloyd's iteration with Hamerly's bounds, and of these the ones within 0.05% of the best after ten rounds run to the
/// end. The same rows, `k` and seed give the same bits whatever `run` does. Memory: the sample, and about 72 bytes a
/// row.
///
/// # Errors
/// [`ClusterError::ClusterCount`] where `k` is 0, above 100 or above the number of rows.
pub fn kmeans(points: Points, k: usize, seed: u64, run: Run) -> Result<KMeans, ClusterError> {
    let most = points.rows().min(MOST_CLUSTERS);
    if k == 0 || k > most {
        return Err(ClusterError::ClusterCount { k, least: 1, most });
    }
    let wanted = SAMPLE_ROWS.max(256 * k);
    if points.rows() <= wanted {
        let fits = sampled(points, k, seed, run);
        return Ok(best(fits, points.columns()));
    }
    let rows = Random::new(seed, 0).sample(points.rows(), wanted);
    let values = points.gather(&rows);
    let mut starts = sampled(Points::trusted(&values, points.columns()), k, seed, run);
    let limit = starts.first().map_or(0.0, |fit| fit.inertia * (1.0 + FINALIST_MARGIN));
    starts.retain(|fit| fit.inertia <= limit);
    let stop = stop(points);
    let trial = Stop { iterations: TRIAL_ROUNDS, ..stop };
    let mut fits: Vec<Fit> =
        starts.into_iter().map(|start| lloyd(points, start.centroids, trial, run)).collect();
    let least = fits.iter().map(|fit| fit.inertia).fold(f64::INFINITY, f64::min);
    fits.retain(|fit| fit.inertia <= least * (1.0 + TRIAL_MARGIN));
    for fit in fits.iter_mut().filter(|fit| !fit.converged) {
        let begun = fit.iterations;
        *fit = lloyd(points, std::mem::take(&mut fit.centroids), stop, run);
        fit.iterations += begun;
    }
    Ok(best(fits, points.columns()))
}

/// The three best distinct solutions of a sample, best first.
fn sampled(points: Points, k: usize, seed: u64, run: Run) -> Vec<Fit> {
    let stop = stop(points);
    let starts = (START_ROWS / points.rows().max(1)).clamp(STARTS, 4 * STARTS);
    let mut fits: Vec<Option<Fit>> = vec![None; starts];
    for_each(run, &mut fits, |start, fit| {
        let mut random = Random::new(seed, 1 + start as u64);
        *fit = Some(lloyd(points, plus_plus(points, k, &mut random), stop, &in_order));
    });
    let mut fits: Vec<Fit> = distinct(fits.into_iter().flatten().collect());
    for_each(run, &mut fits, |_, fit| {
        let start = std::mem::replace(
            fit,
            Fit { centroids: Vec::new(), nearest: Vec::new(), inertia: 0.0, iterations: 0, converged: true },
        );
        *fit = improve(points, start, stop);
    });
    distinct(fits)
}

/// Sorts solutions by their sum of squares and keeps the first three that differ in it.
fn distinct(mut fits: Vec<Fit>) -> Vec<Fit> {
    fits.sort_by(|a, b| a.inertia.total_cmp(&b.inertia));
    fits.dedup_by(|next, kept| next.inertia <= kept.inertia * (1.0 + 1e-6));
    fits.truncate(FINALISTS);
    fits
}

fn stop(points: Points) -> Stop {
    let mean = points.mean();
    let mut squares = 0.0;
    for row in points.values().chunks_exact(points.columns()) {
        squares += crate::points::squared_distance(row, &mean);
    }
    Stop { iterations: ITERATIONS, tolerance: TOLERANCE * squares / points.values().len() as f64 }
}

fn best(fits: Vec<Fit>, columns: usize) -> KMeans {
    let mut best: Option<Fit> = None;
    for fit in fits {
        if best.as_ref().is_none_or(|best| fit.inertia < best.inertia) {
            best = Some(fit);
        }
    }
    let fit = best.unwrap_or(Fit {
        centroids: Vec::new(),
        nearest: Vec::new(),
        inertia: 0.0,
        iterations: 0,
        converged: true,
    });
    let each = |value: fn(&Nearest) -> f64| fit.nearest.iter().map(value).collect();
    KMeans {
        columns,
        labels: fit.nearest.iter().map(|near| near.first).collect(),
        second: fit.nearest.iter().map(|near| near.second).collect(),
        distance: each(|near| near.first_squared.sqrt()),
        second_distance: each(|near| near.second_squared.sqrt()),
        inertia: fit.inertia,
        iterations: fit.iterations,
        converged: fit.converged,
        centroids: fit.centroids,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<f64> {
        let mut random = Random::new(11, 0);
        let mut values = Vec::new();
        for row in 0..4_500 {
            let group = row % 9;
            values.push(f64::from(group % 3) * 10.0 + random.unit());
            values.push(f64::from(group / 3) * 10.0 + random.unit());
        }
        values
    }

    #[test]
    fn nine_squares_are_found_from_every_seed() {
        let values = grid();
        for seed in 0..10 {
            let found = kmeans(Points::new(&values, 2).unwrap(), 9, seed, &in_order).unwrap();
            // Two uniform coordinates of variance 1/12 a row.
            assert!((found.inertia / 4_500.0 - 2.0 / 12.0).abs() < 0.01, "{seed}: {}", found.inertia);
            assert!(found.converged && found.clusters() == 9);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let mut random = Random::new(5, 0);
        let values: Vec<f64> = (0..120_000).map(|_| random.unit() * random.unit()).collect();
        let points = Points::new(&values, 3).unwrap();
        let backwards = |count: usize, job: &(dyn Fn(usize) + Sync)| {
            std::thread::scope(|scope| {
                scope.spawn(|| (0..count).rev().filter(|index| index % 2 == 0).for_each(job));
                (0..count).rev().filter(|index| index % 2 == 1).for_each(job);
            });
        };
        let one = kmeans(points, 7, 42, &in_order).unwrap();
        assert_eq!(one, kmeans(points, 7, 42, &backwards).unwrap());
        assert_ne!(one.labels, kmeans(points, 7, 43, &in_order).unwrap().labels);
    }

    #[test]
    fn odd_requests() {
        let points = Points::new(&[1.0, 1.0, 1.0, 4.0], 1).unwrap();
        assert!(matches!(kmeans(points, 0, 1, &in_order), Err(ClusterError::ClusterCount { k: 0, .. })));
        assert!(matches!(kmeans(points, 5, 1, &in_order), Err(ClusterError::ClusterCount { most: 4, .. })));
        let found = kmeans(points, 3, 1, &in_order).unwrap();
        assert_eq!((found.clusters(), found.inertia), (2, 0.0));
        let one = kmeans(points, 1, 1, &in_order).unwrap();
        assert_eq!((one.second[0], one.second_distance[0]), (0, f64::INFINITY));
    }

    #[test]
    fn large_coordinates_stay_finite() {
        let values: Vec<f64> =
            (0..40).map(|row| if row < 20 { -1e100 } else { 1e100 + f64::from(row) }).collect();
        let found = kmeans(Points::new(&values, 1).unwrap(), 2, 1, &in_order).unwrap();
        assert!(found.inertia.is_finite() && found.labels[0] != found.labels[39]);
    }
}
