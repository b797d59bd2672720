//! A regression tree on binned features, grown leaf by leaf where the loss falls most.
//!
//! Ke et al. (2017), "LightGBM: a highly efficient gradient boosting decision tree", *NIPS*: histograms of derivatives,
//! the larger child's by subtraction; gains as in Chen & Guestrin (2016), "XGBoost", *KDD*, equation 7.

use smartsneaks_table_function::{Run, for_each};

use super::bins::{BINS, Bins};

/// What bounds a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Leaves at most.
    pub(crate) leaves: usize,
    /// Sum of second derivatives that a leaf needs.
    pub(crate) weight: f64,
    /// Pull of leaves towards 0, in the same units.
    pub(crate) ridge: f64,
}

/// Nodes in the order in which they were made; the first is the root.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// An inner node, or a leaf where `left` is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    pub(crate) feature: u16,
    /// Last bin that goes left.
    pub(crate) bin: u8,
    /// A missing value, or one that is at most this, goes left.
    pub(crate) cut: f32,
    pub(crate) left: u16,
    pub(crate) right: u16,
    /// Of a leaf: what it adds to the score.
    pub(crate) value: f32,
}

impl Tree {
    /// What the tree adds to the score of a row of features.
    pub(crate) fn score(&self, row: &[f32]) -> f32 {
        self.leaf(|node| {
            let value = row[usize::from(node.feature)];
            value.is_nan() || value <= node.cut
        })
    }

    /// The same for a row of bins.
    pub(crate) fn score_bins(&self, row: &[u8]) -> f32 {
        self.leaf(|node| row[usize::from(node.feature)] <= node.bin)
    }

    fn leaf(&self, goes_left: impl Fn(&Node) -> bool) -> f32 {
        let mut node = &self.nodes[0];
        while node.left != 0 {
            node = &self.nodes[usize::from(if goes_left(node) { node.left } else { node.right })];
        }
        node.value
    }
}

/// Rows to learn from: bins of `width` features row by row, and derivatives by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) bins: &'a [u8],
    pub(crate) width: usize,
    pub(crate) derivatives: &'a [[f32; 2]],
}

/// Rows, piece by piece of the table: never put together, which would hold all threads up.
pub(crate) type Pieces = Vec<Vec<u32>>;

/// Sums of derivatives by feature and bin.
pub(crate) type Histogram = Vec<[[f64; 2]; BINS]>;

