//! Results on the wire: Arrow batches as Flight data, one batch in flight at a time.
//!
//! Nothing is buffered here beyond the batch that is being sent: gRPC's flow control stops the encoder when the client
//! reads slowly, the encoder stops pulling, and the engine's channel stops the query.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use tonic::{Response, Status};

use crate::status::unencodable;

/// What DoGet answers with.
pub(crate) type DataStream = std::pin::Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// Bytes of one Flight message, about: below the 4 MiB that many clients take at most.
const MESSAGE_BYTES: usize = 1 << 20;

/// The schema under which a result travels: views and dictionaries as their plain types.
///
/// Arrow's view types are younger than many drivers (the Java one among them), and dictionaries would be expanded by the
/// encoder anyway; FlightInfo, GetSchema and the stream must agree.
pub(crate) fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields = wire_fields(schema.fields());
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The type that stands for `data_type` on the wire.
pub(crate) fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::List(item) | DataType::ListView(item) => DataType::List(wire_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(wire_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(wire_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(wire_fields(fields)),
        other => other.clone(),
    }
}

fn wire_fields(fields: &Fields) -> Fields {
    fields.iter().map(wire_field).collect()
}

fn wire_field(field: &FieldRef) -> FieldRef {
    let data_type = wire_type(field.data_type());
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    let plain = Field::new(field.name(), data_type, field.is_nullable());
    Arc::new(plain.with_metadata(field.metadata().clone()))
}

/// The batch with its columns cast to `schema`, which is `wire_schema` of its own.
fn wire_batch(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Status> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast(column, field.data_type())
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(unencodable)?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(unencodable)
}

/// The answer to a DoGet: the schema, then the batches as they come; an error ends it.
pub(crate) fn respond(
    schema: &Schema,
    batches: BoxStream<'static, Result<RecordBatch, Status>>,
) -> Response<DataStream> {
    let schema = wire_schema(schema);
    let target = Arc::clone(&schema);
    let batches = batches.map(move |batch| {
        let batch = batch.and_then(|batch| wire_batch(batch, &target));
        batch.map_err(|status| FlightError::Tonic(Box::new(status)))
    });
    let encoded = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_max_flight_data_size(MESSAGE_BYTES)
        .build(batches);
    Response::new(Box::pin(encoded.map(|data| data.map_err(Status::from))))
}

/// The answer to a DoGet whose rows are at hand.
pub(crate) fn respond_with(batch: RecordBatch) -> Response<DataStream> {
    let schema = batch.schema();
    respond(&schema, stream::iter([Ok(batch)]).boxed())
}

/// A schema as IPC bytes, as it will travel.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) =
        IpcMessage::try_from(SchemaAsIpc::new(&wire_schema(schema), &options)).map_err(unencodable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int32Array, StringViewArray};
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::TryStreamExt;

    use super::*;

    #[test]
    fn views_and_dictionaries_travel_as_plain_types() {
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        assert_eq!(wire_type(&DataType::List(item)), DataType::new_list(DataType::Utf8, true));
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        assert_eq!(wire_type(&dictionary), DataType::Utf8);
        assert_eq!(wire_type(&DataType::Decimal128(18, 2)), DataType::Decimal128(18, 2));
    }

    #[tokio::test]
    async fn a_stream_says_its_schema_even_without_rows() {
        let schema = Schema::new(vec![Field::new("city", DataType::Utf8View, true)]);
        let response = respond(&schema, stream::empty().boxed());
        let mut decoded =
            FlightRecordBatchStream::new_from_flight_data(response.into_inner().map_err(Into::into));
        assert!(decoded.try_next().await.unwrap().is_none());
        assert_eq!(decoded.schema().unwrap().field(0).data_type(), &DataType::Utf8);
    }

    #[tokio::test]
    async fn batches_are_cast_and_errors_keep_their_status() {
        let city: ArrayRef =
            Arc::new(StringViewArray::from(vec!["Chennai", "a town of more than twelve bytes"]));
        let qty: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("city", city), ("qty", qty)]).unwrap();
        let schema = batch.schema();
        let batches = stream::iter([Ok(batch), Err(Status::cancelled("canceled"))]).boxed();
        let response = respond(&schema, batches);
        let mut decoded =
            FlightRecordBatchStream::new_from_flight_data(response.into_inner().map_err(Into::into));
        let batch = decoded.try_next().await.unwrap().unwrap();
        assert_eq!(batch.column(0).as_string::<i32>().value(1), "a town of more than twelve bytes");
        let error = Status::from(decoded.try_next().await.unwrap_err());
        assert_eq!(error.code(), tonic::Code::Cancelled);
    }
}
