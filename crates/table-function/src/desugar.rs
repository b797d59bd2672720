//! The step between parsing and planning: every table that a call will read is written into the statement.
//!
//! DataFusion looks tables up before it plans (`SessionState::resolve_table_references` walks the statement), so
//! `forecast('SKU1')` must name the default series table by then. The step adds hidden arguments, which
//! the [`relation_planner`](crate::relation_planner) takes out again:
//!
//! | written | becomes |
//! |---|---|
//! | `forecast('SKU1')` | `forecast('SKU1', __relation => (SELECT * FROM public.sku_city_daily), __table => ARRAY['public', 'sku_city_daily'])` |
//! | `best_days('Salem')`, a function in SQL | `(SELECT … WHERE city = 'Salem' …) AS best_days` |
//! | `forecast(TABLE t)`, t with a series header | `forecast((SELECT * FROM t), __table => ARRAY['t'])` |

use std::ops::ControlFlow;

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Array, Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Ident, ObjectName, Query, SetExpr,
    Spanned, Statement, TableAlias, TableFactor, TableFunctionArgs, Value, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;
use smartsneaks_sql_walk::WalkMut;

use crate::error::ArgumentError;
use crate::function::{Function, Registry, SeriesCatalog};
use crate::signature::Signature;
use crate::sql_function::SqlFunction;

/// How deep functions in SQL may call each other.
const MAX_DEPTH: usize = 8;

/// Hidden argument: the sub-query that reads the default series table.
pub(crate) const RELATION: &str = "__relation";
/// Hidden argument: the name parts of the table whose series header counts.
pub(crate) const TABLE: &str = "__table";

