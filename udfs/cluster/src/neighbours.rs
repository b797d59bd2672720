//! Finds the rows near a row: a k-d tree.
//!
//! Bentley (1975), "Multidimensional binary search trees used for associative searching", *Communications of the ACM*
//! 18, split at the median of the widest column, with leaves of 16 rows. Useful up to about ten columns; beyond that a
//! query looks at most of the rows.

use crate::points::{Points, squared_distance};

const LEAF_ROWS: usize = 16;

/// The tree over borrowed points. Memory: 8 bytes a row and about 40 for every 16 rows.
#[derive(Debug)]
pub(crate) struct Neighbours<'a> {
    points: Points<'a>,
    order: Vec<usize>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    /// A range of `order`.
    Leaf { from: usize, to: usize },
    /// Rows with a smaller value in the column are below `low`, the others below `high`.
    Split { column: usize, at: f64, low: usize, high: usize },
}

impl<'a> Neighbours<'a> {
    /// Builds the tree in O(rows · log rows · columns).
    pub(crate) fn new(points: Points<'a>) -> Self {
        let mut tree = Neighbours { points, order: (0..points.rows()).collect(), nodes: Vec::new() };
        tree.build(0, points.rows());
        tree
    }

    fn build(&mut self, from: usize, to: usize) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node::Leaf { from, to });
        if to - from <= LEAF_ROWS {
            return node;
        }
        let (column, width) = self.widest(from, to);
        if width == 0.0 {
            return node; // all rows equal
        }
        let points = self.points;
        let middle = (to - from) / 2;
        self.order[from..to].select_nth_unstable_by(middle, |a, b| {
            points.row(*a)[column].total_cmp(&points.row(*b)[column]).then(a.cmp(b))
        });
        let at = points.row(self.order[from + middle])[column];
        let low = self.build(from, from + middle);
        let high = self.build(from + middle, to);
        self.nodes[node] = Node::Split { column, at, low, high };
        node
    }

    fn widest(&self, from: usize, to: usize) -> (usize, f64) {
        let mut widest = (0, 0.0);
        for column in 0..self.points.columns() {
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            for row in &self.order[from..to] {
                let value = self.points.row(*row)[column];
                least = least.min(value);
                most = most.max(value);
            }
            if most - least > widest.1 {
                widest = (column, most - least);
            }
        }
        widest
    }

    /// Puts the rows within `radius` of a row into `found`, itself included, in ascending order.
    pub(crate) fn within(&self, row: &[f64], radius: f64, found: &mut Vec<usize>) {
        found.clear();
        let mut stack = vec![0];
        while let Some(node) = stack.pop() {
            match &self.nodes[node] {
                Node::Leaf { from, to } => found.extend(
                    self.order[*from..*to]
                        .iter()
                        .filter(|other| squared_distance(row, self.points.row(**other)) <= radius * radius),
                ),
                Node::Split { column, at, low, high } => {
                    if row[*column] - radius <= *at {
                        stack.push(*low);
                    }
                    if row[*column] + radius >= *at {
                        stack.push(*high);
                    }
                }
            }
        }
        found.sort_unstable();
    }

    /// Distance to the `count`-th nearest row, counting a row of the points itself as the first; to the farthest where
    /// there are fewer rows.
    pub(crate) fn distance_to(&self, row: &[f64], count: usize) -> f64 {
        let count = count.clamp(1, self.points.rows());
        let mut nearest: Vec<f64> = Vec::with_capacity(count + 1);
        // The second number is a lower bound on the squared distance to anything below the node.
        let mut stack = vec![(0, 0.0)];
        while let Some((node, bound)) = stack.pop() {
            if nearest.len() == count && bound > nearest[count - 1] {
                continue;
            }
            match &self.nodes[node] {
                Node::Leaf { from, to } => {
                    for other in &self.order[*from..*to] {
                        let squared = squared_distance(row, self.points.row(*other));
                        if nearest.len() < count || squared < nearest[count - 1] {
                            let at = nearest.partition_point(|kept| *kept <= squared);
                            nearest.insert(at, squared);
                            nearest.truncate(count);
                        }
                    }
                }
                Node::Split { column, at, low, high } => {
                    let off = row[*column] - at;
                    let (near, far) = if off < 0.0 { (*low, *high) } else { (*high, *low) };
                    stack.push((far, bound.max(off * off)));
                    stack.push((near, bound));
                }
            }
        }
        nearest.last().map_or(0.0, |squared| squared.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn agrees_with_looking_at_all_rows() {
        let mut random = Random::new(9, 0);
        let values: Vec<f64> = (0..1_500).map(|_| (random.unit() * 20.0).floor()).collect();
        let points = Points::new(&values, 3).unwrap();
        let tree = Neighbours::new(points);
        let mut found = Vec::new();
        for row in (0..500).step_by(7) {
            let mut squares: Vec<f64> =
                (0..500).map(|other| squared_distance(points.row(row), points.row(other))).collect();
            tree.within(points.row(row), 5.0, &mut found);
            let all: Vec<usize> = (0..500).filter(|other| squares[*other] <= 25.0).collect();
            assert_eq!(found, all);
            squares.sort_by(f64::total_cmp);
            assert_eq!(tree.distance_to(points.row(row), 6), squares[5].sqrt());
        }
    }

    #[test]
    fn equal_rows_make_a_leaf() {
        let tree = Neighbours::new(Points::trusted(&[1.0; 100], 1));
        let mut found = Vec::new();
        tree.within(&[1.0], 0.0, &mut found);
        assert_eq!((found.len(), tree.distance_to(&[1.0], 1_000)), (100, 0.0));
    }
}
