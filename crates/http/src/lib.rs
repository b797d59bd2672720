//! The HTTP door: whether the process lives, and whether it can answer queries.
//!
//! | path | answers |
//! |---|---|
//! | `GET /healthz` | 200 `{"status":"ok"}` as long as the process lives: restart it when this fails |
//! | `GET /readyz` | 200 `{"version":N}` when the newest warehouse version can be read, else 503 `{"reason":"…"}`: send it no clients while this fails |

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use smartsneaks_engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the warehouse may take to say its newest version.
const HEAD: Duration = Duration::from_secs(3);
/// How long answers under way may take once the server stops.
const DRAIN: Duration = Duration::from_secs(3);

/// What the handlers share.
#[derive(Clone)]
struct Door {
    engine: Arc<Engine>,
    shutdown: CancellationToken,
}

/// Serves health checks on `listener` until `shutdown`; then takes no more connections, and returns when the answers
/// under way are sent, or after 3 seconds at most.
///
/// # Errors
/// When the listener can't be served.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    shutdown: CancellationToken,
) -> Result<(), std::io::Error> {
    let router = router(Door { engine, shutdown: shutdown.clone() });
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = served.into_future() => result,
        () = drained => Ok(()),
    }
}

fn router(door: Door) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .with_state(door)
}

async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn readyz(State(door): State<Door>) -> (StatusCode, Json<Value>) {
    if door.shutdown.is_cancelled() {
        return unready("the server is shutting down");
    }
    match tokio::time::timeout(HEAD, door.engine.lake().head()).await {
        Ok(Ok(version)) => (StatusCode::OK, Json(json!({"version": version.number}))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the warehouse can't be read");
            unready(&format!("the warehouse can't be read: {error}"))
        }
        Err(_) => unready(&format!("the warehouse did not answer within {} seconds", HEAD.as_secs())),
    }
}

fn unready(reason: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"reason": reason})))
}

async fn not_found(uri: Uri) -> (StatusCode, Json<Value>) {
    let reason = format!("there is no {}: expected /healthz or /readyz", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({"reason": reason})))
}

#[cfg(test)]
mod tests {
    use smartsneaks_engine::Settings;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn alive_and_ready_until_it_stops() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, engine, shutdown.clone()));
        let answer = ask(address, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"version":0}"#), "{answer}");
        let answer = ask(address, "/metrics").await;
        assert!(
            answer.starts_with("HTTP/1.1 404") && answer.contains("expected /healthz or /readyz"),
            "{answer}"
        );
        shutdown.cancel();
        served.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn not_ready_while_stopping() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        let door = Door { engine, shutdown: CancellationToken::new() };
        door.shutdown.cancel();
        let (status, Json(body)) = readyz(State(door)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["reason"], "the server is shutting down");
    }

    #[tokio::test]
    async fn not_ready_when_the_warehouse_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("warehouse");
        let engine = Engine::open(Settings::embedded(root.to_str().unwrap())).await.unwrap();
        let log = root.join("_warehouse/log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("00000000000000000001.json"), "{ not a manifest").unwrap();
        let (status, Json(body)) = readyz(State(Door { engine, shutdown: CancellationToken::new() })).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert!(body["reason"].as_str().unwrap().starts_with("the warehouse can't be read: "), "{body}");
    }
}
