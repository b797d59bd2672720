//! What holidays add to one series: the day itself, the days before and after.
//!
//! A holiday comes once a year, so a series has few of each and a regression would take for its effect whatever else
//! happened in that season. Here its days are compared with those around it (an event study: MacKinlay 1997, "Event
//! Studies in Economics and Finance", *Journal of Economic Literature* 35), as a part of the level of that time, pooled
//! over the years, and count only where chance does not explain them.

/// Days around a holiday that are looked at together.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    /// The first and the last, from the holiday.
    first: i64,
    last: i64,
    /// The effect grows day by day up to the last, or is the same on each.
    rising: bool,
}

impl Window {
    const fn flat(first: i64, last: i64) -> Window {
        Window { first, last, rising: false }
    }

    fn length(self) -> usize {
        usize::try_from(self.last - self.first + 1).unwrap_or_default()
    }

    /// The part of the effect that a day has.
    fn weight(self, moved: i64) -> f64 {
        if self.rising { (moved - self.first + 1) as f64 / self.length() as f64 } else { 1.0 }
    }
}

/// Shopping for a feast rises for three weeks; what the line doesn't tell, flat windows do.
const WINDOWS: [Window; 7] = [
    Window::flat(0, 0),
    Window { first: -21, last: -1, rising: true },
    Window::flat(-3, -1),
    Window::flat(-7, -4),
    Window::flat(-14, -8),
    Window::flat(-21, -15),
    Window::flat(1, 3),
];
/// The first and the last day that any window has.
const BEFORE: i64 = -21;
const AFTER: i64 = 3;
/// Days before the earliest window and after the latest that say what is usual.
const AROUND: usize = 28;
/// Days of these that are needed.
const NEEDED: usize = 14;
/// Standard errors from which on an effect is believed: some twenty are looked at in each series.
const BELIEVED: f64 = 3.5;
/// The usual amount of the days looked at, in squares of their deviation: below it (ten sales) the normal law doesn't
/// hold.
const ENOUGH: f64 = 10.0;
/// A holiday that was so many days ago no longer matters.
const PAST: usize = 84;
/// Effects of one series at most.
const MOST: usize = 8;

/// Days of one window around one occurrence, and what is usual there.
struct Occurrence {
    /// With the part of the effect that each has.
    days: Vec<(usize, f64)>,
    /// Mean of the days around.
    usual: f64,
    /// Sum of squares from it, and of products of neighbours, over so many days.
    squares: f64,
    products: f64,
    count: usize,
}

/// An effect of one window of one kind of holiday.
struct Effect {
    kind: usize,
    window: Window,
    /// What is added, as a part of the usual.
    lift: f64,
    /// Standard errors from 0.
    score: f64,
}

/// What holidays add to each step of a daily series and of the days after it; None where they add nothing.
///
/// * `values`: one a day, not negative, for otherwise nothing is found.
/// * `kinds`: for each kind of holiday the days on which it is, counted from the first value, ascending; those from
///   `values.len()` on are to come.
/// * `horizon`: days after the values.
pub(crate) fn effects(
    values: &[f64],
    kinds: &[Vec<usize>],
    period: usize,
    horizon: usize,
) -> Option<Vec<f64>> {
    let count = values.len();
    if count < 2 * AROUND || values.iter().any(|value| *value < 0.0) {
        return None;
    }
    let reach = usize::try_from(-BEFORE).unwrap_or_default();
    let near =
        |days: &&Vec<usize>| days.iter().any(|day| day + PAST >= count && *day < count + horizon + reach);
    let near: Vec<&Vec<usize>> = kinds.iter().filter(near).collect();
    if near.is_empty() {
        return None;
    }
    let mut rest = without_season(values, period);
    let mut found: Vec<Effect> = Vec::new();
    while found.len() < MOST {
        let untold = |kind: usize, window: Window| {
            !found.iter().any(|effect| (effect.kind, effect.window) == (kind, window))
        };
        let judged = (0..near.len())
            .flat_map(|kind| WINDOWS.map(|window| (kind, window)))
            .filter(|(kind, window)| untold(*kind, *window))
            .filter_map(|(kind, window)| judge(&rest, near[kind], kind, window))
            .max_by(|one, other| one.score.abs().total_cmp(&other.score.abs()));
        let Some(effect) = judged.filter(|effect| effect.score.abs() > BELIEVED) else { break };
        // Also of a run-up that is under way.
        for occurrence in occurrences(&rest, near[effect.kind], effect.window, 1) {
            let add = effect.lift * occurrence.usual;
            occurrence.days.iter().for_each(|(day, weight)| rest[*day] -= weight * add);
        }
        found.push(effect);
    }
    if found.is_empty() {
        return None;
    }
    let season_less = without_season(values, period);
    let mut total: Vec<f64> = season_less.iter().zip(&rest).map(|(all, rest)| all - rest).collect();
    // Of what is to come: a part of the level of late.
    let late = &rest[count - AROUND..];
    let level = late.iter().sum::<f64>() / late.len() as f64;
    total.resize(count + horizon, 0.0);
    for effect in &found {
        let told = near[effect.kind].iter().flat_map(|day| days(*day, effect.window, count + horizon));
        for (day, weight) in told.filter(|(day, _)| *day >= count) {
            total[day] += weight * effect.lift * level.max(0.0);
        }
    }
    total.iter().all(|value| value.is_finite()).then_some(total)
}

