//! The table function `authenticate_image`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::error::Result;
use smartsneaks_table_function::{
    ArgumentError, Binding, OtherRelation, RelationCall, RelationFunction, RelationWork, Signature,
};

use super::columns::Columns;
use super::references::ReferenceColumns;
use super::stream::Judged;
use super::{ARGUMENTS, photos};
use crate::images::Images;
use crate::judge::{Judge, Request};

const SIGNATURE: Signature = Signature {
    name: "authenticate_image",
    aliases: &[],
    description: "Says of photos of shoes whether they look authentic, how sure that is and why, so that a person looks \
                  at the right listings first. A photo shows what it shows: no verdict is a proof.",
    example: "SELECT image_id, verdict, confidence, explanation FROM authenticate_image('data/photos/*.jpg')",
    arguments: ARGUMENTS,
};

#[derive(Debug)]
pub(super) struct AuthenticateImage {
    pub(super) images: Arc<Images>,
}

fn texts(name: &str) -> Field {
    Field::new_list(name, Field::new_list_field(DataType::Utf8, true), true)
}

fn output() -> Vec<Field> {
    vec![
        Field::new("verdict", DataType::Utf8, true),
        Field::new("confidence", DataType::Float64, true),
        Field::new("p_authentic", DataType::Float64, true),
        Field::new("quality_ok", DataType::Boolean, true),
        texts("quality_issues"),
        texts("findings"),
        Field::new("explanation", DataType::Utf8, true),
        Field::new("model", DataType::Utf8, false),
        Field::new("model_version", DataType::Utf8, false),
        Field::new("image_sha256", DataType::Utf8, true),
        Field::new("evaluated_at", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("status", DataType::Utf8, false),
        Field::new("status_detail", DataType::Utf8, true),
    ]
}

impl RelationFunction for AuthenticateImage {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn bind(&self, call: &RelationCall) -> Result<Binding, ArgumentError> {
        Columns::bind(call, output()).map(|(_, binding)| binding)
    }

    fn bind_other(&self, call: &RelationCall, other: &OtherRelation) -> Result<Vec<usize>, ArgumentError> {
        ReferenceColumns::bind(call, other).map(|(_, read)| read)
    }

    fn operator(&self, call: &RelationCall, binding: &Binding) -> Result<RelationWork, ArgumentError> {
        photos(&self.images, call, (binding, output()), rows)
    }
}

fn rows(judged: &[Judged], request: &Request, judge: &Judge) -> Result<(Vec<usize>, Vec<ArrayRef>)> {
    let each = || judged.iter().map(|one| &one.judgement);
    let all = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(judged.iter().map(|_| text))) as ArrayRef
    };
    let (mut issues, mut against) =
        (ListBuilder::new(StringBuilder::new()), ListBuilder::new(StringBuilder::new()));
    for one in each() {
        issues.append_value(one.quality_issues.iter().map(|issue| Some(issue.as_str())));
        against.append_value(one.against().map(|weighed| Some(weighed.finding.check.as_str())));
    }
    let moment = judge.evaluated_at().timestamp_micros();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(each().map(|one| one.verdict.map(|verdict| verdict.name())).collect::<StringArray>()),
        Arc::new(each().map(|one| one.confidence).collect::<Float64Array>()),
        Arc::new(each().map(|one| one.p_authentic).collect::<Float64Array>()),
        Arc::new(each().map(|one| one.quality_ok).collect::<BooleanArray>()),
        Arc::new(issues.finish()),
        Arc::new(against.finish()),
        Arc::new(each().map(|one| one.explanation.as_deref()).collect::<StringArray>()),
        all(&request.model),
        all(judge.model_version()),
        Arc::new(each().map(|one| one.sha256.as_deref()).collect::<StringArray>()),
        Arc::new(TimestampMicrosecondArray::from(vec![moment; judged.len()])),
        Arc::new(StringArray::from_iter_values(each().map(|one| one.status))),
        Arc::new(each().map(|one| one.detail.as_deref()).collect::<StringArray>()),
    ];
    Ok((vec![1; judged.len()], columns))
}
