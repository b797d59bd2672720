//! Hierarchical clustering by Ward's criterion.
//!
//! Ward (1963), "Hierarchical grouping to optimize an objective function", *JASA* 58, in the form Ward.D2 of Murtagh &
//! Legendre (2014), *Journal of Classification* 31: the height of a merge is √(2·nₐ·n_b / (nₐ + n_b)) times the
//! distance of the means, which is the distance itself for two single rows. Found by the nearest-neighbour chain of
//! Murtagh (1983), "A survey of recent advances in hierarchical clustering algorithms", *The Computer Journal* 26.

use crate::error::ClusterError;
use crate::points::Points;

/// Rows up to which the tree is built over the rows themselves.
pub const WARD_ROWS: usize = 20_000;

/// One merge of two clusters. Clusters 0..n are the rows, n + i is what merge i made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merge {
    /// The cluster with the smaller number.
    pub left: usize,
    /// The other one.
    pub right: usize,
    /// Ward's distance at which they merge.
    pub height: f64,
    /// Weight of the rows in the new cluster.
    pub size: f64,
}

/// The tree of all merges, lowest first: `rows - 1` of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dendrogram {
    /// Number of rows.
    pub rows: usize,
    /// Merges by height.
    pub merges: Vec<Merge>,
}

/// Builds the tree of rows of weight 1, or of the weights given (rows that stand for several others).
///
/// Means are kept instead of a distance matrix, so memory is O(rows · columns), 8 bytes a value, and time
/// O(rows² · columns).
///
/// # Errors
/// [`ClusterError::TooManyRows`] above 20,000 rows, [`ClusterError::Shape`] for a wrong number of weights,
/// [`ClusterError::Parameter`] for a weight that is not positive.
pub fn ward(points: Points, weights: Option<&[f64]>) -> Result<Dendrogram, ClusterError> {
    let rows = points.rows();
    if rows > WARD_ROWS {
        return Err(ClusterError::TooManyRows { method: "hierarchical", rows, limit: WARD_ROWS });
    }
    if let Some(weights) = weights {
        if weights.len() != rows {
            return Err(ClusterError::Shape { expected: rows, got: weights.len() });
        }
        if let Some(bad) = weights.iter().find(|weight| !(**weight > 0.0 && weight.is_finite())) {
            return Err(ClusterError::Parameter { name: "weight", expected: "positive", got: *bad });
        }
    }
    let mut active = Active::new(points, weights);
    let mut raw = Vec::with_capacity(rows.saturating_sub(1));
    let mut chain: Vec<usize> = Vec::new();
    while active.ids.len() > 1 {
        // The chain holds cluster numbers; `place` says where in the arrays a cluster is now.
        let tip = match chain.last() {
            Some(tip) => *tip,
            None => {
                let first = active.ids.iter().copied().min().unwrap_or(0);
                chain.push(first);
                first
            }
        };
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let (next, squared) = active.nearest(tip, before);
        if Some(next) == before {
            chain.truncate(chain.len() - 2);
            raw.push((tip.min(next), tip.max(next), squared.sqrt()));
            active.merge(tip, next);
        } else if let Some(at) = chain.iter().position(|cluster| *cluster == next) {
            // Rounding alone can lead back into the chain: go on from there.
            chain.truncate(at + 1);
        } else {
            chain.push(next);
        }
    }
    Ok(Dendrogram { rows, merges: ordered(rows, raw, weights) })
}

