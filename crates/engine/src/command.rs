//! What a statement asks for: rows from the planner, a change of the session, or something that is refused.

use datafusion::sql::sqlparser::ast::{
    CloseCursor, ContextModifier, CopyTarget, DiscardObject, Expr, ObjectName, Reset, Set, Statement, Value,
};

use crate::error::{Error, Kind};
use crate::statement::ModelStatement;

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Rows that DataFusion plans; the text is the word of its command tag.
    Query(&'static str),
    /// SET name = value; `None` is DEFAULT.
    Set { name: String, value: Option<String>, local: bool },
    /// SHOW name.
    Show(String),
    /// SHOW ALL.
    ShowAll,
    /// RESET ALL.
    ResetAll,
    /// BEGIN or START TRANSACTION.
    Begin(&'static str),
    /// COMMIT or END.
    Commit,
    /// ROLLBACK or ABORT.
    Rollback,
    /// SAVEPOINT and the like, which need a transaction: nothing is written, so nothing is to be kept.
    InTransaction(&'static str),
    /// Accepted without effect, answered with this tag.
    Nothing(&'static str),
    /// DISCARD ALL.
    DiscardAll,
    /// CREATE MODEL.
    CreateModel { name: String, replace: bool },
    /// DROP MODEL.
    DropModel { name: String, if_exists: bool },
}

/// Decides what a statement asks for; `None` for an empty one.
///
/// # Errors
/// Those of [`classify`].
pub(crate) fn command(statement: &crate::statement::Statement) -> Result<Option<Command>, Error> {
    match statement.model() {
        Some(ModelStatement::Create { name, replace, .. }) => {
            Ok(Some(Command::CreateModel { name: name.clone(), replace: *replace }))
        }
        Some(ModelStatement::Drop { name, if_exists }) => {
            Ok(Some(Command::DropModel { name: name.clone(), if_exists: *if_exists }))
        }
        None => statement.ast().map(|ast| classify(ast)).transpose(),
    }
}

/// Decides from the parsed statement what it asks for.
///
/// # Errors
/// 42501 for what would touch the server's files, 25006 for what would write, 0A000 for what is not built.
pub(crate) fn classify(statement: &Statement) -> Result<Command, Error> {
    Ok(match statement {
        Statement::Query(_) => Command::Query("SELECT"),
        Statement::Explain { statement, .. } => match classify(statement)? {
            Command::Query(_) => Command::Query("EXPLAIN"),
            _ => return Err(Error::new(Kind::Unsupported, "only queries can be explained")),
        },
        Statement::ExplainTable { .. } => Command::Query("EXPLAIN"),
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } => Command::Query("SHOW"),
        Statement::ShowVariable { variable } => {
            let words: Vec<&str> = variable.iter().map(|i| i.value.as_str()).collect();
            show(&words)
        }
        Statement::Set(set) => set_command(set)?,
        Statement::Reset(reset) => match &reset.reset {
            Reset::ALL => Command::ResetAll,
            Reset::ConfigurationParameter(name) => {
                Command::Set { name: dotted(name), value: None, local: false }
            }
        },
        Statement::StartTransaction { begin, .. } => {
            Command::Begin(if *begin { "BEGIN" } else { "START TRANSACTION" })
        }
        Statement::Commit { .. } => Command::Commit,
        Statement::Rollback { savepoint: None, .. } => Command::Rollback,
        Statement::Rollback { .. } => Command::InTransaction("ROLLBACK"),
        Statement::Savepoint { .. } => Command::InTransaction("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Command::InTransaction("RELEASE"),
        Statement::Discard { object_type: DiscardObject::ALL } => Command::DiscardAll,
        Statement::Discard { object_type } => Command::Nothing(match object_type {
            DiscardObject::PLANS => "DISCARD PLANS",
            DiscardObject::SEQUENCES => "DISCARD SEQUENCES",
            _ => "DISCARD TEMP",
        }),
        Statement::Deallocate { .. } => Command::Nothing("DEALLOCATE"),
        Statement::Close { cursor: CloseCursor::All } => Command::Nothing("CLOSE CURSOR ALL"),
        Statement::UNLISTEN { .. } => Command::Nothing("UNLISTEN"),
        Statement::Copy { to, target, .. } => return Err(copy(*to, target)),
        Statement::Insert(_) => return Err(read_only("INSERT")),
        Statement::Update(_) => return Err(read_only("UPDATE")),
        Statement::Delete(_) => return Err(read_only("DELETE")),
        Statement::Merge(_) => return Err(read_only("MERGE")),
        Statement::Truncate(_) => return Err(read_only("TRUNCATE")),
        Statement::CreateTable(_) => return Err(read_only("CREATE TABLE")),
        Statement::CreateView(_) => return Err(read_only("CREATE VIEW")),
        Statement::CreateSchema { .. } => return Err(read_only("CREATE SCHEMA")),
        Statement::CreateIndex(_) => return Err(read_only("CREATE INDEX")),
        Statement::AlterTable(_) => return Err(read_only("ALTER TABLE")),
        Statement::Drop { .. } => return Err(read_only("DROP")),
        other => {
            let words = other.to_string();
            let first: Vec<&str> = words.split_whitespace().take(2).collect();
            return Err(Error::new(Kind::Unsupported, format!("{} is not supported", first.join(" ")))
                .with_hint("SELECT, EXPLAIN, SHOW, SET, BEGIN, COMMIT and ROLLBACK are"));
        }
    })
}

fn show(words: &[&str]) -> Command {
    let joined = words.join(" ").to_lowercase();
    match joined.as_str() {
        "all" => Command::ShowAll,
        "time zone" => Command::Show("timezone".to_owned()),
        "transaction isolation level" => Command::Show("transaction_isolation".to_owned()),
        "session authorization" => Command::Show("session_authorization".to_owned()),
        _ => Command::Show(words.join(".").to_lowercase()),
    }
}

fn set_command(set: &Set) -> Result<Command, Error> {
    Ok(match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            let local = matches!(scope, Some(ContextModifier::Local));
            Command::Set { name: dotted(variable), value: setting_value(values)?, local }
        }
        Set::SetTimeZone { local, value } => Command::Set {
            name: "timezone".to_owned(),
            value: setting_value(std::slice::from_ref(value))?,
            local: *local,
        },
        Set::SetNames { charset_name, .. } => Command::Set {
            name: "client_encoding".to_owned(),
            value: Some(charset_name.value.clone()),
            local: false,
        },
        Set::SetNamesDefault {} | Set::SetRole { .. } | Set::SetTransaction { .. } => Command::Nothing("SET"),
        other => {
            return Err(Error::new(Kind::Unsupported, format!("{other} is not supported"))
                .with_hint("write SET name = value"));
        }
    })
}

fn setting_value(values: &[Expr]) -> Result<Option<String>, Error> {
    let mut out = Vec::with_capacity(values.len());
    for value in values {
        out.push(match value {
            Expr::Value(v) => match &v.value {
                Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) => s.clone(),
                other => other.to_string(),
            },
            Expr::Identifier(i) if i.quote_style.is_none() && i.value.eq_ignore_ascii_case("default") => {
                return Ok(None);
            }
            Expr::Identifier(i) => i.value.clone(),
            Expr::UnaryOp { .. } | Expr::CompoundIdentifier(_) | Expr::Interval(_) => value.to_string(),
            other => {
                return Err(Error::new(
                    Kind::InvalidParameter,
                    format!("SET takes a name, a number or a text, found {other}"),
                ));
            }
        });
    }
    Ok(Some(out.join(", ")))
}

