//! A forest as bytes, little-endian: version, whether every other tree has half of the sample (0 or 1), columns (u16),
//! sample size (u16), trees (u16), then for each feature the least value and the factor (f64), then for each tree its cuts
//! (f32 threshold, u16 feature) and lengths (f32), as many as follow from the sample size and the tree's number.

use super::{Cut, IsolationForest, MAX_SAMPLE, MAX_TREES, Sample, Scale, Tree};
use crate::{Error, MAX_COLUMNS};

/// Version of the format; the first byte.
const VERSION: u8 = 4;

impl IsolationForest {
    /// The forest as bytes, about 7 KiB a tree of 256 rows and 2 a tree of 128. The same forest gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, u8::from(self.sample.halved)];
        for count in [self.columns(), self.sample.rows, self.trees.len()] {
            bytes.extend((count as u16).to_le_bytes());
        }
        for (least, factor) in self.scale.least.iter().zip(&self.scale.factor) {
            bytes.extend(least.to_le_bytes());
            bytes.extend(factor.to_le_bytes());
        }
        for tree in &self.trees {
            for cut in &tree.cuts {
                bytes.extend(cut.threshold.to_le_bytes());
                bytes.extend((cut.feature as u16).to_le_bytes());
            }
            tree.lengths.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
        }
        bytes
    }

    /// Reads a forest back.
    ///
    /// # Errors
    ///
    /// [`Error::Bytes`] for another version, and for anything that `to_bytes` doesn't write. Nothing is allocated beyond
    /// the length of the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<IsolationForest, Error> {
        let mut reader = Reader(bytes);
        if reader.take::<1>()? != [VERSION] {
            return Err(Error::Bytes("unknown version"));
        }
        let halved = match reader.take()? {
            [0] => false,
            [1] => true,
            _ => return Err(Error::Bytes("a flag is neither 0 nor 1")),
        };
        let mut count = || reader.take().map(u16::from_le_bytes).map(usize::from);
        let (columns, sample_size, trees) = (count()?, count()?, count()?);
        let sound = (1..=MAX_COLUMNS).contains(&columns)
            && (2..=MAX_SAMPLE).contains(&sample_size)
            && (1..=MAX_TREES).contains(&trees);
        if !sound {
            return Err(Error::Bytes("a count is out of range"));
        }
        let sample = Sample { rows: sample_size, halved };
        let inner = |tree| (1_usize << sample.shape(tree).1) - 1;
        let nodes = (0..trees).map(|tree| 6 * inner(tree) + 4 * (2 * inner(tree) + 1));
        if reader.0.len() != 16 * columns + nodes.sum::<usize>() {
            return Err(Error::Bytes("the length is wrong"));
        }
        let mut scale = Scale { least: Vec::with_capacity(columns), factor: Vec::with_capacity(columns) };
        for _ in 0..columns {
            scale.least.push(f64::from_le_bytes(reader.take()?));
            scale.factor.push(f64::from_le_bytes(reader.take()?));
        }
        if scale.least.iter().chain(&scale.factor).any(|value| !value.is_finite()) {
            return Err(Error::Bytes("a scale is not finite"));
        }
        let trees = (0..trees).map(|tree| reader.tree(inner(tree), columns)).collect::<Result<_, _>>()?;
        Ok(IsolationForest { scale, sample, trees })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Error::Bytes("it ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn tree(&mut self, inner: usize, columns: usize) -> Result<Tree, Error> {
        let mut tree = Tree { cuts: Vec::with_capacity(inner), lengths: Vec::with_capacity(2 * inner + 1) };
        for _ in 0..inner {
            let threshold = f32::from_le_bytes(self.take()?);
            let feature = u32::from(u16::from_le_bytes(self.take()?));
            if feature as usize >= columns || threshold.is_nan() {
                return Err(Error::Bytes("a cut is out of range"));
            }
            tree.cuts.push(Cut { threshold, feature });
        }
        for _ in 0..=2 * inner {
            let length = f32::from_le_bytes(self.take()?);
            if !(length.is_finite() && length >= 0.0) {
                return Err(Error::Bytes("a length is not a number from 0 on"));
            }
            tree.lengths.push(length);
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::square;
    use super::*;
    use crate::{ForestOptions, Matrix};

    #[test]
    fn a_forest_survives_the_round_trip_and_damage_is_noticed() {
        let values = square();
        let many = values.repeat(2);
        let options = ForestOptions { trees: Some(2), sample_size: 128, seed: 3 };
        let halved = IsolationForest::fit(Matrix::new(&many, 2).unwrap(), options).unwrap();
        assert!(halved.sample.halved && halved.trees[1].height() < halved.trees[0].height());
        assert_eq!(IsolationForest::from_bytes(&halved.to_bytes()).as_ref(), Ok(&halved));
        let options = ForestOptions { trees: Some(5), sample_size: 50, seed: 3 };
        let forest = IsolationForest::fit(Matrix::new(&values, 2).unwrap(), options).unwrap();
        let bytes = forest.to_bytes();
        assert_eq!(IsolationForest::from_bytes(&bytes).as_ref(), Ok(&forest));
        for length in 0..bytes.len() {
            assert!(IsolationForest::from_bytes(&bytes[..length]).is_err());
        }
        // Any one byte changed gives a forest or an error, no panic.
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            if let Ok(forest) = IsolationForest::from_bytes(&damaged) {
                let _ = forest.scores(Matrix::new(&values, forest.columns()).unwrap());
            }
        }
    }
}
