//! What names mean: schemas and tables of one warehouse version, for one statement.
//!
//! | schema | holds |
//! |---|---|
//! | `public`, `staging`, `etl`, … | the tables and views of the pinned version |
//! | `"@12"`, `"@2026-11-01"` | schema `public` of any retained version |
//! | `warehouse` | what the system says about versions and tables |
//! | `raw` | declared sources, within an ETL run only |
//! | `pg_catalog`, `information_schema` | what PostgreSQL clients ask for |

mod schema;
mod warehouse;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider};
use datafusion::error::Result;

use crate::planning::Planning;
use crate::{CATALOG, DEFAULT_SCHEMA};
use schema::{AtSchema, VersionSchema};
use warehouse::WarehouseSchema;

/// The one catalog there is, in the form that DataFusion asks for.
#[derive(Clone)]
pub(crate) struct Catalogs {
    catalog: Arc<WarehouseCatalog>,
}

impl Catalogs {
    pub(crate) fn new(planning: Arc<Planning>) -> Self {
        Self { catalog: Arc::new(WarehouseCatalog { planning }) }
    }
}

impl fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogs").finish_non_exhaustive()
    }
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>)
    }
}

struct WarehouseCatalog {
    planning: Arc<Planning>,
}

impl fmt::Debug for WarehouseCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WarehouseCatalog(version {})", self.planning.version().number)
    }
}

impl CatalogProvider for WarehouseCatalog {
    fn schema_names(&self) -> Vec<String> {
        let version = self.planning.version();
        let mut names: BTreeSet<String> =
            [DEFAULT_SCHEMA, "pg_catalog", "warehouse"].map(str::to_owned).into();
        let qualified = version.tables.keys().chain(version.views.keys());
        names.extend(qualified.filter_map(|n| n.split_once('.')).map(|(schema, _)| schema.to_owned()));
        if self.planning.sources().is_some() {
            names.insert("raw".to_owned());
        }
        names.into_iter().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let planning = &self.planning;
        match name {
            "pg_catalog" => Some(planning.pg_catalog()),
            "warehouse" => Some(Arc::new(WarehouseSchema::new(Arc::clone(planning)))),
            "raw" => planning.sources().cloned(),
            _ => match name.strip_prefix('@') {
                Some(selector) => Some(Arc::new(AtSchema::new(Arc::clone(planning), selector))),
                None if self.schema_names().iter().any(|n| n == name) => {
                    Some(Arc::new(VersionSchema::new(Arc::clone(planning), name)))
                }
                None => None,
            },
        }
    }

    fn register_schema(
        &self,
        name: &str,
        _schema: Arc<dyn SchemaProvider>,
    ) -> Result<Option<Arc<dyn SchemaProvider>>> {
        datafusion::common::not_impl_err!("schemas such as {name} come from the ETL's models")
    }
}
