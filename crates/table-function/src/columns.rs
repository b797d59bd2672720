//! Which columns of its relation a call reads as ids, time and value, and which it gives.

use std::collections::HashSet;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;

use crate::argument::Arguments;
use crate::error::{ArgumentError, nearest};
use crate::planner::{CallPlanner, Relation};
use crate::signature::Kind;
use crate::source::{Columns, Key, Shape, column, columns_that, is_text, is_time};

/// An argument that names a column, and the column.
pub(crate) type Beside = (&'static str, (Column, DataType));

impl CallPlanner<'_> {
    /// Chooses the columns: what is written, else the series header, else the only one of its type.
    pub(crate) fn columns(
        &self,
        relation: &Relation,
        fixed: &Arguments,
        key: Option<&(Key, (Column, DataType))>,
    ) -> Result<Columns, ArgumentError> {
        let schema = relation.plan.schema();
        let named = |name: &str, argument: &str| {
            column(schema, name).ok_or_else(|| self.no_column(relation, name, argument))
        };
        let spec = relation.spec.as_ref();
        let time = match fixed.text("timestamp_col").or(spec.map(|spec| spec.time.as_str())) {
            Some(name) => named(name, "timestamp_col")?,
            None => {
                self.only(relation, "timestamp_col", "date or timestamp", |field| is_time(field.data_type()))?
            }
        };
        if !is_time(&time.1) {
            let hint = format!("cast it in a sub-query: {}::date", time.0.name);
            let message = format!("timestamp_col {} is {}, not a date or timestamp", time.0.name, time.1);
            return Err(fixed.error("timestamp_col", message).with_hint(hint).with_span(relation.span));
        }
        let value = match fixed.text("data_col").or(spec.map(|spec| spec.value.as_str())) {
            Some(name) => named(name, "data_col")?,
            None => self.only(relation, "data_col", "numeric", |field| field.data_type().is_numeric())?,
        };
        if !value.1.is_numeric() {
            let message = format!("data_col {} is {}, not a number", value.0.name, value.1);
            return Err(fixed.error("data_col", message).with_span(relation.span));
        }
        let ids = match (fixed.text_array("id_cols"), spec, key) {
            (Some(names), _, _) => {
                names.iter().map(|name| named(name, "id_cols")).collect::<Result<Vec<_>, _>>()?
            }
            (None, _, Some((_, column))) => vec![column.clone()],
            (None, Some(spec), None) => {
                spec.id.iter().map(|name| named(name, "id_cols")).collect::<Result<Vec<_>, _>>()?
            }
            (None, None, None) => columns_that(schema, |field| is_text(field.data_type())),
        };
        let mut ids: Vec<_> = ids.into_iter().filter(|id| id.0 != time.0 && id.0 != value.0).collect();
        if let Some((key, column)) = key
            && !matches!(key, Key::All)
        {
            // Announcements of keys stand in the first column.
            let Some(position) = ids.iter().position(|id| id == column) else {
                let hint = format!("add '{}', or filter in a sub-query", column.0.name);
                let message = format!("id_cols lacks {}, the column of the key", column.0.name);
                return Err(fixed.error("id_cols", message).with_hint(hint));
            };
            ids[..=position].rotate_right(1);
        }
        let unique = ids.iter().map(|id| &id.0).collect::<HashSet<_>>().len();
        if unique != ids.len() {
            return Err(fixed.error("id_cols", "id_cols names a column twice"));
        }
        Ok(Columns { ids, time, value })
    }

    /// The columns that arguments of [`Kind::Column`] name, with those arguments.
    pub(crate) fn beside(
        &self,
        relation: &Relation,
        fixed: &Arguments,
    ) -> Result<Vec<Beside>, ArgumentError> {
        let arguments = self.signature.arguments.iter().filter(|argument| argument.kind == Kind::Column);
        let given =
            arguments.filter_map(|argument| Some((argument.name, fixed.text(argument.name)?.to_owned())));
        let found = given.map(|(argument, name)| {
            let found = column(relation.plan.schema(), &name)
                .ok_or_else(|| self.no_column(relation, &name, argument))?;
            if !found.1.is_numeric() {
                let message = format!("{argument} {name} is {}, not a number", found.1);
                return Err(fixed.error(argument, message).with_span(relation.span));
            }
            Ok((argument, found))
        });
        found.collect()
    }

    /// The only column of a kind.
    fn only(
        &self,
        relation: &Relation,
        argument: &str,
        kind: &str,
        wanted: impl Fn(&Field) -> bool,
    ) -> Result<(Column, DataType), ArgumentError> {
        let mut found = columns_that(relation.plan.schema(), wanted);
        if found.len() == 1
            && let Some(only) = found.pop()
        {
            return Ok(only);
        }
        let message = if found.is_empty() {
            format!("{} has no {kind} column among {}", relation.label, column_list(relation))
        } else {
            let names = found.iter().map(|(column, _)| column.name.as_str()).collect::<Vec<_>>().join(", ");
            format!("{} has several {kind} columns: {names}", relation.label)
        };
        Err(self
            .given
            .fault(message)
            .with_hint(format!("name it: {argument} => '…'"))
            .with_span(relation.span))
    }

    pub(crate) fn no_column(&self, relation: &Relation, name: &str, argument: &str) -> ArgumentError {
        let span = self.given.find(argument).and_then(|written| written.span);
        let message = format!("{} has no column '{name}'; it has {}", relation.label, column_list(relation));
        let error = self.given.fault(message).with_span(span).with_span(relation.span);
        let names = relation.plan.schema().fields().iter().map(|field| field.name().as_str());
        match nearest(name, names) {
            Some(near) => error.with_hint(format!("did you mean '{near}'?")),
            None => error,
        }
    }

    pub(crate) fn schema(&self, columns: &Columns, shape: &Shape) -> Result<DFSchema> {
        let own = self.purpose.columns().unwrap_or_else(|| self.function.columns(&columns.time.1));
        for id in &shape.ids {
            if own.iter().any(|field| field.name() == id) {
                let hint = format!("rename it in a sub-query: SELECT {id} AS my_{id}, …");
                let message = format!("the id column {id} has the name of a column of the result");
                return Err(self.given.fault(message).with_hint(hint).into());
            }
        }
        let ids =
            columns.ids.iter().map(|(column, data_type)| Field::new(&column.name, data_type.clone(), true));
        DFSchema::try_from(Schema::new(ids.chain(own).collect::<Vec<_>>()))
    }
}

fn column_list(relation: &Relation) -> String {
    let columns = relation.plan.schema().fields().iter();
    columns.map(|field| format!("{} ({})", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
}
