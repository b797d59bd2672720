//! Logistic regression with a quadratic penalty, by L-BFGS.
//!
//! The least of (Σ shareᵢ · log-lossᵢ) + λ/2 · |w|², where the rows of each class have half of the shares and features
//! are standardised; the bias is free. Liu & Nocedal (1989), "On the limited memory BFGS method for large scale
//! optimization", *Mathematical Programming* 45.

/// Rows of features, one after the other, and what each shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) features: &'a [f32],
    pub(crate) wide: usize,
    pub(crate) authentic: &'a [bool],
}

/// Log odds of being authentic: Σ weightᵢ · xᵢ + bias, in the features as they come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Logistic {
    pub(crate) weights: Vec<f64>,
    pub(crate) bias: f64,
}

impl Logistic {
    /// Log odds of one row.
    pub(crate) fn logit(&self, row: &[f32]) -> f64 {
        self.bias + row.iter().zip(&self.weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>()
    }
}

/// Steps that L-BFGS remembers, and steps at most.
const MEMORY: usize = 10;
const STEPS: usize = 300;
/// Length of the gradient, against that at the start, at which it is done.
const SMALL: f64 = 1e-6;

/// Fits the rows at the places in `chosen`; `None` where they show one class alone.
pub(crate) fn fit(rows: Rows<'_>, chosen: &[usize], lambda: f64) -> Option<Logistic> {
    let row =
        |place: usize| rows.features.get(place * rows.wide..(place + 1) * rows.wide).unwrap_or_default();
    let label = |place: usize| rows.authentic.get(place).copied().unwrap_or_default();
    let authentic = chosen.iter().filter(|place| label(**place)).count();
    let share = [0.5 / (chosen.len() - authentic) as f64, 0.5 / authentic as f64];
    if authentic == 0 || authentic == chosen.len() {
        return None;
    }
    let (mean, deviation) = moments(chosen.iter().map(|place| row(*place)), rows.wide, chosen.len());

    // One number more than there are features: the bias.
    let value = |point: &[f64], gradient: &mut [f64]| -> f64 {
        let (weights, bias) = point.split_at(rows.wide);
        let scaled: Vec<f64> =
            weights.iter().zip(&deviation).map(|(w, d)| if *d > 0.0 { w / d } else { 0.0 }).collect();
        let shift: f64 = bias.iter().sum::<f64>() - scaled.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>();
        let mut loss = 0.5 * lambda * weights.iter().map(|w| w * w).sum::<f64>();
        let mut raw = vec![0.0; rows.wide];
        let mut residuals = 0.0;
        for place in chosen {
            let x = row(*place);
            let logit = shift + x.iter().zip(&scaled).map(|(x, w)| f64::from(*x) * w).sum::<f64>();
            let (authentic, share) = (label(*place), share[usize::from(label(*place))]);
            let signed = if authentic { logit } else { -logit };
            loss += share * ((-signed.abs()).exp().ln_1p() + (-signed).max(0.0));
            let residual = share * (1.0 / (1.0 + (-logit).exp()) - f64::from(u8::from(authentic)));
            residuals += residual;
            raw.iter_mut().zip(x).for_each(|(sum, x)| *sum += residual * f64::from(*x));
        }
        let parts = raw.iter().zip(&mean).zip(&deviation).zip(weights);
        for (place, (((raw, mean), deviation), weight)) in gradient.iter_mut().zip(parts) {
            *place =
                lambda * weight + if *deviation > 0.0 { (raw - mean * residuals) / deviation } else { 0.0 };
        }
        if let Some(last) = gradient.last_mut() {
            *last = residuals;
        }
        loss
    };
    let point = minimise(value, rows.wide + 1);
    let (weights, bias) = point.split_at(rows.wide);
    let weights: Vec<f64> =
        weights.iter().zip(&deviation).map(|(w, d)| if *d > 0.0 { w / d } else { 0.0 }).collect();
    let bias = bias.iter().sum::<f64>() - weights.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>();
    Some(Logistic { weights, bias })
}

/// Mean and deviation of each feature; a deviation of 0 where all are alike.
fn moments<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    wide: usize,
    count: usize,
) -> (Vec<f64>, Vec<f64>) {
    let (mut mean, mut deviation) = (vec![0.0; wide], vec![0.0; wide]);
    for row in rows.clone() {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) / count as f64);
    }
    for row in rows {
        let apart = deviation.iter_mut().zip(row).zip(&mean);
        apart.for_each(|((sum, x), mean)| *sum += (f64::from(*x) - mean).powi(2) / count as f64);
    }
    for (deviation, mean) in deviation.iter_mut().zip(&mean) {
        *deviation = deviation.sqrt();
        if *deviation <= 1e-9 * mean.abs().max(1e-9) {
            *deviation = 0.0;
        }
    }
    (mean, deviation)
}

