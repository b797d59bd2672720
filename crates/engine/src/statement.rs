//! SQL text → statements, parsed once.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::error::{self, Error, Kind};

/// How deep expressions and sub-queries may nest before a statement is refused, so that no text overflows the stack.
const RECURSION_LIMIT: usize = 50;

/// The longest text that is parsed, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// One parsed statement with the text that it came from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Statement {
    ast: Option<Arc<ast::Statement>>,
    model: Option<ModelStatement>,
    source: Arc<str>,
    start: usize,
    end: usize,
}

/// What is asked of a model that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModelStatement {
    /// CREATE [OR REPLACE] MODEL name AS query; the query is the statement's tree and begins at byte `query`.
    Create { name: String, replace: bool, query: usize },
    /// DROP MODEL [IF EXISTS] name.
    Drop { name: String, if_exists: bool },
}

impl Statement {
    /// Parses `sql`, which may hold several statements. Text without any gives one empty statement.
    ///
    /// # Errors
    /// [`Kind::Syntax`], pointing at the place.
    pub fn parse(sql: &str) -> Result<Vec<Self>, Error> {
        if sql.len() > MAX_TEXT {
            let message =
                format!("the text has {} bytes, more than the {MAX_TEXT} that are parsed", sql.len());
            return Err(Error::new(Kind::Syntax, message));
        }
        let dialect = PostgreSqlDialect {};
        let source: Arc<str> = Arc::from(sql);
        let tokens = smartsneaks_table_function::tokenize(sql, &dialect)
            .map_err(|e| at_place(sql, error::syntax(&e.message), (e.location.line, e.location.column)))?;
        let mut out = Vec::new();
        for piece in split(&tokens) {
            out.push(Self::parse_one(&dialect, &source, piece)?);
        }
        if out.is_empty() {
            out.push(Self { ast: None, model: None, source, start: 0, end: sql.len() });
        }
        Ok(out)
    }

    fn parse_one(dialect: &dyn Dialect, source: &Arc<str>, tokens: &[TokenWithSpan]) -> Result<Self, Error> {
        refuse_external_table(tokens)?;
        let mut parser = Parser::new(dialect)
            .with_recursion_limit(RECURSION_LIMIT)
            .with_tokens_with_locations(tokens.to_vec());
        let parsed = model_statement(&mut parser, source).and_then(|model| {
            let ast = match model {
                Some(ModelStatement::Create { .. }) => Some(ast::Statement::Query(parser.parse_query()?)),
                Some(ModelStatement::Drop { .. }) => None,
                None => Some(parser.parse_statement()?),
            };
            let next = parser.peek_token();
            if next.token == Token::EOF {
                Ok((ast, model))
            } else {
                parser.expected("end of statement", next)
            }
        });
        let start = tokens.first().map_or(0, |t| offset(source, t.span.start));
        let end = tokens.last().map_or(source.len(), |t| offset(source, t.span.end));
        let (ast, model) = parsed.map_err(|e| {
            let message = e.to_string();
            let place = error::place_in_message(&message);
            let out = if message.contains("recursion limit") {
                Error::new(Kind::Syntax, format!("nested deeper than {RECURSION_LIMIT} levels"))
                    .with_hint("split the statement with WITH or a view")
            } else {
                error::syntax(&message)
            };
            match place {
                Some(place) => at_place(source, out, place),
                // The parser names no place when the text ends too early.
                None => out.with_position(source[..end].chars().count() + 1),
            }
        })?;
        Ok(Self { ast: ast.map(Arc::new), model, source: Arc::clone(source), start, end })
    }

    /// The statement's own text, without the separator.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.get(self.start..self.end).unwrap_or(&self.source)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ast.is_none() && self.model.is_none()
    }

    pub(crate) fn model(&self) -> Option<&ModelStatement> {
        self.model.as_ref()
    }

    /// The text of the query, which CREATE MODEL has inside.
    pub(crate) fn query_text(&self) -> &str {
        match &self.model {
            Some(ModelStatement::Create { query, .. }) => {
                self.source.get(*query..self.end).unwrap_or_default().trim()
            }
            _ => self.text(),
        }
    }

    pub(crate) fn ast(&self) -> Option<&Arc<ast::Statement>> {
        self.ast.as_ref()
    }

    /// Gives `error` the character that stands at `place` (line, column), if it has none.
    pub(crate) fn locate(&self, error: Error, place: Option<(u64, u64)>) -> Error {
        match place {
            Some(place) if error.position().is_none() => at_place(&self.source, error, place),
            _ => error,
        }
    }
}

