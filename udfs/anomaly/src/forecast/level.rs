//! The level of a series around each day, without that day.

/// Sums over the days on either side, weighed down by half every `half_life` days: of values, and of what a level of 1
/// would have given.
///
/// The day itself is left out, so that no value has a part in its own expectation. From day `known` on only days before
/// it count. Days whose value is NaN count for nothing. Takes O(n) whatever the half-life.
pub(super) fn sums(values: &[f64], base: &[f64], half_life: f64, known: usize) -> Vec<(f64, f64)> {
    let keep = (-std::f64::consts::LN_2 / half_life).exp();
    let mut sums = vec![(0.0, 0.0); values.len()];
    let mut so_far = (0.0, 0.0);
    let step = |so_far: &mut (f64, f64), day: usize| {
        let known = values[day].is_finite();
        *so_far = (
            (so_far.0 + if known { values[day] } else { 0.0 }) * keep,
            (so_far.1 + if known { base[day] } else { 0.0 }) * keep,
        );
    };
    for (day, sum) in sums.iter_mut().enumerate() {
        *sum = so_far;
        step(&mut so_far, day);
    }
    so_far = (0.0, 0.0);
    for day in (0..known.min(values.len())).rev() {
        sums[day] = (sums[day].0 + so_far.0, sums[day].1 + so_far.1);
        step(&mut so_far, day);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_does_not_see_itself_and_late_days_only_the_past() {
        let level = |values: &[f64]| -> Vec<f64> {
            sums(values, &vec![1.0; values.len()], 5.0, 15).iter().map(|sum| sum.0 / sum.1).collect()
        };
        let mut values = [4.0; 20];
        values[10] = 1e6;
        let levels = level(&values);
        assert!((levels[10] - 4.0).abs() < 1e-6 && levels[9] > 100.0);
        let mut values = [4.0; 20];
        values[18] = 9.0;
        let levels = level(&values);
        assert!((levels[17] - 4.0).abs() < 1e-9 && levels[19] > 4.1 && (levels[14] - 4.0).abs() < 1e-9);
        assert!(level(&[f64::NAN, 2.0])[1].is_nan());
    }
}
