//! How far two labellings of the same rows agree.

use std::collections::BTreeMap;

/// Adjusted Rand index: 1 for the same groups under any names, about 0 for unrelated ones. 1 for fewer than two rows.
///
/// Hubert & Arabie (1985), "Comparing partitions", *Journal of Classification* 2. Rows beyond the shorter slice don't
/// count.
pub fn adjusted_rand_index(a: &[u32], b: &[u32]) -> f64 {
    let mut cells: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut left: BTreeMap<u32, u64> = BTreeMap::new();
    let mut right: BTreeMap<u32, u64> = BTreeMap::new();
    for (x, y) in a.iter().zip(b) {
        *cells.entry((*x, *y)).or_default() += 1;
        *left.entry(*x).or_default() += 1;
        *right.entry(*y).or_default() += 1;
    }
    let pairs = |count: u64| count as f64 * (count as f64 - 1.0) / 2.0;
    let together: f64 = cells.values().map(|count| pairs(*count)).sum();
    let in_left: f64 = left.values().map(|count| pairs(*count)).sum();
    let in_right: f64 = right.values().map(|count| pairs(*count)).sum();
    let all = pairs(a.len().min(b.len()) as u64);
    if all <= 0.0 {
        return 1.0;
    }
    let expected = in_left * in_right / all;
    let most = 0.5 * (in_left + in_right);
    if most == expected { 1.0 } else { (together - expected) / (most - expected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        // scikit-learn adjusted_rand_score, from the examples of its documentation
        assert_eq!(adjusted_rand_index(&[0, 0, 1, 1], &[5, 5, 2, 2]), 1.0);
        assert!((adjusted_rand_index(&[0, 0, 1, 2], &[0, 0, 1, 1]) - 0.571_428_571).abs() < 1e-9);
        assert!((adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-12);
        assert_eq!(adjusted_rand_index(&[], &[]), 1.0);
        assert_eq!(adjusted_rand_index(&[1, 1, 1], &[2, 2, 2]), 1.0);
    }
}
