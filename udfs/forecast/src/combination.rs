//! The mean or the median of the forecasts of several models.
//!
//! Combinations with equal weights are hard to beat: Petropoulos & Svetunkov (2020), "A simple combination of
//! univariate models", *International Journal of Forecasting* 36 (the median, in the M4 competition); Clemen (1989),
//! "Combining forecasts: a review and annotated bibliography", ibid. 5.

use crate::interval::Fitted;

/// How forecasts of one step become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    Mean,
    Median,
}

/// Fitted models with equal say.
#[derive(Debug)]
pub(crate) struct Combination {
    pub(crate) members: Vec<Box<dyn Fitted>>,
    pub(crate) pool: Pool,
}

impl Combination {
    fn pooled(&self, forecasts: &mut [f64]) -> f64 {
        let count = forecasts.len();
        if self.pool == Pool::Mean || count < 3 {
            return forecasts.iter().sum::<f64>() / count.max(1) as f64;
        }
        forecasts.sort_unstable_by(f64::total_cmp);
        if count % 2 == 1 {
            forecasts[count / 2]
        } else {
            (forecasts[count / 2 - 1] + forecasts[count / 2]) / 2.0
        }
    }
}

impl Fitted for Combination {
    /// Keeps the forecasts of every member: 8 bytes × members × origins × `horizon`.
    fn walk(&self, history: &[f64], first: usize, horizon: usize, visit: &mut dyn FnMut(usize, &[f64])) {
        let first = first.max(self.warm_up());
        let origins = (history.len() + 1).saturating_sub(first);
        let count = self.members.len();
        let mut all = vec![0.0; origins * horizon * count];
        for (which, member) in self.members.iter().enumerate() {
            member.walk(history, first, horizon, &mut |origin, means| {
                let at = (origin - first) * horizon;
                for (step, mean) in means.iter().enumerate() {
                    all[(at + step) * count + which] = *mean;
                }
            });
        }
        let mut means = vec![0.0; horizon];
        for (index, forecasts) in all.chunks_exact_mut((horizon * count).max(1)).enumerate() {
            for (mean, forecasts) in means.iter_mut().zip(forecasts.chunks_exact_mut(count)) {
                *mean = self.pooled(forecasts);
            }
            visit(first + index, &means);
        }
    }

    fn growth(&self, horizon: usize) -> Vec<f64> {
        let mut growth = vec![0.0; horizon];
        for member in &self.members {
            for (sum, one) in growth.iter_mut().zip(member.growth(horizon)) {
                *sum += one / self.members.len() as f64;
            }
        }
        growth
    }

    /// The mean of the members': each has a share of the say.
    fn parameters(&self) -> usize {
        self.members.iter().map(|member| member.parameters()).sum::<usize>() / self.members.len().max(1)
    }

    fn warm_up(&self) -> usize {
        self.members.iter().map(|member| member.warm_up()).max().unwrap_or(0)
    }

    fn form(&self) -> Option<String> {
        let forms: Vec<String> = self.members.iter().filter_map(|member| member.form()).collect();
        let pool = if self.pool == Pool::Mean { "mean" } else { "median" };
        Some(format!("{pool} of {}", forms.join(", ")))
    }

    /// Every member keeps its form; None where one can't.
    fn refit(&self, values: &[f64]) -> Option<Box<dyn Fitted>> {
        let members = self.members.iter().map(|member| member.refit(values)).collect::<Option<Vec<_>>>()?;
        Some(Box::new(Combination { members, pool: self.pool }))
    }

    /// Of a mean the mean; a median has no such part.
    fn annual(&self, time: usize) -> f64 {
        match self.pool {
            Pool::Mean => {
                self.members.iter().map(|member| member.annual(time)).sum::<f64>()
                    / self.members.len().max(1) as f64
            }
            Pool::Median => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::AIR_PASSENGERS;
    use crate::seasonal_naive::SeasonalNaive;

    #[test]
    fn forecasts_are_pooled_at_every_origin() {
        let naive = |season| -> Box<dyn Fitted> { Box::new(SeasonalNaive { season }) };
        let pooled = |pool| {
            let members = vec![naive(1), naive(2), naive(12)];
            let mut firsts = Vec::new();
            Combination { members, pool }.walk(&AIR_PASSENGERS, 100, 3, &mut |origin, means| {
                firsts.push((origin, means[0]));
            });
            firsts
        };
        let (mean, median) = (pooled(Pool::Mean), pooled(Pool::Median));
        assert_eq!((mean.len(), mean[0].0, mean[44].0), (45, 100, 144));
        // Origin 144: the last value 432, the one before 390, that of a year ago 417.
        assert_eq!((mean[44].1, median[44].1), ((432.0 + 390.0 + 417.0) / 3.0, 417.0));
    }
}
