//! Models that are kept: `ml.models` says which there are, `ml.model_states` holds what they learned.
//!
//! Both are tables of the warehouse, so a version has the models that it had, and older versions keep theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use chrono::Utc;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use sha2::{Digest, Sha256};
use smartsneaks_authenticate_image::PhotoModel;
use smartsneaks_lake::{Lake, Transaction, Version, WriteMode};
use smartsneaks_table_function::StoredModel;

use crate::error::{Error, Kind};
use crate::recent::Recent;

/// The registry.
pub const MODELS: &str = "ml.models";
/// The function whose models are folders of the project: the registry has no state of theirs.
const PHOTOS: &str = "authenticate_image";
const STATES: &str = "ml.model_states";
/// Columns of texts that the registry did not have from the start.
const LATER: [&str; 2] = ["sha256", "arguments"];
/// Models that are held ready, at most.
const HELD: usize = 16;

/// A model that was trained and not kept yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The function that trained it.
    pub function: String,
    /// The query that did: its text.
    pub query: String,
    /// All arguments of its call, those with their defaults as well: `horizon => 14, frequency => 'auto'`.
    pub arguments: String,
    /// The warehouse version that was read.
    pub warehouse_version: u64,
    /// How well it does: a JSON object.
    pub metrics: String,
    /// What it learned.
    pub state: Vec<u8>,
}

/// A line of the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Counted from 1.
    pub version: i64,
    /// The query that trained it.
    pub query: String,
    /// How well it did then: a JSON object.
    pub metrics: String,
}

/// Models by what named them, those asked for last.
#[derive(Debug)]
pub(crate) struct Cache {
    held: Recent<Key, Found>,
}

/// None where there is no such model.
type Found = Option<Arc<StoredModel>>;

/// What was asked for, and the registry that was asked: a table and its version.
type Key = (String, String, u64);

impl Cache {
    pub(crate) fn new() -> Self {
        Self { held: Recent::new(HELD) }
    }

    /// The model that `text` (`demand`, or `demand@3`) means in `version`; None where there is none.
    pub(crate) async fn find(
        &self,
        lake: &Lake,
        version: &Version,
        state: &SessionState,
        text: &str,
    ) -> Result<Found, Error> {
        let Some(registry) = version.tables.get(MODELS) else { return Ok(None) };
        let key = (text.to_owned(), registry.uri.clone(), registry.delta_version);
        if let Some(found) = self.held.get(&key) {
            return Ok(found);
        }
        let found = read(lake, version, state, text).await?;
        self.held.put(key, found.clone());
        Ok(found)
    }
}

async fn read(lake: &Lake, version: &Version, state: &SessionState, text: &str) -> Result<Found, Error> {
    let (name, number) = match text.rsplit_once('@') {
        Some((name, number)) => match number.parse::<i64>() {
            Ok(number) => (name, Some(number)),
            Err(_) => return Ok(None),
        },
        None => (text, None),
    };
    let of = |number: Option<i64>| {
        let named = col("name").eq(lit(name));
        number.map_or(named.clone(), |number| named.and(col("version").eq(lit(number))))
    };
    let rows = rows(lake, version, state, MODELS, of(number)).await?;
    let Some((number, function, trained)) = rows
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
        .map(|(batch, row)| {
            let number = |column: &str| Some(integers(batch, column)?.as_primitive::<Int64Type>().value(row));
            Some((number("version")?, text_at(batch, "function", row)?, number("warehouse_version")?))
        })
        .max()
        .flatten()
    else {
        return Ok(None);
    };
    if function == PHOTOS {
        return Ok(None);
    }
    let states = self::rows(lake, version, state, STATES, of(Some(number))).await?;
    let bytes = states.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| {
        let states = cast(batch.column_by_name("state")?, &DataType::Binary).ok()?;
        Some(Arc::<[u8]>::from(states.as_binary::<i32>().value(0)))
    });
    let bytes = bytes.ok_or_else(|| {
        Error::new(Kind::DataCorrupted, format!("{STATES} has no state of version {number} of model {name}"))
    })?;
    Ok(Some(Arc::new(StoredModel::new((name.to_owned(), number), function, trained, bytes))))
}

