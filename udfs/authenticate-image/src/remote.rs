//! A classifier that is a service: images go there over HTTP, a score comes back.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::breaker::Breaker;
use crate::form::{self, Body};
use crate::remote_spec::{HigherIs, RemoteSpec};

/// Why there is no score. Displays in lower case, without a final period.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum RemoteError {
    /// The description of the service is wrong.
    #[error("{0}")]
    Spec(String),
    /// The service is left alone after it failed.
    #[error(
        "the service failed {failures} times in a row and is left alone for {seconds:.1} s more; last: {last}"
    )]
    Open {
        /// Failures in a row that lead to this.
        failures: u32,
        /// Seconds until it is tried again; 0 while another call tries.
        seconds: f64,
        /// What the last failure was.
        last: String,
    },
    /// The service refuses the request, and would again.
    #[error("the service answered with HTTP status {status}; expected 200: {body}")]
    Refused {
        /// Its status.
        status: u16,
        /// How its answer begins.
        body: String,
    },
    /// The service fails: no connection, or status 429 or 5xx, after all repetitions.
    #[error("the service failed: {0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("the service did not answer within {} s (timeout)", .0.as_secs_f64())]
    Timeout(Duration),
    /// Its reply has no score.
    #[error("expected a number from 0 to 1 at '{pointer}' of the reply, found {found}; see score_pointer")]
    Reply {
        /// Where it should stand.
        pointer: String,
        /// What stands there.
        found: String,
    },
}

/// A service, and how it has done lately. One is shared by all calls.
pub(crate) struct RemoteClassifier {
    spec: RemoteSpec,
    url: Url,
    timeout: Duration,
    client: Client,
    breaker: Breaker,
}

/// Bytes of a reply that are read.
const LONGEST_REPLY: usize = 1 << 20;
/// The wait before the first repetition. It doubles up to `LONGEST_WAIT`.
const WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A try that gave no score.
struct Failure {
    error: RemoteError,
    /// Whether another may; with the least wait that the service asks for.
    again: Option<Duration>,
}

