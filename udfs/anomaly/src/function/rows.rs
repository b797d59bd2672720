//! The table function `detect_anomalies` over rows of features.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, make_array,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::cast::as_float64_array;
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use smartsneaks_table_function::{
    Argument, ArgumentError, Binding, Kind, RelationCall, RelationFunction, RelationOperator, RelationWork,
    Signature, Workers,
};

use super::{CONTAMINATION, SEED, THRESHOLD, cutoff, forest};
use crate::isolation_forest::{Cutoff, ForestOptions, IsolationForest, judge_scores};
use crate::point::{Point, Severity, Status};
use crate::{Contribution, Error, MAX_COLUMNS, Matrix, explain_features};

const SIGNATURE: Signature = Signature {
    name: "detect_anomalies",
    aliases: &["anomaly"],
    description: "With feature_cols: finds the rows that few random cuts separate from the rest (isolation forest), with \
                  the features that do.",
    example: "SELECT date, city, anomaly_score, explanation FROM detect_anomalies(TABLE city_daily_metrics, feature_cols \
              => ARRAY['orders', 'qty', 'revenue', 'avg_order_value']) WHERE is_anomaly ORDER BY anomaly_score DESC LIMIT 5",
    arguments: &[
        Argument::RELATION,
        Argument {
            name: "feature_cols",
            kind: Kind::TextArray,
            default: None,
            doc: "columns to look at: numbers and truth values, at most 300; every other column is carried along",
        },
        THRESHOLD,
        CONTAMINATION,
        SEED,
    ],
};

/// Columns that say why, which take a walk through the forest for each anomaly.
const EXPLAINING: [&str; 2] = ["contributing_features", "explanation"];

/// Why a row is an anomaly, where somebody asks.
type Contributions = Option<Vec<Contribution>>;

/// Rows that are scored in one job.
const PIECE: usize = 8_192;

#[derive(Debug)]
pub(super) struct DetectRows;

/// Positions of the carried columns and of the features.
fn chosen(call: &RelationCall) -> Result<(Vec<usize>, Vec<usize>), ArgumentError> {
    let features = call.columns("feature_cols")?.unwrap_or_default();
    if features.is_empty() || features.len() > MAX_COLUMNS {
        let message =
            format!("feature_cols names {} columns, between 1 and {MAX_COLUMNS} are taken", features.len());
        return Err(call.arguments.error("feature_cols", message));
    }
    let numeric = |data_type: &DataType| data_type.is_numeric() || *data_type == DataType::Boolean;
    if let Some(bad) = features.iter().find(|at| !numeric(call.field(**at).data_type())) {
        let field = call.field(*bad);
        let message =
            format!("feature {} is {}; expected a number or a truth value", field.name(), field.data_type());
        return Err(call.arguments.error("feature_cols", message));
    }
    let carried = (0..call.schema.fields().len()).filter(|at| !features.contains(at)).collect();
    Ok((carried, features))
}

impl RelationFunction for DetectRows {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn applies(&self, given: &[&str]) -> bool {
        given.contains(&"feature_cols")
    }

    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError> {
        let (carried, features) = chosen(call)?;
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        let own = [
            Field::new("is_anomaly", DataType::Boolean, false),
            number("anomaly_score"),
            number("anomaly_probability"),
            text("severity", true),
            text("method", false),
            text("contributing_features", true),
            text("explanation", true),
            text("status", false),
        ];
        let mut output: Vec<Field> = carried.iter().map(|at| call.field(*at).clone()).collect();
        if let Some(both) = output.iter().find(|field| own.iter().any(|own| own.name() == field.name())) {
            let message = format!("the column {} has the name of a column of the result", both.name());
            let hint = format!("rename it in a sub-query: SELECT {0} AS my_{0}, …", both.name());
            return Err(call.arguments.error("src", message).with_hint(hint));
        }
        output.extend(own);
        Ok(Binding { input: carried.into_iter().chain(features).collect(), output })
    }

    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError> {
        let names: Vec<String> =
            chosen(call)?.1.into_iter().map(|at| call.field(at).name().clone()).collect();
        let schema = Arc::new(Schema::new(binding.output.clone()));
        Ok(RelationWork::Whole(Arc::new(RowsOperator {
            read: (binding.input.len() - names.len()..schema.fields().len()).collect(),
            names,
            cutoff: cutoff(&call.arguments)?,
            options: forest(&call.arguments),
            schema,
        })))
    }
}

#[derive(Debug, Clone)]
struct RowsOperator {
    /// The features.
    names: Vec<String>,
    cutoff: Cutoff,
    options: ForestOptions,
    schema: Arc<Schema>,
    /// Columns of our own that are read.
    read: BTreeSet<usize>,
}

fn fault(error: Error) -> DataFusionError {
    ArgumentError::new(SIGNATURE.name, error.to_string()).into()
}

impl RelationOperator for RowsOperator {
    fn describe(&self) -> String {
        let ForestOptions { sample_size, seed, .. } = self.options;
        let features = self.names.join(", ");
        let unexplained = if self.explains() { "" } else { ", unexplained" };
        format!(
            "method=isolation_forest, sample_size={sample_size}, seed={seed}, \
             features=[{features}]{unexplained}"
        )
    }

    fn narrowed(&self, read: &[usize]) -> Option<Arc<dyn RelationOperator>> {
        let own = |at: &usize| self.read.contains(at);
        let read: BTreeSet<usize> = read.iter().copied().filter(own).collect();
        (read != self.read).then(|| Arc::new(Self { read, ..self.clone() }) as Arc<dyn RelationOperator>)
    }

