//! Complex exponential smoothing without a season.
//!
//! Svetunkov, Kourentzes & Ord (2022), "Complex exponential smoothing", *Naval Research Logistics* 69: level and
//! information potential are the parts of one complex number, smoothed by a complex constant, so that stationary and
//! trending series need no choice between forms.

use crate::interval::Fitted;
use crate::simplex::Search;

/// Points needed for two states, two parameters and an error.
pub(crate) const NEEDED: usize = 6;

/// Where the search for the constant begins: the best of these.
const STARTS: [[f64; 2]; 4] = [[1.3, 1.0], [1.0, 1.0], [1.8, 1.0], [1.4, 1.2]];

/// A fitted model: the smoothing constant and the states before the first value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ces {
    real: f64,
    imaginary: f64,
    level: f64,
    potential: f64,
}

impl Ces {
    /// Fits at least [`NEEDED`] values; None where no stable constant gives a finite error.
    pub(crate) fn fit(values: &[f64]) -> Option<Ces> {
        if values.len() < NEEDED {
            return None;
        }
        let starts = STARTS.iter().filter_map(|start| Some((Ces::solve(start, values)?.1, start)));
        let (least, start) = starts.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let search = Search {
            start,
            edge: &[0.1, 0.02],
            lower: &[0.01, 0.5],
            upper: &[2.5, 1.6],
            evaluations: 120,
            tolerance: 1e-4 * least,
        };
        let squares = |point: &[f64]| Ces::solve(point, values).map_or(f64::INFINITY, |(_, squares)| squares);
        let (point, _) = search.minimise(squares);
        Ces::solve(&point, values).map(|(ces, _)| ces)
    }

    /// The best first states under a constant, and the squared errors: errors are linear in the states, so these are
    /// least squares in one pass. None where the constant is not stable or the errors overflow.
    fn solve(point: &[f64], values: &[f64]) -> Option<(Ces, f64)> {
        let at = Ces { real: point[0], imaginary: point[1], level: 0.0, potential: 0.0 };
        if !at.stable() {
            return None;
        }
        let (mut rest, mut one, mut other) = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0));
        let (mut aa, mut ab, mut bb, mut ra, mut rb, mut rr) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for value in values {
            let (r, a, b) = (value - rest.0, one.0, other.0);
            (aa, ab, bb) = (aa + a * a, ab + a * b, bb + b * b);
            (ra, rb, rr) = (ra + r * a, rb + r * b, rr + r * r);
            rest = at.next(rest, r);
            one = at.next(one, -a);
            other = at.next(other, -b);
        }
        let (aa, bb) = (aa * (1.0 + 1e-9) + 1e-12, bb * (1.0 + 1e-9) + 1e-12);
        let whole = aa * bb - ab * ab;
        let level = (ra * bb - rb * ab) / whole;
        let potential = (rb * aa - ra * ab) / whole;
        let squares = (rr - level * ra - potential * rb).max(0.0);
        (squares.is_finite() && level.is_finite() && potential.is_finite())
            .then_some((Ces { level, potential, ..at }, squares))
    }

    /// Level and potential after an error.
    fn next(&self, (level, potential): (f64, f64), error: f64) -> (f64, f64) {
        (
            level - (1.0 - self.imaginary) * potential + (self.real - self.imaginary) * error,
            level + (1.0 - self.real) * potential + (self.real + self.imaginary) * error,
        )
    }

    /// Whether old errors fade: the eigenvalues of the transition less what each error corrects lie within the circle.
    fn stable(&self) -> bool {
        let (a, b) = (self.real, self.imaginary);
        // Rows of F − g·w': [1 − (a − b), −(1 − b)], [1 − (a + b), 1 − a].
        let trace = 1.0 - (a - b) + 1.0 - a;
        let determinant = (1.0 - (a - b)) * (1.0 - a) + (1.0 - b) * (1.0 - (a + b));
        determinant.abs() < 0.999 && trace.abs() < 1.0 + determinant
    }
}

impl Fitted for Ces {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        let mut states = (self.level, self.potential);
        for (time, value) in history.iter().enumerate() {
            states = self.next(states, value - states.0);
            if time + 1 >= first {
                let mut ahead = states;
                for mean in &mut means {
                    *mean = ahead.0;
                    ahead = self.next(ahead, 0.0);
                }
                visit(time + 1, &means);
            }
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let mut variance = 1.0;
        let mut response = self.next((0.0, 0.0), 1.0);
        (0..horizon)
            .map(|step| {
                if step > 0 {
                    variance += response.0 * response.0;
                    response = self.next(response, 0.0);
                }
                f64::sqrt(variance)
            })
            .collect()
    }

    fn parameters(&self) -> usize {
        4
    }

    fn warm_up(&self) -> usize {
        1
    }

    fn form(&self) -> Option<String> {
        Some("CES".to_string())
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Ces::fit(values)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, assert_close};

    fn ahead(ces: &Ces, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        ces.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn a_constant_stays_and_a_line_goes_on() {
        let ces = Ces::fit(&[5.0; 30]).unwrap();
        assert_close(&ahead(&ces, &[5.0; 30], 3), &[5.0; 3], 1e-3);
        let line: Vec<f64> = (0..60).map(|t| 10.0 + 2.0 * f64::from(t)).collect();
        let ces = Ces::fit(&line).unwrap();
        assert_close(&ahead(&ces, &line, 3), &[130.0, 132.0, 134.0], 0.03);
    }

    #[test]
    fn short_and_odd_series_have_no_fit_or_a_finite_one() {
        assert!(Ces::fit(&[1.0; 5]).is_none());
        let ces = Ces::fit(&AIR_PASSENGERS).unwrap();
        // statsforecast 2.1.1, AutoCES(season_length=1, model='N'): 425.49, 418.24, 417.20.
        assert_close(&ahead(&ces, &AIR_PASSENGERS, 3), &[425.49, 418.24, 417.20], 0.03);
        assert!(ahead(&ces, &AIR_PASSENGERS, 24).iter().all(|mean| (200.0..900.0).contains(mean)));
    }
}
