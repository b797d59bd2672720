//! From a relation to the operator's input: the plan that yields ids…, time, value, until.
//!
//! ```text
//! Union
//!   Projection: ids, time, CAST(sum(value) AS Float64), until
//!     Aggregate: ids, time, sum(value)        -- absent for floats, whose sum depends on the order: the operator sums
//!       Filter: time IS NOT NULL AND key AND filters AND as_of      -- reaches the scan
//!         the relation
//!   Values: one row a requested key, without a time
//! ```
//! A key that the relation doesn't have leaves its row of the second input alone, which the operator turns into a
//! status row.
//!
//! Columns that a call reads beside the value come as an input of their own, summed in the same way:
//! ```text
//! Projection: ids, time, CAST(sum(column) AS Float64)…
//!   Aggregate: ids, time, sum(column)…      -- absent where one is a float
//!     Filter: as above
//!       the relation
//! ```

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::{coalesce, least};
use datafusion::functions_aggregate::expr_fn::{max, sum};
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, binary_expr, cast, in_list, lit, scalar_subquery,
};

use crate::known::KnownColumns;

/// Name of the input column that holds the last moment the relation knows about.
const UNTIL: &str = "__until";

/// What the operator knows about its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shape {
    /// The id columns, in order.
    pub(crate) ids: Vec<String>,
    /// The time column.
    pub(crate) time: String,
    /// The value column.
    pub(crate) value: String,
    /// The first id column is a key of which certain values were asked for.
    pub(crate) key: bool,
    /// What is read, in words: a table's name, or `the sub-query`.
    pub(crate) source: String,
    /// The filters on other id columns, in words: ` with city = 'Chennai'`.
    pub(crate) filters: String,
}

impl Shape {
    /// How many of the leading columns decide the partition. With keys it is the first alone, so that the announcement
    /// of a key meets all series of that key.
    pub(crate) fn partition_columns(&self) -> usize {
        if self.key { 1 } else { self.ids.len() }
    }

    /// Status and detail of a key (or, without ids, of a relation) that has no rows.
    pub(crate) fn missing(&self, key: Option<&ScalarValue>) -> (&'static str, String) {
        let Self { source, filters, .. } = self;
        match (self.ids.first(), key) {
            (Some(column), Some(key)) => {
                let key = if key.is_null() { "NULL".to_string() } else { format!("'{key}'") };
                let list = format!("SELECT DISTINCT {} FROM {source}", quoted(std::slice::from_ref(column)));
                ("unknown_series", format!("{source} has no {column} {key}{filters}; valid keys: {list}"))
            }
            _ => ("no_history", format!("{source} has no rows{filters}")),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ids, time, value, source, filters, .. } = self;
        write!(f, "series=[{}], time={time}, value={value}, source={source}{filters}", ids.join(", "))
    }
}

/// The columns that make the relation a set of series.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) ids: Vec<(Column, DataType)>,
    pub(crate) time: (Column, DataType),
    pub(crate) value: (Column, DataType),
}

/// Which keys are read.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// All of them.
    All,
    /// These, already of the key column's type.
    Literals(Vec<ScalarValue>),
    /// Parameters, each one key.
    Parameters(Vec<Expr>),
    /// One parameter, which is a key or `'*'`.
    ParameterOrAll(Expr),
    /// One parameter that is an array of keys.
    ArrayParameter(Expr),
}

/// A condition `column = one of values` on an id column.
#[derive(Debug, Clone)]
pub(crate) struct IdFilter {
    pub(crate) column: Column,
    pub(crate) values: Vec<Expr>,
}

/// All that decides the input of one call.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) relation: LogicalPlan,
    pub(crate) columns: Columns,
    /// Column that keys are compared with.
    pub(crate) key_column: Option<(Column, DataType)>,
    pub(crate) key: Key,
    pub(crate) filters: Vec<IdFilter>,
    pub(crate) as_of: Option<AsOf>,
}

/// Where history ends, in expressions of the time column's type.
#[derive(Debug, Clone)]
pub(crate) struct AsOf {
    /// Times are compared with it.
    pub(crate) limit: Expr,
    /// Whether the limit itself still counts.
    pub(crate) inclusive: bool,
    /// The last moment that counts.
    pub(crate) last: Expr,
}

impl Source {
    /// The input plan.
    pub(crate) fn plan(&self) -> Result<LogicalPlan> {
        let plan = LogicalPlanBuilder::from(self.history()?);
        match self.announcements()? {
            Some(announcements) => plan.union(announcements)?.build(),
            None => plan.build(),
        }
    }

