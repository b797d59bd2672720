//! From a call in FROM to a [`SeriesNode`]: names, types and values of the arguments are checked here.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, cast, lit};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, FunctionArg, Query, Spanned, TableFactor};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::argument::{Arguments, constant, parameter_type, type_placeholders};
use crate::desugar::{RELATION, TABLE, argument_expr, argument_name, function_name, normal};
use crate::error::{ArgumentError, nearest};
use crate::function::{Call, PlanContext, Registry, SeriesSpec, TableFunction};
use crate::node::{Pending, SeriesNode};
use crate::signature::{Argument, Kind, Signature};
use crate::source::{AsOf, Key, Shape, Source, quoted};

/// Plans calls of the functions in a [`Registry`], on the version that its [`PlanContext`] pins. See the crate's
/// documentation for where it is registered.
#[derive(Debug)]
pub(crate) struct TableFunctionPlanner {
    registry: Arc<Registry>,
    context: PlanContext,
}

impl TableFunctionPlanner {
    /// A planner for statements that read the version in `context`.
    pub(crate) fn new(registry: Arc<Registry>, context: PlanContext) -> Self {
        Self { registry, context }
    }
}

impl RelationPlanner for TableFunctionPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (name, arguments) = match &relation {
            TableFactor::Table { name, args: Some(args), .. } => (name, args.args.as_slice()),
            TableFactor::Function { name, args, .. } => (name, args.as_slice()),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let Some(function) = function_name(name).and_then(|name| self.registry.get(&name)) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let signature = function.signature();
        let fault = |message: &str| -> DataFusionError {
            ArgumentError::new(signature.name, message).with_span(Some(name.span())).into()
        };
        let alias = match &relation {
            TableFactor::Table { with_ordinality: true, .. } => {
                return Err(fault(
                    "WITH ORDINALITY is not supported: horizon_step and the like number the rows",
                ));
            }
            TableFactor::Table { version: Some(_), .. } | TableFactor::Table { sample: Some(_), .. } => {
                return Err(fault("a version or sample belongs to the table inside the parentheses"));
            }
            TableFactor::Table { alias, .. } => alias.clone(),
            _ => return Err(fault("LATERAL is not supported: give an array of keys, '*' or a sub-query")),
        };
        let call =
            CallPlanner { function, signature, plan: &self.context, given: read(signature, arguments)? };
        let plan = call.plan(context)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// An argument as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) value: SqlExpr,
    pub(crate) span: Option<Span>,
}

/// Names the arguments: positional ones by their place. Refuses an argument given twice.
fn read(signature: &'static Signature, arguments: &[FunctionArg]) -> Result<Vec<Written>, ArgumentError> {
    let mut given: Vec<Written> = Vec::with_capacity(arguments.len());
    let mut named = false;
    for (position, argument) in arguments.iter().enumerate() {
        let span = Some(argument.span());
        let fault = |message: String| ArgumentError::new(signature.name, message).with_span(span);
        let name = match argument_name(argument) {
            Some(name) => {
                named = true;
                name
            }
            None if named => {
                let hint = "write name => value";
                return Err(fault("a positional argument stands after a named one".into()).with_hint(hint));
            }
            None => match signature.arguments.get(position) {
                Some(argument) => argument.name.to_string(),
                None => {
                    let most = signature.arguments.len();
                    return Err(fault(format!(
                        "{} arguments given, at most {most} are taken",
                        arguments.len()
                    )));
                }
            },
        };
        let Some(value) = argument_expr(argument) else {
            let hint = "for every key write '*' in single quotes";
            return Err(fault("* is no value".into()).with_hint(hint));
        };
        if given.iter().any(|written| written.name == name) {
            return Err(fault(format!("argument '{name}' is given twice")));
        }
        given.push(Written { name, value: value.clone(), span });
    }
    Ok(given)
}

/// One call being planned.
pub(crate) struct CallPlanner<'a> {
    pub(crate) function: &'a Arc<dyn TableFunction>,
    pub(crate) signature: &'static Signature,
    plan: &'a PlanContext,
    pub(crate) given: Vec<Written>,
}

/// The relation that is read, before its columns are chosen.
pub(crate) struct Relation {
    pub(crate) plan: LogicalPlan,
    /// The series header of its table.
    pub(crate) spec: Option<SeriesSpec>,
    /// In words.
    pub(crate) label: String,
    /// Where it stands.
    pub(crate) span: Option<Span>,
    /// Only some keys of it are read, or `'*'`.
    pub(crate) key: Option<SqlExpr>,
}

