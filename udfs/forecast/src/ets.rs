//! Exponential smoothing with the form chosen by the corrected Akaike criterion.
//!
//! Hyndman, Koehler, Snyder & Grose (2002), "A state space framework for automatic forecasting using exponential
//! smoothing methods", *International Journal of Forecasting* 18; variances from Hyndman et al. (2008), *Forecasting
//! with Exponential Smoothing*, table 6.1. The trend is none, additive or damped; the season none, additive or
//! multiplicative; errors are additive, or multiplicative where there is no season or a multiplicative one and hardly
//! any value is zero.

pub(crate) mod filter;
mod initial;

use crate::interval::Fitted;
use crate::season::Kind;
use crate::simplex::Search;
use filter::{Form, Smoothing, State, Step, Trend};

/// A fitted form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ets {
    pub(crate) form: Form,
    pub(crate) smoothing: Smoothing,
    pub(crate) initial: State,
    /// Corrected Akaike criterion, up to a constant of the series.
    pub(crate) aicc: f64,
}

/// Points needed for a level and its error.
pub(crate) const NEEDED: usize = 3;

/// Kinds of error and season that go together.
const FAMILIES: [(Kind, Option<Kind>); 4] = [
    (Kind::Additive, None),
    (Kind::Multiplicative, None),
    (Kind::Additive, Some(Kind::Additive)),
    (Kind::Multiplicative, Some(Kind::Multiplicative)),
];

/// Up to this many values every hill of the likelihood is climbed; beyond, where one is seldom much higher, the one
/// that looks best from below.
const SHORT: usize = 300;

/// A form whose criterion is so much above the best before the climb seldom gets there by climbing.
const HOPELESS: f64 = 10.0;

impl Ets {
    /// Fits the form with the least AICc to at least [`NEEDED`] `values` with seasons of `season` steps.
    ///
    /// Every form is tried on a short series without season. Else forms are tried greedily: error and season first, on a
    /// level without trend, then the trend.
    pub(crate) fn fit(values: &[f64], season: usize) -> Option<Ets> {
        let try_form = |trend, (error, season_kind), bar| {
            Ets::fit_form(values, season, Form { error, trend, season: season_kind }, bar)
        };
        let mut tried: Option<Ets> = None;
        // Seasonal forms first: where there is a season, the others fall to the bar.
        for family in FAMILIES.into_iter().rev() {
            let bar = tried.as_ref().map_or(f64::INFINITY, |best| best.aicc + HOPELESS);
            let other = try_form(Trend::None, family, bar);
            tried = match (tried, other) {
                (Some(best), Some(other)) if other.aicc > best.aicc => Some(best),
                (best, other) => other.or(best),
            };
        }
        let mut best = tried?;
        let family = (best.form.error, best.form.season);
        for trend in [Trend::Additive, Trend::Damped] {
            let bar = best.aicc + HOPELESS;
            best = try_form(trend, family, bar).into_iter().fold(best, Ets::better);
        }
        if season < 2 && values.len() <= SHORT {
            // Six forms are soon tried, and a criterion is no hill to climb.
            let others = FAMILIES.into_iter().filter(|other| *other != family);
            let forms = others.flat_map(|other| [Trend::Additive, Trend::Damped].map(|trend| (trend, other)));
            return Some(
                forms
                    .filter_map(|(trend, other)| try_form(trend, other, f64::INFINITY))
                    .fold(best, Ets::better),
            );
        }
        // Growth makes the swings of a season look multiplicative, or hides them: with the trend known, ask again.
        if best.form.trend != Trend::None {
            for other in FAMILIES.into_iter().filter(|other| *other != family) {
                let bar = best.aicc + HOPELESS;
                best = try_form(best.form.trend, other, bar).into_iter().fold(best, Ets::better);
            }
        }
        Some(best)
    }

    /// Fits the same form to other values, starting from these parameters; itself where that fails.
    pub(crate) fn refit(&self, values: &[f64], season: usize) -> Ets {
        let start = free(self.form, self.smoothing);
        initial::guess(self.form, values, season)
            .and_then(|guess| polish(self.form, values, &start, 0.05, guess))
            .unwrap_or_else(|| self.clone())
    }

