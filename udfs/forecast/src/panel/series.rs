//! A series of a panel as its caller has it, and made ready.

use crate::unforecastable::Unforecastable;

use super::draw;
use super::local::LocalModel;

/// Days of history that are looked at: the latest four years.
pub const PANEL_HISTORY: usize = 1_461;
/// The longest horizon of a panel, in days.
pub const PANEL_HORIZON: usize = 366;
/// The largest value.
const LARGEST: f64 = 1e12;

/// Series on which local and global models are compared, at most (about).
pub(crate) const JUDGED: usize = 1_500;

/// What holds for a whole panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelRequest {
    /// Days ahead, 1 to [`PANEL_HORIZON`].
    pub horizon: usize,
    /// Days since 1970-01-01 that are special, each with the number of its kind: every Deepavali has the same. Past
    /// and future ones, in any order.
    pub holidays: Vec<(i64, u32)>,
    /// Series in the panel: with many, local models are tried on some of them only.
    pub series: usize,
    /// Of the draws.
    pub seed: u64,
}

/// One daily series.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Its place in the panel when sorted by id, from 0: decides draws, so that results do not depend on the order in
    /// which series come.
    pub position: usize,
    /// One value a day, oldest first; those below 0 count as 0. Days before the first sale count as before the launch.
    pub values: &'a [f64],
    /// Days since 1970-01-01 of the first value (of the first day to forecast, where there is none).
    pub first_day: i64,
    /// What the series is, as numbers that mean the same in every series; the category first. May be empty.
    pub codes: &'a [u32],
    /// What is known of each day, ahead as well: one slice a covariate, as long as values and horizon together. NaN is
    /// unknown.
    pub covariates: &'a [&'a [f64]],
}

/// A series made ready by [`prepare`]; about 4 bytes a day, value and covariate.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedSeries {
    pub(crate) position: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) first_day: i64,
    /// Position of the first sale; 0 where there is none.
    pub(crate) launch: usize,
    pub(crate) codes: Vec<u32>,
    /// Covariate by covariate, `values.len() + horizon` each.
    pub(crate) covariates: Vec<f32>,
    pub(crate) horizon: usize,
    /// Only whole numbers.
    pub(crate) whole: bool,
    /// Mean forecast of the local models for the last `horizon` days, made without them.
    pub(crate) held: Option<Vec<f32>>,
}

/// Checks a series, and fits local models to it where they will be judged: call it in parallel.
///
/// # Errors
/// `NotFinite`, `OutOfRange` for a value beyond 1e12, `InvalidRequest` for covariates of another length or more than
/// 32 of them or codes, or a horizon out of range.
pub fn prepare(series: &Series<'_>, request: &PanelRequest) -> Result<PreparedSeries, Unforecastable> {
    let mut prepared = ready(series, request.horizon)?;
    if prepared.is_judged(request.series, request.seed) && prepared.values.len() > request.horizon {
        let cut = prepared.values.len() - request.horizon;
        prepared.held = LocalModel::fit(&prepared, cut).and_then(|local| local.means(&prepared, cut));
    }
    Ok(prepared)
}

/// The same for a series that no model is judged by.
///
/// # Errors
/// Those of [`prepare`].
pub(crate) fn ready(series: &Series<'_>, horizon: usize) -> Result<PreparedSeries, Unforecastable> {
    check(series, horizon)?;
    let skipped = series.values.len().saturating_sub(PANEL_HISTORY);
    let values: Vec<f32> = series.values[skipped..].iter().map(|value| value.max(0.0) as f32).collect();
    let covariates =
        series.covariates.iter().flat_map(|covariate| &covariate[skipped..]).map(|value| *value as f32);
    Ok(PreparedSeries {
        position: series.position,
        first_day: series.first_day.saturating_add(skipped as i64),
        launch: values.iter().position(|value| *value > 0.0).unwrap_or(0),
        codes: series.codes.to_vec(),
        covariates: covariates.collect(),
        horizon,
        whole: values.iter().all(|value| value.fract() == 0.0),
        held: None,
        values,
    })
}

