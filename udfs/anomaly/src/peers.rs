//! Which series behaves unlike the others.

use crate::Error;
use crate::quantile::{median, quantile};
use crate::robust_z::Spread;

/// A series among its peers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peer {
    /// Whether it is near no cluster of peers.
    pub is_outlier: bool,
    /// Distance to its `neighbours`-th nearest peer over the radius: above 1 it isn't in the midst of peers itself. NaN
    /// for a series without a finite value.
    pub score: f64,
    /// Segment of time, 0 to [`SEGMENTS`] − 1, in which it differs most from the middle of all series.
    pub segment: usize,
}

/// How peers are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeerOptions {
    /// How many near peers make a cluster, at least 1.
    pub neighbours: usize,
    /// Robust z of the distance to the `neighbours`-th peer that is taken as the radius.
    pub threshold: f64,
}

impl Default for PeerOptions {
    /// Three neighbours, a robust z of 3.5.
    fn default() -> Self {
        PeerOptions { neighbours: 3, threshold: 3.5 }
    }
}

/// Most series.
pub const MAX_PEERS: usize = 10_000;
/// Numbers that a shape is made of.
pub const SEGMENTS: usize = 32;

/// Finds the series whose shape no cluster of peers shares.
///
/// A shape is the mean of each of 32 segments of time (Keogh et al. 2001, "Dimensionality Reduction for Fast Similarity
/// Search in Large Time Series Databases"), less the series' median and over its scale, so that size doesn't count. Shapes
/// are clustered by DBSCAN (Ester et al. 1996, *KDD*), whose noise are the outliers: series that have fewer than
/// `neighbours` peers within the radius and aren't within the radius of one that has. The radius comes from the
/// distances to the `neighbours`-th peer: their median and `threshold` of their deviations.
///
/// All series have `length` values, one after another; NaN is left out. Takes O(series² · 32) time, bounded by
/// [`MAX_PEERS`], and 300 bytes a series.
///
/// # Errors
///
/// [`Error::Shape`] where the last series isn't full, [`Error::TooFew`] below `neighbours` + 2 series,
/// [`Error::Argument`] for options out of range or too many series.
pub fn peer_outliers(values: &[f64], length: usize, options: PeerOptions) -> Result<Vec<Peer>, Error> {
    if length == 0 || !values.len().is_multiple_of(length) {
        return Err(Error::Shape { values: values.len(), columns: length });
    }
    let found = values.len() / length;
    if found > MAX_PEERS {
        return Err(Error::Argument { name: "series", range: "at most 10000" });
    }
    if options.neighbours == 0 || !(options.threshold > 0.0 && options.threshold.is_finite()) {
        return Err(Error::Argument { name: "neighbours and threshold", range: "above 0" });
    }
    if found < options.neighbours.saturating_add(2) {
        return Err(Error::TooFew { found, needed: options.neighbours.saturating_add(2) });
    }
    let shapes: Vec<Option<Vec<f64>>> = values.chunks_exact(length).map(shape).collect();
    let middle: Vec<f64> = (0..SEGMENTS)
        .map(|segment| median(&mut shapes.iter().flatten().map(|shape| shape[segment]).collect::<Vec<f64>>()))
        .collect();
    let nearest: Vec<f64> =
        shapes.iter().map(|shape| distance_to(shape, &shapes, options.neighbours)).collect();
    let radius = match Spread::of(&nearest) {
        Some(spread) => (spread.centre + options.threshold * spread.scale).max(1e-9),
        None => return Err(Error::TooFew { found: 0, needed: options.neighbours + 2 }),
    };
    let in_midst: Vec<&Vec<f64>> = shapes
        .iter()
        .zip(&nearest)
        .filter(|(_, near)| **near <= radius)
        .filter_map(|(shape, _)| shape.as_ref())
        .collect();
    let peers = shapes.iter().zip(&nearest).map(|(shape, near)| {
        let Some(shape) = shape else { return Peer { is_outlier: false, score: f64::NAN, segment: 0 } };
        let at_edge = || in_midst.iter().any(|other| distance(shape, other) <= radius);
        let differs = |segment: &usize| (shape[*segment] - middle[*segment]).abs();
        let segment = (0..SEGMENTS).max_by(|a, b| differs(a).total_cmp(&differs(b))).unwrap_or(0);
        Peer { is_outlier: *near > radius && !at_edge(), score: near / radius, segment }
    });
    Ok(peers.collect())
}

