//! The clusters of an earlier run as a table: `previous => (SELECT … FROM cluster_profile(…))`.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::Result;
use smartsneaks_table_function::{Argument, ArgumentError, Kind, OtherRelation, RelationCall};

use crate::prepare::Column;
use crate::saved::SavedCentroids;

pub(super) const PREVIOUS: Argument = Argument {
    name: "previous",
    kind: Kind::Relation,
    default: None,
    doc: "the clusters of an earlier run, which these continue: rows with cluster_id, segment_label, feature and median, as \
          cluster_profile gives them; clusters keep their numbers, and their labels unless they have moved far",
};

/// The columns that are read, and what they hold.
const COLUMNS: [(&str, &str); 4] = [
    ("cluster_id", "a whole number"),
    ("segment_label", "text"),
    ("feature", "text"),
    ("median", "a number"),
];

/// Finds the columns.
pub(super) fn bind(call: &RelationCall, other: &OtherRelation) -> Result<Vec<usize>, ArgumentError> {
    let find = |(name, wanted): (&str, &str)| {
        let fault = |message: String| call.arguments.error(PREVIOUS.name, message);
        let Some(position) = other.schema.fields().iter().position(|field| field.name() == name) else {
            let has = other.schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
            let message = format!("{} has no column {name}; it has {}", other.label, has.join(", "));
            return Err(fault(message).with_hint("cluster_profile(…) gives such rows"));
        };
        let found = other.schema.field(position).data_type();
        let fits = match wanted {
            "text" => found.is_string(),
            "a whole number" => found.is_integer(),
            _ => found.is_numeric(),
        };
        if fits || found.is_null() {
            return Ok(position);
        }
        Err(fault(format!("column {name} of {} must be {wanted}, not {found}", other.label)))
    };
    COLUMNS.into_iter().map(find).collect()
}

/// The clusters that rows of those columns tell; `None` where there are none. Features that a cluster has no number of, such
/// as categories, are left out.
pub(super) fn clusters(rows: &RecordBatch) -> Result<Option<SavedCentroids>> {
    let typed =
        |place: usize, wanted: &DataType| -> Result<ArrayRef> { Ok(cast(rows.column(place), wanted)?) };
    let (numbers, labels) = (typed(0, &DataType::Int64)?, typed(1, &DataType::Utf8)?);
    let (features, medians) = (typed(2, &DataType::Utf8)?, typed(3, &DataType::Float64)?);
    let mut clusters: BTreeMap<u32, (String, BTreeMap<String, f64>)> = BTreeMap::new();
    for row in 0..rows.num_rows() {
        let Some(number) = value(&numbers, row, |row| numbers.as_primitive::<Int64Type>().value(row))
            .and_then(|number| u32::try_from(number).ok())
        else {
            continue;
        };
        let text =
            |column: &ArrayRef| value(column, row, |row| column.as_string::<i32>().value(row).to_owned());
        let (label, means) = clusters.entry(number).or_default();
        if let Some(found) = text(&labels) {
            *label = found;
        }
        let median = value(&medians, row, |row| medians.as_primitive::<Float64Type>().value(row));
        if let (Some(feature), Some(median)) = (text(&features), median.filter(|median| median.is_finite())) {
            means.insert(feature, median);
        }
    }
    let Some((_, (_, first))) = clusters.first_key_value() else { return Ok(None) };
    let shared: Vec<String> = first
        .keys()
        .filter(|name| clusters.values().all(|(_, means)| means.contains_key(*name)))
        .cloned()
        .collect();
    let column = |(feature, name): (usize, &String)| Column {
        name: name.clone(),
        feature,
        one_hot: false,
        log: false,
        centre: 0.0,
        scale: 1.0,
    };
    let centroids = clusters.values().flat_map(|(_, means)| shared.iter().map(|name| means[name])).collect();
    Ok(Some(SavedCentroids {
        columns: shared.iter().enumerate().map(column).collect(),
        centroids,
        numbers: clusters.keys().copied().collect(),
        labels: clusters.into_values().map(|(label, _)| label).collect(),
    }))
}

fn value<T>(column: &ArrayRef, row: usize, read: impl FnOnce(usize) -> T) -> Option<T> {
    column.is_valid(row).then(|| read(row))
}
