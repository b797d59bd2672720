//! Sub-queries in forms that DataFusion can join.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident,
    LimitClause, OrderBy, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, TableFactor, Value,
    ValueWithSpan, Visitor, VisitorMut,
};
use smartsneaks_sql_walk::{Walk, WalkMut, walk_expressions, walk_expressions_mut};

use super::call;

/// The one column of a query that is neither grouped nor aggregated.
fn only_column(query: &mut Query) -> Option<&mut Expr> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    if select.distinct.is_some() || select.having.is_some() || select.from.is_empty() {
        return None;
    }
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    else {
        return None;
    };
    (!is_aggregated(expr)).then_some(expr)
}

fn is_aggregated(expr: &Expr) -> bool {
    const AGGREGATES: &[&str] = &[
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "first_value",
        "json_agg",
        "json_object_agg",
        "max",
        "min",
        "string_agg",
        "sum",
    ];
    /// Looks at the expression itself, not at queries within it.
    struct Outside(usize);
    impl Visitor for Outside {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(f)
                    if self.0 == 0 && AGGREGATES.contains(&f.name.to_string().to_lowercase().as_str()) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.walk(&mut Outside(0)).is_break()
}

/// Whether DataFusion has a plan for a sub-query, and the condition on the outer row that was taken out of it.
///
/// What it has no plan for becomes NULL: clients ask it of rows that a warehouse has none of (policies, publications,
/// triggers, sequences, options).
#[expect(clippy::large_enum_variant, reason = "made once a sub-query and taken apart at once")]
enum Joinable {
    Yes(Option<Expr>),
    No,
}

/// `(SELECT x FROM …)` is joined only when it is seen to have one row, and when what it says of the outer row are equalities.
pub(super) fn scalar(mut query: Box<Query>) -> Expr {
    let Joinable::Yes(guard) = decorrelate(&mut query) else { return super::null() };
    aggregated(&mut query, "first_value");
    guarded(guard, query)
}

/// `EXISTS (SELECT …)` among the results of a query is `(SELECT count(1) > 0 …)`: DataFusion knows EXISTS in conditions alone.
/// A sub-query that groups, or leaves rows out, stays as it is.
pub(super) fn count_existing(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    let _ = expr.walk_mut(&mut Existing(0));
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            count_existing(left);
            count_existing(right);
        }
        SetExpr::Query(query) => count_existing(&mut query.body),
        _ => {}
    }
}

/// Looks at an expression itself, not at conditions of the queries within; the number of those that it is in.
struct Existing(usize);

impl VisitorMut for Existing {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.0 == 0
            && let Expr::Exists { subquery, negated } = expr
            && counts(subquery, *negated)
        {
            let query = std::mem::replace(expr, super::null());
            if let Expr::Exists { subquery, .. } = query {
                *expr = Expr::Subquery(subquery);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Makes a query say whether it has rows, or none; false where its form doesn't allow it.
fn counts(query: &mut Query, none: bool) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, modifiers) if by.is_empty() && modifiers.is_empty());
    // A function may make a row of all, or none or several of one.
    let calls = walk_expressions(select.projection.as_slice(), |expr| match expr {
        Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    // A limit of some rows leaves one if there is any.
    let some = match &query.limit_clause {
        None => true,
        Some(LimitClause::LimitOffset { limit: Some(Expr::Value(limit)), offset: None, limit_by }) => {
            limit_by.is_empty() && matches!(&limit.value, Value::Number(number, _) if number != "0")
        }
        _ => false,
    };
    if grouped
        || calls.is_break()
        || select.qualify.is_some()
        || !some
        || query.fetch.is_some()
        || select.having.is_some()
        || select.from.is_empty()
    {
        return false;
    }
    let number = |number: &str| Expr::Value(ValueWithSpan::from(Value::Number(number.to_owned(), false)));
    let op = if none { BinaryOperator::Eq } else { BinaryOperator::Gt };
    let count = aggregate("count", number("1"), Vec::new());
    let told = Expr::BinaryOp { left: Box::new(count), op, right: Box::new(number("0")) };
    select.projection = vec![SelectItem::UnnamedExpr(told)];
    (select.distinct, query.order_by, query.limit_clause) = (None, None, None);
    true
}

/// `ARRAY(SELECT x FROM … ORDER BY y)` is `(SELECT array_agg(x ORDER BY y) FROM …)`.
pub(super) fn array(mut query: Box<Query>) -> Option<Expr> {
    let Joinable::Yes(guard) = decorrelate(&mut query) else { return Some(super::null()) };
    aggregated(&mut query, "array_agg").then(|| guarded(guard, query))
}

fn guarded(guard: Option<Expr>, query: Box<Query>) -> Expr {
    let Some(condition) = guard else { return Expr::Subquery(query) };
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: Expr::Subquery(query) }],
        else_result: None,
    }
}

fn aggregated(query: &mut Query, name: &str) -> bool {
    let order = sort_keys(query);
    let Some(column) = only_column(query) else { return false };
    let value = std::mem::replace(column, super::null());
    let order = order.into_iter().map(|key| resolved(key, &value)).collect();
    *column = aggregate(name, value, order);
    query.order_by = None;
    query.limit_clause = None;
    true
}

