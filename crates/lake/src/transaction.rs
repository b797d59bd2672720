//! A run that writes: tables are staged one by one and become visible together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use deltalake::kernel::EagerSnapshot;
use futures::future::BoxFuture;
use object_store::path::Path;
use serde_json::Value;

use crate::data_files::Target;
use crate::delta::{Change, DeltaLog};
use crate::lake::Lake;
use crate::version::{TableEntry, Version, ViewEntry};
use crate::{LakeError, crash, partition, schema};

/// What a write does with the rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// The written rows replace the table; its columns may change.
    Overwrite,
    /// The written rows are added; their columns must be the table's.
    Append,
}

/// A run under way. Dropping it leaves the warehouse as it was.
#[derive(Debug)]
pub struct Transaction {
    lake: Arc<Lake>,
    run_id: String,
    base: Arc<Version>,
    changes: Changes,
    reads: BTreeSet<String>,
}

/// What a run puts on top of whatever version is the head when it commits; `None` removes.
#[derive(Debug, Default)]
struct Changes {
    tables: BTreeMap<String, Option<TableEntry>>,
    views: BTreeMap<String, Option<ViewEntry>>,
    table_properties: BTreeMap<String, BTreeMap<String, Value>>,
    properties: BTreeMap<String, Value>,
}

impl Transaction {
    pub(crate) fn new(lake: Arc<Lake>, base: Arc<Version>, run_id: &str) -> Self {
        Self { lake, run_id: run_id.to_owned(), base, changes: Changes::default(), reads: BTreeSet::new() }
    }

    /// The version that the run started from.
    pub fn base(&self) -> &Arc<Version> {
        &self.base
    }

    /// The base with everything that was written so far, as [`Lake::table`](crate::Lake::table) can read it before it
    /// is committed. Its number is the one that the commit takes when nobody else commits first.
    pub fn staged(&self) -> Arc<Version> {
        Arc::new(self.changes.on_top_of(&self.base, &self.run_id))
    }

    /// Says that the run's results depend on table or view `name`: if another run changes it before this one commits,
    /// this one aborts rather than commit results of stale rows.
    pub fn depends_on(&mut self, name: &str) {
        self.reads.insert(name.to_owned());
    }