    /// None where the series is too short for the form, or, beyond [`SHORT`] values, where its criterion before the
    /// climb is above `bar`.
    fn fit_form(values: &[f64], season: usize, form: Form, bar: f64) -> Option<Ets> {
        let parameters = form.smoothing() + form.states(season) + 1;
        if values.len() < parameters + 2 {
            return None;
        }
        let guess = initial::guess(form, values, season)?;
        let starts = starts(form, values, &guess);
        let climbed = if values.len() <= SHORT { 2 } else { 1 };
        if values.len() > SHORT
            && starts.first().is_some_and(|(value, ..)| value + penalty(form, season, values.len()) > bar)
        {
            return None;
        }
        starts
            .into_iter()
            .take(climbed)
            .filter_map(|(_, smoothing, state)| polish(form, values, &free(form, smoothing), 0.1, state))
            .reduce(Ets::better)
    }

    fn better(self, other: Ets) -> Ets {
        if other.aicc < self.aicc { other } else { self }
    }
}

/// Optimises smoothing and initial states in turn, twice.
fn polish(form: Form, values: &[f64], start: &[f64], edge: f64, guess: State) -> Option<Ets> {
    let mut free = start.to_vec();
    let mut state = guess;
    let mut likelihood = f64::INFINITY;
    // Long series have steep hills.
    let evaluations = if values.len() > SHORT { 22 } else { 40 };
    for edge in [edge, edge / 4.0] {
        (free, likelihood) = search(form, values, &free, edge, evaluations, &state);
        let refined = initial::refine(form, smoothing(form, &free), &state, values);
        let Some(refined) = refined else { break };
        let value = deviance(form, smoothing(form, &free), &refined, values);
        if value < likelihood {
            (state, likelihood) = (refined, value);
        }
    }
    if !likelihood.is_finite() {
        return None;
    }
    let aicc = likelihood + penalty(form, state.season.len(), values.len());
    Some(Ets { form, smoothing: smoothing(form, &free), initial: state, aicc })
}

/// What the corrected Akaike criterion adds to the deviance.
fn penalty(form: Form, season: usize, count: usize) -> f64 {
    let parameters = (form.smoothing() + form.states(season) + 1) as f64;
    2.0 * parameters + 2.0 * parameters * (parameters + 1.0) / (count as f64 - parameters - 1.0).max(0.5)
}

/// Bounds of the free parameters, each relative to what it may at most be.
const LEAST: f64 = 1e-4;
const MOST: f64 = 1.0 - LEAST;
/// The most that beta may be of alpha. Up to alpha the model is as stable, but a trend that follows the last errors so
/// closely is seldom the one that goes on: on M4's yearly series, at three earlier origins, half is better.
const STEADY: f64 = 0.5;
/// Damping is searched between these.
const DAMPING: (f64, f64) = (0.8, 0.98);

/// Smoothing from free parameters in the unit box: alpha, beta / alpha in parts of its most, gamma / (1 − alpha), damping.
fn smoothing(form: Form, free: &[f64]) -> Smoothing {
    let mut free = free.iter().copied();
    let mut next = || free.next().unwrap_or(0.0);
    let alpha = next();
    let beta = if form.trend == Trend::None { 0.0 } else { next() * STEADY * alpha };
    let gamma = if form.season.is_none() { 0.0 } else { next() * (1.0 - alpha) };
    let phi = if form.trend == Trend::Damped { DAMPING.0 + next() * (DAMPING.1 - DAMPING.0) } else { 1.0 };
    Smoothing { alpha, beta, gamma, phi }
}

/// The inverse of [`smoothing`].
fn free(form: Form, smoothing: Smoothing) -> Vec<f64> {
    let mut free = vec![smoothing.alpha];
    if form.trend != Trend::None {
        free.push((smoothing.beta / smoothing.alpha / STEADY).clamp(LEAST, MOST));
    }
    if form.season.is_some() {
        free.push(smoothing.gamma / (1.0 - smoothing.alpha));
    }
    if form.trend == Trend::Damped {
        free.push((smoothing.phi - DAMPING.0) / (DAMPING.1 - DAMPING.0));
    }
    free
}