impl Dendrogram {
    /// Labels 0..k of the rows after undoing the last `k - 1` merges, numbered by their first row; every row its own
    /// for `k` at or above the number of rows, all in one for 0 or 1.
    pub fn cut(&self, k: usize) -> Vec<u32> {
        let merged = self.rows.saturating_sub(k.max(1));
        let mut parent: Vec<usize> = (0..self.rows + merged).collect();
        for (at, merge) in self.merges.iter().take(merged).enumerate() {
            parent[merge.left] = self.rows + at;
            parent[merge.right] = self.rows + at;
        }
        // A parent always has a larger number than its children.
        for cluster in (0..parent.len()).rev() {
            parent[cluster] = parent[parent[cluster]];
        }
        let mut label_of = vec![u32::MAX; parent.len()];
        let mut labels = Vec::with_capacity(self.rows);
        let mut next = 0;
        for root in &parent[..self.rows] {
            if label_of[*root] == u32::MAX {
                label_of[*root] = next;
                next += 1;
            }
            labels.push(label_of[*root]);
        }
        labels
    }
}

/// The clusters that are not merged yet: means column by column, so that the search for the nearest runs over rows.
#[derive(Debug)]
struct Active {
    columns: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// Cluster of each place; a cluster keeps the smaller number of the two it was merged from.
    ids: Vec<usize>,
    place: Vec<usize>,
    room: Vec<f64>,
}

impl Active {
    fn new(points: Points, weights: Option<&[f64]>) -> Self {
        let rows = points.rows();
        let columns = (0..points.columns())
            .map(|column| (0..rows).map(|row| points.row(row)[column]).collect())
            .collect();
        Active {
            columns,
            weights: weights.map_or_else(|| vec![1.0; rows], <[f64]>::to_vec),
            ids: (0..rows).collect(),
            place: (0..rows).collect(),
            room: vec![0.0; rows],
        }
    }

    /// The cluster nearest to `tip` and its squared distance; of equally near ones `before`, else the smallest number.
    fn nearest(&mut self, tip: usize, before: Option<usize>) -> (usize, f64) {
        let at = self.place[tip];
        let count = self.ids.len();
        let room = &mut self.room[..count];
        room.fill(0.0);
        for column in &self.columns {
            let value = column[at];
            for (squared, other) in room.iter_mut().zip(column) {
                *squared += (value - other) * (value - other);
            }
        }
        let weight = self.weights[at];
        for (squared, other) in room.iter_mut().zip(&self.weights) {
            *squared *= 2.0 * weight * other / (weight + other);
        }
        room[at] = f64::INFINITY;
        let least = room.iter().copied().fold(f64::INFINITY, f64::min);
        if let Some(before) = before
            && room[self.place[before]] <= least
        {
            return (before, least);
        }
        let mut nearest = usize::MAX;
        for (squared, id) in room.iter().zip(&self.ids) {
            if *squared <= least && *id < nearest && *id != tip {
                nearest = *id;
            }
        }
        (nearest, least)
    }

    /// Puts two clusters together under the smaller number and closes the gap with the last one.
    fn merge(&mut self, a: usize, b: usize) {
        let (keep, drop) = (self.place[a.min(b)], self.place[a.max(b)]);
        let (first, second) = (self.weights[keep], self.weights[drop]);
        let share = second / (first + second);
        for column in &mut self.columns {
            column[keep] += (column[drop] - column[keep]) * share;
            column.swap_remove(drop);
        }
        self.weights[keep] = first + second;
        self.weights.swap_remove(drop);
        self.ids.swap_remove(drop);
        if let Some(moved) = self.ids.get(drop) {
            self.place[*moved] = drop;
        }
    }
}

/// Sorts merges by height and gives the clusters their numbers in that order. `raw` names a cluster by its smallest
/// row.
fn ordered(rows: usize, mut raw: Vec<(usize, usize, f64)>, weights: Option<&[f64]>) -> Vec<Merge> {
    // Stable: a merge that the chain made later stays behind one of equal height that it builds on.
    raw.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut number: Vec<usize> = (0..rows).collect();
    let mut root: Vec<usize> = (0..rows).collect();
    let mut size: Vec<f64> = weights.map_or_else(|| vec![1.0; rows], <[f64]>::to_vec);
    let mut merges = Vec::with_capacity(raw.len());
    for (a, b, height) in raw {
        let (a, b) = (find(&mut root, a), find(&mut root, b));
        let (keep, drop) = (a.min(b), a.max(b));
        size[keep] += size[drop];
        let (left, right) = (number[a].min(number[b]), number[a].max(number[b]));
        number[keep] = rows + merges.len();
        root[drop] = keep;
        merges.push(Merge { left, right, height, size: size[keep] });
    }
    merges
}

