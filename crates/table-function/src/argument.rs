//! Values of arguments: from an expression to a checked value of the argument's kind.

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::optimizer::simplify_expressions::{ExprSimplifier, SimplifyContext};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::error::ArgumentError;
use crate::signature::{Argument, Kind, Signature};

/// The checked arguments of one call; those that are not given have their defaults.
#[derive(Debug, Clone)]
pub struct Arguments {
    signature: &'static Signature,
    given: Vec<Given>,
}

#[derive(Debug, Clone)]
struct Given {
    name: &'static str,
    value: Value,
    span: Option<Span>,
}

/// A value of one [`Kind`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    TextArray(Vec<String>),
    /// A date or timestamp as it was given: text, Date32 or Timestamp.
    Moment(ScalarValue),
}

impl Arguments {
    /// No argument given.
    pub(crate) fn new(signature: &'static Signature) -> Self {
        Self { signature, given: Vec::new() }
    }

    /// Checks that `literal` is of the argument's kind and keeps it.
    pub(crate) fn give(
        &mut self,
        argument: &'static Argument,
        literal: &ScalarValue,
        span: Option<Span>,
    ) -> Result<(), ArgumentError> {
        let value = Value::of(argument.kind, literal).ok_or_else(|| {
            let found = describe(literal);
            let message = format!("{} takes {}, not {found}", argument.name, argument.kind);
            ArgumentError::new(self.signature.name, message).with_span(span)
        })?;
        self.given.push(Given { name: argument.name, value, span });
        Ok(())
    }

    /// A whole number: what was given, or the default; `None` when there is neither.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Integer(value)) => Some(*value),
            _ => self.default(name)?.parse().ok(),
        }
    }

    /// A number: what was given, or the default; `None` when there is neither.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Some(Value::Float(value)) => Some(*value),
            _ => self.default(name)?.parse().ok(),
        }
    }

    /// A truth value: what was given, or the default; `None` when there is neither.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some(Value::Boolean(value)) => Some(*value),
            _ => self.default(name)?.parse().ok(),
        }
    }

    /// A text: what was given, or the default; `None` when there is neither.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(value)) => Some(value),
            _ => self.default(name),
        }
    }

    /// An array of text, if one was given.
    pub fn text_array(&self, name: &str) -> Option<&[String]> {
        match self.value(name) {
            Some(Value::TextArray(values)) => Some(values),
            _ => None,
        }
    }

    /// A date or timestamp (Date32, Timestamp, or the text of one), if one was given.
    pub fn moment(&self, name: &str) -> Option<&ScalarValue> {
        match self.value(name) {
            Some(Value::Moment(value)) => Some(value),
            _ => None,
        }
    }

    /// All that have a value, given or by default, as a call writes them: `horizon => 14, frequency => 'auto'`. Relations are
    /// left out.
    pub(crate) fn to_sql(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let written = |argument: &Argument| {
            let value = match (self.value(argument.name), argument.kind) {
                (_, Kind::Series | Kind::Relation | Kind::Items) => return None,
                (Some(Value::Text(text)), _) => quoted(text),
                (Some(Value::Integer(value)), _) => value.to_string(),
                (Some(Value::Float(value)), _) => value.to_string(),
                (Some(Value::Boolean(value)), _) => value.to_string(),
                (Some(Value::TextArray(values)), _) => {
                    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                    format!("ARRAY[{}]", values.join(", "))
                }
                (Some(Value::Moment(value)), _) => {
                    let text = value.cast_to(&DataType::Utf8).unwrap_or_else(|_| value.clone());
                    quoted(&text.to_string())
                }
                (None, Kind::Integer | Kind::Float | Kind::Boolean) => argument.default?.to_owned(),
                (None, _) => quoted(argument.default?),
            };
            Some(format!("{} => {value}", argument.name))
        };
        self.signature.arguments.iter().filter_map(written).collect::<Vec<_>>().join(", ")
    }

    /// A fault in the value of argument `name`, pointing at it.
    pub fn error(&self, name: &str, message: impl Into<String>) -> ArgumentError {
        let span = self.given.iter().find(|given| given.name == name).and_then(|given| given.span);
        ArgumentError::new(self.signature.name, message).with_span(span)
    }

    /// The fault of a text that is none of `valid`, with the nearest of them.
    pub fn not_among(&self, name: &str, found: &str, valid: &[&str]) -> ArgumentError {
        let list = valid.join(", ");
        let error = self.error(name, format!("unknown {name} '{found}'; valid: {list}"));
        match crate::error::nearest(found, valid.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean '{near}'?")),
            None => error,
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.given.iter().find(|given| given.name == name).map(|given| &given.value)
    }

    fn default(&self, name: &str) -> Option<&'static str> {
        self.signature.argument(name)?.default
    }
}

