//! Local regression on evenly spaced values.
//!
//! Cleveland, Cleveland, McRae & Terpenning (1990), "STL: a seasonal-trend decomposition procedure based on loess",
//! *Journal of Official Statistics* 6, §2.1, with the details of its Fortran (netlib `a/stl`): tricube weights over the
//! `window` nearest values, a line through them, and every `jump`th position computed, those between interpolated.

/// How to smooth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loess<'a> {
    /// Values that a position looks at, odd. Larger than the number of values makes the weights flatter.
    pub(crate) window: usize,
    /// Distance of the positions that are computed, at least 1.
    pub(crate) jump: usize,
    /// Weight of each value, or none for 1.
    pub(crate) weights: Option<&'a [f64]>,
}

impl Loess<'_> {
    /// The smoothed values. Work: values / jump × min(window, values).
    pub(crate) fn smooth(&self, values: &[f64]) -> Vec<f64> {
        let count = values.len();
        if count < 2 {
            return values.to_vec();
        }
        let jump = self.jump.clamp(1, count - 1);
        let mut smooth = vec![0.0; count];
        let mut previous = 0;
        let mut at = 0;
        loop {
            let (left, right) = self.window(at, count);
            smooth[at] = self.at(values, at as f64, left, right).unwrap_or(values[at]);
            let step = (smooth[at] - smooth[previous]) / (at - previous).max(1) as f64;
            for between in previous + 1..at {
                smooth[between] = smooth[previous] + step * (between - previous) as f64;
            }
            if at == count - 1 {
                return smooth;
            }
            previous = at;
            at = (at + jump).min(count - 1);
        }
    }

    /// First and last of the values that position `at` looks at.
    fn window(&self, at: usize, count: usize) -> (usize, usize) {
        if self.window >= count {
            return (0, count - 1);
        }
        let left = at.saturating_sub(self.window / 2).min(count - self.window);
        (left, left + self.window - 1)
    }

    /// The regression at position `at`, which may lie outside, on the values from `left` to `right`; None where every
    /// weight is zero.
    pub(crate) fn at(&self, values: &[f64], at: f64, left: usize, right: usize) -> Option<f64> {
        let mut reach = (at - left as f64).max(right as f64 - at);
        if self.window > values.len() {
            reach += ((self.window - values.len()) / 2) as f64;
        }
        let weight = |index: usize| {
            let distance = (index as f64 - at).abs();
            let tricube = if distance > 0.999 * reach {
                0.0
            } else if distance > 0.001 * reach {
                let part = distance / reach;
                let rest = 1.0 - part * part * part;
                rest * rest * rest
            } else {
                1.0
            };
            self.weights.map_or(tricube, |weights| tricube * weights[index])
        };
        // Moments about the position: one pass, whatever the degree.
        let (mut w0, mut w1, mut w2, mut y0, mut y1) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (index, value) in values.iter().enumerate().take(right + 1).skip(left) {
            let weight = weight(index);
            let x = index as f64 - at;
            w0 += weight;
            w1 += weight * x;
            w2 += weight * x * x;
            y0 += weight * value;
            y1 += weight * x * value;
        }
        if w0 <= 0.0 {
            return None;
        }
        let (mean, centre) = (y0 / w0, w1 / w0);
        let spread = w2 / w0 - centre * centre;
        // As good as all weight on one value: no line.
        if spread.max(0.0).sqrt() <= 0.001 * (values.len() - 1) as f64 {
            return Some(mean);
        }
        let slope = (y1 / w0 - centre * mean) / spread;
        Some(mean - slope * centre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_whatever_the_window() {
        let line: Vec<f64> = (0..30).map(|x| 3.0 - 0.5 * f64::from(x)).collect();
        for (window, jump) in [(7, 1), (13, 4), (31, 1), (101, 10)] {
            let smooth = Loess { window, jump, weights: None }.smooth(&line);
            assert!(smooth.iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-9), "{window} {jump}");
        }
    }

    #[test]
    fn one_value_and_none_are_their_own_smooth() {
        let loess = Loess { window: 7, jump: 1, weights: None };
        assert_eq!(loess.smooth(&[4.0]), [4.0]);
        assert!(loess.smooth(&[]).is_empty());
    }

    #[test]
    fn a_value_without_weight_has_no_say() {
        let mut values = vec![2.0; 21];
        values[10] = 1000.0;
        let mut weights = vec![1.0; 21];
        weights[10] = 0.0;
        let smooth = Loess { window: 7, jump: 1, weights: Some(&weights) }.smooth(&values);
        assert!(smooth.iter().all(|value| (value - 2.0).abs() < 1e-9), "{smooth:?}");
    }
}
