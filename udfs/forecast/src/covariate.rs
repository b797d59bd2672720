//! What is known of every step beside the value: holidays, promotions, prices.

use crate::unforecastable::Unforecastable;

/// What kind of thing a covariate is: effects of one kind are shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A holiday or festival, usually 1 on its days and 0 on others.
    Holiday,
    /// A promotion or price.
    Promotion,
    /// Anything else.
    Other,
}

/// One number a step, known for the past and for the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariate {
    /// What it is.
    pub cause: Cause,
    /// As many values as the history has, then as many as the horizon has steps; all finite.
    pub values: Vec<f64>,
}

/// The most covariates of one forecast: work grows with their square.
pub const MAX_COVARIATES: usize = 64;

/// Those that vary in the last `recent` steps of the history, cut to these and the horizon, centred and scaled to at
/// most 1, with the cause of each.
pub(crate) fn prepare(
    covariates: &[Covariate],
    points: usize,
    recent: usize,
    horizon: usize,
) -> Result<(Vec<Cause>, Vec<Vec<f64>>), Unforecastable> {
    if covariates.len() > MAX_COVARIATES {
        return Err(Unforecastable::InvalidRequest("a forecast takes at most 64 covariates"));
    }
    let (mut causes, mut columns) = (Vec::new(), Vec::new());
    for covariate in covariates {
        if covariate.values.len() != points + horizon {
            return Err(Unforecastable::InvalidRequest(
                "a covariate needs one value for each step of the history and of the horizon",
            ));
        }
        let values = &covariate.values[points - recent..];
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Unforecastable::InvalidRequest("covariates must be finite numbers"));
        }
        let known = &values[..recent];
        // Counted from the smallest value of the history: no promotion stays 0.
        let least = known.iter().copied().fold(f64::INFINITY, f64::min);
        let most = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let width = most - least;
        // One that never changed has taught nothing.
        if width > 0.0 && width.is_finite() {
            causes.push(covariate.cause);
            columns.push(values.iter().map(|value| (value - least) / width).collect());
        }
    }
    Ok((causes, columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covariates_are_scaled_and_constant_ones_left_out() {
        let price = Covariate { cause: Cause::Promotion, values: vec![9.0, 10.0, 20.0, 15.0, 30.0] };
        let nothing = Covariate { cause: Cause::Holiday, values: vec![1.0, 0.0, 0.0, 0.0, 1.0] };
        let (causes, columns) = prepare(&[price.clone(), nothing], 4, 3, 1).unwrap();
        assert_eq!(causes, [Cause::Promotion]);
        assert_eq!(columns, [[0.0, 1.0, 0.5, 2.0]]);
        assert!(prepare(&[price], 4, 4, 2).is_err());
    }
}
