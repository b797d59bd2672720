//! Lloyd's iteration from given centroids to a local optimum of the sum of squares.
//!
//! Lloyd (1982), "Least squares quantization in PCM", *IEEE Transactions on Information Theory* 28, with the bounds of
//! Hamerly (2010), "Making k-means even faster", *SDM*: a row whose upper bound on the distance to its own centroid
//! stays below its lower bound on the distance to every other is left alone. Bounds skip work, never change a result.

use crate::parallel::{Run, chunk_rows, for_each};
use crate::points::{Points, squared_distance};
use crate::scan::{Nearest, Scan};

/// Where an iteration ended.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    /// Row-major; as many as there were to begin with, less those that no row can be given to.
    pub(crate) centroids: Vec<f64>,
    /// The two nearest centroids of each row.
    pub(crate) nearest: Vec<Nearest>,
    /// Sum of squared distances to the nearest centroid.
    pub(crate) inertia: f64,
    /// Rounds done.
    pub(crate) iterations: usize,
    /// Whether it stopped by itself rather than at the limit.
    pub(crate) converged: bool,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    /// The most rounds.
    pub(crate) iterations: usize,
    /// Stops when the squared moves of the centroids add up to at most this.
    pub(crate) tolerance: f64,
}

/// Iterates from row-major `centroids`. Sums run in chunks of rows, so that the result does not depend on how `run`
/// spreads them. Memory: 20 bytes a row while iterating and 24 in the result; one copy of the centroids a chunk, at
/// most 64.
pub(crate) fn lloyd(points: Points, mut centroids: Vec<f64>, stop: Stop, run: Run) -> Fit {
    let columns = points.columns();
    let k = centroids.len() / columns;
    let mut chunks = chunks(points, k);
    let mut total = Sums::new(k, columns);
    let mut iterations = 0;
    let mut converged = false;

    let scan = Scan::new(&centroids, columns);
    for_each(run, &mut chunks, |_, chunk| chunk.assign_all(points, &scan));
    while iterations < stop.iterations {
        iterations += 1;
        chunks.iter_mut().for_each(|chunk| total.take(&mut chunk.change));
        refill(points, &mut chunks, &mut total, &centroids);
        let moves = total.move_centroids(&mut centroids);
        if moves.iter().map(|by| by * by).sum::<f64>() <= stop.tolerance {
            converged = true;
            break;
        }
        let scan = Scan::new(&centroids, columns);
        let round = Round {
            points,
            scan: &scan,
            centroids: &centroids,
            moves: &moves,
            half: &halves(&centroids, columns),
        };
        for_each(run, &mut chunks, |_, chunk| chunk.reassign(&round));
        if chunks.iter().all(|chunk| chunk.changed == 0) {
            converged = true;
            break;
        }
    }
    finish(points, chunks, iterations, converged, run)
}

/// Nearest centroids of every row and the sum of squares, in chunks of rows.
pub(crate) fn assign(points: Points, centroids: &[f64], run: Run) -> (Vec<Nearest>, f64) {
    let scan = Scan::new(centroids, points.columns());
    let size = chunk_rows(points.rows());
    let mut parts: Vec<(Vec<Nearest>, f64)> =
        (0..points.rows().div_ceil(size)).map(|_| (Vec::new(), 0.0)).collect();
    for_each(run, &mut parts, |index, (nearest, inertia)| {
        let end = ((index + 1) * size).min(points.rows());
        let mut room = scan.room();
        nearest.extend((index * size..end).map(|row| scan.nearest(points.row(row), &mut room)));
        *inertia = nearest.iter().map(|near| near.first_squared).sum();
    });
    let inertia = parts.iter().map(|part| part.1).sum();
    let mut nearest = Vec::with_capacity(points.rows());
    parts.into_iter().for_each(|(part, _)| nearest.extend(part));
    (nearest, inertia)
}

/// Means of the rows of each of `k` clusters and their counts; a cluster without rows has NaN.
pub(crate) fn means(points: Points, labels: &[u32], k: usize) -> (Vec<f64>, Vec<usize>) {
    let columns = points.columns();
    let mut total = Sums::new(k, columns);
    for (chunk, part) in labels.chunks(chunk_rows(labels.len())).enumerate() {
        let mut sums = Sums::new(k, columns);
        let first = chunk * chunk_rows(labels.len());
        part.iter().enumerate().for_each(|(at, label)| sums.add(*label, points.row(first + at), 1));
        total.take(&mut sums);
    }
    let mut means = vec![f64::NAN; k * columns];
    total.move_centroids(&mut means);
    (means, total.counts.iter().map(|count| *count as usize).collect())
}

/// Sum of rows and number of rows of every cluster, or a change of them.
#[derive(Debug, Clone)]
struct Sums {
    columns: usize,
    sums: Vec<f64>,
    counts: Vec<i64>,
}

