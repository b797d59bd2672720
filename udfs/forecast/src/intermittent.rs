//! Models of series that are mostly zero: sizes of demands and how often one comes.

use crate::interval::Fitted;
use crate::quantile;

/// A fitted model whose forecast is one level for every step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intermittent {
    method: Method,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    /// Croston's smoothing of sizes and gaps, with the correction of Syntetos & Boylan.
    CrostonSba { alpha: f64 },
    /// Smoothing of the probability of a demand at every step and of sizes at demands.
    Tsb { probability: f64, size: f64 },
    /// Simple smoothing of sums over `bucket` steps, shared out evenly.
    Adida { bucket: usize, alpha: f64 },
}

/// Points needed by each.
pub(crate) const NEEDED: usize = 3;

/// Smoothing constants that are tried.
const GRID: [f64; 6] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3];

impl Intermittent {
    /// Croston (1972), "Forecasting and stock control for intermittent demands", *Operational Research Quarterly* 23,
    /// with the bias correction 1 − α/2 of Syntetos & Boylan (2005), "The accuracy of intermittent demand estimates",
    /// *International Journal of Forecasting* 21; α is the usual 0.1.
    pub(crate) fn croston_sba() -> Intermittent {
        Intermittent { method: Method::CrostonSba { alpha: 0.1 } }
    }

    /// Teunter, Syntetos & Babai (2011), "Intermittent demand: linking forecasting to inventory obsolescence", *European
    /// Journal of Operational Research* 214. Both constants are those with the least squared errors one step ahead.
    pub(crate) fn tsb(values: &[f64]) -> Intermittent {
        let all = GRID.iter().flat_map(|p| GRID.iter().map(|s| Method::Tsb { probability: *p, size: *s }));
        Intermittent::best(values, all)
    }

    /// Nikolopoulos, Syntetos, Boylan, Petropoulos & Assimakopoulos (2011), "An aggregate-disaggregate intermittent
    /// demand approach (ADIDA) to forecasting", *Journal of the Operational Research Society* 62: buckets as long as
    /// the mean gap between demands.
    pub(crate) fn adida(values: &[f64]) -> Intermittent {
        let demands = values.iter().filter(|value| **value != 0.0).count().max(1);
        let bucket = (values.len() as f64 / demands as f64).round().max(1.0) as usize;
        Intermittent::best(values, GRID.iter().map(|alpha| Method::Adida { bucket, alpha: *alpha }))
    }

    fn best(values: &[f64], methods: impl Iterator<Item = Method>) -> Intermittent {
        let mut best = (f64::INFINITY, Intermittent::croston_sba());
        for method in methods {
            let model = Intermittent { method };
            let mut squares = 0.0;
            model.levels(values, |time, level| {
                if let Some(next) = values.get(time) {
                    squares += (next - level).powi(2);
                }
            });
            if squares < best.0 || best.0 == f64::INFINITY {
                best = (squares, model);
            }
        }
        best.1
    }

    /// Calls `visit(origin, level)` for every origin from 1 on.
    fn levels(&self, values: &[f64], mut visit: impl FnMut(usize, f64)) {
        match self.method {
            Method::CrostonSba { alpha } => {
                let (mut size, mut gap, mut since) = (0.0, 0.0, 0.0);
                for (time, value) in values.iter().enumerate() {
                    since += 1.0;
                    if *value != 0.0 {
                        let first = gap == 0.0;
                        size = if first { *value } else { size + alpha * (value - size) };
                        gap = if first { since } else { gap + alpha * (since - gap) };
                        since = 0.0;
                    }
                    visit(time + 1, if gap > 0.0 { (1.0 - alpha / 2.0) * size / gap } else { 0.0 });
                }
            }
            Method::Tsb { probability: by, size: smoothing } => {
                let (mut size, mut probability) = beginning(values);
                for (time, value) in values.iter().enumerate() {
                    let demand = *value != 0.0;
                    probability += by * (f64::from(u8::from(demand)) - probability);
                    if demand {
                        size += smoothing * (value - size);
                    }
                    visit(time + 1, probability * size);
                }
            }
            Method::Adida { bucket, alpha } => {
                // Buckets that end at the origin: one chain of smoothing for each phase.
                let share = bucket as f64;
                let mut chains: Vec<Option<f64>> = vec![None; bucket];
                let (mut sum, mut seen) = (0.0, 0.0);
                for (time, value) in values.iter().enumerate() {
                    sum += value - if time >= bucket { values[time - bucket] } else { 0.0 };
                    seen += value;
                    if time + 1 < bucket {
                        visit(time + 1, seen / (time + 1) as f64);
                        continue;
                    }
                    let chain = &mut chains[time % bucket];
                    let level = chain.map_or(sum, |level| level + alpha * (sum - level));
                    *chain = Some(level);
                    visit(time + 1, level / share);
                }
            }
        }
    }
}

/// Mean size and frequency of demands in the first fifth of the history, a demand at least.
fn beginning(values: &[f64]) -> (f64, f64) {
    let first = values.iter().position(|value| *value != 0.0).map_or(values.len(), |at| at + 1);
    let start = &values[..first.max(values.len() / 5).min(values.len())];
    let mut demands: Vec<f64> = start.iter().copied().filter(|value| *value != 0.0).collect();
    let probability = demands.len() as f64 / start.len().max(1) as f64;
    (quantile::sample(&mut demands, 0.5), probability)
}

