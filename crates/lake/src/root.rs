//! Where a warehouse is kept: a folder or a URL becomes an object store whose root is the warehouse's.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use sha2::{Digest, Sha256};
use url::Url;

use crate::LakeError;
use crate::durable::DurableLocal;

/// The store of a warehouse. Every path in it is relative to the warehouse's root.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// The path or URL as given.
    pub(crate) address: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Under which a DataFusion runtime finds the store; it names no place, so that plans don't depend on one.
    pub(crate) url: ObjectStoreUrl,
}

impl Root {
    /// Opens a local path, `file://…`, `memory:`, or the URL of an object store that this build was made for. A local
    /// folder is created when it is missing; `memory:` is a new, empty store each time.
    pub(crate) fn open(address: &str) -> Result<Self, LakeError> {
        let bad = |reason: String| LakeError::BadRoot { root: address.to_owned(), reason };
        let url = match Url::parse(address) {
            // A single letter is a drive of Windows.
            Ok(url) if url.scheme().len() > 1 => url,
            _ => return Self::folder(address, PathBuf::from(address)),
        };
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| bad("expected file:///path".to_owned()))?;
                Self::folder(address, path)
            }
            "memory" => Self::of_store(address, Arc::new(InMemory::new())),
            "s3" | "s3a" | "gs" | "az" | "azure" | "abfs" | "abfss" | "adl" => {
                let (store, path) = object_store::parse_url(&url).map_err(|error| bad(error.to_string()))?;
                Self::new(address, Arc::new(PrefixStore::new(store, path)), address)
            }
            other => Err(bad(format!(
                "unsupported scheme `{other}`, expected a path, file://, memory:, s3://, gs:// or az://"
            ))),
        }
    }

    /// A warehouse in a store that the caller made.
    pub(crate) fn of_store(address: &str, store: Arc<dyn ObjectStore>) -> Result<Self, LakeError> {
        // Two stores in memory may have the same address, and must not be taken for one another.
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let identity = format!("{address}#{}", OPENED.fetch_add(1, Ordering::Relaxed));
        Self::new(address, store, &identity)
    }

    fn new(address: &str, store: Arc<dyn ObjectStore>, identity: &str) -> Result<Self, LakeError> {
        let digest = Sha256::digest(identity.as_bytes());
        let host: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let url = ObjectStoreUrl::parse(format!("smartsneaks://{host}"))
            .map_err(|error| LakeError::BadRoot { root: address.to_owned(), reason: error.to_string() })?;
        Ok(Self { address: address.to_owned(), store, url })
    }

    fn folder(address: &str, path: PathBuf) -> Result<Self, LakeError> {
        let bad = |reason: String| LakeError::BadRoot { root: address.to_owned(), reason };
        if address.is_empty() {
            return Err(bad("expected a folder or a URL".to_owned()));
        }
        std::fs::create_dir_all(&path).map_err(|error| bad(format!("{error}; choose a writable folder")))?;
        let store = DurableLocal::new(&path).map_err(|error| bad(error.to_string()))?;
        let identity = path.canonicalize().unwrap_or(path).display().to_string();
        Self::new(address, Arc::new(store), &identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_schemes_and_files_in_the_way_are_named() {
        let error = Root::open("ftp://host/x").unwrap_err().to_string();
        assert!(error.contains("unsupported scheme `ftp`"), "{error}");
        assert!(Root::open("").is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Root::open(file.path().to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("choose a writable folder"), "{error}");
    }

    #[test]
    fn folders_are_made_and_file_urls_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a b/warehouse");
        let by_path = Root::open(deep.to_str().unwrap()).unwrap();
        assert!(deep.is_dir());
        let by_url = Root::open(Url::from_directory_path(&deep).unwrap().as_str()).unwrap();
        assert_eq!(by_path.url, by_url.url);
        assert_ne!(Root::open("memory:").unwrap().url, Root::open("memory:").unwrap().url);
        assert!(Root::open("memory:///").is_ok());
    }
}
