//! The log of versions: `_warehouse/log/<20 digits>.json`, one create-only manifest a version.
//!
//! The head is the manifest with the highest number. `_warehouse/log/_latest` is a hint where to start to look: it may
//! be missing, late, ahead or garbage, and the head is still found, because a number counts only when its manifest can
//! be read and the next number's is not there. Manifests have no gaps at the end, since n + 1 is written by a run that
//! read n.

use std::path::Path as DiskPath;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::LakeError;
use crate::crash;
use crate::version::Version;

const FOLDER: &str = "_warehouse/log";
const HINT: &str = "_warehouse/log/_latest";
/// How many manifests to try one after the other before listing is cheaper.
const PROBES: usize = 16;
/// How many manifests to read at a time, and how many to remember.
const READ_AHEAD: usize = 16;
const REMEMBERED: usize = 64;

/// The versions of one warehouse.
#[derive(Debug)]
pub(crate) struct Log {
    store: Arc<dyn ObjectStore>,
    /// Manifests never change, so what was read once stays true; newest at the end.
    cache: Mutex<Vec<Arc<Version>>>,
}

impl Log {
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, cache: Mutex::default() }
    }

    /// The newest version; version 0 when there is none.
    pub(crate) async fn head(&self) -> Result<Arc<Version>, LakeError> {
        let start = match self.newest_cached() {
            Some(version) => Some(version),
            None => self.hinted().await,
        };
        if let Some(mut version) = start {
            for _ in 0..PROBES {
                match self.read(version.number + 1).await? {
                    Some(next) => version = next,
                    None => return Ok(version),
                }
            }
        }
        let Some(mut number) = self.numbers().await?.last().copied() else {
            return Ok(Arc::new(Version::empty()));
        };
        // A list may be older than the last put of another process.
        let mut head = self.get(number).await?;
        loop {
            number += 1;
            match self.read(number).await? {
                Some(next) => head = next,
                None => return Ok(head),
            }
        }
    }

    /// Version `number`, or an error that says which there are.
    pub(crate) async fn get(&self, number: u64) -> Result<Arc<Version>, LakeError> {
        if number == 0 {
            return Ok(Arc::new(Version::empty()));
        }
        if let Some(version) = self.read(number).await? {
            return Ok(version);
        }
        let numbers = self.numbers().await?;
        let found = match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => format!("versions {first} to {last} are kept"),
            _ => "nothing was written yet".to_owned(),
        };
        Err(LakeError::NoVersion { wanted: number.to_string(), found })
    }

    /// The numbers of all manifests, ascending.
    pub(crate) async fn numbers(&self) -> Result<Vec<u64>, LakeError> {
        let objects: Vec<_> = self.store.list(Some(&Path::from(FOLDER))).try_collect().await?;
        let mut numbers: Vec<u64> =
            objects.iter().filter_map(|object| object.location.filename().and_then(number_of)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// All versions, newest first.
    pub(crate) async fn all(&self) -> Result<Vec<Arc<Version>>, LakeError> {
        let numbers = self.numbers().await?;
        let read = futures::stream::iter(numbers.into_iter().rev().map(|number| self.read(number)));
        let versions: Vec<Option<Arc<Version>>> = read.buffered(READ_AHEAD).try_collect().await?;
        Ok(versions.into_iter().flatten().collect())
    }

    /// Writes a manifest that must not exist yet; `None` when another one does.
    pub(crate) async fn put(&self, version: Version) -> Result<Option<Arc<Version>>, LakeError> {
        let payload = PutPayload::from(version.to_json()?);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path_of(version.number), payload, options).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                // A cloud store's client may have tried twice and met its own first try.
                return match self.read(version.number).await? {
                    Some(found) if *found == version => Ok(Some(found)),
                    _ => Ok(None),
                };
            }
            Err(error) => return Err(error.into()),
        }
        crash::point(crash::AFTER_MANIFEST);
        let hint = PutPayload::from(format!("{}\n", version.number));
        if let Err(error) = self.store.put(&Path::from(HINT), hint).await {
            // The commit stands without it.
            tracing::warn!(%error, "could not write the hint to the newest version");
        }
        crash::point(crash::AFTER_HINT);
        let version = Arc::new(version);
        self.remember(&version);
        Ok(Some(version))
    }

    /// Where the hint points, if it can be believed.
    async fn hinted(&self) -> Option<Arc<Version>> {
        let bytes = self.store.get(&Path::from(HINT)).await.ok()?.bytes().await.ok()?;
        let number: u64 = std::str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
        self.read(number).await.ok()?
    }

    async fn read(&self, number: u64) -> Result<Option<Arc<Version>>, LakeError> {
        if let Some(version) = self.cached(number) {
            return Ok(Some(version));
        }
        let bytes = match self.store.get(&path_of(number)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let version = Arc::new(Version::from_json(number, &bytes)?);
        self.remember(&version);
        Ok(Some(version))
    }

    fn cached(&self, number: u64) -> Option<Arc<Version>> {
        let cache = self.cache.lock().ok()?;
        cache.iter().find(|version| version.number == number).cloned()
    }

    fn newest_cached(&self) -> Option<Arc<Version>> {
        self.cache.lock().ok()?.last().cloned()
    }

    fn remember(&self, version: &Arc<Version>) {
        if let Ok(mut cache) = self.cache.lock() {
            let at = cache.partition_point(|known| known.number < version.number);
            if cache.get(at).is_none_or(|known| known.number != version.number) {
                cache.insert(at, Arc::clone(version));
            }
            if cache.len() > REMEMBERED {
                cache.remove(0);
            }
        }
    }
}

