//! Orders rows by density, so that clusters of every radius can be read off.
//!
//! Ankerst, Breunig, Kriegel & Sander (1999), "OPTICS: ordering points to identify the clustering structure", *SIGMOD*.

use crate::dbscan::check;
use crate::error::ClusterError;
use crate::neighbours::Neighbours;
use crate::points::{Points, squared_distance};

/// The most rows.
pub const OPTICS_ROWS: usize = 20_000;

/// The rows in the order in which they are reached from dense to sparse.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordering {
    /// Row numbers in that order.
    pub order: Vec<usize>,
    /// Distance at which each row (not place) is reached; infinite for the first.
    pub reachability: Vec<f64>,
    /// Distance of each row to its `least`-th nearest row, itself included; infinite where there are fewer rows.
    pub core_distance: Vec<f64>,
}

/// Orders the rows without a limit on the radius. Memory 24 bytes a row, time O(rows² · columns).
///
/// # Errors
/// [`ClusterError::TooManyRows`] above 20,000 rows, [`ClusterError::Parameter`] for `least` of 0.
pub fn optics(points: Points, least: usize) -> Result<Ordering, ClusterError> {
    let rows = points.rows();
    if rows > OPTICS_ROWS {
        return Err(ClusterError::TooManyRows { method: "optics", rows, limit: OPTICS_ROWS });
    }
    check(1.0, least)?;
    let tree = Neighbours::new(points);
    let core_distance: Vec<f64> = (0..rows)
        .map(|row| if least > rows { f64::INFINITY } else { tree.distance_to(points.row(row), least) })
        .collect();
    let mut reachability = vec![f64::INFINITY; rows];
    let mut order = Vec::with_capacity(rows);
    let mut waiting: Vec<usize> = (0..rows).collect();
    while !waiting.is_empty() {
        let mut next = 0;
        for (place, row) in waiting.iter().enumerate() {
            if reachability[*row] < reachability[waiting[next]] {
                next = place;
            }
        }
        // Keeps ascending order, so that the first of equally reachable rows is taken.
        let row = waiting.remove(next);
        order.push(row);
        if core_distance[row].is_infinite() {
            continue;
        }
        for other in &waiting {
            let distance =
                squared_distance(points.row(row), points.row(*other)).sqrt().max(core_distance[row]);
            if distance < reachability[*other] {
                reachability[*other] = distance;
            }
        }
    }
    Ok(Ordering { order, reachability, core_distance })
}

impl Ordering {
    /// The clusters that DBSCAN would find at a radius, up to rows on a border; `None` is noise.
    pub fn at(&self, radius: f64) -> Vec<Option<u32>> {
        let mut labels = vec![None; self.order.len()];
        let mut next = 0;
        let mut current = None;
        for row in &self.order {
            if self.reachability[*row] > radius {
                current = None;
                if self.core_distance[*row] <= radius {
                    current = Some(next);
                    next += 1;
                }
            }
            labels[*row] = current;
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        // scikit-learn 1.9.1 OPTICS(min_samples=3)
        let values = [0.0, 1.0, 2.0, 3.4, 5.0, 9.0, 9.5, 10.0, 11.0, 30.0];
        let ordering = optics(Points::new(&values, 1).unwrap(), 3).unwrap();
        assert_eq!(ordering.order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let cores = [2.0, 1.0, 1.4, 1.6, 3.0, 1.0, 0.5, 1.0, 1.5, 20.0];
        for (got, expected) in ordering.core_distance.iter().zip(cores) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        let reached = [2.0, 1.0, 1.4, 1.6, 4.0, 1.0, 0.5, 1.0, 19.0];
        for (got, expected) in ordering.reachability[1..].iter().zip(reached) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
        assert_eq!(ordering.at(1.5)[5..9], [Some(1); 4]);
    }

    #[test]
    fn odd_inputs() {
        let one = optics(Points::new(&[1.0], 1).unwrap(), 3).unwrap();
        assert_eq!((one.order.len(), one.at(5.0)), (1, vec![None]));
        assert!(optics(Points::new(&[1.0], 1).unwrap(), 0).is_err());
        assert_eq!(optics(Points::new(&[1.0; 40], 1).unwrap(), 3).unwrap().at(0.5), [Some(0); 40]);
    }
}
