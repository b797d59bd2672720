//! Which series add up to which.

/// Groups above the bottom series at most: reconciliation solves as many equations.
const GROUPS: usize = 2_000;

/// Sums over bottom series, by one or more levels: nested (sku, brand, total) or crossed (sku and city).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    bottom: usize,
    /// Level by level: the node that each bottom series adds to.
    groups: Vec<Vec<usize>>,
    /// Level by level: the codes of its nodes, ascending, and the first node.
    codes: Vec<(Vec<u32>, usize)>,
    upper: usize,
}

/// Why levels make no hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHierarchy {
    /// A level does not say where each bottom series belongs.
    #[error("level {level} has {found} codes for {expected} series")]
    Level {
        /// Which level, from 0.
        level: usize,
        /// Codes it has.
        found: usize,
        /// Bottom series.
        expected: usize,
    },
    /// More groups than reconciliation takes.
    #[error("hierarchy has {groups} groups above its series, at most {GROUPS} are reconciled")]
    TooManyGroups {
        /// Groups of all levels.
        groups: usize,
    },
    /// Forecasts or residuals do not fit the hierarchy.
    #[error("{what} must have {expected} rows of equal length, all finite")]
    Shape {
        /// Which of them.
        what: &'static str,
        /// Nodes of the hierarchy.
        expected: usize,
    },
}

impl Hierarchy {
    /// A hierarchy of `bottom` series under `levels`, each with the group code of every bottom series.
    ///
    /// Nodes are numbered level by level as given, groups of a level by ascending code, then come the bottom series.
    ///
    /// # Errors
    /// `Level` where a level has not one code a series, `TooManyGroups` beyond 2,000 groups.
    pub fn new(bottom: usize, levels: &[Vec<u32>]) -> Result<Hierarchy, BadHierarchy> {
        let (mut groups, mut codes, mut upper) = (Vec::new(), Vec::new(), 0);
        for (level, of_series) in levels.iter().enumerate() {
            if of_series.len() != bottom {
                return Err(BadHierarchy::Level { level, found: of_series.len(), expected: bottom });
            }
            let mut distinct = of_series.clone();
            distinct.sort_unstable();
            distinct.dedup();
            groups.push(
                of_series.iter().map(|code| upper + distinct.partition_point(|one| one < code)).collect(),
            );
            let first = upper;
            upper += distinct.len();
            codes.push((distinct, first));
        }
        if upper > GROUPS {
            return Err(BadHierarchy::TooManyGroups { groups: upper });
        }
        Ok(Hierarchy { bottom, groups, codes, upper })
    }

    /// Groups and bottom series together.
    pub fn nodes(&self) -> usize {
        self.upper + self.bottom
    }

    /// The node of a group.
    pub fn group(&self, level: usize, code: u32) -> Option<usize> {
        let (codes, first) = self.codes.get(level)?;
        codes.binary_search(&code).ok().map(|at| first + at)
    }

    /// The node of a bottom series.
    pub fn series(&self, position: usize) -> Option<usize> {
        (position < self.bottom).then(|| self.upper + position)
    }

    /// Values of all nodes from those of the bottom series, summed in their order; series that are missing count as 0.
    pub fn sum(&self, bottom: &[f64]) -> Vec<f64> {
        let mut values = vec![0.0; self.nodes()];
        for (position, value) in bottom.iter().take(self.bottom).enumerate() {
            for level in &self.groups {
                values[level[position]] += value;
            }
            values[self.upper + position] = *value;
        }
        values
    }

    pub(crate) fn bottom(&self) -> usize {
        self.bottom
    }

    pub(crate) fn upper(&self) -> usize {
        self.upper
    }

    /// Groups that a bottom series adds to.
    pub(crate) fn groups_of(&self, position: usize) -> impl Iterator<Item = usize> {
        self.groups.iter().map(move |level| level[position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_by_level_and_code() {
        let hierarchy = Hierarchy::new(4, &[vec![0; 4], vec![7, 3, 7, 3]]).unwrap();
        assert_eq!((hierarchy.nodes(), hierarchy.group(1, 7), hierarchy.series(2)), (7, Some(2), Some(5)));
        assert_eq!(hierarchy.sum(&[1.0, 2.0, 3.0, 4.0]), [10.0, 6.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!((hierarchy.group(2, 0), hierarchy.series(4)), (None, None));
    }

    #[test]
    fn bad_levels_have_a_reason() {
        let short = Hierarchy::new(3, &[vec![0; 3], vec![0; 2]]);
        assert_eq!(short, Err(BadHierarchy::Level { level: 1, found: 2, expected: 3 }));
        let many = Hierarchy::new(2_001, &[(0..2_001).collect()]);
        assert_eq!(many, Err(BadHierarchy::TooManyGroups { groups: 2_001 }));
    }
}
