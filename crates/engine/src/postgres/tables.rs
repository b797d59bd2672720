//! Schema `pg_catalog`: ours where it speaks of this warehouse, PostgreSQL's own rows where it speaks of types and functions.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{PgCatalogSchemaProvider, PgCatalogStaticTables};
use futures::FutureExt;

use super::rows::{Row, Source, row, table};
use super::{oids, relations};
use crate::CATALOG;
use crate::planning::Planning;

/// PostgreSQL's own rows, read once a process.
pub(super) fn statics() -> Result<Arc<PgCatalogStaticTables>> {
    static STATICS: OnceLock<Arc<PgCatalogStaticTables>> = OnceLock::new();
    if let Some(known) = STATICS.get() {
        return Ok(Arc::clone(known));
    }
    let read = Arc::new(PgCatalogStaticTables::try_new()?);
    Ok(Arc::clone(STATICS.get_or_init(|| read)))
}

type General = PgCatalogSchemaProvider<Arc<dyn CatalogProviderList>, EmptyContextProvider>;

/// The tables that ours do not replace.
fn general() -> Result<Arc<General>> {
    static GENERAL: OnceLock<Arc<General>> = OnceLock::new();
    if let Some(known) = GENERAL.get() {
        return Ok(Arc::clone(known));
    }
    let none: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
    let made = Arc::new(PgCatalogSchemaProvider::try_new(none, statics()?, EmptyContextProvider)?);
    Ok(Arc::clone(GENERAL.get_or_init(|| made)))
}

/// `pg_catalog` over one statement's version.
pub(super) struct Tables {
    pub(super) planning: Arc<Planning>,
    pub(super) user: Arc<str>,
    pub(super) settings: Arc<[(&'static str, String, &'static str)]>,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pg_catalog")
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let theirs = general().map(|g| g.table_names()).unwrap_or_default();
        let ours = COLUMNS.iter().map(|c| c.0.to_owned()).filter(|name| !name.contains('.'));
        let mut names: Vec<String> = theirs.into_iter().chain(ours).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match COLUMNS.iter().find(|c| c.0 == name) {
            Some((name, columns)) => table(columns, self.source(name)).map(Some),
            None => general()?.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        COLUMNS.iter().any(|c| c.0 == name) || general().is_ok_and(|g| g.table_exist(name))
    }
}

impl Tables {
    fn source(&self, name: &str) -> Source {
        let (planning, user) = (Arc::clone(&self.planning), Arc::clone(&self.user));
        match name {
            "pg_class" => Arc::new(move || relations::classes(Arc::clone(&planning)).boxed()),
            "pg_attribute" => Arc::new(move || relations::attributes(Arc::clone(&planning)).boxed()),
            "pg_description" => Arc::new(move || relations::descriptions(Arc::clone(&planning)).boxed()),
            "information_schema.columns" => {
                Arc::new(move || relations::columns(Arc::clone(&planning)).boxed())
            }
            "pg_namespace" => Arc::new(move || relations::namespaces(Arc::clone(&planning)).boxed()),
            "pg_tables" | "pg_stat_user_tables" => {
                Arc::new(move || relations::listed(Arc::clone(&planning), "r", Arc::clone(&user)).boxed())
            }
            "pg_views" => {
                Arc::new(move || relations::listed(Arc::clone(&planning), "v", Arc::clone(&user)).boxed())
            }
            "pg_database" => known(vec![row! { "oid" => oids::database(CATALOG), "datname" => CATALOG }]),
            "pg_roles" | "pg_authid" => {
                known(vec![row! { "oid" => oids::OWNER, "rolname" => user.as_ref() }])
            }
            "pg_user" => known(vec![row! { "usesysid" => oids::OWNER, "usename" => user.as_ref() }]),
            "pg_settings" => known(
                self.settings
                    .iter()
                    .map(|(name, value, doc)| {
                        row! { "name" => *name, "setting" => value.as_str(), "short_desc" => *doc,
                        "boot_val" => value.as_str(), "reset_val" => value.as_str() }
                    })
                    .collect(),
            ),
            // What a warehouse does not have: indexes, constraints, triggers, ….
            _ => known(Vec::new()),
        }
    }
}

fn known(rows: Vec<Row>) -> Source {
    Arc::new(move || std::future::ready(Ok(rows.clone())).boxed())
}

/// Whether columns of this name are boolean.
pub(super) fn is_boolean(column: &str) -> bool {
    let mut all = COLUMNS.iter().flat_map(|c| c.1.split_whitespace());
    all.any(|c| c.strip_prefix(column).is_some_and(|rest| rest.starts_with(":bool")))
}

/// Whether a relation of `information_schema` is ours, kept in this schema under its qualified name: DataFusion's own has
/// types by Arrow's names, and nothing about keys.
pub(super) fn is_information_schema(qualified: &str) -> bool {
    qualified.contains('.') && COLUMNS.iter().any(|c| c.0 == qualified)
}

