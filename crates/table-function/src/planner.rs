//! From a call in FROM to a [`SeriesNode`]: names, types and values of the arguments are checked here.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, cast, lit};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, ObjectName, Query, Spanned, TableAlias, TableFactor,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::argument::{Arguments, constant, parameter_type, type_placeholders};
use crate::desugar::{RELATION, TABLE, function_name, normal};
use crate::error::ArgumentError;
use crate::function::{Call, Function, PlanContext, Registry, SeriesSpec, TableFunction};
use crate::given::{Given, decides_columns};
use crate::known::{self, KnownColumns};
use crate::node::{Pending, SeriesNode};
use crate::relation;
use crate::signature::{Argument, Kind, Signature};
use crate::source::{AsOf, Columns, Key, Shape, Source, quoted};
use crate::stored::{MODEL, Purpose};

/// Plans calls of the functions in a [`Registry`], on the version that its [`PlanContext`] pins. See the crate's
/// documentation for where it is registered.
#[derive(Debug)]
pub(crate) struct TableFunctionPlanner {
    registry: Arc<Registry>,
    context: PlanContext,
    /// Taken by the first call that is planned, the outermost.
    purpose: Mutex<Purpose>,
}

impl TableFunctionPlanner {
    /// A planner for statements that read the version in `context`.
    pub(crate) fn new(registry: Arc<Registry>, context: PlanContext) -> Self {
        let purpose = Mutex::new(context.purpose.clone());
        Self { registry, context, purpose }
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
        let Some(function) = function_name(name).and_then(|name| self.registry.called(&name, arguments))
        else {
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
            // As in PostgreSQL the rows are called after the function: forecast.sku, JOIN … USING.
            TableFactor::Table { alias, .. } => alias.clone().or_else(|| Some(called(name))),
            _ => return Err(fault("LATERAL is not supported: give an array of keys, '*' or a sub-query")),
        };
        let given = Given::read(signature, arguments)?;
        let purpose = std::mem::take(&mut *self.purpose.lock().unwrap_or_else(PoisonError::into_inner));
        let plan = match function {
            Function::Series(function) => {
                CallPlanner { function, signature, plan: &self.context, given, purpose }.plan(context)?
            }
            Function::Relation(_) if !matches!(purpose, Purpose::Rows) => {
                return Err(fault("learns nothing that could be kept as a model"));
            }
            Function::Relation(function) => relation::plan(function, &given, self.context.version, context)?,
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The alias of a call that has none.
fn called(name: &ObjectName) -> TableAlias {
    let name = function_name(name).unwrap_or_default();
    TableAlias { explicit: true, name: Ident::with_quote('"', name), columns: Vec::new(), at: None }
}

/// One call being planned.
pub(crate) struct CallPlanner<'a> {
    pub(crate) function: &'a Arc<dyn TableFunction>,
    pub(crate) signature: &'static Signature,
    plan: &'a PlanContext,
    pub(crate) given: Given,
    pub(crate) purpose: Purpose,
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
        self.given.check_names(relation.spec.as_ref().map_or(&[][..], |spec| &spec.id))?;
        let fixed = self.given.fixed(context)?;
        let key = self.key(&relation, context)?;
        let columns = self.columns(&relation, &fixed, key.as_ref())?;
        let beside = self.beside(&relation, &fixed)?;
        let filters = self.filters(&relation, context)?;
        let time = columns.time.1.clone();

        let mut arguments = fixed;
        let mut pending = Vec::new();
        let mut as_of = None;
        for written in self.given.written() {
            let Some(argument) = self.signature.argument(&written.name) else { continue };
            if matches!(argument.kind, Kind::Series | Kind::Relation) || decides_columns(argument) {
                continue;
            }
            let expr = self.given.expr(written, context)?;
            let expr = type_placeholders(expr, &parameter_type(argument.kind, &time))?;
            match constant(&expr) {
                Some(value) => arguments.give(argument, &value, written.span)?,
                None => pending.push(Pending { argument, expr: expr.clone(), span: written.span }),
            }
            if argument.name == Argument::AS_OF.name {
                as_of = Some(self.as_of(&arguments, expr, &time)?);
            }
        }

        let known = self.known(&columns, context)?;
        if let (Some(_), Some((argument, _))) = (&known, beside.first()) {
            let span = self.given.find(argument).and_then(|written| written.span);
            let message = format!("{argument} can't be given with a second relation");
            return Err(self.given.fault(message).with_span(span).into());
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
        let known = match known {
            None if !beside.is_empty() => Some(source.beside(&beside)?),
            known => known,
        };
        let (known, known_columns) = known.unzip();
        let names =
            known_columns.as_ref().map_or_else(Vec::new, |columns: &KnownColumns| columns.names.clone());
        let model = arguments.text(MODEL);
        let stored = model.and_then(|name| self.plan.series.model(name));
        let node = SeriesNode {
            function: Arc::clone(self.function),
            call: Call {
                arguments,
                time,
                value: shape.value.clone(),
                known: names,
                ids: shape.ids.clone(),
                stored,
                purpose: self.purpose.clone(),
                version: self.plan.version,
            },
            pending,
            shape: Arc::new(shape),
            input: source.plan()?,
            known,
            known_columns: known_columns.map(Arc::new),
            schema: Arc::new(schema),
        };
        node.operator(false)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    /// Plans the first argument.
    fn relation(&self, context: &mut dyn RelationPlannerContext) -> Result<Relation> {
        let Some(series) = self.signature.arguments.first() else {
            return Err(self.given.fault("takes no relation").into());
        };
        let Some(first) = self.given.find(series.name) else {
            let hint = format!("for example: {}", self.signature.example);
            let message = format!("the first argument is missing: {}", series.kind);
            return Err(self.given.fault(message).with_hint(hint).into());
        };
        let parts = self.given.find(TABLE).and_then(|table| name_parts(&table.value));
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
                Err(self.given.fault(format!("{name} is no value")).with_hint(hint).with_span(span).into())
            }
            key => {
                let Some((SqlExpr::Subquery(query), parts)) =
                    self.given.find(RELATION).map(|relation| &relation.value).zip(parts)
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
                    return Err(self.given.fault(message).with_span(span).into());
                };
                let plan = self.query(query, context)?;
                Ok(Relation { plan, spec: Some(spec), label, span, key: Some(key.clone()) })
            }
        }
    }

    /// Plans the second relation, if there is one.
    fn known(
        &self,
        columns: &Columns,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Option<(LogicalPlan, KnownColumns)>> {
        let argument = self.signature.arguments.iter().find(|argument| argument.kind == Kind::Relation);
        let Some((argument, written)) =
            argument.and_then(|argument| Some((argument, self.given.find(argument.name)?)))
        else {
            return Ok(None);
        };
        let SqlExpr::Subquery(query) = &written.value else {
            let message = format!("{} takes {}, not {}", argument.name, argument.kind, written.value);
            let hint = "write TABLE name for a table";
            return Err(self.given.fault(message).with_hint(hint).with_span(written.span).into());
        };
        let relation = self.query(query, context)?;
        known::plan(&self.given, argument.name, relation, &columns.ids, &columns.time).map(Some)
    }

    fn query(&self, query: &Query, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        context.plan(TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query.clone()),
            alias: None,
            sample: None,
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
