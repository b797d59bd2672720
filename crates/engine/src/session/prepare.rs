//! Statement → plan, with the types of its parameters and of its columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use futures::future::BoxFuture;
use smartsneaks_lake::Version;
use smartsneaks_table_function::Purpose;

use super::Session;
use crate::command::{Command, command};
use crate::error::{self, Error, Kind};
use crate::forbidden;
use crate::opaque::Opaque;
use crate::plans::{self, Key};
use crate::statement::Statement;

/// A planned statement: executed any number of times, planned again by itself when the warehouse moved on.
#[derive(Debug, Clone)]
pub struct Prepared {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    statement: Statement,
    command: Option<Command>,
    declared: Vec<Option<DataType>>,
    version: Arc<Version>,
    /// None for what has no plan, and for a query whose optimised plan is held ([`Plans`](crate::plans::Plans)).
    plan: Option<Opaque<LogicalPlan>>,
    repeatable: bool,
    parameter_types: Vec<DataType>,
    schema: Option<SchemaRef>,
}

impl Prepared {
    /// The type of `$1`, `$2`, …: as declared, else as the plan wants it, else text.
    #[must_use]
    pub fn parameter_types(&self) -> &[DataType] {
        &self.inner.parameter_types
    }

    /// The columns of the result; `None` for a statement without rows.
    #[must_use]
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.inner.schema.as_ref()
    }

    /// The warehouse version that it was planned on.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.inner.version
    }

    /// The statement that was prepared.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.inner.statement
    }

    pub(super) fn command(&self) -> Option<&Command> {
        self.inner.command.as_ref()
    }

    pub(super) fn plan(&self) -> Option<&Opaque<LogicalPlan>> {
        self.inner.plan.as_ref()
    }

    /// Whether the plan means the same each time it runs on its version.
    pub(super) fn is_repeatable(&self) -> bool {
        self.inner.repeatable
    }

    pub(super) fn declared(&self) -> &[Option<DataType>] {
        &self.inner.declared
    }
}

impl Session {
    /// Plans a statement on the version that this session reads now. `parameter_types` are those that the client
    /// declared, `None` or missing for those to be inferred. A failure inside a transaction makes the transaction fail.
    ///
    /// # Errors
    /// Whatever is wrong with the statement, with its position where one is known.
    pub fn prepare<'a>(
        &'a self,
        statement: &'a Statement,
        parameter_types: &'a [Option<DataType>],
    ) -> BoxFuture<'a, Result<Prepared, Error>> {
        Box::pin(async move {
            let result = self.prepare_statement(statement, parameter_types).await;
            if result.is_err() {
                self.fail();
            }
            result
        })
    }

    async fn prepare_statement(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, Error> {
        let command = command(statement)?;
        if !matches!(command, Some(Command::Commit | Command::Rollback | Command::InTransaction(_)) | None) {
            self.refuse_if_failed()?;
        }
        let mut inner = Inner {
            statement: statement.clone(),
            declared: parameter_types.to_vec(),
            version: self.version().await?,
            plan: None,
            repeatable: false,
            parameter_types: Vec::new(),
            schema: None,
            command,
        };
        match &inner.command {
            Some(Command::Query(word)) => {
                let key = self.plan_key(statement, word, &inner.version, parameter_types);
                if let Some(ready) = key.and_then(|key| self.engine.plans().get(&key)) {
                    inner.schema = Some(Arc::clone(&ready.schema));
                    return Ok(Prepared { inner: Arc::new(inner) });
                }
                let planned = self.plan(statement, &inner.version, parameter_types, Purpose::Rows).await?;
                inner.plan = Some(planned.plan);
                inner.repeatable = planned.repeatable;
                inner.parameter_types = planned.parameter_types;
                inner.schema = Some(planned.schema);
            }
            Some(Command::Show(name)) => {
                if self.setting(name).is_none() {
                    return Err(crate::variables::unknown(name));
                }
                inner.schema = Some(Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, false)])));
            }
            Some(Command::ShowAll) => {
                let field = |name| Field::new(name, DataType::Utf8, false);
                inner.schema =
                    Some(Arc::new(Schema::new(["name", "setting", "description"].map(field).to_vec())));
            }
            _ => {}
        }
        Ok(Prepared { inner: Arc::new(inner) })
    }

    /// What the plan of a statement is held under; None where none may be held.
    pub(super) fn plan_key(
        &self,
        statement: &Statement,
        word: &str,
        version: &Version,
        declared: &[Option<DataType>],
    ) -> Option<Key> {
        if word != "SELECT" || !declared.is_empty() || self.sources.is_some() {
            return None;
        }
        let time_zone = self.setting("timezone")?;
        Key::new(statement.text(), version.number, &time_zone)
    }

    pub(super) async fn plan(
        &self,
        statement: &Statement,
        version: &Arc<Version>,
        declared: &[Option<DataType>],
        purpose: Purpose,
    ) -> Result<Planned, Error> {
        let Some(ast) = statement.ast().cloned() else {
            return Err(Error::new(Kind::Internal, "an empty statement has no plan"));
        };
        forbidden::check(&ast)?;
        let planning = self.planning(Arc::clone(version))?;
        let state = planning.state_for(purpose)?;
        let declared = declared.to_vec();
        let names = crate::postgres::result_names(&ast);
        let task = self.engine.cpu().spawn(async move {
            let plan = planning.plan(&state, crate::postgres::rewrite(&ast)).await?;
            finish(&state, plan, &declared, names.as_deref())
        });
        let planned = match task.await {
            Ok(planned) => planned,
            Err(e) => return Err(Error::new(Kind::Internal, format!("planning failed: {e}")).with_source(e)),
        };
        planned.map_err(|e| {
            let place = error::place(&e);
            statement.locate(Error::from(e), place)
        })
    }
}

