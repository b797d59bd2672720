//! Coefficients by conditional least squares.

use super::order::{EVALUATIONS, Order};
use super::polynomial::{Lags, errors, stationary};
use crate::regression::Normal;
use crate::simplex::Search;

/// Estimated coefficients of one order.
#[derive(Debug, Clone)]
pub(crate) struct Estimate {
    pub(crate) order: Order,
    pub(crate) ar: Lags,
    pub(crate) ma: Lags,
    /// Of the differenced series.
    pub(crate) mean: f64,
    /// Of the regressors.
    pub(crate) coefficients: Vec<f64>,
    /// Corrected Akaike criterion, up to a constant of the series and the differences.
    pub(crate) aicc: f64,
}

/// Bound of partial autocorrelations.
const MOST: f64 = 0.985;

impl Estimate {
    /// None where the equations have no solution.
    pub(crate) fn of(values: &[f64], order: Order, regressors: &[Vec<f64>]) -> Option<Estimate> {
        let difference = order.difference();
        let lost = order.lost();
        let differenced = difference.difference(values);
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(regressors.len() + 1);
        if order.constant {
            columns.push((0..values.len()).map(|time| f64::from(u8::from(time >= lost))).collect());
        }
        for regressor in regressors {
            let column: Vec<f64> =
                (0..values.len()).map(|time| regressor.get(time).copied().unwrap_or(0.0)).collect();
            columns.push(difference.difference(&column));
        }
        // Constant and regressors are linear in the errors, so that the search is over the lags alone.
        let solve = |free: &[f64]| -> Option<(Lags, Lags, Vec<f64>, f64)> {
            let (ar, ma) = lags(order, free);
            let target = errors(&differenced, lost, &ar, &ma);
            let filtered: Vec<Vec<f64>> =
                columns.iter().map(|column| errors(column, lost, &ar, &ma)).collect();
            let (coefficients, squares) = Normal::fit(&filtered, &target)?;
            Some((ar, ma, coefficients, squares))
        };
        let size = order.coefficients();
        let search = Search {
            start: &vec![0.1; size],
            edge: &vec![0.25; size],
            lower: &vec![-MOST; size],
            upper: &vec![MOST; size],
            evaluations: EVALUATIONS.0 + EVALUATIONS.1 * size,
            tolerance: 1e-4,
        };
        let count = values.len().saturating_sub(lost) as f64;
        let least = 1e-24 * differenced.iter().map(|value| value * value).sum::<f64>() + f64::MIN_POSITIVE;
        let deviance = |squares: f64| count * (squares.max(least) / count).ln();
        let free = if size == 0 {
            Vec::new()
        } else {
            search.minimise(|free| solve(free).map_or(f64::INFINITY, |(.., squares)| deviance(squares))).0
        };
        let (ar, ma, mut coefficients, squares) = solve(&free)?;
        let mean = if order.constant { coefficients.remove(0) } else { 0.0 };
        let parameters = (order.parameters() + regressors.len() + 1) as f64;
        let aicc = deviance(squares)
            + 2.0 * parameters
            + 2.0 * parameters * (parameters + 1.0) / (count - parameters - 1.0).max(0.5);
        aicc.is_finite().then_some(Estimate { order, ar, ma, mean, coefficients, aicc })
    }
}

/// Autoregressive and moving-average lags from partial autocorrelations, plain ones first.
fn lags(order: Order, free: &[f64]) -> (Lags, Lags) {
    let (p, q, sp) = (order.p, order.q, order.seasonal.0);
    let negated = |partial: &[f64]| stationary(partial).into_iter().map(|c| -c).collect::<Vec<f64>>();
    let ar = Lags::every(1, &stationary(&free[..p]));
    let ma = Lags::every(1, &negated(&free[p..p + q]));
    if order.season < 2 {
        return (ar, ma);
    }
    let seasonal_ar = Lags::every(order.season, &stationary(&free[p + q..p + q + sp]));
    let seasonal_ma = Lags::every(order.season, &negated(&free[p + q + sp..]));
    (ar.times(&seasonal_ar, -1.0), ma.times(&seasonal_ma, 1.0))
}
