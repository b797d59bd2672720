//! Plans that are made once: a dashboard asks the same again and again, and planning takes longer than most answers.
//!
//! What is kept is the optimised logical plan of a statement without parameters, under its text, the warehouse version
//! and the time zone, for all sessions. It is kept only where the same text must give the same rows there: it reads
//! tables of the warehouse alone (no catalog, which knows the session; no list of versions, which grows) and calls only
//! functions that depend on nothing but their arguments (no `now()`, `current_user`, `random()`).
//!
//! Its physical operators are used again, too, by one execution at a time ([`Operators`]).

mod operators;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use crate::opaque::Opaque;
use crate::recent::Recent;

pub(crate) use operators::{Operators, Rest};

/// Plans that are held, at most.
const HELD: usize = 64;
/// The longest text whose plan is held, in bytes: a limit on the size of plans.
const MAX_TEXT: usize = 8 << 10;

/// Plans of all sessions of an engine.
#[derive(Debug)]
pub(crate) struct Plans(Recent<Key, Opaque<Ready>>);

/// What a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    text: String,
    version: u64,
    time_zone: String,
}

/// A plan that needs no more than its physical operators.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Optimised.
    pub(crate) plan: LogicalPlan,
    /// The columns under the names that the client sees.
    pub(crate) schema: SchemaRef,
    /// The operators of an execution that is over.
    pub(crate) rest: Rest,
}

impl Plans {
    pub(crate) fn new() -> Self {
        Self(Recent::new(HELD))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Opaque<Ready>> {
        self.0.get(key)
    }

    pub(crate) fn keep(&self, key: Key, ready: Opaque<Ready>) {
        self.0.put(key, ready);
    }
}

impl Key {
    /// None for text that is too long.
    pub(crate) fn new(text: &str, version: u64, time_zone: &str) -> Option<Self> {
        let key = || Self { text: text.to_owned(), version, time_zone: time_zone.to_owned() };
        (text.len() <= MAX_TEXT).then(key)
    }
}

/// Whether the plan means the same each time, on the version that it was made for.
pub(crate) fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            // What names another version, directly or in a view, may mean another one tomorrow: "@2026-11-01".
            let is_elsewhere = scan.table_name.schema().is_some_and(|schema| schema.starts_with('@'));
            repeatable &= smartsneaks_lake::is_pinned(provider.as_ref()) && !is_elsewhere;
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                repeatable &= is_immutable(expr);
                Ok(if repeatable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
            })
        })
    })?;
    Ok(repeatable)
}

