//! Schema `warehouse`: `versions` and `tables`, what the system says about its own history.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};

use crate::planning::Planning;

/// The system's own tables, made when they are read.
pub(crate) struct WarehouseSchema {
    planning: Arc<Planning>,
}

impl WarehouseSchema {
    pub(crate) fn new(planning: Arc<Planning>) -> Self {
        Self { planning }
    }
}

impl fmt::Debug for WarehouseSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WarehouseSchema")
    }
}

#[async_trait]
impl SchemaProvider for WarehouseSchema {
    fn table_names(&self) -> Vec<String> {
        vec!["tables".to_owned(), "versions".to_owned()]
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let batch = match name {
            "versions" => versions(&self.planning).await?,
            "tables" => tables(&self.planning)?,
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        matches!(name, "versions" | "tables")
    }
}

/// `(version, parent, run_id, committed_at, tables)`, oldest first.
async fn versions(planning: &Planning) -> Result<RecordBatch> {
    let all = planning.lake().versions().await.map_err(|e| DataFusionError::External(Box::new(e)))?;
    let (mut number, mut parent, mut run) = (Int64Builder::new(), Int64Builder::new(), StringBuilder::new());
    let mut at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let mut tables = Int64Builder::new();
    for version in all.iter().rev() {
        number.append_value(integer(version.number));
        parent.append_option(version.parent.map(integer));
        run.append_value(&version.run_id);
        at.append_value(version.timestamp.timestamp_micros());
        tables.append_value(integer(version.tables.len() as u64));
    }
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("version", Arc::new(number.finish()) as ArrayRef, false),
        ("parent", Arc::new(parent.finish()), true),
        ("run_id", Arc::new(run.finish()), false),
        ("committed_at", Arc::new(at.finish()), false),
        ("tables", Arc::new(tables.finish()), false),
    ])?)
}

/// `(table_schema, table_name, kind, delta_version, rows, bytes, files)` of the pinned version.
fn tables(planning: &Planning) -> Result<RecordBatch> {
    let version = planning.version();
    let (mut schema, mut name, mut kind) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let [mut delta, mut rows, mut bytes, mut files] = [(); 4].map(|()| Int64Builder::new());
    let mut named = |qualified: &str, what: &str| {
        let (s, n) = qualified.split_once('.').unwrap_or(("", qualified));
        schema.append_value(s);
        name.append_value(n);
        kind.append_value(what);
    };
    for (qualified, entry) in &version.tables {
        named(qualified, "table");
        delta.append_value(integer(entry.delta_version));
        rows.append_value(integer(entry.rows));
        bytes.append_value(integer(entry.bytes));
        files.append_value(integer(entry.files));
    }
    for qualified in version.views.keys() {
        named(qualified, "view");
        for column in [&mut delta, &mut rows, &mut bytes, &mut files] {
            column.append_null();
        }
    }
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("table_schema", Arc::new(schema.finish()) as ArrayRef, false),
        ("table_name", Arc::new(name.finish()), false),
        ("kind", Arc::new(kind.finish()), false),
        ("delta_version", Arc::new(delta.finish()), true),
        ("rows", Arc::new(rows.finish()), true),
        ("bytes", Arc::new(bytes.finish()), true),
        ("files", Arc::new(files.finish()), true),
    ])?)
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