impl fmt::Debug for RemoteClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the URL nor the client's headers: they may hold keys.
        f.debug_struct("RemoteClassifier").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl RemoteClassifier {
    /// A client of the service; nothing is sent yet.
    ///
    /// # Errors
    /// [`RemoteError::Spec`] for a URL that is none, headers that can't be sent, and numbers out of range.
    pub(crate) fn new(spec: RemoteSpec) -> Result<Self, RemoteError> {
        let url = spec.check().map_err(RemoteError::Spec)?;
        let mut headers = header::HeaderMap::new();
        for (name, value) in &spec.headers {
            // The value may be a secret and is not repeated.
            let fault = || {
                RemoteError::Spec(format!(
                    "headers: expected an HTTP header, found '{}'",
                    name.escape_debug()
                ))
            };
            let key = header::HeaderName::try_from(name).map_err(|_| fault())?;
            let mut value = header::HeaderValue::try_from(value).map_err(|_| fault())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let client = Client::builder()
            .default_headers(headers)
            // The file names the service; a redirect would take images and keys elsewhere, and a proxy would see them.
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| RemoteError::Spec(format!("no client can be made: {}", cause(&error))))?;
        let timeout = Duration::from_secs_f64(spec.timeout);
        let breaker = Breaker::new(spec.breaker.failures, Duration::from_secs_f64(spec.breaker.cool_down));
        Ok(Self { spec, url, timeout, client, breaker })
    }

    /// The probability, 0 to 1, that an image shows the real thing. Dropping the future ends the call; the breaker then
    /// counts neither success nor failure.
    ///
    /// # Errors
    /// When the service refuses, fails in all repetitions, takes too long, is left alone, or its reply has no score.
    pub(crate) async fn classify(&self, image: &Bytes, media_type: &str) -> Result<f64, RemoteError> {
        let permit = self.breaker.admit(Instant::now()).map_err(|refusal| RemoteError::Open {
            failures: self.breaker.most(),
            seconds: refusal.wait.as_secs_f64(),
            last: refusal.last,
        })?;
        let body = form::body(self.spec.format, &self.spec.field, image, media_type);
        let deadline = Instant::now() + self.timeout;
        let done = tokio::time::timeout_at(deadline.into(), self.repeat(&body, deadline)).await;
        let done = done.unwrap_or(Err(RemoteError::Timeout(self.timeout)));
        match &done {
            // A service that refuses one image works.
            Ok(_) | Err(RemoteError::Refused { .. }) => permit.succeeded(),
            Err(error) => permit.failed(Instant::now(), &error.to_string()),
        }
        done
    }

    async fn repeat(&self, body: &Body, deadline: Instant) -> Result<f64, RemoteError> {
        let mut wait = WAIT;
        let mut left = self.spec.retries;
        loop {
            let failure = match self.once(body).await {
                Ok(score) => return Ok(score),
                Err(failure) => failure,
            };
            let Some(asked) = failure.again.filter(|_| left > 0) else { return Err(failure.error) };
            let until = Instant::now().checked_add(wait.max(asked));
            // What can't be waited for is an error now, and one that says more than "timeout".
            let Some(until) = until.filter(|until| *until < deadline) else { return Err(failure.error) };
            tokio::time::sleep_until(until.into()).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            left -= 1;
        }
    }

    async fn once(&self, body: &Body) -> Result<f64, Failure> {
        let failed = |error: reqwest::Error| Failure {
            error: RemoteError::Failed(cause(&error)),
            again: Some(Duration::ZERO),
        };
        let request = self.client.post(self.url.clone()).header(header::CONTENT_TYPE, &body.content_type);
        let mut answer = request.body(body.bytes.clone()).send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            let reply = read(&mut answer).await.map_err(failed)?;
            return self.score(reply.as_deref()).map_err(|error| Failure { error, again: None });
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let error = RemoteError::Failed(format!("HTTP status {}", status.as_u16()));
            return Err(Failure { error, again: Some(retry_after(&answer)) });
        }
        let text = read(&mut answer).await.ok().flatten().unwrap_or_default();
        let body = excerpt(&String::from_utf8_lossy(&text));
        Err(Failure { error: RemoteError::Refused { status: status.as_u16(), body }, again: None })
    }

    fn score(&self, reply: Option<&[u8]>) -> Result<f64, RemoteError> {
        let wrong = |found: String| RemoteError::Reply { pointer: self.spec.score_pointer.clone(), found };
        let reply = reply.ok_or_else(|| wrong(format!("more than {LONGEST_REPLY} bytes")))?;
        let value: Value = serde_json::from_slice(reply)
            .map_err(|_| wrong(format!("no JSON but '{}'", excerpt(&String::from_utf8_lossy(reply)))))?;
        let found = value.pointer(&self.spec.score_pointer).ok_or_else(|| wrong("nothing".to_owned()))?;
        let score = found.as_f64().filter(|score| (0.0..=1.0).contains(score));
        let score = score.ok_or_else(|| wrong(excerpt(&found.to_string())))?;
        Ok(match self.spec.higher_is {
            HigherIs::Authentic => score,
            HigherIs::Fake => 1.0 - score,
        })
    }
}

/// The body, unless it is too long.
async fn read(answer: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = answer.chunk().await? {
        if bytes.len() + piece.len() > LONGEST_REPLY {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes.to_vec()))
}

/// What `Retry-After` asks for, in seconds. Its other form, a date, needs clocks that agree and is not read.
fn retry_after(answer: &Response) -> Duration {
    let value = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.trim().parse().ok()).map_or(Duration::ZERO, Duration::from_secs)
}

