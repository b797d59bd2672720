//! Minimum of a function of a few bounded variables, without derivatives.
//!
//! Nelder & Mead (1965), "A simplex method for function minimization", *The Computer Journal* 7, with its usual
//! coefficients (1, 2, ½, ½). A point outside the box is moved to its edge.

/// The box to search, where to begin, and when to stop.
#[derive(Debug, Clone)]
pub(crate) struct Search<'a> {
    /// First guess.
    pub(crate) start: &'a [f64],
    /// Edge of the first simplex along each variable.
    pub(crate) edge: &'a [f64],
    /// Lower bounds.
    pub(crate) lower: &'a [f64],
    /// Upper bounds.
    pub(crate) upper: &'a [f64],
    /// The most evaluations of the function.
    pub(crate) evaluations: usize,
    /// Stops when the values on the simplex differ by less than this.
    pub(crate) tolerance: f64,
}

impl Search<'_> {
    /// The best point found and its value. A value that is NaN counts as infinite.
    pub(crate) fn minimise(&self, mut function: impl FnMut(&[f64]) -> f64) -> (Vec<f64>, f64) {
        let size = self.start.len();
        let mut left = self.evaluations;
        let mut value_at = |point: &mut Vec<f64>| {
            for ((x, low), high) in point.iter_mut().zip(self.lower).zip(self.upper) {
                *x = x.clamp(*low, *high);
            }
            left = left.saturating_sub(1);
            let value = function(point);
            (if value.is_nan() { f64::INFINITY } else { value }, left)
        };

        let mut simplex: Vec<(Vec<f64>, f64)> = Vec::with_capacity(size + 1);
        for corner in 0..=size {
            let mut point = self.start.to_vec();
            if corner > 0 {
                let edge = self.edge[corner - 1];
                let inside = point[corner - 1] + edge <= self.upper[corner - 1];
                point[corner - 1] += if inside { edge } else { -edge };
            }
            let (value, _) = value_at(&mut point);
            simplex.push((point, value));
        }

        loop {
            simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
            let (best, worst) = (simplex[0].1, simplex[size].1);
            if size == 0 || (worst - best).abs() <= self.tolerance {
                break;
            }
            let centre: Vec<f64> = (0..size)
                .map(|axis| simplex[..size].iter().map(|(point, _)| point[axis]).sum::<f64>() / size as f64)
                .collect();
            let along = |by: f64, simplex: &[(Vec<f64>, f64)]| -> Vec<f64> {
                centre.iter().zip(&simplex[size].0).map(|(c, w)| c + by * (c - w)).collect()
            };
            let mut reflected = along(1.0, &simplex);
            let (value, mut left) = value_at(&mut reflected);
            if value < best {
                let mut expanded = along(2.0, &simplex);
                let (further, rest) = value_at(&mut expanded);
                left = rest;
                simplex[size] = if further < value { (expanded, further) } else { (reflected, value) };
            } else if value < simplex[size - 1].1 {
                simplex[size] = (reflected, value);
            } else {
                let mut contracted = along(if value < worst { 0.5 } else { -0.5 }, &simplex);
                let (nearer, rest) = value_at(&mut contracted);
                left = rest;
                if nearer < value.min(worst) {
                    simplex[size] = (contracted, nearer);
                } else {
                    let (first, others) = simplex.split_at_mut(1);
                    for (point, value) in others {
                        for (x, to) in point.iter_mut().zip(&first[0].0) {
                            *x = to + 0.5 * (*x - to);
                        }
                        (*value, left) = value_at(point);
                    }
                }
            }
            if left == 0 {
                simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
                break;
            }
        }
        simplex.swap_remove(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_banana_valley() {
        let search = Search {
            start: &[-1.2, 1.0],
            edge: &[0.1, 0.1],
            lower: &[-5.0, -5.0],
            upper: &[5.0, 5.0],
            evaluations: 500,
            tolerance: 1e-14,
        };
        let (at, value) = search.minimise(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2));
        assert!(value < 1e-8 && (at[0] - 1.0).abs() < 1e-3, "{at:?} {value}");
    }

    #[test]
    fn stays_in_its_box_and_stops() {
        let search = Search {
            start: &[0.5],
            edge: &[0.2],
            lower: &[0.25],
            upper: &[0.75],
            evaluations: 60,
            tolerance: 0.0,
        };
        let mut calls = 0;
        let (at, _) = search.minimise(|x| {
            calls += 1;
            assert!((0.25..=0.75).contains(&x[0]));
            -x[0]
        });
        assert_eq!(at, [0.75]);
        assert!(calls <= 64);
    }

    #[test]
    fn survives_a_function_that_is_nowhere_a_number() {
        let search = Search {
            start: &[0.5],
            edge: &[0.2],
            lower: &[0.0],
            upper: &[1.0],
            evaluations: 60,
            tolerance: 0.0,
        };
        assert_eq!(search.minimise(|_| f64::NAN).1, f64::INFINITY);
    }
}