/// Where to begin, best first: the best alpha of a coarse grid, with the season following the errors and with the
/// season standing still, all in its initial states. The likelihood has a hill at each.
fn starts(form: Form, values: &[f64], guess: &State) -> Vec<(f64, Smoothing, State)> {
    let gammas: &[f64] = if form.season.is_some() { &[0.2, 0.002] } else { &[0.0] };
    let phi = if form.trend == Trend::Damped { 0.95 } else { 1.0 };
    let mut starts: Vec<(f64, Smoothing, State)> = gammas
        .iter()
        .map(|gamma| {
            let at = |alpha: f64| Smoothing { alpha, beta: 0.05 * alpha, gamma: gamma * (1.0 - alpha), phi };
            let mut best = (f64::INFINITY, at(0.1), guess.clone());
            for alpha in [0.02, 0.1, 0.3, 0.7] {
                let value = deviance(form, at(alpha), guess, values);
                if value < best.0 {
                    best = (value, at(alpha), guess.clone());
                }
            }
            // States that are right to the last step leave a season that follows the errors nothing to do.
            let still = form.season.is_none() || *gamma < 0.01;
            let refined = still.then(|| initial::refine(form, best.1, guess, values)).flatten();
            if let Some(refined) = refined {
                let value = deviance(form, best.1, &refined, values);
                if value < best.0 {
                    best = (value, best.1, refined);
                }
            }
            best
        })
        .collect();
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    starts
}

fn search(
    form: Form,
    values: &[f64],
    start: &[f64],
    edge: f64,
    evaluations: usize,
    state: &State,
) -> (Vec<f64>, f64) {
    let size = start.len();
    let search = Search {
        start,
        edge: &vec![edge; size],
        lower: &vec![LEAST; size],
        upper: &vec![MOST; size],
        evaluations: evaluations * size,
        tolerance: 3e-3,
    };
    search.minimise(|free| deviance(form, smoothing(form, free), state, values))
}

/// −2 × the log-likelihood with the variance concentrated out, up to a constant.
fn deviance(form: Form, smoothing: Smoothing, state: &State, values: &[f64]) -> f64 {
    let mut state = state.clone();
    let count = values.len() as f64;
    let mut squares = 0.0;
    if form.error == Kind::Additive {
        filter::run(form, smoothing, &mut state, values, |_, step: Step, _| {
            squares += step.error * step.error
        });
        return count * squares.max(1e-24 * count).ln();
    }
    // Σ ln mean, as the logarithm of products that stay in range.
    let (mut logarithms, mut product, mut least) = (0.0, 1.0_f64, f64::INFINITY);
    filter::run(form, smoothing, &mut state, values, |_, step: Step, _| {
        squares += step.error * step.error;
        least = least.min(step.mean);
        product *= step.mean;
        if !(1e-150..1e150).contains(&product) {
            logarithms += product.ln();
            product = 1.0;
        }
    });
    if least <= 0.0 {
        return f64::INFINITY;
    }
    count * squares.max(1e-24 * count).ln() + 2.0 * (logarithms + product.ln())
}

