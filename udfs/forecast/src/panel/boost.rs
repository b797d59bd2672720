//! Gradient boosting of trees on a start that is known: each tree mends what the ones before left.
//!
//! Friedman (2001), "Greedy function approximation: a gradient boosting machine", *Annals of Statistics* 29; rows of a
//! tree drawn as in Friedman (2002), "Stochastic gradient boosting".

use std::ops::Range;
use std::sync::Arc;

use smartsneaks_table_function::{Run, for_each};

use super::bins::Bins;
use super::draw;
use super::loss::{self, PanelLoss};
use super::tree::{self, Limits, Pieces, Rows, Tree, none};

/// Rows of a job.
const PIECE: usize = 4_096;
/// Jobs of a table, about.
const GROUPS: usize = 12;
/// Trees at most.
pub(crate) const TREES: usize = 120;
/// The part of a tree's answer that is taken.
const RATE: f32 = 0.05;
/// Rows and features that a tree sees.
const ROW_SHARE: f64 = 0.5;
const FEATURE_SHARE: f64 = 0.4;
const LIMITS: Limits = Limits { leaves: 16, weight: 40.0, ridge: 10.0 };

/// Trees between two looks at the held-out rows, and looks without gain after which it ends.
const LOOK: usize = 10;
const PATIENCE: usize = 4;
/// The first trees, which the held-out rows are not asked for: one block of days is too short to tell none from these.
const FEWEST: usize = 50;
/// Trees after which losses are compared.
const RACE: usize = 60;

/// Rows of `width` features, what was seen, where the score starts, and what each row counts by: the steadiness of its
/// series, and what that sells a day.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) width: usize,
    pub(crate) features: Vec<f32>,
    pub(crate) values: Vec<f32>,
    pub(crate) starts: Vec<f32>,
    pub(crate) steadiness: Vec<f32>,
    pub(crate) sizes: Vec<f32>,
}

impl Table {
    /// An empty table with room for so many rows: to grow step by step would touch twice the memory.
    pub(crate) fn with_room(width: usize, rows: usize) -> Table {
        Table {
            width,
            features: Vec::with_capacity(rows * width),
            values: Vec::with_capacity(rows),
            starts: Vec::with_capacity(rows),
            steadiness: Vec::with_capacity(rows),
            sizes: Vec::with_capacity(rows),
        }
    }

    /// The rows of all, one table after the other.
    pub(crate) fn concat(width: usize, tables: Vec<Table>) -> Table {
        let mut all = Table::with_room(width, tables.iter().map(|table| table.values.len()).sum());
        tables.into_iter().for_each(|table| all.append(table));
        all
    }

    fn append(&mut self, other: Table) {
        self.features.extend(other.features);
        self.values.extend(other.values);
        self.starts.extend(other.starts);
        self.steadiness.extend(other.steadiness);
        self.sizes.extend(other.sizes);
    }

    /// How much each row counts in a loss.
    fn weights(&self, loss: PanelLoss) -> Vec<f32> {
        let weight = |(steadiness, size): (&f32, &f32)| steadiness * loss.weight(*size);
        self.steadiness.iter().zip(&self.sizes).map(weight).collect()
    }
}

/// A table whose features are bins, and nothing else: for as many to learn from as want to.
#[derive(Debug)]
pub(crate) struct Binned {
    bins: Bins,
    assigned: Vec<u8>,
    /// Without features.
    table: Table,
}

impl Binned {
    /// Bins the features of a table.
    pub(crate) fn new(mut table: Table, run: Run<'_>) -> Binned {
        let bins = Bins::new(&table.features, table.width, run);
        let assigned = bins.assign(&table.features, run);
        table.features = Vec::new();
        Binned { bins, assigned, table }
    }
}

/// A sum of trees.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Boost {
    pub(crate) trees: Vec<Tree>,
}

impl Boost {
    /// What is added to the start of a row.
    pub(crate) fn score(&self, row: &[f32]) -> f64 {
        self.trees.iter().map(|tree| f64::from(RATE * tree.score(row))).sum()
    }
}