impl PreparedSeries {
    /// Days of history that are known.
    pub fn history_points(&self) -> usize {
        self.values.len()
    }

    /// Whether the series is one of those on which models are compared.
    pub(crate) fn is_judged(&self, series: usize, seed: u64) -> bool {
        let draw = draw::below(draw::hash(seed, self.position as u64, 0x1D), series.max(1));
        draw < JUDGED
    }

    /// The first `cut` values, from the launch on.
    pub(crate) fn known(&self, cut: usize) -> &[f32] {
        &self.values[self.launch.min(cut)..cut]
    }

    /// The category, 0 where there are no codes.
    pub(crate) fn category(&self) -> u32 {
        self.codes.first().copied().unwrap_or(0)
    }

    /// Day since 1970-01-01 of a position.
    pub(crate) fn day(&self, at: usize) -> i64 {
        self.first_day.saturating_add(at as i64)
    }

    /// A covariate's values, history and horizon.
    pub(crate) fn covariate(&self, number: usize) -> &[f32] {
        let length = self.values.len() + self.horizon;
        &self.covariates[number * length..(number + 1) * length]
    }
}

fn check(series: &Series<'_>, horizon: usize) -> Result<(), Unforecastable> {
    let invalid = |what| Err(Unforecastable::InvalidRequest(what));
    if !(1..=PANEL_HORIZON).contains(&horizon) {
        return invalid("horizon of a panel must be between 1 and 366 days");
    }
    if series.codes.len() > 32 || series.covariates.len() > 32 {
        return invalid("a panel takes at most 32 codes and 32 covariates");
    }
    let length = series.values.len() + horizon;
    if series.covariates.iter().any(|covariate| covariate.len() != length) {
        return invalid("a covariate must be given for every day of history and horizon");
    }
    if series.first_day.abs() > 1 << 40 {
        return Err(Unforecastable::OutOfRange { what: "day" });
    }
    if let Some(index) = series.values.iter().position(|value| !value.is_finite()) {
        return Err(Unforecastable::NotFinite { index });
    }
    if series.values.iter().any(|value| value.abs() > LARGEST) {
        return Err(Unforecastable::OutOfRange { what: "value" });
    }
    let mut known = series.covariates.iter().flat_map(|covariate| covariate.iter());
    if known.any(|value| value.is_infinite() || value.abs() > 1e30) {
        return Err(Unforecastable::OutOfRange { what: "covariate" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> PanelRequest {
        PanelRequest { horizon: 14, holidays: Vec::new(), series: 1, seed: 1 }
    }

    fn series(values: &[f64]) -> Series<'_> {
        Series { position: 0, values, first_day: 19_000, codes: &[], covariates: &[] }
    }

    #[test]
    fn only_recent_years_are_kept_and_negatives_are_zero() {
        let values: Vec<f64> = (0..3_000).map(|day| if day == 2_000 { -3.0 } else { 1.5 }).collect();
        let prepared = prepare(&series(&values), &request()).unwrap();
        assert_eq!((prepared.values.len(), prepared.first_day), (PANEL_HISTORY, 19_000 + 3_000 - 1_461));
        assert_eq!(prepared.values[2_000 - (3_000 - 1_461)], 0.0);
        assert!(!prepared.whole);
    }

    #[test]
    fn bad_input_has_a_reason() {
        let code = |series: Series<'_>| prepare(&series, &request()).unwrap_err().code();
        assert_eq!(code(series(&[1.0, f64::NAN])), "not_finite");
        assert_eq!(code(series(&[1e300])), "out_of_range");
        assert_eq!(code(Series { covariates: &[&[1.0]], ..series(&[1.0]) }), "invalid_request");
        assert_eq!(code(Series { covariates: &[&[f64::INFINITY; 15]], ..series(&[1.0]) }), "out_of_range");
        assert_eq!(code(Series { codes: &[0; 33], ..series(&[1.0]) }), "invalid_request");
        let long = PanelRequest { horizon: 367, ..request() };
        assert_eq!(prepare(&series(&[]), &long).unwrap_err().code(), "invalid_request");
        assert!(prepare(&series(&[]), &request()).is_ok());
    }
}
