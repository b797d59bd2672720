//! The catalog commands.

use arrow::array::AsArray;
use arrow::datatypes::Schema;
use arrow_flight::IpcMessage;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use bytes::Bytes;

use crate::server::{Server, fetch, show};

#[tokio::test]
async fn schemas_and_tables_are_listed_and_filtered() {
    let server = Server::start().await;
    let mut client = server.signed_in().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "smartsneaks");

    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    let schemas = show(&fetch(&mut client, info).await.unwrap());
    for schema in ["smartsneaks | public", "smartsneaks | information_schema", "smartsneaks | pg_catalog"] {
        assert!(schemas.lines().any(|line| line == schema), "{schema} in\n{schemas}");
    }
    let filter = CommandGetDbSchemas {
        catalog: Some("smartsneaks".into()),
        db_schema_filter_pattern: Some("pub%".into()),
    };
    let info = client.get_db_schemas(filter).await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "smartsneaks | public");

    let mut tables = async |filter: CommandGetTables| {
        let info = client.get_tables(filter).await.unwrap();
        show(&fetch(&mut client, info).await.unwrap())
    };
    let public = CommandGetTables { db_schema_filter_pattern: Some("public".into()), ..Default::default() };
    let both = "smartsneaks | public | city_sales | VIEW\nsmartsneaks | public | fact_sales | TABLE";
    assert_eq!(tables(public.clone()).await, both);
    let views = CommandGetTables { table_types: vec!["VIEW".into(), "NONSENSE".into()], ..public.clone() };
    assert_eq!(tables(views).await, "smartsneaks | public | city_sales | VIEW");
    let named = CommandGetTables { table_name_filter_pattern: Some("fact\\_%".into()), ..public.clone() };
    assert_eq!(tables(named).await, "smartsneaks | public | fact_sales | TABLE");
    assert_eq!(tables(CommandGetTables { catalog: Some("other".into()), ..public.clone() }).await, "");
    let system = CommandGetTables { table_types: vec!["SYSTEM TABLE".into()], ..Default::default() };
    assert!(tables(system).await.contains("information_schema | columns | SYSTEM TABLE"));
}

#[tokio::test]
async fn tables_come_with_the_schemas_that_their_rows_have() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let filter = CommandGetTables {
        table_name_filter_pattern: Some("%_sales".into()),
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(filter).await.unwrap();
    let batches = fetch(&mut client, info).await.unwrap();
    assert_eq!(batches[0].num_rows(), 2);
    let schema = Bytes::copy_from_slice(batches[0].column(4).as_binary::<i32>().value(1));
    let schema = Schema::try_from(IpcMessage(schema)).unwrap();
    let info = client.execute("SELECT * FROM fact_sales".into(), None).await.unwrap();
    let result = info.try_decode_schema().unwrap();
    assert_eq!(schema.fields(), result.fields());
}

#[tokio::test]
async fn every_schema_can_be_planned() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let filter = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let info = client.get_tables(filter).await.unwrap();
    let batches = fetch(&mut client, info).await.unwrap();
    assert!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>() > 10);
}

#[tokio::test]
async fn the_server_says_what_it_is_and_which_types_it_has() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let info = client.get_table_types().await.unwrap();
    assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "SYSTEM TABLE\nTABLE\nVIEW");
    let info = client
        .get_sql_info(vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerCancel])
        .await
        .unwrap();
    let rows = show(&fetch(&mut client, info).await.unwrap());
    assert!(rows.contains("SmartSneaks") && rows.contains("true"), "{rows}");
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(-5) }).await.unwrap();
    assert!(show(&fetch(&mut client, info).await.unwrap()).starts_with("bigint | -5 | 19"));
}

#[tokio::test]
async fn keys_are_none_but_have_their_schemas() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let table = "fact_sales".to_owned();
    let primary = CommandGetPrimaryKeys { table: table.clone(), ..Default::default() };
    let exported = CommandGetExportedKeys { table: table.clone(), ..Default::default() };
    let imported = CommandGetImportedKeys { table: table.clone(), ..Default::default() };
    let cross = CommandGetCrossReference { pk_table: table.clone(), fk_table: table, ..Default::default() };
    let infos = [
        (client.get_primary_keys(primary).await.unwrap(), 6),
        (client.get_exported_keys(exported).await.unwrap(), 13),
        (client.get_imported_keys(imported).await.unwrap(), 13),
        (client.get_cross_reference(cross).await.unwrap(), 13),
    ];
    for (info, columns) in infos {
        assert_eq!(info.clone().try_decode_schema().unwrap().fields().len(), columns);
        assert_eq!(show(&fetch(&mut client, info).await.unwrap()), "");
    }
}
