//! PostgreSQL's spellings that DataFusion does not know, in spellings that it does.
//!
//! Two sets of rules: those that mean the same in any statement, and those that only fit questions about the catalog,
//! used when a statement names a relation of `pg_catalog` or `information_schema`.

mod cast;
pub(super) mod catalog;
mod columns;
mod distinct;
mod subquery;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Statement, TableFactor, Value, ValueWithSpan, VisitorMut,
};
use smartsneaks_sql_walk::{WalkMut, walk_relations};

/// Rewrites one statement.
pub(crate) fn rewrite(statement: &Statement) -> Statement {
    let mut statement = statement.clone();
    let _ = statement.walk_mut(&mut Everywhere);
    if about_catalog(&statement) {
        catalog::rewrite(&mut statement);
    }
    if let Statement::Query(query) = &mut statement {
        subquery::count_existing(&mut query.body);
        columns::tell_apart(query);
    }
    statement
}

/// The names of a statement's result columns as PostgreSQL gives them; `None` where they are as DataFusion has them.
pub(crate) fn result_names(statement: &Statement) -> Option<Vec<String>> {
    match statement {
        Statement::Query(query) => columns::result_names(query),
        _ => None,
    }
}

/// Whether a relation of the system's is named.
fn about_catalog(statement: &Statement) -> bool {
    let found = walk_relations(statement, |name| {
        let systems = name.0.iter().filter_map(|part| part.as_ident()).any(|ident| {
            let lower = ident.value.to_lowercase();
            lower.starts_with("pg_") || lower == "information_schema"
        });
        if systems { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found.is_break()
}

/// The rules for any statement.
struct Everywhere;

impl VisitorMut for Everywhere {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                unqualify(name)
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => unqualify(&mut function.name),
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                // Reserved words of PostgreSQL's that are calls without parentheses; no column can have their names.
                let lower = ident.value.to_lowercase();
                if matches!(lower.as_str(), "current_schema" | "current_role" | "current_catalog") {
                    *expr = call(Ident::with_span(ident.span, lower), Vec::new());
                }
            }
            Expr::Collate { expr: inner, collation } if is_bytewise(collation) => {
                let inner = std::mem::replace(inner.as_mut(), null());
                *expr = inner;
            }
            Expr::BinaryOp { op, .. } => plain_operator(op),
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                if let Some(items) = list_literal(right) {
                    **right = texts(items);
                }
            }
            Expr::Cast { .. } => cast::rewrite(expr),
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                plain_escape(pattern, escape_char);
            }
            _ => {}
        }
        distinct::mend(expr);
        ControlFlow::Continue(())
    }
}

/// DataFusion knows functions by bare names.
fn unqualify(name: &mut ObjectName) {
    let [schema, last] = name.0.as_slice() else { return };
    let Some(schema) = schema.as_ident() else { return };
    if schema.value.eq_ignore_ascii_case("pg_catalog")
        || schema.value.eq_ignore_ascii_case("information_schema")
    {
        name.0 = vec![last.clone()];
    }
}

/// Collations that order text by its bytes, as DataFusion does.
fn is_bytewise(collation: &ObjectName) -> bool {
    let last = collation.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|l| {
        ["default", "c", "posix", "ucs_basic"].iter().any(|known| l.value.eq_ignore_ascii_case(known))
    })
}

/// `OPERATOR(pg_catalog.~)` is `~`.
fn plain_operator(op: &mut BinaryOperator) {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else { return };
    let Some(name) = parts.last() else { return };
    *op = match name.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "||" => BinaryOperator::StringConcat,
        _ => return,
    };
}

/// `LIKE 'a/_b' ESCAPE '/'` is `LIKE 'a\_b'`.
fn plain_escape(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Some(ValueWithSpan { value: Value::SingleQuotedString(mark), .. }) = escape else { return };
    let mut marks = mark.chars();
    let (Some(mark), None) = (marks.next(), marks.next()) else { return };
    if mark == '\\' {
        return;
    }
    if let Some(plain) = escaped(pattern, mark) {
        *pattern = plain;
        *escape = None;
    }
}

