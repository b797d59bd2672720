//! Hierarchical clustering of any number of rows.

use crate::error::ClusterError;
use crate::lloyd::{Stop, lloyd};
use crate::parallel::Run;
use crate::points::Points;
use crate::random::Random;
use crate::seeding::plus_plus;
use crate::ward::{WARD_ROWS, ward};

/// Groups that stand for the rows where there are too many.
pub const GROUPS: usize = 500;

/// Rows that the groups' first means are drawn from, and rows that they are refined on.
const SEED_ROWS: usize = 8_192;
const REFINE_ROWS: usize = 32_768;

/// Labels 0..k from Ward's tree cut at `k`, numbered by their first row.
///
/// Up to 20,000 rows the tree is built over the rows; beyond, over the means of 500 small groups of k-means weighted by
/// their sizes (as in Zhang, Ramakrishnan & Livny 1996, "BIRCH"), and a row gets the label of its group. Memory: 8
/// bytes a value of up to 20,000 rows, or about 50 bytes a row beyond.
///
/// # Errors
/// [`ClusterError::ClusterCount`] where `k` is 0, above 100 or above the number of rows.
pub fn hierarchical(points: Points, k: usize, seed: u64, run: Run) -> Result<Vec<u32>, ClusterError> {
    let most = points.rows().min(crate::kmeans::MOST_CLUSTERS);
    if k == 0 || k > most {
        return Err(ClusterError::ClusterCount { k, least: 1, most });
    }
    if points.rows() <= WARD_ROWS {
        return Ok(ward(points, None)?.cut(k));
    }
    let columns = points.columns();
    let mut random = Random::new(seed, 0);
    let values = points.gather(&random.sample(points.rows(), SEED_ROWS));
    let start = plus_plus(Points::trusted(&values, columns), GROUPS, &mut random);
    let values = points.gather(&random.sample(points.rows(), REFINE_ROWS));
    let refined =
        lloyd(Points::trusted(&values, columns), start, Stop { iterations: 10, tolerance: 0.0 }, run);
    let groups = lloyd(points, refined.centroids, Stop { iterations: 1, tolerance: 0.0 }, run);
    let mut sizes = vec![0.0; groups.centroids.len() / columns];
    groups.nearest.iter().for_each(|near| sizes[near.first as usize] += 1.0);
    // The means have moved a last time, which can leave a group without rows; a weight has to be positive.
    sizes.iter_mut().for_each(|size| *size = f64::max(*size, 1e-9));
    let tree = ward(Points::trusted(&groups.centroids, columns), Some(&sizes))?;
    let of_group = tree.cut(k);
    let labels = groups.nearest.iter().map(|near| of_group[near.first as usize]).collect();
    Ok(renumbered(labels))
}

/// The same groups, numbered from 0 by their first row.
fn renumbered(mut labels: Vec<u32>) -> Vec<u32> {
    let most = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let mut numbers = vec![u32::MAX; most];
    let mut next = 0;
    for label in &mut labels {
        let number = &mut numbers[*label as usize];
        if *number == u32::MAX {
            *number = next;
            next += 1;
        }
        *label = *number;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::adjusted_rand_index;
    use crate::parallel::in_order;

    #[test]
    fn many_rows_give_the_groups_that_few_give() {
        let mut random = Random::new(6, 0);
        let mut values = Vec::new();
        let mut truth = Vec::new();
        for row in 0..30_000u32 {
            let group = row % 5;
            truth.push(group);
            values.push(f64::from(group) * 4.0 + random.unit() + random.unit());
            values.push(f64::from(group % 2) * 4.0 + random.unit() + random.unit());
        }
        let all = hierarchical(Points::new(&values, 2).unwrap(), 5, 1, &in_order).unwrap();
        let few = hierarchical(Points::new(&values[..6_000], 2).unwrap(), 5, 1, &in_order).unwrap();
        assert_eq!(adjusted_rand_index(&all, &truth), 1.0);
        assert_eq!(adjusted_rand_index(&few, &truth[..3_000]), 1.0);
        assert_eq!(all[..5], [0, 1, 2, 3, 4]);
    }

    #[test]
    fn equal_rows_and_bad_counts() {
        let equal = vec![1.0; 25_000];
        assert_eq!(hierarchical(Points::new(&equal, 1).unwrap(), 3, 1, &in_order).unwrap(), vec![0; 25_000]);
        assert!(hierarchical(Points::new(&equal, 1).unwrap(), 0, 1, &in_order).is_err());
        assert!(hierarchical(Points::new(&equal[..2], 1).unwrap(), 3, 1, &in_order).is_err());
    }
}
