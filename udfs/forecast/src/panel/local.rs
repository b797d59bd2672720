//! The local models of a regular series, fitted once: with a kept model, later days are only followed.

use crate::ets::Ets;
use crate::ets::filter::{Form, Smoothing, State, Trend};
use crate::interval::Fitted;
use crate::season::Kind;
use crate::theta::Theta;

use super::bytes::{BadPanelModel, Reader, write_count, write_floats};
use super::series::PreparedSeries;

/// A regular series sells on all but this part of its days, this many in the mean, and for at least this long.
const ZEROS: f64 = 0.05;
const PIECES: f64 = 5.0;
const DAYS: usize = 56;
/// Days that a local model is fitted to.
const FITTED: usize = 730;
/// Days of the season.
const WEEK: usize = 7;
/// The longest season that is read from bytes.
const LONGEST: usize = 64;

/// ETS and Theta, whose mean is the forecast.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LocalModel {
    /// Day since 1970-01-01 of the first value that they were fitted to.
    first_day: i64,
    /// How many they were, and their sum: a call may give other values under the same ids (those of one city).
    count: usize,
    sum: f64,
    ets: Option<Ets>,
    theta: Theta,
}

impl LocalModel {
    /// Fits to the first `cut` values. None where the series is not regular.
    pub(crate) fn fit(series: &PreparedSeries, cut: usize) -> Option<LocalModel> {
        let known = regular(series, cut)?;
        let recent = &known[known.len().saturating_sub(FITTED)..];
        let values: Vec<f64> = recent.iter().map(|value| f64::from(*value)).collect();
        let first_day = series.day(cut - recent.len());
        let (count, sum) = (values.len(), values.iter().sum());
        let (ets, theta) = (Ets::fit(&values, WEEK), Theta::fit(&values, WEEK));
        Some(LocalModel { first_day, count, sum, ets, theta })
    }

    /// Mean forecast for the horizon after the first `cut` values. None where the series is not regular (any more), and
    /// where the values that the models were fitted to are not in its history.
    pub(crate) fn means(&self, series: &PreparedSeries, cut: usize) -> Option<Vec<f32>> {
        self.means_to(series, cut, series.horizon)
    }

    /// The same for any horizon.
    pub(crate) fn means_to(&self, series: &PreparedSeries, cut: usize, horizon: usize) -> Option<Vec<f32>> {
        regular(series, cut)?;
        let first = usize::try_from(self.first_day.checked_sub(series.first_day)?).ok()?;
        let values = series.values.get(first..cut).filter(|values| values.len() >= DAYS)?;
        let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        let fitted = values.get(..self.count)?;
        if fitted.iter().sum::<f64>() != self.sum {
            return None;
        }
        let mut sum = vec![0.0; horizon];
        let mut models = 0.0;
        let ets = self.ets.as_ref().map(|ets| ets as &dyn Fitted);
        for fitted in ets.into_iter().chain([&self.theta as &dyn Fitted]) {
            let mut means = vec![f64::NAN; horizon];
            fitted.walk(&values, values.len(), horizon, &mut |_, ahead| means.copy_from_slice(ahead));
            if means.iter().all(|mean| mean.is_finite()) {
                sum.iter_mut().zip(&means).for_each(|(sum, mean)| *sum += mean.max(0.0));
                models += 1.0;
            }
        }
        (models > 0.0).then(|| sum.iter().map(|sum| (sum / models) as f32).collect())
    }

    /// Adds some 200 bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let LocalModel { first_day, count, sum, ets, theta } = self;
        out.extend(first_day.to_le_bytes());
        write_count(out, *count);
        write_floats(out, &[*sum]);
        out.push(u8::from(ets.is_some()));
        if let Some(Ets { form, smoothing, initial, aicc }) = ets {
            let trend = match form.trend {
                Trend::None => 0,
                Trend::Additive => 1,
                Trend::Damped => 2,
            };
            out.extend([kind_byte(Some(form.error)), trend, kind_byte(form.season)]);
            let Smoothing { alpha, beta, gamma, phi } = *smoothing;
            write_floats(out, &[alpha, beta, gamma, phi, *aicc, initial.level, initial.trend]);
            write_list(out, &initial.season);
        }
        let season = theta.season.as_ref();
        out.push(kind_byte(season.map(|(kind, _)| *kind)));
        write_list(out, season.map_or(&[], |(_, indices)| indices));
        write_floats(out, &[theta.alpha, theta.weight, theta.level]);
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<LocalModel, BadPanelModel> {
        let bad = BadPanelModel::Value("local model");
        let first_day = i64::from_le_bytes(from.take()?);
        if first_day.abs() >= 1 << 41 {
            return Err(bad);
        }
        let (count, sum) = (from.number()?, from.float()?);
        let ets = match from.take()? {
            [0] => None,
            [1] => {
                let [error, trend, season] = from.take()?;
                let trend = match trend {
                    0 => Trend::None,
                    1 => Trend::Additive,
                    2 => Trend::Damped,
                    _ => return Err(bad),
                };
                let form = Form { error: kind(error)?.ok_or(bad.clone())?, trend, season: kind(season)? };
                let mut number = || from.float();
                let smoothing =
                    Smoothing { alpha: number()?, beta: number()?, gamma: number()?, phi: number()? };
                let (aicc, level, trend) = (number()?, number()?, number()?);
                let initial = State { level, trend, season: from.list(8, Reader::float)? };
                if !(1..=LONGEST).contains(&initial.season.len()) {
                    return Err(bad);
                }
                Some(Ets { form, smoothing, initial, aicc })
            }
            _ => return Err(bad),
        };
        let season = kind(from.take::<1>()?[0])?;
        let indices = from.list(8, Reader::float)?;
        if indices.len() > LONGEST || season.is_some() == indices.is_empty() {
            return Err(bad);
        }
        let season = season.map(|kind| (kind, indices));
        let (alpha, weight, level) = (from.float()?, from.float()?, from.float()?);
        Ok(LocalModel {
            first_day,
            count,
            sum,
            ets,
            theta: Theta { alpha, weight, level, season, period: WEEK },
        })
    }
}

