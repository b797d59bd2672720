//! Objects in S3 buckets; where S3 is and who asks comes from the environment (`AWS_…`), never from SQL.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use glob::{MatchOptions, Pattern};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig};

use crate::fetch::{FetchLimits, gather};
use crate::fetch_error::FetchError;
use crate::place_error::PlaceError;
use crate::places::Location;

type Store = Arc<dyn ObjectStore>;

/// The buckets that were read from, each with its connections.
#[derive(Debug)]
pub(crate) struct Buckets {
    stores: Mutex<HashMap<String, Store>>,
    limits: FetchLimits,
}

impl Buckets {
    pub(crate) fn new(limits: &FetchLimits) -> Self {
        Self { stores: Mutex::default(), limits: *limits }
    }

    /// The bytes of an object.
    pub(crate) async fn get(&self, bucket: &str, key: &str, what: &str) -> Result<Bytes, FetchError> {
        let failed = |error: Error| failed(what, &error);
        let key = Path::parse(key).map_err(|error| failed(error.into()))?;
        let found = self.store(bucket).map_err(failed)?.get(&key).await.map_err(failed)?;
        let size = found.meta.size;
        let body = found.into_stream().map(|piece| piece.map_err(failed));
        gather(body, Some(size), self.limits.max_bytes, what).await
    }

    /// The objects below `prefix` whose keys match, page by page in the order of their keys; each page within
    /// `timeout`.
    pub(crate) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        pattern: &Pattern,
        timeout: Duration,
    ) -> BoxStream<'static, Result<Location, FetchError>> {
        let what = format!("s3://{bucket}/{pattern}");
        let listed = self.store(bucket).and_then(|store| {
            let prefix = Path::parse(prefix)?;
            Ok(store.list((!prefix.as_ref().is_empty()).then_some(&prefix)))
        });
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return stream::iter([Err(failed(&what, &error))]).boxed(),
        };
        let keys =
            Keys { listed, pattern: pattern.clone(), bucket: bucket.to_owned(), what, timeout, any: false };
        stream::unfold(Some(keys), |keys| async move {
            let mut keys = keys?;
            match keys.next().await {
                Some(Ok(location)) => Some((Ok(location), Some(keys))),
                Some(Err(error)) => Some((Err(error), None)),
                None if keys.any => None,
                None => Some((Err(PlaceError::NoMatch(keys.what).into()), None)),
            }
        })
        .boxed()
    }

    fn store(&self, bucket: &str) -> Result<Store, Error> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(bucket) {
            return Ok(Arc::clone(store));
        }
        let FetchLimits { timeout, connect_timeout, .. } = self.limits;
        let options = ClientOptions::new().with_timeout(timeout).with_connect_timeout(connect_timeout);
        let retry = RetryConfig { max_retries: 2, retry_timeout: timeout, ..RetryConfig::default() };
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        // A store next door (MinIO) by http is set by the operator as AWS_ALLOW_HTTP, which other options would
        // overwrite.
        let http = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|allowed| allowed.eq_ignore_ascii_case("true"));
        let builder = builder.with_client_options(options.with_allow_http(http)).with_retry(retry);
        let store: Store = Arc::new(builder.build()?);
        stores.insert(bucket.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

/// A listing that is under way.
struct Keys {
    listed: BoxStream<'static, object_store::Result<object_store::ObjectMeta>>,
    pattern: Pattern,
    bucket: String,
    what: String,
    timeout: Duration,
    any: bool,
}

impl Keys {
    async fn next(&mut self) -> Option<Result<Location, FetchError>> {
        let options = MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..MatchOptions::new()
        };
        loop {
            let Ok(next) = tokio::time::timeout(self.timeout, self.listed.next()).await else {
                return Some(Err(FetchError::Timeout { what: self.what.clone(), limit: self.timeout }));
            };
            let key = match next? {
                Ok(object) => object.location.to_string(),
                Err(error) => return Some(Err(failed(&self.what, &error))),
            };
            if self.pattern.matches_with(&key, options) {
                self.any = true;
                return Some(Ok(Location::Object { bucket: self.bucket.clone(), key }));
            }
        }
    }
}

fn failed(what: &str, error: &Error) -> FetchError {
    let what = what.to_owned();
    match error {
        Error::NotFound { .. } => FetchError::NotFound(what),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => FetchError::Denied(what),
        other => FetchError::Unreachable { what, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    async fn buckets() -> Buckets {
        let store = InMemory::new();
        for key in ["photos/b.jpg", "photos/a.jpg", "photos/sub/c.jpg", "photos/big.png", "other/d.jpg"] {
            let size = if key.ends_with("png") { 11 } else { 10 };
            store.put(&Path::from(key), vec![b'x'; size].into()).await.unwrap();
        }
        let buckets = Buckets::new(&FetchLimits { max_bytes: 10, ..FetchLimits::default() });
        buckets.stores.lock().unwrap().insert("b".to_owned(), Arc::new(store));
        buckets
    }

    #[tokio::test]
    async fn objects_are_read_within_the_limit() {
        let buckets = buckets().await;
        assert_eq!(buckets.get("b", "photos/a.jpg", "w").await.unwrap().len(), 10);
        assert_eq!(buckets.get("b", "photos/big.png", "w").await.unwrap_err().status(), "too_large");
        assert_eq!(buckets.get("b", "photos/no.png", "w").await.unwrap_err().status(), "not_found");
        assert_eq!(buckets.get("b", "photos/../x", "w").await.unwrap_err().status(), "unreachable");
    }

    #[tokio::test]
    async fn keys_are_listed_in_order_below_the_prefix() {
        let buckets = buckets().await;
        for (prefix, pattern, expected) in [
            ("photos", "photos/*.jpg", "photos/a.jpg photos/b.jpg"),
            ("photos", "photos/**/*.jpg", "photos/a.jpg photos/b.jpg photos/sub/c.jpg"),
            ("", "*/d.jpg", "other/d.jpg"),
            ("photos", "photos/*.gif", "not_found"),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            let found = buckets.list("b", prefix, &pattern, Duration::from_secs(5));
            let shown = found.map(|found| match found {
                Ok(Location::Object { key, .. }) => key,
                Ok(other) => panic!("{other:?}"),
                Err(error) => error.status().to_owned(),
            });
            assert_eq!(shown.collect::<Vec<_>>().await.join(" "), expected);
        }
    }
}
