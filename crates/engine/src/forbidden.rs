//! What a query may not ask for: files of the server, and clauses that the planner would drop silently.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Statement, TableFactor, Visitor};
use smartsneaks_sql_walk::Walk;

use crate::error::{Error, Kind};

/// Endings of files that other engines read when they stand in FROM.
const FILE_ENDINGS: &[&str] =
    &[".csv", ".csv.gz", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".avro", ".arrow", ".txt"];

/// Refuses statements that name files (42501) or use a clause that is not implemented (0A000).
///
/// # Errors
/// As said, pointing at the name.
pub(crate) fn check(statement: &Statement) -> Result<(), Error> {
    match statement.walk(&mut Check) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Check;

impl Visitor for Check {
    type Break = Error;

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<Error> {
        let looks_like_file = name.0.iter().filter_map(|p| p.as_ident()).any(|ident| {
            ident.quote_style == Some('\'') || (ident.quote_style.is_some() && is_path(&ident.value))
        });
        if looks_like_file || has_file_ending(name) {
            return ControlFlow::Break(
                Error::new(Kind::Forbidden, format!("{name} would read a file of the server"))
                    .with_hint("declare it as a source in smartsneaks.toml and load it with a model in sql/"),
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        let unsupported = |what: &str, hint: &str| {
            ControlFlow::Break(
                Error::new(Kind::Unsupported, format!("{what} is not supported")).with_hint(hint),
            )
        };
        let TableFactor::Table { version, sample, name, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        // DataFusion drops both without a word, and would read the wrong rows.
        if version.is_some() {
            return unsupported(
                "AS OF in FROM",
                "name the version as a schema, as in \"@12\".fact_sales, or SET warehouse.as_of",
            );
        }
        if sample.is_some() {
            return unsupported("TABLESAMPLE", "filter with random() < 0.1");
        }
        if args.is_some() && name.to_string().to_lowercase().starts_with("read_") {
            let error = Error::new(Kind::Forbidden, format!("{name} would read a file of the server"));
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}

fn is_path(text: &str) -> bool {
    text.contains('/') || text.contains('\\') || ends_like_file(text)
}

/// `orders.csv` reads as schema and table; no schema of ours has tables of these names.
fn has_file_ending(name: &ObjectName) -> bool {
    let written: Vec<&str> = name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect();
    written.len() > 1 && ends_like_file(&written.join("."))
}

fn ends_like_file(text: &str) -> bool {
    let lower = text.to_lowercase();
    FILE_ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Statement as Parsed;

    fn state(sql: &str) -> Option<&'static str> {
        check(Parsed::parse(sql).unwrap()[0].ast().unwrap()).err().map(|e| e.sqlstate())
    }

    #[test]
    fn paths_are_refused_and_names_are_not() {
        for sql in [
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"/etc/passwd\"",
            "SELECT * FROM 'orders.csv'",
            "SELECT * FROM orders.csv",
            "SELECT * FROM \"s3://bucket/x.parquet\"",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM 'x.json')",
            "WITH a AS (SELECT * FROM '/x') SELECT * FROM a",
        ] {
            assert_eq!(state(sql), Some("42501"), "{sql}");
        }
        assert_eq!(state("SELECT * FROM public.fact_sales f JOIN \"@12\".fact_sales o ON true"), None);
    }

    #[test]
    fn dropped_clauses_are_refused() {
        assert_eq!(state("SELECT * FROM fact_sales TABLESAMPLE BERNOULLI (10)"), Some("0A000"));
    }
}
