//! What steps without a sale mean: nothing sold, nothing to sell, or nothing known.

use std::ops::Range;

use crate::calendar::{Regular, regularise};
use crate::civil::DAY;
use crate::frequency::Frequency;
use crate::unforecastable::Unforecastable;

/// What a step without a row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// No sale; but steps without any that chance does not explain are stock-outs or days on which the shop was closed, and
    /// say nothing of demand.
    #[default]
    Auto,
    /// No sale, however long.
    Zero,
    /// Nothing is known: the value is on the line between those around it.
    Interpolate,
}

/// A run shorter than this is never a stock-out, and one longer is the end of an article's life.
const RUN: (usize, usize) = (3, 60);
/// Steps at the same place in the seasons around a closed one that have to have sold.
const OPEN: usize = 4;
/// Steps before and after a run that say what would have been sold.
const AROUND: usize = 56;
/// Steps that are needed on a side to say it.
const NEEDED: usize = 14;
/// A run is chance where its logarithmic probability is above this: one in a million.
const CHANCE: f64 = -13.8;
/// Seasons before and after from which a step is filled.
const SEASONS: usize = 4;

impl Gaps {
    /// All of them.
    pub const ALL: [Gaps; 3] = [Gaps::Auto, Gaps::Zero, Gaps::Interpolate];

    /// The name that SQL uses.
    pub fn name(self) -> &'static str {
        match self {
            Gaps::Auto => "auto",
            Gaps::Zero => "zero",
            Gaps::Interpolate => "interpolate",
        }
    }
}

/// A series on its calendar ([`regularise`]) whose gaps are what `gaps` says. With `Auto`, stock-outs and closed days have
/// the mean of the same place in the seasons around them; a zero on one of the `holidays` (days since 1970, ascending) is
/// what that holiday does, and stays.
///
/// # Errors
/// Those of [`regularise`].
pub fn regularise_with(
    times: &[i64],
    values: &[f64],
    frequency: Option<Frequency>,
    until: Option<i64>,
    gaps: Gaps,
    holidays: &[i64],
) -> Result<Regular, Unforecastable> {
    let mut regular = regularise(times, values, frequency, until)?;
    match gaps {
        Gaps::Zero => {}
        Gaps::Interpolate => {
            let mut seen = vec![false; regular.values.len()];
            for time in times {
                let index = usize::try_from(regular.index(*time)).ok();
                if let Some(seen) = index.and_then(|index| seen.get_mut(index)) {
                    *seen = true;
                }
            }
            interpolate(&mut regular.values, &seen);
        }
        Gaps::Auto => {
            let season = regular.frequency().season();
            let mut closed = closed(&regular.values, season);
            closed.retain(|step| !is_holiday(&regular, *step, holidays));
            regular.stock_outs = stock_outs(&regular.values);
            close(&mut regular, closed);
        }
    }
    Ok(regular)
}

/// Takes what was sold on some steps for unknown, as on those of stock-outs: fills them in.
pub(crate) fn close(regular: &mut Regular, closed: Vec<usize>) {
    let season = regular.frequency().season();
    regular.closed.extend(closed);
    regular.closed.sort_unstable();
    regular.closed.dedup();
    let single = regular.closed.iter().map(|step| *step..step + 1);
    let runs: Vec<Range<usize>> = regular.stock_outs.iter().cloned().chain(single).collect();
    fill(&mut regular.values, &runs, season);
}

/// Whether a step of a daily series is one of the days.
fn is_holiday(regular: &Regular, step: usize, holidays: &[i64]) -> bool {
    regular.frequency() == Frequency::Daily
        && regular.time(step).is_some_and(|time| holidays.binary_search(&time.div_euclid(DAY)).is_ok())
}

/// Steps without a sale, too few to be a stock-out, at a place in the season where something is sold otherwise, and so much
/// that chance does not explain none: by a negative binomial law with the mean of that place and the dispersion of the
/// seasons around.
pub(crate) fn closed(values: &[f64], season: usize) -> Vec<usize> {
    let season = season.max(1);
    let shut = |step: usize| {
        let back = (1..=SEASONS).filter_map(|turns| step.checked_sub(turns * season));
        let ahead = (1..=SEASONS).map(|turns| step + turns * season);
        let same: Vec<f64> = back.chain(ahead).filter_map(|other| values.get(other).copied()).collect();
        let mean = same.iter().sum::<f64>() / same.len().max(1) as f64;
        let (from, to) = (step.saturating_sub(AROUND), (step + AROUND + 1).min(values.len()));
        let sides = [&values[from..step], &values[step + 1..to]];
        same.len() >= OPEN
            && same.iter().all(|value| *value > 0.0)
            && log_zero_of(mean, dispersion(sides, season)) < CHANCE
    };
    zeros(values).into_iter().filter(|run| run.len() < RUN.0).flatten().filter(|step| shut(*step)).collect()
}

