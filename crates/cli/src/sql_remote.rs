//! A server asked over Flight SQL.

use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::{StreamExt, TryStreamExt};
use tonic::transport::{Channel, Endpoint};

use crate::failure::Failure;
use crate::sql::Answer;

/// A connection to a server's Flight SQL door.
pub(crate) struct Remote {
    client: FlightSqlServiceClient<Channel>,
}

impl Remote {
    /// Connects to `grpc://HOST:PORT` (also `http://`, or the address alone).
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let address = url.split_once("://").map_or(url, |(_, rest)| rest);
        let fail = |e: tonic::transport::Error| {
            Failure::failed(format!("cannot reach {url}: {}", root(&e)))
                .with_hint("is `smartsneaks serve` running there, with its Flight SQL door on that port?")
        };
        let channel = Endpoint::from_shared(format!("http://{address}")).map_err(fail)?;
        let channel = channel.connect().await.map_err(fail)?;
        Ok(Self { client: FlightSqlServiceClient::new(channel) })
    }

    /// Runs one statement.
    pub(crate) async fn ask(&mut self, sql: &str) -> Result<Answer, Failure> {
        let info =
            self.client.execute(sql.to_owned(), None).await.map_err(|e| Failure::failed(e.to_string()))?;
        let schema = info.clone().try_decode_schema().map_err(|e| Failure::failed(e.to_string()))?;
        if schema.fields().is_empty() {
            return Ok(Answer::Done("OK".to_owned()));
        }
        let mut streams = Vec::new();
        for endpoint in info.endpoint {
            let Some(ticket) = endpoint.ticket else { continue };
            streams.push(self.client.do_get(ticket).await.map_err(|e| Failure::failed(e.to_string()))?);
        }
        let rows = futures::stream::iter(streams).flatten().map_err(|e| Failure::failed(e.to_string()));
        Ok(Answer::Rows(schema.into(), rows.boxed()))
    }
}

fn root(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
