//! Table functions written in SQL: the body is put where the function is called, with the arguments in it.
//!
//! ```sql
//! -- udfs/sql/best_days.sql, whose header says: arguments: {city: {}, top: {default: "10"}}
//! SELECT date, revenue FROM city_daily_metrics WHERE city = $city ORDER BY revenue DESC LIMIT $top
//! ```
//! `SELECT * FROM best_days('Chennai', top => 3)` becomes `SELECT * FROM (SELECT … LIMIT 3) AS best_days` before it is
//! planned, so filters and projections reach the tables and EXPLAIN shows them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Spanned, TableAlias, TableFactor, TableFunctionArgs, Value, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Span, Token};
use smartsneaks_sql_walk::WalkMut;

use crate::desugar::{argument_expr, argument_name};
use crate::error::{ArgumentError, nearest};
use crate::tokens::tokenize;

/// A table function whose body is a query with `$name` where an argument stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFunction {
    /// Name in SQL, lower case.
    pub name: String,
    /// The arguments, in the order of positional ones.
    pub arguments: Vec<SqlArgument>,
    /// The query.
    pub body: String,
}

/// One argument of a [`SqlFunction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlArgument {
    /// Name in SQL, lower case.
    pub name: String,
    /// A SQL expression that stands for the argument when it is not given; `None`: it has to be given.
    pub default: Option<String>,
}

