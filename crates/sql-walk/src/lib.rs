//! Walks over parsed SQL, compiled once.
//!
//! sqlparser's `Visit::visit` is generic over its visitor, so every kind of visitor compiles the walk through the whole
//! grammar, some thousand functions, anew. Here it is compiled for one visitor that hands each node on to a
//! `dyn Visitor`; a [`Visitor`] of any kind goes in as it is.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, ObjectName, Query, Select, SelectItem, Statement, TableFactor, ValueWithSpan, Visit,
    VisitMut, Visitor, VisitorMut,
};

/// A part of a statement that can be looked at with a [`Visitor`].
pub trait Walk {
    /// Hands each node to `visitor`, until it breaks. Callers want [`Walk::walk`].
    fn walk_dyn(&self, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()>;

    /// Hands each node to `visitor`, until it breaks; returns what it broke with.
    fn walk<V: Visitor>(&self, visitor: &mut V) -> ControlFlow<V::Break> {
        let mut keeping = Keeping { visitor, broke_with: None };
        let _ = self.walk_dyn(&mut keeping);
        keeping.broke_with.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

/// A part of a statement that can be changed with a [`VisitorMut`].
pub trait WalkMut {
    /// Hands each node to `visitor`, until it breaks. Callers want [`WalkMut::walk_mut`].
    fn walk_mut_dyn(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()>;

    /// Hands each node to `visitor`, until it breaks; returns what it broke with.
    fn walk_mut<V: VisitorMut>(&mut self, visitor: &mut V) -> ControlFlow<V::Break> {
        let mut keeping = Keeping { visitor, broke_with: None };
        let _ = self.walk_mut_dyn(&mut keeping);
        keeping.broke_with.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

/// Hands each expression of `node` to `look`, an outer one before those within it, until it breaks.
pub fn walk_expressions<E>(
    node: &(impl Walk + ?Sized),
    look: impl FnMut(&Expr) -> ControlFlow<E>,
) -> ControlFlow<E> {
    node.walk(&mut Expressions(look))
}

/// Hands each expression of `node` to `change`, an outer one after those within it, until it breaks.
pub fn walk_expressions_mut<E>(
    node: &mut (impl WalkMut + ?Sized),
    change: impl FnMut(&mut Expr) -> ControlFlow<E>,
) -> ControlFlow<E> {
    node.walk_mut(&mut Expressions(change))
}

/// Hands the name of each relation that `node` names to `look`, until it breaks.
pub fn walk_relations<E>(
    node: &(impl Walk + ?Sized),
    look: impl FnMut(&ObjectName) -> ControlFlow<E>,
) -> ControlFlow<E> {
    node.walk(&mut Relations(look))
}

macro_rules! walked {
    ($($node:ty),*) => {$(
        impl Walk for $node {
            fn walk_dyn(&self, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
                self.visit(&mut Any(visitor))
            }
        }

        impl WalkMut for $node {
            fn walk_mut_dyn(&mut self, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
                self.visit(&mut Any(visitor))
            }
        }
    )*};
}

walked!(Expr, FunctionArg, Query, SelectItem, Statement);

impl<N: Walk> Walk for [N] {
    fn walk_dyn(&self, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
        self.iter().try_for_each(|node| node.walk_dyn(visitor))
    }
}

struct Expressions<F>(F);

impl<E, F: FnMut(&Expr) -> ControlFlow<E>> Visitor for Expressions<F> {
    type Break = E;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<E> {
        (self.0)(expr)
    }
}

impl<E, F: FnMut(&mut Expr) -> ControlFlow<E>> VisitorMut for Expressions<F> {
    type Break = E;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<E> {
        (self.0)(expr)
    }
}

struct Relations<F>(F);

impl<E, F: FnMut(&ObjectName) -> ControlFlow<E>> Visitor for Relations<F> {
    type Break = E;

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<E> {
        (self.0)(name)
    }
}

/// A visitor that breaks with nothing, in place of one that breaks with something: that is kept here.
struct Keeping<'a, V, B> {
    visitor: &'a mut V,
    broke_with: Option<B>,
}

impl<V, B> Keeping<'_, V, B> {
    fn pass(&mut self, hook: impl FnOnce(&mut V) -> ControlFlow<B>) -> ControlFlow<()> {
        match hook(self.visitor) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(with) => {
                self.broke_with = Some(with);
                ControlFlow::Break(())
            }
        }
    }
}

/// The one visitor that the walk through the grammar is compiled for (one that looks, one that changes).
struct Any<'a, D: ?Sized>(&'a mut D);

impl<D: ?Sized> Any<'_, D> {
    fn pass(&mut self, hook: impl FnOnce(&mut D) -> ControlFlow<()>) -> ControlFlow<()> {
        hook(self.0)
    }
}

macro_rules! forwards {
    ($($hook:ident: $node:ty),* $(,)?) => {
        type Break = ();

        $(fn $hook(&mut self, node: $node) -> ControlFlow<()> {
            self.pass(|visitor| visitor.$hook(node))
        })*
    };
}

/// Every hook that there is, with the node it gets, for a macro that writes them.
macro_rules! every_hook {
    ($write:ident $($mutable:ident)?) => {
        $write! {
            pre_visit_query: &$($mutable)? Query,
            post_visit_query: &$($mutable)? Query,
            pre_visit_select: &$($mutable)? Select,
            post_visit_select: &$($mutable)? Select,
            pre_visit_relation: &$($mutable)? ObjectName,
            post_visit_relation: &$($mutable)? ObjectName,
            pre_visit_table_factor: &$($mutable)? TableFactor,
            post_visit_table_factor: &$($mutable)? TableFactor,
            pre_visit_expr: &$($mutable)? Expr,
            post_visit_expr: &$($mutable)? Expr,
            pre_visit_statement: &$($mutable)? Statement,
            post_visit_statement: &$($mutable)? Statement,
            pre_visit_value: &$($mutable)? ValueWithSpan,
            post_visit_value: &$($mutable)? ValueWithSpan,
        }
    };
}

impl<V: Visitor> Visitor for Keeping<'_, V, V::Break> {
    every_hook!(forwards);
}

