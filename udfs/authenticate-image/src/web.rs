//! Images from web servers, which may mean no good.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::redirect::Policy;
use reqwest::{Client, header};
use url::Url;

use crate::address::{self, GuardedResolver, NoGlobalAddress};
use crate::fetch::{FetchLimits, gather};
use crate::fetch_error::FetchError;
use crate::places::Places;
use crate::web_place::shown;

/// A client that connects to addresses of the open net only, unless told otherwise.
#[derive(Debug)]
pub(crate) struct Web {
    client: Client,
    limits: FetchLimits,
}

impl Web {
    pub(crate) fn new(limits: &FetchLimits) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            // A proxy would look names up itself, unguarded.
            .no_proxy()
            // They are followed below, where a refusal can say why; reqwest's policy sees no own errors but its source
            // chain.
            .redirect(Policy::none())
            .referer(false)
            // Unpacked, an answer could have any size; another crate of the build may turn these on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.timeout)
            .dns_resolver(Arc::new(GuardedResolver { allow_private: limits.allow_private }))
            .build()?;
        Ok(Self { client, limits: *limits })
    }

    /// The body at a URL that `places` permit, as well as each that it redirects to.
    pub(crate) async fn get(&self, places: &Places, url: &Url, what: &str) -> Result<Bytes, FetchError> {
        let mut url = url.clone();
        places.permit(&url)?;
        for _ in 0..=self.limits.max_redirects {
            // Such a host goes past the resolver.
            if !self.limits.allow_private && address::literal(&url).is_some_and(|ip| !address::is_global(ip))
            {
                return Err(FetchError::Private(shown(&url)));
            }
            let request = self.client.get(url.clone()).header(header::ACCEPT, "image/*,*/*;q=0.5");
            let request = request.header(header::ACCEPT_ENCODING, "identity");
            let answer = request.send().await.map_err(|error| self.failed(&url, &error))?;
            let status = answer.status();
            if status.is_redirection()
                && let Some(to) = answer.headers().get(header::LOCATION)
            {
                url = next(places, &url, to, what)?;
                continue;
            }
            return match status.as_u16() {
                404 | 410 => Err(FetchError::NotFound(what.to_owned())),
                200 => {
                    let said = answer.content_length();
                    let body =
                        answer.bytes_stream().map(|piece| piece.map_err(|error| self.failed(&url, &error)));
                    gather(body, said, self.limits.max_bytes, what).await
                }
                status => Err(FetchError::HttpStatus { what: what.to_owned(), status }),
            };
        }
        Err(FetchError::TooManyRedirects { what: what.to_owned(), limit: self.limits.max_redirects })
    }

    fn failed(&self, url: &Url, error: &reqwest::Error) -> FetchError {
        let what = shown(url);
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        if cause.is::<NoGlobalAddress>() {
            return FetchError::Private(what);
        }
        if error.is_connect() && error.is_timeout() {
            let reason = format!("no connection within {} s", self.limits.connect_timeout.as_secs_f64());
            return FetchError::Unreachable { what, reason };
        }
        if error.is_timeout() {
            return FetchError::Timeout { what, limit: self.limits.timeout };
        }
        // The innermost cause is the one that people can act on, and it has no URL with its query.
        FetchError::Unreachable { what, reason: cause.to_string() }
    }
}

