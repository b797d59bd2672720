//! An object store on the local disk that survives a power cut.
//!
//! `object_store`'s `LocalFileSystem` writes atomically but never calls fsync, so after a power cut a file that was
//! acknowledged may be empty, or its directory may not name it. [`DurableLocal`] acknowledges a write only when the
//! bytes, the file's name and the directories above it are on disk. With that, "data files, then the Delta log, then
//! the manifest" is also the order on disk, because each step waits for the one before.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as DiskPath, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::crash;

const STORE: &str = "DurableLocal";

/// The local disk below one folder, with writes that are durable when they return.
#[derive(Debug)]
pub(crate) struct DurableLocal {
    inner: LocalFileSystem,
    syncer: Arc<Syncer>,
}

impl DurableLocal {
    /// The store over `root`, which must exist.
    pub(crate) fn new(root: &DiskPath) -> Result<Self> {
        let root = root.canonicalize().map_err(|source| failed(&source, root))?;
        let inner = LocalFileSystem::new_with_prefix(&root)?;
        Ok(Self { inner, syncer: Arc::new(Syncer { root, known: Mutex::default() }) })
    }

    async fn sync(&self, path: PathBuf) -> Result<()> {
        let syncer = Arc::clone(&self.syncer);
        blocking(move || syncer.file(&path)).await
    }
}

impl Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.syncer.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        if matches!(opts.mode, PutMode::Create) {
            let syncer = Arc::clone(&self.syncer);
            blocking(move || syncer.create(&target, &payload)).await?;
            return Ok(PutResult { e_tag: None, version: None });
        }
        let result = self.inner.put_opts(location, payload, opts).await?;
        self.sync(target).await?;
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, path, syncer: Arc::clone(&self.syncer) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.sync(self.inner.path_to_filesystem(to)?).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        self.sync(self.inner.path_to_filesystem(to)?).await
    }
}

/// Cloud stores list in the order of the names, and readers of a log count on it; a directory has no order.
fn sorted(objects: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let collected = async move {
        let mut all: Vec<ObjectMeta> = objects.try_collect().await?;
        all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, object_store::Error>(futures::stream::iter(all.into_iter().map(Ok)))
    };
    futures::stream::once(collected).try_flatten().boxed()
}

#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
    syncer: Arc<Syncer>,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        let (syncer, path) = (Arc::clone(&self.syncer), self.path.clone());
        blocking(move || syncer.file(&path)).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Calls fsync, and remembers which directories' names are on disk.
#[derive(Debug)]
struct Syncer {
    root: PathBuf,
    known: Mutex<HashSet<PathBuf>>,
}

impl Syncer {
    /// Syncs a file, its directory, and the directories above that were not synced before.
    fn file(&self, path: &DiskPath) -> Result<()> {
        File::open(path).and_then(|file| file.sync_all()).map_err(|source| failed(&source, path))?;
        self.parents(path)
    }

    /// Syncs the directory that names `path`, and those above it up to the first whose own name is on disk for sure.
    fn parents(&self, path: &DiskPath) -> Result<()> {
        let mut named = Vec::new();
        for folder in path.ancestors().skip(1) {
            File::open(folder).and_then(|file| file.sync_all()).map_err(|source| failed(&source, folder))?;
            if folder == self.root || self.known.lock().is_ok_and(|known| known.contains(folder)) {
                break;
            }
            named.push(folder.to_owned());
        }
        if let Ok(mut known) = self.known.lock() {
            known.extend(named);
        }
        Ok(())
    }

    /// Creates a file that must not exist: the bytes are on disk before the name appears, so that no reader ever sees
    /// a half-written file, not even after a power cut.
    fn create(&self, target: &DiskPath, payload: &PutPayload) -> Result<()> {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(|source| failed(&source, folder))?;
        }
        // `LocalFileSystem` takes `#` and digits at the end of a name for a staged upload, and lists no such file.
        let mut staged = target.as_os_str().to_owned();
        staged.push(format!("#{}", uuid::Uuid::new_v4().as_u128()));
        let staged = PathBuf::from(staged);
        let is_manifest = crate::log::is_manifest_file(target);

        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&staged)?;
            for part in payload.iter() {
                file.write_all(part)?;
            }
            file.sync_all()?;
            if is_manifest {
                crash::point(crash::MANIFEST_STAGED);
            }
            std::fs::hard_link(&staged, target)
        };
        let written = write();
        // A staged file that stays behind is only garbage: nobody lists it.
        let _ = std::fs::remove_file(&staged);
        written.map_err(|source| failed(&source, target))?;
        if is_manifest {
            crash::point(crash::MANIFEST_LINKED);
        }
        self.parents(target)
    }
}

fn failed(source: &std::io::Error, path: &DiskPath) -> object_store::Error {
    let path = path.display().to_string();
    let kind = source.kind();
    let source = Box::new(std::io::Error::new(kind, source.to_string()));
    match kind {
        ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source },
        ErrorKind::NotFound => object_store::Error::NotFound { path, source },
        ErrorKind::PermissionDenied => object_store::Error::PermissionDenied { path, source },
        _ => object_store::Error::Generic { store: STORE, source: format!("{path}: {source}").into() },
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(source) => Err(object_store::Error::JoinError { source }),
    }
}