impl Value {
    /// The value of `literal` as a `kind`; `None` when it isn't one. NULL is no value of any kind.
    fn of(kind: Kind, literal: &ScalarValue) -> Option<Self> {
        if literal.is_null() {
            return None;
        }
        match kind {
            Kind::Text | Kind::Column | Kind::Series | Kind::Relation | Kind::Items => {
                text(literal).map(Value::Text)
            }
            Kind::Count => match integer(literal) {
                Some(count) => Some(Value::Text(count.to_string())),
                None => text(literal).map(Value::Text),
            },
            Kind::Integer => integer(literal).map(Value::Integer),
            Kind::Float => float(literal).map(Value::Float),
            Kind::Boolean => match literal {
                ScalarValue::Boolean(Some(value)) => Some(Value::Boolean(*value)),
                _ => None,
            },
            Kind::TextArray => match text(literal) {
                Some(one) => Some(Value::TextArray(vec![one])),
                None => text_array(literal).map(Value::TextArray),
            },
            Kind::Moment => moment(literal).map(Value::Moment),
        }
    }
}

/// The text of a text literal.
pub(crate) fn text(literal: &ScalarValue) -> Option<String> {
    literal.try_as_str().flatten().map(str::to_string)
}

/// The texts of an array literal; `None` if it is no array, or one element is not a text.
pub(crate) fn text_array(literal: &ScalarValue) -> Option<Vec<String>> {
    let elements = match literal {
        ScalarValue::List(list) => list.value(0),
        ScalarValue::LargeList(list) => list.value(0),
        ScalarValue::FixedSizeList(list) => list.value(0),
        _ => return None,
    };
    (0..elements.len()).map(|row| text(&ScalarValue::try_from_array(&elements, row).ok()?)).collect()
}

fn integer(literal: &ScalarValue) -> Option<i64> {
    if !literal.data_type().is_integer() {
        return None;
    }
    match literal.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(value) => value,
        _ => None,
    }
}

fn float(literal: &ScalarValue) -> Option<f64> {
    if !literal.data_type().is_numeric() {
        return None;
    }
    match literal.cast_to(&DataType::Float64).ok()? {
        ScalarValue::Float64(value) => value,
        _ => None,
    }
}

fn moment(literal: &ScalarValue) -> Option<ScalarValue> {
    match literal.data_type() {
        DataType::Date32 | DataType::Timestamp(_, _) => Some(literal.clone()),
        DataType::Date64 => literal.cast_to(&DataType::Date32).ok(),
        _ => {
            let written = text(literal)?;
            let target = if written.trim().len() <= "2026-01-31".len() {
                DataType::Date32
            } else {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            };
            literal.cast_to(&target).ok().filter(|value| !value.is_null())
        }
    }
}

/// A literal in an error message: the value and, where it helps, its type.
fn describe(literal: &ScalarValue) -> String {
    if literal.is_null() {
        return "NULL".to_string();
    }
    match text(literal) {
        Some(text) => format!("'{text}'"),
        None if literal.data_type().is_numeric() => literal.to_string(),
        None => format!("{literal} ({})", literal.data_type()),
    }
}

/// The type that a bare `$1` gets as an argument of `kind`; `time` is the type of the series' time column.
pub(crate) fn parameter_type(kind: Kind, time: &DataType) -> DataType {
    match kind {
        Kind::Text | Kind::Column | Kind::Count | Kind::Series | Kind::Relation | Kind::Items => {
            DataType::Utf8
        }
        Kind::Integer => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
        Kind::TextArray => DataType::new_list(DataType::Utf8, true),
        Kind::Moment => time.clone(),
    }
}

