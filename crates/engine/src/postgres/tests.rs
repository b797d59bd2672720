//! What psql asks, on a small warehouse.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use smartsneaks_lake::{ViewEntry, WriteMode};

use crate::session::{Session, SessionOptions};
use crate::{Engine, Settings};

/// A warehouse with `public.fact_sales`, `staging.orders` and the view `public.daily`.
pub(super) async fn session() -> Arc<Session> {
    let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
    let mut transaction = engine.lake().begin("test").await.unwrap();
    let context = datafusion::prelude::SessionContext::new();
    let sales =
        "SELECT 'o1' AS sale_id, DATE '2026-01-01' AS date, 2::int AS qty, 5.25::decimal(18,2) AS revenue";
    for table in ["public.fact_sales", "staging.orders"] {
        #[expect(clippy::disallowed_methods, reason = "makes rows to write; no session reads through it")]
        let input = context.sql(sales).await.unwrap().execute_stream().await.unwrap();
        transaction.write(table, WriteMode::Overwrite, &[], input).await.unwrap();
    }
    let properties = serde_json::json!({"description": "One row per line", "columns": {"qty": "pairs"}});
    transaction.set_table_properties("public.fact_sales", serde_json::from_value(properties).unwrap());
    let sql = "SELECT date, sum(qty) AS qty FROM public.fact_sales GROUP BY date".to_owned();
    transaction.put_view("public.daily", ViewEntry { sql, properties: Default::default() });
    transaction.commit().await.unwrap();
    engine.session(SessionOptions { user: "meena".to_owned(), ..SessionOptions::default() })
}

fn cells(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut out = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            out.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    out
}

async fn ask(session: &Session, sql: &str) -> Vec<String> {
    match session.collect(sql).await {
        Ok(batches) => cells(&batches),
        Err(e) => panic!("{sql}: {e:?}"),
    }
}

const LIST: &str = "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\",
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END AS \"Type\",
    pg_catalog.pg_get_userbyid(c.relowner) AS \"Owner\"
  FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
  WHERE c.relkind IN (KINDS) AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
    AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2";

