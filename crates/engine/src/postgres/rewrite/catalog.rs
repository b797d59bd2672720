//! Rules for questions about the catalog.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, Select, Statement, TableAlias, TableFactor, Value, VisitorMut,
};
use smartsneaks_sql_walk::WalkMut;

use super::{call, columns, list_literal, literal, subquery};
use crate::postgres::tables;

/// Joins the items of an array; text stays as it is, for the general tables write their arrays as text.
pub(in crate::postgres) const TO_TEXT: &str = "pg_array_to_text";

/// `information_schema._pg_expandarray` as one array of (x, n).
pub(in crate::postgres) const EXPANDED: &str = "pg_expanded_array";

/// Applies them all.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.walk_mut(&mut Catalog);
}

struct Catalog;

impl VisitorMut for Catalog {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor {
            information_schema(name, alias);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(query) => *expr = subquery::scalar(query.clone()),
            Expr::Function(_) => function(expr),
            Expr::CompoundFieldAccess { root, access_chain } if matches!(root.as_ref(), Expr::Nested(_)) => {
                access_chain.iter_mut().for_each(field);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } => {
                compare(left, right);
                compare(right, left);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        columns::name_columns(select);
        ControlFlow::Continue(())
    }
}

/// Relations of `information_schema` that are ours stand in `pg_catalog` under their qualified names.
fn information_schema(name: &mut ObjectName, alias: &mut Option<TableAlias>) {
    let idents: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
    let Some([schema, table]) = idents.as_deref() else { return };
    let qualified = format!("{}.{}", schema.value.to_lowercase(), table.value.to_lowercase());
    if !tables::is_information_schema(&qualified) {
        return;
    }
    if alias.is_none() {
        *alias = Some(TableAlias { explicit: true, name: (*table).clone(), columns: Vec::new(), at: None });
    }
    *name = vec![Ident::with_span(schema.span, "pg_catalog"), Ident::with_quote('"', qualified)].into();
}

fn function(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let name = function.name.to_string().to_lowercase();
    match (name.as_str(), &mut function.args) {
        ("array", FunctionArguments::Subquery(query)) => {
            if let Some(joined) = subquery::array(query.clone()) {
                *expr = joined;
            }
        }
        ("array_to_string", _) => function.name = vec![Ident::new(TO_TEXT)].into(),
        ("_pg_expandarray", _) => {
            function.name = vec![Ident::new(EXPANDED)].into();
            *expr = call(Ident::new("unnest"), vec![expr.clone()]);
        }
        ("generate_subscripts", FunctionArguments::List(list)) => {
            let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(array))) = list.args.first() else { return };
            let length = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(call(Ident::new("cardinality"), vec![array.clone()])),
                data_type: DataType::BigInt(None),
                array: false,
                format: None,
            };
            let one = Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
            let numbers = call(Ident::new("generate_series"), vec![one, length]);
            *expr = call(Ident::new("unnest"), vec![numbers]);
        }
        _ => {}
    }
}

/// `(record).x` is written with the field's name as text.
fn field(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
        *access =
            AccessExpr::Dot(Expr::Value(Value::SingleQuotedString(ident.value.clone()).with_empty_span()));
    }
}

/// `indisprimary = 't'` compares a boolean, `polroles = '{0}'` an array.
fn compare(column: &Expr, value: &mut Expr) {
    let Some(text) = literal(value) else { return };
    let name = match column {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(last) => last,
            None => return,
        },
        _ => return,
    };
    if tables::is_boolean(&name.value)
        && let Some(truth) = match text {
            "t" | "true" => Some(true),
            "f" | "false" => Some(false),
            _ => None,
        }
    {
        *value = Expr::Value(Value::Boolean(truth).with_empty_span());
    } else if let Some(items) = list_literal(value) {
        *value = array(items);
    }
}

fn array(items: Vec<String>) -> Expr {
    if !items.iter().all(|i| i.parse::<i32>().is_ok()) {
        return super::texts(items);
    }
    let number = |i| Expr::Value(Value::Number(i, false).with_empty_span());
    Expr::Array(Array { elem: items.into_iter().map(number).collect(), named: true })
}