    /// Streams rows into table `name` (`schema.table`), creating it when it is new, and partitions it by columns. The
    /// rows are durable and readable through [`staged`](Self::staged) when this returns.
    ///
    /// # Errors
    /// When the input ends with an error, a column has a type that Delta Lake can't hold, an append doesn't have the
    /// table's columns, or the store fails. The transaction stays as it was before the call.
    pub fn write<'a>(
        &'a mut self,
        name: &'a str,
        mode: WriteMode,
        partition_by: &'a [String],
        input: SendableRecordBatchStream,
    ) -> BoxFuture<'a, Result<TableEntry, LakeError>> {
        Box::pin(async move {
            let staged = self.staged();
            let known = staged.tables.get(name);
            let uri = match known {
                Some(entry) => entry.uri.clone(),
                None => uri_of(name)?,
            };
            let log = DeltaLog::new(self.lake.root(), &uri, name)?;
            let input_schema = schema::stored_schema(name, &input.schema())?;
            let shape = match known {
                Some(entry) if mode == WriteMode::Append => {
                    let snapshot = log.snapshot(entry.delta_version).await?;
                    Shape::of_append(name, &snapshot, &input_schema, partition_by)?
                }
                _ => Shape::of_overwrite(input_schema, partition_by),
            };
            let store = Arc::clone(&self.lake.root().store);
            let target = Target {
                table: name.to_owned(),
                store: Arc::clone(&store),
                folder: Path::from(uri.as_str()),
                positions: partition::positions(name, &shape.schema, &shape.partition_by)?,
                schema: shape.schema,
                partition_by: shape.partition_by,
                input_positions: shape.input_positions,
            };
            let schema_hash = schema::schema_hash(name, &target.schema)?;
            let written = target.write(input).await?;
            crash::point(crash::AFTER_DATA_FILES);

            let before = known.filter(|_| mode == WriteMode::Append);
            let bytes = written.files.iter().map(|(add, _)| u64::try_from(add.size).unwrap_or_default());
            let mut entry = TableEntry {
                uri,
                delta_version: 0,
                schema_hash,
                rows: before.map_or(0, |entry| entry.rows)
                    + written.files.iter().map(|(_, rows)| rows).sum::<u64>(),
                bytes: before.map_or(0, |entry| entry.bytes) + bytes.sum::<u64>(),
                files: before.map_or(0, |entry| entry.files) + written.files.len() as u64,
                properties: known.map(|entry| entry.properties.clone()).unwrap_or_default(),
            };
            let change = Change {
                mode,
                pinned: known.map(|entry| entry.delta_version),
                schema: &target.schema,
                partition_by: &target.partition_by,
                added: written.files.iter().map(|(add, _)| add.clone()).collect(),
                run_id: &self.run_id,
            };
            entry.delta_version = match log.commit(change).await {
                Ok(version) => version,
                Err(error) => {
                    // Only a lost race says for sure that no log names the files; they may not go otherwise.
                    if matches!(error, LakeError::Conflict { .. }) {
                        written.discard(store.as_ref()).await;
                    }
                    return Err(error);
                }
            };
            crash::point(crash::AFTER_DELTA_COMMIT);
            self.changes.tables.insert(name.to_owned(), Some(entry.clone()));
            self.changes.views.insert(name.to_owned(), None);
            Ok(entry)
        })
    }

    /// Replaces the properties of a table or view: `series`, `description`, `columns`. They outlive overwrites of its
    /// rows. A name that is neither when the run commits is passed over.
    pub fn set_table_properties(&mut self, name: &str, properties: BTreeMap<String, Value>) {
        self.changes.table_properties.insert(name.to_owned(), properties);
    }

    /// Creates or replaces a view; a table of that name is removed.
    pub fn put_view(&mut self, name: &str, view: ViewEntry) {
        self.changes.tables.insert(name.to_owned(), None);
        self.changes.views.insert(name.to_owned(), Some(view));
        self.changes.table_properties.remove(name);
    }

    /// Removes a table or view from the versions to come; older versions keep it.
    pub fn remove(&mut self, name: &str) {
        self.changes.tables.insert(name.to_owned(), None);
        self.changes.views.insert(name.to_owned(), None);
        self.changes.table_properties.remove(name);
    }

    /// Sets a property of the warehouse as a whole.
    pub fn set_property(&mut self, key: &str, value: Value) {
        self.changes.properties.insert(key.to_owned(), value);
    }

    /// Makes the run visible: puts the next manifest. If another run did so first and touched nothing that this one
    /// wrote or [depends on](Self::depends_on), this one goes on top of it.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] when the other run touched the same; then nothing of this run is visible.
    pub fn commit(self) -> BoxFuture<'static, Result<Arc<Version>, LakeError>> {
        Box::pin(async move {
            crash::point(crash::BEFORE_MANIFEST);
            let mut head = Arc::clone(&self.base);
            loop {
                if let Some(committed) =
                    self.lake.log().put(self.changes.on_top_of(&head, &self.run_id)).await?
                {
                    return Ok(committed);
                }
                head = self.lake.head().await?;
                self.check_conflict(&head)?;
                tracing::info!(
                    run = self.run_id,
                    version = head.number,
                    "another run committed first, going on top"
                );
            }
        })
    }

    fn check_conflict(&self, head: &Version) -> Result<(), LakeError> {
        let base = &self.base;
        let mine = |name: &String| self.changes.touches(name) || self.reads.contains(name);
        let tables = changed(&base.tables, &head.tables);
        let views = changed(&base.views, &head.views);
        let both: BTreeSet<&String> = tables.chain(views).filter(|name| mine(name)).collect();
        if let Some(name) = both.first() {
            let what = format!("version {} by run {} changed {name}", head.number, head.run_id);
            return Err(LakeError::Conflict { what });
        }
        let property = changed(&base.properties, &head.properties).find(|key| {
            self.changes.properties.get(*key).is_some_and(|value| head.properties.get(*key) != Some(value))
        });
        if let Some(key) = property {
            let what = format!("version {} by run {} changed property {key}", head.number, head.run_id);
            return Err(LakeError::Conflict { what });
        }
        Ok(())
    }
}