/// The days of a window around a holiday, from 0 on and before `end`, with the part of the effect that each has.
fn days(holiday: usize, window: Window, end: usize) -> impl Iterator<Item = (usize, f64)> {
    (window.first..=window.last).filter_map(move |moved| {
        let day = holiday.checked_add_signed(isize::try_from(moved).ok()?)?;
        (day < end).then_some((day, window.weight(moved)))
    })
}

/// The values less what each phase of the season has beyond the whole, on average.
fn without_season(values: &[f64], period: usize) -> Vec<f64> {
    if period < 2 {
        return values.to_vec();
    }
    let level = values.iter().sum::<f64>() / values.len() as f64;
    let index: Vec<f64> = (0..period)
        .map(|phase| {
            let of = values.iter().skip(phase).step_by(period);
            of.clone().sum::<f64>() / of.count().max(1) as f64 - level
        })
        .collect();
    values.iter().enumerate().map(|(day, value)| value - index[day % period]).collect()
}

/// The past occurrences of a window of which so many days are over, and whose surroundings are known.
fn occurrences(rest: &[f64], holidays: &[usize], window: Window, over: usize) -> Vec<Occurrence> {
    let around = AROUND as i64;
    let side = |holiday: usize, first: i64, last: i64| -> Vec<usize> {
        days(holiday, Window::flat(first, last), rest.len()).map(|(day, _)| day).collect()
    };
    holidays
        .iter()
        .filter_map(|holiday| {
            let days: Vec<(usize, f64)> = days(*holiday, window, rest.len()).collect();
            if days.len() < over {
                return None;
            }
            let before = side(*holiday, BEFORE - around, BEFORE - 1);
            let after = side(*holiday, AFTER + 1, AFTER + around);
            let count = before.len() + after.len();
            if count < NEEDED {
                return None;
            }
            let sides = [before, after];
            let usual = sides.iter().flatten().map(|day| rest[*day]).sum::<f64>() / count as f64;
            let off = |day: &usize| rest[*day] - usual;
            let squares = sides.iter().flatten().map(|day| off(day).powi(2)).sum();
            let pairs = sides.iter().flat_map(|side| side.windows(2));
            let products = pairs.map(|pair| off(&pair[0]) * off(&pair[1])).sum();
            Some(Occurrence { days, usual, squares, products, count })
        })
        .collect()
}

