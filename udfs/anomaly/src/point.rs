//! What is said of one point.

use crate::normal;

/// Which deviations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Too much and too little.
    #[default]
    Both,
    /// Too much only.
    High,
    /// Too little only.
    Low,
}

/// Where an anomaly lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Above what was expected.
    High,
    /// Below what was expected.
    Low,
}

/// How far beyond the threshold an anomaly is.
///
/// Measured by the excess, the score over its threshold (for a forest both less 0.5, the score of an ordinary row):
/// low from 1, medium from 1.5, high from 2, critical from 3. With the default thresholds that is a robust z of 3.5,
/// 5.25, 7 and 10.5, and an isolation score of 0.6, 0.65, 0.7 and 0.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// An excess from 1.
    Low,
    /// An excess from 1.5.
    Medium,
    /// An excess from 2.
    High,
    /// An excess from 3.
    Critical,
}

/// What came of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was judged.
    Ok,
    /// It has no finite value.
    NoValue,
    /// The series is too short, or nothing was expected.
    NotEnoughHistory,
}

/// A feature's part in an anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The feature.
    pub name: String,
    /// Its share, 0 to 1; the shares of a point sum to 1.
    pub share: f64,
}

/// A judged point. Numbers are in the units of the value unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// As given.
    pub value: f64,
    /// What was expected; NaN where nothing was.
    pub expected: f64,
    /// Below this it's an anomaly.
    pub lower: f64,
    /// Above this it's an anomaly.
    pub upper: f64,
    /// Whether it's an anomaly on the side asked for.
    pub is_anomaly: bool,
    /// The method's score: a signed robust z, an isolation score, or −log₁₀ of the p-value.
    pub score: f64,
    /// One less the probability that an ordinary point is as extreme, 0 to 1.
    pub probability: f64,
    /// Side of what was expected, for an anomaly.
    pub direction: Option<Direction>,
    /// How grave, for an anomaly.
    pub severity: Option<Severity>,
    /// What came of it.
    pub status: Status,
}

impl Severity {
    /// The severity of an excess; None below 1 or for NaN.
    #[must_use]
    pub fn of(excess: f64) -> Option<Severity> {
        match excess {
            excess if excess >= 3.0 => Some(Severity::Critical),
            excess if excess >= 2.0 => Some(Severity::High),
            excess if excess >= 1.5 => Some(Severity::Medium),
            excess if excess >= 1.0 => Some(Severity::Low),
            _ => None,
        }
    }

    /// As SQL shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl Direction {
    /// As SQL shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Direction::High => "high",
            Direction::Low => "low",
        }
    }
}

impl Side {
    /// Whether a deviation of this sign counts.
    pub(crate) fn counts(self, deviation: f64) -> bool {
        match self {
            Side::Both => deviation != 0.0,
            Side::High => deviation > 0.0,
            Side::Low => deviation < 0.0,
        }
    }
}

impl Point {
    /// A point that could not be judged.
    pub(crate) fn unjudged(value: f64, status: Status) -> Point {
        let nan = f64::NAN;
        Point {
            value,
            expected: nan,
            lower: nan,
            upper: nan,
            is_anomaly: false,
            score: nan,
            probability: nan,
            direction: None,
            severity: None,
            status,
        }
    }

    /// Judges a value by its signed z; `scale` is what one z is worth.
    pub(crate) fn by_z(value: f64, expected: f64, scale: f64, z: f64, threshold: f64, side: Side) -> Point {
        if !value.is_finite() {
            return Point::unjudged(value, Status::NoValue);
        }
        if !expected.is_finite() || !z.is_finite() {
            return Point::unjudged(value, Status::NotEnoughHistory);
        }
        let is_anomaly = z.abs() >= threshold && side.counts(z);
        Point {
            value,
            expected,
            lower: if side == Side::High { f64::NEG_INFINITY } else { expected - threshold * scale },
            upper: if side == Side::Low { f64::INFINITY } else { expected + threshold * scale },
            is_anomaly,
            score: z,
            probability: normal::within(z),
            direction: is_anomaly.then_some(if z > 0.0 { Direction::High } else { Direction::Low }),
            severity: if is_anomaly { Severity::of(z.abs() / threshold) } else { None },
            status: Status::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_their_cut_offs() {
        let names =
            [0.99, 1.0, 1.5, 2.0, 3.0, f64::NAN].map(|excess| Severity::of(excess).map(Severity::name));
        assert_eq!(names, [None, Some("low"), Some("medium"), Some("high"), Some("critical"), None]);
    }

    #[test]
    fn only_the_side_asked_for_counts() {
        let point = |side| Point::by_z(0.0, 10.0, 1.0, -10.0, 3.5, side);
        assert!(point(Side::Both).is_anomaly && point(Side::Low).is_anomaly && !point(Side::High).is_anomaly);
        assert_eq!(point(Side::Low).direction, Some(Direction::Low));
        assert_eq!(point(Side::Low).upper, f64::INFINITY);
        assert_eq!(Point::by_z(f64::NAN, 1.0, 1.0, 0.0, 3.5, Side::Both).status, Status::NoValue);
    }
}
