//! Names of result columns as PostgreSQL gives them.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr,
};

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

fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |p| p.value.clone()),
        Expr::Function(function) if is_first_value(expr) => match &function.args {
            FunctionArguments::List(list) => match list.args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) => column_name(inner),
                _ => "?column?".to_owned(),
            },
            _ => "?column?".to_owned(),
        },
        Expr::Function(function) => match function.name.to_string().to_lowercase().as_str() {
            TO_TEXT => "array_to_string".to_owned(),
            "pg_regclass" => "regclass".to_owned(),
            other => other.to_owned(),
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => column_name(expr),
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
                _ => "?column?".to_owned(),
            },
            _ => "?column?".to_owned(),
        },
        _ => "?column?".to_owned(),
    }
}

fn is_first_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(f) if f.name.to_string() == "first_value")
}
