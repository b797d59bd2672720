//! Which keys, and which values of other id columns, a call reads.

use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, ExprSchemable, cast, lit};
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;

use crate::argument::{constant, has_placeholder, text, text_array, type_placeholders};
use crate::planner::{CallPlanner, Relation};
use crate::signature::Kind;
use crate::source::{IdFilter, Key, column, is_text};

impl CallPlanner<'_> {
    /// The keys that are asked for and the column they are looked up in; `None` for a table or sub-query.
    pub(crate) fn key(
        &self,
        relation: &Relation,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Option<(Key, (Column, DataType))>> {
        let (Some(key), Some(spec)) = (&relation.key, &relation.spec) else { return Ok(None) };
        let Some(name) = spec.id.first() else {
            let hint = format!("write TABLE {}", relation.label);
            let fault =
                self.given.fault(format!("{} has no id columns, so there are no keys", relation.label));
            return Err(fault.with_hint(hint).with_span(relation.span).into());
        };
        let found =
            column(relation.plan.schema(), name).ok_or_else(|| self.no_column(relation, name, "id_cols"))?;
        let data_type = &found.1;
        let literal = |value: &ScalarValue| -> Result<ScalarValue> {
            let typed = match value {
                value if value.is_null() => None,
                value if is_text(data_type) && text(value).is_none() => None,
                value => value.cast_to(data_type).ok().filter(|typed| !typed.is_null()),
            };
            let fault = || {
                let message = format!("{value} is no value of column {name} ({data_type})");
                let fault = self.given.fault(message).with_span(relation.span);
                if is_text(data_type) && !value.is_null() {
                    fault.with_hint(format!("write it in single quotes: '{value}'"))
                } else {
                    fault
                }
            };
            Ok(typed.ok_or_else(fault)?)
        };
        // Parameters are text where keys are: the client's own type, when it declares one, comes with the placeholder.
        let parameter = if is_text(data_type) { DataType::Utf8 } else { data_type.clone() };

        if let SqlExpr::Array(array) = key
            && !array.elem.is_empty()
        {
            let elements =
                array.elem.iter().map(|element| self.given.value("a key", element, relation.span, context));
            let elements = elements.collect::<Result<Vec<_>>>()?;
            if elements.iter().any(has_placeholder) {
                let typed = elements.into_iter().map(|element| type_placeholders(element, &parameter));
                return Ok(Some((Key::Parameters(typed.collect::<Result<_>>()?), found)));
            }
        }
        let expr = self.given.value("the key", key, relation.span, context)?;
        let key = match constant(&expr) {
            Some(value) if text(&value).as_deref() == Some("*") => Key::All,
            Some(value) if value.data_type().is_list() => {
                let keys = text_array(&value)
                    .map(|keys| keys.into_iter().map(ScalarValue::from).collect::<Vec<_>>());
                let Some(keys) = keys.or_else(|| elements(&value)).filter(|keys| !keys.is_empty()) else {
                    let message = format!("takes {}", Kind::Series);
                    return Err(self.given.fault(message).with_span(relation.span).into());
                };
                let mut typed: Vec<ScalarValue> = Vec::with_capacity(keys.len());
                for key in &keys {
                    typed.push(literal(key)?);
                }
                let mut seen = std::collections::HashSet::new();
                typed.retain(|key| seen.insert(key.clone()));
                Key::Literals(typed)
            }
            Some(value) => Key::Literals(vec![literal(&value)?]),
            None if has_placeholder(&expr) => {
                let expr = type_placeholders(expr, &parameter)?;
                match expr_type(&expr) {
                    Some(data_type) if data_type.is_list() => Key::ArrayParameter(expr),
                    _ if is_text(data_type) => Key::ParameterOrAll(expr),
                    _ => Key::Parameters(vec![expr]),
                }
            }
            None => {
                let message = format!("the key must be a constant, not {expr}");
                return Err(self.given.fault(message).with_span(relation.span).into());
            }
        };
        Ok(Some((key, found)))
    }

    /// `city => 'Chennai'` for the id columns of the table, with the condition in words.
    pub(crate) fn filters(
        &self,
        relation: &Relation,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<Vec<(IdFilter, String)>> {
        let mut filters = Vec::new();
        for written in self.given.written() {
            let is_id = relation.spec.as_ref().is_some_and(|spec| spec.id.contains(&written.name));
            if self.signature.argument(&written.name).is_some() || !is_id {
                continue;
            }
            let name = &written.name;
            let (column, data_type) =
                column(relation.plan.schema(), name).ok_or_else(|| self.no_column(relation, name, name))?;
            let elements = match &written.value {
                SqlExpr::Array(array) => array.elem.iter().collect(),
                value => vec![value],
            };
            let parameter = if is_text(&data_type) { DataType::Utf8 } else { data_type.clone() };
            let mut values = Vec::with_capacity(elements.len());
            for element in &elements {
                let expr =
                    type_placeholders(self.given.value(name, element, written.span, context)?, &parameter)?;
                let value = match constant(&expr) {
                    Some(value) if !value.is_null() && !value.data_type().is_list() => {
                        let typed = value.cast_to(&data_type).ok().filter(|typed| !typed.is_null());
                        typed.map(lit)
                    }
                    Some(_) => None,
                    None => Some(cast(expr.clone(), data_type.clone())),
                };
                let fault = || {
                    let message = format!("{element} is no value of column {name} ({data_type})");
                    self.given.fault(message).with_span(written.span)
                };
                values.push(value.ok_or_else(fault)?);
            }
            if values.is_empty() {
                let message = format!("{name} takes a value or an array of values, not an empty one");
                return Err(self.given.fault(message).with_span(written.span).into());
            }
            let with = if filters.is_empty() { "with" } else { "and" };
            let said = format!(" {with} {name} = {}", written.value);
            filters.push((IdFilter { column, values }, said));
        }
        Ok(filters)
    }
}

fn elements(list: &ScalarValue) -> Option<Vec<ScalarValue>> {
    let ScalarValue::List(list) = list else { return None };
    let elements = list.value(0);
    (0..elements.len()).map(|row| ScalarValue::try_from_array(&elements, row).ok()).collect()
}

fn expr_type(expr: &Expr) -> Option<DataType> {
    expr.get_type(&DFSchema::empty()).ok()
}
