//! PostgreSQL's manners: its catalog, its functions, its ways of writing.
//!
//! | what | where |
//! |---|---|
//! | tables of `pg_catalog` | [`tables`], filled from the pinned version by [`relations`] |
//! | numbers of tables and schemas | [`oids`] |
//! | `format_type`, `pg_table_is_visible`, … | [`functions`] |
//! | `current_user`, `current_setting`, … | [`session`] |
//! | `'x'::regclass`, `OPERATOR(pg_catalog.~)`, `ARRAY(SELECT …)`, … | [`rewrite`] |

mod functions;
mod oids;
mod relations;
mod rewrite;
mod rows;
mod session;
mod tables;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::catalog::SchemaProvider;

use crate::planning::Planning;
use crate::variables::Variables;

pub(crate) use functions::register;
pub(crate) use rewrite::{result_names, rewrite};
pub(crate) use session::for_session;

/// What one session adds to schema `pg_catalog`: its user and its variables.
#[derive(Clone)]
pub(crate) struct PgCatalog {
    user: Arc<str>,
    settings: Arc<[(&'static str, String, &'static str)]>,
}

impl PgCatalog {
    pub(crate) fn new(user: &str, variables: &Variables) -> Self {
        Self { user: user.into(), settings: variables.all().into() }
    }

    /// Schema `pg_catalog` over the version that `planning` pins.
    pub(crate) fn schema(&self, planning: &Arc<Planning>) -> Arc<dyn SchemaProvider> {
        Arc::new(tables::Tables {
            planning: Arc::clone(planning),
            user: Arc::clone(&self.user),
            settings: Arc::clone(&self.settings),
        })
    }
}
