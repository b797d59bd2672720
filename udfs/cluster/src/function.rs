//! The table functions over the algorithms: what they share of arguments and columns.

mod assign;
mod evaluate;
mod previous;
mod profile;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use datafusion::error::DataFusionError;
use smartsneaks_table_function::{
    Argument, ArgumentError, Arguments, Binding, Function, Kind, RelationCall, RelationFunction, Workers,
};

use crate::cluster::{Clusters, Request};
use crate::columns::{is_feature, read};
use crate::error::ClusterError;
use crate::feature::Feature;
use crate::kmeans::MOST_CLUSTERS;
use crate::names::{Method, Missing, Standardize, Transform};

/// The table functions of this family: `cluster`, `cluster_profile` and `cluster_evaluate`.
pub fn functions() -> Vec<Function> {
    let functions: [Arc<dyn RelationFunction>; 3] = [
        Arc::new(assign::ClusterFunction),
        Arc::new(profile::ClusterProfile),
        Arc::new(evaluate::ClusterEvaluate),
    ];
    functions.into_iter().map(Function::from).collect()
}

const K: Argument = Argument {
    name: "k",
    kind: Kind::Count,
    default: Some("auto"),
    doc: "number of clusters, or auto: the largest silhouette among the numbers from 2 to 10 that come out alike from \
          half of the rows; dbscan and optics find it themselves",
};
const METHOD: Argument = Argument {
    name: "method",
    kind: Kind::Text,
    default: Some("kmeans"),
    doc: "kmeans, hierarchical (Ward), gmm (Gaussian mixture), dbscan or optics",
};
const FEATURE_COLS: Argument = Argument {
    name: "feature_cols",
    kind: Kind::TextArray,
    default: None,
    doc: "columns to cluster by: numbers, truth values or text categories; default: every number and truth value that \
          is not in id_cols",
};
const ID_COLS: Argument = Argument {
    name: "id_cols",
    kind: Kind::TextArray,
    default: None,
    doc: "columns that are carried along and not clustered by; default: all that are no features",
};
const STANDARDIZE: Argument = Argument {
    name: "standardize",
    kind: Kind::Text,
    default: Some("robust"),
    doc: "robust (median and interquartile range), zscore (mean and standard deviation) or none",
};
const TRANSFORM: Argument = Argument {
    name: "transform",
    kind: Kind::Text,
    default: Some("auto"),
    doc: "auto (ln(1 + x) for skewed columns without negative values), log1p or none",
};
const MISSING: Argument = Argument {
    name: "missing",
    kind: Kind::Text,
    default: Some("impute"),
    doc: "what is done with a row that lacks a value: impute (the median or most frequent category) or skip",
};
const SEED: Argument = Argument {
    name: "seed",
    kind: Kind::Integer,
    default: Some("0"),
    doc: "seed of everything random: the same rows, arguments and seed give the same clusters",
};

const EPSILON: Argument = Argument {
    name: "epsilon",
    kind: Kind::Float,
    default: None,
    doc: "radius of dbscan and optics in scaled units, within which rows are neighbours; default: chosen from the data",
};
const MIN_POINTS: Argument = Argument {
    name: "min_points",
    kind: Kind::Integer,
    default: Some("5"),
    doc: "rows within the radius, itself included, from which on dbscan and optics take a row for the \
          inside of a cluster; 1 to 1000",
};

/// Largest `min_points`: so many are looked for around each row.
const MOST_NEIGHBOURS: usize = 1_000;

/// The columns of a call: first the ids, then the features.
struct Chosen {
    ids: Vec<usize>,
    features: Vec<usize>,
}

impl Chosen {
    fn of(call: &RelationCall) -> Result<Self, ArgumentError> {
        let given = call.columns(FEATURE_COLS.name)?;
        let ids = call.columns(ID_COLS.name)?;
        let all = || 0..call.schema.fields().len();
        let features = match given {
            Some(features) => {
                if let Some(bad) = features.iter().find(|at| !is_feature(call.field(**at).data_type())) {
                    let field = call.field(*bad);
                    let message = format!(
                        "feature {} is {}; expected numbers, truth values or text",
                        field.name(),
                        field.data_type()
                    );
                    return Err(call.arguments.error(FEATURE_COLS.name, message));
                }
                features
            }
            None => {
                let is_id = |at: &usize| ids.as_ref().is_some_and(|ids| ids.contains(at));
                let counts = |at: &usize| {
                    let data_type = call.field(*at).data_type();
                    data_type.is_numeric() || *data_type == DataType::Boolean
                };
                all().filter(|at| counts(at) && !is_id(at)).collect()
            }
        };
        if features.is_empty() {
            let message = format!("{} has no column to cluster by: a number or a truth value", call.label);
            let error = call.arguments.error(FEATURE_COLS.name, message);
            return Err(error.with_hint("name text columns, too: feature_cols => ARRAY['brand']"));
        }
        let ids = match ids {
            Some(ids) => {
                if let Some(both) = ids.iter().find(|at| features.contains(at)) {
                    let message =
                        format!("{} is both in id_cols and in feature_cols", call.field(*both).name());
                    return Err(call.arguments.error(ID_COLS.name, message));
                }
                ids
            }
            None => all().filter(|at| !features.contains(at)).collect(),
        };
        Ok(Self { ids, features })
    }