/// Boosting under way: trees are added as they are asked for. Time is about trees × rows × width × 3 ns, memory 5 bytes
/// a feature and row beside the table, and little else.
pub(crate) struct Learner {
    rows: Arc<Binned>,
    loss: PanelLoss,
    weights: Vec<f32>,
    scores: Vec<f64>,
    derivatives: Vec<[f32; 2]>,
    /// What the last tree adds to the scores of the rows of its leaves; and the rows that it did not see.
    last: Vec<(f32, Pieces)>,
    unseen: Pieces,
    seed: u64,
    pub(crate) boost: Boost,
    /// What each tree gained by each feature.
    pub(crate) gained: Vec<Vec<f64>>,
}

impl Learner {
    /// No tree yet.
    pub(crate) fn new(rows: Arc<Binned>, loss: PanelLoss, seed: u64) -> Learner {
        let Table { values, starts, .. } = &rows.table;
        Learner {
            loss,
            weights: rows.table.weights(loss),
            scores: starts.iter().map(|start| f64::from(*start)).collect(),
            derivatives: vec![[0.0; 2]; values.len()],
            last: Vec::new(),
            unseen: vec![Vec::new(); values.len().div_ceil(PIECE)],
            boost: Boost::default(),
            gained: Vec::new(),
            rows,
            seed,
        }
    }

    /// Adds trees until there are so many; see [`tree::grow`] for `ahead`.
    pub(crate) fn grow_to(&mut self, trees: usize, ahead: usize, run: Run<'_>) {
        while self.boost.trees.len() < trees {
            self.grow(ahead, run);
        }
    }

    fn grow(&mut self, ahead: usize, run: Run<'_>) {
        let Learner { rows, loss, weights, scores, derivatives, seed, .. } = self;
        let Binned { bins, assigned, table: Table { width, values, .. } } = &**rows;
        let (width, loss, seed, number) = (*width, *loss, *seed, self.boost.trees.len());
        let features = features(width, seed, number);
        // Some pieces together, so that their sums are few.
        let together = values.len().div_ceil(PIECE).div_ceil(GROUPS).max(1);
        let mut groups: Vec<_> = scores
            .chunks_mut(PIECE * together)
            .zip(derivatives.chunks_mut(PIECE * together))
            .zip(self.unseen.chunks_mut(together))
            .map(|((scores, derivatives), unseen)| (scores, derivatives, unseen, Pieces::new(), none(&[])))
            .collect();
        let (last, leaves) = (self.boost.trees.last(), &self.last);
        for_each(run, &mut groups, |group, (scores, derivatives, unseen, chosen, sums)| {
            *sums = none(&features);
            let pieces = scores.chunks_mut(PIECE).zip(derivatives.chunks_mut(PIECE)).zip(unseen.iter_mut());
            for (piece, ((scores, derivatives), unseen)) in (group * together..).zip(pieces) {
                let first = piece * PIECE;
                // What the tree before says counts from here on: the scores of the last tree are never asked for. The
                // rows that it grew on lie in its leaves; the others go down from its root.
                for (value, rows) in leaves {
                    for row in &rows[piece] {
                        scores[*row as usize - first] += f64::from(RATE * value);
                    }
                }
                if let Some(tree) = last {
                    for row in unseen.drain(..) {
                        let bins = &assigned[row as usize * width..];
                        scores[row as usize - first] += f64::from(RATE * tree.score_bins(bins));
                    }
                }
                let mut taken = Vec::with_capacity(PIECE * 5 / 8);
                // Rows of the piece count from its first until they are summed.
                for (at, (score, derivatives)) in scores.iter().zip(derivatives.iter_mut()).enumerate() {
                    let row = first + at;
                    let part = draw::hash(seed, number as u64, row as u64) as f64 / u64::MAX as f64;
                    if part < ROW_SHARE {
                        let (gradient, weight) = loss.derivatives(f64::from(values[row]), *score);
                        let counts = f64::from(weights[row]);
                        *derivatives = [(gradient * counts) as f32, (weight * counts) as f32];
                        taken.push(at as u32);
                    } else {
                        unseen.push(row as u32);
                    }
                }
                let bins = &assigned[first * width..];
                tree::add(sums, Rows { bins, width, derivatives }, &features, &taken);
                taken.iter_mut().for_each(|row| *row += first as u32);
                chosen.push(taken);
            }
        });
        let (mut chosen, mut sums) = (Pieces::new(), Vec::with_capacity(groups.len()));
        for (_, _, _, taken, sum) in groups {
            chosen.extend(taken);
            sums.push(sum);
        }
        let sums = tree::total(sums).unwrap_or_else(|| none(&features));
        let rows = Rows { bins: assigned, width, derivatives };
        let mut gains = vec![0.0; width];
        let (tree, leaves) =
            tree::grow(rows, bins, (chosen, sums), &features, LIMITS, &mut gains, (ahead, run));
        self.last = leaves;
        self.boost.trees.push(tree);
        self.gained.push(gains);
    }
}

