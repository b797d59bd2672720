//! The table function `authentication_findings`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Builder, ListBuilder, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use smartsneaks_table_function::{
    ArgumentError, Binding, OtherRelation, RelationCall, RelationFunction, RelationWork, Signature,
};

use super::columns::Columns;
use super::references::ReferenceColumns;
use super::stream::Judged;
use super::{ARGUMENTS, photos};
use crate::checks::Weighed;
use crate::images::Images;
use crate::judge::{Judge, Request};

const SIGNATURE: Signature = Signature {
    name: "authentication_findings",
    aliases: &[],
    description: "The checks behind a verdict of authenticate_image, a row each: what part of the photo it is about, what \
                  was seen and expected, and how much it speaks for (above 0) or against the shoe. The scores of a photo \
                  add up to its log odds of being authentic.",
    example: "SELECT image_id, \"check\", score, observed FROM authentication_findings('data/photos/*.jpg')",
    arguments: ARGUMENTS,
};

#[derive(Debug)]
pub(super) struct AuthenticationFindings {
    pub(super) images: Arc<Images>,
}

fn output() -> Vec<Field> {
    vec![
        Field::new("region", DataType::Utf8, true),
        Field::new("check", DataType::Utf8, true),
        Field::new_list("bbox", Field::new_list_field(DataType::Int32, true), true),
        Field::new("score", DataType::Float64, true),
        Field::new("weight", DataType::Float64, true),
        Field::new("value", DataType::Float64, true),
        Field::new("observed", DataType::Utf8, true),
        Field::new("expected", DataType::Utf8, true),
        Field::new("note", DataType::Utf8, true),
        Field::new("status", DataType::Utf8, false),
        Field::new("status_detail", DataType::Utf8, true),
    ]
}

impl RelationFunction for AuthenticationFindings {
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

/// The start of the sum, then a row for each check; for a photo that could not be read one row that says so.
fn rows(judged: &[Judged], _request: &Request, _judge: &Judge) -> Result<(Vec<usize>, Vec<ArrayRef>)> {
    let counts = judged.iter().map(|one| one.judgement.findings.len().max(1)).collect::<Vec<_>>();
    let each = || {
        judged.iter().flat_map(|one| {
            let judgement = &one.judgement;
            let none = judgement.findings.is_empty().then_some((judgement, None));
            let some = judgement.findings.iter().map(move |finding| (judgement, Some(finding)));
            none.into_iter().chain(some)
        })
    };
    let mut boxes = ListBuilder::new(Int32Builder::new());
    for (_, weighed) in each() {
        match weighed.and_then(|weighed| weighed.finding.bounds) {
            Some(bounds) => boxes.append_value(bounds.map(|side| i32::try_from(side).ok())),
            None => boxes.append_null(),
        }
    }
    let text = |of: fn(&Weighed) -> &str| -> ArrayRef {
        let said = each().map(|(_, weighed)| weighed.map(of).filter(|text| !text.is_empty()));
        Arc::new(said.collect::<StringArray>())
    };
    let number = |of: fn(&Weighed) -> Option<f64>| -> ArrayRef {
        Arc::new(each().map(|(_, weighed)| weighed.and_then(of)).collect::<Float64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        text(|weighed| weighed.finding.region),
        text(|weighed| &weighed.finding.check),
        Arc::new(boxes.finish()),
        number(|weighed| Some(weighed.score)),
        number(|weighed| Some(weighed.weight)),
        number(|weighed| weighed.finding.value),
        text(|weighed| &weighed.finding.observed),
        text(|weighed| &weighed.finding.expected),
        text(|weighed| &weighed.finding.note),
        Arc::new(each().map(|(judgement, _)| Some(judgement.status)).collect::<StringArray>()),
        Arc::new(each().map(|(judgement, _)| judgement.detail.as_deref()).collect::<StringArray>()),
    ];
    Ok((counts, columns))
}