/// Variance over mean, phase by phase of a season; infinite where too little is known to tell.
fn dispersion(sides: [&[f64]; 2], season: usize) -> f64 {
    let (mut squares, mut sum, mut freedom) = (0.0, 0.0, 0.0);
    for side in sides {
        for phase in 0..season.min(side.len()) {
            let of = || side.iter().skip(phase).step_by(season);
            let count = of().count() as f64;
            let total = of().sum::<f64>();
            squares += of().map(|value| (value - total / count).powi(2)).sum::<f64>();
            // What is left of the sum where a mean is taken from it.
            sum += total / count * (count - 1.0);
            freedom += count - 1.0;
        }
    }
    if freedom >= NEEDED as f64 && sum > 0.0 { squares / sum } else { f64::INFINITY }
}

/// Runs of zeros before the last sale that are too long for chance.
pub(crate) fn stock_outs(values: &[f64]) -> Vec<Range<usize>> {
    let long = |run: &Range<usize>| (RUN.0..=RUN.1).contains(&run.len());
    zeros(values).into_iter().filter(|run| long(run) && unexplained(values, run)).collect()
}

/// Runs of zeros between two sales. One that goes on may be the article's end: only sales after it tell. None where a value
/// is below 0: such series are no sales.
fn zeros(values: &[f64]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if values.iter().any(|value| *value < 0.0) {
        return found;
    }
    let mut at = values.iter().position(|value| *value > 0.0).unwrap_or(values.len());
    while at < values.len() {
        if values[at] != 0.0 {
            at += 1;
            continue;
        }
        let length = values[at..].iter().take_while(|value| **value == 0.0).count();
        found.push(at..at + length);
        at += length;
    }
    found.pop_if(|run| run.end == values.len());
    found
}

/// Whether chance does not explain a run of zeros, given what sold before and after: by a negative binomial law with the
/// mean and variance of those steps, the less telling side counts.
fn unexplained(values: &[f64], run: &Range<usize>) -> bool {
    let before = &values[run.start.saturating_sub(AROUND)..run.start];
    let after = &values[run.end..(run.end + AROUND).min(values.len())];
    let sides = [before, after].into_iter().filter(|side| side.len() >= NEEDED);
    let likely = sides.map(|side| run.len() as f64 * log_zero(side)).reduce(f64::max);
    // What came before has to be known: a launch is not the end of a stock-out.
    before.len() >= NEEDED && likely.is_some_and(|likely| likely < CHANCE)
}

