//! One schema of one warehouse version.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result};

use crate::DEFAULT_SCHEMA;
use crate::planning::Planning;

/// The tables and views of one schema, read at the statement's pinned version.
pub(crate) struct VersionSchema {
    planning: Arc<Planning>,
    name: String,
}

impl VersionSchema {
    pub(crate) fn new(planning: Arc<Planning>, name: &str) -> Self {
        Self { planning, name: name.to_owned() }
    }

    fn qualified(&self, table: &str) -> String {
        format!("{}.{table}", self.name)
    }
}

impl fmt::Debug for VersionSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionSchema({})", self.name)
    }
}

#[async_trait]
impl SchemaProvider for VersionSchema {
    fn table_names(&self) -> Vec<String> {
        let version = self.planning.version();
        let all = version.tables.keys().chain(version.views.keys());
        all.filter_map(|n| n.split_once('.'))
            .filter(|(schema, _)| *schema == self.name)
            .map(|(_, table)| table.to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = table(&self.planning, &self.qualified(name)).await?;
        if found.is_none() && self.name == DEFAULT_SCHEMA && name.starts_with("pg_") {
            // pg_catalog is searched by itself, as in PostgreSQL.
            return self.planning.pg_catalog().table(name).await;
        }
        Ok(found)
    }

    fn table_exist(&self, name: &str) -> bool {
        let version = self.planning.version();
        let qualified = self.qualified(name);
        version.tables.contains_key(&qualified) || version.views.contains_key(&qualified)
    }
}

/// Schema `"@12"` or `"@2026-11-01"`: schema `public` of that version, found when a table of it is named.
pub(crate) struct AtSchema {
    planning: Arc<Planning>,
    selector: String,
}

impl AtSchema {
    pub(crate) fn new(planning: Arc<Planning>, selector: &str) -> Self {
        Self { planning, selector: selector.to_owned() }
    }
}

impl fmt::Debug for AtSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AtSchema({})", self.selector)
    }
}

#[async_trait]
impl SchemaProvider for AtSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let planning = self.planning.at(&self.selector).await.map_err(external)?;
        table(&planning, &format!("{DEFAULT_SCHEMA}.{name}")).await
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}

async fn table(planning: &Arc<Planning>, qualified: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let version = planning.version();
    if let Some(view) = version.views.get(qualified) {
        let plan = planning
            .plan_view(&view.sql)
            .await
            .map_err(|e| DataFusionError::Context(format!("in view {qualified}"), Box::new(external(e))))?;
        return Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.clone())))));
    }
    planning.lake().table(version, qualified).await.map_err(|e| DataFusionError::External(Box::new(e)))
}

fn external(error: crate::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
