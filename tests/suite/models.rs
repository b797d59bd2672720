//! Models that are kept: trained by a statement or by a run, asked by name, and gone when they are dropped.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use smartsneaks_engine::{Engine, Error, Output, Project, Session, SessionOptions};
use smartsneaks_etl::{Report, Selection, progress::Silent};
use smartsneaks_generate::Options;
use smartsneaks_lake::WriteMode;
use smartsneaks_tests::{demo, repository};

use crate::truth::copy;

const CREATE: &str = "CREATE MODEL demand AS SELECT * FROM forecast('*')";
const VALUES: &str = "forecast_timestamp, forecast_value, lower_bound, upper_bound";

fn owner(engine: &Arc<Engine>) -> Arc<Session> {
    engine.session(SessionOptions { owner: true, ..SessionOptions::default() })
}

async fn done(session: &Session, sql: &str) -> Result<String, Error> {
    match session.run(sql).await?.pop() {
        Some(Output::Done(tag)) => Ok(tag),
        other => panic!("{sql}: {other:?}"),
    }
}

/// Every row as text.
pub(crate) async fn rows(session: &Session, sql: &str) -> Vec<String> {
    let batches = session.collect(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let line = |batch: &RecordBatch, row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| line(batch, row))).collect()
}

async fn fails(session: &Session, sql: &str) -> (String, &'static str) {
    let error = match session.run(sql).await {
        Err(error) => error,
        Ok(mut outputs) => match outputs.pop() {
            Some(Output::Rows(rows)) => {
                use futures::TryStreamExt;
                rows.stream.try_collect::<Vec<_>>().await.expect_err(sql)
            }
            _ => panic!("{sql}: no error"),
        },
    };
    (format!("{} {}", error.message(), error.hint().unwrap_or_default()), error.sqlstate())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_trained_once_and_asked_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo(dir.path()).await.unwrap();
    let (session, client) = (owner(&engine), engine.session(SessionOptions::default()));
    assert_eq!(done(&session, CREATE).await.unwrap(), "CREATE MODEL");

    // It is a line of a table, in a version of its own.
    let registered = "SELECT version, warehouse_version, function, query, bytes > 1000, created_at > '2026-01-01', \
                      metrics LIKE '%\"rmsse\":%', arguments FROM ml.models WHERE name = 'demand'";
    let line = rows(&client, registered).await;
    let arguments = "horizon => 14, confidence_level => 0.95, frequency => 'auto', model => 'auto', \
                     holiday_region => 'IN-TN', non_negative => true, reconcile => 'none', \
                     reconcile_method => 'mint_shrink', gap_fill => 'auto', output_history => false, seed => 0";
    let query = "SELECT * FROM forecast('*')";
    assert_eq!(line, [format!("1|1|forecast|{query}|true|true|true|{arguments}")]);
    assert_eq!(engine.lake().head().await.unwrap().number, 2);

    // It says what training says, to the bit, for all series and for one of them.
    let order = "ORDER BY sku, horizon_step";
    let trained = rows(&client, &format!("SELECT sku, {VALUES} FROM forecast('*') {order}")).await;
    let asked = format!("SELECT sku, {VALUES} FROM forecast('*', model => 'demand') {order}");
    assert_eq!(rows(&client, &asked).await, trained);
    let one = format!("SELECT sku, {VALUES} FROM forecast('SKU1', horizon => 5, model => 'demand') {order}");
    let first: Vec<_> = trained.iter().filter(|row| row.starts_with("SKU1|")).take(5).cloned().collect();
    assert_eq!(rows(&client, &one).await, first);
    // It can be taken apart.
    let parts = "SELECT count(*), bool_and(e.forecast_value = f.forecast_value AND e.model = 'demand'), \
                 max(abs(trend + seasonal_period_weekly + seasonal_period_yearly + holiday_effect + promotion_effect - e.forecast_value)) < 0.000001 \
                 FROM explain_forecast('SKU1', model => 'demand') AS e \
                 JOIN forecast('SKU1', model => 'demand') AS f USING (horizon_step)";
    assert_eq!(rows(&client, parts).await, ["14|true|true"]);
    let said = "SELECT DISTINCT model, status_detail LIKE 'version 1 of model demand, trained on warehouse version 1%' \
                FROM forecast('SKU1', model => 'demand@1')";
    assert_eq!(rows(&client, said).await, ["demand|true"]);
    let plan = rows(&client, "EXPLAIN SELECT * FROM forecast('*', model => 'demand')").await.join("\n");
    assert!(plan.contains("model=demand@1"), "{plan}");

    // Of an earlier day, too, whose values its local models were fitted to and more.
    let earlier = "SELECT count(*), min(status), min(forecast_timestamp) FROM forecast('SKU1', model => 'demand', \
                   as_of => '2026-03-01')";
    assert_eq!(rows(&client, earlier).await, ["14|ok|2026-03-02"]);

    // An article that the panel did not have is forecast too, by what it has in common with the others.
    let new = "SELECT count(*), min(status) FROM forecast((SELECT 'NEW' AS sku, date, qty FROM sku_city_daily \
               WHERE sku = 'SKU1'), data_col => 'qty', timestamp_col => 'date', id_cols => ARRAY['sku'], \
               model => 'demand')";
    assert_eq!(rows(&client, new).await, ["14|ok"]);

    // The next version of a name; the one before stays.
    let (message, state) = fails(&session, CREATE).await;
    assert!(state == "22023" && message.contains("exists already CREATE OR REPLACE"), "{message}");
    let replace = "CREATE OR REPLACE MODEL demand AS SELECT * FROM forecast('*', horizon => 7, seed => 3);";
    done(&session, replace).await.unwrap();
    let versions =
        "SELECT version, warehouse_version, query FROM ml.models WHERE name = 'demand' ORDER BY version";
    assert_eq!(
        rows(&client, versions).await,
        ["1|1|SELECT * FROM forecast('*')", "2|2|SELECT * FROM forecast('*', horizon => 7, seed => 3)"]
    );
    let (message, state) = fails(&client, "SELECT * FROM forecast('SKU1', model => 'demand')").await;
    assert!(state == "22023" && message.contains("forecasts 7 steps, horizon is 14"), "{message}");
    let asked = asked.replace("'demand'", "'demand@1'");
    assert_eq!(rows(&client, &asked).await, trained);

    // Older versions of the warehouse have the models that they had.
    done(&client, "SET warehouse.as_of = '2'").await.unwrap();
    assert_eq!(rows(&client, versions).await.len(), 1);
    done(&client, "SET warehouse.as_of = '1'").await.unwrap();
    let (message, _) = fails(&client, "SELECT * FROM forecast('SKU1', model => 'demand')").await;
    assert!(message.contains("unknown model 'demand'"), "{message}");
    done(&client, "RESET warehouse.as_of").await.unwrap();

    done(&session, "DROP MODEL demand").await.unwrap();
    assert!(rows(&client, versions).await.is_empty());
    let (message, state) = fails(&client, "SELECT * FROM forecast('SKU1', model => 'demand@1')").await;
    assert!(state == "22023" && message.contains("ml.models"), "{message}");
    let (_, state) = fails(&session, "DROP MODEL demand").await;
    assert_eq!(state, "42P01");
    assert_eq!(done(&session, "DROP MODEL IF EXISTS demand").await.unwrap(), "DROP MODEL");
    // A name that comes back is another model.
    done(&session, "CREATE MODEL demand AS SELECT * FROM forecast('*', horizon => 3)").await.unwrap();
    let (message, _) = fails(&client, "SELECT * FROM forecast('SKU1', model => 'demand@1')").await;
    assert!(message.contains("forecasts 3 steps"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_kept_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo(dir.path()).await.unwrap();
    let (session, client) = (owner(&engine), engine.session(SessionOptions::default()));
    let few = "(SELECT sku, date, qty FROM sku_city_daily WHERE sku IN ('SKU1', 'SKU2'))";
    for (who, sql, state, says) in [
        (&client, CREATE, "42501", "serve.create_model"),
        (&client, "DROP MODEL demand", "42501", "serve.create_model"),
        (&session, "CREATE MODEL ets AS SELECT * FROM forecast('*')", "22023", "a model of forecast already"),
        (&session, "CREATE MODEL \"Odd one\" AS SELECT * FROM forecast('*')", "22023", "lower-case letters"),
        (&session, "CREATE MODEL a AS SELECT sku FROM forecast('*')", "42601", "SELECT * FROM forecast("),
        (
            &session,
            "CREATE MODEL a AS SELECT * FROM forecast('*') LIMIT 3",
            "42601",
            "SELECT * FROM forecast(",
        ),
        (&session, "CREATE MODEL a AS SELECT 1", "42601", "SELECT * FROM forecast("),
        (
            &session,
            "CREATE MODEL a AS SELECT * FROM generate_series(1, 3)",
            "42883",
            "not a function that learns",
        ),
        (&session, "CREATE MODEL a AS SELECT * FROM seasonality('*')", "22023", "learns nothing"),
        (&session, "CREATE MODEL a AS SELECT * FROM cluster(TABLE dim_store)", "22023", "learns nothing"),
        (
            &session,
            "CREATE MODEL a AS SELECT * FROM forecast('*', model => 'ets')",
            "22023",
            "model => 'auto'",
        ),
        (
            &session,
            "CREATE MODEL a AS SELECT * FROM forecast('*', horizon => 400)",
            "22023",
            "at most 366 days",
        ),
        (&session, "CREATE MODEL a AS SELECT * FROM forecast('SKU')", "22023", "has no sku 'SKU'"),
        (
            &session,
            "CREATE MODEL a AS SELECT * FROM forecast('*', frequency => 'weekly')",
            "22023",
            "are weekly",
        ),
        (&session, "CREATE MODEL a", "42601", "AS"),
    ] {
        let (message, found) = fails(who, sql).await;
        assert!(found == state && message.contains(says), "{sql}: {found} {message}");
    }
    let (_, state) = fails(&session, &format!("BEGIN; {CREATE}")).await;
    assert_eq!(state, "25001");
    done(&session, "ROLLBACK").await.unwrap();
    done(&session, "SET statement_timeout = '1ms'").await.unwrap();
    assert_eq!(fails(&session, CREATE).await.1, "57014");
    done(&session, "RESET statement_timeout").await.unwrap();
    assert_eq!(engine.lake().head().await.unwrap().number, 1);

    // A few series are enough, and a call that does not suit a model says so.
    done(&session, &format!("CREATE MODEL few AS SELECT * FROM forecast({few}, horizon => 7)"))
        .await
        .unwrap();
    let ask = |relation: &str| format!("SELECT * FROM forecast({relation}, horizon => 7, model => 'few')");
    assert_eq!(
        session.collect(&ask(few)).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(),
        14
    );
    let cities = "(SELECT sku, city, date, qty FROM sku_city_daily), id_cols => ARRAY['sku', 'city']";
    for (relation, says) in [
        (cities, "trained with the id columns sku, the call has sku, city"),
        (
            "'*', future => (SELECT date, 1 AS promoted FROM dim_date)",
            "the future columns none, the call has promoted",
        ),
    ] {
        let (message, state) = fails(&session, &ask(relation)).await;
        assert!(state == "22023" && message.contains(says), "{message}");
    }
    // A series that the model can't take has its row.
    let monthly =
        "(SELECT sku, date_trunc('month', date) AS month, qty FROM sku_city_daily WHERE sku = 'SKU1')";
    let status =
        format!("SELECT status, status_detail FROM forecast({monthly}, horizon => 7, model => 'few')");
    assert_eq!(rows(&session, &status).await, ["invalid_request|a kept model forecasts daily series"]);
}

/// A small project with a model that is declared.
async fn project(dir: &Path, header: &str) -> (Arc<Engine>, Project) {
    let raw = dir.join("data/raw");
    smartsneaks_generate::generate(&Options::new(4_000, 200, 7, &raw), &mut |_| {}).unwrap();
    for folder in ["data/reference", "sql", "udfs/sql"] {
        copy(&repository().join(folder), &dir.join(folder));
    }
    std::fs::copy(repository().join("smartsneaks.toml"), dir.join("smartsneaks.toml")).unwrap();
    std::os::unix::fs::symlink(repository().join("models"), dir.join("models")).unwrap();
    std::fs::create_dir_all(dir.join("sql/ml")).unwrap();
    declare(dir, header, 7);
    let project = Project::load(Some(dir), &[]).unwrap();
    let engine = Engine::open(project.settings.clone()).await.unwrap();
    (engine, project)
}

fn declare(dir: &Path, header: &str, horizon: usize) {
    let query = format!(
        "SELECT * FROM forecast(TABLE sku_city_daily, id_cols => ARRAY['sku'], horizon => {horizon})"
    );
    std::fs::write(dir.join("sql/ml/demand.sql"), format!("/*---\n{header}\n---*/\n{query};\n")).unwrap();
}

pub(crate) async fn run(engine: &Arc<Engine>, project: &Project) -> Report {
    smartsneaks_etl::run(engine, project, &Selection::default(), &Silent).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_trains_what_is_declared_and_again_when_it_decays() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, project) = project(dir.path(), "retrain_above: 1.5").await;
    let session = engine.session(SessionOptions::default());
    let versions = "SELECT version, warehouse_version FROM ml.models WHERE name = 'demand' ORDER BY version";
    let said = "SELECT detail FROM etl.checks WHERE model = 'ml.demand' ORDER BY run_id DESC LIMIT 1";

    // A mart may ask it: it is trained first.
    let mart = "SELECT sku, forecast_timestamp, forecast_value FROM forecast(TABLE sku_city_daily, \
                id_cols => ARRAY['sku'], horizon => 7, model => 'demand') WHERE status = 'ok'";
    std::fs::write(dir.path().join("sql/marts/a_week_ahead.sql"), mart).unwrap();
    let report = run(&engine, &project).await;
    assert!(report.models.iter().any(|model| model.name == "ml.demand" && model.kind == "learned"));
    assert_eq!(rows(&session, versions).await, ["1|1"]);
    assert!(
        rows(&session, said).await[0].starts_with("version 1 trained: "),
        "{:?}",
        rows(&session, said).await
    );
    let ahead = "SELECT count(*) > 100, count(*) % 7 FROM a_week_ahead";
    assert_eq!(rows(&session, ahead).await, ["true|0"]);

    // Nothing has changed: it is good enough.
    run(&engine, &project).await;
    assert_eq!(rows(&session, versions).await, ["1|1"]);
    assert!(
        rows(&session, said).await[0].starts_with("version 1 kept: "),
        "{:?}",
        rows(&session, said).await
    );

    // A bound that nothing meets, then another query.
    declare(dir.path(), "retrain_above: 0.001", 7);
    run(&engine, &project).await;
    assert_eq!(rows(&session, versions).await, ["1|1", "2|3"]);
    assert!(
        rows(&session, said).await[0].contains("above its bound 0.001"),
        "{:?}",
        rows(&session, said).await
    );
    declare(dir.path(), "retrain_above: 1.5", 9);
    std::fs::remove_file(dir.path().join("sql/marts/a_week_ahead.sql")).unwrap();
    run(&engine, &project).await;
    assert_eq!(rows(&session, versions).await, ["1|1", "2|3", "3|4"]);
    assert!(
        rows(&session, said).await[0].contains("its query was changed"),
        "{:?}",
        rows(&session, said).await
    );

    // On demand.
    let trained = smartsneaks_etl::train(&engine, &project, &["demand".to_owned()], &Silent).await.unwrap();
    assert_eq!((trained.version, trained.models.len()), (5, 1));
    assert_eq!(rows(&session, versions).await.last().unwrap(), "4|5");
    let error = smartsneaks_etl::train(&engine, &project, &["demnd".to_owned()], &Silent).await.unwrap_err();
    assert!(error.to_string().contains("demnd"), "{error}");
    assert_eq!(error.hint(), Some("did you mean demand?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_trains_again_what_can_not_be_judged() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, project) = project(dir.path(), "retrain_above: 1.5").await;
    // Three weeks, of which no four can be held out.
    let query = "SELECT * FROM forecast((SELECT sku, date, qty FROM sku_city_daily WHERE date > DATE '2026-03-10'), \
                 data_col => 'qty', timestamp_col => 'date', id_cols => ARRAY['sku'], horizon => 28)";
    std::fs::write(dir.path().join("sql/ml/demand.sql"), query).unwrap();
    run(&engine, &project).await;
    run(&engine, &project).await;
    let session = engine.session(SessionOptions::default());
    let said = "SELECT detail FROM etl.checks WHERE model = 'ml.demand' ORDER BY run_id DESC LIMIT 1";
    let detail = rows(&session, said).await.remove(0);
    assert!(detail.starts_with("version 2 trained: it could not be judged, "), "{detail}");
    assert!(detail.contains("no series is long enough to hold its last 28 days out"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_an_earlier_release_gets_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo(dir.path()).await.unwrap();
    let session = owner(&engine);
    done(&session, CREATE).await.unwrap();
    // As the first release wrote it.
    let old =
        "SELECT name, version, warehouse_version, function, query, metrics, bytes, created_at FROM ml.models";
    let batches = session.collect(old).await.unwrap();
    let schema = batches[0].schema();
    let stream = futures::stream::iter(batches.into_iter().map(Ok));
    let mut transaction = engine.lake().begin("earlier").await.unwrap();
    let rows_of = Box::pin(RecordBatchStreamAdapter::new(schema, stream));
    transaction.write("ml.models", WriteMode::Overwrite, &[], rows_of).await.unwrap();
    transaction.commit().await.unwrap();

    let again = "CREATE OR REPLACE MODEL demand AS \
                 SELECT * FROM forecast('*', as_of => TIMESTAMP '2026-01-31 10:00:00')";
    done(&session, again).await.unwrap();
    let lines = "SELECT version, coalesce(arguments LIKE '%as_of => ''2026-01-31_10:00:00''%', false), \
                 sha256 IS NULL FROM ml.models WHERE name = 'demand' ORDER BY version";
    assert_eq!(rows(&session, lines).await, ["1|false|true", "2|true|false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_a_model_says_what_is_wrong_with_it() {
    for (header, says) in [
        ("key: [sku]", "a learned model has no key"),
        ("kind: full", "sql/ml holds learned models"),
        ("retrain_above: -1", "retrain_above must be above 0"),
        ("retrain_above: often", "floating point"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (engine, project) = project(dir.path(), header).await;
        let error =
            smartsneaks_etl::run(&engine, &project, &Selection::default(), &Silent).await.unwrap_err();
        assert!(error.message().contains(says) && error.place().is_some(), "{header}: {error}");
    }
}
