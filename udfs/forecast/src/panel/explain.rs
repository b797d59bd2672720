//! Of what the forecast of a panel's model is made.
//!
//! Trees multiply, and what they make of one number depends on the others. So an effect here is a difference of two
//! forecasts: one with and one without what the effect stands for, holidays first, then promotions, then the last year.
//! What is left is the level, times the share of the weekday. (Their order matters where they interact; a Shapley value
//! would average over all, for as many times the work, and would say less plainly what it is.)

use crate::covariate::Cause;
use crate::explain::{Component, smooth};
use crate::unforecastable::Unforecastable;

use super::PanelMethod;
use super::features::Told;
use super::local::LocalModel;
use super::loss;
use super::profile::weekday;
use super::series::PreparedSeries;
use super::train::PanelModel;

/// Days of a week.
const WEEK: usize = 7;

impl PanelModel {
    /// The parts of the means of a series' forecast, one number a step: trend, week, year, holidays and promotions. At every
    /// step they add up to the mean, to rounding.
    ///
    /// # Errors
    /// Those of [`predict`](Self::predict).
    pub(crate) fn explain(
        &self,
        series: &PreparedSeries,
        kept: Option<&LocalModel>,
    ) -> Result<Vec<(Component, Vec<f64>)>, Unforecastable> {
        let asked = self.ask(series, kept)?;
        let (horizon, origin) = (self.horizon(), series.values.len());
        let (mut trend, mut week) = (vec![0.0; horizon], vec![0.0; horizon]);
        let mut told = [
            (Told::Holidays, vec![0.0; horizon]),
            (Told::Promotions, vec![0.0; horizon]),
            (Told::Year, vec![0.0; horizon]),
        ];
        // The part of each that the method takes.
        let of_global = match self.report.method {
            PanelMethod::Local => 0.0,
            PanelMethod::Global => 1.0,
            PanelMethod::Average => 0.5,
        };
        if of_global > 0.0 {
            let mut row = Vec::with_capacity(self.features.width());
            for step in 0..horizon {
                let start = asked.start(step);
                asked.row(step, &mut row);
                let mean = |row: &[f32]| loss::mean(start.ln() + self.boost.score(row));
                let mut all = mean(&row);
                for (told, effect) in &mut told {
                    self.features.hide(*told, series, origin, &mut row);
                    let without = mean(&row);
                    effect[step] = of_global * (all - without);
                    all = without;
                }
                let index = asked.profile.index[weekday(series.day(origin + step))];
                let level = if index > LEAST_INDEX { all / index } else { all };
                trend[step] = of_global * level;
                week[step] = of_global * (all - level);
            }
        }
        let of_local = 1.0 - of_global;
        if of_local > 0.0 {
            let path: Vec<f64> = match &asked.local {
                Some(local) => local.iter().map(|mean| f64::from(*mean)).collect(),
                None => (0..horizon + super::train::BEYOND).map(|step| asked.start(step)).collect(),
            };
            for (step, smooth) in smooth(&path, WEEK).into_iter().take(horizon).enumerate() {
                trend[step] += of_local * smooth;
                week[step] += of_local * (path[step] - smooth);
            }
        }
        let component = |told| match told {
            Told::Year => Component::Year,
            Told::Promotions => Component::Effect(Cause::Promotion),
            Told::Holidays => Component::Effect(Cause::Holiday),
        };
        let effects = told.into_iter().map(|(told, effect)| (component(told), effect));
        Ok([(Component::Trend, trend), (Component::Season(WEEK), week)].into_iter().chain(effects).collect())
    }
}

/// A weekday on which less is sold than this part of the mean has no level to be told from.
const LEAST_INDEX: f64 = 0.01;

#[cfg(test)]
mod tests {
    use smartsneaks_table_function::in_order;

    use super::*;
    use crate::fixtures::Noise;
    use crate::panel::{PanelRequest, Series, prepare, train};

    #[test]
    fn a_promotion_and_a_feast_are_told_apart_and_all_adds_up() {
        // Ordinary days, every fifth promoted: twice as many; a feast each fifty days: four times as many.
        let feasts: Vec<i64> = (0..9).map(|feast| 19_700 + 50 * feast).collect();
        let request = PanelRequest {
            horizon: 14,
            holidays: feasts.iter().map(|day| (*day, 1)).collect(),
            series: 60,
            seed: 4,
        };
        let week = [0.7, 0.8, 0.8, 0.9, 1.1, 1.5, 1.2];
        let first_day = 19_702;
        let promoted = |day: usize, position: usize| (day + position).is_multiple_of(5);
        let feast = |day: usize| feasts.contains(&(first_day + day as i64));
        let mut noise = Noise(6);
        let series: Vec<PreparedSeries> = (0..60)
            .map(|position| {
                let known: Vec<f64> =
                    (0..408).map(|day| f64::from(u8::from(promoted(day, position)))).collect();
                let level = 3.0 + (position % 5) as f64;
                let mean = |day: usize| {
                    let lift = if promoted(day, position) { 2.0 } else { 1.0 };
                    level * lift * if feast(day) { 4.0 } else { 1.0 } * week[day % 7]
                };
                let values: Vec<f64> = (0..394).map(|day| noise.poisson(mean(day))).collect();
                let codes = [position as u32 % 5];
                let one =
                    Series { position, values: &values, first_day, codes: &codes, covariates: &[&known] };
                prepare(&one, &request).unwrap()
            })
            .collect();
        let (model, _) = train(&series, &request, false, &in_order).unwrap();
        assert_eq!(model.report().method, PanelMethod::Global);
        let (mut on_feast, mut off_feast, mut on, mut off) = (0.0, 0.0, 0.0, 0.0);
        for (position, one) in series.iter().enumerate() {
            let parts = model.explain(one, None).unwrap();
            let forecast = model.predict(one, 0.9).unwrap();
            let part = |of: Component| &parts.iter().find(|(component, _)| *component == of).unwrap().1;
            for (step, point) in forecast.points.iter().enumerate() {
                let sum: f64 = parts.iter().map(|(_, part)| part[step]).sum();
                assert!((sum - point.value).abs() < 1e-9 * point.value, "{sum} {point:?}");
                let level = part(Component::Trend)[step] + part(Component::Season(7))[step];
                let holiday = part(Component::Effect(Cause::Holiday))[step];
                // What a promotion adds without the feast, in parts of what would be sold without either.
                let promotion = part(Component::Effect(Cause::Promotion))[step] / level;
                let day = 394 + step;
                let feast_side = if feast(day) { &mut on_feast } else { &mut off_feast };
                *feast_side += holiday / level / if feast(day) { 60.0 } else { 60.0 * 13.0 };
                let promoted = promoted(day, position);
                let count = if promoted { 60.0 * 14.0 / 5.0 } else { 60.0 * 14.0 * 4.0 / 5.0 };
                *(if promoted { &mut on } else { &mut off }) += promotion / count;
            }
        }
        // Day 19,702 + 398 is the feast of 20,100.
        assert!((1.5..5.0).contains(&on_feast) && off_feast.abs() < 0.15, "{on_feast} {off_feast}");
        assert!((0.7..1.3).contains(&on) && off.abs() < 0.1, "{on} {off}");
    }
}
