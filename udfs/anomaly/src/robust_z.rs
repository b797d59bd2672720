//! Robust z-scores: how many deviations from the middle, both measured so that outliers don't move them.

use crate::Error;
use crate::point::{Point, Side};
use crate::quantile::median;

/// Robust z from which a value is an outlier: 3.5, the cut-off of Iglewicz & Hoaglin.
pub const ROBUST_Z_THRESHOLD: f64 = 3.5;

/// What a median absolute deviation of normal data is multiplied by to be its standard deviation.
pub(crate) const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;
/// The same for a mean absolute deviation.
pub(crate) const MEAN_TO_SIGMA: f64 = 1.253_314_137_315_500_3;

/// The middle of a sample and what one deviation from it is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// Median.
    pub(crate) centre: f64,
    /// Comparable to the standard deviation of normal data; 0 where all values are equal.
    pub(crate) scale: f64,
}

impl Spread {
    /// Of the finite values; None where there are none.
    ///
    /// The scale is 1.4826 times the median absolute deviation. Where more than half of the values are equal that is 0,
    /// and 1.2533 times the mean absolute deviation takes its place.
    pub(crate) fn of(values: &[f64]) -> Option<Spread> {
        let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        if finite.is_empty() {
            return None;
        }
        let centre = median(&mut finite);
        finite.iter_mut().for_each(|value| *value = (*value - centre).abs().min(f64::MAX));
        let mad = MAD_TO_SIGMA * median(&mut finite);
        let count = finite.len() as f64;
        let scale = if mad > 0.0 {
            mad
        } else {
            MEAN_TO_SIGMA * finite.iter().map(|deviation| deviation / count).sum::<f64>()
        };
        Some(Spread { centre, scale: scale.min(f64::MAX) })
    }

    /// The same with a scale that a number of things has at least: the deviation of a Poisson number with that mean, and 1.
    /// Among days without a sale, a day with one is none that stands out.
    fn of_counts(self) -> Spread {
        Spread { scale: self.scale.max(self.centre.max(1.0).sqrt()), ..self }
    }

    /// The signed robust z of a value: 0 at the centre even where the scale is 0.
    pub(crate) fn z(self, value: f64) -> f64 {
        let deviation = value - self.centre;
        if deviation == 0.0 { 0.0 } else { (deviation / self.scale).clamp(-1e300, 1e300) }
    }
}

/// The signed robust z-score of each value: 0.6745 (x − median) / MAD, for a window of values.
///
/// Iglewicz & Hoaglin (1993), *How to Detect and Handle Outliers*. Where more than half of the values are equal the MAD
/// is 0 and (x − median) / (1.2533 · mean absolute deviation) is used; where all are equal every score is 0. A value
/// that isn't finite scores NaN and is left out of the median and the MAD.
#[must_use]
pub fn anomaly_score_mad(values: &[f64]) -> Vec<f64> {
    let Some(spread) = Spread::of(values) else { return vec![f64::NAN; values.len()] };
    values.iter().map(|value| if value.is_finite() { spread.z(*value) } else { f64::NAN }).collect()
}

/// Judges each value by its robust z, see [`anomaly_score_mad`]. `threshold` is in z.
///
/// # Errors
///
/// [`Error::TooFew`] below three finite values, [`Error::Argument`] for a threshold that isn't positive.
pub fn robust_z(values: &[f64], threshold: f64, side: Side) -> Result<Vec<Point>, Error> {
    judge(values, Spread::of(values), threshold, side)
}

/// Judges each value as [`robust_z`] does, but for whole numbers that are not negative: they count things, and one
/// deviation is worth at least what chance makes of a count with that median, √median and at least 1.
///
/// # Errors
///
/// Those of [`robust_z`].
pub(crate) fn robust_z_or_counts(values: &[f64], threshold: f64, side: Side) -> Result<Vec<Point>, Error> {
    let counts =
        values.iter().filter(|value| value.is_finite()).all(|value| *value >= 0.0 && value.fract() == 0.0);
    let spread = Spread::of(values);
    judge(values, if counts { spread.map(Spread::of_counts) } else { spread }, threshold, side)
}

fn judge(values: &[f64], spread: Option<Spread>, threshold: f64, side: Side) -> Result<Vec<Point>, Error> {
    if !(threshold > 0.0 && threshold.is_finite()) {
        return Err(Error::Argument { name: "threshold", range: "above 0" });
    }
    let found = values.iter().filter(|value| value.is_finite()).count();
    match spread {
        Some(spread) if found >= 3 => Ok(values
            .iter()
            .map(|value| Point::by_z(*value, spread.centre, spread.scale, spread.z(*value), threshold, side))
            .collect()),
        _ => Err(Error::TooFew { found, needed: 3 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_iglewicz_and_hoaglin() {
        // scipy 1.17: 0.674489750196082 * (x - median) / stats.median_abs_deviation(x).
        let values = [3.2, 3.3, 8.1, 3.2, 2.9, 3.7, 3.1, 3.5, 3.3];
        let scores = anomaly_score_mad(&values);
        assert!((scores[2] - 16.187_754_004_705_97).abs() < 1e-9, "{}", scores[2]);
        assert!((scores[4] + 1.348_979_500_392_164).abs() < 1e-9, "{}", scores[4]);
        let points = robust_z(&values, ROBUST_Z_THRESHOLD, Side::Both).unwrap();
        assert_eq!(points.iter().filter(|point| point.is_anomaly).count(), 1);
    }

    #[test]
    fn mostly_equal_values_fall_back() {
        let mut values = vec![5.0; 10];
        values.push(7.0);
        let scores = anomaly_score_mad(&values);
        // 2 / (1.2533 · 2/11)
        assert!((scores[10] - 11.0 / 1.253_314_137_315_500_3).abs() < 1e-12);
        assert!(anomaly_score_mad(&[5.0; 4]).iter().all(|score| *score == 0.0));
    }

    #[test]
    fn one_sale_among_days_without_is_no_outlier() {
        let mut days = vec![0.0; 20];
        (days[3], days[11]) = (1.0, 1.0);
        let alarms = |points: Result<Vec<Point>, Error>| {
            points.unwrap().iter().filter(|point| point.is_anomaly).count()
        };
        let plain = |days: &[f64]| alarms(robust_z(days, ROBUST_Z_THRESHOLD, Side::Both));
        let counted = |days: &[f64]| alarms(robust_z_or_counts(days, ROBUST_Z_THRESHOLD, Side::Both));
        assert_eq!((plain(&days), counted(&days)), (2, 0));
        days[11] = 9.0;
        assert_eq!(counted(&days), 1);
        // Measurements are not counts.
        days.iter_mut().for_each(|day| *day /= 10.0);
        assert_eq!(counted(&days), plain(&days));
    }

    #[test]
    fn hostile_values_are_survived() {
        let scores =
            anomaly_score_mad(&[1.0, f64::NAN, 2.0, 1e300, -1e300, f64::INFINITY, f64::MAX, f64::MIN]);
        assert!(scores[1].is_nan() && scores[5].is_nan() && scores[0].is_finite() && scores[6].is_finite());
        assert!(anomaly_score_mad(&[]).is_empty());
        assert!(robust_z(&[1.0, 2.0], 3.5, Side::Both).is_err());
        assert!(robust_z(&[1.0, 2.0, 3.0], f64::NAN, Side::Both).is_err());
    }
}
