//! From scores to anomalies.

use crate::point::{Point, Severity, Status};
use crate::quantile::{median, quantile};
use crate::robust_z::Spread;
use crate::{Error, normal};

/// Which isolation scores are anomalies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cutoff {
    /// Those of at least this score, above 0.5 and below 1. 0.6 is a good start: ordinary rows have 0.5 and less.
    Threshold(f64),
    /// This part of the rows, above 0 and at most 0.5, those with the highest scores (more where scores are equal).
    Contamination(f64),
}

impl Default for Cutoff {
    fn default() -> Self {
        Cutoff::Threshold(0.6)
    }
}

/// Judges rows by their isolation scores. The expected value of a row is the median score and its upper bound the
/// cut-off, since a row of features has no value of its own; `value` repeats the score.
///
/// The probability is the Gaussian scaling of Kriegel, Kröger, Schubert & Zimek (2011), "Interpreting and Unifying
/// Outlier Scores", *SDM*: the error function of how many deviations a score is above the middle, with a robust middle
/// and deviation. The severity goes by (score − 0.5) / (cut-off − 0.5), see [`Severity`]. Rows whose score is NaN have
/// the status [`Status::NoValue`].
///
/// # Errors
///
/// [`Error::Argument`] for a cut-off out of range.
pub fn judge_scores(scores: &[f64], cutoff: Cutoff) -> Result<Vec<Point>, Error> {
    let mut finite: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
    let limit = match cutoff {
        Cutoff::Threshold(threshold) if threshold > 0.5 && threshold < 1.0 => threshold,
        Cutoff::Threshold(_) => {
            return Err(Error::Argument { name: "threshold", range: "between 0.5 and 1" });
        }
        Cutoff::Contamination(part) if part > 0.0 && part <= 0.5 => {
            let from_above = (part * finite.len() as f64).round().max(1.0);
            let rank = 1.0 - (from_above - 1.0) / (finite.len().max(2) - 1) as f64;
            quantile(&mut finite, rank)
        }
        Cutoff::Contamination(_) => {
            return Err(Error::Argument { name: "contamination", range: "above 0 and at most 0.5" });
        }
    };
    let spread = Spread::of(scores);
    let middle = median(&mut finite);
    // A share of rows may reach below 0.5, where the scale of severities ends.
    let reach = (limit - 0.5).max(0.05);
    Ok(scores
        .iter()
        .map(|score| match spread {
            Some(spread) if score.is_finite() => {
                let is_anomaly = *score >= limit;
                Point {
                    value: *score,
                    expected: middle,
                    lower: 0.0,
                    upper: limit,
                    is_anomaly,
                    score: *score,
                    probability: if *score > middle { normal::within(spread.z(*score)) } else { 0.0 },
                    direction: None,
                    severity: if is_anomaly { Severity::of(((score - 0.5) / reach).max(1.0)) } else { None },
                    status: Status::Ok,
                }
            }
            _ => Point::unjudged(*score, Status::NoValue),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_offs_cut() {
        let scores: Vec<f64> = (0..100).map(|row| 0.4 + row as f64 / 250.0).collect();
        let count =
            |cutoff| judge_scores(&scores, cutoff).unwrap().iter().filter(|point| point.is_anomaly).count();
        assert_eq!(count(Cutoff::Contamination(0.05)), 5);
        assert_eq!(count(Cutoff::Contamination(0.001)), 1);
        assert_eq!(count(Cutoff::Threshold(0.6)), 50);
        let points = judge_scores(&scores, Cutoff::default()).unwrap();
        assert_eq!(points[99].severity, Some(Severity::High));
        assert!(points[99].probability > points[60].probability && points[0].probability == 0.0);
        for cutoff in [Cutoff::Threshold(0.5), Cutoff::Threshold(f64::NAN), Cutoff::Contamination(0.6)] {
            assert!(judge_scores(&scores, cutoff).is_err());
        }
        assert!(judge_scores(&[], Cutoff::Contamination(0.1)).unwrap().is_empty());
        assert_eq!(judge_scores(&[f64::NAN], Cutoff::default()).unwrap()[0].status, Status::NoValue);
    }
}
