//! The nearest of some embeddings.

use thiserror::Error;

/// Embeddings of one length, each divided by its size; searched one by one, exactly.
///
/// An article has some dozens of references: a search tree in 1,280 dimensions would look at all of them, too.
#[derive(Debug, Clone)]
pub(crate) struct Gallery {
    wide: usize,
    rows: Vec<f32>,
}

/// Why an embedding is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NearestError {
    /// Another length.
    #[error("an embedding of {found} numbers, expected {expected}")]
    Length {
        /// What there was.
        found: usize,
        /// What the others have.
        expected: usize,
    },
    /// No direction.
    #[error("an embedding without a direction")]
    Nought,
}

impl Gallery {
    /// None yet, of `wide` numbers each.
    #[must_use]
    pub(crate) fn new(wide: usize) -> Self {
        Self { wide, rows: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.rows.len() / self.wide.max(1)
    }

    /// Adds one.
    ///
    /// # Errors
    /// For another length, and for one that is nought or not finite.
    pub(crate) fn add(&mut self, embedding: &[f32]) -> Result<(), NearestError> {
        let unit = self.unit(embedding)?;
        self.rows.extend(unit);
        Ok(())
    }

    /// Place of and cosine distance (0 to 2) to the nearest; `None` where there are none or the query has no direction.
    #[must_use]
    pub(crate) fn nearest(&self, query: &[f32]) -> Option<(usize, f64)> {
        let unit = self.unit(query).ok()?;
        let cosine =
            |row: &[f32]| row.iter().zip(&unit).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let distances = self.rows.chunks_exact(self.wide).map(|row| (1.0 - cosine(row)).clamp(0.0, 2.0));
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn unit(&self, embedding: &[f32]) -> Result<Vec<f32>, NearestError> {
        if embedding.len() != self.wide {
            return Err(NearestError::Length { found: embedding.len(), expected: self.wide });
        }
        let size = embedding.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(size.is_finite() && size > 0.0) {
            return Err(NearestError::Nought);
        }
        Ok(embedding.iter().map(|value| (f64::from(*value) / size) as f32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_has_the_smallest_angle() {
        let mut gallery = Gallery::new(3);
        for row in [[1.0, 0.0, 0.0], [0.0, 5.0, 0.0], [1.0, 1.0, 1.0]] {
            gallery.add(&row).unwrap();
        }
        let (place, distance) = gallery.nearest(&[0.1, 3.0, 0.0]).unwrap();
        assert_eq!(place, 1);
        assert!(distance < 0.001);
        assert_eq!(gallery.add(&[1.0]), Err(NearestError::Length { found: 1, expected: 3 }));
        assert_eq!(gallery.add(&[0.0; 3]), Err(NearestError::Nought));
        assert_eq!(gallery.nearest(&[f32::NAN; 3]), None);
        assert_eq!((gallery.len(), Gallery::new(3).nearest(&[1.0; 3])), (3, None));
    }
}
