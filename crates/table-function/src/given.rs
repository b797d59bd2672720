//! The arguments of one call as they are written: their names, and how their values become literals.

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, FunctionArg, Spanned};
use datafusion::sql::sqlparser::tokenizer::Span;

use arrow::datatypes::DataType;

use crate::argument::{Arguments, constant};
use crate::desugar::{RELATION, TABLE, argument_expr, argument_name};
use crate::error::{ArgumentError, nearest};
use crate::signature::{Argument, Signature};

/// An argument as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) value: SqlExpr,
    pub(crate) span: Option<Span>,
}

/// The arguments of one call of the function with this signature.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    signature: &'static Signature,
    written: Vec<Written>,
}

impl Given {
    /// Names the arguments: positional ones by their place. Refuses an argument given twice.
    pub(crate) fn read(
        signature: &'static Signature,
        arguments: &[FunctionArg],
    ) -> Result<Self, ArgumentError> {
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
                    return Err(
                        fault("a positional argument stands after a named one".into()).with_hint(hint)
                    );
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
        Ok(Self { signature, written: given })
    }

    /// A fault of this call.
    pub(crate) fn fault(&self, message: impl Into<String>) -> ArgumentError {
        ArgumentError::new(self.signature.name, message)
    }

    /// The arguments in the order in which they are written.
    pub(crate) fn written(&self) -> &[Written] {
        &self.written
    }

    /// The argument called `name`.
    pub(crate) fn find(&self, name: &str) -> Option<&Written> {
        self.written.iter().find(|written| written.name == name)
    }

    pub(crate) fn signature(&self) -> &'static Signature {
        self.signature
    }

    /// Refuses names that are neither arguments nor among `ids`, the id columns of the table.
    pub(crate) fn check_names(&self, ids: &[String]) -> Result<(), ArgumentError> {
        let arguments = || self.signature.arguments.iter().map(|argument| argument.name);
        for Written { name, span, .. } in &self.written {
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
    pub(crate) fn fixed(&self, context: &mut dyn RelationPlannerContext) -> Result<Arguments> {
        let mut arguments = Arguments::new(self.signature);
        for written in &self.written {
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
}

/// Whether the columns that are read, or those of the result, depend on the argument.
pub(crate) fn decides_columns(argument: &Argument) -> bool {
    argument.name.ends_with("_col") || argument.name.ends_with("_cols")
}
