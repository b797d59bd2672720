//! A server on a free port, with a small warehouse in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use smartsneaks_engine::{Engine, Settings};
use smartsneaks_flight::{Limits, serve_with};
use smartsneaks_lake::{ViewEntry, WriteMode};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

pub(crate) type Client = FlightSqlServiceClient<Channel>;

pub(crate) struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<Result<(), smartsneaks_flight::Error>>,
    address: String,
    threads: BTreeSet<String>,
}

/// Held while an engine starts, so that its threads can be told from those of other tests.
static STARTING: Mutex<()> = Mutex::const_new(());

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let starting = STARTING.lock().await;
        let before = query_threads();
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        let mut threads = BTreeSet::new();
        // A thread gets its name once it runs.
        while threads.len() < engine.settings().threads {
            tokio::time::sleep(Duration::from_millis(5)).await;
            threads = query_threads().difference(&before).cloned().collect();
        }
        drop(starting);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve_with(listener, Arc::clone(&engine), limits, shutdown.clone()));
        let server = Self { engine, shutdown, served, address, threads };
        server.commit(&["Chennai", "Madurai", "Salem"]).await;
        server
    }

    /// CPU time that the query threads of this server's engine have used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let ticks = self.threads.iter().map(|id| {
            let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        });
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    /// A client without a token.
    pub(crate) async fn client(&self) -> Client {
        FlightSqlServiceClient::new(self.channel().await)
    }

    /// A client that has shaken hands.
    pub(crate) async fn signed_in(&self) -> Client {
        let mut client = self.client().await;
        client.handshake("analyst", "any").await.unwrap();
        client
    }

    /// Writes a warehouse version whose `fact_sales` has one row for each city.
    pub(crate) async fn commit(&self, cities: &[&str]) {
        let mut transaction = self.engine.lake().begin("test").await.unwrap();
        let rows = i64::try_from(cities.len()).unwrap();
        let revenue = Decimal128Array::from_iter_values((1..=rows).map(|n| i128::from(n) * 100_050));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("sale_id", Arc::new(Int64Array::from_iter_values(1..=rows))),
            ("city", Arc::new(StringArray::from(cities.to_vec()))),
            ("qty", Arc::new(Int64Array::from_iter_values((1..=rows).map(|n| n * 10)))),
            ("revenue", Arc::new(revenue.with_precision_and_scale(18, 2).unwrap())),
            ("date", Arc::new(Date32Array::from_iter_values((0..cities.len()).map(|n| 20_500 + n as i32)))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let input = RecordBatchStreamAdapter::new(batch.schema(), stream::iter([Ok(batch)]));
        transaction.write("public.fact_sales", WriteMode::Overwrite, &[], Box::pin(input)).await.unwrap();
        let view =
            ViewEntry { sql: "SELECT city, qty FROM fact_sales".into(), properties: Default::default() };
        transaction.put_view("public.city_sales", view);
        transaction.commit().await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Everything that the first endpoint of a FlightInfo holds.
pub(crate) async fn fetch(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, Status> {
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let stream = client.do_get(ticket).await.map_err(Status::from)?;
    let batches: Result<Vec<RecordBatch>, FlightError> = stream.try_collect().await;
    batches.map_err(Status::from)
}

/// Runs a query, and shows its rows as text without a frame.
pub(crate) async fn query(client: &mut Client, sql: &str) -> Result<String, Status> {
    let info = client.execute(sql.to_owned(), None).await.map_err(Status::from)?;
    Ok(show(&fetch(client, info).await?))
}

/// Rows as `a | b` lines.
pub(crate) fn show(batches: &[RecordBatch]) -> String {
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &Default::default()).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(
                columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "),
            );
        }
    }
    lines.join("\n")
}

/// The threads of this process that run queries.
fn query_threads() -> BTreeSet<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let ids = tasks.map(|task| task.file_name().into_string().unwrap());
    let named =
        |id: &String| std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
    ids.filter(|id| named(id).trim() == "query").collect()
}

/// Bytes of memory that this process holds.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