/// Writes the tables that calls of `registry`'s functions read into `statement`. Run it once, on the parsed statement.
///
/// # Errors
/// An [`ArgumentError`] when a key is asked for and there is no default series table, or when a hidden argument is used.
pub fn desugar(
    statement: &mut Statement,
    registry: &Registry,
    series: &dyn SeriesCatalog,
) -> Result<(), DataFusionError> {
    match statement.walk_mut(&mut Desugar { registry, series, scopes: Vec::new(), depth: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

struct Desugar<'a> {
    registry: &'a Registry,
    series: &'a dyn SeriesCatalog,
    /// Names of the CTEs in scope, one list a query: a CTE hides the table of the same name and has no header.
    scopes: Vec<Vec<String>>,
    /// How many bodies of functions in SQL this text stands in.
    depth: usize,
}

impl VisitorMut for Desugar<'_> {
    type Break = ArgumentError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.scopes.push(ctes.map(|cte| normal(&cte.alias.name)).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(call) = expr
            && let Some(function) = function_name(&call.name).and_then(|name| self.registry.get(&name))
        {
            let signature = function.signature();
            let error = ArgumentError::new(signature.name, "gives rows, not a value");
            let hint = format!("write it after FROM, as in: {}", signature.example);
            return ControlFlow::Break(error.with_hint(hint).with_span(Some(call.name.span())));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, args: Some(arguments), alias, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if let Some(function) = function_name(name).and_then(|name| self.series.sql_function(&name)) {
            return match self.inline(&function, arguments, alias.take(), name.span()) {
                Ok(body) => {
                    *factor = body;
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            };
        }
        // A function over rows reads what its argument says and nothing else.
        let called = function_name(name).and_then(|name| self.registry.called(&name, &arguments.args));
        let Some(Function::Series(function)) = called else {
            return ControlFlow::Continue(());
        };
        match self.call(function.signature(), arguments) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Desugar<'_> {
    /// The body of a function in SQL, desugared in turn. The arguments were desugared where they stand.
    fn inline(
        &self,
        function: &SqlFunction,
        arguments: &TableFunctionArgs,
        alias: Option<TableAlias>,
        span: Span,
    ) -> Result<TableFactor, ArgumentError> {
        if self.depth >= MAX_DEPTH {
            let message = format!("functions in SQL call each other more than {MAX_DEPTH} deep");
            return Err(ArgumentError::new(&function.name, message).with_span(Some(span)));
        }
        let mut body = function.query()?;
        let mut inner = Desugar {
            registry: self.registry,
            series: self.series,
            scopes: Vec::new(),
            depth: self.depth + 1,
        };
        if let ControlFlow::Break(error) = body.walk_mut(&mut inner) {
            return Err(error);
        }
        function.expand(body, arguments, alias, span)
    }

    fn call(&self, signature: &Signature, arguments: &mut TableFunctionArgs) -> Result<(), ArgumentError> {
        let mut first = None;
        for argument in &arguments.args {
            let name = argument_name(argument);
            if name.as_deref() == Some(RELATION) || name.as_deref() == Some(TABLE) {
                let name = name.unwrap_or_default();
                let error = ArgumentError::new(signature.name, format!("unknown argument '{name}'"));
                return Err(error.with_span(Some(argument.span())));
            }
            let series = signature.arguments.first().map(|argument| argument.name);
            if first.is_none() && (name.is_none() || name.as_deref() == series) {
                first = argument_expr(argument);
            }
        }
        match first {
            Some(Expr::Subquery(query)) => {
                if let Some(parts) = plain_table(query).map(|name| parts(&name))
                    && !self.is_cte(&parts)
                    && self.series.series(&parts).is_some()
                {
                    arguments.args.push(hidden(TABLE, name_array(&parts)));
                }
                Ok(())
            }
            // A bare name, or nothing: the planner says what is wrong.
            None | Some(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => Ok(()),
            Some(key) => {
                let Some((parts, _)) = self.series.default_series() else {
                    let message = "there is no default series table to look a key up in";
                    let hint =
                        "name a table, as in TABLE my_daily_sales, or set default_series in smartsneaks.toml";
                    return Err(ArgumentError::new(signature.name, message)
                        .with_hint(hint)
                        .with_span(Some(key.span())));
                };
                let Some(relation) = select_all(object_name(&parts)) else {
                    let message = format!(
                        "the default series table {} has an unusable name",
                        crate::source::quoted(&parts)
                    );
                    return Err(ArgumentError::new(signature.name, message));
                };
                arguments.args.push(hidden(RELATION, Expr::Subquery(relation)));
                arguments.args.push(hidden(TABLE, name_array(&parts)));
                Ok(())
            }
        }
    }

    fn is_cte(&self, parts: &[String]) -> bool {
        matches!(parts, [name] if self.scopes.iter().flatten().any(|cte| cte == name))
    }
}

/// Text of an identifier as PostgreSQL reads it: lower case unless quoted.
pub(crate) fn normal(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name of a call, when it is one word.
pub(crate) fn function_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(normal),
        _ => None,
    }
}

/// The name in `name => value`; `None` for a positional argument.
pub(crate) fn argument_name(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Named { name, .. } => Some(normal(name)),
        FunctionArg::ExprNamed { name: Expr::Identifier(name), .. } => Some(normal(name)),
        FunctionArg::ExprNamed { name, .. } => Some(name.to_string()),
        FunctionArg::Unnamed(_) => None,
    }
}

/// The value in `name => value`; `None` for `*`.
pub(crate) fn argument_expr(argument: &FunctionArg) -> Option<&Expr> {
    let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) =
        argument;
    match arg {
        FunctionArgExpr::Expr(expr) => Some(expr),
        _ => None,
    }
}

/// The table of a query that is just `SELECT * FROM table`.
pub(crate) fn plain_table(query: &Query) -> Option<ObjectName> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, .. } = &from.relation else { return None };
    // Equality ignores positions; any further clause makes the two differ.
    (*select_all(name.clone())? == *query).then(|| name.clone())
}

/// The query `SELECT * FROM name`.
fn select_all(name: ObjectName) -> Option<Box<Query>> {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql("SELECT * FROM t");
    let mut query = parser.and_then(|mut parser| parser.parse_query()).ok()?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let [from] = select.from.as_mut_slice()
        && let TableFactor::Table { name: place, .. } = &mut from.relation
    {
        *place = name;
        return Some(query);
    }
    None
}

fn object_name(parts: &[String]) -> ObjectName {
    ObjectName::from(parts.iter().map(|part| Ident::with_quote('"', part)).collect::<Vec<_>>())
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(normal).collect()
}

fn name_array(parts: &[String]) -> Expr {
    let elem = parts.iter().map(|part| Expr::value(Value::SingleQuotedString(part.clone()))).collect();
    Expr::Array(Array { elem, named: true })
}

fn hidden(name: &str, value: Expr) -> FunctionArg {
    FunctionArg::Named {
        name: Ident::new(name),
        arg: FunctionArgExpr::Expr(value),
        operator: FunctionArgOperator::RightArrow,
    }
}