/// Boosting that other rows, of days after its own, tell when to stop: by the errors that forecasts are judged by.
pub(crate) struct Trial<'a> {
    learner: Learner,
    held: Held<'a>,
}

impl<'a> Trial<'a> {
    /// No tree yet.
    pub(crate) fn new(learner: Learner, held: &'a Table, series: &'a [Measured]) -> Trial<'a> {
        Trial { learner, held: Held::new(held, series) }
    }

    /// The loss that its trees make small.
    pub(crate) fn loss(&self) -> PanelLoss {
        self.learner.loss
    }

    /// RMSSE of all its trees on the held-out rows, mean over the series.
    pub(crate) fn rmsse(&self) -> f64 {
        self.held.rmsse
    }

    /// Adds as many trees as are needed to compare it.
    pub(crate) fn race(&mut self, run: Run<'_>) {
        while self.learner.boost.trees.len() < RACE {
            self.round(1, run);
        }
    }

    /// Adds some trees; whether it is done: there are [`TREES`], or it has been long enough without gain.
    pub(crate) fn round(&mut self, ahead: usize, run: Run<'_>) -> bool {
        let trees = (self.learner.boost.trees.len() + LOOK).min(TREES);
        self.learner.grow_to(trees, ahead, run);
        self.held.look(&self.learner.boost, run);
        trees == TREES || trees - self.held.best >= PATIENCE * LOOK
    }

    /// Trees that are best so far; there will not be fewer.
    pub(crate) fn best(&self) -> usize {
        self.held.best
    }

    /// The best trees.
    pub(crate) fn into_boost(self) -> Boost {
        let mut boost = self.learner.boost;
        boost.trees.truncate(self.held.best);
        boost
    }
}

/// Features of a tree, ascending.
fn features(width: usize, seed: u64, tree: usize) -> Vec<u16> {
    let wanted = ((width as f64 * FEATURE_SHARE).ceil() as usize).clamp(1, width.max(1));
    let mut order: Vec<u16> = (0..width as u16).collect();
    order.sort_by_key(|feature| draw::hash(seed ^ 0xFEA7, tree as u64, u64::from(*feature)));
    order.truncate(wanted);
    order.sort_unstable();
    order
}

/// Rows of a series that trees do not learn from, and what its errors are measured by.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) rows: Range<usize>,
    /// Mean squared difference from one value to the next.
    pub(crate) scale: f64,
}

impl Measured {
    /// Root mean squared scaled error of a mean for each row.
    pub(crate) fn rmsse(&self, table: &Table, mean: impl Fn(usize) -> f64) -> f64 {
        let error = |row: usize| f64::from(table.values[row]) - mean(row);
        let squares: f64 = self.rows.clone().map(|row| error(row).powi(2)).sum();
        (squares / self.rows.len() as f64 / self.scale).sqrt()
    }
}

/// How well trees forecast rows that they do not learn from.
struct Held<'a> {
    table: &'a Table,
    series: &'a [Measured],
    scores: Vec<f64>,
    seen: usize,
    /// RMSSE of all that was seen, and of the best.
    rmsse: f64,
    least: f64,
    best: usize,
}