/// Grows a tree on `chosen` rows and `features`, given the sums over those rows; adds each split's gain to `gains`. With it come the rows of each leaf,
/// in the same pieces, and what the leaf adds to their scores.
///
/// With `ahead` above 1 so many leaves are divided at once, some before it is known whether their turn comes: worth it
/// where `run` has threads to spare. The tree is the same.
pub(crate) fn grow(
    rows: Rows<'_>,
    bins: &Bins,
    (chosen, sums): (Pieces, Histogram),
    features: &[u16],
    limits: Limits,
    gains: &mut [f64],
    (ahead, run): (usize, Run<'_>),
) -> (Tree, Vec<(f32, Pieces)>) {
    let grower = Grower { rows, bins, features, limits, run };
    let mut leaves = vec![grower.root(sums, chosen)];
    let mut nodes = vec![leaves[0].node(limits)];
    while leaves.len() < limits.leaves {
        let ranked = ranked(&leaves);
        let Some((best, split)) = ranked.first().copied() else { break };
        if leaves[best].children.is_none() {
            let splits_left = limits.leaves - leaves.len();
            let next: Vec<usize> =
                ranked.iter().map(|(leaf, _)| *leaf).take(ahead.min(splits_left)).collect();
            let mut undivided: Vec<&mut Leaf> = leaves
                .iter_mut()
                .enumerate()
                .filter_map(|(index, leaf)| {
                    (next.contains(&index) && leaf.children.is_none()).then_some(leaf)
                })
                .collect();
            for_each(run, &mut undivided, |_, leaf| grower.divide(leaf));
        }
        let leaf = leaves.swap_remove(best);
        let Some(children) = leaf.children else { break };
        let [mut left, mut right] = *children;
        gains[usize::from(split.feature)] += split.gain;
        (left.node, right.node) = (nodes.len(), nodes.len() + 1);
        nodes[leaf.node] = Node {
            feature: split.feature,
            bin: split.bin,
            cut: bins.cut(usize::from(split.feature), usize::from(split.bin)),
            left: left.node as u16,
            right: right.node as u16,
            value: 0.0,
        };
        nodes.push(left.node(limits));
        nodes.push(right.node(limits));
        leaves.push(left);
        leaves.push(right);
    }
    let leaves = leaves.into_iter().map(|leaf| (nodes[leaf.node].value, leaf.rows)).collect();
    (Tree { nodes }, leaves)
}

/// Leaves that have a split, those whose split gains most first, the earliest node of equals.
fn ranked(leaves: &[Leaf]) -> Vec<(usize, Split)> {
    let mut ranked: Vec<(usize, Split)> =
        leaves.iter().enumerate().filter_map(|(index, leaf)| Some((index, leaf.split?))).collect();
    ranked.sort_by(|(one, left), (other, right)| {
        right.gain.total_cmp(&left.gain).then(leaves[*one].node.cmp(&leaves[*other].node))
    });
    ranked
}

struct Leaf {
    node: usize,
    /// In the order in which they were chosen.
    rows: Pieces,
    /// Empty once the leaf is divided.
    histogram: Histogram,
    split: Option<Split>,
    /// What the split makes of it, once that was worked out; without their nodes.
    children: Option<Box<[Leaf; 2]>>,
    gradient: f64,
    weight: f64,
}

#[derive(Clone, Copy)]
struct Split {
    feature: u16,
    bin: u8,
    gain: f64,
    /// What of the leaf's weight goes left.
    weight: f64,
}

impl Leaf {
    /// Without sums, split and children.
    fn new(rows: Pieces, gradient: f64, weight: f64) -> Leaf {
        Leaf { node: 0, rows, histogram: Histogram::new(), split: None, children: None, gradient, weight }
    }

    fn node(&self, limits: Limits) -> Node {
        let value = -self.gradient / (self.weight + limits.ridge).max(f64::MIN_POSITIVE);
        let value = if value.is_finite() { value.clamp(-2.0, 2.0) } else { 0.0 };
        Node { feature: 0, bin: 0, cut: 0.0, left: 0, right: 0, value: value as f32 }
    }
}

/// Rows that one job sums or divides, at least; and jobs of a node, about.
const GROUP: usize = 4_096;
const GROUPS: usize = 8;
/// Jobs that put the groups' sums together and look for the best split, each for some of the features.
const SHARES: usize = 4;

/// What all steps of a tree need.
struct Grower<'a> {
    rows: Rows<'a>,
    bins: &'a Bins,
    features: &'a [u16],
    limits: Limits,
    run: Run<'a>,
}