impl SqlFunction {
    /// The body, parsed. Its spans are empty: they would point into another text than the statement's.
    ///
    /// # Errors
    /// When the body is not one query, or has a placeholder that is no argument.
    pub fn query(&self) -> Result<Box<Query>, ArgumentError> {
        let mut query = self.parse(&self.body, |parser| parser.parse_query())?;
        let known = |name: &str| self.arguments.iter().any(|argument| argument.name == name);
        let stranger = query.walk_mut(&mut Placeholders(|name: &str| match known(name) {
            true => Ok(None),
            false => Err(name.to_owned()),
        }));
        if let ControlFlow::Break(name) = stranger {
            let list =
                self.arguments.iter().map(|argument| argument.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(self.fault(format!("${name} in its body is none of its arguments: {list}")));
        }
        Ok(query)
    }

    /// The relation that a call stands for: `body` (as [`SqlFunction::query`] gives it, and whatever was done to it
    /// since) with the call's arguments in it, under the call's alias or the function's name.
    pub(crate) fn expand(
        &self,
        mut body: Box<Query>,
        call: &TableFunctionArgs,
        alias: Option<TableAlias>,
        span: Span,
    ) -> Result<TableFactor, ArgumentError> {
        let given = self.given(call, span)?;
        let _ = body.walk_mut(&mut Placeholders(|name: &str| -> Result<Option<Expr>, ()> {
            Ok(given.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
        }));
        let alias = alias.unwrap_or_else(|| TableAlias {
            explicit: true,
            name: Ident::new(&self.name),
            columns: Vec::new(),
            at: None,
        });
        Ok(TableFactor::Derived { lateral: false, subquery: body, alias: Some(alias), sample: None })
    }

    /// Each argument with its value: as given, else its default.
    fn given(&self, call: &TableFunctionArgs, span: Span) -> Result<Vec<(String, Expr)>, ArgumentError> {
        let names = || self.arguments.iter().map(|argument| argument.name.as_str());
        let list = || names().collect::<Vec<_>>().join(", ");
        let mut given: Vec<(String, Expr)> = Vec::with_capacity(self.arguments.len());
        for (position, argument) in call.args.iter().enumerate() {
            let fault = |message: String| self.fault(message).with_span(Some(argument.span()));
            let name = match argument_name(argument) {
                Some(name) => name,
                None => match self.arguments.get(position) {
                    Some(argument) => argument.name.clone(),
                    None => {
                        let (count, most) = (call.args.len(), self.arguments.len());
                        return Err(fault(format!("{count} arguments given, at most {most} are taken")));
                    }
                },
            };
            if !names().any(|known| known == name) {
                let error = fault(format!("unknown argument '{name}'; valid: {}", list()));
                return Err(match nearest(&name, names()) {
                    Some(near) => error.with_hint(format!("did you mean {near}?")),
                    None => error,
                });
            }
            if given.iter().any(|(known, _)| *known == name) {
                return Err(fault(format!("argument '{name}' is given twice")));
            }
            let value = argument_expr(argument).ok_or_else(|| fault("* is no value".into()))?;
            given.push((name, nested(value.clone())));
        }
        for argument in &self.arguments {
            if given.iter().any(|(known, _)| *known == argument.name) {
                continue;
            }
            let Some(default) = &argument.default else {
                let message = format!("argument '{}' is missing; it takes {}", argument.name, list());
                return Err(self.fault(message).with_span(Some(span)));
            };
            let default = self.parse(default, |parser| parser.parse_expr())?;
            given.push((argument.name.clone(), nested(default)));
        }
        Ok(given)
    }

    /// Parses a text of this function without places, to its end.
    fn parse<T>(
        &self,
        text: &str,
        rule: impl FnOnce(&mut Parser<'_>) -> Result<T, datafusion::sql::sqlparser::parser::ParserError>,
    ) -> Result<T, ArgumentError> {
        let dialect = PostgreSqlDialect {};
        let tokens = tokenize(text, &dialect).map_err(|error| self.fault(error.to_string()))?;
        let tokens = tokens.into_iter().map(|token| token.token).collect::<Vec<_>>();
        let mut parser = Parser::new(&dialect).with_tokens(tokens);
        let parsed = rule(&mut parser).map_err(|error| self.fault(error.to_string()))?;
        match parser.next_token().token {
            Token::EOF | Token::SemiColon => Ok(parsed),
            other => Err(self.fault(format!("expected the end of its text, found {other}"))),
        }
    }

    fn fault(&self, message: impl Into<String>) -> ArgumentError {
        ArgumentError::new(&self.name, message)
    }
}

/// Puts parentheses around what could bind otherwise where the argument stands.
fn nested(value: Expr) -> Expr {
    match value {
        Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Cast { .. }
        | Expr::Between { .. }
        | Expr::Case { .. } => Expr::Nested(Box::new(value)),
        plain => plain,
    }
}

/// Replaces `$name` by what the closure gives for the name; `$1` is the client's and stays.
struct Placeholders<F>(F);

impl<E, F: FnMut(&str) -> Result<Option<Expr>, E>> VisitorMut for Placeholders<F> {
    type Break = E;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<E> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let Some(name) = name.strip_prefix('$').filter(|name| name.parse::<usize>().is_err()) else {
            return ControlFlow::Continue(());
        };
        match (self.0)(&name.to_lowercase()) {
            Ok(Some(value)) => *expr = value,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function() -> SqlFunction {
        let argument = |name: &str, default: Option<&str>| SqlArgument {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        };
        SqlFunction {
            name: "best_days".into(),
            arguments: vec![argument("city", None), argument("top", Some("5 + 5"))],
            body: "SELECT date FROM m WHERE city = $city ORDER BY r DESC LIMIT 2 * $top".into(),
        }
    }

    fn call(sql: &str) -> Result<String, ArgumentError> {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap();
        let factor = parser.parse_table_factor().unwrap();
        let TableFactor::Table { args: Some(args), alias, .. } = factor else { panic!("no call") };
        let function = function();
        function.expand(function.query()?, &args, alias, Span::empty()).map(|factor| factor.to_string())
    }

    #[test]
    fn arguments_take_their_places() {
        assert_eq!(
            call("best_days('Salem', top => 3) AS d").unwrap(),
            "(SELECT date FROM m WHERE city = 'Salem' ORDER BY r DESC LIMIT 2 * 3) AS d"
        );
        assert_eq!(
            call("best_days(city => $1)").unwrap(),
            "(SELECT date FROM m WHERE city = $1 ORDER BY r DESC LIMIT 2 * (5 + 5)) AS best_days"
        );
    }

    #[test]
    fn bad_calls_say_what_is_valid() {
        assert_eq!(
            call("best_days()").unwrap_err().message,
            "argument 'city' is missing; it takes city, top"
        );
        let error = call("best_days('x', topp => 1)").unwrap_err();
        assert_eq!(error.message, "unknown argument 'topp'; valid: city, top");
        assert_eq!(error.hint.as_deref(), Some("did you mean top?"));
        assert!(call("best_days('x', city => 'y')").unwrap_err().message.contains("twice"));
        assert!(call("best_days('x', 1, 2)").unwrap_err().message.contains("at most 2"));
    }

    #[test]
    fn a_body_may_use_its_arguments_alone() {
        let function = SqlFunction { body: "SELECT $other".into(), ..function() };
        assert!(function.query().unwrap_err().message.contains("$other"));
        let function = SqlFunction { body: "SELECT 1; SELECT 2".into(), ..function };
        assert!(function.query().is_ok(), "what follows a semicolon is cut by who loads the file");
        let function = SqlFunction { body: "SELECT 1 1".into(), ..function };
        assert!(function.query().is_err());
    }
}
