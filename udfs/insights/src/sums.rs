//! What is summed over a segment.

/// Sums over the rows of a segment, of interest and of reference.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sums {
    /// Of the metric, or of what is above the line of a ratio.
    pub(crate) interest: f64,
    pub(crate) reference: f64,
    /// Of what is below the line of a ratio; 0 for a sum.
    pub(crate) interest_below: f64,
    pub(crate) reference_below: f64,
    /// Of magnitudes above the line. They never shrink as rows are added, which sums of mixed signs may.
    pub(crate) interest_size: f64,
    pub(crate) reference_size: f64,
}

impl Sums {
    /// Adds a row.
    pub(crate) fn add(&mut self, interest: bool, (above, below): (f64, f64)) {
        // Adds 0 to the other side instead of branching: labels come in no order that a processor could foresee.
        let (here, there) = if interest { (1.0, 0.0) } else { (0.0, 1.0) };
        self.interest += here * above;
        self.interest_below += here * below;
        self.interest_size += here * above.abs();
        self.reference += there * above;
        self.reference_below += there * below;
        self.reference_size += there * above.abs();
    }

    /// Share of the whole in interest or reference, whichever is greater: of a total of 0 the share is 0.
    pub(crate) fn support(&self, all: &Sums) -> f64 {
        share(self.interest, all.interest).max(share(self.reference, all.reference))
    }

    /// At least the support of this segment and of every part of it. Equal to the support where no value is negative.
    pub(crate) fn support_bound(&self, all: &Sums) -> f64 {
        share(self.interest_size, all.interest.abs()).max(share(self.reference_size, all.reference.abs()))
    }

    /// Whether every figure that an insight is made of is the same number.
    pub(crate) fn same_metrics(&self, other: &Sums) -> bool {
        self.interest == other.interest
            && self.reference == other.reference
            && self.interest_below == other.interest_below
            && self.reference_below == other.reference_below
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_for_returns() {
        let mut all = Sums::default();
        let mut part = Sums::default();
        for (interest, value) in [(true, 10.0), (true, -8.0), (false, 5.0)] {
            all.add(interest, (value, 0.0));
        }
        part.add(true, (10.0, 0.0));
        // A part can be larger than the whole where there are negative values.
        assert_eq!((part.support(&all), all.support(&all)), (5.0, 1.0));
        assert!(all.support_bound(&all) >= part.support(&all));
    }
}
