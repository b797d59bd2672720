//! The query that runs a model: its SELECT, wrapped so that one pass tells for each row which rule it breaks and whether
//! it is the row to keep of its key.
//!
//! The wrapper is text around text, never a syntax tree printed back; every piece remembers where it came from, so that
//! an error of the engine points into the model's file.

use crate::error::{EtlError, Place};
use crate::header::OnFail;
use crate::model::Model;
use crate::rule::Rule;
use crate::text;

/// Column of the wrapped query with the number of the first rule that a row breaks, NULL when none.
pub(crate) const FAILED: &str = "_failed";
/// Column of the wrapped query with the rank of a row within its key, 1 for the row to keep.
pub(crate) const RANK: &str = "_rank";

/// A query put together from pieces that know their origin.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    model: &'a Model,
    /// The text.
    pub(crate) sql: String,
    /// Characters (not bytes) where each piece begins, and what it is.
    pieces: Vec<(usize, Piece)>,
    length: usize,
    /// Whether the query has the columns [`FAILED`] and [`RANK`].
    pub(crate) has_failed: bool,
    pub(crate) has_rank: bool,
}

#[derive(Debug, Clone)]
enum Piece {
    Wrapper,
    Body,
    Header(Place),
}

impl<'a> Pass<'a> {
    /// The model's query alone.
    pub(crate) fn plain(model: &'a Model) -> Self {
        let mut pass = Self::empty(model);
        pass.push(Piece::Body, model.file.sql());
        pass
    }

    /// The model's query with what its header asks for. `columns` are those of the query alone.
    ///
    /// # Errors
    /// [`crate::error::Kind::Config`] for a rule that can't be evaluated.
    pub(crate) fn new(model: &'a Model, columns: &[&str]) -> Result<Self, EtlError> {
        let mut rules = Vec::new();
        for (number, expectation) in model.header.expect.iter().enumerate() {
            let rule = Rule::read(expectation, number)?;
            if expectation.on_fail == OnFail::Quarantine {
                rules.push((number, rule, expectation.place.clone()));
            }
        }
        let series = model.header.series.as_ref();
        if rules.is_empty() && model.header.dedup_order.is_none() && series.is_none() {
            return Ok(Self::plain(model));
        }
        let mut pass = Self::empty(model);
        if series.is_some() {
            pass.wrap("SELECT * FROM (\n");
        }
        if let Some(order) = &model.header.dedup_order {
            pass.has_rank = true;
            let unbroken =
                if rules.is_empty() { "true".to_owned() } else { format!("{} IS NULL", quoted(FAILED)) };
            pass.wrap(&format!(
                "SELECT *, CASE WHEN {unbroken} THEN row_number() OVER (PARTITION BY {unbroken}"
            ));
            for key in &model.header.key {
                pass.wrap(&format!(", {}", quoted(key)));
            }
            pass.wrap(" ORDER BY ");
            pass.push(model.header.dedup_place.clone().map_or(Piece::Wrapper, Piece::Header), order);
            // Rows that the order leaves equal come in the order of their files, so that a run is repeatable.
            for origin in ["_file", "_line", "source_file", "source_line"] {
                if columns.contains(&origin) {
                    pass.wrap(&format!(", {}", quoted(origin)));
                }
            }
            pass.wrap(&format!(") END AS {} FROM (\n", quoted(RANK)));
        }
        if !rules.is_empty() {
            pass.has_failed = true;
            pass.wrap("SELECT \"_m\".*, CASE");
            for (number, rule, place) in &rules {
                let (Rule::Row { condition } | Rule::Table { condition } | Rule::Joined { condition, .. }) =
                    rule;
                pass.wrap(" WHEN NOT coalesce((");
                pass.push(Piece::Header(place.clone()), condition);
                pass.wrap(&format!("\n), false) THEN {number}"));
            }
            pass.wrap(&format!(" END AS {} FROM (\n", quoted(FAILED)));
        }
        pass.push(Piece::Body, model.file.sql());
        pass.wrap("\n) AS \"_m\"");
        for (_, rule, place) in &rules {
            if let Rule::Joined { joins, .. } = rule {
                for join in joins {
                    pass.wrap("\n");
                    pass.push(Piece::Header(place.clone()), &join.join());
                }
            }
        }
        if pass.has_failed && pass.has_rank {
            pass.wrap("\n) AS \"_m\"");
        }
        if let Some(series) = series {
            // A pass that only sorts has its body in the parenthesis that the sort opened.
            if pass.has_failed || pass.has_rank {
                pass.wrap("\n) AS \"_m\"");
            }
            // So that one series is a few pages of one file, whatever the size of the table.
            let columns: Vec<String> =
                series.id.iter().chain([&series.time]).map(|name| quoted(name)).collect();
            pass.wrap(&format!("\nORDER BY {}", columns.join(", ")));
        }
        Ok(pass)
    }

    fn empty(model: &'a Model) -> Self {
        Self { model, sql: String::new(), pieces: Vec::new(), length: 0, has_failed: false, has_rank: false }
    }

