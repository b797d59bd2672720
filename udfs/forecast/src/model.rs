//! Names of the models a caller can ask for.

use std::fmt;
use std::str::FromStr;

/// A forecasting model by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Model {
    /// The value of one season ago, repeated.
    SeasonalNaive,
    /// Exponential smoothing in state-space form, with level, (damped) trend and season chosen by AICc.
    Ets,
    /// The dynamic optimised Theta model (also read from `dotm`), seasonally adjusted where the series is seasonal.
    Theta,
    /// Complex exponential smoothing of the seasonally adjusted series.
    Ces,
    /// Seasonal ARIMA, orders chosen by AICc; regressors enter the likelihood.
    Arima,
    /// STL decomposition by every season, exponential smoothing of the rest.
    Mstl,
    /// Exponential smoothing with every season and an autoregressive error (Taylor's double seasonal method).
    Dshw,
    /// Regression on trend, calendar and regressors, with an autoregressive error.
    Linear,
    /// Prophet: a trend that bends at changepoints, Fourier seasons and regressors.
    Prophet,
    /// Croston's method with the correction of Syntetos & Boylan, for series that are mostly zero.
    CrostonSba,
    /// Smoothed probability and size of demands (Teunter, Syntetos & Babai), for series that are mostly zero.
    Tsb,
    /// Smoothing of aggregated demand (Nikolopoulos et al.), for series that are mostly zero.
    Adida,
    /// An equally weighted combination that suits the series: the mean of exponential smoothing, Theta, double seasonal
    /// smoothing and regression with one season, the median of methods with all seasons where there are several, of
    /// exponential smoothing, Theta and drifts of logarithms without a season, of Theta, TSB and ADIDA for series that are
    /// mostly zero. Members that are much worse at the end of the history are left out.
    Auto,
}

impl Model {
    /// Every model, in the order in which messages list them.
    pub const ALL: [Model; 13] = [
        Model::Auto,
        Model::SeasonalNaive,
        Model::Ets,
        Model::Theta,
        Model::Ces,
        Model::Arima,
        Model::Mstl,
        Model::Dshw,
        Model::Linear,
        Model::Prophet,
        Model::CrostonSba,
        Model::Tsb,
        Model::Adida,
    ];

    /// The name that SQL uses, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Model::SeasonalNaive => "seasonal_naive",
            Model::Ets => "ets",
            Model::Theta => "theta",
            Model::Ces => "ces",
            Model::Arima => "arima",
            Model::Mstl => "mstl",
            Model::Dshw => "dshw",
            Model::Linear => "linear",
            Model::Prophet => "prophet",
            Model::CrostonSba => "croston_sba",
            Model::Tsb => "tsb",
            Model::Adida => "adida",
            Model::Auto => "auto",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no model. Displays the name and the ones that are valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown model '{name}'; expected one of: {}", Model::ALL.map(Model::name).join(", "))]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Model {
    type Err = UnknownModel;

    /// Reads a name without regard to case or surrounding space; `dotm` is another for `theta`.
    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        let wanted = name.trim();
        if wanted.eq_ignore_ascii_case("dotm") {
            return Ok(Model::Theta);
        }
        Model::ALL
            .into_iter()
            .find(|model| model.name().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownModel { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for model in Model::ALL {
            assert_eq!(model.to_string().parse::<Model>().unwrap(), model);
            assert_eq!(model.name().to_uppercase().parse::<Model>().unwrap(), model);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_valid_ones() {
        let message = "lstm".parse::<Model>().unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown model 'lstm'; expected one of: auto, seasonal_naive, ets, theta, ces, arima, mstl, dshw, \
                    linear, prophet, croston_sba, tsb, adida"
        );
    }
}
