//! Figures of merit of a clustering that need the rows, the labels and the means only.

use crate::lloyd::means;
use crate::points::{Points, squared_distance};

/// Figures of merit of a clustering.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validity {
    /// Sum of squared distances of the rows to the means of their clusters.
    pub inertia: f64,
    /// Variance between clusters over variance inside them; larger is better, infinite where all rows lie on their
    /// means. Caliński & Harabasz (1974), "A dendrite method for cluster analysis", *Communications in Statistics* 3.
    pub calinski_harabasz: f64,
    /// Mean over the clusters of the largest ratio of two clusters' spreads to the distance of their means; smaller is
    /// better. Davies & Bouldin (1979), "A cluster separation measure", *IEEE TPAMI* 1.
    pub davies_bouldin: f64,
}

/// Measures labels 0..k. With fewer than two clusters, or as many as rows, both indices are NaN. Time
/// O(rows · columns + k² · columns).
pub fn validity(points: Points, labels: &[u32]) -> Validity {
    let columns = points.columns();
    let k = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let (means, counts) = means(points, labels, k);
    let mut squares = vec![0.0; k];
    let mut distances = vec![0.0; k];
    for (row, label) in labels.iter().enumerate() {
        let label = *label as usize;
        let squared = squared_distance(points.row(row), &means[label * columns..(label + 1) * columns]);
        squares[label] += squared;
        distances[label] += squared.sqrt();
    }
    let inertia: f64 = squares.iter().sum();
    let occupied: Vec<usize> = (0..k).filter(|cluster| counts[*cluster] > 0).collect();
    let rows = labels.len();
    if occupied.len() < 2 || occupied.len() >= rows {
        return Validity { inertia, calinski_harabasz: f64::NAN, davies_bouldin: f64::NAN };
    }
    let mean_of = |cluster: usize| &means[cluster * columns..(cluster + 1) * columns];
    let centre = points.mean();
    let between: f64 =
        occupied.iter().map(|at| counts[*at] as f64 * squared_distance(mean_of(*at), &centre)).sum();
    let groups = occupied.len() as f64;
    let calinski_harabasz = (between / (groups - 1.0)) / (inertia / (rows as f64 - groups));
    let spread = |cluster: usize| distances[cluster] / counts[cluster] as f64;
    let worst = |at: usize| {
        let ratios = occupied.iter().filter(|other| **other != at).map(|other| {
            let apart = squared_distance(mean_of(at), mean_of(*other)).sqrt();
            let both = spread(at) + spread(*other);
            if both == 0.0 { 0.0 } else { both / apart }
        });
        ratios.fold(0.0, f64::max)
    };
    let davies_bouldin = occupied.iter().map(|at| worst(*at)).sum::<f64>() / groups;
    Validity { inertia, calinski_harabasz, davies_bouldin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let points = Points::new(&[0.0, 2.0, 10.0, 14.0], 1).unwrap();
        let merit = validity(points, &[0, 0, 1, 1]);
        // means 1 and 12, overall 6.5: between 2·5.5² + 2·5.5² = 121, inside 2 + 8 = 10
        assert_eq!(merit.inertia, 10.0);
        assert!((merit.calinski_harabasz - 121.0 / (10.0 / 2.0)).abs() < 1e-12);
        assert!((merit.davies_bouldin - 3.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn one_cluster_has_no_index() {
        let points = Points::new(&[0.0, 2.0, 10.0], 1).unwrap();
        assert!(validity(points, &[0, 0, 0]).calinski_harabasz.is_nan());
        assert!(validity(points, &[0, 1, 2]).davies_bouldin.is_nan());
    }
}