/// The least of a smooth convex function, from nought.
fn minimise(value: impl Fn(&[f64], &mut [f64]) -> f64, long: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut point, mut gradient) = (vec![0.0; long], vec![0.0; long]);
    let mut loss = value(&point, &mut gradient);
    let goal = SMALL * dot(&gradient, &gradient).sqrt().max(f64::MIN_POSITIVE);
    let mut past: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..STEPS {
        if dot(&gradient, &gradient).sqrt() <= goal {
            break;
        }
        let mut direction = gradient.clone();
        let mut factors = Vec::with_capacity(past.len());
        for (step, change, inverse) in past.iter().rev() {
            let factor = inverse * dot(step, &direction);
            direction.iter_mut().zip(change).for_each(|(d, c)| *d -= factor * c);
            factors.push(factor);
        }
        if let Some((step, change, _)) = past.last() {
            let scale = dot(step, change) / dot(change, change);
            direction.iter_mut().for_each(|d| *d *= scale);
        }
        for ((step, change, inverse), factor) in past.iter().zip(factors.into_iter().rev()) {
            let back = factor - inverse * dot(change, &direction);
            direction.iter_mut().zip(step).for_each(|(d, s)| *d += back * s);
        }
        let slope = -dot(&gradient, &direction);
        let (mut length, mut found) =
            (if past.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 }, None);
        // Half as far until it is far enough down (Armijo).
        for _ in 0..40 {
            let next: Vec<f64> = point.iter().zip(&direction).map(|(p, d)| p - length * d).collect();
            let mut next_gradient = vec![0.0; long];
            let next_loss = value(&next, &mut next_gradient);
            if next_loss <= loss + 1e-4 * length * slope {
                found = Some((next, next_gradient, next_loss));
                break;
            }
            length /= 2.0;
        }
        let Some((next, next_gradient, next_loss)) = found else { break };
        let step: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let along = dot(&step, &change);
        if along > 1e-14 * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            past.push((step, change, 1.0 / along));
            if past.len() > MEMORY {
                past.remove(0);
            }
        }
        (point, gradient, loss) = (next, next_gradient, next_loss);
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: [f32; 24] = [
        0.5, 1.0, 3.0, 1.5, -0.5, 3.0, -1.0, 0.25, 3.0, 2.0, 1.5, 3.0, 0.0, -1.25, 3.0, -0.5, 2.0, 3.0, 1.0,
        0.5, 3.0, -2.0, -0.75, 3.0,
    ];
    const AUTHENTIC: [bool; 8] = [true, false, false, true, false, true, true, false];

    /// scikit-learn 1.9.1: `StandardScaler` on the first two columns, then
    /// `LogisticRegression(C=1/(8*0.1), class_weight="balanced", tol=1e-12)`, whose loss is 8 times ours.
    #[test]
    fn it_agrees_with_scikit_learn() {
        let rows = Rows { features: &FEATURES, wide: 3, authentic: &AUTHENTIC };
        let found = fit(rows, &(0..8).collect::<Vec<_>>(), 0.1).unwrap();
        let expected = [REFERENCE[0], REFERENCE[1], 0.0];
        for (found, expected) in found.weights.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert!((found.bias - REFERENCE[2]).abs() < 1e-5, "{found:?}");
    }

    const REFERENCE: [f64; 3] = [0.45160443, 1.30010139, -0.56859977];

    #[test]
    fn one_class_alone_teaches_nothing() {
        let rows = Rows { features: &FEATURES, wide: 3, authentic: &AUTHENTIC };
        assert_eq!(fit(rows, &[0, 3], 0.1), None);
        assert_eq!(fit(rows, &[], 0.1), None);
    }
}
