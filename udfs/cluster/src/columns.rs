//! Columns of a table as features.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::cast::{as_boolean_array, as_float64_array, as_string_array};
use datafusion::error::Result;

use crate::feature::{Feature, Values};

/// Whether a column of this type can be clustered by.
pub(crate) fn is_feature(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean || is_text(data_type)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Reads a column. NULL is a missing value; categories are numbered in the order of their text.
pub(crate) fn read(name: &str, column: &ArrayRef) -> Result<Feature> {
    let values = match column.data_type() {
        DataType::Boolean => Values::Boolean(as_boolean_array(column)?.iter().collect()),
        data_type if is_text(data_type) => {
            let text = cast(column, &DataType::Utf8)?;
            let text = as_string_array(&text)?;
            let mut names: Vec<&str> = text.iter().flatten().collect();
            names.sort_unstable();
            names.dedup();
            let places: HashMap<&str, u32> = names.iter().copied().zip(0..).collect();
            let codes = text.iter().map(|value| value.and_then(|value| places.get(value).copied())).collect();
            Values::Category { codes, names: names.into_iter().map(str::to_owned).collect() }
        }
        _ => {
            let numbers = cast(column, &DataType::Float64)?;
            let numbers = as_float64_array(&numbers)?;
            Values::Number(numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
        }
    };
    Ok(Feature { name: name.to_owned(), values })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int32Array, StringArray};

    use super::*;

    #[test]
    fn every_kind_is_read() {
        let read = |column: ArrayRef| read("a", &column).unwrap().values;
        match read(Arc::new(Int32Array::from(vec![Some(3), None]))) {
            Values::Number(values) => assert!(values[0] == 3.0 && values[1].is_nan()),
            other => panic!("{other:?}"),
        }
        let flags = read(Arc::new(BooleanArray::from(vec![Some(true), None])));
        assert_eq!(flags, Values::Boolean(vec![Some(true), None]));
        let text = read(Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b")])));
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(text, Values::Category { codes: vec![Some(1), None, Some(0), Some(1)], names });
    }
}