fn path_of(number: u64) -> Path {
    Path::from(format!("{FOLDER}/{number:020}.json"))
}

fn number_of(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".json")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Whether a file on disk is a manifest, by its place.
pub(crate) fn is_manifest_file(path: &DiskPath) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with(FOLDER))
        && path.file_name().and_then(|name| name.to_str()).and_then(number_of).is_some()
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn log_of(numbers: u64) -> Arc<InMemory> {
        let store = Arc::new(InMemory::new());
        let log = Log::new(store.clone());
        let mut version = Version::empty();
        for _ in 0..numbers {
            version = version.next("run");
            assert!(log.put(version.clone()).await.unwrap().is_some());
        }
        store
    }

    #[tokio::test]
    async fn an_empty_log_has_version_0() {
        let log = Log::new(Arc::new(InMemory::new()));
        assert_eq!(log.head().await.unwrap().number, 0);
        assert_eq!(log.get(0).await.unwrap().number, 0);
        assert!(log.get(1).await.unwrap_err().to_string().contains("nothing was written yet"));
    }

    #[tokio::test]
    async fn the_head_is_right_whatever_the_hint_says() {
        let store = log_of(40).await;
        for hint in ["", "1", "39", "40", "41", "400000", "-3", "abc", "40\u{fffd}"] {
            store.put(&Path::from(HINT), PutPayload::from(hint.to_owned())).await.unwrap();
            assert_eq!(Log::new(store.clone()).head().await.unwrap().number, 40, "hint {hint:?}");
        }
        store.delete(&Path::from(HINT)).await.unwrap();
        assert_eq!(Log::new(store.clone()).head().await.unwrap().number, 40);
    }

    #[tokio::test]
    async fn a_reader_sees_what_another_process_committed() {
        let store = log_of(1).await;
        let reader = Log::new(store.clone());
        let head = reader.head().await.unwrap();
        Log::new(store).put(head.next("other")).await.unwrap().unwrap();
        assert_eq!(reader.head().await.unwrap().run_id, "other");
    }

    #[tokio::test]
    async fn a_manifest_is_written_once() {
        let store = log_of(1).await;
        let log = Log::new(store);
        let again = Version::empty().next("late");
        assert!(log.put(again).await.unwrap().is_none());
        assert_eq!(log.head().await.unwrap().run_id, "run");
    }

    #[tokio::test]
    async fn versions_come_newest_first_and_other_files_are_left_alone() {
        let store = log_of(3).await;
        store.put(&Path::from("_warehouse/log/notes.json"), "x".into()).await.unwrap();
        let log = Log::new(store);
        let numbers: Vec<u64> = log.all().await.unwrap().iter().map(|version| version.number).collect();
        assert_eq!(numbers, [3, 2, 1]);
    }

    #[tokio::test]
    async fn an_unreadable_head_is_an_error_rather_than_an_older_version() {
        let store = log_of(2).await;
        store.put(&path_of(3), "{".into()).await.unwrap();
        assert!(matches!(Log::new(store).head().await, Err(LakeError::BadManifest { number: 3, .. })));
    }
}