fn next(places: &Places, url: &Url, to: &header::HeaderValue, what: &str) -> Result<Url, FetchError> {
    let next = to.to_str().ok().and_then(|to| url.join(to).ok()).ok_or_else(|| FetchError::Unreachable {
        what: what.to_owned(),
        reason: "expected a URL in the redirect's Location".to_owned(),
    })?;
    let refused = |reason| FetchError::Redirect { what: what.to_owned(), reason };
    // S3 and others may be allowed, but not from here.
    if !matches!(next.scheme(), "http" | "https") {
        return Err(FetchError::Unreachable {
            what: what.to_owned(),
            reason: "expected a redirect to http:// or https://".to_owned(),
        });
    }
    places.permit(&next).map_err(refused)?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use crate::fetch::Fetcher;

    /// Serves the routes, and returns `http://127.0.0.1:port`.
    async fn serve(app: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        format!("http://{address}")
    }

    /// Answers each connection with these bytes as they are, then waits as a server would that has more to send.
    async fn serve_raw(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(&answer).await;
                    tokio::time::sleep(Duration::from_secs(30)).await;
                });
            }
        });
        format!("http://{address}")
    }

    fn fetcher(allow: &[&str], limits: FetchLimits) -> Fetcher {
        let allow: Vec<_> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        Fetcher::new(Places::new(&allow, Path::new("/")).unwrap(), limits).unwrap()
    }

    async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Bytes, FetchError> {
        fetcher.fetch(&fetcher.places().resolve(url).unwrap()).await
    }

    fn private() -> FetchLimits {
        let timeout = Duration::from_secs(5);
        FetchLimits { allow_private: true, max_bytes: 1_000, timeout, ..FetchLimits::default() }
    }

    #[tokio::test]
    async fn a_body_comes_whole_and_a_status_is_told() {
        let app = Router::new()
            .route("/a.jpg", get(|| async { "image" }))
            .route("/sorry", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "no") }))
            .route("/gone", get(|| async { StatusCode::GONE }));
        let at = serve(app).await;
        let fetcher = fetcher(&[&at], private());
        assert_eq!(fetch(&fetcher, &format!("{at}/a.jpg")).await.unwrap(), "image");
        for (path, status) in [("no.jpg", "not_found"), ("gone", "not_found"), ("sorry", "http_status")] {
            let error = fetch(&fetcher, &format!("{at}/{path}?signature=secret")).await.unwrap_err();
            assert_eq!(error.status(), status);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let fetcher = self::fetcher(&["http://127.0.0.1"], private());
        assert_eq!(
            fetcher.places().resolve(&format!("http://{closed}/a")).unwrap_err().status(),
            "forbidden"
        );
        let url = format!("http://{closed}");
        let fetcher = self::fetcher(&[&url], private());
        assert_eq!(
            fetch(&fetcher, &format!("{url}/a?key=secret")).await.unwrap_err().status(),
            "unreachable"
        );
    }

    #[tokio::test]
    async fn private_addresses_are_refused() {
        let at = serve(Router::new().route("/a", get(|| async { "secret" }))).await;
        let port = at.rsplit_once(':').unwrap().1.to_owned();
        let hosts = [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "10.0.0.1",
            "169.254.169.254",
            "[fe80::1]",
            "[64:ff9b::7f00:1]",
        ];
        for host in hosts {
            let url = format!("http://{host}:{port}");
            let fetcher = fetcher(&[&url], FetchLimits { allow_private: false, ..private() });
            let error = fetch(&fetcher, &format!("{url}/a")).await.unwrap_err();
            assert!(matches!(error, FetchError::Private(_)), "{host}: {error}");
            assert_eq!(error.status(), "forbidden");
        }
    }

    #[tokio::test]
    async fn each_redirect_has_to_be_allowed() {
        let secret = serve(Router::new().route("/s", get(|| async { "secret" }))).await;
        let to = |target: String| get(move || std::future::ready(Redirect::temporary(&target)));
        let app = Router::new()
            .route("/in/a", get(|| async { "image" }))
            .route("/in/near", to("a".to_owned()))
            .route("/in/out", to("../secret".to_owned()))
            .route("/in/away", to(format!("{secret}/s")))
            .route("/in/cloud", to("http://169.254.169.254/latest/meta-data/".to_owned()))
            .route("/in/file", to("file:///etc/passwd".to_owned()))
            .route("/in/user", to(secret.replace("http://", "http://me:pw@")))
            .route("/in/loop", to("loop".to_owned()));
        let at = serve(app).await;
        let allow = format!("{at}/in");
        let fetcher = fetcher(&[&allow], private());
        assert_eq!(fetch(&fetcher, &format!("{allow}/near")).await.unwrap(), "image");
        for name in ["out", "away", "cloud", "user"] {
            let error = fetch(&fetcher, &format!("{allow}/{name}")).await.unwrap_err();
            assert!(matches!(error, FetchError::Redirect { .. }), "{name}: {error}");
            assert_eq!(error.status(), "forbidden");
        }
        for name in ["file", "loop"] {
            let error = fetch(&fetcher, &format!("{allow}/{name}")).await.unwrap_err();
            assert_eq!(error.status(), "unreachable", "{error}");
        }
    }

    #[tokio::test]
    async fn a_redirect_to_a_private_address_is_refused_though_a_prefix_allows_it() {
        // The first hop is let through by hand: no server of the open net is at hand in a test.
        let at = serve(Router::new().route("/a", get(|| async { "secret" }))).await;
        let places = Places::new(&["http://open.example".to_owned(), at.clone()], Path::new("/")).unwrap();
        let to = header::HeaderValue::try_from(format!("{at}/a")).unwrap();
        let hop = next(&places, &Url::parse("http://open.example/x").unwrap(), &to, "w").unwrap();
        let web = Web::new(&FetchLimits { allow_private: false, ..private() }).unwrap();
        assert!(matches!(web.get(&places, &hop, "w").await, Err(FetchError::Private(_))));
    }

    #[tokio::test]
    async fn a_slow_server_is_left() {
        let drip = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        let body = std::sync::Mutex::new(Some(Body::from_stream(drip)));
        let body = std::sync::Arc::new(body);
        let app = Router::new()
            .route("/drip", get(move || std::future::ready(body.lock().unwrap().take().unwrap())))
            .route("/silent", get(|| async { tokio::time::sleep(Duration::from_secs(30)).await }));
        let at = serve(app).await;
        let fetcher = fetcher(&[&at], FetchLimits { timeout: Duration::from_millis(400), ..private() });
        for path in ["drip", "silent"] {
            let start = Instant::now();
            let error = fetch(&fetcher, &format!("{at}/{path}")).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("'{at}/{path}' did not come within 0.4 s (images.timeout)")
            );
            assert!(start.elapsed() < Duration::from_secs(5));
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_cut_off() {
        let endless = |head: &str| {
            let mut answer = head.as_bytes().to_vec();
            answer.extend(vec![b'x'; 100_000]);
            answer
        };
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..100 {
            chunked.extend(b"64\r\n");
            chunked.extend([b'x'; 100]);
            chunked.extend(b"\r\n");
        }
        for answer in [
            endless("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n"),
            endless("HTTP/1.1 200 OK\r\n\r\n"),
            chunked,
        ] {
            let at = serve_raw(answer).await;
            let error = fetch(&fetcher(&[&at], private()), &format!("{at}/a")).await.unwrap_err();
            assert_eq!(error.status(), "too_large", "{error}");
        }
        // It says less than it sends: no more than it said is read.
        let at = serve_raw(endless("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")).await;
        assert_eq!(fetch(&fetcher(&[&at], private()), &format!("{at}/a")).await.unwrap().len(), 10);
        // It says more than it sends, and waits.
        let at = serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx".to_vec()).await;
        let fetcher = fetcher(&[&at], FetchLimits { timeout: Duration::from_millis(300), ..private() });
        assert_eq!(fetch(&fetcher, &format!("{at}/a")).await.unwrap_err().status(), "timeout");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn threads_that_may_wait_fetch_too() {
        let at = serve(Router::new().route("/a", get(|| async { "image" }))).await;
        let fetcher = std::sync::Arc::new(fetcher(&[&at], private()));
        let location = fetcher.places().resolve(&format!("{at}/a")).unwrap();
        let handle = tokio::runtime::Handle::current();
        let (again, place, here) = (std::sync::Arc::clone(&fetcher), location.clone(), handle.clone());
        let blocking = tokio::task::spawn_blocking(move || again.fetch_blocking(&here, &place));
        assert_eq!(blocking.await.unwrap().unwrap(), "image");
        let plain = std::thread::spawn(move || fetcher.fetch_blocking(&handle, &location));
        let joined = tokio::task::spawn_blocking(move || plain.join().unwrap()).await;
        assert_eq!(joined.unwrap().unwrap(), "image");
    }
}
