//! The seasonal periods of a series: none, one, or a few that lie over each other.

use crate::unforecastable::Unforecastable;

/// Up to three seasonal periods, shortest first: hours have the day (24) and the week (168).
///
/// Periods of one step are no season and are left out. `Seasons::from(7)` is one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seasons {
    /// Ascending; 1 where there is none.
    periods: [usize; Seasons::MOST],
    count: usize,
}

impl Seasons {
    /// The most periods that a series can have.
    pub const MOST: usize = 3;
    /// No season.
    pub const NONE: Seasons = Seasons { periods: [1; Seasons::MOST], count: 0 };

    /// The day and the week of hours.
    pub(crate) const HOURLY: Seasons = Seasons { periods: [24, 168, 1], count: 2 };

    /// Periods in any order, repeats allowed.
    ///
    /// # Errors
    /// `InvalidRequest` for a period of 0 steps and for more than [`Seasons::MOST`] periods.
    pub fn new(periods: &[usize]) -> Result<Seasons, Unforecastable> {
        let mut sorted: Vec<usize> = periods.iter().copied().filter(|period| *period != 1).collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.first() == Some(&0) {
            return Err(Unforecastable::InvalidRequest("season must be at least 1"));
        }
        if sorted.len() > Seasons::MOST {
            return Err(Unforecastable::InvalidRequest("a series has at most 3 seasonal periods"));
        }
        let mut seasons = Seasons { count: sorted.len(), ..Seasons::NONE };
        seasons.periods[..sorted.len()].copy_from_slice(&sorted);
        Ok(seasons)
    }

    /// The periods, shortest first; empty where there is no season.
    pub fn periods(&self) -> &[usize] {
        &self.periods[..self.count]
    }

    /// The shortest period; 1 where there is no season.
    pub fn shortest(&self) -> usize {
        self.periods[0]
    }

    /// The longest period; 1 where there is no season.
    pub fn longest(&self) -> usize {
        self.periods().last().copied().unwrap_or(1)
    }

    /// The periods of which `points` hold at least two.
    pub(crate) fn within(&self, points: usize) -> Seasons {
        let count = self.periods().iter().filter(|period| period.saturating_mul(2) <= points).count();
        let mut within = Seasons { count, ..Seasons::NONE };
        within.periods[..count].copy_from_slice(&self.periods[..count]);
        within
    }
}

impl From<usize> for Seasons {
    /// One period; 1 is none. A period of 0 is refused when a forecast is asked for.
    fn from(period: usize) -> Seasons {
        let mut seasons = Seasons { count: usize::from(period != 1), ..Seasons::NONE };
        seasons.periods[0] = period;
        seasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_sorted_and_ones_left_out() {
        let seasons = Seasons::new(&[168, 1, 24, 24]).unwrap();
        assert_eq!((seasons.periods(), seasons.shortest(), seasons.longest()), (&[24, 168][..], 24, 168));
        assert_eq!(seasons.within(200).periods(), &[24]);
        assert_eq!(Seasons::from(1), Seasons::NONE);
        assert_eq!((Seasons::NONE.shortest(), Seasons::NONE.longest()), (1, 1));
        assert_eq!(Seasons::from(7), Seasons::new(&[7]).unwrap());
    }

    #[test]
    fn impossible_periods_are_refused() {
        assert!(Seasons::new(&[0, 7]).is_err());
        assert!(Seasons::new(&[2, 3, 4, 5]).is_err());
    }
}
