//! Local or global: which forecasts the last days of the series better, made without them.

use smartsneaks_table_function::Run;

use super::band::{self, Outcome};
use super::boost::{Boost, TREES, Table};
use super::features::Features;
use super::pool::Pool;
use super::profile::Profile;
use super::sample;
use super::series::{PanelRequest, PreparedSeries};
use super::tweedie;

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

/// Methods in the order in which they are tried. The mean of two comes first: it is seldom the worst (Bates & Granger
/// 1969, "The combination of forecasts", *Operational Research Quarterly* 20).
const TRIED: [PanelMethod; 3] = [PanelMethod::Average, PanelMethod::Global, PanelMethod::Local];
/// What a later method has to gain on an earlier one.
const MARGIN: f64 = 0.997;
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
    /// Trees that were best.
    pub(crate) trees: usize,
}

/// Holds the last `horizon` days of every series out, learns from the rest and compares. Without `global`, only local
/// models are looked at.
pub(crate) fn judge(
    series: &[PreparedSeries],
    request: &PanelRequest,
    global: bool,
    run: Run<'_>,
) -> Holdout {
    let held = request.horizon;
    let pool = Pool::new(series, held);
    let features = Features::new(series, held, request);
    let mut table = Table { width: features.width(), ..Table::default() };
    let mut judged: Vec<Judged> = Vec::new();
    let stride = held.div_ceil(STEPS);
    for series in series.iter().filter(|series| series.is_judged(request.series, request.seed)) {
        let cut = series.values.len().saturating_sub(held);
        let Some(scale) = scale(&series.values[series.launch.min(cut)..cut]) else { continue };
        let profile = Profile::fit(series, cut, &pool);
        let weight = sample::weight(&profile, series, cut);
        let spread = profile.spread(&series.values, cut);
        let first = table.values.len();
        for target in (cut..series.values.len()).step_by(stride) {
            sample::push(&mut table, &features, series, &profile, &pool, (cut, target), weight);
        }
        let rows = (first, table.values.len());
        judged.push(Judged {
            rows,
            position: series.position,
            whole: series.whole,
            scale,
            spread,
            held: series.held.as_deref(),
        });
    }
    let boost = if global && !judged.is_empty() {
        let rows = sample::draw_rows(series, held, &features, &pool, held, request.seed, run);
        Boost::learn(&rows, Some(&table), TREES, request.seed, run).0
    } else {
        Boost::default()
    };
    let mut means = Vec::with_capacity(table.values.len());
    for one in &judged {
        for row in one.rows.0..one.rows.1 {
            let start = f64::from(table.starts[row]);
            let local = one.held.map(|held| f64::from(held[(row - one.rows.0) * stride]));
            let seen = &table.features[row * table.width..(row + 1) * table.width];
            means.push((
                local.unwrap_or_else(|| tweedie::mean(start)),
                tweedie::mean(start + boost.score(seen)),
            ));
        }
    }

    let methods = if boost.trees.is_empty() { &TRIED[2..] } else { &TRIED[..] };
    let mut best: Option<(f64, PanelMethod, Vec<Outcome>)> = None;
    let mut scores = Vec::new();
    for method in methods.iter().copied().filter(|_| !judged.is_empty()) {
        let (mut outcomes, mut sum) = (Vec::with_capacity(means.len()), 0.0);
        for one in &judged {
            let mut squares = 0.0;
            for (row, means) in means.iter().enumerate().take(one.rows.1).skip(one.rows.0) {
                let mean = method.combine(means.0, means.1);
                let actual = f64::from(table.values[row]);
                squares += (actual - mean).powi(2);
                let step = (row - one.rows.0) * stride;
                outcomes.push(Outcome {
                    series: one.position,
                    step,
                    mean,
                    actual,
                    spread: one.spread,
                    whole: one.whole,
                });
            }
            sum += (squares / (one.rows.1 - one.rows.0) as f64 / one.scale).sqrt();
        }
        let rmsse = sum / judged.len() as f64;
        let interval_score = band::crossed(&outcomes, held, 0.5);
        scores.push(PanelScore { method, rmsse, interval_score });
        // Both count alike: the product of the two.
        let total = rmsse * interval_score;
        if best.as_ref().is_none_or(|(least, ..)| total < MARGIN * least) {
            best = Some((total, method, outcomes));
        }
    }
    let (method, outcomes) =
        best.map_or((PanelMethod::Local, Vec::new()), |(_, method, outcomes)| (method, outcomes));
    Holdout { method, scores, outcomes, series: judged.len(), trees: boost.trees.len() }
}

/// A series whose end was held out, and its rows of the table.
struct Judged<'a> {
    rows: (usize, usize),
    position: usize,
    whole: bool,
    scale: f64,
    spread: f64,
    held: Option<&'a [f32]>,
}

/// Mean squared difference from one value to the next; None where there is none.
fn scale(values: &[f32]) -> Option<f64> {
    let sum: f64 = values.windows(2).map(|pair| f64::from(pair[1] - pair[0]).powi(2)).sum();
    (values.len() >= 14 && sum > 0.0).then(|| sum / (values.len() - 1) as f64)
}
