//! Incremental models: each run adds rows to what the table held before.
//!
//! The query reads the table by its own name to leave out what is there:
//! `WHERE listing_id NOT IN (SELECT listing_id FROM listing_checks)`. Where there is nothing to add to (the first run, a
//! changed query, `--full`), that name is an empty table of the columns that the query gives.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr};
use serde_json::json;
use smartsneaks_lake::{Transaction, ViewEntry, WriteMode};

use crate::error::EtlError;
use crate::fault;
use crate::load::{Run, columns};
use crate::model::Model;
use crate::pass::{Pass, quoted};

/// The property of a table that holds the query which made its rows.
pub(crate) const QUERY: &str = "query";

/// Makes the model's own name readable in its query; returns the rows that the table has already.
pub(crate) async fn begin(
    run: &Run<'_>,
    transaction: &mut Transaction,
    model: &Model,
    full: bool,
) -> Result<u64, EtlError> {
    let staged = transaction.staged();
    if let Some(table) = staged.tables.get(&model.name).filter(|_| !full)
        && table.properties.get(QUERY).and_then(|query| query.as_str()) == Some(model.file.sql())
    {
        return Ok(table.rows);
    }
    // Its columns are those of its query, which reads it: first as columns of no type.
    let stand_in: Vec<String> =
        own_columns(model).iter().map(|name| format!("NULL AS {}", quoted(name))).collect();
    let sql = format!("SELECT {} WHERE false", stand_in.join(", "));
    transaction.put_view(&model.name, ViewEntry { sql, properties: BTreeMap::new() });
    run.session.pin(Some(transaction.staged()));
    let columns = columns(run, &Pass::plain(model), &model.name).await?;
    let kept: Vec<usize> =
        (0..columns.fields().len()).filter(|at| !columns.field(*at).name().starts_with('_')).collect();
    let columns = columns.project(&kept).map_err(|error| EtlError::failed(error.to_string()))?;
    let nothing = futures::stream::iter(Vec::<datafusion::error::Result<RecordBatch>>::new());
    let nothing = Box::pin(RecordBatchStreamAdapter::new(columns.into(), nothing));
    transaction
        .write(&model.name, WriteMode::Overwrite, &model.header.partition_by, nothing)
        .await
        .map_err(|error| fault::of_lake(&model.name, error, run.faults))?;
    Ok(0)
}

/// What the table remembers so that the next run knows what to add to.
pub(crate) fn properties(model: &Model) -> BTreeMap<String, serde_json::Value> {
    BTreeMap::from([(QUERY.to_owned(), json!(model.file.sql()))])
}

/// The names that can be told before the query is planned: the key, and what the outermost SELECT names.
fn own_columns(model: &Model) -> Vec<String> {
    let mut names = model.header.key.clone();
    if let SetExpr::Select(select) = model.file.query.body.as_ref() {
        names.extend(select.projection.iter().filter_map(|item| {
            let ident = match item {
                SelectItem::ExprWithAlias { alias, .. } => alias,
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident,
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last()?,
                _ => return None,
            };
            Some(if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
        }));
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
