//! Photos as they come: fetched, decoded and looked at on all threads, some at a time, in the order of the rows.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use smartsneaks_table_function::{StreamOperator, Workers};
use tokio::runtime::Handle;

use super::columns::Columns;
use super::references::ReferenceColumns;
use crate::images::{Images, Source};
use crate::judge::{Judge, Judgement, Listing, Request};
use crate::reuse::Seen;

/// Photos that are worked on together. More would wait for memory, fewer for threads.
const TOGETHER: usize = 32;
/// Groups in work at once: while the last photos of one are looked at, the first of the next are decoded.
const GROUPS: usize = 2;

/// A photo with its verdict.
pub(super) struct Judged {
    pub(super) id: ScalarValue,
    pub(super) judgement: Judgement,
}

/// From verdicts to the columns after `image_id`; a verdict may have several rows, which its number says.
pub(super) type Rows = fn(&[Judged], &Request, &Judge) -> Result<(Vec<usize>, Vec<ArrayRef>)>;

/// Looks at the photos of a relation.
pub(super) struct Photos {
    pub(super) images: Arc<Images>,
    pub(super) request: Request,
    pub(super) columns: Columns,
    /// Those of the second relation.
    pub(super) references: Option<ReferenceColumns>,
    pub(super) schema: SchemaRef,
    pub(super) rows: Rows,
}

impl fmt::Debug for Photos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Photos({})", self.describe())
    }
}

impl StreamOperator for Photos {
    fn describe(&self) -> String {
        let Request { model, threshold, sku, explain } = &self.request;
        let sku = sku.as_ref().map_or(String::new(), |sku| format!(", sku={sku}"));
        format!("model={model}, threshold={threshold}, explain={explain}{sku}")
    }