/// Takes CREATE MODEL … AS or DROP MODEL … from the front, which the parser does not know.
fn model_statement(parser: &mut Parser<'_>, source: &str) -> Result<Option<ModelStatement>, ParserError> {
    let word = |token: &Token, word: &str| matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word));
    let first = |at: usize| parser.peek_nth_token_ref(at).token.clone();
    let (create, drop) = (word(&first(0), "create"), word(&first(0), "drop"));
    let replace = create && word(&first(1), "or") && word(&first(2), "replace");
    let words = if replace { 3 } else { 1 };
    if !(create || drop) || !word(&first(words), "model") {
        return Ok(None);
    }
    for _ in 0..=words {
        parser.next_token();
    }
    let if_exists = drop && parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_identifier()?;
    let name = if name.quote_style.is_some() { name.value } else { name.value.to_lowercase() };
    if drop {
        return Ok(Some(ModelStatement::Drop { name, if_exists }));
    }
    parser.expect_keyword(Keyword::AS)?;
    let query = offset(source, parser.peek_token_ref().span.start);
    Ok(Some(ModelStatement::Create { name, replace, query }))
}

/// CREATE EXTERNAL TABLE has as many forms as there are engines; whatever its form, it would read the server's files.
fn refuse_external_table(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let mut words = tokens.iter().filter_map(|t| match &t.token {
        Token::Word(word) => Some(word.value.to_ascii_uppercase()),
        _ => None,
    });
    let starts = words.next().is_some_and(|w| w == "CREATE");
    if starts && words.take_while(|w| w != "TABLE").any(|w| w == "EXTERNAL") {
        return Err(Error::new(Kind::Forbidden, "CREATE EXTERNAL TABLE would read files of the server")
            .with_hint("declare a source in smartsneaks.toml and a model in sql/"));
    }
    Ok(())
}

/// Splits at semicolons and leaves out statements of nothing but white space and comments.
fn split(tokens: &[TokenWithSpan]) -> impl Iterator<Item = &[TokenWithSpan]> {
    tokens.split(|t| t.token == Token::SemiColon).filter_map(|piece| {
        let blank = |t: &TokenWithSpan| matches!(t.token, Token::Whitespace(_) | Token::EOF);
        let first = piece.iter().position(|t| !blank(t))?;
        let last = piece.iter().rposition(|t| !blank(t))?;
        Some(&piece[first..=last])
    })
}

fn at_place(source: &str, error: Error, (line, column): (u64, u64)) -> Error {
    let at = offset(source, Location { line, column });
    error.with_position(source[..at].chars().count() + 1)
}

/// The byte at which line and column (counted from 1, columns in characters) stand.
fn offset(source: &str, location: Location) -> usize {
    if location.line == 0 {
        return 0;
    }
    let mut start = 0;
    for _ in 1..location.line {
        match source[start..].find('\n') {
            Some(newline) => start += newline + 1,
            None => return source.len(),
        }
    }
    let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
    source[start..].char_indices().nth(column).map_or(source.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_statements_keep_their_own_text() {
        let all = Statement::parse("SELECT 1; -- one\n SELECT 'a;b' ;;").unwrap();
        assert_eq!(all.iter().map(Statement::text).collect::<Vec<_>>(), ["SELECT 1", "SELECT 'a;b'"]);
    }

    #[test]
    fn nothing_is_one_empty_statement() {
        for sql in ["", ";", " -- only a comment", ";;"] {
            let all = Statement::parse(sql).unwrap();
            assert!(all.len() == 1 && all[0].is_empty(), "{sql}");
        }
    }

    #[test]
    fn errors_point_at_the_character() {
        let sql = "SELECT 1;\nSELECT é FROM t u Zero";
        let error = Statement::parse(sql).unwrap_err();
        assert_eq!(error.sqlstate(), "42601");
        let position = error.position().unwrap();
        assert_eq!(sql.chars().nth(position - 1), Some('Z'), "{error}");
        let error = Statement::parse("SELECT (1").unwrap_err();
        assert!(error.position().is_some());
    }

    #[test]
    fn statements_about_models_are_told_apart() {
        let model = |sql: &str| Statement::parse(sql).unwrap()[0].model().cloned();
        let sql = "SELECT 1; create or replace model Demand as -- all\n SELECT * FROM forecast('*') ;";
        let all = Statement::parse(sql).unwrap();
        assert!(matches!(
            all[1].model(),
            Some(ModelStatement::Create { name, replace: true, .. }) if name == "demand"
        ));
        assert_eq!(all[1].query_text(), "SELECT * FROM forecast('*')");
        let drop = |name: &str, if_exists| Some(ModelStatement::Drop { name: name.into(), if_exists });
        assert_eq!(model("DROP MODEL demand"), drop("demand", false));
        assert_eq!(model("drop model if exists \"Odd one\""), drop("Odd one", true));
        assert_eq!(model("SELECT 1 AS model"), None);
        for sql in [
            "CREATE MODEL AS SELECT 1",
            "CREATE MODEL a",
            "CREATE MODEL a AS",
            "DROP MODEL",
            "DROP MODEL a b",
        ] {
            let error = Statement::parse(sql).unwrap_err();
            assert!(error.sqlstate() == "42601" && error.position().is_some(), "{sql}: {error}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let sql = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(Statement::parse(&sql).unwrap_err().sqlstate(), "42601");
    }
}