/// The versions of model `name` that `version` has, by their numbers.
pub(crate) async fn registered(
    lake: &Lake,
    version: &Version,
    state: &SessionState,
    name: &str,
) -> Result<BTreeMap<i64, Registered>, Error> {
    let rows = rows(lake, version, state, MODELS, col("name").eq(lit(name))).await?;
    let mut found = BTreeMap::new();
    for batch in &rows {
        for row in 0..batch.num_rows() {
            let number =
                integers(batch, "version").map(|column| column.as_primitive::<Int64Type>().value(row));
            let text = |column| text_at(batch, column, row);
            if let (Some(version), Some(query), Some(metrics)) = (number, text("query"), text("metrics")) {
                found.insert(version, Registered { version, query, metrics });
            }
        }
    }
    Ok(found)
}

/// Writes a trained model into a run as version `number` of `name`.
///
/// # Errors
/// When the store fails.
pub async fn keep(
    transaction: &mut Transaction,
    (name, number): (&str, i64),
    training: &Training,
) -> Result<(), Error> {
    let state: ArrayRef = Arc::new(BinaryArray::from(vec![training.state.as_slice()]));
    let states = vec![("name", one(name)), ("version", integer(Some(number))), ("state", state)];
    append(transaction, STATES, states).await?;
    let digest = Sha256::digest(&training.state);
    let line = Line {
        number,
        warehouse_version: i64::try_from(training.warehouse_version).ok(),
        function: &training.function,
        query: &training.query,
        arguments: Some(&training.arguments),
        metrics: &training.metrics,
        bytes: training.state.len() as u64,
        sha256: &digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    };
    append(transaction, MODELS, line.columns(name)).await
}

/// Lists models that look at photos in a run's registry: those that are new, and those whose files have changed.
///
/// # Errors
/// When the store fails.
pub(crate) async fn list_photo_models(
    lake: &Lake,
    transaction: &mut Transaction,
    state: &SessionState,
    found: &[PhotoModel],
) -> Result<(), Error> {
    let listed = complete(lake, transaction, state).await?;
    let mut last: BTreeMap<String, (i64, Option<String>)> = BTreeMap::new();
    for batch in &listed {
        for row in 0..batch.num_rows() {
            let Some(numbers) = integers(batch, "version") else { continue };
            let number = numbers.as_primitive::<Int64Type>().value(row);
            let Some(name) = text_at(batch, "name", row) else { continue };
            let line = (number, text_at(batch, "sha256", row));
            last.entry(name).and_modify(|last| *last = line.clone().max(last.clone())).or_insert(line);
        }
    }
    for model in found {
        let before = last.get(&model.name);
        if before.is_some_and(|(_, sha256)| sha256.as_ref() == Some(&model.sha256)) {
            continue;
        }
        let line = Line {
            number: before.map_or(1, |(number, _)| number + 1),
            warehouse_version: None,
            function: PHOTOS,
            query: &model.spec,
            arguments: None,
            metrics: &model.metrics,
            bytes: model.bytes,
            sha256: &model.sha256,
        };
        append(transaction, MODELS, line.columns(&model.name)).await?;
    }
    Ok(())
}

/// Gives the registry of an earlier release the columns that it lacks, which are NULL. Its lines.
pub(crate) async fn complete(
    lake: &Lake,
    transaction: &mut Transaction,
    state: &SessionState,
) -> Result<Vec<RecordBatch>, Error> {
    let base = Arc::clone(transaction.base());
    let listed = rows(lake, &base, state, MODELS, lit(true)).await?;
    let lacks = |name: &&str| listed.iter().any(|batch| batch.column_by_name(name).is_none());
    let lacking: Vec<&str> = LATER.iter().copied().filter(lacks).collect();
    // What this run wrote before has them.
    let written = transaction.staged().tables.get(MODELS) != base.tables.get(MODELS);
    if lacking.is_empty() || written {
        return Ok(listed);
    }
    let completed = listed.iter().map(|batch| {
        let schema = batch.schema();
        let there =
            schema.fields().iter().map(|field| field.name().as_str()).zip(batch.columns().iter().cloned());
        let none = || new_null_array(&DataType::Utf8, batch.num_rows());
        let columns = there.chain(lacking.iter().map(|name| (*name, none())));
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
    });
    let completed = completed.collect::<Result<Vec<_>, _>>()?;
    write(transaction, MODELS, WriteMode::Overwrite, completed.clone()).await?;
    Ok(completed)
}

