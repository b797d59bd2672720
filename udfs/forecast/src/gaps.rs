//! What steps without a sale mean: nothing sold, nothing to sell, or nothing known.

use std::ops::Range;

use crate::calendar::{Regular, regularise};
use crate::frequency::Frequency;
use crate::unforecastable::Unforecastable;

/// What a step without a row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// No sale; but a run of steps without any that chance does not explain is a stock-out, and says nothing of demand.
    #[default]
    Auto,
    /// No sale, however long.
    Zero,
    /// Nothing is known: the value is on the line between those around it.
    Interpolate,
}

/// A run shorter than this is never a stock-out, and one longer is the end of an article's life.
const RUN: (usize, usize) = (3, 60);
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

/// A series on its calendar ([`regularise`]) whose gaps are what `gaps` says. With `Auto`, stock-outs have the mean of
/// the same place in the seasons around them.
///
/// # Errors
/// Those of [`regularise`].
pub fn regularise_with(
    times: &[i64],
    values: &[f64],
    frequency: Option<Frequency>,
    until: Option<i64>,
    gaps: Gaps,
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
            let found = stock_outs(&regular.values);
            fill(&mut regular.values, &found, season);
            regular.stock_outs = found;
        }
    }
    Ok(regular)
}

/// Runs of zeros before the last sale that are too long for chance, given what sold before and after: by a negative binomial law with the mean
/// and variance of those steps, the less telling side counts. None where a value is below 0: such series are no sales.
fn stock_outs(values: &[f64]) -> Vec<Range<usize>> {
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
        let run = at..at + length;
        at = run.end;
        // One that goes on may be the article's end: only sales after it tell.
        if length < RUN.0 || length > RUN.1 || run.end == values.len() {
            continue;
        }
        let before = &values[run.start.saturating_sub(AROUND)..run.start];
        let after = &values[run.end..(run.end + AROUND).min(values.len())];
        let sides = [before, after].into_iter().filter(|side| side.len() >= NEEDED);
        let likely = sides.map(|side| length as f64 * log_zero(side)).reduce(f64::max);
        // What came before has to be known: a launch is not the end of a stock-out.
        if before.len() >= NEEDED && likely.is_some_and(|likely| likely < CHANCE) {
            found.push(run);
        }
    }
    found
}

/// Logarithm of the probability of a step without a sale.
fn log_zero(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if !(mean > 0.0 && mean < 1e150) {
        return 0.0;
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let spread = variance / mean;
    if spread > 1.001 { -mean / (spread - 1.0) * spread.ln() } else { -mean }
}

fn fill(values: &mut [f64], runs: &[Range<usize>], season: usize) {
    let whole = values.iter().all(|value| value.fract() == 0.0);
    let known = |at: usize| !runs.iter().any(|run| run.contains(&at));
    let filled: Vec<(usize, f64)> = runs
        .iter()
        .flat_map(|run| run.clone().map(move |at| (run, at)))
        .map(|(run, at)| {
            let back = (1..=SEASONS).filter_map(|season_back| at.checked_sub(season_back * season.max(1)));
            let ahead = (1..=SEASONS).map(|season_ahead| at + season_ahead * season.max(1));
            let near: Vec<f64> = back
                .chain(ahead)
                .filter(|other| *other < values.len() && known(*other))
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
    use crate::civil::DAY;
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
            let found = stock_outs(&sold);
            assert!(found.is_empty(), "{mean}: {found:?}");
        }
    }

    #[test]
    fn gaps_are_what_the_caller_says() {
        let times: Vec<i64> = [0, 1, 2, 6, 7].map(|day| day * DAY).to_vec();
        let values = [2.0, 4.0, 2.0, 10.0, 12.0];
        let with = |gaps| {
            regularise_with(&times, &values, Some(Frequency::Daily), Some(9 * DAY), gaps).unwrap().values
        };
        assert_eq!(with(Gaps::Zero), [2.0, 4.0, 2.0, 0.0, 0.0, 0.0, 10.0, 12.0, 0.0, 0.0]);
        assert_eq!(with(Gaps::Interpolate), [2.0, 4.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 12.0, 12.0]);
        assert_eq!(with(Gaps::Auto), with(Gaps::Zero), "too short to say");
    }
}