impl Sums {
    fn new(k: usize, columns: usize) -> Self {
        Sums { columns, sums: vec![0.0; k * columns], counts: vec![0; k] }
    }

    /// Adds a row to a cluster, or takes it away with a sign of -1.
    fn add(&mut self, cluster: u32, row: &[f64], sign: i64) {
        let cluster = cluster as usize;
        self.counts[cluster] += sign;
        let sums = &mut self.sums[cluster * self.columns..(cluster + 1) * self.columns];
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += sign as f64 * value;
        }
    }

    /// Adds another one and clears it.
    fn take(&mut self, other: &mut Sums) {
        self.sums.iter_mut().zip(&mut other.sums).for_each(|(sum, by)| *sum += std::mem::take(by));
        self.counts.iter_mut().zip(&mut other.counts).for_each(|(count, by)| *count += std::mem::take(by));
    }

    /// Moves each centroid to the mean of its rows and returns how far each moved. One without rows stays.
    fn move_centroids(&self, centroids: &mut [f64]) -> Vec<f64> {
        let clusters = centroids.chunks_exact_mut(self.columns).zip(self.sums.chunks_exact(self.columns));
        let mut moves = Vec::with_capacity(self.counts.len());
        for ((centroid, sums), count) in clusters.zip(&self.counts) {
            let mut squared = 0.0;
            if *count > 0 {
                for (centre, sum) in centroid.iter_mut().zip(sums) {
                    let mean = sum / *count as f64;
                    squared += (mean - *centre) * (mean - *centre);
                    *centre = mean;
                }
            }
            moves.push(squared.sqrt());
        }
        moves
    }
}

/// A run of rows with their labels and bounds, and what changed in them since the sums were last taken.
#[derive(Debug)]
struct Chunk {
    first: usize,
    labels: Vec<u32>,
    upper: Vec<f64>,
    lower: Vec<f64>,
    change: Sums,
    changed: usize,
}

fn chunks(points: Points, k: usize) -> Vec<Chunk> {
    let size = chunk_rows(points.rows());
    (0..points.rows())
        .step_by(size)
        .map(|first| {
            let rows = size.min(points.rows() - first);
            Chunk {
                first,
                labels: vec![0; rows],
                upper: vec![0.0; rows],
                lower: vec![0.0; rows],
                change: Sums::new(k, points.columns()),
                changed: 0,
            }
        })
        .collect()
}

/// What all chunks of one round share.
#[derive(Debug)]
struct Round<'a> {
    points: Points<'a>,
    scan: &'a Scan,
    centroids: &'a [f64],
    /// How far each centroid has moved.
    moves: &'a [f64],
    /// Half the distance from each centroid to the nearest other one.
    half: &'a [f64],
}

impl Chunk {
    fn assign_all(&mut self, points: Points, scan: &Scan) {
        let mut room = scan.room();
        for at in 0..self.labels.len() {
            let row = points.row(self.first + at);
            let nearest = scan.nearest(row, &mut room);
            self.labels[at] = nearest.first;
            self.upper[at] = nearest.first_squared.sqrt();
            self.lower[at] = nearest.second_squared.sqrt();
            self.change.add(nearest.first, row, 1);
        }
        self.changed = self.labels.len();
    }

    fn reassign(&mut self, round: &Round) {
        let columns = round.points.columns();
        let (farthest, moves_of_others) = largest_moves(round.moves);
        let mut room = round.scan.room();
        self.changed = 0;
        for at in 0..self.labels.len() {
            let label = self.labels[at] as usize;
            self.upper[at] += round.moves[label];
            self.lower[at] -= if label == farthest { moves_of_others.1 } else { moves_of_others.0 };
            let bound = self.lower[at].max(round.half[label]);
            if self.upper[at] <= bound {
                continue;
            }
            let row = round.points.row(self.first + at);
            let own = &round.centroids[label * columns..(label + 1) * columns];
            self.upper[at] = squared_distance(row, own).sqrt();
            if self.upper[at] <= bound {
                continue;
            }
            let nearest = round.scan.nearest(row, &mut room);
            self.upper[at] = nearest.first_squared.sqrt();
            self.lower[at] = nearest.second_squared.sqrt();
            if nearest.first as usize != label {
                self.change.add(label as u32, row, -1);
                self.change.add(nearest.first, row, 1);
                self.labels[at] = nearest.first;
                self.changed += 1;
            }
        }
    }
}

/// The centroid that moved farthest, how far, and the farthest of the others.
fn largest_moves(moves: &[f64]) -> (usize, (f64, f64)) {
    let mut farthest = 0;
    let (mut first, mut second) = (0.0, 0.0);
    for (cluster, by) in moves.iter().enumerate() {
        if *by > first {
            (second, first, farthest) = (first, *by, cluster);
        } else if *by > second {
            second = *by;
        }
    }
    (farthest, (first, second))
}