/// The tables that are ours: name, and columns as [`table`] reads them. Those without rows are here because PostgreSQL's own
/// rows of them speak of its system tables, or because clients compute with types that the general ones lack.
const COLUMNS: &[(&str, &str)] = &[
    (
        "pg_class",
        "oid:oid relname:text relnamespace:oid reltype:oid=0 reloftype:oid=0 relowner:oid=10 relam:oid=0 \
         relfilenode:oid=0 reltablespace:oid=0 relpages:int4=0 reltuples:float4=0 relallvisible:int4=0 \
         reltoastrelid:oid=0 relhasindex:bool=false relisshared:bool=false relpersistence:text=p relkind:text=r \
         relnatts:int2=0 relchecks:int2=0 relhasrules:bool=false relhastriggers:bool=false relhassubclass:bool=false \
         relrowsecurity:bool=false relforcerowsecurity:bool=false relispopulated:bool=true relreplident:text=d \
         relispartition:bool=false relrewrite:oid=0 relfrozenxid:int4=0 relminmxid:int4=0 relacl:text[] \
         reloptions:text[] relpartbound:text tableoid:oid=1259 xmin:int8=1",
    ),
    (
        "pg_attribute",
        "attrelid:oid attname:text atttypid:oid attstattarget:int4=-1 attlen:int2 attnum:int2 attndims:int4=0 \
         attcacheoff:int4=-1 atttypmod:int4=-1 attbyval:bool=false attalign:text=i attstorage:text=p \
         attcompression:text= attnotnull:bool=false atthasdef:bool=false atthasmissing:bool=false attidentity:text= \
         attgenerated:text= attisdropped:bool=false attislocal:bool=true attinhcount:int4=0 attcollation:oid=0 \
         attacl:text[] attoptions:text[] attfdwoptions:text[] attmissingval:text",
    ),
    ("pg_attrdef", "oid:oid adrelid:oid adnum:int2 adbin:text"),
    ("pg_auth_members", "roleid:oid member:oid grantor:oid admin_option:bool"),
    (
        "pg_authid",
        "oid:oid rolname:text rolsuper:bool=false rolinherit:bool=true rolcreaterole:bool=false rolcreatedb:bool=false \
         rolcanlogin:bool=true rolreplication:bool=false rolbypassrls:bool=false rolconnlimit:int4=-1 rolpassword:text \
         rolvaliduntil:timestamptz",
    ),
    (
        "pg_constraint",
        "oid:oid conname:text connamespace:oid contype:text condeferrable:bool condeferred:bool convalidated:bool \
         conrelid:oid contypid:oid conindid:oid conparentid:oid confrelid:oid confupdtype:text confdeltype:text \
         confmatchtype:text conislocal:bool coninhcount:int4 connoinherit:bool conkey:int2[] confkey:int2[] \
         conpfeqop:oid[] conppeqop:oid[] conffeqop:oid[] confdelsetcols:int2[] conexclop:oid[] conbin:text \
         tableoid:oid xmin:int8",
    ),
    (
        "pg_database",
        "oid:oid datname:text datdba:oid=10 encoding:int4=6 datlocprovider:text=c datistemplate:bool=false \
         datallowconn:bool=true datconnlimit:int4=-1 datfrozenxid:int4=0 datminmxid:int4=1 dattablespace:oid=1663 \
         datcollate:text=C datctype:text=C.UTF-8 daticulocale:text datcollversion:text datacl:text[]",
    ),
    ("pg_description", "objoid:oid classoid:oid objsubid:int4 description:text"),
    ("pg_enum", "oid:oid enumtypid:oid enumsortorder:float4 enumlabel:text"),
    (
        "pg_index",
        "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool indnullsnotdistinct:bool \
         indisprimary:bool indisexclusion:bool indimmediate:bool indisclustered:bool indisvalid:bool indcheckxmin:bool \
         indisready:bool indislive:bool indisreplident:bool indkey:int2[] indcollation:oid[] indclass:oid[] \
         indoption:int2[] indexprs:text indpred:text",
    ),
    ("pg_inherits", "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    ("pg_namespace", "oid:oid nspname:text nspowner:oid=10 nspacl:text[] tableoid:oid=2615 xmin:int8=1"),
    (
        "pg_policy",
        "oid:oid polname:text polrelid:oid polcmd:text polpermissive:bool polroles:oid[] polqual:text polwithcheck:text",
    ),
    (
        "pg_publication",
        "oid:oid pubname:text pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool pubdelete:bool \
         pubtruncate:bool pubviaroot:bool",
    ),
    ("pg_publication_rel", "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:int2[]"),
    (
        "pg_roles",
        "rolname:text rolsuper:bool=false rolinherit:bool=true rolcreaterole:bool=false rolcreatedb:bool=false \
         rolcanlogin:bool=true rolreplication:bool=false rolconnlimit:int4=-1 rolpassword:text=******** \
         rolvaliduntil:timestamptz rolbypassrls:bool=false rolconfig:text[] oid:oid",
    ),
    (
        "pg_rewrite",
        "oid:oid rulename:text ev_class:oid ev_type:text ev_enabled:text is_instead:bool ev_qual:text ev_action:text",
    ),
    (
        "pg_sequence",
        "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 seqcache:int8 seqcycle:bool",
    ),
    (
        "pg_settings",
        "name:text setting:text unit:text category:text=Warehouse short_desc:text extra_desc:text context:text=user \
         vartype:text=string source:text=default min_val:text max_val:text enumvals:text[] boot_val:text reset_val:text \
         sourcefile:text sourceline:int4 pending_restart:bool=false",
    ),
    (
        "pg_stat_user_tables",
        "relid:oid schemaname:text relname:text seq_scan:int8=0 seq_tup_read:int8=0 idx_scan:int8=0 \
         idx_tup_fetch:int8=0 n_tup_ins:int8=0 n_tup_upd:int8=0 n_tup_del:int8=0 n_live_tup:int8=0 n_dead_tup:int8=0 \
         last_vacuum:timestamptz last_analyze:timestamptz",
    ),
    (
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname:text stxnamespace:oid stxowner:oid stxstattarget:int4 stxkeys:int2[] \
         stxkind:text[] stxexprs:text",
    ),
    (
        "pg_tables",
        "schemaname:text tablename:text tableowner:text tablespace:text hasindexes:bool=false hasrules:bool=false \
         hastriggers:bool=false rowsecurity:bool=false",
    ),
    (
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname:text tgfoid:oid tgtype:int2 tgenabled:text tgisinternal:bool \
         tgconstrrelid:oid tgconstrindid:oid tgconstraint:oid tgdeferrable:bool tginitdeferred:bool tgnargs:int2 \
         tgqual:text tgoldtable:text tgnewtable:text",
    ),
    (
        "pg_user",
        "usename:text usesysid:oid usecreatedb:bool=false usesuper:bool=false userepl:bool=false usebypassrls:bool=false passwd:text=******** valuntil:timestamptz useconfig:text[]",
    ),
    ("pg_views", "schemaname:text viewname:text viewowner:text definition:text"),
    (
        "pg_matviews",
        "schemaname:text matviewname:text matviewowner:text tablespace:text hasindexes:bool ispopulated:bool definition:text",
    ),
    ("pg_shdescription", "objoid:oid classoid:oid description:text"),
    (
        "pg_stat_activity",
        "datid:oid datname:text pid:int4 leader_pid:int4 usesysid:oid usename:text application_name:text client_addr:text \
         client_hostname:text client_port:int4 backend_start:timestamptz xact_start:timestamptz query_start:timestamptz \
         state_change:timestamptz wait_event_type:text wait_event:text state:text backend_xid:int8 backend_xmin:int8 \
         query:text backend_type:text",
    ),
    (
        "pg_locks",
        "locktype:text database:oid relation:oid transactionid:int8 pid:int4 mode:text granted:bool",
    ),
    (
        "information_schema.columns",
        "table_catalog:text=smartsneaks table_schema:text table_name:text column_name:text ordinal_position:int4 \
         column_default:text is_nullable:text data_type:text character_maximum_length:int4 character_octet_length:int4 \
         numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 \
         interval_type:text interval_precision:int4 character_set_name:text collation_name:text domain_catalog:text \
         domain_schema:text domain_name:text udt_catalog:text=smartsneaks udt_schema:text=pg_catalog udt_name:text \
         dtd_identifier:text is_self_referencing:text=NO is_identity:text=NO identity_generation:text \
         identity_start:text identity_increment:text identity_maximum:text identity_minimum:text \
         identity_cycle:text=NO is_generated:text=NEVER generation_expression:text is_updatable:text=NO",
    ),
    (
        "information_schema.table_constraints",
        "constraint_catalog:text constraint_schema:text constraint_name:text table_catalog:text table_schema:text \
         table_name:text constraint_type:text is_deferrable:text initially_deferred:text enforced:text",
    ),
    (
        "information_schema.key_column_usage",
        "constraint_catalog:text constraint_schema:text constraint_name:text table_catalog:text table_schema:text \
         table_name:text column_name:text ordinal_position:int4 position_in_unique_constraint:int4",
    ),
    (
        "information_schema.constraint_column_usage",
        "table_catalog:text table_schema:text table_name:text column_name:text constraint_catalog:text \
         constraint_schema:text constraint_name:text",
    ),
    (
        "information_schema.referential_constraints",
        "constraint_catalog:text constraint_schema:text constraint_name:text unique_constraint_catalog:text \
         unique_constraint_schema:text unique_constraint_name:text match_option:text update_rule:text delete_rule:text",
    ),
];
