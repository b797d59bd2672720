//! The tables that a query reads, found in its syntax tree.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query, TableFactor, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span;
use smartsneaks_sql_walk::Walk;

/// A table named in a query: `schema.table` and where it stands (line and column, both 1-based).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// Every table that `query` names, in the order of the text, without the names that a WITH introduces and without table
/// functions. A name without a schema is one of `public`.
pub(crate) fn tables(query: &Query) -> Vec<Reference> {
    let mut collector = Collector::default();
    let _ = query.walk(&mut collector);
    collector.found
}

/// Every table function that `query` calls, by its bare name, in the order of the text.
pub(crate) fn calls(query: &Query) -> Vec<Reference> {
    let mut collector = Collector::default();
    let _ = query.walk(&mut collector);
    collector.calls
}

/// The texts that calls in `query` give as `model`.
pub(crate) fn models(query: &Query) -> std::collections::BTreeSet<String> {
    smartsneaks_engine::named_models(query)
}

/// Every table that a sub-query of a rule names.
pub(crate) fn tables_of_expression(expression: &Expr) -> Vec<Reference> {
    let mut collector = Collector::default();
    let _ = expression.walk(&mut collector);
    collector.found
}

#[derive(Default)]
struct Collector {
    scopes: Vec<Scope>,
    /// One entry a table factor under way: whether it is a function call.
    functions: Vec<bool>,
    found: Vec<Reference>,
    calls: Vec<Reference>,
}

/// The names that one query's WITH introduces.
#[derive(Default)]
struct Scope {
    /// Name of each CTE and the address of its query, by which a visit tells that it is inside it.
    ctes: Vec<(String, usize)>,
    /// How many of them can be seen from here: all of them in the body, in a CTE only those before it (all when recursive).
    visible: usize,
    recursive: bool,
}

impl Collector {
    fn is_cte(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.ctes.iter().take(scope.visible).any(|(cte, _)| cte == name))
    }
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let address = std::ptr::from_ref(query).addr();
        if let Some(scope) = self.scopes.last_mut()
            && !scope.recursive
            && let Some(position) = scope.ctes.iter().position(|(_, cte)| *cte == address)
        {
            scope.visible = position;
        }
        let scope = query.with.as_ref().map_or_else(Scope::default, |with| {
            let ctes: Vec<_> = with
                .cte_tables
                .iter()
                .map(|cte| (normalized(&cte.alias.name), std::ptr::from_ref(cte.query.as_ref()).addr()))
                .collect();
            Scope { visible: ctes.len(), ctes, recursive: with.recursive }
        });
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        if let Some(scope) = self.scopes.last_mut() {
            scope.visible = scope.ctes.len();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let call = match factor {
            TableFactor::Table { name, args: Some(_), .. } => Some(name),
            _ => None,
        };
        if let Some([ObjectNamePart::Identifier(ident)]) = call.map(|name| name.0.as_slice()) {
            let Span { start, .. } = ident.span;
            self.calls.push(Reference { name: normalized(ident), line: start.line, column: start.column });
        }
        self.functions.push(call.is_some());
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, _factor: &TableFactor) -> ControlFlow<()> {
        self.functions.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        // The relation of a function call is the function's name; tables inside its arguments are factors of their own.
        if self.functions.last() == Some(&true) {
            return ControlFlow::Continue(());
        }
        let parts: Vec<_> = relation.0.iter().filter_map(|part| part.as_ident()).collect();
        let start = parts.first().map_or(Span::empty(), |part| part.span).start;
        let names: Vec<_> = parts.iter().map(|part| normalized(part)).collect();
        let name = match names.as_slice() {
            [table] if self.is_cte(table) => return ControlFlow::Continue(()),
            [table] => format!("public.{table}"),
            // A catalog before the schema changes nothing: there is one.
            [.., schema, table] => format!("{schema}.{table}"),
            [] => return ControlFlow::Continue(()),
        };
        self.found.push(Reference { name, line: start.line, column: start.column });
        ControlFlow::Continue(())
    }
}

fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::*;
    use crate::text;

    fn names(sql: &str) -> Vec<String> {
        let statements = text::parse_statements(sql).unwrap();
        let Statement::Query(query) = &statements[0] else { panic!("not a query") };
        tables(query).into_iter().map(|reference| reference.name).collect()
    }

    #[test]
    fn tables_that_are_arguments_are_read() {
        let sql =
            "SELECT * FROM forecast(TABLE sku_city_daily, future => TABLE staging.plan, model => 'demand@2')";
        assert_eq!(names(sql), ["public.sku_city_daily", "staging.plan"]);
        let statements = text::parse_statements(sql).unwrap();
        let Statement::Query(query) = &statements[0] else { panic!("not a query") };
        assert_eq!(models(query).into_iter().collect::<Vec<_>>(), ["demand@2"]);
    }

    #[test]
    fn finds_tables_wherever_they_stand() {
        assert_eq!(
            names(
                "SELECT (SELECT max(x) FROM c) FROM Staging.A a JOIN raw.b USING (k) WHERE k IN (SELECT k FROM \"D\")"
            ),
            ["public.c", "staging.a", "raw.b", "public.D"]
        );
        assert_eq!(
            names("SELECT 1 FROM a UNION ALL SELECT 2 FROM (SELECT * FROM smartsneaks.public.b) x"),
            ["public.a", "public.b"]
        );
    }

    #[test]
    fn ctes_are_not_tables_but_may_shadow_them() {
        assert_eq!(
            names("WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a) SELECT * FROM a, b"),
            ["public.t"]
        );
        assert_eq!(names("WITH a AS (SELECT * FROM a) SELECT * FROM a"), ["public.a"]);
        assert_eq!(
            names("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a"),
            [""; 0]
        );
        assert_eq!(names("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a"), ["public.a"]);
        assert_eq!(names("WITH a AS (SELECT 1) SELECT * FROM x.a"), ["x.a"]);
    }

    #[test]
    fn functions_are_not_tables_but_their_arguments_hold_some() {
        assert_eq!(names("SELECT * FROM generate_series(1, 3)"), [""; 0]);
        assert_eq!(names("SELECT * FROM forecast((SELECT * FROM marts.s), horizon => 3) f"), ["marts.s"]);
    }

    #[test]
    fn positions_are_those_of_the_text() {
        let statements = text::parse_statements("SELECT 1\n  FROM  staging.a").unwrap();
        let Statement::Query(query) = &statements[0] else { panic!("not a query") };
        assert_eq!(tables(query), [Reference { name: "staging.a".to_owned(), line: 2, column: 9 }]);
    }
}
