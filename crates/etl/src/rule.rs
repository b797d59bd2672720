//! The rules of `expect`, made ready for a query.
//!
//! A rule about a row (`qty <> 0`) is a condition over the model's columns. A rule about the table (`row_count > 0`,
//! `sum(revenue) >= 0`) is one over all its rows. A rule that quarantines is evaluated for every row in the one pass over
//! the model's output, so it stands in a projection, where DataFusion plans no `IN (SELECT …)`: that becomes a left join
//! with the distinct values of the sub-query.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Expr, Query, Visitor};
use datafusion::sql::sqlparser::tokenizer::Token;
use smartsneaks_sql_walk::Walk;

use crate::error::EtlError;
use crate::header::{Expectation, OnFail};
use crate::text::{self, TextToken};

/// The word that stands for the number of rows in a rule about the table.
const ROW_COUNT: &str = "row_count";

/// A rule, ready to be put into a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Holds or fails for each row. `condition` is what stood in the header.
    Row { condition: String },
    /// Holds or fails for the table: a condition over aggregates.
    Table { condition: String },
    /// Like `Row`, with each `IN (SELECT …)` turned into a join.
    Joined { condition: String, joins: Vec<Membership> },
}

/// `operand IN (query)`: a left join with the distinct values of `query`, named by `alias`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) alias: String,
    pub(crate) operand: String,
    pub(crate) query: String,
}

impl Membership {
    /// The join, to be put after the model's rows. Its values are distinct and not NULL, so it multiplies no row; unlike
    /// in SQL, a NULL among the values does not make `NOT IN` fail for every row.
    pub(crate) fn join(&self) -> String {
        let Self { alias, operand, query } = self;
        format!(
            "LEFT JOIN (SELECT DISTINCT \"_value\" FROM ({query}\n) AS \"_values\" (\"_value\") \
             WHERE \"_value\" IS NOT NULL) AS {alias} ON ({operand}) = {alias}.\"_value\""
        )
    }
}

impl Rule {
    /// Reads an expectation; `number` makes the names of its joins unique within the model.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] for text that is not a condition, a rule about the table that would quarantine rows, and forms
    /// of sub-query that can't quarantine.
    pub(crate) fn read(expectation: &Expectation, number: usize) -> Result<Self, EtlError> {
        let fault = |message: String| {
            EtlError::config(format!("rule `{}`: {message}", expectation.rule)).at(expectation.place.clone())
        };
        let expression = text::parse_expression(&expectation.rule).map_err(|error| fault(error.message))?;
        let mut shape = Shape::default();
        let _ = expression.walk(&mut shape);
        let quarantines = expectation.on_fail == OnFail::Quarantine;
        if shape.about_table {
            if quarantines {
                return Err(fault("it is about the whole table and so can't quarantine rows".to_owned())
                    .with_hint("use `on_fail: abort`, or a condition over a row's columns"));
            }
            return Ok(Self::Table {
                condition: with_row_count(&expectation.rule).map_err(|e| fault(e.message))?,
            });
        }
        if !quarantines || (shape.memberships.is_empty() && !shape.exists) {
            return Ok(Self::Row { condition: expectation.rule.clone() });
        }
        if shape.exists {
            return Err(fault("EXISTS can't quarantine rows".to_owned())
                .with_hint("write it as `column IN (SELECT column FROM …)`"));
        }
        let tokens = text::tokens(&expectation.rule).map_err(|error| fault(error.message))?;
        rewrite(&expectation.rule, &tokens, &shape.memberships, number).ok_or_else(|| {
            fault("the left side of IN is too complex".to_owned()).with_hint(
                "write a column or a function call before IN, or compute it as a column of the model",
            )
        })
    }
}

/// What a rule is made of, outside its sub-queries.
#[derive(Default)]
struct Shape {
    depth: usize,
    about_table: bool,
    exists: bool,
    /// The left side of each `IN (SELECT …)`, in the order of the text, and whether it is negated.
    memberships: Vec<(Expr, bool)>,
}