    fn process(&self, rows: &RecordBatch, workers: &Workers) -> Result<RecordBatch> {
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let (count, width) = (rows.num_rows(), self.names.len());
        let carried = rows.num_columns() - width;
        let values = numbers(&rows.columns()[carried..])?;
        let whole = Matrix::new(&values, width).map_err(fault)?;
        let forest = match IsolationForest::fit(whole, self.options) {
            Ok(forest) => forest,
            // Fewer rows than it takes are no fault of the call.
            Err(Error::TooFew { .. }) => {
                let points = judge_scores(&vec![f64::NAN; count], self.cutoff).map_err(fault)?;
                return self.result(&rows.columns()[..carried], whole, &points, &vec![None; count]);
            }
            Err(error) => return Err(fault(error)),
        };
        let pieces = workers.map(count.div_ceil(PIECE), |piece| {
            let end = ((piece + 1) * PIECE).min(count);
            let part = Matrix::new(&values[piece * PIECE * width..end * width], width).map_err(fault)?;
            forest.scores(part).map_err(fault)
        })?;
        let points = judge_scores(&pieces.concat(), self.cutoff).map_err(fault)?;
        let explains = self.explains();
        let anomalies: Vec<usize> = (0..count).filter(|row| explains && points[*row].is_anomaly).collect();
        let mut shares = forest.contributions(whole, &anomalies).map_err(fault)?.into_iter();
        let mut parts: Vec<Contributions> = vec![None; count];
        for row in anomalies {
            let named = self.names.iter().zip(shares.next().unwrap_or_default());
            parts[row] =
                Some(named.map(|(name, share)| Contribution { name: name.clone(), share }).collect());
        }
        self.result(&rows.columns()[..carried], whole, &points, &parts)
    }
}

/// The features row after row; NULL is NaN, which makes the row one that is not scored.
fn numbers(columns: &[ArrayRef]) -> Result<Vec<f64>> {
    let count = columns.first().map_or(0, |column| column.len());
    let mut values = Vec::with_capacity(count * columns.len());
    // Some rows at a time, since what is not made of such numbers is copied.
    for start in (0..count).step_by(PIECE) {
        let many = PIECE.min(count - start);
        let features = columns.iter().map(|column| {
            let numbers = cast(&column.slice(start, many), &DataType::Float64)?;
            let numbers = as_float64_array(&numbers)?;
            let filled = numbers.iter().map(|number| number.unwrap_or(f64::NAN));
            Ok(if numbers.null_count() == 0 { numbers.values().clone() } else { filled.collect() })
        });
        let features = features.collect::<Result<Vec<ScalarBuffer<f64>>>>()?;
        for row in 0..many {
            values.extend(features.iter().map(|column| column[row]));
        }
    }
    Ok(values)
}

impl RowsOperator {
    /// Whether a column is read that takes the contributions of anomalies.
    fn explains(&self) -> bool {
        self.read.iter().any(|at| EXPLAINING.contains(&self.schema.field(*at).name().as_str()))
    }

    /// The carried columns and our own. What isn't read is made of NULL, or of `false` and empty texts where there is no
    /// NULL.
    fn result(
        &self,
        carried: &[ArrayRef],
        rows: Matrix<'_>,
        points: &[Point],
        parts: &[Contributions],
    ) -> Result<RecordBatch> {
        let mut columns = carried.to_vec();
        for (at, field) in self.schema.fields().iter().enumerate().skip(carried.len()) {
            columns.push(if self.read.contains(&at) {
                column(field.name(), rows, points, parts)?
            } else {
                let nothing = ArrayData::new_null(field.data_type(), points.len());
                let nothing =
                    if field.is_nullable() { nothing } else { nothing.into_builder().nulls(None).build()? };
                make_array(nothing)
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// A column of our own.
fn column(name: &str, rows: Matrix<'_>, points: &[Point], parts: &[Contributions]) -> Result<ArrayRef> {
    let number = |of: fn(&Point) -> f64| -> ArrayRef {
        let finite = points.iter().map(|point| Some(of(point)).filter(|value| value.is_finite()));
        Arc::new(finite.collect::<Float64Array>())
    };
    let text = |texts: StringArray| -> ArrayRef { Arc::new(texts) };
    let status = |(row, point): (usize, &Point)| match point.status {
        Status::Ok => "ok",
        _ if rows.is_finite(row) => "too_few_rows",
        _ => "missing_value",
    };
    let sentence = |part: &Contributions| part.as_ref().map(|part| explain_features("the row", part));
    Ok(match name {
        "is_anomaly" => Arc::new(points.iter().map(|point| Some(point.is_anomaly)).collect::<BooleanArray>()),
        "anomaly_score" => number(|point| point.score),
        "anomaly_probability" => number(|point| point.probability),
        "severity" => text(points.iter().map(|point| point.severity.map(Severity::name)).collect()),
        "method" => text(vec!["isolation_forest"; points.len()].into()),
        "contributing_features" => {
            text(parts.iter().map(|part| part.as_ref().and_then(|part| listed(part))).collect())
        }
        "explanation" => text(parts.iter().map(sentence).collect()),
        "status" => text(points.iter().enumerate().map(status).map(Some).collect()),
        other => return internal_err!("detect_anomalies has no column {other}"),
    })
}

/// `price 62%, qty 21%`, the greatest first, from 5% on; None where none is that great.
pub(super) fn listed(parts: &[Contribution]) -> Option<String> {
    let mut sorted: Vec<&Contribution> = parts.iter().filter(|part| part.share >= 0.05).collect();
    sorted.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.name.cmp(&b.name)));
    let named = sorted.iter().map(|part| format!("{} {:.0}%", part.name, 100.0 * part.share));
    let list = named.collect::<Vec<_>>().join(", ");
    (!list.is_empty()).then_some(list)
}
