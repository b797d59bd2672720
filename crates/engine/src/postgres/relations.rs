//! The relations of one warehouse version, as `pg_class`, `pg_attribute` and their like list them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::CatalogProviderList;
use datafusion::error::Result;

use super::rows::{Row, row};
use super::{oids, types};
use crate::CATALOG;
use crate::catalog::Catalogs;
use crate::planning::Planning;

/// One table or view.
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
    /// `r` for a table, `v` for a view.
    pub(super) kind: &'static str,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) columns: SchemaRef,
    /// A view's text.
    pub(super) sql: Option<String>,
    properties: BTreeMap<String, serde_json::Value>,
}

impl Relation {
    fn oid(&self) -> i32 {
        oids::relation(&self.schema, &self.name)
    }

    /// The text of a comment: of the relation, or of a column.
    fn comment(&self, column: Option<&str>) -> Option<&str> {
        let text = match column {
            None => self.properties.get("description"),
            Some(column) => self.properties.get("columns").and_then(|c| c.get(column)),
        };
        text.and_then(serde_json::Value::as_str)
    }
}

/// The schemas that are there.
pub(super) fn schemas(planning: &Arc<Planning>) -> Vec<String> {
    let catalogs = Catalogs::new(Arc::clone(planning));
    let mut names = catalogs.catalog(CATALOG).map(|c| c.schema_names()).unwrap_or_default();
    names.push("information_schema".to_owned());
    names
}

/// Every relation with its columns. A view that can no longer be planned is listed without columns.
pub(super) async fn all(planning: &Arc<Planning>) -> Vec<Relation> {
    let catalogs = Catalogs::new(Arc::clone(planning));
    let Some(catalog) = catalogs.catalog(CATALOG) else { return Vec::new() };
    let version = planning.version();
    let mut out = Vec::new();
    for schema_name in catalog.schema_names() {
        let Some(schema) = catalog.schema(&schema_name) else { continue };
        for name in schema.table_names() {
            let qualified = format!("{schema_name}.{name}");
            let columns = match schema.table(&name).await {
                Ok(Some(table)) => table.schema(),
                Ok(None) | Err(_) => Arc::new(Schema::empty()),
            };
            let table = version.tables.get(&qualified);
            let view = version.views.get(&qualified);
            let properties = table.map(|t| &t.properties).or_else(|| view.map(|v| &v.properties));
            out.push(Relation {
                kind: if view.is_some() || schema_name == "warehouse" { "v" } else { "r" },
                rows: table.map_or(0, |t| t.rows),
                bytes: table.map_or(0, |t| t.bytes),
                columns,
                sql: view.map(|v| v.sql.clone()),
                properties: properties.cloned().unwrap_or_default(),
                schema: schema_name.clone(),
                name,
            });
        }
    }
    out
}

/// Rows of `pg_class`.
pub(super) async fn classes(planning: Arc<Planning>) -> Result<Vec<Row>> {
    let class = |relation: Relation| {
        let oid = relation.oid();
        let pages = i32::try_from(relation.bytes / 8192).unwrap_or(i32::MAX);
        row! {
            "oid" => oid,
            "relname" => relation.name.as_str(),
            "relnamespace" => oids::namespace(&relation.schema),
            "relam" => if relation.kind == "r" { 2 } else { 0 },
            "relfilenode" => if relation.kind == "r" { oid } else { 0 },
            "relpages" => pages,
            "reltuples" => relation.rows as f32,
            "relkind" => relation.kind,
            "relnatts" => i16::try_from(relation.columns.fields().len()).unwrap_or(i16::MAX),
            "relhasrules" => relation.kind == "v",
        }
    };
    Ok(all(&planning).await.into_iter().map(class).collect())
}

/// Rows of `pg_attribute`.
pub(super) async fn attributes(planning: Arc<Planning>) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for relation in all(&planning).await {
        for (number, field) in (1_i16..).zip(relation.columns.fields()) {
            let known = types::of(field.data_type());
            let storage = match known.oid {
                _ if known.length > 0 => "p",
                1700 => "m",
                _ => "x",
            };
            out.push(row! {
                "attrelid" => relation.oid(),
                "attname" => field.name().as_str(),
                "atttypid" => known.oid,
                "attlen" => known.length,
                "attnum" => number,
                "attndims" => i32::from(known.array),
                "atttypmod" => known.modifier,
                "attbyval" => known.length > 0 && known.length <= 8,
                "attstorage" => storage,
                "attnotnull" => !field.is_nullable(),
                "attcollation" => if known.oid == 25 { 100 } else { 0 },
            });
        }
    }
    Ok(out)
}

/// Rows of `pg_description`.
pub(super) async fn descriptions(planning: Arc<Planning>) -> Result<Vec<Row>> {
    let class = oids::relation("pg_catalog", "pg_class");
    let mut out = Vec::new();
    for relation in all(&planning).await {
        let columns = relation.columns.fields().iter().map(|f| Some(f.name().as_str()));
        for (number, column) in (0_i32..).zip(std::iter::once(None).chain(columns)) {
            if let Some(text) = relation.comment(column) {
                out.push(row! {
                    "objoid" => relation.oid(), "classoid" => class, "objsubid" => number, "description" => text,
                });
            }
        }
    }
    Ok(out)
}

/// Rows of `pg_tables` (kind `r`) or `pg_views` (kind `v`), owned by `user`.
pub(super) async fn listed(planning: Arc<Planning>, kind: &'static str, user: Arc<str>) -> Result<Vec<Row>> {
    let of_kind = all(&planning).await.into_iter().filter(|r| r.kind == kind);
    Ok(of_kind
        .map(|r| {
            row! {
                "schemaname" => r.schema.as_str(),
                "tablename" => r.name.as_str(),
                "viewname" => r.name.as_str(),
                "relname" => r.name.as_str(),
                "relid" => r.oid(),
                "n_live_tup" => i64::try_from(r.rows).unwrap_or(i64::MAX),
                "tableowner" => user.as_ref(),
                "viewowner" => user.as_ref(),
                "definition" => r.sql.as_deref(),
            }
        })
        .collect())
}

/// Rows of `information_schema.columns`, with PostgreSQL's names of types.
pub(super) async fn columns(planning: Arc<Planning>) -> Result<Vec<Row>> {
    let mut out = Vec::new();
    for relation in all(&planning).await {
        for (number, field) in (1_i32..).zip(relation.columns.fields()) {
            let known = types::of(field.data_type());
            let name = if known.array { "ARRAY".to_owned() } else { types::format(known.oid, -1) };
            let packed = (known.oid == 1700 && known.modifier >= 4).then(|| known.modifier - 4);
            out.push(row! {
                "table_schema" => relation.schema.as_str(),
                "table_name" => relation.name.as_str(),
                "column_name" => field.name().as_str(),
                "ordinal_position" => number,
                "is_nullable" => if field.is_nullable() { "YES" } else { "NO" },
                "data_type" => name,
                "udt_name" => types::row_name(known.oid),
                "numeric_precision" => packed.map(|p| p >> 16),
                "numeric_scale" => packed.map(|p| p & 0x7ff),
                "dtd_identifier" => number.to_string(),
            });
        }
    }
    Ok(out)
}

/// Rows of `pg_namespace`.
pub(super) async fn namespaces(planning: Arc<Planning>) -> Result<Vec<Row>> {
    let row = |name: String| row! { "oid" => oids::namespace(&name), "nspname" => name.as_str() };
    Ok(schemas(&planning).into_iter().map(row).collect())
}