/// Gives every `$n` in `expr` that has no type yet `data_type` (or, under a cast, the type cast to).
pub(crate) fn type_placeholders(expr: Expr, data_type: &DataType) -> Result<Expr> {
    let typed = |placeholder: Placeholder, data_type: &DataType| {
        let field = placeholder.field.or_else(|| Some(Field::new("", data_type.clone(), true).into()));
        Expr::Placeholder(Placeholder { id: placeholder.id, field })
    };
    expr.transform_down(|expr| {
        Ok(match expr {
            Expr::Cast(Cast { expr: inner, field }) if matches!(*inner, Expr::Placeholder(_)) => {
                let Expr::Placeholder(placeholder) = *inner else { return Ok(Transformed::no(*inner)) };
                let inner = typed(placeholder, field.data_type());
                Transformed::yes(Expr::Cast(Cast { expr: Box::new(inner), field }))
            }
            Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
                Transformed::yes(typed(placeholder, data_type))
            }
            expr => Transformed::no(expr),
        })
    })
    .map(|typed| typed.data)
}

/// Whether a parameter occurs in `expr`.
pub(crate) fn has_placeholder(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::Placeholder(_)))).unwrap_or(true)
}

/// The value of a constant expression; `None` when it isn't constant (yet: a parameter, `now()`).
pub(crate) fn constant(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => return Some(value.clone()),
        Expr::Alias(alias) => return constant(&alias.expr),
        expr if has_placeholder(expr) => return None,
        _ => {}
    }
    let simplifier = ExprSimplifier::new(SimplifyContext::default());
    let expr = simplifier.coerce(expr.clone(), &DFSchema::empty()).ok()?;
    match simplifier.simplify(expr).ok()? {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: Signature = Signature {
        name: "f",
        aliases: &[],
        description: "",
        example: "",
        arguments: &[
            Argument::SERIES,
            Argument { name: "horizon", kind: Kind::Integer, default: Some("14"), doc: "" },
            Argument { name: "level", kind: Kind::Float, default: Some("0.95"), doc: "" },
            Argument { name: "flag", kind: Kind::Boolean, default: Some("true"), doc: "" },
            Argument { name: "model", kind: Kind::Text, default: Some("auto"), doc: "" },
            Argument::ID_COLS,
            Argument::AS_OF,
        ],
    };

    fn give(name: &str, literal: ScalarValue) -> Result<Arguments, ArgumentError> {
        let mut arguments = Arguments::new(&SIGNATURE);
        arguments.give(SIGNATURE.argument(name).unwrap(), &literal, None)?;
        Ok(arguments)
    }

    #[test]
    fn defaults_are_read_from_the_signature() {
        let arguments = Arguments::new(&SIGNATURE);
        assert_eq!(arguments.integer("horizon"), Some(14));
        assert_eq!(arguments.float("level"), Some(0.95));
        assert_eq!(arguments.boolean("flag"), Some(true));
        assert_eq!(arguments.text("model"), Some("auto"));
        assert_eq!(arguments.text_array("id_cols"), None);
    }

    #[test]
    fn numbers_widen_but_never_change() {
        assert_eq!(give("horizon", ScalarValue::Int16(Some(7))).unwrap().integer("horizon"), Some(7));
        assert_eq!(give("level", ScalarValue::Decimal128(Some(9), 1, 1)).unwrap().float("level"), Some(0.9));
        assert_eq!(give("level", ScalarValue::Int64(Some(1))).unwrap().float("level"), Some(1.0));
        let error = give("horizon", ScalarValue::Float64(Some(1.5))).unwrap_err();
        assert_eq!(error.message, "horizon takes a whole number, not 1.5");
        let error = give("horizon", ScalarValue::from("two weeks")).unwrap_err();
        assert_eq!(error.message, "horizon takes a whole number, not 'two weeks'");
        let error = give("flag", ScalarValue::Boolean(None)).unwrap_err();
        assert_eq!(error.message, "flag takes true or false, not NULL");
    }

    #[test]
    fn moments_read_dates_and_timestamps() {
        for (written, kind) in [
            ("2026-01-31", DataType::Date32),
            ("2026-01-31 10:00:00", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ] {
            let arguments = give("as_of", ScalarValue::from(written)).unwrap();
            assert_eq!(arguments.moment("as_of").unwrap().data_type(), kind);
        }
        assert!(
            give("as_of", ScalarValue::from("yesterday")).unwrap_err().message.contains("not 'yesterday'")
        );
    }
}
