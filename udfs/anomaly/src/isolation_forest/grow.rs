//! Growing one tree.

use super::{Cut, Scale, Tree, average_length};
use crate::Matrix;
use crate::random::Random;

/// Grows the tree `(seed, number)` from `sample_size` of the usable rows.
pub(super) fn tree(
    matrix: Matrix<'_>,
    usable: &[usize],
    scale: &Scale,
    height: u32,
    sample_size: usize,
    (seed, number): (u64, u64),
) -> Tree {
    let mut random = Random::new(seed, number);
    let sample = random.distinct(sample_size, usable.len());
    let mut sample: Vec<(u32, f32)> = sample.iter().map(|index| (usable[*index] as u32, 0.0)).collect();
    let inner = (1 << height) - 1;
    // A cut at infinity sends everything left.
    let nowhere = Cut { threshold: f32::INFINITY, feature: 0 };
    let tree = Tree { cuts: vec![nowhere; inner], lengths: vec![0.0; 2 * inner + 1] };
    let features = (0..matrix.columns() as u32).collect();
    let mut grower = Grower { matrix, scale, height, features, random, tree };
    grower.node(&mut sample, 0, 0, 0);
    grower.tree
}

struct Grower<'a> {
    matrix: Matrix<'a>,
    scale: &'a Scale,
    height: u32,
    /// A permutation of the features. What is constant in a node is constant below it: those stand first.
    features: Vec<u32>,
    random: Random,
    tree: Tree,
}

impl Grower<'_> {
    /// Grows the node `at` and everything below; returns the sum of the path lengths of its rows. A row is its number
    /// and room for the value of the feature at hand.
    fn node(&mut self, rows: &mut [(u32, f32)], at: usize, depth: u32, constant: usize) -> f64 {
        let cut = if depth < self.height && rows.len() > 1 { self.draw(rows, constant) } else { None };
        let Some((cut, constant)) = cut else {
            let length = f64::from(depth) + average_length(rows.len());
            self.fill(at, depth, length as f32);
            return length * rows.len() as f64;
        };
        let mut left = 0;
        for row in 0..rows.len() {
            if rows[row].1 <= cut.threshold {
                rows.swap(row, left);
                left += 1;
            }
        }
        self.tree.cuts[at] = cut;
        let count = rows.len() as f64;
        let (lower, upper) = rows.split_at_mut(left);
        let sum = self.node(lower, 2 * at + 1, depth + 1, constant)
            + self.node(upper, 2 * at + 2, depth + 1, constant);
        self.tree.lengths[at] = (sum / count) as f32;
        sum
    }

    /// A cut of a feature that isn't constant, and how many are known to be. The rows keep the feature's values.
    fn draw(&mut self, rows: &mut [(u32, f32)], mut constant: usize) -> Option<(Cut, usize)> {
        while constant < self.features.len() {
            let drawn = constant + self.random.below(self.features.len() - constant);
            let feature = self.features[drawn];
            let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
            for (row, value) in rows.iter_mut() {
                *value = self.scale.apply(feature as usize, self.matrix.row(*row as usize)[feature as usize]);
                least = least.min(*value);
                most = most.max(*value);
            }
            if least < most {
                let threshold = least + self.random.unit() as f32 * (most - least);
                // Rounding must not leave the upper side empty.
                let threshold = if threshold < most { threshold } else { least };
                return Some((Cut { threshold, feature }, constant));
            }
            self.features.swap(constant, drawn);
            constant += 1;
        }
        None
    }

    /// Gives a leaf and the leftmost slots below it their length.
    fn fill(&mut self, mut at: usize, depth: u32, length: f32) {
        self.tree.lengths[at] = length;
        for _ in depth..self.height {
            at = 2 * at + 1;
            self.tree.lengths[at] = length;
        }
    }
}
