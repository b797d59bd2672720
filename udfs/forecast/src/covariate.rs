//! What is known of every step beside the value: holidays, promotions, prices.

use crate::unforecastable::Unforecastable;

/// What kind of thing a covariate is: effects of one kind are shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A kind of holiday: above 0 on its days and 0 on others. What it adds, and how long before and after, is found by
    /// comparing those days with the ones around them.
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

/// The most covariates of one forecast, holidays not counted: work grows with their square.
pub const MAX_COVARIATES: usize = 64;

/// What is told of the last `recent` steps of a history and of the horizon.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The cause of each regressor.
    pub(crate) causes: Vec<Cause>,
    /// Covariates that vary in these steps, counted from their least value and scaled to at most 1.
    pub(crate) regressors: Vec<Vec<f64>>,
    /// The steps on which each kind of holiday is.
    pub(crate) holidays: Vec<Vec<usize>>,
}

/// Checks covariates and cuts them to the last `recent` steps of the history.
pub(crate) fn prepare(
    covariates: &[Covariate],
    points: usize,
    recent: usize,
    horizon: usize,
) -> Result<Prepared, Unforecastable> {
    let mut prepared = Prepared { causes: Vec::new(), regressors: Vec::new(), holidays: Vec::new() };
    if covariates.iter().filter(|covariate| covariate.cause != Cause::Holiday).count() > MAX_COVARIATES {
        return Err(Unforecastable::InvalidRequest("a forecast takes at most 64 covariates"));
    }
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
        if covariate.cause == Cause::Holiday {
            prepared.holidays.push((0..values.len()).filter(|step| values[*step] > 0.0).collect());
            continue;
        }
        let known = &values[..recent];
        // Counted from the smallest value of the history: no promotion stays 0.
        let least = known.iter().copied().fold(f64::INFINITY, f64::min);
        let most = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let width = most - least;
        // One that never changed has taught nothing.
        if width > 0.0 && width.is_finite() {
            prepared.causes.push(covariate.cause);
            prepared.regressors.push(values.iter().map(|value| (value - least) / width).collect());
        }
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covariates_are_scaled_and_constant_ones_left_out() {
        let price = Covariate { cause: Cause::Promotion, values: vec![9.0, 10.0, 20.0, 15.0, 30.0] };
        let nothing = Covariate { cause: Cause::Other, values: vec![1.0, 0.0, 0.0, 0.0, 1.0] };
        let feast = Covariate { cause: Cause::Holiday, values: vec![1.0, 0.0, 1.0, 0.0, 1.0] };
        let found = prepare(&[price.clone(), nothing, feast], 4, 3, 1).unwrap();
        assert_eq!(found.causes, [Cause::Promotion]);
        assert_eq!(found.regressors, [[0.0, 1.0, 0.5, 2.0]]);
        assert_eq!(found.holidays, [[1, 3]]);
        assert!(prepare(&[price], 4, 4, 2).is_err());
    }
}
