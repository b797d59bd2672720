//! Rows to learn from: a draw of (series, origin, day ahead) from all there are.

use smartsneaks_table_function::{Run, for_each};

use super::boost::Table;
use super::draw;
use super::features::Features;
use super::pool::Pool;
use super::profile::Profile;
use super::series::PreparedSeries;

/// Rows at most, about; memory is some 250 bytes a row.
const ROWS: usize = 200_000;
/// Rows of a series at most: beyond, a small panel took four times as long and was within 0.6% as accurate.
const A_SERIES: usize = 300;
/// Series of a job.
const PIECE: usize = 16;
/// Days back from the end that rows are drawn from.
const REACH: usize = 1_100;
/// The part of a series' rows that it may at most be drawn for, in rows a day.
const A_DAY: usize = 12;
/// Days from the launch to the first origin.
const FIRST: usize = 7;

/// Draws rows from all but the last `held` days of each series. Rows of a series depend on its own position and the
/// number of series only; they stand in the order of the series.
pub(crate) fn draw_rows(
    series: &[PreparedSeries],
    held: usize,
    features: &Features,
    pool: &Pool,
    horizon: usize,
    seed: u64,
    run: Run<'_>,
) -> Table {
    let share = ROWS.div_ceil(series.len().max(1)).min(A_SERIES);
    let mut pieces: Vec<Table> = series.chunks(PIECE).map(|_| Table::default()).collect();
    for_each(run, &mut pieces, |piece, table| {
        *table = Table::with_room(features.width(), PIECE * share);
        let series = series.iter().skip(piece * PIECE).take(PIECE);
        draw_piece(series, held, features, pool, (horizon, share, seed), table);
    });
    Table::concat(features.width(), pieces)
}

fn draw_piece<'a>(
    series: impl Iterator<Item = &'a PreparedSeries>,
    held: usize,
    features: &Features,
    pool: &Pool,
    (horizon, share, seed): (usize, usize, u64),
    table: &mut Table,
) {
    for series in series {
        let cut = series.values.len().saturating_sub(held);
        let first = (series.launch + FIRST).max(cut.saturating_sub(REACH));
        if cut <= first + 1 {
            continue;
        }
        let profile = Profile::fit(series, cut, pool);
        let counts = Counts::new(&profile, series, cut);
        for number in 0..share.min(A_DAY * (cut - first)) {
            let draw = draw::hash(seed, series.position as u64, number as u64);
            let target = first + draw::below(draw, cut - first);
            let step = 1 + draw::below(draw::hash(draw, 1, 2), horizon);
            // Days near the launch have fewer steps to be drawn from.
            let Some(origin) = (target + 1).checked_sub(step).filter(|origin| *origin >= first) else {
                continue;
            };
            push(table, features, series, &profile, pool, (origin, target), counts);
        }
    }
}

/// What rows of a series count by, beside the loss.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// Less where demand varies more than counts do.
    steadiness: f32,
    /// Mean sales of a day of the last year.
    size: f32,
}

impl Counts {
    /// Of the first `cut` values.
    pub(crate) fn new(profile: &Profile, series: &PreparedSeries, cut: usize) -> Counts {
        let unsteady = profile.spread(&series.values, cut).powi(2).clamp(0.2, 20.0);
        Counts { steadiness: (1.0 / unsteady) as f32, size: profile.mean(cut, 364) as f32 }
    }
}

/// Adds the row of a position as seen from an origin.
pub(crate) fn push(
    table: &mut Table,
    features: &Features,
    series: &PreparedSeries,
    profile: &Profile,
    pool: &Pool,
    (origin, target): (usize, usize),
    counts: Counts,
) {
    features.push(series, profile, pool, (origin, target), &mut table.features);
    table.starts.push(profile.mean_at(origin, target, pool).ln() as f32);
    table.values.push(series.values.get(target).copied().unwrap_or(0.0));
    table.steadiness.push(counts.steadiness);
    table.sizes.push(counts.size);
}
