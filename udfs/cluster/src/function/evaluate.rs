//! The table function `cluster_evaluate`: what each number of clusters is worth.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;
use smartsneaks_table_function::{
    Argument, ArgumentError, Binding, Kind, RelationCall, RelationFunction, RelationOperator, RelationWork,
    Signature, Workers,
};

use super::{
    Chosen, FEATURE_COLS, ID_COLS, MISSING, SEED, STANDARDIZE, TRANSFORM, fault, features, request, run,
};
use crate::cluster::Request;
use crate::evaluate::{Evaluation, evaluate};
use crate::kmeans::MOST_CLUSTERS;
use crate::prepare::{Preparation, prepare};

const SIGNATURE: Signature = Signature {
    name: "cluster_evaluate",
    aliases: &[],
    description: "Compares numbers of clusters for kmeans: one row a number, with how compact, how separate and how \
                  stable the clusters are, and which one k => 'auto' takes.",
    example: "SELECT k, silhouette, stability, chosen FROM cluster_evaluate((SELECT * FROM rfm()), max_k => 6)",
    arguments: &[
        Argument::RELATION,
        Argument {
            name: "min_k",
            kind: Kind::Integer,
            default: Some("2"),
            doc: "smallest number of clusters, at least 2",
        },
        Argument {
            name: "max_k",
            kind: Kind::Integer,
            default: Some("10"),
            doc: "largest number of clusters, at most 100 and the number of rows",
        },
        FEATURE_COLS,
        ID_COLS,
        STANDARDIZE,
        TRANSFORM,
        MISSING,
        SEED,
    ],
};

#[derive(Debug)]
pub(super) struct ClusterEvaluate;

impl RelationFunction for ClusterEvaluate {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError> {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let output = vec![
            Field::new("k", DataType::Int32, false),
            number("inertia"),
            number("silhouette"),
            number("stability"),
            number("calinski_harabasz"),
            number("davies_bouldin"),
            Field::new("chosen", DataType::Boolean, false),
        ];
        Chosen::of(call)?.bind(call, false, output)
    }

    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError> {
        let bound = |name: &str| {
            let found = call.arguments.integer(name).unwrap_or_default();
            usize::try_from(found).ok().filter(|k| (2..=MOST_CLUSTERS).contains(k)).ok_or_else(|| {
                call.arguments
                    .error(name, format!("{name} must be between 2 and {MOST_CLUSTERS}, not {found}"))
            })
        };
        let (least, most) = (bound("min_k")?, bound("max_k")?);
        if least > most {
            return Err(call
                .arguments
                .error("min_k", format!("min_k must be at most max_k, not {least} > {most}")));
        }
        let request = request(&call.arguments)?;
        let features = Chosen::of(call)?.names(call);
        let schema = Arc::new(Schema::new(binding.output.clone()));
        Ok(RelationWork::Whole(Arc::new(EvaluateOperator { least, most, request, features, schema })))
    }
}

#[derive(Debug)]
struct EvaluateOperator {
    least: usize,
    most: usize,
    request: Request,
    features: Vec<String>,
    schema: Arc<Schema>,
}

impl RelationOperator for EvaluateOperator {
    fn describe(&self) -> String {
        let Self { least, most, request: Request { standardize, transform, seed, .. }, .. } = self;
        let features = self.features.join(", ");
        format!(
            "k={least}..{most}, standardize={standardize}, transform={transform}, seed={seed}, features=[{features}]"
        )
    }

    fn process(&self, rows: &RecordBatch, workers: &Workers) -> Result<RecordBatch> {
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let fault = |error| fault(SIGNATURE.name, &error);
        let features = features(rows, &self.features)?;
        let Request { standardize, transform, missing, seed, .. } = self.request;
        let prepared = prepare(&features, Preparation { standardize, transform, missing }).map_err(fault)?;
        let most = self.most.min(prepared.points().rows());
        let run = run(workers);
        let found = evaluate(prepared.points(), self.least, most, seed, &run).map_err(fault)?;
        workers.check()?;
        let number = |of: fn(&Evaluation) -> f64| -> ArrayRef {
            Arc::new(
                found
                    .iter()
                    .map(|one| Some(of(one)).filter(|value| value.is_finite()))
                    .collect::<Float64Array>(),
            )
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(found.iter().map(|one| one.k as i32))),
            number(|one| one.inertia),
            number(|one| one.silhouette),
            number(|one| one.stability),
            number(|one| one.calinski_harabasz),
            number(|one| one.davies_bouldin),
            Arc::new(BooleanArray::from_iter(found.iter().map(|one| Some(one.chosen)))),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
