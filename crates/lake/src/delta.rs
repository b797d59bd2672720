//! A table's Delta log: loading a version, finding the latest, committing on top of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference, TransactionError};
use deltalake::kernel::{
    Action, Add, EagerSnapshot, Metadata, MetadataExt, Protocol, StructType, new_metadata,
};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore, extract_version_from_filename};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use serde_json::json;
use url::Url;

use crate::protocol::{self, Target};
use crate::root::Root;
use crate::schema::delta_schema;
use crate::{LakeError, WriteMode};

/// Table properties of every table: readers of old versions need the whole log, so no other writer may clean it up.
const PROPERTIES: &[(&str, &str)] =
    &[("delta.enableExpiredLogCleanup", "false"), ("delta.checkpointInterval", "20")];

/// The log of one table.
pub(crate) struct DeltaLog {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    log_store: LogStoreRef,
    table: String,
}

/// What to commit on top of what.
pub(crate) struct Change<'a> {
    pub(crate) mode: WriteMode,
    /// The Delta version that the run reads; `None` when no manifest names the table.
    pub(crate) pinned: Option<u64>,
    /// The columns of the table afterwards, and which of them partition it.
    pub(crate) schema: &'a Schema,
    pub(crate) partition_by: &'a [String],
    pub(crate) added: Vec<Add>,
    /// Which run writes, for the log's commit info.
    pub(crate) run_id: &'a str,
}

impl DeltaLog {
    /// The log of the table at `uri` below the root. `table` is for messages. Nothing is read.
    pub(crate) fn new(root: &Root, uri: &str, table: &str) -> Result<Self, LakeError> {
        let folder = Path::from(uri);
        // delta-rs uses the URL for its path and for messages. With scheme `file` it would look for the path on disk,
        // below `/` rather than below the warehouse; every store here lists in order, which is all that `memory` says.
        let location = Url::parse(&format!("memory:///{folder}/"))
            .map_err(|error| LakeError::BadName { name: table.to_owned(), reason: error.to_string() })?;
        let prefixed = Arc::new(PrefixStore::new(Arc::clone(&root.store), folder.clone()));
        let log_store =
            default_logstore(prefixed, Arc::clone(&root.store), &location, &StorageConfig::default());
        Ok(Self { store: Arc::clone(&root.store), folder, log_store, table: table.to_owned() })
    }

    /// The table as of Delta version `version`.
    pub(crate) async fn snapshot(&self, version: u64) -> Result<EagerSnapshot, LakeError> {
        EagerSnapshot::try_new(self.log_store.as_ref(), Some(version))
            .await
            .map_err(|error| self.failed(error))
    }

    /// The latest Delta version, which is not before `known`; `None` when there is no log.
    async fn latest(&self, known: Option<u64>) -> Result<Option<u64>, LakeError> {
        let log = self.folder.clone().join("_delta_log");
        let entries = match known {
            Some(known) => self.store.list_with_offset(Some(&log), &log.clone().join(format!("{known:020}"))),
            None => self.store.list(Some(&log)),
        };
        let entries: Vec<_> = entries.try_collect().await?;
        let commits = entries.iter().filter_map(|entry| entry.location.filename());
        let commits = commits.filter(|name| name.ends_with(".json"));
        Ok(commits.filter_map(extract_version_from_filename).max())
    }

    /// Commits a write, and with it undoes whatever stands in the log beyond the pinned version. Returns the new
    /// Delta version.
    pub(crate) async fn commit(&self, change: Change<'_>) -> Result<u64, LakeError> {
        let latest = self.latest(change.pinned).await?;
        let schema = delta_schema(&self.table, change.schema)?;
        let mode = match change.mode {
            WriteMode::Append => SaveMode::Append,
            WriteMode::Overwrite => SaveMode::Overwrite,
        };
        let operation = DeltaOperation::Write {
            mode,
            partition_by: (!change.partition_by.is_empty()).then(|| change.partition_by.to_vec()),
            predicate: None,
        };
        let run = [("smartsneaks.run".to_owned(), json!(change.run_id))];
        let Some(latest) = latest else {
            let mut actions = vec![
                Action::Protocol(self.oldest_protocol(&schema)?),
                Action::Metadata(self.metadata(&schema, change.partition_by, None)?),
            ];
            actions.extend(change.added.into_iter().map(Action::Add));
            return self.put(None, actions, operation, run.into()).await;
        };
        let current = self.snapshot(latest).await?;
        let actions = self.actions_on_top_of(&current, latest, &schema, change).await?;
        self.put(Some(&current), actions, operation, run.into()).await
    }