impl<V: VisitorMut> VisitorMut for Keeping<'_, V, V::Break> {
    every_hook!(forwards mut);
}

impl Visitor for Any<'_, dyn Visitor<Break = ()> + '_> {
    every_hook!(forwards);
}

impl VisitorMut for Any<'_, dyn VisitorMut<Break = ()> + '_> {
    every_hook!(forwards mut);
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    const TEXT: &str = "WITH early AS (SELECT a + 1 AS b FROM one) \
                        SELECT (SELECT max(c) FROM two) FROM early WHERE b IN (SELECT d FROM three) AND b > 7";

    fn statement() -> Result<Statement, Box<dyn Error>> {
        Parser::parse_sql(&PostgreSqlDialect {}, TEXT)?.pop().ok_or_else(|| "no statement".into())
    }

    /// Writes down every hook that is called, with its node.
    #[derive(Default)]
    struct Log(Vec<String>);

    macro_rules! logs {
        ($($hook:ident: $node:ty),* $(,)?) => {
            type Break = ();

            $(fn $hook(&mut self, node: $node) -> ControlFlow<()> {
                self.0.push(format!("{} {node}", stringify!($hook)));
                ControlFlow::Continue(())
            })*
        };
    }

    impl Visitor for Log {
        every_hook!(logs);
    }

    impl VisitorMut for Log {
        every_hook!(logs mut);
    }

    #[test]
    fn a_walk_calls_what_a_visit_calls() -> Result<(), Box<dyn Error>> {
        let mut statement = statement()?;
        let (mut walked, mut visited) = (Log::default(), Log::default());
        assert_eq!(statement.walk(&mut walked), ControlFlow::Continue(()));
        assert_eq!(Visit::visit(&statement, &mut visited), ControlFlow::Continue(()));
        assert_eq!(walked.0, visited.0);
        for hook in ["pre_visit_query", "post_visit_relation", "pre_visit_value", "post_visit_statement"] {
            assert!(walked.0.iter().any(|line| line.starts_with(hook)), "{hook} in {:?}", walked.0);
        }

        let (mut walked, mut visited) = (Log::default(), Log::default());
        assert_eq!(statement.walk_mut(&mut walked), ControlFlow::Continue(()));
        assert_eq!(VisitMut::visit(&mut statement, &mut visited), ControlFlow::Continue(()));
        assert_eq!(walked.0, visited.0);
        Ok(())
    }

    #[test]
    fn a_walk_ends_where_its_visitor_breaks_and_says_with_what() -> Result<(), Box<dyn Error>> {
        let mut seen = Vec::new();
        let found = walk_relations(&statement()?, |name| {
            seen.push(name.to_string());
            if seen.len() == 2 { ControlFlow::Break(name.to_string()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(found, ControlFlow::Break("two".to_owned()));
        assert_eq!(seen, ["one", "two"]);
        Ok(())
    }

    #[test]
    fn expressions_are_seen_from_outside_and_changed_from_inside() -> Result<(), Box<dyn Error>> {
        let mut expr = Parser::new(&PostgreSqlDialect {}).try_with_sql("a + b * 2")?.parse_expr()?;
        let mut seen = Vec::new();
        let _ = walk_expressions(&expr, |e| {
            seen.push(e.to_string());
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(seen, ["a + b * 2", "a", "b * 2", "b", "2"]);
        seen.clear();
        let _ = walk_expressions_mut(&mut expr, |e| {
            if matches!(e, Expr::Identifier(_)) {
                *e = Expr::Nested(Box::new(e.clone()));
            }
            seen.push(e.to_string());
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(seen, ["(a)", "(b)", "2", "(b) * 2", "(a) + (b) * 2"]);
        Ok(())
    }
}
