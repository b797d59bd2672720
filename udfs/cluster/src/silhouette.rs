//! How well each row sits in its cluster.
//!
//! Rousseeuw (1987), "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", *Journal
//! of Computational and Applied Mathematics* 20: (b − a) / max(a, b), where a is the mean distance to the other rows of
//! the own cluster and b the smallest mean distance to the rows of another. From -1 (belongs elsewhere) to 1.

use std::fmt;

use crate::parallel::{Run, for_each};
use crate::points::{Points, squared_distance};
use crate::random::Random;

/// Rows up to which silhouettes are exact.
pub const EXACT_ROWS: usize = 10_000;

/// Rows that the mean silhouette of more rows is taken over.
pub const SAMPLE_ROWS: usize = 2_000;

/// How a silhouette was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SilhouetteKind {
    /// From the distances between all rows.
    Exact,
    /// From the distances to the own and the second-nearest centroid (the simplified silhouette of Hruschka, de Castro
    /// & Campello 2004).
    Centroid,
}

impl SilhouetteKind {
    /// `exact` or `centroid`.
    pub fn name(self) -> &'static str {
        match self {
            SilhouetteKind::Exact => "exact",
            SilhouetteKind::Centroid => "centroid",
        }
    }
}

impl fmt::Display for SilhouetteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Exact silhouettes of all rows; 0 for a row that is alone in its cluster, and for all where there is one cluster.
/// Rows labelled `None` (noise) take no part and get `None`. Time O(rows² · columns): callers keep to
/// [`EXACT_ROWS`].
pub fn exact(points: Points, labels: &[Option<u32>], run: Run) -> Vec<Option<f64>> {
    let clusters = labels.iter().flatten().max().map_or(0, |most| *most as usize + 1);
    let mut counts = vec![0usize; clusters];
    labels.iter().flatten().for_each(|label| counts[*label as usize] += 1);
    let occupied = counts.iter().filter(|count| **count > 0).count();
    const ROWS: usize = 256;
    let mut parts: Vec<Vec<Option<f64>>> = vec![Vec::new(); labels.len().div_ceil(ROWS)];
    for_each(run, &mut parts, |part, silhouettes| {
        let mut sums = vec![0.0; clusters];
        for row in part * ROWS..((part + 1) * ROWS).min(labels.len()) {
            let Some(own) = labels[row] else {
                silhouettes.push(None);
                continue;
            };
            sums.fill(0.0);
            for (other, label) in labels.iter().enumerate() {
                if let Some(label) = label {
                    sums[*label as usize] += squared_distance(points.row(row), points.row(other)).sqrt();
                }
            }
            silhouettes.push(Some(if occupied < 2 { 0.0 } else { from_sums(&sums, &counts, own as usize) }));
        }
    });
    parts.into_iter().flatten().collect()
}

fn from_sums(sums: &[f64], counts: &[usize], own: usize) -> f64 {
    if counts[own] < 2 {
        return 0.0;
    }
    let inside = sums[own] / (counts[own] - 1) as f64;
    let outside = (0..sums.len())
        .filter(|cluster| *cluster != own && counts[*cluster] > 0)
        .map(|cluster| sums[cluster] / counts[cluster] as f64)
        .fold(f64::INFINITY, f64::min);
    ratio(inside, outside)
}

/// The silhouette of a distance inside and a distance outside; 0 where both are 0.
pub(crate) fn ratio(inside: f64, outside: f64) -> f64 {
    if outside.is_infinite() {
        return 0.0;
    }
    let larger = inside.max(outside);
    if larger > 0.0 { (outside - inside) / larger } else { 0.0 }
}

/// Mean silhouette over at most 2,000 sampled rows, from distances among them; exact for fewer rows. 0 where the
/// sample has one cluster.
pub fn mean(points: Points, labels: &[u32], seed: u64, run: Run) -> f64 {
    let rows = Random::new(seed, u64::MAX).sample(labels.len(), SAMPLE_ROWS);
    let values = points.gather(&rows);
    let labels: Vec<Option<u32>> = rows.iter().map(|row| Some(labels[*row])).collect();
    let silhouettes = exact(Points::trusted(&values, points.columns()), &labels, run);
    silhouettes.iter().flatten().sum::<f64>() / rows.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::in_order;

    #[test]
    fn agrees_with_scikit_learn() {
        // scikit-learn silhouette_samples; by hand for the first: a = 1, b = mean(10, 12, 9) = 31/3
        let values = [0.0, 1.0, 10.0, 12.0, 9.0];
        let labels = [Some(0), Some(0), Some(1), Some(1), Some(1)];
        let points = Points::new(&values, 1).unwrap();
        let silhouettes = exact(points, &labels, &in_order);
        let expected =
            [1.0 - 3.0 / 31.0, 1.0 - 3.0 / 28.0, 1.0 - 1.5 / 9.5, 1.0 - 2.5 / 11.5, 1.0 - 2.0 / 8.5];
        for (got, expected) in silhouettes.iter().flatten().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        assert!(
            (mean(points, &[0, 0, 1, 1, 1], 1, &in_order) - expected.iter().sum::<f64>() / 5.0).abs() < 1e-12
        );
    }

    #[test]
    fn loners_noise_and_single_clusters() {
        let points = Points::new(&[0.0, 1.0, 5.0, 9.0], 1).unwrap();
        let silhouettes = exact(points, &[Some(0), Some(0), Some(1), None], &in_order);
        assert_eq!((silhouettes[2], silhouettes[3]), (Some(0.0), None));
        assert_eq!(exact(points, &[Some(0); 4], &in_order), [Some(0.0); 4]);
        let equal = Points::new(&[1.0; 4], 1).unwrap();
        assert_eq!(mean(equal, &[0, 0, 1, 1], 1, &in_order), 0.0);
    }
}