    /// The binding: ids and features in, `output` out, after the ids where `with_ids`.
    fn bind(
        &self,
        call: &RelationCall,
        with_ids: bool,
        output: Vec<Field>,
    ) -> Result<Binding, ArgumentError> {
        let mut fields = Vec::with_capacity(self.ids.len() + output.len());
        if with_ids {
            for id in &self.ids {
                let field = call.field(*id);
                if output.iter().any(|own| own.name() == field.name()) {
                    let name = field.name();
                    let message = format!("the column {name} has the name of a column of the result");
                    let error = call.arguments.error(ID_COLS.name, message);
                    return Err(
                        error.with_hint(format!("rename it in a sub-query: SELECT {name} AS my_{name}, …"))
                    );
                }
                fields.push(field.clone());
            }
        }
        fields.extend(output);
        Ok(Binding { input: self.ids.iter().chain(&self.features).copied().collect(), output: fields })
    }

    fn names(&self, call: &RelationCall) -> Vec<String> {
        self.features.iter().map(|at| call.field(*at).name().clone()).collect()
    }
}

/// The features of a batch whose first columns are ids.
fn features(rows: &RecordBatch, names: &[String]) -> Result<Vec<Feature>, DataFusionError> {
    let first = rows.num_columns() - names.len();
    names.iter().zip(&rows.columns()[first..]).map(|(name, column)| read(name, column)).collect()
}

/// The request that the arguments make.
fn request(arguments: &Arguments) -> Result<Request, ArgumentError> {
    fn named<T: std::str::FromStr>(
        arguments: &Arguments,
        argument: &Argument,
        valid: &[&str],
    ) -> Result<T, ArgumentError> {
        // A function that does not take the argument has the default.
        let found = arguments.text(argument.name).or(argument.default).unwrap_or_default();
        found.parse().map_err(|_| arguments.not_among(argument.name, found, valid))
    }
    let clusters = match arguments.text(K.name).unwrap_or("auto") {
        auto if auto.eq_ignore_ascii_case("auto") => Clusters::Auto { least: 2, most: 10 },
        count => match count.parse::<usize>() {
            Ok(count) if (1..=MOST_CLUSTERS).contains(&count) => Clusters::Exactly(count),
            _ => {
                let message = format!("k must be auto or a number from 1 to {MOST_CLUSTERS}, not {count}");
                return Err(arguments.error(K.name, message));
            }
        },
    };
    let method = named(arguments, &METHOD, &names(Method::ALL, Method::name))?;
    let epsilon = arguments.float(EPSILON.name);
    if let Some(epsilon) = epsilon {
        if !matches!(method, Method::Dbscan | Method::Optics) {
            let message = format!("epsilon belongs to method => 'dbscan' or 'optics', not '{method}'");
            return Err(arguments.error(EPSILON.name, message));
        }
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(arguments.error(EPSILON.name, format!("epsilon must be above 0, not {epsilon}")));
        }
    }
    let min_points = match arguments.integer(MIN_POINTS.name) {
        None => Request::default().min_points,
        Some(count) => match usize::try_from(count) {
            Ok(count) if (1..=MOST_NEIGHBOURS).contains(&count) => count,
            _ => {
                let message = format!("min_points must be a number from 1 to {MOST_NEIGHBOURS}, not {count}");
                return Err(arguments.error(MIN_POINTS.name, message));
            }
        },
    };
    Ok(Request {
        clusters,
        method,
        epsilon,
        min_points,
        standardize: named(arguments, &STANDARDIZE, &names(Standardize::ALL, Standardize::name))?,
        transform: named(arguments, &TRANSFORM, &names(Transform::ALL, Transform::name))?,
        missing: named(arguments, &MISSING, &names(Missing::ALL, Missing::name))?,
        seed: arguments.integer(SEED.name).unwrap_or_default().cast_unsigned(),
    })
}

fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().copied().map(name).collect()
}

/// The request in words, for EXPLAIN.
fn describe(request: &Request, features: &[String]) -> String {
    let Request { method, standardize, transform, missing, seed, .. } = request;
    let k = match request.clusters {
        Clusters::Auto { .. } => "auto".to_owned(),
        Clusters::Exactly(k) => k.to_string(),
    };
    let features = features.join(", ");
    let radius = match (method, request.epsilon) {
        (Method::Dbscan | Method::Optics, Some(epsilon)) => {
            format!(", epsilon={epsilon}, min_points={}", request.min_points)
        }
        (Method::Dbscan | Method::Optics, None) => format!(", min_points={}", request.min_points),
        _ => String::new(),
    };
    format!(
        "k={k}, method={method}{radius}, standardize={standardize}, transform={transform}, missing={missing}, seed={seed}, \
         features=[{features}]"
    )
}

/// What the data does not allow is the caller's to change.
fn fault(function: &str, error: &ClusterError) -> DataFusionError {
    ArgumentError::new(function, error.to_string()).into()
}

/// Runs jobs on the workers' threads.
fn run(workers: &Workers) -> impl Fn(usize, &(dyn Fn(usize) + Sync)) + '_ {
    |count, job| workers.run(count, job)
}