pub(super) struct Planned {
    pub(super) plan: Opaque<LogicalPlan>,
    pub(super) repeatable: bool,
    parameter_types: Vec<DataType>,
    pub(super) schema: SchemaRef,
}

/// The columns under other names, which may be equal.
pub(super) fn renamed<'a>(schema: &Schema, names: impl Iterator<Item = &'a str>) -> SchemaRef {
    let fields = schema.fields().iter().zip(names);
    let fields = fields.map(|(field, name)| Field::clone(field).with_name(name)).collect::<Vec<_>>();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Types every placeholder and analyses the plan once, so that Describe tells what Execute will send.
fn finish(
    state: &SessionState,
    plan: LogicalPlan,
    declared: &[Option<DataType>],
    names: Option<&[String]>,
) -> DfResult<Planned> {
    let plan = type_placeholders(plan, &|index| declared.get(index).cloned().flatten())?;
    let mut inferred: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    for (name, data_type) in plan.get_parameter_types()? {
        inferred.insert(index(&name)?, data_type);
    }
    let count = declared.len().max(inferred.keys().next_back().map_or(0, |last| last + 1));
    let parameter_types: Vec<DataType> = (0..count)
        .map(|i| {
            let known = declared.get(i).cloned().flatten().or_else(|| inferred.get(&i).cloned().flatten());
            known.filter(|t| *t != DataType::Null).unwrap_or(DataType::Utf8)
        })
        .collect();
    let plan = type_placeholders(plan, &|index| parameter_types.get(index).cloned())?;
    let analysed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let schema = analysed.schema().as_arrow();
    let schema = match names {
        Some(names) if names.len() == schema.fields().len() => {
            renamed(schema, names.iter().map(String::as_str))
        }
        _ => Arc::new(schema.clone()),
    };
    let repeatable = parameter_types.is_empty() && plans::is_repeatable(&plan)?;
    Ok(Planned { plan: Opaque::new(plan), repeatable, parameter_types, schema })
}

/// Gives each placeholder without a type the one that `known` names for it.
fn type_placeholders(plan: LogicalPlan, known: &dyn Fn(usize) -> Option<DataType>) -> DfResult<LogicalPlan> {
    let typed = plan.transform_up_with_subqueries(|node| {
        let mut changed = false;
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| {
                if let Some(typed) = type_by_cast(&expr, known)? {
                    changed = true;
                    return Ok(Transformed::yes(typed));
                }
                let Expr::Placeholder(Placeholder { id, field: None }) = &expr else {
                    return Ok(Transformed::no(expr));
                };
                let Some(data_type) = known(index(id)?) else { return Ok(Transformed::no(expr)) };
                changed = true;
                let field = Arc::new(Field::new(id, data_type, true));
                Ok(Transformed::yes(Expr::Placeholder(Placeholder::new_with_field(id.clone(), Some(field)))))
            })
        })?;
        if changed { Ok(Transformed::yes(node.data.recompute_schema()?)) } else { Ok(node) }
    })?;
    Ok(typed.data)
}

/// `$1::bigint` says what `$1` is, unless the client declared it.
fn type_by_cast(expr: &Expr, known: &dyn Fn(usize) -> Option<DataType>) -> DfResult<Option<Expr>> {
    let Expr::Cast(cast) = expr else { return Ok(None) };
    let Expr::Placeholder(Placeholder { id, field: None }) = cast.expr.as_ref() else { return Ok(None) };
    if known(index(id)?).is_some() {
        return Ok(None);
    }
    let field = Arc::new(Field::new(id, cast.field.data_type().clone(), true));
    let placeholder = Expr::Placeholder(Placeholder::new_with_field(id.clone(), Some(field)));
    Ok(Some(Expr::Cast(Cast::new_from_field(Box::new(placeholder), Arc::clone(&cast.field)))))
}

/// `$3` → 2.
fn index(name: &str) -> DfResult<usize> {
    match name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()) {
        Some(n) if (1..=65_535).contains(&n) => Ok(n - 1),
        _ => datafusion::common::plan_err!("there is no parameter {name}"),
    }
}