/// Distance to the `rank`-th nearest other shape; NaN without a shape.
fn distance_to(shape: &Option<Vec<f64>>, shapes: &[Option<Vec<f64>>], rank: usize) -> f64 {
    let Some(shape) = shape else { return f64::NAN };
    let mut distances: Vec<f64> = shapes.iter().flatten().map(|other| distance(shape, other)).collect();
    // The nearest is the shape itself.
    let rank = rank.min(distances.len() - 1);
    *distances.select_nth_unstable_by(rank, f64::total_cmp).1
}

fn distance(one: &[f64], two: &[f64]) -> f64 {
    one.iter().zip(two).map(|(one, two)| (one - two).powi(2)).sum::<f64>().sqrt()
}

/// The shape of a series; None without a finite value.
fn shape(series: &[f64]) -> Option<Vec<f64>> {
    let spread = Spread::of(series)?;
    // Where most values are equal, their range is the scale.
    let range = {
        let mut finite: Vec<f64> = series.iter().copied().filter(|value| value.is_finite()).collect();
        let high = quantile(&mut finite, 0.95);
        high / 2.0 - quantile(&mut finite, 0.05) / 2.0
    };
    let scale = spread.scale.max(range);
    let scaled =
        |value: f64| if scale > 0.0 { ((value - spread.centre) / scale).clamp(-50.0, 50.0) } else { 0.0 };
    let mut shape = vec![0.0; SEGMENTS];
    for (segment, mean) in shape.iter_mut().enumerate() {
        let from = segment * series.len() / SEGMENTS;
        let to = ((segment + 1) * series.len() / SEGMENTS).max(from + 1);
        let known = series[from..to].iter().filter(|value| value.is_finite());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + scaled(*value), count + 1.0));
        *mean = if count > 0.0 { sum / count } else { 0.0 };
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn stores() -> Vec<f64> {
        let mut random = Random::new(4, 4);
        (0..60 * 365)
            .map(|at| {
                let (store, day) = (at / 365, at % 365);
                let season = (day as f64 / 58.0).sin();
                // One falls where all others rise, and one doubles in autumn.
                let level = match store {
                    7 => 10.0 - 3.0 * season,
                    31 if day > 250 => 25.0 + 3.0 * season,
                    _ => 10.0 + 3.0 * season,
                };
                level * (1.0 + store as f64) * (0.9 + 0.2 * random.unit())
            })
            .collect()
    }

    #[test]
    fn the_store_unlike_the_others_is_found() {
        let peers = peer_outliers(&stores(), 365, PeerOptions::default()).unwrap();
        let found: Vec<usize> = (0..60).filter(|store| peers[*store].is_outlier).collect();
        assert!(found.contains(&7) && found.contains(&31) && found.len() <= 3, "{found:?}");
        assert!(peers[31].segment >= 250 * SEGMENTS / 365);
    }

    #[test]
    fn hostile_series_are_survived() {
        let mut values = stores();
        values[..365].fill(f64::NAN);
        values[365..730].fill(0.0);
        values[800] = f64::MAX;
        values[900] = f64::INFINITY;
        let peers = peer_outliers(&values, 365, PeerOptions::default()).unwrap();
        assert!(peers[0].score.is_nan() && !peers[0].is_outlier);
        assert!(
            peer_outliers(&[1.0; 40], 4, PeerOptions::default()).unwrap().iter().all(|peer| !peer.is_outlier)
        );
        assert!(peer_outliers(&[1.0; 4], 1, PeerOptions::default()).is_err());
        assert!(peer_outliers(&[f64::NAN; 20], 2, PeerOptions::default()).is_err());
        assert!(peer_outliers(&[1.0; 4], 0, PeerOptions::default()).is_err());
        assert_eq!(
            peer_outliers(&[2.0, 3.0, 1.0, 9.0, 5.0, 7.0], 1, PeerOptions::default()).unwrap().len(),
            6
        );
    }
}
