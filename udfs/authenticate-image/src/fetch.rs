//! Fetches images from the places that are allowed, within limits of size and time.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;

use crate::fetch_error::FetchError;
use crate::objects::Buckets;
use crate::places::{Location, Places};
use crate::web::Web;
use crate::web_place;

/// How much and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FetchLimits {
    /// Bytes of one image.
    pub(crate) max_bytes: u64,
    /// Until the last byte is there, lookups and redirects included.
    pub(crate) timeout: Duration,
    /// Until a server takes the connection.
    pub(crate) connect_timeout: Duration,
    /// Redirects that are followed.
    pub(crate) max_redirects: usize,
    /// Whether addresses of the own network are connected to (`images.allow_private_addresses`).
    pub(crate) allow_private: bool,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            max_bytes: 20 << 20,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            max_redirects: 3,
            allow_private: false,
        }
    }
}

/// Fetches images. One is enough for a process; it keeps connections open.
#[derive(Debug)]
pub(crate) struct Fetcher {
    places: Places,
    limits: FetchLimits,
    web: Web,
    buckets: Buckets,
}

/// The images of a pattern, one after the other: see [`Fetcher::list_blocking`].
pub(crate) struct Locations(Box<dyn Iterator<Item = Result<Location, FetchError>> + Send>);

impl Fetcher {
    /// A fetcher from `places`.
    ///
    /// # Errors
    /// [`FetchError::Unreachable`] when no client can be made, as without certificates.
    pub(crate) fn new(places: Places, limits: FetchLimits) -> Result<Self, FetchError> {
        let web = Web::new(&limits).map_err(|error| FetchError::Unreachable {
            what: "http".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { places, limits, web, buckets: Buckets::new(&limits) })
    }

    /// Where it fetches from.
    #[must_use]
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// The bytes at a place; files are read on a thread that may wait. Dropping the future ends the transfer.
    ///
    /// # Errors
    /// When they are not there, not allowed, too many or too slow; [`FetchError::Many`] for a pattern.
    pub(crate) async fn fetch(&self, location: &Location) -> Result<Bytes, FetchError> {
        let what = self.name(location);
        let work = async {
            match location {
                Location::File(path) => {
                    let (places, path, limit) = (self.places.clone(), path.clone(), self.limits.max_bytes);
                    let read = tokio::task::spawn_blocking(move || read(&places, &path, limit)).await;
                    read.unwrap_or_else(|error| {
                        Err(FetchError::Unreachable { what: what.clone(), reason: error.to_string() })
                    })
                }
                Location::Url(url) => self.web.get(&self.places, url, &what).await,
                Location::Object { bucket, key } => {
                    self.places.permit_object(bucket, key)?;
                    self.buckets.get(bucket, key, &what).await
                }
                Location::Glob(_) | Location::ObjectGlob { .. } => Err(FetchError::Many(what.clone())),
            }
        };
        // Around all of it: a server that sends a byte now and then is slow, too.
        let limit = self.limits.timeout;
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(FetchError::Timeout { what, limit }))
    }