    fn stream(
        &self,
        rows: SendableRecordBatchStream,
        other: Option<SendableRecordBatchStream>,
        workers: Workers,
    ) -> Result<SendableRecordBatchStream> {
        let columns = self.columns.clone();
        let images = Arc::clone(&self.images);
        let read = rows.map(move |rows| items(&rows?, &columns, &images));
        let items = read.map_ok(|items| stream::iter(items).map(Ok::<_, DataFusionError>)).try_flatten();
        let groups = grouped(items);

        // Models are loaded and references read by the first group, on a thread that may wait for files.
        let references = Arc::new(tokio::sync::Mutex::new(self.references.zip(other)));
        let judge = Arc::new(tokio::sync::OnceCell::new());
        let (images, request, handle) = (Arc::clone(&self.images), self.request.clone(), Handle::current());
        let judged = groups
            .map(move |group| {
                let (judge, images, request) = (Arc::clone(&judge), Arc::clone(&images), request.clone());
                let references = Arc::clone(&references);
                let (workers, handle) = (workers.clone(), handle.clone());
                async move {
                    let group = group?;
                    let judge = judge
                        .get_or_try_init(|| async {
                            let known = match references.lock().await.take() {
                                Some((columns, rows)) => Some(columns.read(rows).await?),
                                None => None,
                            };
                            let work = move || Judge::new(images, &request, known).map(Arc::new);
                            finished(tokio::task::spawn_blocking(work).await)?
                                .map_err(|error| DataFusionError::External(Box::new(error)))
                        })
                        .await?;
                    let judge = Arc::clone(judge);
                    let work = move || {
                        let look =
                            |at: usize| Ok(judge.judge(&group[at].source, &group[at].listing, &handle));
                        let judgements = workers.enter(|| workers.map(group.len(), look))?;
                        Ok((judge, group, judgements))
                    };
                    finished(tokio::task::spawn_blocking(work).await)?
                }
            })
            .buffered(GROUPS);

        let (schema, rows, request) = (Arc::clone(&self.schema), self.rows, self.request.clone());
        let mut seen = Seen::default();
        let batches = judged.map(move |group: Result<(Arc<Judge>, Vec<Item>, Vec<Judgement>)>| {
            let (judge, items, judgements) = group?;
            let judged = items.into_iter().zip(judgements).map(|(item, mut judgement)| {
                // In the order of the rows: the first of two listings with one photo is the one that had it.
                if let Some((other, distance)) = seen.look(judgement.phash, &item.name) {
                    judge.reused(&mut judgement, &other, distance);
                }
                Judged { id: item.id, judgement: judge.finish(judgement) }
            });
            let judged = judged.collect::<Vec<_>>();
            let (counts, columns) = rows(&judged, &request, &judge)?;
            let ids = judged.iter().zip(&counts).flat_map(|(one, count)| (0..*count).map(|_| one.id.clone()));
            let ids = ids.collect::<Vec<_>>();
            if ids.is_empty() {
                return Ok(RecordBatch::new_empty(Arc::clone(&schema)));
            }
            let ids = ScalarValue::iter_to_array(ids)?;
            let columns = std::iter::once(ids).chain(columns).collect();
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// What a thread made, which was not stopped by a bug.
fn finished<T>(done: std::result::Result<T, tokio::task::JoinError>) -> Result<T> {
    done.map_err(|error| DataFusionError::Execution(format!("the photos were not looked at: {error}")))
}

/// A photo to look at.
struct Item {
    id: ScalarValue,
    /// What it is called, for other listings to name it.
    name: String,
    source: Source,
    listing: Listing,
}

/// Groups of at most [`TOGETHER`]; an error ends them.
fn grouped(items: impl Stream<Item = Result<Item>> + Send) -> impl Stream<Item = Result<Vec<Item>>> + Send {
    items.chunks(TOGETHER).map(|group| group.into_iter().collect())
}

/// The photos of some rows, made as they are asked for: a glob may stand for more than memory would hold.
fn items(
    rows: &RecordBatch,
    columns: &Columns,
    images: &Arc<Images>,
) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
    let sources = sources(rows.column(0))?;
    let listings = columns.listings(rows)?;
    let ids = columns.ids(rows).cloned();
    let null = ScalarValue::try_from(&columns.id_type)?;
    let named = |source: &Source| match source {
        Source::Text(text) | Source::Refused(text, _) => text.clone(),
        Source::Bytes(_) | Source::Missing => String::new(),
    };
    if let Some(ids) = ids {
        let ids = (0..rows.num_rows()).map(|row| ScalarValue::try_from_array(&ids, row));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let items = sources.into_iter().zip(listings).zip(ids).map(move |((source, listing), id)| {
            let name = if id.is_null() { named(&source) } else { id.to_string() };
            Item { name, id, source, listing }
        });
        return Ok(Box::new(items));
    }
    let item = move |(source, listing): (Source, Listing)| {
        let name = named(&source);
        let id = if name.is_empty() { null.clone() } else { ScalarValue::from(name.as_str()) };
        Item { name, id, source, listing }
    };
    if !columns.values {
        return Ok(Box::new(sources.into_iter().zip(listings).map(item)));
    }
    let (images, handle) = (Arc::clone(images), Handle::current());
    let expanded = sources.into_iter().zip(listings).flat_map(move |(source, listing)| {
        images.expand(source, &handle).map(move |source| (source, listing.clone()))
    });
    Ok(Box::new(expanded.map(item)))
}

/// What each row of the column of photos gives.
fn sources(column: &ArrayRef) -> Result<Vec<Source>> {
    if column.data_type().is_binary() {
        let bytes = cast(column, &DataType::LargeBinary)?;
        let bytes = bytes.as_binary::<i64>().iter();
        return Ok(bytes
            .map(|bytes| bytes.map_or(Source::Missing, |bytes| Source::Bytes(Bytes::copy_from_slice(bytes))))
            .collect());
    }
    let texts = cast(column, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let text = |row: usize| match texts.is_null(row) {
        true => Source::Missing,
        false => Source::Text(texts.value(row).to_owned()),
    };
    Ok((0..texts.len()).map(text).collect())
}
