//! Local or global: which forecasts the last days of the series better, made without them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use smartsneaks_table_function::{Run, for_each};

use super::band::{self, Outcome};
use super::boost::{Binned, Boost, Learner, Measured, Table, Trial};
use super::features::Features;
use super::loss::{self, PanelLoss};
use super::pool::Pool;
use super::profile::Profile;
use super::sample;
use super::series::{PanelRequest, PreparedSeries};

/// Who forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanelMethod {
    /// Models of the series alone: the mean of ETS and Theta for regular series, the profile for sparse ones.
    Local,
    /// Trees learned across the panel.
    Global,
    /// The mean of both.
    Average,
}

impl PanelMethod {
    /// All of them, the simplest first.
    pub const ALL: [PanelMethod; 3] = [PanelMethod::Local, PanelMethod::Global, PanelMethod::Average];

    /// The name that SQL uses: `local`, `global` or `average`.
    pub fn name(self) -> &'static str {
        match self {
            PanelMethod::Local => "local",
            PanelMethod::Global => "global",
            PanelMethod::Average => "average",
        }
    }

    pub(crate) fn combine(self, local: f64, global: f64) -> f64 {
        match self {
            PanelMethod::Local => local,
            PanelMethod::Global => global,
            PanelMethod::Average => (local + global) / 2.0,
        }
    }
}

/// How well a method did on the held-out days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PanelScore {
    /// The method.
    pub method: PanelMethod,
    /// Root mean squared scaled error (Hyndman & Koehler 2006; scaled by that of yesterday's value), mean over series.
    pub rmsse: f64,
    /// Mean interval score at 95%, bounds taken from the other half of the series.
    pub interval_score: f64,
}

/// Methods in the order in which they are tried: trees begin with a local model and have measured as the best wherever
/// little lies between them and the mean of both; that comes next, being seldom the worst (Bates & Granger 1969, "The
/// combination of forecasts", *Operational Research Quarterly* 20).
const TRIED: [PanelMethod; 3] = [PanelMethod::Global, PanelMethod::Average, PanelMethod::Local];
/// What a later method has to gain on an earlier one: less is within what one block of days can tell.
const MARGIN: f64 = 0.99;
/// Days of a week.
const WEEK: usize = 7;
/// Series of a job.
const PIECE: usize = 16;
/// Steps of a long horizon that are judged.
const STEPS: usize = 56;

/// What the held-out days said.
#[derive(Debug, Clone)]
pub(crate) struct Holdout {
    pub(crate) method: PanelMethod,
    pub(crate) scores: Vec<PanelScore>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Series that were judged.
    pub(crate) series: usize,
    /// What the method gained on each of them.
    pub(crate) skills: Skills,
}

/// By position: 1 − RMSE of the method / RMSE of the same weekday of the last week that was known, on the held-out days.
/// Series that were not judged, or on which that made no error, have none.
pub(crate) type Skills = BTreeMap<usize, f64>;

/// Series whose last `horizon` days are held out, and those days as rows.
pub(crate) struct HeldOut<'a> {
    request: &'a PanelRequest,
    pool: Pool,
    features: Features,
    /// The rows that are held out.
    pub(crate) table: Table,
    judged: Vec<Judged<'a>>,
    /// The same, as far as errors are concerned.
    measured: Vec<Measured>,
}

impl<'a> HeldOut<'a> {
    /// Holds out; `pool` and `features` come of the days before.
    pub(crate) fn new(
        series: &'a [PreparedSeries],
        request: &'a PanelRequest,
        (pool, features): (Pool, Features),
        run: Run<'_>,
    ) -> HeldOut<'a> {
        let held = request.horizon;
        let chosen: Vec<&PreparedSeries> =
            series.iter().filter(|series| series.is_judged(request.series, request.seed)).collect();
        let stride = held.div_ceil(STEPS);
        let mut pieces: Vec<(Table, Vec<Judged>)> =
            chosen.chunks(PIECE).map(|_| Default::default()).collect();
        for_each(run, &mut pieces, |piece, (table, judged)| {
            *table = Table::with_room(features.width(), PIECE * held.div_ceil(stride.max(1)));
            for series in chosen.iter().skip(piece * PIECE).take(PIECE) {
                let cut = series.values.len().saturating_sub(held);
                let Some(scale) = scale(series.known(cut)) else { continue };
                let profile = Profile::fit(series, cut, &pool);
                let counts = sample::Counts::new(&profile, series, cut);
                let spread = profile.spread(&series.values, cut);
                let first = table.values.len();
                let mut naive = 0.0;
                for target in (cut..series.values.len()).step_by(stride) {
                    sample::push(table, &features, series, &profile, &pool, (cut, target), counts);
                    let same =
                        cut.checked_sub(WEEK).map_or(0.0, |week| series.values[week + (target - cut) % WEEK]);
                    naive += f64::from(series.values[target] - same).powi(2);
                }
                judged.push(Judged {
                    measured: Measured { rows: first..table.values.len(), scale },
                    position: series.position,
                    whole: series.whole,
                    naive,
                    spread,
                    held: series.held.as_deref(),
                });
            }
        });
        let (mut tables, mut judged, mut first) = (Vec::new(), Vec::new(), 0);
        for (table, ones) in pieces {
            judged.extend(ones.into_iter().map(|mut one| {
                let Range { start, end } = one.measured.rows;
                one.measured.rows = first + start..first + end;
                one
            }));
            first += table.values.len();
            tables.push(table);
        }
        let table = Table::concat(features.width(), tables);
        let measured = judged.iter().map(|one: &Judged<'_>| one.measured.clone()).collect();
        HeldOut { request, pool, features, table, judged, measured }
    }