#[tokio::test(flavor = "multi_thread")]
async fn tables_views_schemas_and_databases_are_listed() {
    let session = session().await;
    let all = ask(&session, &LIST.replace("KINDS", "'r','p','v','m','S','f',''")).await;
    assert_eq!(all, ["public|daily|view|meena", "public|fact_sales|table|meena"]);
    let tables = ask(&session, &LIST.replace("KINDS", "'r','p',''")).await;
    assert_eq!(tables, ["public|fact_sales|table|meena"]);
    let views = ask(&session, &LIST.replace("KINDS", "'v',''")).await;
    assert_eq!(views, ["public|daily|view|meena"]);
    let schemas = "SELECT n.nspname, pg_catalog.pg_get_userbyid(n.nspowner) FROM pg_catalog.pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1";
    assert_eq!(ask(&session, schemas).await, ["public|meena", "staging|meena", "warehouse|meena"]);
    let databases = "SELECT d.datname, pg_catalog.pg_encoding_to_char(d.encoding),
        CASE d.datlocprovider WHEN 'c' THEN 'libc' END,
        pg_catalog.array_to_string(d.datacl, E'\\n') FROM pg_catalog.pg_database d ORDER BY 1";
    assert_eq!(ask(&session, databases).await, ["smartsneaks|UTF8|libc|NULL"]);
    let roles = "SELECT r.rolname, r.rolsuper, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m
        JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) AS memberof
        FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1";
    assert_eq!(ask(&session, roles).await, ["meena|false|NULL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_described() {
    let session = session().await;
    let found = "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname OPERATOR(pg_catalog.~) '^(fact_sales)$' COLLATE pg_catalog.default
        AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3";
    let found = ask(&session, found).await;
    let [row] = found.as_slice() else { panic!("{found:?}") };
    let oid = row.split('|').next().unwrap();
    let class = format!(
        "SELECT c.relchecks, c.relkind, c.relhasindex, false AS relhasoids, '', c.reltablespace,
           CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END,
           c.relpersistence, c.relreplident, am.amname
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid)
           LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = '{oid}'"
    );
    assert_eq!(ask(&session, &class).await, ["0|r|false|false||0||p|d|heap"]);
    let columns = format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
           (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
            WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
           (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
            WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
           a.attidentity FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    );
    assert_eq!(
        ask(&session, &columns).await,
        [
            "sale_id|text|NULL|NULL|",
            "date|date|NULL|NULL|",
            "qty|integer|NULL|NULL|",
            "revenue|numeric(18,2)|NULL|NULL|"
        ]
    );
    let parents = format!(
        "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i
         WHERE c.oid = i.inhparent AND i.inhrelid = '{oid}' AND c.relkind != 'p' ORDER BY inhseqno"
    );
    assert!(ask(&session, &parents).await.is_empty());
    let policies = format!(
        "SELECT pol.polname, CASE WHEN pol.polroles = '{{0}}' THEN NULL ELSE pg_catalog.array_to_string(array(
           select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1), ',') END,
           pg_catalog.pg_get_expr(pol.polqual, pol.polrelid), pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid)
         FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '{oid}' ORDER BY 1"
    );
    assert!(ask(&session, &policies).await.is_empty());
    let statistics = format!(
        "SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp,
           'd' = any(stxkind) AS ndist_enabled FROM pg_catalog.pg_statistic_ext WHERE stxrelid = '{oid}' ORDER BY nsp"
    );
    assert!(ask(&session, &statistics).await.is_empty());
    let publications = format!(
        "SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p
           JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid
           JOIN pg_catalog.pg_class pc ON pc.relnamespace = pn.pnnspid
           WHERE pc.oid = '{oid}' and pg_catalog.pg_relation_is_publishable('{oid}')
         UNION SELECT pubname, pg_get_expr(pr.prqual, c.oid), (CASE WHEN pr.prattrs IS NOT NULL THEN
             (SELECT string_agg(attname, ', ') FROM
                pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s,
                pg_catalog.pg_attribute WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END)
           FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid
           JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid WHERE pr.prrelid = '{oid}' ORDER BY 1"
    );
    assert!(ask(&session, &publications).await.is_empty());
    let comments =
        "SELECT objsubid, description FROM pg_description WHERE objoid = 'fact_sales'::regclass ORDER BY 1";
    assert_eq!(ask(&session, comments).await, ["0|One row per line", "3|pairs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_knows_itself() {
    let session = session().await;
    let batches = session
        .collect("SELECT current_user, session_user, user, current_database(), current_schema(), current_schema AS again,
            current_setting('TimeZone'), current_setting('no.such', true), pg_backend_pid(), version()")
        .await
        .unwrap();
    let row = cells(&batches).remove(0);
    let expected =
        format!("meena|meena|meena|smartsneaks|public|public|UTC|NULL|{}|PostgreSQL 15.", session.id());
    assert!(row.starts_with(&expected), "{row}");
    assert_eq!(session.collect("SELECT current_setting('no.such')").await.unwrap_err().sqlstate(), "42704");
    assert!(batches[0].column(0).as_string_opt::<i32>().is_some_and(|c| c.len() == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn analysts_statements_keep_their_meaning() {
    let session = session().await;
    for (sql, expected) in [
        ("SELECT qty, count(*) FROM fact_sales GROUP BY qty ORDER BY count(*)", "2|1"),
        ("SELECT 'x'::text || 'y'", "xy"),
        (
            "SELECT 2 = ANY(ARRAY[1, 2]), 'a' = ANY('{a,b}'), 'a' LIKE 'A%', 'a' ILIKE 'A%'",
            "true|true|false|true",
        ),
        (
            "SELECT column_name, data_type, numeric_precision FROM information_schema.columns
             WHERE table_name = 'fact_sales' AND table_schema = 'public' AND columns.ordinal_position = 4",
            "revenue|numeric|18",
        ),
        ("SELECT count(*) FROM information_schema.table_constraints", "0"),
        ("SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace", "orders"),
    ] {
        assert_eq!(ask(&session, sql).await, [expected], "{sql}");
    }
}