/// Columns and partitioning of a table after a write, and where its columns are in the input.
struct Shape {
    schema: SchemaRef,
    partition_by: Vec<String>,
    input_positions: Vec<usize>,
}

impl Shape {
    fn of_overwrite(schema: SchemaRef, partition_by: &[String]) -> Self {
        let input_positions = (0..schema.fields().len()).collect();
        Self { schema, partition_by: partition_by.to_vec(), input_positions }
    }

    /// An append keeps the table's columns and partitioning; the input has the same columns in any order.
    fn of_append(
        table: &str,
        snapshot: &EagerSnapshot,
        input: &Schema,
        partition_by: &[String],
    ) -> Result<Self, LakeError> {
        let bad = |column: &str, reason: String| LakeError::BadColumn {
            table: table.to_owned(),
            column: column.to_owned(),
            reason,
        };
        let schema = schema::stored_schema(table, &snapshot.arrow_schema())?;
        let mut input_positions = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let found = input.index_of(field.name());
            let at = found.map_err(|_| bad(field.name(), "the appended rows don't have it".to_owned()))?;
            let (expected, found) = (field.data_type(), input.field(at).data_type());
            if expected != found {
                return Err(bad(
                    field.name(),
                    format!("expected {expected}, the appended rows have {found}"),
                ));
            }
            input_positions.push(at);
        }
        if let Some(extra) = input.fields().iter().find(|field| schema.index_of(field.name()).is_err()) {
            return Err(bad(
                extra.name(),
                "the table doesn't have it, overwrite the table to add it".to_owned(),
            ));
        }
        let current = snapshot.metadata().partition_columns();
        if !partition_by.is_empty() && partition_by != current {
            let reason =
                format!("the table is partitioned by ({}), overwrite it to change that", current.join(", "));
            return Err(bad(&partition_by.join(", "), reason));
        }
        Ok(Self { schema, partition_by: current.to_vec(), input_positions })
    }
}

/// Where a new table is kept: `public.fact_sales` in `tables/public/fact_sales`.
fn uri_of(name: &str) -> Result<String, LakeError> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-'))
    };
    match name.split_once('.') {
        Some((schema, table)) if is_plain(schema) && is_plain(table) => {
            Ok(format!("tables/{schema}/{table}"))
        }
        _ => Err(LakeError::BadName {
            name: name.to_owned(),
            reason: "expected schema.table of ASCII letters, digits, `_`, `$` and `-`".to_owned(),
        }),
    }
}

impl Changes {
    fn touches(&self, name: &str) -> bool {
        self.tables.contains_key(name)
            || self.views.contains_key(name)
            || self.table_properties.contains_key(name)
    }

    fn on_top_of(&self, base: &Version, run_id: &str) -> Version {
        let mut version = base.next(run_id);
        overlay(&mut version.tables, &self.tables);
        overlay(&mut version.views, &self.views);
        for (name, properties) in &self.table_properties {
            if let Some(entry) = version.tables.get_mut(name) {
                entry.properties.clone_from(properties);
            }
            if let Some(entry) = version.views.get_mut(name) {
                entry.properties.clone_from(properties);
            }
        }
        version.properties.extend(self.properties.clone());
        version
    }
}

fn overlay<V: Clone>(base: &mut BTreeMap<String, V>, changes: &BTreeMap<String, Option<V>>) {
    for (name, change) in changes {
        match change {
            Some(entry) => base.insert(name.clone(), entry.clone()),
            None => base.remove(name),
        };
    }
}

/// Names whose entries differ between two versions.
fn changed<'a, V: PartialEq>(
    base: &'a BTreeMap<String, V>,
    head: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    let gone = base.keys().filter(|name| !head.contains_key(*name));
    let new = head.iter().filter(|(name, entry)| base.get(*name) != Some(entry)).map(|(name, _)| name);
    gone.chain(new)
}