/// Logarithm of the probability of a step without a sale.
fn log_zero(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if !(mean > 0.0 && mean < 1e150) {
        return 0.0;
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    log_zero_of(mean, variance / mean)
}

/// The same for a mean and a variance of so many means.
fn log_zero_of(mean: f64, spread: f64) -> f64 {
    match spread {
        _ if spread.is_infinite() => 0.0,
        _ if spread > 1.001 => -mean / (spread - 1.0) * spread.ln(),
        _ => -mean,
    }
}

fn fill(values: &mut [f64], runs: &[Range<usize>], season: usize) {
    let whole = values.iter().all(|value| value.fract() == 0.0);
    let mut unknown = vec![false; values.len()];
    runs.iter().for_each(|run| unknown[run.clone()].fill(true));
    let filled: Vec<(usize, f64)> = runs
        .iter()
        .flat_map(|run| run.clone().map(move |at| (run, at)))
        .map(|(run, at)| {
            let back = (1..=SEASONS).filter_map(|season_back| at.checked_sub(season_back * season.max(1)));
            let ahead = (1..=SEASONS).map(|season_ahead| at + season_ahead * season.max(1));
            let near: Vec<f64> = back
                .chain(ahead)
                .filter(|other| unknown.get(*other) == Some(&false))
                .map(|other| values[other])
                .collect();
            // Longer than the seasons that are looked at: what was sold before it.
            let before = &values[run.start.saturating_sub(AROUND)..run.start];
            let used = if near.is_empty() { before } else { &near };
            let mean = used.iter().sum::<f64>() / used.len().max(1) as f64;
            (at, if whole { mean.round() } else { mean })
        })
        .collect();
    filled.into_iter().for_each(|(at, value)| values[at] = value);
}

fn interpolate(values: &mut [f64], seen: &[bool]) {
    let mut last: Option<usize> = None;
    for at in 0..values.len() {
        if !seen[at] {
            continue;
        }
        if let Some(from) = last {
            let (low, high) = (values[from], values[at]);
            for (step, value) in values[from + 1..at].iter_mut().enumerate() {
                let part = (step + 1) as f64 / (at - from) as f64;
                *value = low * (1.0 - part) + high * part;
            }
        }
        last = Some(at);
    }
    // After the last row its value goes on.
    if let Some(last) = last {
        let value = values[last];
        values[last + 1..].fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Noise;

    #[test]
    fn empty_shelves_are_told_from_slow_days() {
        let mut noise = Noise(4);
        let week = [6.0, 5.0, 5.0, 6.0, 8.0, 14.0, 12.0];
        let mut sold: Vec<f64> = (0..200).map(|day| noise.poisson(week[day % 7])).collect();
        sold[100..110].fill(0.0);
        let found = stock_outs(&sold);
        assert!(found.len() == 1 && found[0] == (100..110), "{found:?}");
        let full = sold.clone();
        fill(&mut sold, &found, 7);
        assert!(sold[..100] == full[..100] && sold[110..] == full[110..]);
        let mended: f64 = sold[100..110].iter().sum();
        assert!((60.0..110.0).contains(&mended), "{mended}");
        assert!(sold[101] < sold[103], "weekends sell more: {:?}", &sold[100..110]);

        // One pair a fortnight: runs of weeks are nothing to wonder at; nor is what has ended, or was never there.
        let slow: Vec<f64> = (0..300).map(|_| noise.poisson(0.07)).collect();
        assert!(stock_outs(&slow).is_empty());
        let mut ended = full.clone();
        ended[90..].fill(0.0);
        assert!(stock_outs(&ended).is_empty());
        assert!(stock_outs(&[0.0; 50]).is_empty());
        assert!(stock_outs(&[]).is_empty());
        // Sold out at the end, or gone: nobody knows yet.
        let mut out = full;
        out[190..].fill(0.0);
        assert_eq!(stock_outs(&out), found);
    }

    #[test]
    fn a_few_sales_a_month_make_no_stock_outs() {
        for seed in 0..40 {
            let mut noise = Noise(seed);
            let mean = 0.05 * (1.0 + seed as f64);
            let sold: Vec<f64> =
                (0..1_000).map(|day| noise.poisson(mean * if day % 7 > 4 { 2.0 } else { 0.6 })).collect();
            let found = (stock_outs(&sold), closed(&sold, 7));
            assert!(found.0.is_empty() && found.1.is_empty(), "{mean}: {found:?}");
        }
    }

    #[test]
    fn a_closed_day_is_told_from_a_day_of_rest() {
        let mut noise = Noise(9);
        let week = [25.0, 30.0, 30.0, 35.0, 50.0, 90.0, 0.0];
        let mut sold: Vec<f64> = (0..210).map(|day| noise.poisson(week[day % 7])).collect();
        assert_eq!(closed(&sold, 7), [0_usize; 0], "never on Sundays");
        (sold[100], sold[150], sold[151]) = (0.0, 0.0, 0.0);
        // Day 146 is a day of rest, 100, 150 and 151 are not.
        assert_eq!(closed(&sold, 7), [100, 150, 151]);
        let times: Vec<i64> = (0..210).map(|day| day * DAY).collect();
        let with = |holidays: &[i64]| {
            regularise_with(&times, &sold, Some(Frequency::Daily), None, Gaps::Auto, holidays).unwrap()
        };
        let found = with(&[150]);
        assert_eq!((found.closed.as_slice(), found.values[150]), ([100, 151].as_slice(), 0.0));
        assert!(found.values[100] > 20.0 && found.values[146] == 0.0, "{}", found.values[100]);
    }

    #[test]
    fn gaps_are_what_the_caller_says() {
        let times: Vec<i64> = [0, 1, 2, 6, 7].map(|day| day * DAY).to_vec();
        let values = [2.0, 4.0, 2.0, 10.0, 12.0];
        let with = |gaps| {
            regularise_with(&times, &values, Some(Frequency::Daily), Some(9 * DAY), gaps, &[]).unwrap().values
        };
        assert_eq!(with(Gaps::Zero), [2.0, 4.0, 2.0, 0.0, 0.0, 0.0, 10.0, 12.0, 0.0, 0.0]);
        assert_eq!(with(Gaps::Interpolate), [2.0, 4.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 12.0, 12.0]);
        assert_eq!(with(Gaps::Auto), with(Gaps::Zero), "too short to say");
    }
}