    /// The same for a thread that may wait, such as one of rayon's or `spawn_blocking`'s. A worker that drives futures
    /// would panic, and `handle` must be of a runtime that other threads drive.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub(crate) fn fetch_blocking(&self, handle: &Handle, location: &Location) -> Result<Bytes, FetchError> {
        match location {
            Location::File(path) => read(&self.places, path, self.limits.max_bytes),
            other => handle.block_on(self.fetch(other)),
        }
    }

    /// The images that a place stands for, in the order of their names: one, or those that a pattern matches, found as
    /// they are asked for. Waits as [`Fetcher::fetch_blocking`] does. Where nothing matches, the one item is an error
    /// of status `not_found`.
    #[must_use]
    pub(crate) fn list_blocking(&self, handle: &Handle, location: &Location) -> Locations {
        Locations(match location {
            Location::Glob(glob) => {
                Box::new(glob.files().map(|file| file.map(Location::File).map_err(FetchError::from)))
            }
            Location::ObjectGlob { bucket, prefix, pattern } => {
                if let Err(error) = self.places.permit_object(bucket, prefix) {
                    return Locations(Box::new(std::iter::once(Err(error.into()))));
                }
                let handle = handle.clone();
                let mut keys = self.buckets.list(bucket, prefix, pattern, self.limits.timeout);
                Box::new(std::iter::from_fn(move || handle.block_on(keys.next())))
            }
            one => Box::new(std::iter::once(Ok(one.clone()))),
        })
    }

    /// What a place is called in results and messages: a path from the base, or a URL without its query.
    #[must_use]
    pub(crate) fn name(&self, location: &Location) -> String {
        match location {
            Location::File(path) => self.places.name(path),
            Location::Url(url) => web_place::shown(url),
            Location::Object { bucket, key } => format!("s3://{bucket}/{key}"),
            Location::Glob(glob) => glob.text().to_owned(),
            Location::ObjectGlob { bucket, pattern, .. } => format!("s3://{bucket}/{pattern}"),
        }
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locations").finish_non_exhaustive()
    }
}

impl Iterator for Locations {
    type Item = Result<Location, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Gathers a body of at most `limit` bytes. `said` is the size that the other side told: enough to refuse early, and
/// never trusted.
pub(crate) async fn gather(
    body: impl Stream<Item = Result<Bytes, FetchError>>,
    said: Option<u64>,
    limit: u64,
    what: &str,
) -> Result<Bytes, FetchError> {
    let too_large = || FetchError::TooLarge { what: what.to_owned(), limit };
    if said.is_some_and(|said| said > limit) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut body = std::pin::pin!(body);
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if (bytes.len() + piece.len()) as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

fn read(places: &Places, path: &Path, limit: u64) -> Result<Bytes, FetchError> {
    let what = || places.name(path);
    let mut bytes = Vec::new();
    let file = places.open(path)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| FetchError::Unreachable { what: what(), reason: error.to_string() })?;
    if bytes.len() as u64 > limit {
        return Err(FetchError::TooLarge { what: what(), limit });
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn files_are_read_within_the_limit_from_any_thread() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        for (name, size) in [("in/small", 10), ("in/large", 11)] {
            std::fs::write(dir.path().join(name), vec![b'x'; size]).unwrap();
        }
        let places = Places::new(&["in".to_owned()], dir.path()).unwrap();
        let limits = FetchLimits { max_bytes: 10, ..FetchLimits::default() };
        let fetcher = std::sync::Arc::new(Fetcher::new(places, limits).unwrap());
        let at = |name: &str| fetcher.places().resolve(name).unwrap();
        assert_eq!(fetcher.fetch(&at("in/small")).await.unwrap(), vec![b'x'; 10]);
        let error = fetcher.fetch(&at("in/large")).await.unwrap_err();
        assert_eq!(error.to_string(), "'in/large' has more than the 10 bytes that images.max_bytes allows");
        let all = at("*");
        assert_eq!(fetcher.fetch(&all).await.unwrap_err(), FetchError::Many("*".to_owned()));
        let small = at("in/small");
        let swapped = dir.path().join("in/small");
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        let handle = Handle::current();
        let thread = std::thread::spawn(move || {
            let listed: Vec<_> =
                fetcher.list_blocking(&handle, &all).map(|file| fetcher.name(&file.unwrap())).collect();
            assert_eq!(listed, ["in/large", "in/small"]);
            assert!(fetcher.fetch_blocking(&handle, &small).is_ok());
            // Swapped for a link after it was resolved.
            std::fs::remove_file(&swapped).unwrap();
            std::os::unix::fs::symlink("../secret", &swapped).unwrap();
            assert_eq!(fetcher.fetch_blocking(&handle, &small).unwrap_err().status(), "forbidden");
            std::fs::remove_file(&swapped).unwrap();
            assert_eq!(fetcher.fetch_blocking(&handle, &small).unwrap_err().status(), "not_found");
        });
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }
}
