//! GetCatalogs, GetDbSchemas, GetTables, GetTableTypes: the catalog, read through SQL like any client reads it.
//!
//! What a user may not see is then not seen here either: the engine answers, and this only changes the form.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::comparison::like;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow_flight::sql::metadata::GetTablesBuilder;
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables};
use futures::TryStreamExt;
use smartsneaks_engine::{CATALOG, Session};
use tonic::Status;

use crate::encode::wire_schema;
use crate::statement::{parse_one, result_schema};
use crate::status::{status, unencodable};

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";
const SYSTEM_TABLE: &str = "SYSTEM TABLE";

/// Longest name or pattern in a filter, in bytes: longer ones match nothing and only cost time.
const MAX_FILTER_BYTES: usize = 4096;

/// The answer to GetCatalogs.
pub(crate) fn catalogs() -> Result<RecordBatch, Status> {
    let mut builder = CommandGetCatalogs {}.into_builder();
    builder.append(CATALOG);
    builder.build().map_err(Status::from)
}

/// The answer to GetTableTypes.
pub(crate) fn table_types() -> Result<RecordBatch, Status> {
    let mut builder = CommandGetTableTypes {}.into_builder();
    [SYSTEM_TABLE, TABLE, VIEW].into_iter().for_each(|table_type| builder.append(table_type));
    builder.build().map_err(Status::from)
}

/// The schema of the answer to GetDbSchemas.
pub(crate) fn db_schemas_schema() -> SchemaRef {
    CommandGetDbSchemas::default().into_builder().schema()
}

/// The schema of the answer to GetTables, which may hold the tables' own schemas.
pub(crate) fn tables_schema(include_schema: bool) -> SchemaRef {
    CommandGetTables { include_schema, ..CommandGetTables::default() }.into_builder().schema()
}

/// The answer to GetDbSchemas.
pub(crate) async fn db_schemas(session: &Session, query: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    check_filter(query.catalog.as_deref())?;
    check_filter(query.db_schema_filter_pattern.as_deref())?;
    let mut builder = query.into_builder();
    // The information schema leaves itself out of its list, though not its tables.
    let list = "SELECT schema_name FROM information_schema.schemata UNION SELECT 'information_schema'";
    for [schema] in strings(session, list).await? {
        builder.append(CATALOG, schema);
    }
    builder.build().map_err(Status::from)
}

/// The answer to GetTables.
pub(crate) async fn tables(session: &Session, query: CommandGetTables) -> Result<RecordBatch, Status> {
    check_filter(query.catalog.as_deref())?;
    check_filter(query.db_schema_filter_pattern.as_deref())?;
    check_filter(query.table_name_filter_pattern.as_deref())?;
    if query.table_types.len() > 100 {
        return Err(Status::invalid_argument("more than 100 table types in one filter"));
    }
    let list = "SELECT table_schema, table_name, table_type FROM information_schema.tables";
    let mut rows = strings(session, list).await?;
    keep_like(&mut rows, 0, query.db_schema_filter_pattern.as_deref())?;
    keep_like(&mut rows, 1, query.table_name_filter_pattern.as_deref())?;
    let include_schema = query.include_schema;
    let wanted = query.table_types.clone();
    let mut builder: GetTablesBuilder = query.into_builder();
    for [schema, table, table_type] in rows {
        let table_type = flight_type(&schema, &table_type);
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == table_type) {
            continue;
        }
        let columns =
            if include_schema { columns(session, &schema, &table).await? } else { Schema::empty().into() };
        builder.append(CATALOG, schema, table, table_type, &columns).map_err(Status::from)?;
    }
    builder.build().map_err(Status::from)
}

/// The names that JDBC, ODBC and ADBC clients filter by.
fn flight_type(schema: &str, table_type: &str) -> &'static str {
    match (schema, table_type) {
        ("pg_catalog" | "information_schema", _) => SYSTEM_TABLE,
        (_, "VIEW") => VIEW,
        _ => TABLE,
    }
}

async fn columns(session: &Session, schema: &str, table: &str) -> Result<SchemaRef, Status> {
    let sql = format!("SELECT * FROM {}.{}", quote(schema), quote(table));
    let statement = parse_one(session, &sql)?;
    let prepared = session.prepare(&statement, &[]).await.map_err(|error| status(&error))?;
    Ok(wire_schema(&result_schema(&prepared)))
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn check_filter(filter: Option<&str>) -> Result<(), Status> {
    match filter.map(str::len) {
        Some(bytes) if bytes > MAX_FILTER_BYTES => Err(Status::invalid_argument(format!(
            "a filter has {bytes} bytes, more than the {MAX_FILTER_BYTES} that are allowed"
        ))),
        _ => Ok(()),
    }
}

/// Keeps the rows whose `column` matches the LIKE pattern. The builders filter too; this comes first because the
/// schemas of tables that are not wanted need not be planned.
fn keep_like<const N: usize>(
    rows: &mut Vec<[String; N]>,
    column: usize,
    pattern: Option<&str>,
) -> Result<(), Status> {
    let Some(pattern) = pattern else { return Ok(()) };
    let values = StringArray::from_iter_values(rows.iter().map(|row| &row[column]));
    let pattern = StringArray::new_scalar(pattern);
    let matches =
        like(&values, &pattern).map_err(|error| Status::invalid_argument(format!("bad pattern: {error}")))?;
    let mut matches = matches.iter();
    rows.retain(|_| matches.next().flatten() == Some(true));
    Ok(())
}

/// The rows of a query with `N` text columns.
async fn strings<const N: usize>(session: &Session, sql: &str) -> Result<Vec<[String; N]>, Status> {
    let rows = session.query(sql).await.map_err(|error| status(&error))?;
    let batches: Vec<RecordBatch> = rows.stream.try_collect().await.map_err(|error| status(&error))?;
    let mut out = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(unencodable)?;
        let columns: Vec<&StringArray> = columns.iter().map(|column| column.as_string()).collect();
        let columns: [&StringArray; N] =
            columns.try_into().map_err(|_| Status::internal(format!("expected {N} columns of {sql}")))?;
        out.extend((0..batch.num_rows()).map(|row| {
            columns
                .map(|column| if column.is_null(row) { String::new() } else { column.value(row).to_owned() })
        }));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_like_patterns() {
        let rows = || vec![["fact_sales".to_owned()], ["factxsales".to_owned()], ["dim_date".to_owned()]];
        let matching = |pattern: &str| {
            let mut rows = rows();
            keep_like(&mut rows, 0, Some(pattern)).unwrap();
            rows.len()
        };
        assert_eq!(matching("fact_sales"), 2);
        assert_eq!(matching(r"fact\_sales"), 1);
        assert_eq!(matching("%"), 3);
        assert_eq!(matching("%DATE"), 0);
        assert_eq!(matching("fact.sales"), 0);
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote(r#"a"b"#), r#""a""b""#);
    }
}
