//! Pinned tables that were opened before. A table at a Delta version never changes, so an entry is never stale; entries
//! that were not used for longest make room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use object_store::path::Path;
use tokio::sync::OnceCell;

use crate::LakeError;
use crate::delta::DeltaLog;
use crate::file_index::FileIndex;
use crate::provider::{PinnedTable, Place};
use crate::root::Root;
use crate::version::TableEntry;

/// Tables to keep open: a few versions of a warehouse with some dozens of tables.
const KEPT: usize = 512;
/// Files that the kept tables may have together; one file takes about a kilobyte of memory.
const KEPT_FILES: u64 = 500_000;

type Key = (String, u64);

/// The open tables of a lake, by address and Delta version.
#[derive(Debug, Default)]
pub(crate) struct OpenTables {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    clock: u64,
    slots: HashMap<Key, Slot>,
}

#[derive(Debug)]
struct Slot {
    used: u64,
    files: u64,
    /// Readers that come while the table is being opened wait for the one that opens it.
    table: Arc<OnceCell<Arc<PinnedTable>>>,
}

impl OpenTables {
    /// The table that `entry` names, from the cache or from its Delta log.
    pub(crate) async fn get(
        &self,
        root: &Root,
        name: &str,
        entry: &TableEntry,
    ) -> Result<Arc<PinnedTable>, LakeError> {
        let slot = self.slot(entry);
        let table = slot.get_or_try_init(|| open(root, name, entry)).await?;
        Ok(Arc::clone(table))
    }

    fn slot(&self, entry: &TableEntry) -> Arc<OnceCell<Arc<PinnedTable>>> {
        // A poisoned lock only means that another reader panicked between two whole states.
        let mut state = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.clock += 1;
        let used = state.clock;
        let key = (entry.uri.clone(), entry.delta_version);
        let new = || Slot { used, files: entry.files, table: Arc::default() };
        let slot = state.slots.entry(key).or_insert_with(new);
        slot.used = used;
        let table = Arc::clone(&slot.table);
        state.make_room();
        table
    }
}

impl Slots {
    fn make_room(&mut self) {
        let mut files: u64 = self.slots.values().map(|slot| slot.files).sum();
        while self.slots.len() > 1 && (self.slots.len() > KEPT || files > KEPT_FILES) {
            let oldest = self.slots.iter().min_by_key(|(_, slot)| slot.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some(gone) = self.slots.remove(&key) {
                files -= gone.files;
            }
        }
    }
}

async fn open(root: &Root, name: &str, entry: &TableEntry) -> Result<Arc<PinnedTable>, LakeError> {
    let snapshot = DeltaLog::new(root, &entry.uri, name)?.snapshot(entry.delta_version).await?;
    let index = FileIndex::new(&snapshot, name, &Path::from(entry.uri.as_str()))?;
    let place = Place { url: root.url.clone(), store: Arc::clone(&root.store) };
    Ok(Arc::new(PinnedTable::try_new(index, place).map_err(LakeError::Input)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(delta_version: u64, files: u64) -> TableEntry {
        TableEntry {
            uri: "tables/public/t".into(),
            delta_version,
            schema_hash: String::new(),
            rows: 0,
            bytes: 0,
            files,
            properties: BTreeMap::new(),
        }
    }

    #[test]
    fn the_table_that_waited_longest_makes_room() {
        let tables = OpenTables::default();
        let first = tables.slot(&entry(0, 1));
        for version in 1..KEPT as u64 {
            tables.slot(&entry(version, 1));
        }
        assert!(Arc::ptr_eq(&first, &tables.slot(&entry(0, 1))));
        tables.slot(&entry(9999, 1));
        assert!(Arc::ptr_eq(&first, &tables.slot(&entry(0, 1))), "it was just used");
        assert_eq!(tables.slots.lock().unwrap().slots.len(), KEPT);
        tables.slot(&entry(10_000, KEPT_FILES + 1));
        assert_eq!(tables.slots.lock().unwrap().slots.len(), 1);
    }
}