    /// Whether there is nothing to judge by.
    pub(crate) fn is_empty(&self) -> bool {
        self.judged.is_empty()
    }

    /// Learners from the days before, one a loss, without trees.
    pub(crate) fn trials(&self, series: &[PreparedSeries], run: Run<'_>) -> Vec<Trial<'_>> {
        let PanelRequest { horizon, seed, .. } = *self.request;
        let rows = sample::draw_rows(series, horizon, &self.features, &self.pool, horizon, seed, run);
        let rows = Arc::new(Binned::new(rows, run));
        let trial =
            |loss| Trial::new(Learner::new(Arc::clone(&rows), loss, seed), &self.table, &self.measured);
        PanelLoss::ALL.map(trial).into()
    }

    /// Compares the methods; without trees, only local models are looked at.
    pub(crate) fn judge(&self, boost: &Boost, run: Run<'_>) -> Holdout {
        let HeldOut { request, table, judged, .. } = self;
        let stride = request.horizon.div_ceil(STEPS);
        let mut means: Vec<(&Judged<'_>, Vec<(f64, f64)>)> =
            judged.iter().map(|one| (one, Vec::new())).collect();
        for_each(run, &mut means, |_, (one, means)| {
            means.extend(one.measured.rows.clone().map(|row| {
                let start = f64::from(table.starts[row]);
                let local = one.held.map(|held| f64::from(held[(row - one.measured.rows.start) * stride]));
                let seen = &table.features[row * table.width..(row + 1) * table.width];
                (local.unwrap_or_else(|| loss::mean(start)), loss::mean(start + boost.score(seen)))
            }));
        });

        let methods = if boost.trees.is_empty() { &TRIED[2..] } else { &TRIED[..] };
        let methods = if judged.is_empty() { &[] } else { methods };
        let mut tried: Vec<(PanelMethod, Option<Tried>)> =
            methods.iter().map(|method| (*method, None)).collect();
        for_each(run, &mut tried, |_, (method, tried)| *tried = Some(self.try_out(*method, &means, run)));

        let mut best: Option<(f64, PanelMethod, Vec<Outcome>)> = None;
        let mut scores = Vec::new();
        for (method, tried) in tried {
            let Some(Tried { rmsse, interval_score, outcomes }) = tried else { continue };
            scores.push(PanelScore { method, rmsse, interval_score });
            // Both count alike: the product of the two.
            let total = rmsse * interval_score;
            if best.as_ref().is_none_or(|(least, ..)| total < MARGIN * least) {
                best = Some((total, method, outcomes));
            }
        }
        let (method, outcomes) =
            best.map_or((PanelMethod::Local, Vec::new()), |(_, method, outcomes)| (method, outcomes));
        let skills = self.skills(&outcomes);
        Holdout { method, scores, outcomes, series: judged.len(), skills }
    }

    /// Of outcomes in the order of the rows.
    fn skills(&self, outcomes: &[Outcome]) -> Skills {
        let skill = |one: &Judged<'_>| {
            let rows = outcomes.get(one.measured.rows.clone())?;
            let squares: f64 = rows.iter().map(|row| (row.actual - row.mean).powi(2)).sum();
            (one.naive > 0.0).then(|| (one.position, 1.0 - (squares / one.naive).sqrt()))
        };
        self.judged.iter().filter_map(skill).collect()
    }

    /// How well a method does, given the local and the global mean of every row.
    fn try_out(&self, method: PanelMethod, means: &[(&Judged<'_>, Vec<(f64, f64)>)], run: Run<'_>) -> Tried {
        let stride = self.request.horizon.div_ceil(STEPS);
        let (mut outcomes, mut sum) = (Vec::with_capacity(self.table.values.len()), 0.0);
        for (one, means) in means {
            let mut squares = 0.0;
            for (place, (local, global)) in means.iter().enumerate() {
                let mean = method.combine(*local, *global);
                let actual = f64::from(self.table.values[one.measured.rows.start + place]);
                squares += (actual - mean).powi(2);
                outcomes.push(Outcome {
                    series: one.position,
                    step: place * stride,
                    mean,
                    actual,
                    spread: one.spread,
                    whole: one.whole,
                });
            }
            sum += (squares / means.len() as f64 / one.measured.scale).sqrt();
        }
        Tried {
            rmsse: sum / means.len() as f64,
            interval_score: band::crossed(&outcomes, self.request.horizon, 0.5, run),
            outcomes,
        }
    }
}

/// What a method said of the held-out days.
struct Tried {
    rmsse: f64,
    interval_score: f64,
    outcomes: Vec<Outcome>,
}

/// A series whose end was held out, and its rows of the table.
struct Judged<'a> {
    measured: Measured,
    position: usize,
    whole: bool,
    /// Sum of the squared errors of last week's values.
    naive: f64,
    spread: f64,
    held: Option<&'a [f32]>,
}

/// Mean squared difference from one value to the next; None where there is none.
pub(crate) fn scale(values: &[f32]) -> Option<f64> {
    let sum: f64 = values.windows(2).map(|pair| f64::from(pair[1] - pair[0]).powi(2)).sum();
    (values.len() >= 14 && sum > 0.0).then(|| sum / (values.len() - 1) as f64)
}
