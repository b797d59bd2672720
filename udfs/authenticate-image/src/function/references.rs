//! Reference photos as a table: what `references => TABLE reference_photos` gives.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;
use smartsneaks_table_function::{ArgumentError, OtherRelation, RelationCall};

use crate::gallery::{KnownPhoto, KnownPhotos};

/// Numbers of all embeddings together: those of some thirty thousand photos, 160 MB.
const NUMBERS: usize = 40_000_000;

/// Places of the columns in the rows that come: article and embedding first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReferenceColumns {
    phash: Option<usize>,
    model_version: Option<usize>,
}

impl ReferenceColumns {
    /// Chooses the columns `sku`, `embedding` and, where they are there, `phash` and `model_version`.
    pub(super) fn bind(
        call: &RelationCall,
        other: &OtherRelation,
    ) -> Result<(Self, Vec<usize>), ArgumentError> {
        let is_list = |found: &DataType| {
            let item = match found {
                DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item,
                _ => return false,
            };
            item.data_type().is_numeric()
        };
        let find = |name: &str, wanted: &str, fits: &dyn Fn(&DataType) -> bool| {
            let Some(position) = other.schema.fields().iter().position(|field| field.name() == name) else {
                return Ok(None);
            };
            let found = other.schema.field(position).data_type();
            if fits(found) {
                return Ok(Some(position));
            }
            let message = format!("column {name} of {} must be {wanted}, not {found}", other.label);
            Err(call.arguments.error(other.argument, message))
        };
        let needed = |name: &str, found: Option<usize>| {
            found.ok_or_else(|| {
                let has = other.schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
                let message = format!("{} has no column {name}; it has {}", other.label, has.join(", "));
                let hint =
                    "SELECT sku, image_embedding(photo) AS embedding, image_phash(photo) AS phash FROM …";
                call.arguments.error(other.argument, message).with_hint(hint)
            })
        };
        let sku = needed("sku", find("sku", "text", &DataType::is_string)?)?;
        let embedding = needed("embedding", find("embedding", "an array of numbers", &is_list)?)?;
        let mut read = vec![sku, embedding];
        let mut add = |position: Option<usize>| {
            position.map(|position| {
                read.push(position);
                read.len() - 1
            })
        };
        let phash = add(find("phash", "a bigint", &DataType::is_integer)?);
        let model_version = add(find("model_version", "text", &DataType::is_string)?);
        Ok((Self { phash, model_version }, read))
    }

    /// All references, by their articles.
    pub(super) async fn read(self, mut rows: SendableRecordBatchStream) -> Result<KnownPhotos> {
        let (mut known, mut numbers) = (HashMap::new(), 0);
        while let Some(batch) = rows.try_next().await? {
            self.add(&batch, &mut known, &mut numbers)?;
        }
        Ok(known)
    }

    fn add(self, rows: &RecordBatch, known: &mut KnownPhotos, numbers: &mut usize) -> Result<()> {
        let typed =
            |place: usize, wanted: &DataType| -> Result<ArrayRef> { Ok(cast(rows.column(place), wanted)?) };
        let skus = typed(0, &DataType::Utf8)?;
        let embeddings = typed(1, &DataType::new_list(DataType::Float32, true))?;
        let hashes = self.phash.map(|place| typed(place, &DataType::Int64)).transpose()?;
        let versions = self.model_version.map(|place| typed(place, &DataType::Utf8)).transpose()?;
        for row in 0..rows.num_rows() {
            let (sku, list) = (skus.as_string::<i32>(), embeddings.as_list::<i32>());
            // What has no embedding is no reference.
            if sku.is_null(row) || list.is_null(row) {
                continue;
            }
            let list = list.value(row);
            *numbers += list.len();
            if *numbers > NUMBERS {
                return Err(DataFusionError::ResourcesExhausted(format!(
                    "references has more than {NUMBERS} numbers in its embeddings: give those of the articles that \
                     are listed"
                )));
            }
            let list = list.as_primitive::<Float32Type>();
            let hash = hashes.as_ref().map(|hashes| hashes.as_primitive::<Int64Type>());
            let version = versions.as_ref().map(|versions| versions.as_string::<i32>());
            known.entry(sku.value(row).to_owned()).or_default().push(KnownPhoto {
                embedding: list.iter().map(|number| number.unwrap_or(f32::NAN)).collect(),
                phash: hash.filter(|hash| hash.is_valid(row)).map(|hash| hash.value(row).cast_unsigned()),
                model_version: version
                    .filter(|version| version.is_valid(row))
                    .map(|version| version.value(row).to_owned()),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Float64Builder, Int64Array, ListBuilder, StringArray};

    #[test]
    fn rows_without_an_embedding_are_no_references_and_too_many_are_refused() {
        let mut lists = ListBuilder::new(Float64Builder::new());
        lists.append_value([Some(1.0), Some(2.0)]);
        lists.append_null();
        lists.append_value([Some(3.0), None]);
        let rows = RecordBatch::try_from_iter([
            ("__0", Arc::new(StringArray::from(vec![Some("A"), Some("A"), Some("B")])) as ArrayRef),
            ("__1", Arc::new(lists.finish())),
            ("__2", Arc::new(Int64Array::from(vec![Some(-1), None, None]))),
        ])
        .unwrap();
        let columns = ReferenceColumns { phash: Some(2), model_version: None };
        let (mut known, mut numbers) = (HashMap::new(), 0);
        columns.add(&rows, &mut known, &mut numbers).unwrap();
        let a = KnownPhoto { embedding: vec![1.0, 2.0], phash: Some(u64::MAX), model_version: None };
        assert_eq!((&known["A"], known["B"].len(), numbers), (&vec![a], 1, 4));
        let mut numbers = NUMBERS - 1;
        let error = columns.add(&rows, &mut known, &mut numbers).unwrap_err().to_string();
        assert!(error.contains("articles that are listed"), "{error}");
    }
}