fn find(root: &mut [usize], mut at: usize) -> usize {
    while root[at] != at {
        root[at] = root[root[at]];
        at = root[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1 cluster.hierarchy.linkage(x, 'ward')
        let values: Vec<f64> = (0..24)
            .flat_map(|row| {
                let i = f64::from(row);
                let x = (i * 1.7).sin() * 3.0 + f64::from(row % 3) * 4.0;
                [x, (i * i * 0.37).cos() * 2.0 + f64::from(row % 2) * 1.5]
            })
            .collect();
        let tree = ward(Points::new(&values, 2).unwrap(), None).unwrap();
        let expected = [
            (10, 15, 0.046801172171, 2.0),
            (12, 22, 0.117704717796, 2.0),
            (9, 24, 0.288362143635, 3.0),
            (6, 18, 0.309284868676, 2.0),
            (16, 19, 0.499782118243, 2.0),
            (5, 8, 0.728208885657, 2.0),
            (1, 11, 0.734806993328, 2.0),
            (4, 28, 1.195684547744, 3.0),
            (17, 30, 1.245746887853, 3.0),
            (0, 26, 1.467646946882, 4.0),
            (7, 13, 1.581343705875, 2.0),
            (21, 27, 2.247516271442, 3.0),
            (2, 31, 2.269214657158, 4.0),
            (20, 29, 2.287377843351, 3.0),
            (14, 25, 2.341543459699, 3.0),
            (3, 35, 3.338594719075, 4.0),
            (32, 36, 3.724958987573, 7.0),
            (33, 34, 4.17701035469, 6.0),
            (23, 37, 4.22979202737, 4.0),
            (39, 41, 8.837524429402, 10.0),
            (40, 42, 9.583331348979, 11.0),
            (38, 43, 11.705877449799, 13.0),
            (44, 45, 24.820137877524, 24.0),
        ];
        for (merge, (left, right, height, size)) in tree.merges.iter().zip(expected) {
            assert_eq!((merge.left, merge.right, merge.size), (left, right, size));
            assert!((merge.height - height).abs() < 1e-9, "{} {height}", merge.height);
        }
        assert_eq!(tree.merges.len(), 23);
    }

    #[test]
    fn weights_stand_for_rows() {
        let all = Points::new(&[0.0, 0.0, 0.0, 4.0, 10.0], 1).unwrap();
        let few = Points::new(&[0.0, 4.0, 10.0], 1).unwrap();
        let heights = |tree: Dendrogram| tree.merges.iter().map(|merge| merge.height).collect::<Vec<_>>();
        let (all, few) =
            (heights(ward(all, None).unwrap()), heights(ward(few, Some(&[3.0, 1.0, 1.0])).unwrap()));
        assert_eq!(all[..2], [0.0, 0.0]);
        for (a, b) in all[2..].iter().zip(few) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn odd_inputs() {
        let one = ward(Points::new(&[3.0], 1).unwrap(), None).unwrap();
        assert_eq!((one.merges.len(), one.cut(1), one.cut(5)), (0, vec![0], vec![0]));
        let equal = ward(Points::new(&[3.0; 50], 1).unwrap(), None).unwrap();
        assert_eq!((equal.merges.len(), equal.cut(1)), (49, vec![0; 50]));
        assert!(ward(Points::new(&vec![0.0; 20_001], 1).unwrap(), None).is_err());
        assert!(ward(Points::new(&[1.0, 2.0], 1).unwrap(), Some(&[1.0, 0.0])).is_err());
    }
}