impl Grower<'_> {
    /// The root: no split is known before its sums are.
    fn root(&self, histogram: Histogram, rows: Pieces) -> Leaf {
        let (gradient, weight) = sides(histogram.first());
        let mut leaf = Leaf::new(rows, gradient, weight);
        leaf.histogram = histogram;
        leaf.split = self.find(&leaf.histogram, 0, (gradient, weight));
        leaf
    }

    /// The best split by some of the features, given their sums over a leaf, the place of the first among all, and the
    /// leaf's derivatives.
    fn find(&self, sums: &[[[f64; 2]; BINS]], first: usize, (all, all_weight): (f64, f64)) -> Option<Split> {
        let Limits { weight: least, ridge, .. } = self.limits;
        if all_weight < 2.0 * least {
            return None;
        }
        let part = |gradient: f64, weight: f64| gradient * gradient / (weight + ridge);
        let whole = part(all, all_weight);
        let mut best: Option<Split> = None;
        for (feature, histogram) in self.features[first..].iter().zip(sums) {
            let (mut gradient, mut weight) = (0.0, 0.0);
            let last = self.bins.count(usize::from(*feature)) - 1;
            for (bin, sums) in histogram.iter().enumerate().take(last) {
                gradient += sums[0];
                weight += sums[1];
                let rest = all_weight - weight;
                if weight < least {
                    continue;
                }
                if rest < least {
                    break;
                }
                let gain = part(gradient, weight) + part(all - gradient, rest) - whole;
                if gain > 1e-9 && best.is_none_or(|best| gain > best.gain) {
                    best = Some(Split { feature: *feature, bin: bin as u8, gain, weight });
                }
            }
        }
        best
    }

    /// Works out the children of a leaf that has a split: its rows part, in their order, and those of the lighter child
    /// are summed as they go by; the heavier child has the rest of the sums.
    fn divide(&self, leaf: &mut Leaf) {
        let Some(split) = leaf.split else { return };
        let Rows { bins, width, .. } = self.rows;
        let goes_left = |row: u32| bins[row as usize * width + usize::from(split.feature)] <= split.bin;
        let left_is_light = 2.0 * split.weight <= leaf.weight;
        let mut groups: Vec<(&[Vec<u32>], Parted)> = grouped(&leaf.rows);
        for_each(self.run, &mut groups, |_, (pieces, parted)| {
            parted.sums = none(self.features);
            for piece in pieces.iter() {
                let (mut left, mut right) =
                    (Vec::with_capacity(piece.len()), Vec::with_capacity(piece.len()));
                for row in piece {
                    if goes_left(*row) { left.push(*row) } else { right.push(*row) }
                }
                add(&mut parted.sums, self.rows, self.features, if left_is_light { &left } else { &right });
                parted.left.push(left);
                parted.right.push(right);
            }
        });
        let (mut left, mut right) =
            (Vec::with_capacity(leaf.rows.len()), Vec::with_capacity(leaf.rows.len()));
        let mut sums = Vec::with_capacity(groups.len());
        for (_, parted) in groups {
            left.extend(parted.left);
            right.extend(parted.right);
            sums.push(parted.sums);
        }
        let [light, heavy] = self.children(std::mem::take(&mut leaf.histogram), &sums, leaf);
        let [(mut of_left, rows), (mut of_right, others)] =
            if left_is_light { [(light, left), (heavy, right)] } else { [(heavy, left), (light, right)] };
        (of_left.rows, of_right.rows) = (rows, others);
        leaf.children = Some(Box::new([of_left, of_right]));
    }

    /// The lighter child, whose sums are those of the groups, and the heavier, which has the rest of the leaf's; with
    /// their splits and without their rows. Some features are a job: alone, this would hold all threads up.
    fn children(&self, heavy: Histogram, groups: &[Histogram], leaf: &Leaf) -> [Leaf; 2] {
        let mut of_first = [[0.0; 2]; BINS];
        groups.iter().filter_map(|group| group.first()).for_each(|group| accumulate(&mut of_first, group));
        let (gradient, weight) = sides(Some(&of_first));
        let mut light = Leaf::new(Pieces::new(), gradient, weight);
        let mut heavier = Leaf::new(Pieces::new(), leaf.gradient - gradient, leaf.weight - weight);
        (light.histogram, heavier.histogram) = (none(self.features), heavy);
        let each = self.features.len().div_ceil(SHARES).max(1);
        let mut shares: Vec<_> = light
            .histogram
            .chunks_mut(each)
            .zip(heavier.histogram.chunks_mut(each))
            .map(|(light, heavy)| (light, heavy, [None, None]))
            .collect();
        let derivatives = [(light.gradient, light.weight), (heavier.gradient, heavier.weight)];
        for_each(self.run, &mut shares, |share, (light, heavy, splits)| {
            let first = share * each;
            for (place, (light, heavy)) in (first..).zip(light.iter_mut().zip(heavy.iter_mut())) {
                groups.iter().for_each(|group| accumulate(light, &group[place]));
                for (heavy, light) in heavy.iter_mut().zip(light.iter()) {
                    heavy[0] -= light[0];
                    heavy[1] -= light[1];
                }
            }
            *splits = [self.find(light, first, derivatives[0]), self.find(heavy, first, derivatives[1])];
        });
        for (_, _, [of_light, of_heavy]) in shares {
            light.split = better(light.split, of_light);
            heavier.split = better(heavier.split, of_heavy);
        }
        [light, heavier]
    }
}

/// The sums of both derivatives over all bins of a feature; of any, as every row lies in a bin of each.
fn sides(bins: Option<&[[f64; 2]; BINS]>) -> (f64, f64) {
    bins.into_iter()
        .flatten()
        .fold((0.0, 0.0), |(gradient, weight), bin| (gradient + bin[0], weight + bin[1]))
}

fn accumulate(total: &mut [[f64; 2]; BINS], group: &[[f64; 2]; BINS]) {
    for (total, group) in total.iter_mut().zip(group) {
        total[0] += group[0];
        total[1] += group[1];
    }
}

/// The split that gains more; the first of equals.
fn better(one: Option<Split>, other: Option<Split>) -> Option<Split> {
    match (one, other) {
        (Some(first), Some(second)) if second.gain > first.gain => Some(second),
        (None, second) => second,
        (first, _) => first,
    }
}

/// A group of rows on both sides of a split, and the sums of those on its lighter side.
#[derive(Default)]
struct Parted {
    left: Pieces,
    right: Pieces,
    sums: Histogram,
}

/// Sums over no rows.
pub(crate) fn none(features: &[u16]) -> Histogram {
    vec![[[0.0; 2]; BINS]; features.len()]
}

