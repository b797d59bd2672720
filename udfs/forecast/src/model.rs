//! Names of the models a caller can ask for.

use std::fmt;
use std::str::FromStr;

/// A forecasting model by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// The value of one season ago, repeated.
    SeasonalNaive,
    /// Exponential smoothing in state-space form, with level, (damped) trend and season chosen by AICc.
    Ets,
    /// The dynamic optimised Theta model, seasonally adjusted where the series is seasonal.
    Theta,
    /// Whichever of the others has the smallest error on rolling origins of the series itself.
    Auto,
}

impl Model {
    /// Every model, in the order in which messages list them.
    pub const ALL: [Model; 4] = [Model::Auto, Model::SeasonalNaive, Model::Ets, Model::Theta];

    /// The name that SQL uses: `auto`, `seasonal_naive`, `ets` or `theta`.
    pub fn name(self) -> &'static str {
        match self {
            Model::SeasonalNaive => "seasonal_naive",
            Model::Ets => "ets",
            Model::Theta => "theta",
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

    /// Reads a name without regard to case or surrounding space.
    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        let wanted = name.trim();
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
        let message = "prophet".parse::<Model>().unwrap_err().to_string();
        assert_eq!(message, "unknown model 'prophet'; expected one of: auto, seasonal_naive, ets, theta");
    }
}