impl CallPlanner<'_> {
    fn plan(&self, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let relation = self.relation(context)?;
        self.check_names(relation.spec.as_ref())?;
        let fixed = self.fixed(context)?;
        let key = self.key(&relation, context)?;
        let columns = self.columns(&relation, &fixed, key.as_ref())?;
        let filters = self.filters(&relation, context)?;
        let time = columns.time.1.clone();

        let mut arguments = fixed;
        let mut pending = Vec::new();
        let mut as_of = None;
        for written in &self.given {
            let Some(argument) = self.signature.argument(&written.name) else { continue };
            if argument.kind == Kind::Series || decides_columns(argument) {
                continue;
            }
            let expr = self.expr(written, context)?;
            let expr = type_placeholders(expr, &parameter_type(argument.kind, &time))?;
            match constant(&expr) {
                Some(value) => arguments.give(argument, &value, written.span)?,
                None => pending.push(Pending { argument, expr: expr.clone(), span: written.span }),
            }
            if argument.name == Argument::AS_OF.name {
                as_of = Some(self.as_of(&arguments, expr, &time)?);
            }
        }

        let filters_said = filters.iter().map(|(_, said)| said.as_str()).collect::<String>();
        let is_key = !matches!(key.as_ref().map(|(key, _)| key), None | Some(Key::All));
        let shape = Shape {
            ids: columns.ids.iter().map(|(column, _)| column.name.clone()).collect(),
            time: columns.time.0.name.clone(),
            value: columns.value.0.name.clone(),
            key: is_key,
            source: relation.label.clone(),
            filters: filters_said,
        };
        let schema = self.schema(&columns, &shape)?;
        let (key, key_column) = key.map_or((Key::All, None), |(key, column)| (key, Some(column)));
        let filters = filters.into_iter().map(|(filter, _)| filter).collect();
        let source = Source { relation: relation.plan, columns, key_column, key, filters, as_of };
        let node = SeriesNode {
            function: Arc::clone(self.function),
            call: Call { arguments, time, version: self.plan.version },
            pending,
            shape: Arc::new(shape),
            input: source.plan()?,
            schema: Arc::new(schema),
        };
        node.operator(false)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    pub(crate) fn fault(&self, message: impl Into<String>) -> ArgumentError {
        ArgumentError::new(self.signature.name, message)
    }

    pub(crate) fn written(&self, name: &str) -> Option<&Written> {
        self.given.iter().find(|written| written.name == name)
    }

    /// Plans the first argument.
    fn relation(&self, context: &mut dyn RelationPlannerContext) -> Result<Relation> {
        let Some(series) = self.signature.arguments.first() else {
            return Err(self.fault("takes no relation").into());
        };
        let Some(first) = self.written(series.name) else {
            let hint = format!("for example: {}", self.signature.example);
            let message = format!("the first argument is missing: {}", series.kind);
            return Err(self.fault(message).with_hint(hint).into());
        };
        let parts = self.written(TABLE).and_then(|table| name_parts(&table.value));
        let span = Some(first.value.span());
        match &first.value {
            SqlExpr::Subquery(query) => {
                let spec = parts.as_ref().and_then(|parts| self.plan.series.series(parts));
                let label = spec.as_ref().and(parts).map_or("the sub-query".into(), |parts| quoted(&parts));
                let plan = self.query(query, context)?;
                Ok(Relation { plan, spec, label, span, key: None })
            }
            SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_) => {
                let name = &first.value;
                let bare = match name {
                    SqlExpr::Identifier(ident) => ident.value.clone(),
                    name => name.to_string(),
                };
                let hint = format!("write TABLE {name} for a table, '{bare}' in single quotes for a key");
                Err(self.fault(format!("{name} is no value")).with_hint(hint).with_span(span).into())
            }
            key => {
                let Some((SqlExpr::Subquery(query), parts)) =
                    self.written(RELATION).map(|relation| &relation.value).zip(parts)
                else {
                    return Err(DataFusionError::Internal("desugar was not called on this statement".into()));
                };
                let spec = match self.plan.series.default_series() {
                    Some((default, spec)) if default == parts => Some(spec),
                    _ => self.plan.series.series(&parts),
                };
                let label = quoted(&parts);
                let Some(spec) = spec else {
                    let message = format!("the default series table {label} has no series header");
                    return Err(self.fault(message).with_span(span).into());
                };
                let plan = self.query(query, context)?;
                Ok(Relation { plan, spec: Some(spec), label, span, key: Some(key.clone()) })
            }
        }
    }

    fn query(&self, query: &Query, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        context.plan(TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query.clone()),
            alias: None,
            sample: None,
        })
    }

    /// Refuses names that are neither arguments nor id columns of the table.
    fn check_names(&self, spec: Option<&SeriesSpec>) -> Result<(), ArgumentError> {
        let ids = spec.map_or(&[][..], |spec| &spec.id);
        let arguments = || self.signature.arguments.iter().map(|argument| argument.name);
        for Written { name, span, .. } in &self.given {
            let known = arguments().any(|argument| argument == name) || ids.contains(name);
            if known || name == RELATION || name == TABLE {
                continue;
            }
            let mut valid = arguments().collect::<Vec<_>>().join(", ");
            if !ids.is_empty() {
                valid = format!("{valid}; filters: {}", ids.join(", "));
            }
            let error = self.fault(format!("unknown argument '{name}'; valid: {valid}")).with_span(*span);
            return Err(match nearest(name, arguments().chain(ids.iter().map(String::as_str))) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        }
        Ok(())
    }

    /// The arguments that decide the columns of the result, which a statement must have before it is bound.
    fn fixed(&self, context: &mut dyn RelationPlannerContext) -> Result<Arguments> {
        let mut arguments = Arguments::new(self.signature);
        for written in &self.given {
            let Some(argument) =
                self.signature.argument(&written.name).filter(|found| decides_columns(found))
            else {
                continue;
            };
            // ARRAY[] has no type that DataFusion could plan.
            if matches!(&written.value, SqlExpr::Array(array) if array.elem.is_empty()) {
                let empty = ScalarValue::List(ScalarValue::new_list(&[], &DataType::Utf8, true));
                arguments.give(argument, &empty, written.span)?;
                continue;
            }
            let expr = self.expr(written, context)?;
            let Some(value) = constant(&expr) else {
                let message =
                    format!("{} must be a constant: it decides the columns of the result", argument.name);
                return Err(self.fault(message).with_span(written.span).into());
            };
            arguments.give(argument, &value, written.span)?;
        }
        Ok(arguments)
    }

    /// Plans the value of an argument, which can't read columns.
    pub(crate) fn expr(&self, written: &Written, context: &mut dyn RelationPlannerContext) -> Result<Expr> {
        self.value(&written.name, &written.value, written.span, context)
    }

    pub(crate) fn value(
        &self,
        name: &str,
        value: &SqlExpr,
        span: Option<Span>,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Expr> {
        let fault = |message| self.fault(message).with_span(Some(value.span())).with_span(span);
        if let SqlExpr::Identifier(ident) = value {
            let hint = format!("write text in single quotes: '{}'", ident.value);
            return Err(fault(format!("{name} must be a constant, not the column {value}"))
                .with_hint(hint)
                .into());
        }
        if matches!(value, SqlExpr::Subquery(_)) {
            return Err(fault(format!("{name} must be a constant, not a sub-query")).into());
        }
        context.sql_to_expr(value.clone(), &DFSchema::empty()).map_err(|error| match &error {
            DataFusionError::SchemaError(_, _) => {
                fault(format!("{name} must be a constant, not {value}")).into()
            }
            _ => error,
        })
    }

    /// Where history ends. A date means its whole day where times are timestamps.
    fn as_of(&self, arguments: &Arguments, expr: Expr, time: &DataType) -> Result<AsOf> {
        let Some(moment) = arguments.moment(Argument::AS_OF.name) else {
            let limit = cast(expr, time.clone());
            return Ok(AsOf { limit: limit.clone(), inclusive: true, last: limit });
        };
        if let (ScalarValue::Date32(Some(day)), DataType::Timestamp(_, _)) = (moment, time)
            && let Some(midnight) = (i64::from(*day) + 1).checked_mul(86_400_000_000)
        {
            let at = |micros| ScalarValue::TimestampMicrosecond(Some(micros), None).cast_to(time).map(lit);
            return Ok(AsOf { limit: at(midnight)?, inclusive: false, last: at(midnight - 1)? });
        }
        let limit = lit(moment.cast_to(time)?);
        Ok(AsOf { limit: limit.clone(), inclusive: true, last: limit })
    }
}

/// Whether the columns of the result depend on the argument.
fn decides_columns(argument: &Argument) -> bool {
    [Argument::ID_COLS, Argument::DATA_COL, Argument::TIMESTAMP_COL]
        .iter()
        .any(|fixed| fixed.name == argument.name)
}

/// The texts of the hidden `ARRAY['public', 'sku_city_daily']`.
fn name_parts(value: &SqlExpr) -> Option<Vec<String>> {
    let SqlExpr::Array(array) = value else { return None };
    array
        .elem
        .iter()
        .map(|element| match element {
            SqlExpr::Value(value) => value.value.clone().into_string(),
            SqlExpr::Identifier(ident) => Some(normal(ident)),
            _ => None,
        })
        .collect()
}
