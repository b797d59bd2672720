//! Leaves a poor local optimum of k-means by moving a centroid to where it is needed more.
//!
//! After Fränti (2018), "Efficiency of random swap clustering", *Journal of Big Data* 5, but with the swaps chosen by
//! their expected profit rather than drawn: a centroid whose removal costs little goes to a cluster whose split saves
//! much, as in Ismkhan (2018), "I-k-means-+", *Pattern Recognition* 79.

use crate::lloyd::{Fit, Stop, lloyd};
use crate::parallel::in_order;
use crate::points::{Points, squared_distance};

/// Swaps tried before a solution counts as good.
const TRIES: usize = 6;

/// Distances that all swaps together may take, counting a run of Lloyd's iteration as ten looks at every row.
const WORK: usize = 1 << 28;

/// Tries the most promising swaps and keeps those after which Lloyd's iteration ends lower, until none of six helps.
/// At most `k` swaps are kept, and fewer are tried the more rows and clusters there are, so that time stays bounded.
pub(crate) fn improve(points: Points, mut fit: Fit, stop: Stop) -> Fit {
    let columns = points.columns();
    let k = fit.centroids.len() / columns;
    if k < 2 {
        return fit;
    }
    let mut runs = WORK / (10 * points.rows() * k);
    for _ in 0..k {
        let costs = removal_costs(&fit, k);
        let splits = splits(points, &fit, k);
        let mut swaps: Vec<(f64, usize, usize)> = (0..k)
            .flat_map(|from| (0..k).map(move |to| (from, to)))
            .filter(|(from, to)| from != to && splits[*to].gain > 0.0)
            .map(|(from, to)| (splits[to].gain - costs[from], from, to))
            .collect();
        swaps.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let better = swaps.iter().take(TRIES.min(runs)).find_map(|(_, from, to)| {
            runs = runs.saturating_sub(1);
            let mut start = fit.centroids.clone();
            start[from * columns..(from + 1) * columns].copy_from_slice(&splits[*to].low);
            start[to * columns..(to + 1) * columns].copy_from_slice(&splits[*to].high);
            let swapped = lloyd(points, start, stop, &in_order);
            (swapped.inertia < fit.inertia * (1.0 - 1e-9)).then_some(swapped)
        });
        match better {
            Some(better) => fit = better,
            None => break,
        }
    }
    fit
}

/// By how much the sum of squares grows if each row of a cluster goes to its second-nearest centroid.
fn removal_costs(fit: &Fit, k: usize) -> Vec<f64> {
    let mut costs = vec![0.0; k];
    for near in &fit.nearest {
        costs[near.first as usize] += near.second_squared - near.first_squared;
    }
    costs
}

/// Two centroids for the rows of one cluster and by how much they lower the sum of squares.
#[derive(Debug)]
struct Split {
    low: Vec<f64>,
    high: Vec<f64>,
    gain: f64,
}

/// Splits each cluster in two: at the mean of its widest column, then a few rounds of Lloyd's iteration inside it.
fn splits(points: Points, fit: &Fit, k: usize) -> Vec<Split> {
    let columns = points.columns();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); k];
    for (row, near) in fit.nearest.iter().enumerate() {
        members[near.first as usize].push(row);
    }
    members
        .iter()
        .enumerate()
        .map(|(cluster, rows)| {
            let centre = &fit.centroids[cluster * columns..(cluster + 1) * columns];
            let values = points.gather(rows);
            split(Points::trusted(&values, columns), centre)
        })
        .collect()
}

fn split(points: Points, centre: &[f64]) -> Split {
    let columns = points.columns();
    let nothing = Split { low: centre.to_vec(), high: centre.to_vec(), gain: 0.0 };
    let mut spread = vec![0.0; columns];
    for row in points.values().chunks_exact(columns) {
        for ((sum, value), mean) in spread.iter_mut().zip(row).zip(centre) {
            *sum += (value - mean) * (value - mean);
        }
    }
    let before: f64 = spread.iter().sum();
    let Some((widest, _)) = spread.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else {
        return nothing;
    };
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for row in points.values().chunks_exact(columns) {
        if row[widest] > centre[widest] { &mut high } else { &mut low }.extend_from_slice(row);
    }
    if low.is_empty() || high.is_empty() {
        return nothing;
    }
    let start = [low, high].iter().flat_map(|side| Points::trusted(side, columns).mean()).collect();
    let halves = lloyd(points, start, Stop { iterations: 8, tolerance: 0.0 }, &in_order);
    if halves.centroids.len() != 2 * columns
        || squared_distance(centre, &halves.centroids[..columns]).is_nan()
    {
        return nothing;
    }
    let (low, high) = halves.centroids.split_at(columns);
    Split { low: low.to_vec(), high: high.to_vec(), gain: before - halves.inertia }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_solution_is_freed() {
        // Three groups; two centroids share the first and one sits between the others.
        let values: Vec<f64> =
            (0..300).map(|row| f64::from(row / 100) * 50.0 + f64::from(row % 100) / 50.0).collect();
        let points = Points::new(&values, 1).unwrap();
        let stop = Stop { iterations: 100, tolerance: 0.0 };
        let stuck = lloyd(points, vec![0.5, 1.5, 76.0], stop, &in_order);
        let freed = improve(points, stuck.clone(), stop);
        assert!(stuck.inertia > 1e5 && freed.inertia < 110.0, "{} {}", stuck.inertia, freed.inertia);
    }
}
