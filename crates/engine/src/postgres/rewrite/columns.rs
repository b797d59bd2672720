//! Names of result columns as PostgreSQL gives them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CaseWhen, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Value, ValueWithSpan, Visitor,
};
use smartsneaks_sql_walk::Walk;

use super::catalog::TO_TEXT;

/// Gives unnamed columns the names that PostgreSQL gives them, and numbers those that are there already: DataFusion refuses
/// two of one name.
pub(super) fn name_columns(select: &mut Select) {
    let wildcards: Vec<String> = select.projection.iter().filter_map(wildcard).collect();
    let mut used: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            _ => None,
        })
        .collect();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        // A wildcard of the same table brings the column, too.
        let doubled = matches!(&*expr, Expr::CompoundIdentifier(parts)
            if wildcards.iter().any(|w| parts.first().is_some_and(|p| p.value == *w)))
            || (matches!(expr, Expr::Identifier(_)) && wildcards.iter().any(String::is_empty));
        let name = column_name(expr);
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_column && !doubled && used.insert(name.clone()) {
            continue;
        }
        let mut unique = if doubled { format!("{name}_") } else { name.clone() };
        let mut number = 1;
        while !used.insert(unique.clone()) {
            number += 1;
            unique = format!("{name}_{number}");
        }
        let expr = std::mem::replace(expr, super::null());
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', unique) };
    }
}

/// The names that PostgreSQL gives the columns of a query's result; `None` where a wildcard decides how many there are.
pub(super) fn result_names(query: &Query) -> Option<Vec<String>> {
    let select = leading_select(&query.body)?;
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(normal(alias)),
        _ => None,
    };
    select.projection.iter().map(name).collect()
}

/// Gives the second of two equal columns, or of two equal aliases, an alias of its own: DataFusion refuses equal names,
/// and [`result_names`] gives both their name back.
pub(super) fn tell_apart(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let mut seen: Vec<SelectItem> = Vec::new();
    for (position, item) in select.projection.iter_mut().enumerate() {
        let twin = |other: &SelectItem| match (other, &*item) {
            (SelectItem::UnnamedExpr(one), SelectItem::UnnamedExpr(other)) => {
                // DataFusion calls every sub-query alike.
                one == other || (has_query(one) && has_query(other))
            }
            (
                SelectItem::ExprWithAlias { alias: one, .. },
                SelectItem::ExprWithAlias { alias: other, .. },
            ) => normal(one) == normal(other),
            _ => false,
        };
        if !seen.iter().any(twin) {
            seen.push(item.clone());
            continue;
        }
        let alias = Ident::with_quote('"', format!("{DOUBLE}{position}"));
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let expr = std::mem::replace(expr, super::null());
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

fn has_query(expr: &Expr) -> bool {
    struct Queries;
    impl Visitor for Queries {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    expr.walk(&mut Queries).is_break()
}

/// Begins the aliases that [`tell_apart`] gives, which no client sees.
const DOUBLE: &str = "__double_";

/// The first SELECT of a set operation names its columns.
fn leading_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => leading_select(left),
        SetExpr::Query(query) => leading_select(&query.body),
        _ => None,
    }
}

/// Text of an identifier as PostgreSQL reads it: lower case unless quoted.
fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The table of `t.*`, empty for `*`.
fn wildcard(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::Wildcard(_) => Some(String::new()),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone())
        }
        _ => None,
    }
}

/// What PostgreSQL calls a column that nothing names.
const UNNAMED: &str = "?column?";

/// PostgreSQL's own name of a type, by which it calls a cast literal.
fn type_name(data_type: &DataType) -> String {
    let written = data_type.to_string().to_lowercase();
    let bare = written.split(['(', '[']).next().unwrap_or_default().trim();
    match bare {
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "double precision" | "double" => "float8",
        "real" => "float4",
        "boolean" => "bool",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        other => other,
    }
    .to_owned()
}

fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => normal(ident),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, normal),
        Expr::Function(function) if is_first_value(expr) => match &function.args {
            FunctionArguments::List(list) => match list.args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) => column_name(inner),
                _ => UNNAMED.to_owned(),
            },
            _ => UNNAMED.to_owned(),
        },
        Expr::Function(function) => match function.name.to_string().to_lowercase().as_str() {
            TO_TEXT => "array_to_string".to_owned(),
            "pg_regclass" => "regclass".to_owned(),
            other => other.rsplit('.').next().unwrap_or(other).to_owned(),
        },
        Expr::Cast { expr, data_type, .. } => match column_name(expr) {
            // A literal is called after the type that it is cast to.
            name if name == UNNAMED => type_name(data_type),
            name => name,
        },
        Expr::Nested(expr) | Expr::Collate { expr, .. } => column_name(expr),
        Expr::Value(ValueWithSpan { value: Value::Boolean(_), .. }) => "bool".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::TypedString(typed) => type_name(&typed.data_type),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Tuple(_) => "row".to_owned(),
        Expr::Case { else_result: Some(result), .. } if column_name(result) != UNNAMED => {
            match result.as_ref() {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => column_name(result),
                _ => "case".to_owned(),
            }
        }
        // What became of a sub-query whose outer condition was taken out of it.
        Expr::Case { conditions, else_result: None, .. }
            if matches!(conditions.as_slice(), [CaseWhen { result: Expr::Subquery(_), .. }]) =>
        {
            conditions.first().map_or_else(String::new, |c| column_name(&c.result))
        }
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => column_name(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => alias.value.clone(),
                _ => UNNAMED.to_owned(),
            },
            _ => UNNAMED.to_owned(),
        },
        _ => UNNAMED.to_owned(),
    }
}

fn is_first_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(f) if f.name.to_string() == "first_value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Statement as Parsed;
    use datafusion::sql::sqlparser::ast::Statement;

    fn names(sql: &str) -> Option<Vec<String>> {
        let parsed = Parsed::parse(sql).unwrap();
        let Statement::Query(query) = parsed[0].ast().unwrap().as_ref() else { panic!("no query") };
        result_names(query)
    }

    /// PostgreSQL 15's names.
    #[test]
    fn columns_are_called_as_postgresql_calls_them() {
        for (item, name) in [
            ("count(*)", "count"),
            ("SUM(a)", "sum"),
            ("Brand", "brand"),
            ("\"Brand\"", "Brand"),
            ("t.a", "a"),
            ("a + 1", "?column?"),
            ("1", "?column?"),
            ("'x'::text", "text"),
            ("a::text", "a"),
            ("1::bigint", "int8"),
            ("date '2026-01-01'", "date"),
            ("true", "bool"),
            ("interval '1 day'", "interval"),
            ("CASE WHEN a THEN 1 END", "case"),
            ("CASE WHEN a THEN 1 ELSE b END", "b"),
            ("coalesce(a, b)", "coalesce"),
            ("(SELECT max(a) FROM t)", "max"),
            ("EXISTS (SELECT 1)", "exists"),
            ("sum(a) OVER ()", "sum"),
            ("extract(year FROM a)", "extract"),
            ("pg_catalog.version()", "version"),
            ("a AS Total", "total"),
        ] {
            assert_eq!(names(&format!("SELECT {item} FROM t")), Some(vec![name.to_owned()]), "{item}");
        }
        assert_eq!(names("SELECT 1 UNION SELECT a FROM t"), Some(vec!["?column?".to_owned()]));
        assert_eq!(names("SELECT *, 1 FROM t"), None);
    }
}