/// The first `cut` values from the launch on, of a series that sells on nearly every day.
fn regular(series: &PreparedSeries, cut: usize) -> Option<&[f32]> {
    let known = series.values.get(series.launch..cut).filter(|known| known.len() >= DAYS)?;
    let year = &known[known.len().saturating_sub(364)..];
    let zeros = year.iter().filter(|value| **value == 0.0).count() as f64;
    let mean = year.iter().map(|value| f64::from(*value)).sum::<f64>() / year.len() as f64;
    (zeros <= ZEROS * year.len() as f64 && mean >= PIECES).then_some(known)
}

fn kind_byte(kind: Option<Kind>) -> u8 {
    match kind {
        None => 0,
        Some(Kind::Additive) => 1,
        Some(Kind::Multiplicative) => 2,
    }
}

fn kind(byte: u8) -> Result<Option<Kind>, BadPanelModel> {
    match byte {
        0 => Ok(None),
        1 => Ok(Some(Kind::Additive)),
        2 => Ok(Some(Kind::Multiplicative)),
        _ => Err(BadPanelModel::Value("local model")),
    }
}

fn write_list(out: &mut Vec<u8>, floats: &[f64]) {
    write_count(out, floats.len());
    write_floats(out, floats);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::weekly;
    use crate::panel::{PanelRequest, Series, prepare};

    fn prepared(values: &[f64]) -> PreparedSeries {
        let request = PanelRequest { horizon: 14, holidays: Vec::new(), series: 1, seed: 1 };
        let series = Series { position: 0, values, first_day: 19_000, codes: &[], covariates: &[] };
        prepare(&series, &request).unwrap()
    }

    #[test]
    fn a_regular_series_is_forecast_and_a_sparse_one_is_not() {
        let values = weekly();
        let series = prepared(&values);
        let (cut, actual) = (values.len() - 14, &values[values.len() - 14..]);
        let means = LocalModel::fit(&series, cut).unwrap().means(&series, cut).unwrap();
        let off: f64 = means.iter().zip(actual).map(|(mean, value)| (f64::from(*mean) - value).abs()).sum();
        assert!(off / 14.0 < 3.5, "{}", off / 14.0);
        let sparse: Vec<f64> = (0..200).map(|day| f64::from(u8::from(day % 3 == 0))).collect();
        assert_eq!(LocalModel::fit(&prepared(&sparse), 200), None);
    }

    #[test]
    fn what_was_fitted_follows_later_days() {
        let values = weekly();
        let long = prepared(&values);
        let kept = LocalModel::fit(&long, values.len() - 28).unwrap();
        let later = kept.means(&long, values.len()).unwrap();
        assert_ne!(later, kept.means(&long, values.len() - 28).unwrap());
        // A fit to all of it is near, and not the same.
        let anew = LocalModel::fit(&long, values.len()).unwrap().means(&long, values.len()).unwrap();
        assert_ne!(later, anew);
        assert!(
            later.iter().zip(&anew).all(|(one, other)| (one / other - 1.0).abs() < 0.25),
            "{later:?} {anew:?}"
        );
        // Another series under the same ids.
        let halved: Vec<f64> = values.iter().map(|value| (value / 2.0).ceil()).collect();
        assert_eq!(kept.means(&prepared(&halved), values.len()), None);
        // The days that it was fitted to are gone, or the series has stopped selling.
        let mut moved = long.clone();
        moved.first_day += 1;
        assert_eq!(kept.means(&moved, values.len()), None);
        let mut stopped = values.clone();
        stopped.extend([0.0; 60]);
        assert_eq!(kept.means(&prepared(&stopped), stopped.len()), None);
    }

    #[test]
    fn bytes_come_back_and_damage_is_survived() {
        let values = weekly();
        let series = prepared(&values);
        let fitted = LocalModel::fit(&series, values.len()).unwrap();
        assert!(fitted.ets.is_some());
        for model in [fitted.clone(), LocalModel { ets: None, ..fitted }] {
            let mut bytes = Vec::new();
            model.write(&mut bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(LocalModel::read(&mut reader), Ok(model));
            assert!(reader.rest().is_empty() && bytes.len() < 300, "{}", bytes.len());
            for at in 0..bytes.len() {
                assert!(LocalModel::read(&mut Reader::new(&bytes[..at])).is_err());
                let mut damaged = bytes.clone();
                damaged[at] ^= 0xFF;
                if let Ok(model) = LocalModel::read(&mut Reader::new(&damaged)) {
                    let means = model.means(&series, values.len());
                    assert!(means.is_none_or(|means| means.iter().all(|mean| !mean.is_nan())));
                }
            }
        }
    }
}