impl Fitted for Ets {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        let mut state = self.initial.clone();
        filter::run(self.form, self.smoothing, &mut state, history, |time, _, state| {
            let origin = time + 1;
            if origin >= first {
                filter::project(self.form, self.smoothing, state, origin, &mut means);
                visit(origin, &means);
            }
        });
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let Smoothing { alpha, beta, gamma, phi } = self.smoothing;
        let season = if self.form.season.is_some() { self.initial.season.len() } else { usize::MAX };
        let mut variance = 1.0;
        let (mut damping, mut reach) = (1.0, 0.0);
        (0..horizon)
            .map(|step| {
                if step > 0 {
                    damping *= phi;
                    reach += damping;
                    let follows = alpha + beta * reach + if step % season == 0 { gamma } else { 0.0 };
                    variance += follows * follows;
                }
                f64::sqrt(variance)
            })
            .collect()
    }

    fn parameters(&self) -> usize {
        self.form.smoothing() + self.form.states(self.initial.season.len())
    }

    fn warm_up(&self) -> usize {
        1
    }

    fn form(&self) -> Option<String> {
        Some(self.form.name())
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(Ets::refit(self, values, self.initial.season.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{AIR_PASSENGERS, assert_close, weekly};

    fn form(name: &str) -> Form {
        let kind = |letter| match letter {
            'A' => Some(Kind::Additive),
            'M' => Some(Kind::Multiplicative),
            _ => None,
        };
        let letters: Vec<char> = name.chars().collect();
        let trend = if letters[1] == 'A' { Trend::Additive } else { Trend::None };
        Form { error: kind(letters[0]).unwrap(), trend, season: kind(letters[2]) }
    }

    fn ahead(ets: &Ets, values: &[f64], horizon: usize) -> Vec<f64> {
        let mut ahead = Vec::new();
        ets.walk(values, values.len(), horizon, &mut |_, means| ahead = means.to_vec());
        ahead
    }

    #[test]
    fn criteria_are_no_worse_than_those_of_statsforecast() {
        // AICc of statsforecast 2.1.1, AutoETS(model=…, damped=False); R's forecast::ets finds 1400.64 for the best
        // form of AirPassengers, ETS(M,Ad,M).
        let air = AIR_PASSENGERS.as_slice();
        let weekly = weekly();
        for (values, season, name, theirs) in [
            (air, 12, "ANN", 1733.958),
            (air, 12, "AAN", 1737.600),
            (air, 12, "AAA", 1518.689),
            (air, 12, "MNM", 1458.102),
            (air, 12, "MAM", 1511.993),
            (&weekly, 7, "ANN", 1305.615),
            (&weekly, 7, "AAN", 1309.299),
            (&weekly, 7, "ANA", 967.548),
            (&weekly, 7, "AAA", 970.966),
        ] {
            let ours = Ets::fit_form(values, season, form(name), f64::INFINITY).unwrap().aicc;
            assert!(ours < theirs + 0.05, "{name}: {ours} against {theirs}");
        }
        assert!(Ets::fit(air, 12).unwrap().aicc < 1400.64);
    }

    #[test]
    fn forecasts_agree_with_statsforecast() {
        // statsforecast 2.1.1, AutoETS(season_length=7) on the weekly fixture, which picks ETS(A,N,A) too.
        let weekly = weekly();
        let ets = Ets::fit(&weekly, 7).unwrap();
        assert_eq!(ets.form.name(), "ETS(A,N,A)");
        let theirs = [34.979, 39.146, 45.184, 47.652, 51.227, 61.287, 52.393, 34.979, 39.146, 45.184, 47.652];
        assert_close(&ahead(&ets, &weekly, 11), &theirs, 0.002);
        // anofox-forecast 0.19.0, AutoETS::with_period(7).
        let theirs = [34.9828, 39.1482, 45.1897, 47.6597, 51.2223, 61.2850, 52.3891];
        assert_close(&ahead(&ets, &weekly, 7), &theirs, 0.002);
        // The interval of statsforecast for step 14 is wider than that for step 1 by 6.107 / 5.058.
        assert!((ets.growth(14)[13] - 6.106 / 5.058).abs() < 0.02, "{:?}", ets.growth(14));

        let theirs = [434.239, 436.482, 438.724, 440.967, 443.210, 445.453];
        let ets = Ets::fit_form(&AIR_PASSENGERS, 12, form("AAN"), f64::INFINITY).unwrap();
        assert_close(&ahead(&ets, &AIR_PASSENGERS, 6), &theirs, 0.002);
    }

    #[test]
    fn a_line_is_continued_and_a_constant_stays() {
        let line: Vec<f64> = (0..60).map(|t| 10.0 + 2.0 * f64::from(t)).collect();
        let ets = Ets::fit(&line, 1).unwrap();
        assert_close(&ahead(&ets, &line, 3), &[130.0, 132.0, 134.0], 1e-3);
        let ets = Ets::fit(&[5.0; 40], 7).unwrap();
        assert_eq!(ets.form.name(), "ETS(A,N,N)");
        assert_close(&ahead(&ets, &[5.0; 40], 2), &[5.0, 5.0], 1e-9);
    }

    #[test]
    fn a_refit_to_the_same_values_changes_little() {
        let weekly = weekly();
        let ets = Ets::fit(&weekly, 7).unwrap();
        assert!((ets.refit(&weekly, 7).aicc - ets.aicc).abs() < 0.1);
    }

    #[test]
    fn errors_of_a_damped_trend_grow_as_its_formula_says() {
        let form = Form { error: Kind::Additive, trend: Trend::Damped, season: None };
        let smoothing = Smoothing { alpha: 0.5, beta: 0.2, gamma: 0.0, phi: 0.9 };
        let ets =
            Ets { form, smoothing, initial: State { level: 0.0, trend: 0.0, season: vec![0.0] }, aicc: 0.0 };
        // c₁ = α + βφ, c₂ = α + β(φ + φ²)
        let (first, second) = (0.5_f64 + 0.2 * 0.9, 0.5 + 0.2 * (0.9 + 0.81));
        let expected = [1.0, (1.0 + first * first).sqrt(), (1.0 + first * first + second * second).sqrt()];
        assert_close(&ets.growth(3), &expected, 1e-12);
    }
}