    async fn actions_on_top_of(
        &self,
        current: &EagerSnapshot,
        latest: u64,
        schema: &StructType,
        change: Change<'_>,
    ) -> Result<Vec<Action>, LakeError> {
        let mut actions = Vec::new();
        let is_same = current.schema().as_ref() == schema
            && current.metadata().partition_columns() == change.partition_by;
        if !is_same {
            let wanted = self.oldest_protocol(schema)?;
            if wanted.min_reader_version() > current.protocol().min_reader_version() {
                actions.push(Action::Protocol(wanted));
            }
            let id = current.metadata().id().to_owned();
            actions.push(Action::Metadata(self.metadata(schema, change.partition_by, Some(id))?));
        }
        // Files of the pinned version stay when rows are appended; anything else that the log names now goes.
        let kept = match (change.mode, change.pinned) {
            (WriteMode::Append, Some(pinned)) if pinned != latest => files(&self.snapshot(pinned).await?),
            (WriteMode::Append, Some(_)) => files(current),
            _ => BTreeMap::new(),
        };
        let present = files(current);
        for file in current.log_data().iter() {
            if !kept.contains_key(&*file.path()) {
                actions.push(Action::Remove(file.remove_action(true)));
            }
        }
        let missing = kept.into_iter().filter(|(path, _)| !present.contains_key(path));
        actions.extend(missing.map(|(_, add)| Action::Add(add)));
        actions.extend(change.added.into_iter().map(Action::Add));
        Ok(actions)
    }

    async fn put(
        &self,
        on_top_of: Option<&EagerSnapshot>,
        actions: Vec<Action>,
        operation: DeltaOperation,
        info: Vec<(String, serde_json::Value)>,
    ) -> Result<u64, LakeError> {
        let properties = CommitProperties::default()
            .with_metadata(info)
            .with_max_retries(0)
            .with_cleanup_expired_logs(Some(false));
        let target = on_top_of.map(Target::new).transpose().map_err(|error| self.failed(error))?;
        let commit = CommitBuilder::from(properties).with_actions(actions).build(
            target.as_ref().map(|target| target as &dyn TableReference),
            Arc::clone(&self.log_store),
            operation,
        );
        match commit.await {
            Ok(committed) => Ok(committed.version()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn oldest_protocol(&self, schema: &StructType) -> Result<Protocol, LakeError> {
        protocol::oldest(schema).map_err(|error| self.failed(error))
    }

    fn metadata(
        &self,
        schema: &StructType,
        partition_by: &[String],
        id: Option<String>,
    ) -> Result<Metadata, LakeError> {
        let metadata = new_metadata(schema, partition_by, PROPERTIES.iter().copied());
        let metadata = metadata.and_then(|metadata| match id {
            Some(id) => metadata.with_table_id(id),
            None => Ok(metadata),
        });
        metadata.map_err(|error| self.failed(error.into()))
    }

    fn failed(&self, error: DeltaTableError) -> LakeError {
        let lost_race = matches!(
            &error,
            DeltaTableError::VersionAlreadyExists(_)
                | DeltaTableError::Transaction {
                    source: TransactionError::VersionAlreadyExists(_)
                        | TransactionError::CommitConflict(_)
                        | TransactionError::MaxCommitAttempts(_)
                }
        );
        if lost_race {
            return LakeError::Conflict { what: format!("it wrote table {} at the same time", self.table) };
        }
        LakeError::delta(&self.table, error)
    }
}

/// The files of a snapshot by path, as actions that would add them again.
fn files(snapshot: &EagerSnapshot) -> BTreeMap<String, Add> {
    snapshot
        .log_data()
        .iter()
        .map(|file| {
            let add = Add {
                path: file.path().into_owned(),
                partition_values: file.partition_values_map(),
                size: file.size(),
                modification_time: file.modification_time(),
                data_change: true,
                stats: file.stats(),
                ..Add::default()
            };
            (add.path.clone(), add)
        })
        .collect()
}
