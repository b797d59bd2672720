//! The table function `cluster_profile`: what sets each cluster apart.

use std::sync::Arc;

use arrow::array::{Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
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
use crate::cluster::{Request, Segment, cluster};
use crate::profile::FeatureProfile;
use crate::saved::SavedCentroids;

const SIGNATURE: Signature = Signature {
    name: "cluster_profile",
    aliases: &[],
    description: "Clusters the rows of a relation as cluster does and gives one row a cluster and feature: the \
                  cluster's mean and median beside those of all rows.",
    example: "SELECT segment_label, feature, median, overall_median FROM cluster_profile((SELECT * FROM rfm()), k => 5)",
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
pub(super) struct ClusterProfile;

impl RelationFunction for ClusterProfile {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError> {
        let output = vec![
            Field::new("cluster_id", DataType::Int32, false),
            Field::new("segment_label", DataType::Utf8, false),
            Field::new("size", DataType::Int64, false),
            Field::new("share", DataType::Float64, false),
            Field::new("feature", DataType::Utf8, false),
            Field::new("mean", DataType::Float64, true),
            Field::new("median", DataType::Float64, true),
            Field::new("overall_mean", DataType::Float64, true),
            Field::new("overall_median", DataType::Float64, true),
            Field::new("rank", DataType::Float64, true),
            Field::new("top_value", DataType::Utf8, true),
            Field::new("top_value_share", DataType::Float64, true),
            Field::new("top_value_overall_share", DataType::Float64, true),
        ];
        Chosen::of(call)?.bind(call, false, output)
    }

    fn bind_other(&self, call: &RelationCall, other: &OtherRelation) -> Result<Vec<usize>, ArgumentError> {
        previous::bind(call, other)
    }

    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError> {
        let features = Chosen::of(call)?.names(call);
        let schema = Arc::new(Schema::new(binding.output.clone()));
        Ok(RelationWork::Whole(Arc::new(ProfileOperator {
            request: request(&call.arguments)?,
            features,
            schema,
        })))
    }
}

#[derive(Debug)]
struct ProfileOperator {
    request: Request,
    features: Vec<String>,
    schema: Arc<Schema>,
}

/// One row of the result, where it differs by the kind of feature.
#[derive(Default)]
struct Figures {
    numbers: [Option<f64>; 5],
    top: Option<String>,
    shares: [Option<f64>; 2],
}

impl From<&FeatureProfile> for Figures {
    fn from(profile: &FeatureProfile) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        match profile {
            FeatureProfile::Number { mean, median, overall_mean, overall_median, rank } => Figures {
                numbers: [*mean, *median, *overall_mean, *overall_median, *rank].map(finite),
                ..Figures::default()
            },
            FeatureProfile::Category { value, share, overall_share } => Figures {
                top: (!value.is_empty()).then(|| value.clone()),
                shares: [*share, *overall_share].map(finite),
                ..Figures::default()
            },
        }
    }
}

impl RelationOperator for ProfileOperator {
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

impl ProfileOperator {
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
        let mut out: Vec<(&Segment, &str, Figures)> = Vec::new();
        for segment in &clustering.segments {
            for (name, profile) in self.features.iter().zip(&segment.profile.features) {
                out.push((segment, name, profile.into()));
            }
        }
        let number = |at: usize| out.iter().map(|row| row.2.numbers[at]).collect::<Float64Array>();
        let share = |at: usize| out.iter().map(|row| row.2.shares[at]).collect::<Float64Array>();
        let text =
            |of: fn(&(&Segment, &str, Figures)) -> String| StringArray::from_iter_values(out.iter().map(of));
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(out.iter().map(|row| row.0.cluster.cast_signed()))),
            Arc::new(text(|row| row.0.label.clone())),
            Arc::new(Int64Array::from_iter_values(out.iter().map(|row| row.0.profile.size as i64))),
            Arc::new(Float64Array::from_iter_values(out.iter().map(|row| row.0.profile.share))),
            Arc::new(text(|row| row.1.to_owned())),
            Arc::new(number(0)),
            Arc::new(number(1)),
            Arc::new(number(2)),
            Arc::new(number(3)),
            Arc::new(number(4)),
            Arc::new(out.iter().map(|row| row.2.top.as_deref()).collect::<StringArray>()),
            Arc::new(share(0)),
            Arc::new(share(1)),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