fn is_immutable(expr: &Expr) -> bool {
    let volatility = match expr {
        Expr::ScalarFunction(call) => call.func.signature().volatility,
        Expr::AggregateFunction(call) => call.func.signature().volatility,
        Expr::WindowFunction(call) => call.fun.signature().volatility,
        Expr::Placeholder(_) | Expr::ScalarVariable(..) => return false,
        _ => return true,
    };
    volatility == Volatility::Immutable
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, RecordBatch};
    use arrow::compute::cast;
    use arrow::datatypes::DataType;
    use smartsneaks_lake::WriteMode;

    use super::*;
    use crate::session::{Session, SessionOptions};
    use crate::{Engine, Settings};

    /// Writes a version in which `public.sales` has one row of `qty`, sold at half past six in the evening UTC.
    async fn write(engine: &Arc<Engine>, qty: i64) {
        let mut transaction = engine.lake().begin("test").await.unwrap();
        let sql = format!("SELECT {qty} AS qty, TIMESTAMP '2026-01-01T18:30:00Z' AT TIME ZONE 'UTC' AS at");
        let context = datafusion::prelude::SessionContext::new();
        #[expect(clippy::disallowed_methods, reason = "makes rows to write; no session reads through it")]
        let input = context.sql(&sql).await.unwrap().execute_stream().await.unwrap();
        transaction.write("public.sales", WriteMode::Overwrite, &[], input).await.unwrap();
        transaction.commit().await.unwrap();
    }

    fn session(engine: &Arc<Engine>, user: &str) -> Arc<Session> {
        engine.session(SessionOptions { user: user.to_owned(), ..SessionOptions::default() })
    }

    /// The first cell of the result.
    async fn cell(session: &Session, sql: &str) -> String {
        let batches: Vec<RecordBatch> = session.collect(sql).await.unwrap();
        let texts = cast(batches[0].column(0), &DataType::Utf8).unwrap();
        texts.as_string::<i32>().value(0).to_owned()
    }

    async fn is_held(session: &Session, sql: &str) -> bool {
        let version = session.version().await.unwrap().number;
        let key = Key::new(sql, version, &session.setting("timezone").unwrap());
        key.is_some_and(|key| session.engine().plans().get(&key).is_some())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plan_is_made_once_a_version_for_all_sessions() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        write(&engine, 3).await;
        let (one, other) = (session(&engine, "one"), session(&engine, "other"));
        let sql = "SELECT sum(qty) AS qty FROM sales WHERE qty > 1";
        assert!(!is_held(&one, sql).await);
        assert_eq!(cell(&one, sql).await, "3");
        assert!(is_held(&other, sql).await);
        assert_eq!(cell(&other, sql).await, "3");
        write(&engine, 4).await;
        assert!(!is_held(&one, sql).await);
        assert_eq!([cell(&one, sql).await, cell(&other, sql).await], ["4", "4"]);
        one.run("SET warehouse.as_of = '1'").await.unwrap();
        assert_eq!([cell(&one, sql).await, cell(&other, sql).await], ["3", "4"]);
        // A statement that was prepared, and whose plan was held by then, moves on with the warehouse.
        let statement = &other.parse(sql).unwrap()[0];
        let prepared = other.prepare(statement, &[]).await.unwrap();
        assert_eq!(prepared.schema().unwrap().field(0).name(), "qty");
        write(&engine, 5).await;
        let crate::Output::Rows(rows) = other.execute(&prepared, &[]).await.unwrap() else { panic!("rows") };
        let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(rows.stream).await.unwrap();
        assert_eq!(batches[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 5);
    }

    /// Whether operators of the statement are at rest, once it had time to lay them there.
    async fn rests(session: &Session, sql: &str) -> bool {
        let version = session.version().await.unwrap().number;
        let key = Key::new(sql, version, &session.setting("timezone").unwrap()).unwrap();
        let ready = session.engine().plans().get(&key).unwrap();
        for _ in 0..100 {
            if ready.rest.is_taken() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
        !ready.rest.is_taken()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn operators_run_again_where_their_state_can_be_made_anew() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        write(&engine, 3).await;
        let session = session(&engine, "one");
        for (sql, again) in [
            ("SELECT count(*) FROM sales", true),
            (
                "SELECT qty FROM sales WHERE qty = (SELECT sum(qty) FROM sales WHERE qty < 9) ORDER BY at",
                true,
            ),
            (
                "SELECT sum(n) FROM (SELECT count(*) OVER (PARTITION BY at) AS n FROM sales UNION ALL SELECT 2) u",
                true,
            ),
            ("SELECT count(*) FROM forecast((SELECT at, qty FROM sales), horizon => 7)", true),
            (
                "SELECT min(status) FROM detect_anomalies((SELECT qty FROM sales), feature_cols => ARRAY['qty'])",
                true,
            ),
            // Conditions that grow with what was seen; a join's table.
            ("SELECT qty FROM sales ORDER BY qty LIMIT 1", false),
            ("SELECT max(qty) FROM sales WHERE qty < 9", false),
            ("SELECT a.qty FROM sales a JOIN sales b ON a.at = b.at", false),
        ] {
            let first = cell(&session, sql).await;
            for run in 0..40 {
                assert_eq!(cell(&session, sql).await, first, "{sql}, run {run}");
            }
            assert_eq!(rests(&session, sql).await, again, "{sql}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_finds_no_operators_at_rest_makes_new_ones() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        write(&engine, 3).await;
        let session = session(&engine, "one");
        let sql = "SELECT qty FROM sales WHERE qty = (SELECT sum(qty) FROM sales WHERE qty < 9)";
        let ask = || {
            let session = Arc::clone(&session);
            tokio::spawn(async move { cell(&session, sql).await })
        };
        for _ in 0..20 {
            for asked in [ask(), ask(), ask()] {
                assert_eq!(asked.await.unwrap(), "3");
            }
        }
        // One that was broken off leaves none.
        assert!(rests(&session, sql).await);
        let mut rows = session.query(sql).await.unwrap();
        assert!(futures::StreamExt::next(&mut rows.stream).await.unwrap().is_ok());
        drop(rows);
        assert_eq!(cell(&session, sql).await, "3");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_time_zone_is_part_of_what_is_asked() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        write(&engine, 3).await;
        let session = session(&engine, "one");
        let sql = "SELECT extract(day FROM at::timestamptz)::bigint FROM sales";
        let utc = cell(&session, sql).await;
        assert_eq!(cell(&session, sql).await, utc);
        session.run("SET timezone = 'Asia/Kolkata'").await.unwrap();
        let india = cell(&session, sql).await;
        session.run("RESET timezone").await.unwrap();
        assert_eq!(cell(&session, sql).await, utc);
        assert_ne!(india, utc);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_depends_on_more_than_the_version_is_planned_each_time() {
        let engine = Engine::open(Settings::embedded("memory:")).await.unwrap();
        write(&engine, 3).await;
        let (one, other) = (session(&engine, "one"), session(&engine, "other"));
        for sql in ["SELECT current_user", "SELECT (SELECT current_user FROM sales) AS u"] {
            assert_eq!([cell(&one, sql).await, cell(&other, sql).await], ["one", "other"]);
            assert!(!is_held(&one, sql).await);
        }
        for sql in [
            "SELECT now()",
            "SELECT random() FROM sales",
            "SELECT count(*) FROM warehouse.versions",
            "SELECT count(*) FROM pg_class",
            "SELECT qty FROM sales WHERE qty < (SELECT 10 * random() + 100)",
            "SELECT qty FROM \"@1\".sales",
            "EXPLAIN SELECT qty FROM sales",
            "SELECT count(*) FROM forecast((SELECT at, qty FROM sales), as_of => now())",
        ] {
            let first = cell(&one, sql).await;
            assert!(!is_held(&one, sql).await, "{sql}");
            if sql == "SELECT now()" || sql.starts_with("SELECT random()") {
                assert_ne!(cell(&one, sql).await, first, "{sql}");
            }
        }
        let fixed = "SELECT count(*) FROM forecast((SELECT at, qty FROM sales), horizon => 7)";
        cell(&one, fixed).await;
        assert!(is_held(&one, fixed).await);
        assert_eq!(cell(&one, "SELECT count(*) FROM warehouse.versions").await, "1");
        write(&engine, 4).await;
        assert_eq!(cell(&one, "SELECT count(*) FROM warehouse.versions").await, "2");
    }
}
