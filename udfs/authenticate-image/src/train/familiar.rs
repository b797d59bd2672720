//! What photos of shoes have in common: principal components of their embeddings.
//!
//! Jolliffe (2002), *Principal Component Analysis*, §2.1 and 10.1: what the first components leave of a photo tells
//! whether it belongs to the others. Found by orthogonal iteration (Golub & Van Loan 2013, *Matrix Computations*, §7.3.2).

use super::logistic::Rows;
use crate::onnx_file::Directions;

/// Directions at most; and photos, and numbers of an embedding, that each one needs.
const MOST: usize = 64;
const EACH: usize = 4;
/// Multiplications by the covariance: what is left of a direction that is half as long as the last one wanted is 2⁻¹².
const ROUNDS: usize = 12;

/// The mean and the main directions of the rows at the places in `chosen`, each scaled to length 1; `seed` starts the
/// search. Time is about 2 · rows · numbers · directions · rounds multiplications.
pub(crate) fn fit(rows: Rows<'_>, chosen: &[usize], seed: u64) -> Directions {
    let wide = rows.wide;
    let units: Vec<Vec<f32>> = chosen.iter().map(|place| unit(super::row(rows, *place))).collect();
    let mut mean = vec![0.0_f64; wide];
    for row in &units {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / units.len() as f64);
    }
    let mean: Vec<f32> = mean.into_iter().map(|x| x as f32).collect();
    let apart: Vec<Vec<f32>> =
        units.into_iter().map(|row| row.iter().zip(&mean).map(|(x, mean)| x - mean).collect()).collect();
    let count = MOST.min(wide / EACH).min(apart.len() / EACH).max(1);

    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut directions: Vec<Vec<f32>> = (0..count).map(|_| (0..wide).map(|_| draw()).collect()).collect();
    orthonormal(&mut directions);
    for _ in 0..ROUNDS {
        let mut next = vec![vec![0.0; wide]; count];
        for row in &apart {
            for (direction, next) in directions.iter().zip(&mut next) {
                let part = dot(row, direction);
                next.iter_mut().zip(row).for_each(|(sum, x)| *sum += part * x);
            }
        }
        directions = next;
        orthonormal(&mut directions);
    }
    let along = (0..wide).flat_map(|at| directions.iter().map(move |direction| direction[at])).collect();
    Directions { mean, along, count }
}

impl Directions {
    /// The square of what the directions leave of an embedding scaled to length 1.
    pub(crate) fn strangeness(&self, row: &[f32]) -> f64 {
        let apart: Vec<f32> = unit(row).iter().zip(&self.mean).map(|(x, mean)| x - mean).collect();
        let mut along = vec![0.0_f64; self.count];
        for (x, parts) in apart.iter().zip(self.along.chunks_exact(self.count)) {
            along.iter_mut().zip(parts).for_each(|(sum, part)| *sum += f64::from(x * part));
        }
        let known: f64 = along.iter().map(|part| part * part).sum();
        apart.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() - known
    }
}

fn unit(row: &[f32]) -> Vec<f32> {
    let length = dot(row, row).sqrt().max(f32::MIN_POSITIVE);
    row.iter().map(|x| x / length).collect()
}

/// Eight sums side by side, which the compiler can make vectors of.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (left, right) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    let mut sums = [0.0; 8];
    for (one, other) in left.zip(right) {
        sums.iter_mut().zip(one.iter().zip(other)).for_each(|(sum, (x, y))| *sum += x * y);
    }
    sums.iter().sum::<f32>() + rest
}

/// Makes vectors orthogonal and of length 1, in their order (Gram & Schmidt, twice); one that is nothing beside those
/// before it becomes 0.
fn orthonormal(vectors: &mut [Vec<f32>]) {
    for at in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(at);
        let Some(vector) = rest.first_mut() else { continue };
        let whole = dot(vector, vector).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let part = dot(vector, other);
                vector.iter_mut().zip(other).for_each(|(x, y)| *x -= part * y);
            }
        }
        let length = dot(vector, vector).sqrt();
        let scale = if length > 1e-5 * whole { 1.0 / length } else { 0.0 };
        vector.iter_mut().for_each(|x| *x *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of 16 numbers that lie near a plane through (1, …, 1), and one that does not.
    fn rows() -> Vec<f32> {
        let wave = |at: usize, of: usize| ((at * of) as f32 * 0.7).sin();
        let near = (0..40).flat_map(|row| {
            (0..16).map(move |at| {
                1.0 + 0.3 * wave(row, 1) * wave(at, 1)
                    + 0.2 * wave(row, 3) * wave(at, 2)
                    + 0.001 * wave(row + at, 5)
            })
        });
        near.chain((0..16).map(|at| 1.0 + 0.5 * wave(at, 6))).collect()
    }

    #[test]
    fn what_the_main_directions_leave_is_strange() {
        let features = rows();
        let rows = Rows { features: &features, wide: 16, authentic: &[true; 41] };
        let known: Vec<usize> = (0..40).collect();
        let found = fit(rows, &known, 7);
        assert_eq!((found.count, found.along.len(), found.mean.len()), (4, 64, 16));
        let strange = |place: usize| found.strangeness(&features[place * 16..(place + 1) * 16]);
        let most = known.iter().map(|place| strange(*place)).fold(0.0, f64::max);
        assert!(most < 1e-4 && strange(40) > 1e-2, "{most} {}", strange(40));
        // A photo twice as bright, in embedding, is the same one.
        let twice: Vec<f32> = features[..16].iter().map(|x| 2.0 * x).collect();
        assert!((found.strangeness(&twice) - strange(0)).abs() < 1e-6);
        for (at, one) in (0..4).flat_map(|at| (0..4).map(move |one| (at, one))) {
            let product: f32 = found.along.chunks_exact(4).map(|parts| parts[at] * parts[one]).sum();
            assert!((product - f32::from(u8::from(at == one))).abs() < 1e-4, "{at} {one}: {product}");
        }
    }

    #[test]
    fn photos_that_are_all_alike_have_no_directions() {
        let features = [1.0, 2.0, 3.0].repeat(6);
        let rows = Rows { features: &features, wide: 3, authentic: &[true; 6] };
        let found = fit(rows, &[0, 1, 2, 3, 4, 5], 1);
        assert!(found.along.iter().all(|part| part.is_finite()));
        assert!(found.strangeness(&[1.0, 2.0, 3.0]).abs() < 1e-6);
        assert!(found.strangeness(&[3.0, 0.0, 0.0]) > 0.3);
        assert!(found.strangeness(&[0.0, 0.0, 0.0]).is_finite());
    }
}