impl<'a> Held<'a> {
    fn new(table: &'a Table, series: &'a [Measured]) -> Held<'a> {
        let scores = table.starts.iter().map(|start| f64::from(*start)).collect();
        Held { table, series, scores, seen: 0, rmsse: f64::INFINITY, least: f64::INFINITY, best: 0 }
    }

    /// Looks at the trees that are new. Summed in one order, whoever does a piece.
    fn look(&mut self, boost: &Boost, run: Run<'_>) {
        let (table, trees) = (self.table, &boost.trees[self.seen..]);
        let mut pieces: Vec<_> = self.scores.chunks_mut(PIECE).collect();
        for_each(run, &mut pieces, |piece, scores| {
            let rows = table.features[piece * PIECE * table.width..].chunks_exact(table.width);
            for (score, row) in scores.iter_mut().zip(rows) {
                *score += trees.iter().map(|tree| f64::from(RATE * tree.score(row))).sum::<f64>();
            }
        });
        let errors = self.series.iter().map(|one| one.rmsse(table, |row| loss::mean(self.scores[row])));
        self.rmsse = errors.sum::<f64>() / self.series.len() as f64;
        self.seen = boost.trees.len();
        if self.seen <= FEWEST || self.rmsse < self.least {
            (self.least, self.best) = (self.rmsse, self.seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;
    use smartsneaks_table_function::in_order;

    fn table(rows: usize, seed: u64) -> Table {
        let mut noise = Noise(seed);
        let mut table = Table { width: 3, ..Table::default() };
        for _ in 0..rows {
            let row = [noise.uniform() as f32, noise.uniform() as f32, noise.uniform() as f32];
            let mean = 2.0 * if row[0] > 0.5 { 2.0 } else { 1.0 } * if row[1] > 0.8 { 1.5 } else { 1.0 };
            table.features.extend(row);
            table.values.push(noise.poisson(mean) as f32);
            table.starts.push(2.0_f32.ln());
            table.steadiness.push(1.0);
            table.sizes.push(2.0);
        }
        table
    }

    #[test]
    fn effects_are_learned_and_noise_is_not() {
        let (rows, held) = (binned(20_000), table(5_000, 6));
        for loss in PanelLoss::ALL {
            effects_are_learned(Learner::new(Arc::clone(&rows), loss, 1), &held);
        }
    }

    fn binned(rows: usize) -> Arc<Binned> {
        Arc::new(Binned::new(table(rows, 5), &in_order))
    }

    fn effects_are_learned(learner: Learner, held: &Table) {
        let series: Vec<Measured> =
            (0..50).map(|one| Measured { rows: 100 * one..100 * (one + 1), scale: 1.0 }).collect();
        let mut trial = Trial::new(learner, held, &series);
        while !trial.round(1, &in_order) {}
        let gained = &trial.learner.gained;
        let gains = [0, 1, 2].map(|feature| gained.iter().map(|gains| gains[feature]).sum::<f64>());
        let boost = trial.into_boost();
        assert!((20..TREES).contains(&boost.trees.len()), "{}", boost.trees.len());
        assert!(gains[0] > gains[1] && gains[1] > 2.0 * gains[2], "{gains:?}");
        for (row, factor) in [([0.2, 0.2, 0.5], 1.0), ([0.9, 0.2, 0.5], 2.0), ([0.9, 0.9, 0.5], 3.0)] {
            let found = boost.score(&row).exp();
            assert!((found / factor - 1.0).abs() < 0.08, "{factor}: {found}");
        }
    }

    #[test]
    fn the_same_seed_learns_the_same() {
        let learn = |seed, ahead| {
            let mut learner = Learner::new(binned(2_000), PanelLoss::Tweedie, seed);
            learner.grow_to(12, ahead, &in_order);
            (learner.boost, learner.gained)
        };
        assert_eq!(learn(1, 1), learn(1, 1));
        for ahead in [2, 4, 99] {
            assert_eq!(learn(1, 1), learn(1, ahead), "looking ahead changes nothing");
        }
        assert_ne!(learn(1, 1), learn(2, 1));
    }

    #[test]
    fn every_row_gets_what_each_tree_says_of_it() {
        let (rows, all) = (2 * PIECE + 100, table(2 * PIECE + 100, 5));
        let (starts, seen) = (all.starts.clone(), all.features.clone());
        let binned = Arc::new(Binned::new(all, &in_order));
        let mut learner = Learner::new(binned, PanelLoss::Squares, 1);
        learner.grow_to(6, 4, &in_order);
        // The last tree is not counted yet.
        learner.boost.trees.pop();
        for row in 0..rows {
            let said = f64::from(starts[row]) + learner.boost.score(&seen[3 * row..]);
            assert!((learner.scores[row] - said).abs() < 1e-12, "{row}: {} {said}", learner.scores[row]);
        }
    }
}
