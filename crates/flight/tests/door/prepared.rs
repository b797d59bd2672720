//! Prepared statements and their parameters.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int32Array, Int64Array,
    NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use tonic::{Code, Status};

use crate::server::{Client, Server, fetch, show};

fn row(columns: Vec<ArrayRef>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, a)| Field::new(i.to_string(), a.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

async fn run(client: &mut Client, sql: &str, columns: Vec<ArrayRef>) -> Result<String, Status> {
    let mut statement = client.prepare(sql.to_owned(), None).await.map_err(Status::from)?;
    statement.set_parameters(row(columns)).unwrap();
    let info = statement.execute().await.map_err(Status::from)?;
    let shown = show(&fetch(client, info).await?);
    statement.close().await.map_err(Status::from)?;
    Ok(shown)
}

fn int(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

#[tokio::test]
async fn eleven_typed_parameters_by_number() {
    let server = Server::start().await;
    let mut client = server.signed_in().await;
    let sql = "SELECT $1::bigint, $2::text, $3::double precision, $4::boolean, $5::date, $6::timestamp, \
               $7::decimal(18, 2), $8::smallint, $9::int, $10::text, $11::bigint + $1";
    let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
    let parameters = statement.parameter_schema().unwrap().clone();
    let names: Vec<_> = parameters.fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, (1..=11).map(|n| format!("${n}")).collect::<Vec<_>>());
    let columns: Vec<ArrayRef> = vec![
        int(1),
        text("two"),
        Arc::new(Float64Array::from(vec![3.5])),
        Arc::new(BooleanArray::from(vec![true])),
        Arc::new(Date32Array::from(vec![20_500])),
        Arc::new(TimestampMicrosecondArray::from(vec![6_000_000])),
        Arc::new(Decimal128Array::from(vec![705]).with_precision_and_scale(18, 2).unwrap()),
        Arc::new(Int16Array::from(vec![8])),
        Arc::new(Int32Array::from(vec![9])),
        text("ten"),
        int(10),
    ];
    let expected = "1 | two | 3.5 | true | 2026-02-16 | 1970-01-01T00:00:06 | 7.05 | 8 | 9 | ten | 11";
    statement.set_parameters(row(columns.clone())).unwrap();
    let info = statement.execute().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), expected);

    // The same, in columns that were sorted by name: $1, $10, $11, $2 …
    let mut sorted: Vec<(String, ArrayRef)> = names.into_iter().zip(columns).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    statement.set_parameters(RecordBatch::try_from_iter(sorted).unwrap()).unwrap();
    let info = statement.execute().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), expected);
    statement.close().await.unwrap();
}

#[tokio::test]
async fn values_keep_their_meaning() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let count = "SELECT count(*) FROM fact_sales WHERE qty > $1";
    assert_eq!(run(&mut client, count, vec![Arc::new(Int32Array::from(vec![10]))]).await.unwrap(), "2");
    assert_eq!(run(&mut client, count, vec![Arc::new(Float64Array::from(vec![29.5]))]).await.unwrap(), "1");
    assert_eq!(run(&mut client, count, vec![text("20")]).await.unwrap(), "1");
    assert_eq!(run(&mut client, count, vec![Arc::new(NullArray::new(1))]).await.unwrap(), "0");
    let by_date = "SELECT city FROM fact_sales WHERE date = $1";
    assert_eq!(run(&mut client, by_date, vec![text("2026-02-17")]).await.unwrap(), "Madurai");
    assert_eq!(run(&mut client, "SELECT $1", vec![int(5)]).await.unwrap(), "5");
    assert_eq!(
        run(&mut client, "SELECT city FROM fact_sales WHERE city = $1", vec![text("Salem")]).await.unwrap(),
        "Salem"
    );
    let error = run(&mut client, count, vec![text("many")]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().starts_with("parameter $1 can't be read as Int64"), "{}", error.message());
}

#[tokio::test]
async fn several_rows_run_one_after_the_other() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let cities: ArrayRef = Arc::new(StringArray::from(vec!["Salem", "Nowhere", "Chennai"]));
    let sql = "SELECT qty FROM fact_sales WHERE city = $1";
    assert_eq!(run(&mut client, sql, vec![cities]).await.unwrap(), "30\n10");
}

#[tokio::test]
async fn a_prepared_statement_sees_new_versions_and_can_be_bound_again() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let mut statement =
        client.prepare("SELECT count(*) FROM fact_sales WHERE qty >= $1".into(), None).await.unwrap();
    let error = Status::from(statement.execute().await.unwrap_err());
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("1 parameters and none are bound"), "{}", error.message());
    for (bound, expected) in [(10, "3"), (20, "2")] {
        statement.set_parameters(row(vec![int(bound)])).unwrap();
        let info = statement.execute().await.unwrap();
        assert_eq!(show(&fetch(&mut client, info).await.unwrap()), expected);
    }
    server.commit(&["Chennai", "Erode", "Salem", "Karur"]).await;
    let info = statement.execute().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "3");

    statement.set_parameters(row(vec![int(1), int(2)])).unwrap();
    let error = Status::from(statement.execute().await.unwrap_err());
    assert!(error.message().contains("has 1 parameters, and 2 were bound"), "{}", error.message());
}

#[tokio::test]
async fn a_closed_handle_is_gone() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let mut statement = client.prepare("SELECT 1".into(), None).await.unwrap();
    assert_eq!(statement.parameter_schema().unwrap().fields().len(), 0);
    statement.clone().close().await.unwrap();
    let error = Status::from(statement.execute().await.unwrap_err());
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().starts_with("no such prepared statement"), "{}", error.message());
    statement.close().await.unwrap();
}
