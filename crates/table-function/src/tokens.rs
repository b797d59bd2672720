//! `TABLE name` where an expression stands, as in `forecast(TABLE t)`.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError, Word};

/// Tokens of `sql` with `TABLE name` rewritten by [`rewrite_tokens`]: what to hand to the parser.
pub fn tokenize(sql: &str, dialect: &dyn Dialect) -> Result<Vec<TokenWithSpan>, TokenizerError> {
    Ok(rewrite_tokens(Tokenizer::new(dialect, sql).tokenize_with_location()?))
}

/// Writes `(SELECT * FROM name)` for `TABLE name` after an opening parenthesis, a comma or `=>`, when a closing
/// parenthesis or a comma follows: sqlparser 0.62 reads `TABLE name` as a statement only, and its dialects can't be
/// extended from outside (their prefix hook comes with 150 other methods that a wrapper would have to pass on).
/// The words that are added take the positions of those that they replace, so that errors still point into the text.
pub fn rewrite_tokens(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_table(&token.token)) {
        return tokens;
    }
    let mut rewritten = Vec::with_capacity(tokens.len() + 8);
    let mut position = 0;
    while let Some(token) = tokens.get(position) {
        let opens =
            rewritten.iter().rev().map(|token: &TokenWithSpan| &token.token).find(|token| !is_blank(token));
        if is_table(&token.token)
            && matches!(opens, Some(Token::LParen | Token::Comma | Token::RArrow))
            && let Some(end) = end_of_name(&tokens, position + 1)
        {
            let at = |token| TokenWithSpan::new(token, tokens[position].span);
            let keyword = |text: &str, keyword| {
                at(Token::Word(Word { value: text.into(), quote_style: None, keyword }))
            };
            rewritten.extend([
                at(Token::LParen),
                keyword("SELECT", Keyword::SELECT),
                at(Token::Mul),
                keyword("FROM", Keyword::FROM),
            ]);
            rewritten.extend_from_slice(&tokens[position + 1..end]);
            rewritten.push(TokenWithSpan::new(Token::RParen, tokens[end - 1].span));
            position = end;
        } else {
            rewritten.push(token.clone());
            position += 1;
        }
    }
    rewritten
}

/// The index after the dotted name that starts at `position`, if a `)` or `,` comes next.
fn end_of_name(tokens: &[TokenWithSpan], mut position: usize) -> Option<usize> {
    let mut end = None;
    let mut expects_word = true;
    loop {
        match &tokens.get(position)?.token {
            token if is_blank(token) => {}
            Token::Word(word)
                if expects_word && (word.quote_style.is_some() || word.keyword != Keyword::FROM) =>
            {
                expects_word = false;
                end = Some(position + 1);
            }
            Token::Period if !expects_word => expects_word = true,
            Token::RParen | Token::Comma if !expects_word => return end,
            _ => return None,
        }
        position += 1;
    }
}

fn is_table(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.keyword == Keyword::TABLE && word.quote_style.is_none())
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn rewritten(sql: &str) -> String {
        tokenize(sql, &PostgreSqlDialect {}).unwrap().iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn only_arguments_change() {
        for (sql, expected) in [
            ("SELECT * FROM forecast(TABLE t)", "SELECT * FROM forecast((SELECT*FROM t))"),
            ("forecast( table  public.t , a => 1)", "forecast( (SELECT*FROM  public.t) , a => 1)"),
            ("f(x => TABLE \"@12\".t)", "f(x => (SELECT*FROM \"@12\".t))"),
            ("f(1, TABLE t)", "f(1, (SELECT*FROM t))"),
            ("TABLE t", "TABLE t"),
            ("CREATE TABLE t (a INT)", "CREATE TABLE t (a INT)"),
            ("SELECT '(TABLE t)', \"table\" FROM x", "SELECT '(TABLE t)', \"table\" FROM x"),
            ("SELECT a, table FROM x", "SELECT a, table FROM x"),
            ("f(TABLE t.)", "f(TABLE t.)"),
            ("f(TABLE", "f(TABLE"),
        ] {
            assert_eq!(rewritten(sql), expected);
        }
    }

    #[test]
    fn every_form_of_call_parses() {
        for call in [
            "forecast('SKU1')",
            "forecast('*')",
            "forecast(ARRAY['SKU1','SKU2'], horizon=>14)",
            "forecast((SELECT date, qty FROM t WHERE qty > 0), horizon => 14)",
            "forecast(TABLE t)",
            "forecast(TABLE \"@12\".t, id_cols => ARRAY['sku', 'city'])",
            "forecast($1, horizon => $2)",
            "forecast(horizon => -1, series => TABLE t)",
            "forecast(horizon=>-1)",
            "forecast(model => 'auto', non_negative => false, as_of => DATE '2026-01-01', series => 'SKU1') AS f",
        ] {
            let sql = format!("SELECT * FROM {call}");
            let tokens = tokenize(&sql, &PostgreSqlDialect {}).unwrap();
            let parsed =
                Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens).parse_statements();
            assert_eq!(parsed.as_ref().map(Vec::len), Ok(1), "{sql}: {parsed:?}");
        }
    }
}