/// Whether demands come so seldom that models of them apply: at most two of three steps have one, on average, and none
/// is negative (Syntetos, Boylan & Croston 2005 put the limit at a mean gap of 1.32 steps).
pub(crate) fn is_intermittent(values: &[f64]) -> bool {
    let demands = values.iter().filter(|value| **value != 0.0).count();
    demands > 0 && values.len() as f64 > 1.32 * demands as f64 && values.iter().all(|value| *value >= 0.0)
}

impl Fitted for Intermittent {
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let mut means = vec![0.0; horizon];
        self.levels(history, |origin, level| {
            if origin >= first {
                means.fill(level);
                visit(origin, &means);
            }
        });
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let alpha = match self.method {
            Method::CrostonSba { alpha } => alpha,
            Method::Tsb { probability, .. } => probability,
            Method::Adida { bucket, alpha } => alpha / bucket as f64,
        };
        (0..horizon).map(|step| (1.0 + step as f64 * alpha * alpha).sqrt()).collect()
    }

    fn parameters(&self) -> usize {
        match self.method {
            Method::Tsb { .. } => 4,
            _ => 2,
        }
    }

    fn warm_up(&self) -> usize {
        1
    }

    fn form(&self) -> Option<String> {
        Some(match self.method {
            Method::CrostonSba { alpha } => format!("Croston SBA, alpha {alpha}"),
            Method::Tsb { probability, size } => format!("TSB, probability {probability}, size {size}"),
            Method::Adida { bucket, alpha } => format!("ADIDA, buckets of {bucket}, alpha {alpha}"),
        })
    }

    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        Some(Box::new(match self.method {
            Method::CrostonSba { .. } => *self,
            Method::Tsb { .. } => Intermittent::tsb(values),
            Method::Adida { .. } => Intermittent::adida(values),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Noise, assert_close};

    const DEMANDS: [f64; 12] = [0.0, 0.0, 3.0, 0.0, 0.0, 5.0, 0.0, 2.0, 0.0, 0.0, 0.0, 4.0];

    fn level(model: Intermittent, values: &[f64]) -> f64 {
        let mut last = 0.0;
        model.levels(values, |_, level| last = level);
        last
    }

    #[test]
    fn croston_smooths_sizes_and_gaps() {
        // Sizes 3, 3.2, 3.08, 3.172; gaps 3, 3, 2.9, 3.01; by hand, as statsforecast 2.1.1 CrostonSBA has it.
        assert_close(&[level(Intermittent::croston_sba(), &DEMANDS)], &[0.95 * 3.172 / 3.01], 1e-9);
    }

    #[test]
    fn tsb_forgets_an_item_that_stops_selling() {
        let mut values = DEMANDS.repeat(4);
        let selling = level(Intermittent::tsb(&values), &values);
        values.extend([0.0; 60]);
        let stopped = level(Intermittent::tsb(&values), &values);
        assert!((0.8..1.6).contains(&selling) && stopped < 0.5 * selling, "{selling} {stopped}");
    }

    /// A sale on about every fourth day.
    fn counts() -> Vec<f64> {
        let mut noise = Noise(8);
        (0..400).map(|_| noise.poisson(0.3)).collect()
    }

    #[test]
    fn tsb_and_adida_agree_with_statsforecast() {
        // statsforecast 2.1.1 on the first 300 counts and on all: TSB(alpha_d=0.3, alpha_p=0.1), which starts from the first
        // values and not from the first fifth, of which 0.9^300 is left; ADIDA(), whose optimised alpha is its least, 0.1.
        // Its buckets end at the origin, as ours, where the history is whole buckets of 4.
        let values = counts();
        for (points, tsb, adida) in
            [(300, 0.398_593_471_071, 0.378_711_535_108), (400, 0.375_635_594_184, 0.291_884_530_149)]
        {
            let history = &values[..points];
            let by = |method| level(Intermittent { method }, history);
            assert_close(&[by(Method::Tsb { probability: 0.1, size: 0.3 })], &[tsb], 1e-9);
            assert_close(&[by(Method::Adida { bucket: 4, alpha: 0.1 })], &[adida], 1e-9);
            assert!(matches!(Intermittent::adida(history).method, Method::Adida { bucket: 4, .. }));
        }
    }

    #[test]
    fn croston_and_tsb_agree_with_anofox() {
        // anofox-forecast 0.19.0: Croston::new().with_alpha(0.1).sba() on the demands and on all counts,
        // TSB::new().with_params(0.3, 0.1).
        let values = counts();
        let by = |model, values: &[f64]| level(model, values);
        assert_close(&[by(Intermittent::croston_sba(), &DEMANDS)], &[1.001_129_568_106], 1e-9);
        assert_close(&[by(Intermittent::croston_sba(), &values)], &[0.263_701_361_761], 1e-9);
        let tsb = Intermittent { method: Method::Tsb { probability: 0.1, size: 0.3 } };
        assert_close(
            &[by(tsb, &values[..300]), by(tsb, &values)],
            &[0.398_593_471_071, 0.375_635_594_184],
            1e-9,
        );
    }

    #[test]
    fn adida_shares_out_buckets() {
        let values = counts();
        let found = level(Intermittent::adida(&values), &values);
        let mean = values.iter().sum::<f64>() / 400.0;
        assert!((found / mean - 1.0).abs() < 0.6, "{found} against {mean}");
        assert_eq!(level(Intermittent::adida(&[0.0; 9]), &[0.0; 9]), 0.0);
    }

    #[test]
    fn counts_with_gaps_are_intermittent() {
        assert!(is_intermittent(&DEMANDS));
        assert!(!is_intermittent(&[1.0, 2.0, 3.0, 4.0, 0.0]));
        assert!(!is_intermittent(&[0.0; 5]));
    }
}