/// A line of the registry, to be written.
struct Line<'a> {
    number: i64,
    /// None for a model that was not trained here.
    warehouse_version: Option<i64>,
    function: &'a str,
    query: &'a str,
    /// None for a model that was not trained here.
    arguments: Option<&'a str>,
    metrics: &'a str,
    bytes: u64,
    /// Of the state, or of the model's files.
    sha256: &'a str,
}

impl Line<'_> {
    fn columns(&self, name: &str) -> Vec<(&'static str, ArrayRef)> {
        let created =
            TimestampMicrosecondArray::from_value(Utc::now().timestamp_micros(), 1).with_timezone("UTC");
        vec![
            ("name", one(name)),
            ("version", integer(Some(self.number))),
            ("warehouse_version", integer(self.warehouse_version)),
            ("function", one(self.function)),
            ("query", one(self.query)),
            ("arguments", Arc::new(StringArray::from(vec![self.arguments]))),
            ("metrics", one(self.metrics)),
            ("bytes", integer(i64::try_from(self.bytes).ok())),
            ("sha256", one(self.sha256)),
            ("created_at", Arc::new(created)),
        ]
    }
}

fn one(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

fn integer(number: Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![number]))
}

async fn append(
    transaction: &mut Transaction,
    table: &str,
    columns: Vec<(&'static str, ArrayRef)>,
) -> Result<(), Error> {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
    write(transaction, table, WriteMode::Append, vec![batch]).await
}

/// Takes all versions of model `name` out of the versions to come.
pub(crate) async fn forget(
    lake: &Lake,
    transaction: &mut Transaction,
    state: &SessionState,
    name: &str,
) -> Result<(), Error> {
    let base = Arc::clone(transaction.base());
    for table in [STATES, MODELS] {
        let others = rows(lake, &base, state, table, col("name").not_eq(lit(name))).await?;
        write(transaction, table, WriteMode::Overwrite, others).await?;
    }
    Ok(())
}

async fn write(
    transaction: &mut Transaction,
    table: &str,
    mode: WriteMode,
    batches: Vec<RecordBatch>,
) -> Result<(), Error> {
    let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(()) };
    let stream = futures::stream::iter(batches.into_iter().map(Ok));
    transaction.write(table, mode, &[], Box::pin(RecordBatchStreamAdapter::new(schema, stream))).await?;
    Ok(())
}

/// Rows of a table of the registry; one batch without rows at least, where there is the table.
async fn rows(
    lake: &Lake,
    version: &Version,
    state: &SessionState,
    table: &str,
    filter: Expr,
) -> Result<Vec<RecordBatch>, Error> {
    let Some(provider) = lake.table(version, table).await? else { return Ok(Vec::new()) };
    let schema = provider.schema();
    let context = SessionContext::new_with_state(state.clone());
    let mut rows = context.read_table(provider)?.filter(filter)?.collect().await?;
    if rows.is_empty() {
        rows.push(RecordBatch::new_empty(schema));
    }
    Ok(rows)
}

fn integers(batch: &RecordBatch, column: &str) -> Option<ArrayRef> {
    cast(batch.column_by_name(column)?, &DataType::Int64).ok()
}

fn text_at(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let texts = cast(batch.column_by_name(column)?, &DataType::Utf8).ok()?;
    texts.is_valid(row).then(|| texts.as_string::<i32>().value(row).to_owned())
}
