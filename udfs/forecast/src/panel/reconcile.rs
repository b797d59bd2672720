//! Forecasts that add up.
//!
//! Wickramasuriya, Athanasopoulos & Hyndman (2019), "Optimal forecast reconciliation for hierarchical and grouped time
//! series through trace minimization", *JASA* 114 (MinT), with the covariance of errors shrunk to its diagonal as in
//! Schäfer & Strimmer (2005), "A shrinkage approach to large-scale covariance matrix estimation", *Statistical
//! Applications in Genetics and Molecular Biology* 4.
//!
//! No matrix of all nodes is built. With C the constraints (each group less its members) the reconciled forecasts are
//! ŷ − W C′ (C W C′)⁻¹ C ŷ, and W is a diagonal plus a product of residuals: the work is nodes × residuals² and
//! groups³, exact for panels of any size.

use super::hierarchy::{BadHierarchy, Hierarchy};

/// How sums are made to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciliation {
    /// Groups are the sums of their series; their own forecasts are not looked at.
    BottomUp,
    /// All forecasts move, the more the larger their errors have been.
    MinTShrink,
}

/// Residuals that are looked at: the latest ones.
const LATEST: usize = 400;

/// Makes forecasts agree: for each node of the hierarchy in its order a row of forecasts in, and one out.
///
/// `residuals` has a row of errors a node, at the same times in all (MinT needs at least 3; bottom-up none). With
/// `non_negative`, bottom forecasts below 0 become 0 and groups their sums.
///
/// # Errors
/// `Shape` where rows do not fit or something is not finite.
pub fn reconcile(
    hierarchy: &Hierarchy,
    base: &[Vec<f64>],
    residuals: &[Vec<f64>],
    method: Reconciliation,
    non_negative: bool,
) -> Result<Vec<Vec<f64>>, BadHierarchy> {
    let horizon = length(hierarchy, base, "base forecasts")?;
    let upper = hierarchy.upper();
    let mut reconciled = vec![vec![0.0; horizon]; hierarchy.nodes()];
    let mint = match method {
        Reconciliation::BottomUp => None,
        Reconciliation::MinTShrink => {
            let count = length(hierarchy, residuals, "residuals")?;
            if count < 3 {
                return Err(BadHierarchy::Shape { what: "residuals", expected: hierarchy.nodes() });
            }
            Some(MinT::new(hierarchy, residuals, count))
        }
    };
    for step in 0..horizon {
        let at: Vec<f64> = base.iter().map(|row| row[step]).collect();
        let mut bottom = match &mint {
            None => at[upper..].to_vec(),
            Some(mint) => mint.bottom(hierarchy, &at),
        };
        if non_negative {
            bottom.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        for (row, value) in reconciled.iter_mut().zip(hierarchy.sum(&bottom)) {
            row[step] = value;
        }
    }
    Ok(reconciled)
}

fn length(hierarchy: &Hierarchy, rows: &[Vec<f64>], what: &'static str) -> Result<usize, BadHierarchy> {
    let length = rows.first().map_or(0, Vec::len);
    let sound = |row: &Vec<f64>| row.len() == length && row.iter().all(|value| value.abs() < 1e100);
    if rows.len() == hierarchy.nodes() && rows.iter().all(sound) {
        Ok(length)
    } else {
        Err(BadHierarchy::Shape { what, expected: hierarchy.nodes() })
    }
}

struct MinT {
    /// Centred residuals of bottom series over √(T − 1), row by row, times √(1 − λ).
    errors: Vec<Vec<f64>>,
    /// λ times variances of bottom series.
    diagonal: Vec<f64>,
    /// Residuals of the constraints, alike.
    gaps: Vec<Vec<f64>>,
    /// Lower factor of C W C′.
    factor: Vec<Vec<f64>>,
}

impl MinT {
    fn new(hierarchy: &Hierarchy, residuals: &[Vec<f64>], count: usize) -> MinT {
        let upper = hierarchy.upper();
        let kept = count.min(LATEST);
        let centred: Vec<Vec<f64>> = residuals
            .iter()
            .map(|row| {
                let row = &row[count - kept..];
                let mean = row.iter().sum::<f64>() / kept as f64;
                let root = ((kept - 1) as f64).sqrt();
                row.iter().map(|value| (value - mean) / root).collect()
            })
            .collect();
        let variances: Vec<f64> = centred.iter().map(|row| dot(row, row)).collect();
        let lambda = intensity(&centred, &variances, kept);
        // A series without errors is all but certain; one with none at all is like the others.
        let mean = variances.iter().sum::<f64>() / variances.len().max(1) as f64;
        let least = if mean > 0.0 { 1e-8 * mean } else { 1.0 };
        let diagonal: Vec<f64> = variances.iter().map(|variance| (lambda * variance).max(least)).collect();
        let part = (1.0 - lambda).sqrt();
        let errors: Vec<Vec<f64>> =
            centred.into_iter().map(|row| row.into_iter().map(|value| part * value).collect()).collect();

        let mut gaps: Vec<Vec<f64>> = errors[..upper].to_vec();
        let mut equations = vec![vec![0.0; upper]; upper];
        for (group, row) in equations.iter_mut().enumerate() {
            row[group] = diagonal[group];
        }
        for position in 0..hierarchy.bottom() {
            for group in hierarchy.groups_of(position) {
                gaps[group].iter_mut().zip(&errors[upper + position]).for_each(|(gap, error)| *gap -= error);
                for other in hierarchy.groups_of(position) {
                    equations[group][other] += diagonal[upper + position];
                }
            }
        }
        for group in 0..upper {
            for other in 0..=group {
                equations[group][other] += dot(&gaps[group], &gaps[other]);
            }
        }
        factorise(&mut equations);
        let errors = errors[upper..].to_vec();
        MinT { errors, diagonal: diagonal[upper..].to_vec(), gaps, factor: equations }
    }

    /// Reconciled forecasts of the bottom series.
    fn bottom(&self, hierarchy: &Hierarchy, base: &[f64]) -> Vec<f64> {
        let upper = hierarchy.upper();
        let mut gap = base[..upper].to_vec();
        for position in 0..hierarchy.bottom() {
            hierarchy.groups_of(position).for_each(|group| gap[group] -= base[upper + position]);
        }
        solve(&self.factor, &mut gap);
        let mut common = vec![0.0; self.gaps.first().map_or(0, Vec::len)];
        for (row, weight) in self.gaps.iter().zip(&gap) {
            common.iter_mut().zip(row).for_each(|(common, value)| *common += weight * value);
        }
        (0..hierarchy.bottom())
            .map(|position| {
                let own: f64 = hierarchy.groups_of(position).map(|group| gap[group]).sum();
                base[upper + position] + self.diagonal[position] * own - dot(&self.errors[position], &common)
            })
            .collect()
    }
}

/// How far covariances are shrunk to none: the sum of the variances of all correlations by that of their squares. Both
/// sums come from the smaller of the two products of the standardised residuals, not from each correlation.
fn intensity(centred: &[Vec<f64>], variances: &[f64], count: usize) -> f64 {
    let times = count as f64;
    let scale = (times - 1.0).sqrt();
    let standard: Vec<Vec<f64>> = centred
        .iter()
        .zip(variances)
        .filter(|(_, variance)| **variance > 0.0)
        .map(|(row, variance)| row.iter().map(|value| value / variance.sqrt() * scale).collect())
        .collect();
    // Over pairs i, j: Σ (Σ x_i x_j)², less those with i = j; and Σ_t (Σ_i x_i²)², less alike.
    let mut products = if standard.len() < count {
        squares(&standard)
    } else {
        let columns: Vec<Vec<f64>> =
            (0..count).map(|time| standard.iter().map(|row| row[time]).collect()).collect();
        squares(&columns)
    };
    let mut fourth = 0.0;
    for time in 0..count {
        fourth += standard.iter().map(|row| row[time] * row[time]).sum::<f64>().powi(2);
    }
    for row in &standard {
        products -= dot(row, row).powi(2);
        fourth -= row.iter().map(|value| value.powi(4)).sum::<f64>();
    }
    let correlations = products / (times - 1.0).powi(2);
    let variance = times / (times - 1.0).powi(3) * (fourth - products / times);
    let lambda = variance / correlations;
    if lambda.is_finite() { lambda.clamp(0.0, 1.0) } else { 1.0 }
}

/// Sum of squares of all products of two rows.
fn squares(rows: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    for (at, row) in rows.iter().enumerate() {
        sum +=
            dot(row, row).powi(2) + 2.0 * rows[..at].iter().map(|other| dot(row, other).powi(2)).sum::<f64>();
    }
    sum
}

/// Sum of products in four lanes.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let (a_parts, a_rest) = a.as_chunks::<4>();
    let (b_parts, b_rest) = b.as_chunks::<4>();
    for (a, b) in a_parts.iter().zip(b_parts) {
        for lane in 0..4 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

/// Cholesky's factor in the lower half; a pivot that vanishes makes its equation count for nothing.
fn factorise(matrix: &mut [Vec<f64>]) {
    for at in 0..matrix.len() {
        let (above, rest) = matrix.split_at_mut(at);
        let row = &mut rest[0];
        let size = row[at];
        for column in 0..at {
            row[column] =
                (row[column] - dot(&row[..column], &above[column][..column])) / above[column][column];
        }
        let pivot = size - dot(&row[..at], &row[..at]);
        row[at] = if pivot > 1e-12 * size { pivot.sqrt() } else { f64::MAX.sqrt() };
    }
}

fn solve(factor: &[Vec<f64>], values: &mut [f64]) {
    for at in 0..values.len() {
        values[at] = (values[at] - dot(&factor[at][..at], &values[..at])) / factor[at][at];
    }
    for at in (0..values.len()).rev() {
        values[at] /= factor[at][at];
        let value = values[at];
        for (other, weight) in values[..at].iter_mut().zip(&factor[at]) {
            *other -= weight * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Noise, assert_close};

    const REFERENCE: [f64; 6] =
        [18.613_711_28, 10.475_543_91, 8.138_167_37, 4.005_021_12, 6.470_522_79, 8.138_167_37];

    fn example() -> (Hierarchy, Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let hierarchy = Hierarchy::new(3, &[vec![0; 3], vec![0, 0, 1]]).unwrap();
        let mut noise = Noise(11);
        let mut rows = |scale: f64| (0..40).map(|_| scale * (noise.uniform() - 0.5)).collect::<Vec<f64>>();
        let bottom = [rows(1.0), rows(2.0), rows(3.0)];
        let own = [rows(1.0), rows(1.0), rows(1.0)];
        let mut residuals = vec![vec![0.0; 40]; 6];
        for time in 0..40 {
            let sums = hierarchy.sum(&[bottom[0][time], bottom[1][time], bottom[2][time]]);
            for node in 0..6 {
                residuals[node][time] = sums[node] + own.get(node).map_or(0.0, |own| own[time]);
            }
        }
        let base = [20.0, 11.0, 8.0, 4.0, 6.0, 7.0].map(|value| vec![value]).to_vec();
        (hierarchy, base, residuals)
    }

    #[test]
    fn mint_agrees_with_the_formula_in_full() {
        // numpy 2: S (S' W⁻¹ S)⁻¹ S' W⁻¹ ŷ, W shrunk by the double sum over all pairs.
        let (hierarchy, base, residuals) = example();
        let found = reconcile(&hierarchy, &base, &residuals, Reconciliation::MinTShrink, true).unwrap();
        let found: Vec<f64> = found.iter().map(|row| row[0]).collect();
        assert_close(&found, &REFERENCE, 1e-8);
    }

    #[test]
    fn sums_agree_and_bottom_up_leaves_the_bottom_alone() {
        let (hierarchy, base, residuals) = example();
        for method in [Reconciliation::BottomUp, Reconciliation::MinTShrink] {
            let found = reconcile(&hierarchy, &base, &residuals, method, true).unwrap();
            assert_eq!(found[0][0], found[3][0] + found[4][0] + found[5][0]);
        }
        let up = reconcile(&hierarchy, &base, &[], Reconciliation::BottomUp, false).unwrap();
        assert_eq!(up.concat(), [17.0, 10.0, 7.0, 4.0, 6.0, 7.0]);
    }

    #[test]
    fn a_big_panel_is_cheap_and_odd_input_is_sound() {
        let hierarchy =
            Hierarchy::new(5_000, &[vec![0; 5_000], (0..5_000).map(|at| at % 50).collect()]).unwrap();
        let mut noise = Noise(5);
        let base = vec![vec![1.0; 7]; hierarchy.nodes()];
        let residuals: Vec<Vec<f64>> =
            (0..hierarchy.nodes()).map(|_| (0..60).map(|_| noise.uniform() - 0.5).collect()).collect();
        let found = reconcile(&hierarchy, &base, &residuals, Reconciliation::MinTShrink, true).unwrap();
        assert!(found.iter().flatten().all(|value| value.is_finite() && *value >= 0.0));
        let still = vec![vec![0.0; 60]; hierarchy.nodes()];
        let found = reconcile(&hierarchy, &base, &still, Reconciliation::MinTShrink, true).unwrap();
        assert!(found.iter().flatten().all(|value| value.is_finite()));
        let wrong = reconcile(&hierarchy, &base[1..], &still, Reconciliation::BottomUp, true);
        assert!(matches!(wrong, Err(BadHierarchy::Shape { what: "base forecasts", .. })));
    }
}