impl Visitor for Shape {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expression {
            Expr::Identifier(name)
                if name.quote_style.is_none() && name.value.eq_ignore_ascii_case(ROW_COUNT) =>
            {
                self.about_table = true;
            }
            Expr::Function(function) if function.over.is_none() => {
                let name = function.name.to_string().to_lowercase();
                self.about_table |= AGGREGATES.contains(&name);
            }
            Expr::InSubquery { expr, negated, .. } => self.memberships.push(((**expr).clone(), *negated)),
            Expr::Exists { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => self.exists = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The names of all aggregate functions.
static AGGREGATES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    datafusion::functions_aggregate::all_default_aggregate_functions()
        .iter()
        .flat_map(|function| {
            std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str))
        })
        .map(str::to_lowercase)
        .collect()
});

/// Replaces the word `row_count` by `count(*)`.
fn with_row_count(rule: &str) -> Result<String, text::SyntaxError> {
    let tokens = text::tokens(rule)?;
    Ok(tokens
        .iter()
        .map(|token| if token.is_word(ROW_COUNT) { "count(*)" } else { &rule[token.range.clone()] })
        .collect())
}

/// Cuts each `operand [NOT] IN (query)` out of the text and puts a test of its join there.
fn rewrite(rule: &str, tokens: &[TextToken], memberships: &[(Expr, bool)], number: usize) -> Option<Rule> {
    let mut condition = String::new();
    let mut joins = Vec::new();
    let mut copied = 0;
    let mut index = 0;
    while index < tokens.len() {
        let Some(query) = tokens[index].is_word("in").then(|| parenthesised_query(tokens, index)).flatten()
        else {
            // Step over a sub-query whole: an IN inside it is its own affair.
            index = match tokens[index].token {
                Token::LParen if starts_query(tokens, index) => closing(tokens, index)? + 1,
                _ => index + 1,
            };
            continue;
        };
        let (expected, negated) = memberships.get(joins.len())?;
        let mut before = previous(tokens, index)?;
        if *negated {
            before = tokens[before].is_word("not").then(|| previous(tokens, before)).flatten()?;
        }
        let start = operand_start(tokens, before)?;
        let operand = &rule[tokens[start].range.start..tokens[before].range.end];
        // The syntax tree has the last word about where the operand begins.
        if text::parse_expression(operand).ok()? != *expected || tokens[start].range.start < copied {
            return None;
        }
        let alias = format!("\"_in_{number}_{}\"", joins.len());
        condition.push_str(&rule[copied..tokens[start].range.start]);
        // As in SQL, NULL IN (…) is NULL, and so is NULL NOT IN (…): the rule fails either way.
        let found = if *negated { "IS NULL" } else { "IS NOT NULL" };
        condition
            .push_str(&format!("(CASE WHEN ({operand}) IS NOT NULL THEN {alias}.\"_value\" {found} END)"));
        joins.push(Membership {
            alias,
            operand: operand.to_owned(),
            query: rule[query.start..query.end].to_owned(),
        });
        copied = query.end + 1;
        index = tokens.iter().position(|token| token.range.start >= copied).unwrap_or(tokens.len());
    }
    condition.push_str(&rule[copied.min(rule.len())..]);
    (joins.len() == memberships.len()).then_some(Rule::Joined { condition, joins })
}

fn previous(tokens: &[TextToken], index: usize) -> Option<usize> {
    (0..index).rev().find(|i| !tokens[*i].is_blank())
}

fn next(tokens: &[TextToken], index: usize) -> Option<usize> {
    (index + 1..tokens.len()).find(|i| !tokens[*i].is_blank())
}

/// Whether the parenthesis at `index` opens a query.
fn starts_query(tokens: &[TextToken], index: usize) -> bool {
    next(tokens, index)
        .is_some_and(|i| ["select", "with", "values"].iter().any(|word| tokens[i].is_word(word)))
}

/// The bytes between the parentheses after the IN at `index`, if they hold a query.
fn parenthesised_query(tokens: &[TextToken], index: usize) -> Option<Range<usize>> {
    let open = next(tokens, index).filter(|i| tokens[*i].token == Token::LParen)?;
    if !starts_query(tokens, open) {
        return None;
    }
    Some(tokens[open].range.end..tokens[closing(tokens, open)?].range.start)
}