    fn history(&self) -> Result<LogicalPlan> {
        let Columns { ids, time, value } = &self.columns;
        let until = self.until()?;
        let plan = LogicalPlanBuilder::from(self.relation.clone()).filter(self.condition()?)?;
        let ids = || ids.iter().map(|(column, _)| Expr::Column(column.clone()).alias(column.name()));
        let time = Expr::Column(time.0.clone());
        let value_column = Expr::Column(value.0.clone());
        let (plan, summed) = if value.1.is_floating() {
            (plan, value_column)
        } else {
            let groups = self.columns.ids.iter().map(|(column, _)| Expr::Column(column.clone()));
            let plan = plan.aggregate(groups.chain([time.clone()]), [sum(value_column)])?;
            let fields = plan.schema().fields().len();
            let summed = Column::from(plan.schema().qualified_field(fields - 1));
            (plan, Expr::Column(summed))
        };
        let value = cast(summed, DataType::Float64).alias(value.0.name());
        let time = time.alias(self.columns.time.0.name());
        plan.project(ids().chain([time, value, until.alias(UNTIL)]))?.build()
    }

    /// The plan that yields ids…, time, numbers… of columns beside the value, each with the argument that names it. They
    /// are summed where the sum doesn't depend on the order, and else by who reads them. NULL adds nothing. The column
    /// of the values itself gives what its rows below zero take away.
    pub(crate) fn beside(
        &self,
        beside: &[(&'static str, (Column, DataType))],
    ) -> Result<(LogicalPlan, KnownColumns)> {
        let Columns { ids, time, value } = &self.columns;
        let keys = ids.len() + 1;
        let mut read = Vec::with_capacity(keys + beside.len());
        read.extend(ids.iter().enumerate().map(|(place, (id, _))| {
            let id = Expr::Column(id.clone());
            id.alias(format!("__id_{place}"))
        }));
        read.push(Expr::Column(time.0.clone()).alias("__time"));
        for (place, (_, (column, data_type))) in beside.iter().enumerate() {
            let number = Expr::Column(column.clone());
            let number = if *column == value.0 {
                least(vec![number, lit(ScalarValue::new_zero(data_type)?)])
            } else {
                number
            };
            read.push(number.alias(format!("__value_{place}")));
        }
        let plan =
            LogicalPlanBuilder::from(self.relation.clone()).filter(self.condition()?)?.project(read)?;
        let plan = if beside.iter().any(|(_, (_, data_type))| data_type.is_floating()) {
            plan
        } else {
            let columns = plan.schema().columns();
            let (keys, numbers) = columns.split_at(keys);
            let groups: Vec<Expr> = keys.iter().cloned().map(Expr::Column).collect();
            let sums: Vec<Expr> = numbers.iter().cloned().map(Expr::Column).map(sum).collect();
            plan.aggregate(groups, sums)?
        };
        let columns = plan.schema().columns().into_iter().map(Expr::Column).enumerate();
        let columns = columns.map(|(place, column)| match place.checked_sub(keys) {
            None => column,
            Some(number) => {
                let number_or_nothing = vec![cast(column, DataType::Float64), lit(0.0_f64)];
                coalesce(number_or_nothing).alias(format!("__value_{number}"))
            }
        });
        let plan = plan.project(columns.collect::<Vec<_>>())?.build()?;
        let names = beside.iter().map(|(argument, _)| (*argument).to_owned()).collect();
        Ok((plan, KnownColumns { ids: (0..ids.len()).collect(), names, summed: true }))
    }

    fn condition(&self) -> Result<Expr> {
        let time = Expr::Column(self.columns.time.0.clone());
        let mut condition = time.clone().is_not_null();
        if let Some((column, data_type)) = &self.key_column
            && let Some(key) = self.key_condition(&Expr::Column(column.clone()), data_type)
        {
            condition = condition.and(key);
        }
        for filter in &self.filters {
            condition = condition.and(one_of(Expr::Column(filter.column.clone()), filter.values.clone()));
        }
        if let Some(as_of) = &self.as_of {
            let operator = if as_of.inclusive { Operator::LtEq } else { Operator::Lt };
            condition = condition.and(binary_expr(time, operator, as_of.limit.clone()));
        }
        Ok(condition)
    }

    fn key_condition(&self, column: &Expr, data_type: &DataType) -> Option<Expr> {
        Some(match &self.key {
            Key::All => return None,
            Key::Literals(keys) => one_of(column.clone(), keys.iter().map(|key| lit(key.clone())).collect()),
            Key::Parameters(keys) => {
                one_of(column.clone(), keys.iter().map(|key| cast(key.clone(), data_type.clone())).collect())
            }
            Key::ParameterOrAll(key) => {
                let named = column.clone().eq(cast(key.clone(), data_type.clone()));
                named.or(key.clone().eq(lit("*")))
            }
            Key::ArrayParameter(keys) => {
                let text = cast(column.clone(), DataType::Utf8);
                datafusion::functions_nested::expr_fn::array_has(keys.clone(), text)
            }
        })
    }

    /// The last moment that the relation knows about: its newest row, whatever its id, or `as_of` if that is earlier. A
    /// series whose rows end before had no sale since then.
    fn until(&self) -> Result<Expr> {
        let (time, _) = &self.columns.time;
        let newest = LogicalPlanBuilder::from(self.relation.clone())
            .aggregate(Vec::<Expr>::new(), [max(Expr::Column(time.clone()))])?
            .build()?;
        let newest = scalar_subquery(Arc::new(newest));
        Ok(match &self.as_of {
            Some(as_of) => least(vec![as_of.last.clone(), newest]),
            None => newest,
        })
    }

    /// One row a requested key: its ids, no time, no value. Without id columns, one row, so that an empty relation is
    /// told apart from silence.
    fn announcements(&self) -> Result<Option<LogicalPlan>> {
        if self.columns.ids.is_empty() {
            return Ok(Some(self.announce([None])?));
        }
        Ok(match &self.key {
            Key::All => None,
            Key::Literals(keys) => Some(self.announce(keys.iter().map(|key| Some(lit(key.clone()))))?),
            Key::Parameters(keys) => {
                let mut plan: Option<LogicalPlanBuilder> = None;
                for key in keys {
                    let row = LogicalPlanBuilder::empty(true).project(self.row(Some(key.clone()))?)?;
                    plan = Some(match plan {
                        Some(plan) => plan.union(row.build()?)?,
                        None => row,
                    });
                }
                plan.map(LogicalPlanBuilder::build).transpose()?
            }
            Key::ParameterOrAll(key) => {
                let named = binary_expr(key.clone(), Operator::IsDistinctFrom, lit("*"));
                let row =
                    LogicalPlanBuilder::empty(true).filter(named)?.project(self.row(Some(key.clone()))?)?;
                Some(row.build()?)
            }
            Key::ArrayParameter(keys) => {
                let unnested = LogicalPlanBuilder::empty(true)
                    .project([keys.clone().alias(UNTIL)])?
                    .unnest_column(Column::from_name(UNTIL))?;
                let key = Expr::Column(Column::from_name(UNTIL));
                Some(unnested.project(self.row(Some(key))?)?.distinct()?.build()?)
            }
        })
    }

    fn announce(&self, keys: impl IntoIterator<Item = Option<Expr>>) -> Result<LogicalPlan> {
        let rows = keys.into_iter().map(|key| self.row(key)).collect::<Result<Vec<_>>>()?;
        let names =
            rows.first().map(|row| row.iter().map(|expr| expr.schema_name().to_string()).collect::<Vec<_>>());
        let rows = rows.into_iter().map(|row| row.into_iter().map(Expr::unalias).collect()).collect();
        let values = LogicalPlanBuilder::values(rows)?;
        let columns = values.schema().columns().into_iter().zip(names.into_iter().flatten());
        let columns = columns.map(|(column, name)| Expr::Column(column).alias(name)).collect::<Vec<_>>();
        values.project(columns)?.build()
    }

    fn row(&self, key: Option<Expr>) -> Result<Vec<Expr>> {
        let null = |data_type: &DataType| ScalarValue::try_new_null(data_type).map(lit);
        let Columns { ids, time, value } = &self.columns;
        let mut row = Vec::with_capacity(ids.len() + 3);
        for (column, data_type) in ids {
            let is_key = self.key_column.as_ref().is_some_and(|(key, _)| key == column);
            let id = match &key {
                Some(key) if is_key => cast(key.clone(), data_type.clone()),
                _ => null(data_type)?,
            };
            row.push(id.alias(column.name()));
        }
        row.push(null(&time.1)?.alias(time.0.name()));
        row.push(null(&DataType::Float64)?.alias(value.0.name()));
        row.push(null(&time.1)?.alias(UNTIL));
        Ok(row)
    }
}

fn one_of(column: Expr, mut values: Vec<Expr>) -> Expr {
    match values.pop() {
        Some(value) if values.is_empty() => column.eq(value),
        Some(value) => {
            values.push(value);
            in_list(column, values, false)
        }
        None => lit(false),
    }
}

/// A dotted name as it has to be written: parts that are no plain lower-case words in double quotes.
pub(crate) fn quoted(parts: &[String]) -> String {
    let quote = |part: &String| {
        let plain = part.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && part
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        if plain { part.clone() } else { format!("\"{}\"", part.replace('"', "\"\"")) }
    };
    parts.iter().map(quote).collect::<Vec<_>>().join(".")
}

/// The column called `name`, with its type.
pub(crate) fn column(schema: &DFSchema, name: &str) -> Option<(Column, DataType)> {
    let mut found = schema.iter().filter(|(_, field)| field.name() == name);
    let (qualifier, field) = found.next()?;
    Some((Column::new(qualifier.cloned(), field.name()), field.data_type().clone()))
}

/// The columns whose field is `wanted`.
pub(crate) fn columns_that(schema: &DFSchema, wanted: impl Fn(&Field) -> bool) -> Vec<(Column, DataType)> {
    let wanted = schema.iter().filter(|(_, field)| wanted(field));
    wanted
        .map(|(from, field)| (Column::new(from.cloned(), field.name()), field.data_type().clone()))
        .collect()
}

/// Whether a column of this type can tell series apart by name.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Whether a column of this type can be the time of a series.
pub(crate) fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _))
}
