//! Effects that multiply a level: of groups of alike days, and of promotions.

use super::calendar::NONE;

/// Days in groups, each with a factor.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    /// Group of each day, or [`NONE`].
    pub(super) slots: Vec<u16>,
    /// Factor of each group.
    pub(super) factors: Vec<f64>,
    /// How many sales it takes to move a factor half-way from 1 to what they say.
    prior: f64,
}

impl Groups {
    pub(super) fn new(slots: Vec<u16>, count: usize, prior: f64) -> Groups {
        Groups { slots, factors: vec![1.0; count], prior }
    }

    pub(super) fn factor(&self, day: usize) -> f64 {
        let slot = self.slots[day];
        if slot == NONE { 1.0 } else { self.factors[usize::from(slot)] }
    }

    /// Sums of the values and of what was expected of them, by group.
    fn sums(&self, values: &[f64], mean: &[f64], known: usize) -> Vec<(f64, f64)> {
        let mut sums = vec![(0.0, 0.0); self.factors.len()];
        for day in 0..known {
            let slot = self.slots[day];
            if slot != NONE && values[day].is_finite() {
                let sum = &mut sums[usize::from(slot)];
                *sum = (sum.0 + values[day], sum.1 + mean[day]);
            }
        }
        sums
    }

    /// One step of backfitting: the posterior mean of each factor under a gamma prior with mean 1, given everything
    /// else in `mean`, which is updated. `unit` is the size of a sale.
    pub(super) fn update(&mut self, values: &[f64], mean: &mut [f64], known: usize, unit: f64) {
        let prior = self.prior * unit;
        let sums = self.sums(values, mean, known);
        let ratios: Vec<f64> = sums
            .iter()
            .zip(&self.factors)
            .map(|((seen, expected), factor)| {
                let next = (seen.max(0.0) + prior) / (expected / factor + prior);
                next.clamp(0.02, 50.0) / factor
            })
            .collect();
        self.factors.iter_mut().zip(&ratios).for_each(|(factor, ratio)| *factor *= ratio);
        for (mean, slot) in mean.iter_mut().zip(&self.slots) {
            if *slot != NONE {
                *mean *= ratios[usize::from(*slot)];
            }
        }
    }

    /// How much likelier Poisson sales of size `unit` would be with these groups, as a log-likelihood of days that are not
    /// learnt from: a day's factor comes from the other days of its group and from the days beside it. A day that stands
    /// out by itself gains nothing, however far; a factor that it gives to others loses.
    pub(super) fn gain(&self, values: &[f64], mean: &[f64], known: usize, unit: f64) -> f64 {
        let prior = self.prior * unit;
        let sums = self.sums(values, mean, known);
        let of = |day: usize| match (self.slots[day], values[day].is_finite()) {
            (NONE, _) | (_, false) => None,
            (slot, true) => Some((slot, values[day], mean[day])),
        };
        let gain = |day: usize| {
            let (slot, value, mean) = of(day)?;
            let (mut seen, mut expected) = sums[usize::from(slot)];
            (seen, expected) = (seen - value, expected - mean);
            let beside = [day.checked_sub(1), Some(day + 1).filter(|next| *next < known)];
            for (other, value, mean) in beside.into_iter().flatten().filter_map(of) {
                if other != slot {
                    (seen, expected) = (seen + value, expected + mean);
                }
            }
            let factor = (seen.max(0.0) + prior) / (expected.max(0.0) + prior);
            Some((value.max(0.0) * factor.ln() - mean * (factor - 1.0)) / unit)
        };
        (0..known).filter_map(gain).sum()
    }
}

/// A promotion: a column of intensities, such as the discount, whose effect is exp(elasticity · intensity).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promotion<'a> {
    /// What explanations call it.
    pub name: &'a str,
    /// One a day of the series: 0 without the promotion, else its discount or share. NaN is taken for 0.
    pub intensity: &'a [f64],
}

/// Deviation of the prior of a promotion's effect at its greatest intensity.
const PRIOR_DEVIATION: f64 = 0.5;
/// Greatest effect of a promotion, up or down, as a logarithm.
const LIMIT: f64 = 3.0;

impl Promotion<'_> {
    pub(super) fn at(&self, day: usize) -> f64 {
        let intensity = self.intensity[day];
        if intensity.is_finite() { intensity } else { 0.0 }
    }

    fn greatest(&self) -> f64 {
        (0..self.intensity.len()).map(|day| self.at(day).abs()).fold(0.0, f64::max)
    }

    /// One Newton step towards the posterior mode of the elasticity, with a normal prior around `prior`; updates `mean`.
    pub(super) fn update(
        &self,
        elasticity: f64,
        prior: f64,
        (values, mean): (&[f64], &mut [f64]),
        known: usize,
        unit: f64,
    ) -> f64 {
        let greatest = self.greatest();
        if greatest <= 0.0 {
            return elasticity;
        }
        let precision = (greatest / PRIOR_DEVIATION).powi(2);
        let (mut slope, mut curve) = ((prior - elasticity) * precision, precision);
        for day in (0..known).filter(|day| values[*day].is_finite()) {
            let x = self.at(day);
            slope += x * (values[day] - mean[day]) / unit;
            curve += x * x * mean[day] / unit;
        }
        let limit = LIMIT / greatest;
        let step = (slope / curve).clamp(-0.3 * limit, 0.3 * limit);
        let next = (elasticity + step).clamp(-limit, limit);
        for (day, mean) in mean.iter_mut().enumerate() {
            *mean *= ((next - elasticity) * self.at(day)).exp();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_and_elasticities_are_found() {
        let values: Vec<f64> = (0..700).map(|day| if day % 7 == 0 { 200.0 } else { 100.0 }).collect();
        let mut groups = Groups::new((0..700).map(|day| (day % 7) as u16).collect(), 7, 5.0);
        let mut mean = vec![100.0; 700];
        assert!(groups.gain(&values, &mean, 700, 1.0) > 1_000.0);
        // A day by itself shows nothing of its group.
        let mut odd = vec![100.0; 700];
        odd[350] = 500.0;
        let alone = Groups::new((0..700).map(|day| if day == 350 { 0 } else { NONE }).collect(), 1, 5.0);
        assert!(alone.gain(&odd, &mean, 700, 1.0).abs() < 1e-9);
        assert!(groups.gain(&odd, &mean, 700, 1.0) <= 0.0);
        groups.update(&values, &mut mean, 700, 1.0);
        assert!((groups.factors[0] - 2.0).abs() < 0.01 && (groups.factors[1] - 1.0).abs() < 1e-9);
        assert!((mean[7] - 200.0).abs() < 1.0);

        let intensity: Vec<f64> = (0..700).map(|day| if day % 50 < 10 { 0.2 } else { 0.0 }).collect();
        let values: Vec<f64> = intensity.iter().map(|cut| 50.0 * (3.0 * cut).exp()).collect();
        let promotion = Promotion { name: "sale", intensity: &intensity };
        let (mut mean, mut elasticity) = (vec![50.0; 700], 0.0);
        for _ in 0..10 {
            elasticity = promotion.update(elasticity, 0.0, (&values, &mut mean), 700, 1.0);
        }
        assert!((elasticity - 3.0).abs() < 0.05, "{elasticity}");
    }
}