/// A pattern of literals, alone or joined by `||`, with `\` for `mark`.
fn escaped(pattern: &Expr, mark: char) -> Option<Expr> {
    match pattern {
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => Some(Expr::BinaryOp {
            left: Box::new(escaped(left, mark)?),
            op: BinaryOperator::StringConcat,
            right: Box::new(escaped(right, mark)?),
        }),
        Expr::Nested(inner) => escaped(inner, mark),
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) => {
            let mut out = String::with_capacity(text.len());
            let mut letters = text.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    _ if letter == mark => {
                        out.push('\\');
                        out.extend(letters.next());
                    }
                    '\\' => out.push_str("\\\\"),
                    _ => out.push(letter),
                }
            }
            Some(Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(out), span: *span }))
        }
        _ => None,
    }
}

/// The items of `'{a,b}'`, where it is that simple: no quotes, no nesting.
fn list_literal(expr: &Expr) -> Option<Vec<String>> {
    let inner = literal(expr)?.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.contains(['{', '}', '"', '\\']) {
        return None;
    }
    Some(inner.split(',').map(str::trim).filter(|i| !i.is_empty()).map(str::to_owned).collect())
}

/// The text of a string literal.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

fn texts(items: Vec<String>) -> Expr {
    let text = |item| Expr::Value(Value::SingleQuotedString(item).with_empty_span());
    Expr::Array(Array { elem: items.into_iter().map(text).collect(), named: true })
}

fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

fn call(name: Ident, arguments: Vec<Expr>) -> Expr {
    let argument = |e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e));
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Statement as Parsed;

    fn rewritten(sql: &str) -> String {
        rewrite(Parsed::parse(sql).unwrap()[0].ast().unwrap()).to_string()
    }

    #[test]
    fn analysts_statements_stay_as_they_are() {
        for sql in [
            "SELECT a, count(*) FROM t GROUP BY a ORDER BY count(*) DESC LIMIT 3",
            "SELECT 'x'::TEXT, CAST(a AS BIGINT) FROM t WHERE b LIKE 'x%' AND c = ANY(ARRAY[1, 2])",
            "SELECT (SELECT max(a) FROM u WHERE u.k = t.k) FROM t",
            "SELECT name, \"current_schema\" FROM t WHERE name = 'pg_class'",
        ] {
            assert_eq!(rewritten(sql), sql);
        }
    }

    #[test]
    fn postgresqls_spellings_become_plain() {
        for (sql, plain) in [
            ("SELECT pg_catalog.upper('a')", "SELECT upper('a')"),
            ("SELECT a COLLATE pg_catalog.default", "SELECT a"),
            ("SELECT a OPERATOR(pg_catalog.~) 'x'", "SELECT a ~ 'x'"),
            ("SELECT current_schema", "SELECT current_schema()"),
            ("SELECT a LIKE 'b/_c\\d' ESCAPE '/'", "SELECT a LIKE 'b\\_c\\\\d'"),
            ("SELECT 'pg_class'::regclass", "SELECT 1259"),
            ("SELECT 'x'::pg_catalog.text", "SELECT 'x'::TEXT"),
            ("SELECT a = ANY('{b,c}')", "SELECT a = ANY(ARRAY['b', 'c'])"),
            ("SELECT '{b,c}'::text[]", "SELECT ARRAY['b', 'c']::TEXT[]"),
            ("SELECT a::name, b::oid", "SELECT a::TEXT, b::INT"),
        ] {
            assert_eq!(rewritten(sql), plain);
        }
    }

    #[test]
    fn catalog_questions_get_sub_queries_that_can_be_joined() {
        let sql =
            "SELECT (SELECT d.adbin FROM pg_attrdef d WHERE d.adrelid = a.attrelid) FROM pg_attribute a";
        assert!(rewritten(sql).starts_with("SELECT (SELECT first_value(d.adbin)"), "{}", rewritten(sql));
        let sql =
            "SELECT ARRAY(SELECT b.rolname FROM pg_roles b WHERE b.oid = r.oid ORDER BY 1) FROM pg_roles r";
        assert!(rewritten(sql).contains("array_agg(b.rolname ORDER BY b.rolname)"), "{}", rewritten(sql));
    }
}
