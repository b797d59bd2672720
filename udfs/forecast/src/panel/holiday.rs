//! Signed days from special days: what happens before Deepavali differs from what happens after.

/// Days to a special day that are told apart.
const REACH: i64 = 21;
/// Kinds of special day that are told apart.
const KINDS: usize = 24;

/// Special days by kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Holidays {
    /// Kind and its days, ascending.
    pub(crate) kinds: Vec<(u32, Vec<i64>)>,
}

impl Holidays {
    /// Kinds that can be learned because one lies between `first` and `last`; those near the `ahead` days after it
    /// first, if there are many.
    pub(crate) fn new(days: &[(i64, u32)], first: i64, last: i64, ahead: i64) -> Holidays {
        let mut sorted: Vec<(u32, i64)> = days.iter().map(|(day, kind)| (*kind, *day)).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut kinds: Vec<(u32, Vec<i64>)> = Vec::new();
        for (kind, day) in sorted {
            match kinds.last_mut() {
                Some((latest, days)) if *latest == kind => days.push(day),
                _ => kinds.push((kind, vec![day])),
            }
        }
        kinds.retain(|(_, days)| days.iter().any(|day| (first - REACH..last + REACH).contains(day)));
        let needed = |days: &[i64]| days.iter().any(|day| (last - REACH..last + ahead + REACH).contains(day));
        kinds.sort_by_key(|(kind, days)| (!needed(days), *kind));
        kinds.truncate(KINDS);
        kinds.sort_by_key(|(kind, _)| *kind);
        Holidays { kinds }
    }

    /// Numbers that [`push`](Self::push) adds.
    pub(crate) fn width(&self) -> usize {
        self.kinds.len()
    }

    /// For each kind, days from its nearest day (negative before it); NaN where none is near.
    pub(crate) fn push(&self, day: i64, row: &mut Vec<f32>) {
        row.extend(
            self.kinds.iter().map(|(_, days)| distance(days, day).map_or(f32::NAN, |days| days as f32)),
        );
    }
}

fn distance(days: &[i64], day: i64) -> Option<i64> {
    let next = days.partition_point(|special| *special <= day);
    let near = [next.checked_sub(1).map(|last| days[last]), days.get(next).copied()];
    let distances = near.into_iter().flatten().map(|special| day - special);
    distances.min_by_key(|distance| distance.abs()).filter(|distance| distance.abs() <= REACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_the_nearest_of_a_kind() {
        let holidays = Holidays::new(&[(400, 2), (100, 1), (130, 1), (100, 1), (5_000, 3)], 50, 450, 28);
        assert_eq!(holidays.width(), 2);
        let row = |day| {
            let mut row = Vec::new();
            holidays.push(day, &mut row);
            row
        };
        assert_eq!((row(98)[0], row(116)[0], row(395)[1]), (-2.0, -14.0, -5.0));
        assert!(row(200).iter().all(|days| days.is_nan()));
    }

    #[test]
    fn kinds_that_matter_ahead_go_first() {
        let days: Vec<(i64, u32)> = (0..100).map(|kind| (kind * 3, kind as u32)).collect();
        let holidays = Holidays::new(&days, 0, 270, 28);
        assert_eq!(holidays.width(), KINDS);
        assert!(holidays.kinds.iter().any(|(kind, _)| *kind == 95));
    }
}
