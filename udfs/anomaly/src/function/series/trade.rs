//! What came back and what was paid, read beside the values for an isolation forest: `returns_col => 'returned'`,
//! `revenue_col => 'revenue'`.

use smartsneaks_table_function::{Argument, ArgumentError, Call, Kind, Series};

use super::judged::WINDOW;
use crate::Error;
use crate::trade::{PRICE_FEATURES, RETURNS_FEATURES, price_features, returns_features};
use crate::windowed::{WINDOWED_FEATURES, windowed_features};

pub(super) const RETURNS_COL: Argument = Argument {
    name: "returns_col",
    kind: Kind::Column,
    default: None,
    doc: "column of what came back, for isolation_forest: it's summed as the values are, in their unit and of either sign, \
          and gives the features returns_ratio (its part in what was sold) and returns_change; the column of the \
          values itself means that rows below zero came back",
};
pub(super) const REVENUE_COL: Argument = Argument {
    name: "revenue_col",
    kind: Kind::Column,
    default: None,
    doc: "column of what was paid for the values, for isolation_forest: it's summed as they are and gives the features \
          price (revenue for one) and price_change",
};

/// The columns that are read beside the values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Trade {
    returned: Option<Beside>,
    revenue: Option<Beside>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Beside {
    column: String,
    /// Its place in what is known of a series.
    place: usize,
}

/// What came back and what was paid, a number a point.
#[derive(Debug, Default)]
pub(super) struct Traded {
    returned: Option<Vec<f64>>,
    revenue: Option<Vec<f64>>,
}

impl Trade {
    /// Finds the columns of a call, which only an isolation forest takes.
    pub(super) fn read(call: &Call, forested: bool) -> Result<Self, ArgumentError> {
        let arguments = &call.arguments;
        let beside = |argument: &Argument| {
            let column = arguments.text(argument.name)?.to_owned();
            let place = call.known.iter().position(|name| name == argument.name)?;
            Some(Beside { column, place })
        };
        let trade = Self { returned: beside(&RETURNS_COL), revenue: beside(&REVENUE_COL) };
        let first = trade.given().next().map(|(name, _)| name);
        let Some(name) = first else { return Ok(trade) };
        if !forested {
            let error = arguments.error(name, format!("{name} belongs to method => 'isolation_forest'"));
            return Err(error.with_hint("give that method, or leave the column out"));
        }
        if arguments.text_array("driver_cols").is_some() {
            return Err(arguments.error(name, format!("{name} and driver_cols can't both be given")));
        }
        if trade.revenue.as_ref().is_some_and(|revenue| revenue.column == call.value) {
            let (name, value) = (REVENUE_COL.name, &call.value);
            let message =
                format!("{name} names {value}, the column of the values, not what was paid for them");
            return Err(arguments.error(name, message).with_hint("name the quantity: data_col => '…'"));
        }
        Ok(trade)
    }

    /// The arguments that are given, with their columns.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let columns = [(RETURNS_COL.name, &self.returned), (REVENUE_COL.name, &self.revenue)];
        columns.into_iter().filter_map(|(name, beside)| Some((name, beside.as_ref()?.column.as_str())))
    }

    /// The numbers at the times of a series.
    pub(super) fn of(&self, series: &Series) -> Traded {
        let at = |beside: &Beside| -> Vec<f64> {
            let known = &series.known;
            let number = |time: &i64| {
                let found = known.times.binary_search(time).ok()?;
                known.values.get(beside.place)?.get(found).copied()
            };
            // A number that isn't finite says as little as none.
            let finite = |time: &i64| number(time).filter(|number| number.is_finite());
            series.times.iter().map(|time| finite(time).unwrap_or_default()).collect()
        };
        Traded { returned: self.returned.as_ref().map(at), revenue: self.revenue.as_ref().map(at) }
    }
}

impl Traded {
    /// The same after `change` of the numbers of each column.
    pub(super) fn map(self, change: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        Self {
            returned: self.returned.map(|numbers| change(&numbers)),
            revenue: self.revenue.map(|numbers| change(&numbers)),
        }
    }

    /// Features of each of the values, row after row, and their names: those of the values alone, then those of what came
    /// back and of what was paid.
    pub(super) fn features(&self, values: &[f64]) -> Result<(Vec<&'static str>, Vec<f64>), Error> {
        let own = windowed_features(values, 7, WINDOW)?;
        let mut names = WINDOWED_FEATURES.to_vec();
        let mut beside = Vec::new();
        if let Some(returned) = &self.returned {
            names.extend(RETURNS_FEATURES);
            beside.push(returns_features(values, returned, WINDOW)?);
        }
        if let Some(revenue) = &self.revenue {
            names.extend(PRICE_FEATURES);
            beside.push(price_features(values, revenue, WINDOW)?);
        }
        if beside.is_empty() {
            return Ok((names, own));
        }
        let mut features = Vec::with_capacity(values.len() * names.len());
        for (at, row) in own.chunks_exact(WINDOWED_FEATURES.len()).enumerate() {
            features.extend_from_slice(row);
            beside.iter().for_each(|pairs| features.extend(pairs[at]));
        }
        Ok((names, features))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smartsneaks_table_function::Known;

    use super::*;

    fn series() -> Series {
        let known =
            Known { times: vec![1, 2, 4], values: vec![vec![1.0, 2.0, f64::NAN], vec![10.0, 20.0, 40.0]] };
        Series {
            ids: Vec::new(),
            times: vec![1, 2, 3, 4],
            values: vec![1.0, 2.0, 3.0, 4.0],
            until: None,
            rows: 4,
            left_out: 0,
            known: Arc::new(known),
        }
    }

    #[test]
    fn numbers_stand_at_the_times_of_the_values() {
        let beside = |place| Some(Beside { column: "c".into(), place });
        let trade = Trade { returned: beside(0), revenue: beside(1) };
        let traded = trade.of(&series());
        assert_eq!(traded.returned.as_deref(), Some(&[1.0, 2.0, 0.0, 0.0][..]));
        assert_eq!(traded.revenue.as_deref(), Some(&[10.0, 20.0, 0.0, 40.0][..]));
        let (names, features) = traded.features(&series().values).unwrap();
        assert_eq!(names[8..], ["returns_ratio", "returns_change", "price", "price_change"]);
        assert_eq!(features[8..12], [0.5, 0.0, 10.0, 0.0]);
        assert_eq!(features.len(), 4 * names.len());
    }

    #[test]
    fn without_columns_the_features_are_those_of_the_values() {
        let series = series();
        let (names, features) = Trade::default().of(&series).features(&series.values).unwrap();
        assert_eq!(names, WINDOWED_FEATURES);
        assert_eq!(features, windowed_features(&series.values, 7, WINDOW).unwrap());
    }
}
