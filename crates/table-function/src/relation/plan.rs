//! From a call in FROM to a [`RelationNode`].

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Query, Spanned, TableFactor};

use super::{OtherRelation, RelationCall, RelationFunction, RelationNode};
use crate::argument::{constant, parameter_type, type_placeholders};
use crate::error::ArgumentError;
use crate::given::{Given, Written, decides_columns};
use crate::node::Pending;
use crate::signature::Kind;

/// Plans one call.
pub(crate) fn plan(
    function: &Arc<dyn RelationFunction>,
    given: &Given,
    version: i64,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    given.check_names(&[])?;
    let (label, relation) = relation(given, context)?;
    let other = other(given, context)?;
    let mut arguments = given.fixed(context)?;
    let mut pending = Vec::new();
    for written in given.written() {
        let Some(argument) = given.signature().argument(&written.name) else { continue };
        if matches!(argument.kind, Kind::Relation | Kind::Items) || decides_columns(argument) {
            continue;
        }
        let expr = given.expr(written, context)?;
        let expr = type_placeholders(expr, &parameter_type(argument.kind, &DataType::Date32))?;
        match constant(&expr) {
            Some(value) => arguments.give(argument, &value, written.span)?,
            None => pending.push(Pending { argument, expr: expr.clone(), span: written.span }),
        }
    }
    let schema = Arc::new(relation.schema().as_arrow().clone());
    let (other, other_plan) = other.unzip();
    let call = RelationCall { arguments, schema, label, other, version };
    let binding = function.bind(&call)?;
    let input = read(relation, &binding.input)?;
    let other = match (&call.other, other_plan) {
        (Some(other), Some(plan)) => Some(read(plan, &function.bind_other(&call, other)?)?),
        _ => None,
    };
    let schema = Arc::new(DFSchema::try_from(Schema::new(binding.output.clone()))?);
    let node = RelationNode {
        function: Arc::clone(function),
        call,
        pending,
        binding: Arc::new(binding),
        input,
        other,
        schema,
    };
    node.operator(false)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The columns at some positions of a relation, by names that are theirs alone.
fn read(relation: LogicalPlan, positions: &[usize]) -> Result<LogicalPlan> {
    let columns = relation.schema().columns();
    let read = positions
        .iter()
        .enumerate()
        .map(|(place, position)| Expr::Column(columns[*position].clone()).alias(format!("__{place}")));
    let read = read.collect::<Vec<_>>();
    LogicalPlanBuilder::from(relation).project(read)?.build()
}

/// Plans the second relation, if one is given.
fn other(
    given: &Given,
    context: &mut dyn RelationPlannerContext,
) -> Result<Option<(OtherRelation, LogicalPlan)>> {
    let arguments = given.signature().arguments.iter().skip(1);
    let mut relations = arguments.filter(|argument| argument.kind == Kind::Relation);
    let Some((argument, written)) =
        relations.next().and_then(|argument| Some((argument, given.find(argument.name)?)))
    else {
        return Ok(None);
    };
    let SqlExpr::Subquery(query) = &written.value else {
        let message = format!("{} takes {}, not {}", argument.name, argument.kind, written.value);
        let hint = "write TABLE name for a table";
        return Err(given.fault(message).with_hint(hint).with_span(written.span).into());
    };
    let (label, plan) = sub_query(query, context)?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    Ok(Some((OtherRelation { argument: argument.name, schema, label }, plan)))
}

/// Plans a sub-query; what it is called in messages.
fn sub_query(query: &Query, context: &mut dyn RelationPlannerContext) -> Result<(String, LogicalPlan)> {
    let label = match crate::desugar::plain_table(query) {
        Some(name) => name.to_string(),
        None => "the sub-query".to_owned(),
    };
    let plan = context.plan(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query.clone()),
        alias: None,
        sample: None,
    })?;
    Ok((label, plan))
}

/// Plans the first argument: a sub-query, which `TABLE t` has become by now.
fn relation(given: &Given, context: &mut dyn RelationPlannerContext) -> Result<(String, LogicalPlan)> {
    let signature = given.signature();
    let fault = |message: String| ArgumentError::new(signature.name, message);
    let Some(first) = signature.arguments.first() else {
        return Err(fault("takes no relation".into()).into());
    };
    let hint = format!("for example: {}", signature.example);
    let Some(written) = given.find(first.name) else {
        return Err(fault(format!("the first argument is missing: {}", first.kind)).with_hint(hint).into());
    };
    if first.kind == Kind::Items && !matches!(written.value, SqlExpr::Subquery(_)) {
        return items(given, written, context);
    }
    let SqlExpr::Subquery(query) = &written.value else {
        let span = Some(written.value.span());
        let message = format!("{} takes {}, not {}", first.name, first.kind, written.value);
        return Err(fault(message).with_hint(hint).with_span(span).into());
    };
    let (label, plan) = sub_query(query, context)?;
    // A name that two columns share could be asked for by nobody.
    let mut names = plan.schema().columns().into_iter().map(|Column { name, .. }| name).collect::<Vec<_>>();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(fault(format!("{label} has two columns called {}", pair[0]))
            .with_hint("rename one of them in a sub-query")
            .into());
    }
    Ok((label, plan))
}

/// Plans values that stand for a relation: one row each, in a column that is called as the argument.
fn items(
    given: &Given,
    written: &Written,
    context: &mut dyn RelationPlannerContext,
) -> Result<(String, LogicalPlan)> {
    let Written { name, value, span } = written;
    let (values, label) = match value {
        SqlExpr::Array(array) => (array.elem.as_slice(), "the array"),
        value => (std::slice::from_ref(value), "the value"),
    };
    if values.is_empty() {
        return Err(given.fault(format!("{name} is an empty array")).with_span(*span).into());
    }
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        let expr = given.value(name, value, *span, context)?;
        let expr = type_placeholders(expr, &parameter_type(Kind::Items, &DataType::Date32))?;
        let found = expr.get_type(&DFSchema::empty())?;
        if !(found.is_string() || found.is_binary()) {
            let message = format!("{name} takes {}, not {value} ({found})", Kind::Items);
            return Err(given.fault(message).with_span(*span).into());
        }
        rows.push(vec![expr]);
    }
    let plan = LogicalPlanBuilder::values(rows)?;
    let columns = plan.schema().columns().into_iter().map(|column| Expr::Column(column).alias(name.as_str()));
    let columns = columns.collect::<Vec<_>>();
    Ok((label.to_owned(), plan.project(columns)?.build()?))
}