/// Adds chosen rows to sums.
pub(crate) fn add(sums: &mut Histogram, rows: Rows<'_>, features: &[u16], chosen: &[u32]) {
    for row in chosen {
        let row = *row as usize;
        let [gradient, weight] = rows.derivatives[row].map(f64::from);
        let bins = &rows.bins[row * rows.width..(row + 1) * rows.width];
        for (sums, feature) in sums.iter_mut().zip(features) {
            let bin = &mut sums[usize::from(bins[usize::from(*feature)]) % BINS];
            bin[0] += gradient;
            bin[1] += weight;
        }
    }
}

/// Sums of groups of rows put together, in their order; none of none. The groups are the same whoever summed them, and so
/// are the sums.
pub(crate) fn total(groups: Vec<Histogram>) -> Option<Histogram> {
    let mut groups = groups.into_iter();
    let mut total = groups.next()?;
    for group in groups {
        total.iter_mut().zip(&group).for_each(|(total, group)| accumulate(total, group));
    }
    Some(total)
}

/// Pieces one after the other, about [`GROUP`] rows or a part of [`GROUPS`] together: work that is worth a thread.
fn grouped<T: Default>(pieces: &Pieces) -> Vec<(&[Vec<u32>], T)> {
    let rows: usize = pieces.iter().map(Vec::len).sum();
    let enough = (rows / GROUPS).max(GROUP);
    let (mut groups, mut first, mut held) = (Vec::new(), 0, 0);
    for (at, piece) in pieces.iter().enumerate() {
        held += piece.len();
        if held >= enough {
            groups.push((&pieces[first..=at], T::default()));
            (first, held) = (at + 1, 0);
        }
    }
    if first < pieces.len() {
        groups.push((&pieces[first..], T::default()));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use smartsneaks_table_function::in_order;

    const LIMITS: Limits = Limits { leaves: 8, weight: 1.0, ridge: 0.0 };

    fn summed(pieces: Pieces, rows: Rows<'_>, features: &[u16]) -> (Pieces, Histogram) {
        let mut sums = none(features);
        pieces.iter().for_each(|piece| add(&mut sums, rows, features, piece));
        (pieces, sums)
    }

    #[test]
    fn a_step_in_one_feature_is_found_and_missing_goes_left() {
        let values: Vec<f32> = (0..200)
            .flat_map(|row| [(row * 7 % 11) as f32, if row % 10 == 0 { f32::NAN } else { row as f32 }])
            .collect();
        let target = |row: usize| {
            if row.is_multiple_of(10) {
                5.0
            } else if row < 100 {
                1.0
            } else {
                3.0
            }
        };
        let bins = Bins::new(&values, 2, &in_order);
        let assigned = bins.assign(&values, &in_order);
        let derivatives: Vec<[f32; 2]> = (0..200).map(|row| [-target(row) as f32, 1.0]).collect();
        let rows = Rows { bins: &assigned, width: 2, derivatives: &derivatives };
        let mut gains = [0.0; 2];
        let (tree, leaves) = grow(
            rows,
            &bins,
            summed(vec![(0..90).collect(), (90..200).collect()], rows, &[0, 1]),
            &[0, 1],
            LIMITS,
            &mut gains,
            (1, &in_order),
        );
        for (value, rows) in leaves {
            assert!(rows[0].iter().all(|row| *row < 90) && rows[1].iter().all(|row| *row >= 90));
            for row in rows.concat() {
                assert_eq!(tree.score_bins(&assigned[2 * row as usize..]), value);
            }
        }
        assert!(gains[1] > 100.0 && gains[0] < 50.0, "{gains:?}");
        assert!((tree.score(&[0.0, f32::NAN]) - 2.0).abs() < 1e-6, "leaves are held to 2 in one step");
        for row in 0..200 {
            let [by_value, by_bin] = [tree.score(&values[2 * row..]), tree.score_bins(&assigned[2 * row..])];
            assert_eq!(by_value, by_bin);
            assert!((by_value - (target(row) as f32).min(2.0)).abs() < 0.25, "{row} {by_value}");
        }
    }

    #[test]
    fn nothing_to_split_is_one_leaf() {
        let bins = Bins::new(&[1.0; 5], 1, &in_order);
        let rows = Rows { bins: &[1; 5], width: 1, derivatives: &[[1.0, 1.0]; 5] };
        let (tree, _) = grow(
            rows,
            &bins,
            summed(vec![(0..5).collect()], rows, &[0]),
            &[0],
            LIMITS,
            &mut [0.0],
            (1, &in_order),
        );
        assert_eq!((tree.nodes.len(), tree.score(&[9.0])), (1, -1.0));
        let (none, _) =
            grow(rows, &bins, summed(Vec::new(), rows, &[0]), &[0], LIMITS, &mut [0.0], (4, &in_order));
        assert_eq!(none.score(&[9.0]), 0.0);
    }
}