    fn wrap(&mut self, text: &str) {
        self.push(Piece::Wrapper, text);
    }

    fn push(&mut self, piece: Piece, text: &str) {
        self.pieces.push((self.length, piece));
        self.length += text.chars().count();
        self.sql.push_str(text);
    }

    /// The first place in the model's file that has a word, perhaps qualified, as in `t.column`.
    pub(crate) fn place_of_word(&self, name: &str) -> Option<Place> {
        let name = name.rsplit('.').next()?;
        let tokens = text::tokens(&self.sql).ok()?;
        let characters = |offset: usize| self.sql.get(..offset).map(|before| before.chars().count() + 1);
        tokens
            .iter()
            .filter(|token| token.is_word(name))
            .find_map(|token| characters(token.range.start).and_then(|position| self.place(position)))
    }

    /// The place in the model's file of a 1-based character of [`Pass::sql`]; `None` within the wrapper.
    pub(crate) fn place(&self, position: usize) -> Option<Place> {
        let position = position.checked_sub(1)?;
        let (start, piece) = self.pieces.iter().rev().find(|(start, _)| *start <= position)?;
        match piece {
            Piece::Wrapper => None,
            Piece::Header(place) => Some(place.clone()),
            Piece::Body => {
                let file = &self.model.file;
                let body = file.sql();
                let within =
                    body.char_indices().nth(position - start).map_or(body.len(), |(offset, _)| offset);
                Some(file.place(file.body.start + within))
            }
        }
    }
}

/// An identifier in quotes, as it stands.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table` in quotes.
pub(crate) fn quoted_table(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Models;

    fn model(sql: &str) -> Model {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sql/marts")).unwrap();
        std::fs::write(dir.path().join("sql/marts/a.sql"), sql).unwrap();
        Models::load(dir.path()).unwrap().models.remove(0)
    }

    #[test]
    fn a_model_without_rules_runs_as_it_stands() {
        let model = model("/*--- {expect: [{rule: \"row_count > 0\"}]} ---*/\n-- why\nSELECT 1 AS ü, x; ");
        let pass = Pass::new(&model, &["ü", "x"]).unwrap();
        assert_eq!(pass.sql, "SELECT 1 AS ü, x");
        let place = pass.place(16).unwrap();
        assert_eq!((place.line, place.column), (3, 16));
    }

    #[test]
    fn places_lead_back_into_the_file() {
        let model = model(
            "/*---
key: [id]
dedup: {order_by: at DESC}
expect:
  - {rule: \"bad > 0\", on_fail: quarantine, reason: A}
  - {rule: \"k IN (SELECT k FROM t)\", on_fail: quarantine, reason: B}
---*/
SELECT id, at,
  wrong FROM s -- the end",
        );
        let pass = Pass::new(&model, &["id", "at", "_line"]).unwrap();
        assert!(text::parse_statements(&pass.sql).is_ok(), "{}", pass.sql);
        let at = |needle: &str| {
            let byte = pass.sql.find(needle).unwrap();
            let place = pass.place(pass.sql[..byte].chars().count() + 1);
            place.map(|place| (place.line, place.column))
        };
        assert_eq!(at("wrong"), Some((9, 3)));
        assert_eq!(at("bad > 0"), Some((5, 12)));
        assert_eq!(at("SELECT k FROM t"), Some((6, 12)));
        assert_eq!(at("at DESC"), Some((3, 8)));
        assert_eq!(at("row_number"), None);
        let word = |name: &str| pass.place_of_word(name).map(|place| (place.line, place.column));
        assert_eq!(word("s.wrong"), Some((9, 3)));
        assert_eq!(word("row_number"), None);
        assert!(pass.sql.contains("ORDER BY at DESC, \"_line\")"), "{}", pass.sql);
    }

    #[test]
    fn series_are_stored_one_after_the_other() {
        let series = "series: {id: [b, a], time: at, value: x}";
        for (header, parentheses) in [
            (series.to_owned(), 1),
            (format!("{series}\nexpect: [{{rule: x > 0, on_fail: quarantine, reason: A}}]"), 2),
            (format!("{series}\nkey: [a]\ndedup: {{order_by: at}}"), 2),
            (
                format!(
                    "{series}\nkey: [a]\ndedup: {{order_by: at}}\nexpect: [{{rule: x > 0, on_fail: quarantine, reason: A}}]"
                ),
                3,
            ),
        ] {
            let model = model(&format!("/*---\n{header}\n---*/\nSELECT a, b, at, x FROM s -- the end"));
            let pass = Pass::new(&model, &["a", "b", "at", "x"]).unwrap();
            assert!(text::parse_statements(&pass.sql).is_ok(), "{}", pass.sql);
            assert!(pass.sql.ends_with("\nORDER BY \"b\", \"a\", \"at\""), "{}", pass.sql);
            assert_eq!(pass.sql.matches(") AS \"_m\"").count(), parentheses, "{}", pass.sql);
        }
    }
}