/// How much a window of a kind of holiday adds; None where too little is known to tell.
fn judge(rest: &[f64], holidays: &[usize], kind: usize, window: Window) -> Option<Effect> {
    let found = occurrences(rest, holidays, window, window.length());
    let sum = |of: &dyn Fn(&Occurrence) -> f64| found.iter().map(of).sum::<f64>();
    let weights = |one: &Occurrence| one.days.iter().map(|(_, weight)| weight * weight).sum::<f64>();
    let excess = |one: &Occurrence| {
        one.days.iter().map(|(day, weight)| weight * (rest[*day] - one.usual)).sum::<f64>()
    };
    let (usual, added) = (sum(&|one| weights(one) * one.usual), sum(&excess));
    let count = sum(&|one| one.count as f64);
    let variance = sum(&|one| one.squares) / count;
    if !(usual > 0.0 && variance > 0.0) {
        return None;
    }
    if usual.max(usual + added).powi(2) / (sum(&weights) * variance) < ENOUGH {
        return None;
    }
    let lift = (added / usual).max(-1.0);
    // Neighbours that go together tell less than their number says.
    let together = (sum(&|one| one.products) / sum(&|one| one.squares)).clamp(0.0, 0.8);
    let grown = if window.length() > 1 { (1.0 + together) / (1.0 - together) } else { 1.0 };
    let chance =
        variance * grown * sum(&|one| weights(one) * (1.0 + one.days.len() as f64 / one.count as f64));
    // Years that disagree tell that it is not the holiday.
    let years = sum(&|one| (excess(one) - lift * weights(one) * one.usual).powi(2));
    let score = added / chance.max(years).sqrt();
    // What is left of an effect that was picked because it is large.
    let kept = 1.0 - 1.0 / score.powi(2).max(1.0);
    Some(Effect { kind, window, lift: lift * kept, score }).filter(|effect| effect.score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;

    /// Three years of a week with a feast each 355 days, which lifts its day and the week before, on a level that grows.
    fn shop(seed: u64, lift: f64, level: f64) -> (Vec<f64>, Vec<usize>) {
        let mut noise = Noise(seed);
        let feasts = vec![250, 605, 960, 1_100];
        let week = [0.7, 0.8, 0.8, 0.9, 1.1, 1.5, 1.2];
        let values = (0..1_092)
            .map(|day| {
                let near = feasts.iter().any(|feast| (feast - 7..=*feast).contains(&day));
                let mean = level * week[day % 7] * (1.0 + day as f64 / 1_092.0);
                noise.poisson(mean * if near { 1.0 + lift } else { 1.0 })
            })
            .collect();
        (values, feasts)
    }

    #[test]
    fn a_feast_is_found_in_its_years_and_carried_on_at_the_level_of_late() {
        let (values, feasts) = shop(3, 0.8, 30.0);
        let found = effects(&values, &[feasts], 7, 28).unwrap();
        assert_eq!(found.len(), 1_120);
        // 80% of some 37 pairs a day in the first year, of 60 in the fourth.
        let mean = |days: std::ops::Range<usize>| found[days.clone()].iter().sum::<f64>() / days.len() as f64;
        assert!((mean(243..250) / (0.8 * 30.0 * 1.225) - 1.0).abs() < 0.2, "{}", mean(243..250));
        assert!((mean(1_093..1_100) / (0.8 * 30.0 * 2.0) - 1.0).abs() < 0.2, "{}", mean(1_093..1_100));
        assert!(found[..200].iter().chain(&found[1_101..]).all(|effect| effect.abs() < 1e-9));
    }

    #[test]
    fn chance_is_no_feast() {
        let mut wrong = 0;
        for seed in 0..60 {
            let (values, feasts) = shop(seed, 0.0, 0.3 * (1.0 + seed as f64));
            let others = vec![290, 650, 1_010, 1_110];
            wrong += usize::from(effects(&values, &[feasts, others], 7, 28).is_some());
        }
        // Eight windows in each of 60 series; with a normal law one of 2,000 would pass.
        assert!(wrong <= 2, "{wrong}");
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert_eq!(effects(&[1.0; 40], &[vec![10]], 7, 7), None);
        assert_eq!(effects(&[0.0; 400], &[vec![35, 390]], 7, 7), None);
        let mut negative = vec![3.0; 400];
        negative[3] = -1.0;
        assert_eq!(effects(&negative, &[vec![390]], 7, 7), None);
        let (values, _) = shop(1, 1.0, 50.0);
        // Nobody knows a feast that was never seen, and one that is far off doesn't matter.
        assert_eq!(effects(&values, &[vec![1_100], vec![250, 605]], 7, 28), None);
        assert_eq!(effects(&values, &[], 7, 28), None);
    }
}
