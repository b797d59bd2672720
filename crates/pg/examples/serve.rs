//! Serves an empty in-memory warehouse, or the one at the URL given, to Postgres clients on 127.0.0.1:5433 until
//! Ctrl-C: `cargo run -p smartsneaks-pg --example serve [URL] [ADDRESS]`.

use smartsneaks_engine::{Engine, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let warehouse = arguments.next().unwrap_or_else(|| "memory:".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:5433".to_owned());
    let engine = Engine::open(Settings::embedded(warehouse)).await?;
    let shutdown = CancellationToken::new();
    let signal = shutdown.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        signal.cancel();
    });
    Ok(smartsneaks_pg::serve(TcpListener::bind(address).await?, engine, shutdown).await?)
}