fn halves(centroids: &[f64], columns: usize) -> Vec<f64> {
    let scan = Scan::new(centroids, columns);
    let mut room = scan.room();
    centroids
        .chunks_exact(columns)
        .map(|centroid| 0.5 * scan.nearest(centroid, &mut room).second_squared.sqrt())
        .collect()
}

/// Gives each cluster without rows the row farthest from its own centroid; of equally far ones the first. One pass
/// over the rows a cluster, and clusters hardly ever run empty.
fn refill(points: Points, chunks: &mut [Chunk], total: &mut Sums, centroids: &[f64]) {
    let columns = points.columns();
    for empty in 0..total.counts.len() {
        if total.counts[empty] > 0 {
            continue;
        }
        let mut farthest: Option<(f64, usize, usize)> = None;
        for (index, chunk) in chunks.iter().enumerate() {
            for (at, label) in chunk.labels.iter().enumerate() {
                let label = *label as usize;
                if total.counts[label] < 2 {
                    continue;
                }
                let centroid = &centroids[label * columns..(label + 1) * columns];
                let squared = squared_distance(points.row(chunk.first + at), centroid);
                if squared > farthest.map_or(0.0, |(most, ..)| most) {
                    farthest = Some((squared, index, at));
                }
            }
        }
        let Some((_, index, at)) = farthest else { return };
        let chunk = &mut chunks[index];
        let row = points.row(chunk.first + at);
        total.add(chunk.labels[at], row, -1);
        total.add(empty as u32, row, 1);
        chunk.labels[at] = empty as u32;
        // Bounds that make the next round look at the row afresh.
        chunk.upper[at] = f64::INFINITY;
        chunk.lower[at] = 0.0;
    }
}

/// Centroids as means of their rows, summed afresh so that no rounding of the rounds is left in them, and the nearest
/// centroids of each row.
fn finish(points: Points, chunks: Vec<Chunk>, iterations: usize, converged: bool, run: Run) -> Fit {
    let k = chunks.first().map_or(0, |chunk| chunk.change.counts.len());
    let labels: Vec<u32> = chunks.into_iter().flat_map(|chunk| chunk.labels).collect();
    let (means, counts) = means(points, &labels, k);
    let centroids: Vec<f64> = means
        .chunks_exact(points.columns())
        .zip(&counts)
        .filter(|(_, count)| **count > 0)
        .flat_map(|(centroid, _)| centroid)
        .copied()
        .collect();
    let (nearest, inertia) = assign(points, &centroids, run);
    Fit { centroids, nearest, inertia, iterations, converged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::in_order;
    use crate::random::Random;

    const STOP: Stop = Stop { iterations: 300, tolerance: 0.0 };

    fn naive(points: Points, mut centroids: Vec<f64>) -> Vec<f64> {
        loop {
            let (nearest, _) = assign(points, &centroids, &in_order);
            let labels: Vec<u32> = nearest.iter().map(|near| near.first).collect();
            let (next, _) = means(points, &labels, centroids.len() / points.columns());
            if next.iter().zip(&centroids).all(|(a, b)| (a - b).abs() < 1e-12) {
                return next;
            }
            centroids = next;
        }
    }

    #[test]
    fn bounds_change_no_result() {
        let mut random = Random::new(3, 0);
        let values: Vec<f64> = (0..6_000).map(|_| random.unit() + random.unit()).collect();
        let points = Points::new(&values, 3).unwrap();
        let start = points.gather(&[1, 50, 200, 700, 1500, 1900]);
        let fit = lloyd(points, start.clone(), STOP, &in_order);
        assert!(fit.converged);
        for (fast, slow) in fit.centroids.iter().zip(naive(points, start)) {
            assert!((fast - slow).abs() < 1e-9, "{fast} {slow}");
        }
    }

    #[test]
    fn an_empty_cluster_is_refilled() {
        let values = [0.0, 1.0, 2.0, 3.0, 100.0, 101.0];
        let fit = lloyd(Points::new(&values, 1).unwrap(), vec![0.0, 100.5, 5_000.0], STOP, &in_order);
        assert_eq!(fit.centroids.len(), 3);
        assert!(fit.inertia < 5.0, "{}", fit.inertia);
    }

    #[test]
    fn equal_rows_leave_one_cluster() {
        let fit = lloyd(Points::new(&[2.0; 9], 1).unwrap(), vec![2.0, 7.0], STOP, &in_order);
        assert_eq!((fit.centroids, fit.inertia), (vec![2.0], 0.0));
    }
}