fn closing(tokens: &[TextToken], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the column, literal, call or parenthesis that ends at `end` begins.
fn operand_start(tokens: &[TextToken], end: usize) -> Option<usize> {
    let mut start = end;
    if tokens[end].token == Token::RParen {
        let mut depth = 0_usize;
        start = (0..=end).rev().find(|i| {
            match tokens[*i].token {
                Token::RParen => depth += 1,
                Token::LParen => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        let Some(name) = start.checked_sub(1).filter(|i| matches!(tokens[*i].token, Token::Word(_))) else {
            return Some(start);
        };
        start = name;
    }
    while let Some(period) = start.checked_sub(1).filter(|i| tokens[*i].token == Token::Period) {
        start = period.checked_sub(1)?;
    }
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    fn read(rule: &str, on_fail: OnFail) -> Result<Rule, EtlError> {
        let place = Place { file: "a.sql".to_owned(), line: 1, column: 1, excerpt: String::new() };
        let reason = Some("R".to_owned());
        Rule::read(&Expectation { rule: rule.to_owned(), place, on_fail, reason }, 3)
    }

    fn quarantine(rule: &str) -> (String, Vec<(String, String)>) {
        match read(rule, OnFail::Quarantine).unwrap() {
            Rule::Row { condition } => (condition, Vec::new()),
            Rule::Joined { condition, joins } => {
                (condition, joins.into_iter().map(|join| (join.operand, join.query)).collect())
            }
            Rule::Table { condition } => panic!("about the table: {condition}"),
        }
    }

    #[test]
    fn plain_conditions_stay_as_they_are() {
        assert_eq!(quarantine("qty <> 0"), ("qty <> 0".to_owned(), vec![]));
        assert_eq!(quarantine("channel IN ('web', 'store')").1, []);
        assert_eq!(quarantine("price <= (SELECT max(price) FROM t)").1, []);
    }

    #[test]
    fn in_a_query_becomes_a_join() {
        let (condition, joins) = quarantine("sku IN (SELECT sku FROM public.dim_product)");
        assert_eq!(condition, "(CASE WHEN (sku) IS NOT NULL THEN \"_in_3_0\".\"_value\" IS NOT NULL END)");
        assert_eq!(joins, [("sku".to_owned(), "SELECT sku FROM public.dim_product".to_owned())]);
        let (condition, joins) = quarantine(
            "qty > 0 AND upper(m.sku) NOT IN (SELECT s FROM t WHERE s IN (SELECT x FROM (SELECT 1) y)) OR b in(WITH q AS (SELECT 1) SELECT * FROM q) -- end",
        );
        assert_eq!(
            condition,
            "qty > 0 AND (CASE WHEN (upper(m.sku)) IS NOT NULL THEN \"_in_3_0\".\"_value\" IS NULL END) OR \
             (CASE WHEN (b) IS NOT NULL THEN \"_in_3_1\".\"_value\" IS NOT NULL END) -- end"
        );
        assert_eq!(
            joins[0],
            ("upper(m.sku)".to_owned(), "SELECT s FROM t WHERE s IN (SELECT x FROM (SELECT 1) y)".to_owned())
        );
        assert_eq!(joins[1].0, "b");
        assert_eq!(quarantine("(a || b) IN (SELECT 1)").1[0].0, "(a || b)");
    }

    #[test]
    fn what_can_not_quarantine_says_why() {
        let error = read("a + b IN (SELECT 1)", OnFail::Quarantine).unwrap_err();
        assert!(error.message().contains("left side of IN"), "{error}");
        assert!(read("EXISTS (SELECT 1)", OnFail::Quarantine).unwrap_err().message().contains("EXISTS"));
        assert!(read("row_count > 0", OnFail::Quarantine).unwrap_err().message().contains("whole table"));
        assert!(read("qty >", OnFail::Abort).unwrap_err().message().starts_with("rule `qty >`"));
    }

    #[test]
    fn rules_about_the_table_are_told_by_their_aggregates() {
        let table = |rule: &str| read(rule, OnFail::Abort).unwrap();
        assert_eq!(table("Row_Count > 10"), Rule::Table { condition: "count(*) > 10".to_owned() });
        assert_eq!(table("sum(qty) > 0"), Rule::Table { condition: "sum(qty) > 0".to_owned() });
        assert_eq!(
            table("(SELECT count(*) FROM t) > qty"),
            Rule::Row { condition: "(SELECT count(*) FROM t) > qty".to_owned() }
        );
        assert_eq!(
            table("sku IN (SELECT sku FROM t)"),
            Rule::Row { condition: "sku IN (SELECT sku FROM t)".to_owned() }
        );
    }
}
