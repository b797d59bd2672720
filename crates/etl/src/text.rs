//! SQL as text with positions: tokens with byte ranges, and the parser's complaints as line and column.
//!
//! The parser gives positions as line and column in characters; ranges in bytes are needed to cut pieces out of a file,
//! because the ETL never prints a syntax tree back to SQL.

use std::ops::Range;

use datafusion::sql::sqlparser::ast::{Expr, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// A token and the bytes it stands on.
#[derive(Debug, Clone)]
pub(crate) struct TextToken {
    pub(crate) token: Token,
    pub(crate) range: Range<usize>,
}

impl TextToken {
    /// White space or a comment.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.token, Token::Whitespace(_) | Token::EOF)
    }

    pub(crate) fn is_semicolon(&self) -> bool {
        self.token == Token::SemiColon
    }

    /// An unquoted word, whatever its case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }
}

/// What the parser does not like, and where (line, column; both 1-based).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) at: Option<(u64, u64)>,
}

impl SyntaxError {
    /// Takes the position that the parser appends to its messages (` at Line: 5, Column: 6`) off again.
    fn new(message: &str) -> Self {
        let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
        let Some((text, position)) = message.rsplit_once(" at Line: ") else {
            return Self { message: lower_first(message), at: None };
        };
        let at = position
            .split_once(", Column: ")
            .and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?)));
        // The parser counts the end of the text as line 0.
        Self { message: lower_first(text), at: at.filter(|(line, _)| *line > 0) }
    }
}

impl From<ParserError> for SyntaxError {
    fn from(error: ParserError) -> Self {
        match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => Self::new(&message),
            ParserError::RecursionLimitExceeded => {
                Self { message: "the query is nested too deeply".to_owned(), at: None }
            }
        }
    }
}

fn lower_first(message: &str) -> String {
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// The tokens of `sql`, blanks included.
pub(crate) fn tokens(sql: &str) -> Result<Vec<TextToken>, SyntaxError> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| SyntaxError {
        message: lower_first(&error.message),
        at: Some((error.location.line, error.location.column)),
    })?;
    // Tokens come in the order of the text, so one walk turns every line and column into a byte offset.
    let mut walk = Walk { characters: sql.char_indices(), line: 1, column: 1, offset: 0, end: sql.len() };
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        let start = walk.to(token.span.start.line, token.span.start.column);
        out.push(TextToken { token: token.token, range: start..start });
    }
    for index in 0..out.len() {
        let end = out.get(index + 1).map_or(sql.len(), |next| next.range.start);
        if let Some(token) = out.get_mut(index) {
            token.range.end = end;
        }
    }
    Ok(out)
}

struct Walk<'a> {
    characters: std::str::CharIndices<'a>,
    line: u64,
    column: u64,
    offset: usize,
    end: usize,
}

impl Walk<'_> {
    fn to(&mut self, line: u64, column: u64) -> usize {
        while (self.line, self.column) < (line, column) {
            match self.characters.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
            self.offset = self.characters.offset();
        }
        self.offset.min(self.end)
    }
}

/// Parses statements separated by semicolons, as the engine does: `TABLE name` may stand as an argument.
pub(crate) fn parse_statements(sql: &str) -> Result<Vec<Statement>, SyntaxError> {
    let dialect = PostgreSqlDialect {};
    let tokens = smartsneaks_engine::tokenize(sql, &dialect).map_err(|error| SyntaxError {
        message: lower_first(&error.message),
        at: Some((error.location.line, error.location.column)),
    })?;
    Ok(Parser::new(&dialect).with_tokens_with_locations(tokens).parse_statements()?)
}

/// Parses one expression and nothing after it.
pub(crate) fn parse_expression(sql: &str) -> Result<Expr, SyntaxError> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).try_with_sql(sql)?;
    let expression = parser.parse_expr()?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        Ok(expression)
    } else {
        let at = Some((rest.span.start.line, rest.span.start.column));
        Err(SyntaxError { message: format!("expected the end of the expression, found: {}", rest.token), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ranges_cut_the_text_whole() {
        let sql = "SELECT 'ää\n', \"Ö\" -- ü\n  FROM t; /* x */";
        let tokens = tokens(sql).unwrap();
        let glued: String = tokens.iter().map(|token| &sql[token.range.clone()]).collect();
        assert_eq!(glued, sql);
        let semicolon = tokens.iter().find(|token| token.is_semicolon()).unwrap();
        assert_eq!(&sql[semicolon.range.clone()], ";");
    }

    #[test]
    fn syntax_errors_have_positions() {
        let error = parse_statements("SELECT 1\nFROM ) t").unwrap_err();
        assert_eq!(error.at, Some((2, 6)), "{error:?}");
        assert!(!error.message.contains("Line"), "{error:?}");
        assert_eq!(parse_expression("a > 1 b").unwrap_err().at, Some((1, 7)));
    }
}