fn dotted(name: &ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.to_lowercase()).collect();
    parts.join(".")
}

fn copy(to: bool, target: &CopyTarget) -> Error {
    match target {
        CopyTarget::File { .. } | CopyTarget::Program { .. } => {
            let what = if to { "write" } else { "read" };
            Error::new(Kind::Forbidden, format!("COPY would {what} a file of the server"))
                .with_hint("psql's \\copy and `smartsneaks sql --format csv` write files of the client")
        }
        _ if to => Error::new(Kind::Unsupported, "COPY TO STDOUT is not supported")
            .with_hint("run the query and let the client write the rows"),
        _ => read_only("COPY FROM"),
    }
}

fn read_only(what: &str) -> Error {
    Error::new(Kind::ReadOnly, format!("cannot execute {what}: the warehouse is written by its ETL alone"))
        .with_hint("change a model in sql/ and run `smartsneaks run`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Statement as Parsed;

    fn command(sql: &str) -> Result<Command, Error> {
        classify(Parsed::parse(sql).unwrap()[0].ast().unwrap())
    }

    #[test]
    fn files_of_the_server_are_out_of_reach() {
        for sql in [
            "COPY fact_sales TO '/tmp/x.csv'",
            "COPY fact_sales FROM '/etc/passwd'",
            "COPY (SELECT 1) TO '/tmp/x.parquet'",
            "COPY fact_sales TO PROGRAM 'sh'",
            "CREATE EXTERNAL TABLE t (a INT) STORED AS CSV LOCATION '/etc/passwd'",
        ] {
            let error = match Parsed::parse(sql) {
                Ok(parsed) => classify(parsed[0].ast().unwrap()).unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(error.sqlstate(), "42501", "{sql}: {error}");
        }
    }

    #[test]
    fn session_statements_are_told_from_their_tree() {
        let set = |name: &str, value: Option<&str>, local| Command::Set {
            name: name.into(),
            value: value.map(str::to_owned),
            local,
        };
        assert_eq!(
            command("SET statement_timeout = '1s'").unwrap(),
            set("statement_timeout", Some("1s"), false)
        );
        assert_eq!(command("SET LOCAL search_path TO a, b").unwrap(), set("search_path", Some("a, b"), true));
        assert_eq!(
            command("SET TIME ZONE 'Asia/Kolkata'").unwrap(),
            set("timezone", Some("Asia/Kolkata"), false)
        );
        assert_eq!(command("RESET statement_timeout").unwrap(), set("statement_timeout", None, false));
        assert_eq!(
            command("SHOW transaction isolation level").unwrap(),
            Command::Show("transaction_isolation".into())
        );
        assert_eq!(command("SHOW warehouse.as_of").unwrap(), Command::Show("warehouse.as_of".into()));
        assert_eq!(command("END").unwrap(), Command::Commit);
        assert_eq!(command("SAVEPOINT a").unwrap(), Command::InTransaction("SAVEPOINT"));
        assert_eq!(command("EXPLAIN ANALYZE SELECT 1").unwrap(), Command::Query("EXPLAIN"));
    }

    #[test]
    fn writes_say_who_writes() {
        for sql in ["INSERT INTO t VALUES (1)", "DELETE FROM t", "CREATE TABLE t (a INT)", "DROP TABLE t"] {
            assert_eq!(command(sql).unwrap_err().sqlstate(), "25006", "{sql}");
        }
    }
}
