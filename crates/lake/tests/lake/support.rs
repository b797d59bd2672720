//! Rows to write, and a way to read them back as text.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SessionConfig, SessionContext};
use smartsneaks_lake::{Lake, LakeError, TableEntry, Transaction, Version, WriteMode};

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

pub(crate) fn stream(batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    let schema = batches[0].schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches.into_iter().map(Ok))))
}

pub(crate) async fn write(
    transaction: &mut Transaction,
    name: &str,
    mode: WriteMode,
    partition_by: &[&str],
    rows: RecordBatch,
) -> Result<TableEntry, LakeError> {
    let partition_by: Vec<String> = partition_by.iter().map(ToString::to_string).collect();
    transaction.write(name, mode, &partition_by, stream(vec![rows])).await
}

/// A session in which every table of the version stands under its name without the schema.
pub(crate) async fn session(lake: &Arc<Lake>, version: &Version) -> SessionContext {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    lake.register(&session.runtime_env());
    for name in version.tables.keys() {
        let table = lake.table(version, name).await.unwrap().unwrap();
        session.register_table(name.split_once('.').unwrap().1, table).unwrap();
    }
    session
}

/// The result of a query, one line a row, cells joined by `|`.
pub(crate) async fn query(lake: &Arc<Lake>, version: &Version, sql: &str) -> Vec<String> {
    let session = session(lake, version).await;
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(1);
    let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|");
    rows.map(cells).collect()
}
