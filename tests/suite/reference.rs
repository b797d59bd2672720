//! The reference pages of the table functions: made from their signatures, checked here, with examples that run.
//!
//! `UPDATE_REFERENCE=1 cargo nextest run -p smartsneaks-tests reference` writes them anew.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use smartsneaks_authenticate_image::{ImageConfig, Images};
use smartsneaks_engine::{Engine, SessionOptions};
use smartsneaks_etl::model::Models;
use smartsneaks_table_function::{Function, Kind, Signature};
use smartsneaks_tests::{demo, repository};

type Family = (&'static str, Vec<Function>, Vec<(&'static str, &'static str)>);

/// The folder of each family of functions, and a call of each function over rows, whose result columns depend on it.
fn families() -> Vec<Family> {
    vec![
        ("forecast", smartsneaks_forecast::functions().into_iter().map(Function::from).collect(), vec![]),
        (
            "anomaly",
            smartsneaks_anomaly::functions(),
            vec![(
                "detect_anomalies",
                "detect_anomalies((SELECT date, orders FROM city_daily_metrics), feature_cols => ARRAY['orders'])",
            )],
        ),
        (
            "authenticate-image",
            smartsneaks_authenticate_image::functions(&Arc::new(Images::new(ImageConfig::default()))),
            vec![
                ("authenticate_image", "authenticate_image('data/photos/*.jpg')"),
                ("authentication_findings", "authentication_findings('data/photos/*.jpg')"),
            ],
        ),
        (
            "cluster",
            smartsneaks_cluster::functions(),
            vec![
                ("cluster", "cluster((SELECT * FROM rfm()), k => 3)"),
                ("cluster_profile", "cluster_profile((SELECT * FROM rfm()), k => 3)"),
                ("cluster_evaluate", "cluster_evaluate((SELECT * FROM rfm()))"),
            ],
        ),
        (
            "insights",
            smartsneaks_insights::functions(),
            vec![(
                "key_drivers",
                "key_drivers((SELECT city, qty, revenue > 0 AS label FROM sku_city_daily), 'qty')",
            )],
        ),
    ]
}

async fn schema(engine: &Arc<Engine>, sql: &str) -> Vec<Field> {
    let session = engine.session(SessionOptions::default());
    let statement = session.parse(sql).unwrap().remove(0);
    let prepared = session.prepare(&statement, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    prepared.schema().unwrap().fields().iter().map(|field| Field::clone(field)).collect()
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View => "text".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Date32 => "date".into(),
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        other => other.to_string(),
    }
}

fn section(page: &mut String, signature: &Signature, columns: &[Field]) {
    let _ = writeln!(page, "\n## {}\n\n{}\n", signature.name, signature.description);
    if !signature.aliases.is_empty() {
        let _ = writeln!(page, "Also called {}.\n", signature.aliases.join(", "));
    }
    let _ = writeln!(
        page,
        "```sql\n{signature}\n```\n\n| argument | takes | default | meaning |\n|---|---|---|---|"
    );
    for argument in signature.arguments {
        let default = match (argument.default, argument.kind) {
            (Some(default), Kind::Text | Kind::Count) => format!("`'{default}'`"),
            (Some(default), _) => format!("`{default}`"),
            (None, _) => String::new(),
        };
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", argument.name, argument.kind, argument.doc);
    }
    page.push_str(
        "\nResult columns, after the id columns where there are any:\n\n| column | type |\n|---|---|\n",
    );
    for column in columns {
        let _ = writeln!(page, "| `{}` | {} |", column.name(), type_name(column.data_type()));
    }
    let _ = writeln!(page, "\n```sql\n{};\n```", signature.example);
}

fn check(path: PathBuf, page: &str) {
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "run UPDATE_REFERENCE=1 cargo nextest run -p smartsneaks-tests reference";
    assert!(found == page, "{} is not what the code says: {hint}", path.display());
}

const MADE: &str =
    "<!-- Made from the code by tests/suite/reference.rs; edit the signatures there, not this page. -->\n";

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_current_and_examples_run() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, _) = demo(dir.path()).await.unwrap();
    let known = engine.functions().functions().len();
    let mut documented = 0;
    for (folder, functions, calls) in families() {
        let mut page = format!("{MADE}\n# Functions of `udfs/{folder}`\n");
        for function in &functions {
            let signature = function.signature();
            let columns = match function {
                Function::Series(function) => function.columns(&DataType::Date32),
                Function::Relation(_) => {
                    let call = calls.iter().find(|(name, _)| *name == signature.name).unwrap().1;
                    schema(&engine, &format!("SELECT * FROM {call}")).await
                }
            };
            section(&mut page, signature, &columns);
            run(&engine, signature.example).await;
            documented += 1;
        }
        check(repository().join("udfs").join(folder).join("reference.md"), &page);
    }
    assert_eq!(documented, known, "a family of functions has no reference page");

    let mut page = format!("{MADE}\n# Functions in SQL: `udfs/sql`\n");
    for function in Models::load(&repository()).unwrap().functions {
        let name = &function.function.name;
        let _ = writeln!(
            page,
            "\n## {name}\n\n{}\n\n| argument | default | meaning |\n|---|---|---|",
            function.description
        );
        for (argument, doc) in function.function.arguments.iter().zip(&function.docs) {
            let default =
                argument.default.as_ref().map_or_else(String::new, |default| format!("`{default}`"));
            let _ = writeln!(page, "| `{}` | {default} | {doc} |", argument.name);
        }
        let _ = writeln!(page, "\n```sql\n{};\n```", function.example);
        run(&engine, &function.example).await;
    }
    check(repository().join("udfs/sql/reference.md"), &page);
}

async fn run(engine: &Arc<Engine>, example: &str) {
    let session = engine.session(SessionOptions::default());
    let rows = session.collect(example).await.unwrap_or_else(|e| panic!("{example}: {e}"));
    assert!(rows.iter().any(|batch| batch.num_rows() > 0), "{example}: no rows");
}
