//! The warehouse as readers and writers open it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::future::BoxFuture;
use object_store::ObjectStore;

use crate::LakeError;
use crate::log::Log;
use crate::open_tables::OpenTables;
use crate::root::Root;
use crate::transaction::Transaction;
use crate::version::Version;

/// A warehouse: its versions, and their tables.
#[derive(Debug)]
pub struct Lake {
    root: Root,
    log: Log,
    tables: OpenTables,
}

impl Lake {
    /// Opens the warehouse at a local path or a URL (`file://`, `memory:`). A missing folder is created; nothing else is
    /// written.
    ///
    /// # Errors
    /// [`LakeError::BadRoot`] when the place is not usable or the scheme is not supported.
    pub async fn open(root: &str) -> Result<Arc<Self>, LakeError> {
        Ok(Self::at_root(Root::open(root)?))
    }

    /// Opens the warehouse at the root of a store that the caller made; `address` names it in messages.
    ///
    /// # Errors
    /// Never for an address that is a URL.
    pub fn with_store(address: &str, store: Arc<dyn ObjectStore>) -> Result<Arc<Self>, LakeError> {
        Ok(Self::at_root(Root::of_store(address, store)?))
    }

    fn at_root(root: Root) -> Arc<Self> {
        let log = Log::new(Arc::clone(&root.store));
        Arc::new(Self { root, log, tables: OpenTables::default() })
    }

    /// The path or URL that the warehouse was opened with.
    pub fn address(&self) -> &str {
        &self.root.address
    }

    /// The newest version; number 0, without tables, when nothing was ever written.
    ///
    /// # Errors
    /// When the store fails or the newest manifest can't be read.
    pub fn head(&self) -> BoxFuture<'_, Result<Arc<Version>, LakeError>> {
        Box::pin(async move { self.log.head().await })
    }

    /// Version `number`.
    ///
    /// # Errors
    /// [`LakeError::NoVersion`] when it isn't kept.
    pub fn version(&self, number: u64) -> BoxFuture<'_, Result<Arc<Version>, LakeError>> {
        Box::pin(async move { self.log.get(number).await })
    }

    /// The newest version whose timestamp is not after `instant`.
    ///
    /// # Errors
    /// [`LakeError::NoVersion`] when all versions are later.
    pub fn at(&self, instant: DateTime<Utc>) -> BoxFuture<'_, Result<Arc<Version>, LakeError>> {
        Box::pin(async move {
            let head = self.log.head().await?;
            if head.number > 0 && head.timestamp <= instant {
                return Ok(head);
            }
            // Timestamps ascend with the numbers, so halving finds the place.
            let numbers = self.log.numbers().await?;
            let (mut low, mut high) = (0, numbers.len());
            let mut found = None;
            let mut oldest = None;
            while low < high {
                let middle = low + (high - low) / 2;
                let version = self.log.get(numbers[middle]).await?;
                if version.timestamp <= instant {
                    found = Some(version);
                    low = middle + 1;
                } else {
                    oldest = Some(version.timestamp);
                    high = middle;
                }
            }
            found.ok_or_else(|| LakeError::NoVersion {
                wanted: format!("at or before {instant}"),
                found: oldest.map_or_else(
                    || "nothing was written yet".to_owned(),
                    |oldest| format!("the oldest is of {oldest}"),
                ),
            })
        })
    }

    /// All versions that are kept, newest first.
    ///
    /// # Errors
    /// When the store fails or a manifest can't be read.
    pub fn versions(&self) -> BoxFuture<'_, Result<Vec<Arc<Version>>, LakeError>> {
        Box::pin(async move { self.log.all().await })
    }

    /// The rows of table `name` in `version`, pinned; `None` when the version has no such table.
    ///
    /// # Errors
    /// When the table's Delta log can't be read.
    pub fn table<'a>(
        &'a self,
        version: &'a Version,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>, LakeError>> {
        Box::pin(async move {
            let Some(entry) = version.tables.get(name) else { return Ok(None) };
            let table: Arc<dyn TableProvider> = self.tables.get(&self.root, name, entry).await?;
            Ok(Some(table))
        })
    }

    /// The URL under which the tables' files are found by a DataFusion runtime.
    pub fn object_store_url(&self) -> &ObjectStoreUrl {
        &self.root.url
    }

    /// Makes the tables' files known to a DataFusion runtime. A scan does so too, for the runtime that plans it.
    pub fn register(&self, runtime: &RuntimeEnv) {
        runtime.register_object_store(self.root.url.as_ref(), Arc::clone(&self.root.store));
    }

    /// Starts a run that writes. The head is pinned as its base; nobody else is kept out.
    ///
    /// # Errors
    /// When the head can't be read.
    pub fn begin<'a>(self: &'a Arc<Self>, run_id: &'a str) -> BoxFuture<'a, Result<Transaction, LakeError>> {
        Box::pin(async move {
            let base = self.head().await?;
            Ok(Transaction::new(Arc::clone(self), base, run_id))
        })
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }
}
