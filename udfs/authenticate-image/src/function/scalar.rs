//! Scalar functions over photos: `image_embedding`, `image_similarity`, `image_phash`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Builder, Float64Array, Int64Array, ListBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use bytes::Bytes;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use tokio::runtime::Handle;

use crate::images::{Images, Source};
use crate::phash;
use crate::photo::Photo;

/// The scalar functions over photos that `images` says where to find.
#[must_use]
pub fn scalar_functions(images: &Arc<Images>) -> Vec<ScalarUDF> {
    [What::Embedding, What::Similarity, What::Hash]
        .into_iter()
        .map(|what| {
            // Not folded into the plan: a photo may change, and planning must not wait for files.
            let signature = Signature::variadic_any(Volatility::Volatile);
            ScalarUDF::new_from_impl(OverPhotos { what, images: Arc::clone(images), signature })
        })
        .collect()
}

/// What is asked of photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Embedding,
    Similarity,
    Hash,
}

struct OverPhotos {
    what: What,
    images: Arc<Images>,
    signature: Signature,
}

impl fmt::Debug for OverPhotos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for OverPhotos {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what && Arc::ptr_eq(&self.images, &other.images)
    }
}

impl Eq for OverPhotos {}

impl Hash for OverPhotos {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.what.hash(state);
    }
}

/// The model whose embeddings are meant when none is named.
const MODEL: &str = "authenticity";

impl ScalarUDFImpl for OverPhotos {
    fn name(&self) -> &str {
        match self.what {
            What::Embedding => "image_embedding",
            What::Similarity => "image_similarity",
            What::Hash => "image_phash",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let (photos, most, usage) = match self.what {
            What::Embedding => (1, 2, "image_embedding(image [, model])"),
            What::Similarity => (2, 3, "image_similarity(image, image [, model])"),
            What::Hash => (1, 1, "image_phash(image)"),
        };
        if !(photos..=most).contains(&arguments.len()) {
            return plan_err!("{usage} takes {photos} to {most} arguments, not {}", arguments.len());
        }
        let photo = |found: &DataType| found.is_string() || found.is_binary() || found.is_null();
        if let Some(wrong) = arguments.iter().take(photos).find(|found| !photo(found)) {
            return plan_err!("{usage} takes a path, a URL or bytea as image, not {wrong}");
        }
        if let Some(wrong) = arguments.get(photos).filter(|found| !found.is_string()) {
            return plan_err!("{usage} takes the name of a model as text, not {wrong}");
        }
        Ok(match self.what {
            What::Embedding => DataType::List(Arc::new(Field::new_list_field(DataType::Float32, true))),
            What::Similarity => DataType::Float64,
            What::Hash => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = call.number_rows;
        let columns = call.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let work = || self.compute(&columns, rows);
        // Photos may have to be waited for, which a thread that drives streams must not do.
        let array = match Handle::try_current() {
            Ok(handle) if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread => {
                tokio::task::block_in_place(work)?
            }
            _ => work()?,
        };
        Ok(ColumnarValue::Array(array))
    }
}

impl OverPhotos {
    fn compute(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let fault = |error: String| DataFusionError::Execution(format!("{}: {error}", self.name()));
        let handle = Handle::try_current().map_err(|error| fault(error.to_string()))?;
        let photo = |column: usize, row: usize| -> Result<Option<Photo>> {
            let source = source(&columns[column], row)?;
            if matches!(source, Source::Missing) {
                return Ok(None);
            }
            let bytes = self.images.read(&source, &handle).map_err(|refused| fault(refused.to_string()))?;
            self.images.decode(&bytes).map(Some).map_err(|refused| fault(refused.to_string()))
        };
        let embedding = |column: usize, row: usize, model: usize| -> Result<Option<Vec<f32>>> {
            let Some(photo) = photo(column, row)? else { return Ok(None) };
            let name = match columns.get(model) {
                None => MODEL.to_owned(),
                Some(names) => text(names, row)?.unwrap_or_else(|| MODEL.to_owned()),
            };
            let model = self.images.models().embedding(&name).map_err(|error| fault(error.to_string()))?;
            model.embed(&photo.pixels, false).map(Some).map_err(fault)
        };
        Ok(match self.what {
            What::Hash => {
                let hash = |row| Ok(photo(0, row)?.map(|photo| phash::phash(&photo.pixels).cast_signed()));
                Arc::new((0..rows).map(hash).collect::<Result<Int64Array>>()?)
            }
            What::Similarity => {
                let alike = |row| {
                    let (Some(a), Some(b)) = (embedding(0, row, 2)?, embedding(1, row, 2)?) else {
                        return Ok(None);
                    };
                    if a.len() != b.len() {
                        return exec_err!("the model gave embeddings of {} and {} numbers", a.len(), b.len());
                    }
                    Ok(Some(cosine(&a, &b)))
                };
                Arc::new((0..rows).map(alike).collect::<Result<Float64Array>>()?)
            }
            What::Embedding => {
                let mut lists = ListBuilder::new(Float32Builder::new());
                for row in 0..rows {
                    match embedding(0, row, 1)? {
                        Some(numbers) => lists.append_value(numbers.into_iter().map(Some)),
                        None => lists.append_null(),
                    }
                }
                Arc::new(lists.finish())
            }
        })
    }
}

/// Cosine of the angle between two embeddings; 0 where one is nought.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let sum = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let size = (sum(a, a) * sum(b, b)).sqrt();
    if size > 0.0 { (sum(a, b) / size).clamp(-1.0, 1.0) } else { 0.0 }
}

fn source(column: &ArrayRef, row: usize) -> Result<Source> {
    if column.is_null(row) || column.data_type().is_null() {
        return Ok(Source::Missing);
    }
    if column.data_type().is_binary() {
        let bytes = cast(&column.slice(row, 1), &DataType::LargeBinary)?;
        return Ok(Source::Bytes(Bytes::copy_from_slice(bytes.as_binary::<i64>().value(0))));
    }
    Ok(text(column, row)?.map_or(Source::Missing, Source::Text))
}

fn text(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    if column.is_null(row) {
        return Ok(None);
    }
    let one = cast(&column.slice(row, 1), &DataType::Utf8)?;
    Ok(Some(one.as_string::<i32>().value(0).to_owned()))
}