/// Whether FROM calls a function with columns, as in `FROM unnest(outer.column)`.
fn calls_with_outer_row(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let factors = select
        .from
        .iter()
        .flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    factors.into_iter().any(|factor| match factor {
        TableFactor::Table { args: Some(args), .. } => names_columns(args.args.as_slice()),
        TableFactor::Function { args, .. } => names_columns(args.as_slice()),
        TableFactor::UNNEST { array_exprs, .. } => names_columns(array_exprs.as_slice()),
        _ => false,
    })
}

fn names_columns(arguments: &(impl Walk + ?Sized)) -> bool {
    let found = walk_expressions(arguments, |e| match e {
        Expr::CompoundIdentifier(_) | Expr::Identifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Takes conditions on the outer row alone out of WHERE, and returns them; in the others, writes the inner column wherever an
/// equality says that an outer one is the same.
fn decorrelate(query: &mut Query) -> Joinable {
    if calls_with_outer_row(query) {
        return Joinable::No;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return Joinable::Yes(None) };
    let names = select
        .from
        .iter()
        .flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)))
        .map(name_of);
    let Some(inner) = names.collect::<Option<Vec<String>>>() else { return Joinable::Yes(None) };
    if inner.is_empty() {
        return Joinable::Yes(None);
    }
    if select.projection.iter().any(|item| mentions(item, |parts| is_outer(parts, &inner))) {
        return Joinable::No;
    }
    let Some(selection) = select.selection.take() else { return Joinable::Yes(None) };
    let mut all = Vec::new();
    conjuncts(selection, &mut all);
    let (outer, mut rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|e| only_outer(e, &inner));
    let same: Vec<(usize, Expr, Expr)> = rest
        .iter()
        .enumerate()
        .filter_map(|(at, e)| equality(e, &inner).map(|(outer, inner)| (at, outer, inner)))
        .collect();
    for (at, condition) in rest.iter_mut().enumerate() {
        let _ = walk_expressions_mut(condition, |e| {
            if let Some((.., known)) = same.iter().find(|(from, outer, _)| *from != at && outer == e) {
                *e = known.clone();
            }
            ControlFlow::<()>::Continue(())
        });
    }
    let joinable = rest.iter().all(|e| is_joinable(e, &inner));
    select.selection = rest.into_iter().reduce(and);
    if joinable { Joinable::Yes(outer.into_iter().reduce(and)) } else { Joinable::No }
}

/// An equality with the outer row on one side only, or nothing about the outer row.
fn is_joinable(expr: &Expr, inner: &[String]) -> bool {
    let about = |e: &Expr, outer: bool| mentions(e, |parts| is_outer(parts, inner) == outer);
    if !about(expr, true) {
        return true;
    }
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else { return false };
    (about(left, true) && !about(left, false) && !about(right, true))
        || (about(right, true) && !about(right, false) && !about(left, true))
}

/// Whether a qualified column for which `wanted` holds is named.
fn mentions(expr: &impl Walk, wanted: impl Fn(&[Ident]) -> bool) -> bool {
    let found = walk_expressions(expr, |e| match e {
        Expr::CompoundIdentifier(parts) if wanted(parts) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

fn conjuncts(expr: Expr, out: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(*left, out);
            conjuncts(*right, out);
        }
        other => out.push(other),
    }
}

/// What columns of a relation in FROM are qualified with.
fn name_of(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.value.clone()),
        TableFactor::Table { name, .. } => Some(name.0.last()?.as_ident()?.value.clone()),
        _ => None,
    }
}

fn is_outer(parts: &[Ident], inner: &[String]) -> bool {
    let qualifier = parts.len().checked_sub(2).and_then(|at| parts.get(at));
    qualifier.is_some_and(|p| !inner.contains(&p.value))
}

fn only_outer(expr: &Expr, inner: &[String]) -> bool {
    let mut outer = false;
    let found = walk_expressions(expr, |e| match e {
        Expr::CompoundIdentifier(parts) if is_outer(parts, inner) => {
            outer = true;
            ControlFlow::Continue(())
        }
        Expr::CompoundIdentifier(_) | Expr::Identifier(_) | Expr::Subquery(_) | Expr::Exists { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    outer && found.is_continue()
}

/// The outer and the inner column of `inner.x = outer.y`.
fn equality(expr: &Expr, inner: &[String]) -> Option<(Expr, Expr)> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else { return None };
    let (Expr::CompoundIdentifier(l), Expr::CompoundIdentifier(r)) = (left.as_ref(), right.as_ref()) else {
        return None;
    };
    match (is_outer(l, inner), is_outer(r, inner)) {
        (true, false) => Some((left.as_ref().clone(), right.as_ref().clone())),
        (false, true) => Some((right.as_ref().clone(), left.as_ref().clone())),
        _ => None,
    }
}

fn sort_keys(query: &Query) -> Vec<OrderByExpr> {
    match &query.order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) => keys.clone(),
        _ => Vec::new(),
    }
}

/// `ORDER BY 1` means the column.
fn resolved(mut key: OrderByExpr, column: &Expr) -> OrderByExpr {
    if let Expr::Value(ValueWithSpan { value: Value::Number(..), .. }) = key.expr {
        key.expr = column.clone();
    }
    key
}

fn aggregate(name: &str, value: Expr, order: Vec<OrderByExpr>) -> Expr {
    let mut out = call(Ident::new(name), vec![value]);
    if let Expr::Function(function) = &mut out
        && let FunctionArguments::List(list) = &mut function.args
        && !order.is_empty()
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    out
}