/// The innermost cause: what people can act on, and without the URL, which may hold a key.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn excerpt(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::Request;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;
    use tokio::net::TcpListener;

    type Answer = (StatusCode, HeaderMap, String);

    /// A service that answers the n-th request, from 0, with `answer(n, content type, body)`; and what counts them.
    async fn serve(
        answer: impl Fn(usize, &str, &[u8]) -> Answer + Clone + Send + Sync + 'static,
    ) -> (String, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let handler = move |request: Request| {
            let (answer, counter) = (answer.clone(), Arc::clone(&counter));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                assert_eq!(parts.headers["x-key"], "k");
                let content_type = parts.headers[header::CONTENT_TYPE].to_str().unwrap();
                answer(counter.fetch_add(1, Ordering::SeqCst), content_type, &body)
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/score", listener.local_addr().unwrap());
        let app = Router::new().route("/score", post(handler));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (url, count)
    }

    fn ok(score: f64) -> Answer {
        (StatusCode::OK, HeaderMap::new(), json!({"p_authentic": score}).to_string())
    }

    fn status(status: u16) -> Answer {
        (StatusCode::from_u16(status).unwrap(), HeaderMap::new(), "sorry\nindeed".to_owned())
    }

    fn classifier(url: &str, more: Value) -> RemoteClassifier {
        let mut spec = json!({"url": url, "headers": {"X-Key": "k"}, "timeout": 5.0});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        RemoteClassifier::new(serde_json::from_value(spec).unwrap()).unwrap()
    }

    async fn ask(classifier: &RemoteClassifier) -> Result<f64, RemoteError> {
        classifier.classify(&Bytes::from_static(b"\xFF\xD8\r\nimage"), "image/jpeg").await
    }

    #[tokio::test]
    async fn the_image_arrives_in_both_formats() {
        let (url, _) = serve(|_, content_type, body| {
            assert_eq!(content_type, "application/json");
            let value: Value = serde_json::from_slice(body).unwrap();
            assert_eq!(value["media_type"], "image/jpeg");
            assert_eq!(STANDARD.decode(value["photo"].as_str().unwrap()).unwrap(), b"\xFF\xD8\r\nimage");
            ok(0.25)
        })
        .await;
        assert_eq!(ask(&classifier(&url, json!({"field": "photo"}))).await, Ok(0.25));
        assert_eq!(ask(&classifier(&url, json!({"field": "photo", "higher_is": "fake"}))).await, Ok(0.75));
        let (url, _) = serve(|_, content_type, body| {
            let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
            let mut expected = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image\"\r\n\
                 Content-Type: image/jpeg\r\n\r\n"
            )
            .into_bytes();
            expected.extend(b"\xFF\xD8\r\nimage");
            expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
            assert_eq!(body, expected);
            (StatusCode::OK, HeaderMap::new(), json!({"result": [{"score": 1}]}).to_string())
        })
        .await;
        let more = json!({"format": "multipart", "score_pointer": "/result/0/score"});
        assert_eq!(ask(&classifier(&url, more)).await, Ok(1.0));
    }

    #[tokio::test]
    async fn failures_are_repeated_and_refusals_are_not() {
        let (url, count) = serve(|number, _, _| if number == 0 { status(500) } else { ok(0.5) }).await;
        assert_eq!(ask(&classifier(&url, json!({}))).await, Ok(0.5));
        assert_eq!(count.load(Ordering::SeqCst), 2);
        let (url, count) = serve(|_, _, _| status(503)).await;
        let error = ask(&classifier(&url, json!({}))).await.unwrap_err();
        assert_eq!(error.to_string(), "the service failed: HTTP status 503");
        assert_eq!(count.load(Ordering::SeqCst), 3);
        for code in [400, 401, 404, 301] {
            let (url, count) = serve(move |_, _, _| status(code)).await;
            let error = ask(&classifier(&url, json!({}))).await.unwrap_err();
            let expected =
                format!("the service answered with HTTP status {code}; expected 200: sorry indeed");
            assert_eq!(error.to_string(), expected);
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn retry_after_is_honoured_up_to_the_deadline() {
        let later = |seconds: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, seconds.parse().unwrap())]);
            (StatusCode::TOO_MANY_REQUESTS, headers, String::new())
        };
        let (url, _) = serve(move |number, _, _| if number == 0 { later("1") } else { ok(0.5) }).await;
        let start = Instant::now();
        assert_eq!(ask(&classifier(&url, json!({}))).await, Ok(0.5));
        assert!(start.elapsed() >= Duration::from_secs(1));
        for seconds in ["3600", "18446744073709551615"] {
            let (url, count) = serve(move |_, _, _| later(seconds)).await;
            let start = Instant::now();
            let error = ask(&classifier(&url, json!({}))).await.unwrap_err();
            assert_eq!(error, RemoteError::Failed("HTTP status 429".to_owned()));
            assert!(start.elapsed() < Duration::from_secs(4));
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn no_answer_and_no_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = format!("http://{}/", listener.local_addr().unwrap());
        let error = ask(&classifier(&silent, json!({"timeout": 0.2}))).await.unwrap_err();
        assert_eq!(error.to_string(), "the service did not answer within 0.2 s (timeout)");
        drop(listener);
        let error = ask(&classifier(&silent, json!({"retries": 1}))).await.unwrap_err();
        assert!(matches!(error, RemoteError::Failed(_)), "{error}");
    }

    #[tokio::test]
    async fn the_breaker_opens_stays_open_and_closes() {
        let (url, count) = serve(|number, _, _| if number < 3 { status(500) } else { ok(0.5) }).await;
        let breaker = json!({"failures": 2, "cool_down": 0.4});
        let classifier = classifier(&url, json!({"retries": 0, "breaker": breaker}));
        let calls = || count.load(Ordering::SeqCst);
        for _ in 0..2 {
            assert!(matches!(ask(&classifier).await, Err(RemoteError::Failed(_))));
        }
        for _ in 0..3 {
            let error = ask(&classifier).await.unwrap_err();
            assert!(matches!(error, RemoteError::Open { failures: 2, .. }), "{error}");
            assert!(error.to_string().ends_with("last: the service failed: HTTP status 500"), "{error}");
        }
        assert_eq!(calls(), 2, "nothing is sent");
        tokio::time::sleep(Duration::from_millis(450)).await;
        // One of many tries, and fails.
        let all = futures::future::join_all((0..8).map(|_| ask(&classifier))).await;
        assert_eq!(all.iter().filter(|one| matches!(one, Err(RemoteError::Failed(_)))).count(), 1);
        assert_eq!(calls(), 3);
        assert!(matches!(ask(&classifier).await, Err(RemoteError::Open { .. })));
        tokio::time::sleep(Duration::from_millis(450)).await;
        assert_eq!(ask(&classifier).await, Ok(0.5));
        assert_eq!(ask(&classifier).await, Ok(0.5));
        assert_eq!(calls(), 5);
    }

    #[tokio::test]
    async fn a_reply_without_a_score_is_told() {
        for (reply, found) in [
            ("<html>\n", "no JSON but '<html> '"),
            ("{}", "nothing"),
            (r#"{"p_authentic": 1.5}"#, "1.5"),
            (r#"{"p_authentic": -0.1}"#, "-0.1"),
            (r#"{"p_authentic": "0.5"}"#, "\"0.5\""),
            (r#"{"p_authentic": null}"#, "null"),
        ] {
            let (url, count) =
                serve(move |_, _, _| (StatusCode::OK, HeaderMap::new(), reply.to_owned())).await;
            let error = ask(&classifier(&url, json!({}))).await.unwrap_err().to_string();
            let expected = format!(
                "expected a number from 0 to 1 at '/p_authentic' of the reply, found {found}; see score_pointer"
            );
            assert_eq!(error, expected);
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
        let (url, _) =
            serve(|_, _, _| (StatusCode::OK, HeaderMap::new(), " ".repeat(LONGEST_REPLY + 1))).await;
        let error = ask(&classifier(&url, json!({}))).await.unwrap_err().to_string();
        assert!(error.contains("found more than 1048576 bytes"), "{error}");
    }

    #[test]
    fn a_header_that_can_not_be_sent_is_told_without_its_value() {
        let spec = json!({"url": "http://h", "headers": {"X-Key": "secret\n"}});
        let error = RemoteClassifier::new(serde_json::from_value(spec).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "headers: expected an HTTP header, found 'X-Key'");
        let shown =
            format!("{:?}", classifier("http://h/?key=secret", json!({"headers": {"X-Key": "secret"}})));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
