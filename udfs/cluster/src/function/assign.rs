//! The table function `cluster`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;
use smartsneaks_table_function::{
    Argument, ArgumentError, Binding, OtherRelation, RelationCall, RelationFunction, RelationOperator,
    RelationWork, Signature, Workers,
};

use super::previous::{self, PREVIOUS};
use super::{
    Chosen, EPSILON, FEATURE_COLS, ID_COLS, K, METHOD, MIN_POINTS, MISSING, SEED, STANDARDIZE, TRANSFORM,
    describe, fault, features, request, run,
};
use crate::cluster::{Request, cluster};
use crate::saved::SavedCentroids;

const SIGNATURE: Signature = Signature {
    name: "cluster",
    aliases: &[],
    description: "Puts the rows of a relation into groups that are alike, numbers and names the groups, and says of \
                  each row how well it sits in its own and which other is nearest.",
    example: "SELECT segment_label, count(*) FROM cluster((SELECT * FROM rfm()), k => 5) GROUP BY segment_label",
    arguments: &[
        Argument::RELATION,
        K,
        METHOD,
        FEATURE_COLS,
        ID_COLS,
        STANDARDIZE,
        TRANSFORM,
        MISSING,
        SEED,
        PREVIOUS,
        EPSILON,
        MIN_POINTS,
    ],
};

#[derive(Debug)]
pub(super) struct ClusterFunction;

impl RelationFunction for ClusterFunction {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError> {
        let output = vec![
            Field::new("cluster_id", DataType::Int32, true),
            Field::new("segment_label", DataType::Utf8, true),
            Field::new("distance_to_centroid", DataType::Float64, true),
            Field::new("silhouette", DataType::Float64, true),
            Field::new("second_cluster_id", DataType::Int32, true),
            Field::new("explanation", DataType::Utf8, true),
            Field::new("status", DataType::Utf8, false),
            Field::new("status_detail", DataType::Utf8, true),
        ];
        Chosen::of(call)?.bind(call, true, output)
    }

    fn bind_other(&self, call: &RelationCall, other: &OtherRelation) -> Result<Vec<usize>, ArgumentError> {
        previous::bind(call, other)
    }

    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError> {
        let features = Chosen::of(call)?.names(call);
        let schema = Arc::new(Schema::new(binding.output.clone()));
        Ok(RelationWork::Whole(Arc::new(ClusterOperator {
            request: request(&call.arguments)?,
            features,
            schema,
        })))
    }
}

#[derive(Debug)]
struct ClusterOperator {
    request: Request,
    features: Vec<String>,
    schema: Arc<Schema>,
}

impl RelationOperator for ClusterOperator {
    fn describe(&self) -> String {
        describe(&self.request, &self.features)
    }

    fn process(&self, rows: &RecordBatch, workers: &Workers) -> Result<RecordBatch> {
        self.clustered(rows, None, workers)
    }

    fn process_beside(
        &self,
        rows: &RecordBatch,
        other: &RecordBatch,
        workers: &Workers,
    ) -> Result<RecordBatch> {
        self.clustered(rows, previous::clusters(other)?.as_ref(), workers)
    }
}

impl ClusterOperator {
    fn clustered(
        &self,
        rows: &RecordBatch,
        previous: Option<&SavedCentroids>,
        workers: &Workers,
    ) -> Result<RecordBatch> {
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let features = features(rows, &self.features)?;
        let clustering = cluster(&features, &self.request, previous, &run(workers))
            .map_err(|error| fault(SIGNATURE.name, &error))?;
        workers.check()?;
        let numbers = 0..rows.num_rows();
        // A sentence a row takes longer than the clusters: in pieces, on all threads.
        const PIECE: usize = 4_096;
        let explanations = workers.map(numbers.len().div_ceil(PIECE), |piece| {
            let rows = piece * PIECE..((piece + 1) * PIECE).min(rows.num_rows());
            Ok(rows.map(|row| clustering.explain(&features, row)).collect::<Vec<_>>())
        })?;
        let each = &clustering.assignments;
        let integers = |of: fn(&crate::Assignment) -> Option<u32>| -> ArrayRef {
            Arc::new(each.iter().map(|one| of(one).map(u32::cast_signed)).collect::<Int32Array>())
        };
        let floats = |of: fn(&crate::Assignment) -> Option<f64>| -> ArrayRef {
            Arc::new(each.iter().map(of).collect::<Float64Array>())
        };
        let label = |one: &crate::Assignment| one.cluster.map(|cluster| clustering.label(cluster));
        let detail = clustering.remarks.join("; ");
        let mut columns = rows.columns()[..rows.num_columns() - self.features.len()].to_vec();
        columns.extend([
            integers(|one| one.cluster),
            Arc::new(each.iter().map(label).collect::<StringArray>()) as ArrayRef,
            floats(|one| one.distance),
            floats(|one| one.silhouette),
            integers(|one| one.second),
            Arc::new(StringArray::from(explanations.concat())),
            Arc::new(StringArray::from_iter_values(each.iter().map(|one| one.status.name()))),
            match detail.is_empty() {
                true => new_null_array(&DataType::Utf8, each.len()),
                false => Arc::new(StringArray::from_iter_values(each.iter().map(|_| &detail))),
            },
        ]);
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
