//! `a IS NOT DISTINCT FROM b AND c` as PostgreSQL reads it: the parser takes everything up to the end as its right side.
//!
//! IS binds tighter than NOT, AND and OR (PostgreSQL 15 documentation, table 4.2), so an AND or OR without parentheses
//! on its right belongs outside. The rules work from the inside out; each leaves a tree that a parser with the right
//! precedence would have made.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

/// Gives an expression whose parts were mended its right shape.
pub(super) fn mend(expr: &mut Expr) {
    let side = match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) if looser(right) => right,
        Expr::BinaryOp { op: BinaryOperator::And, right, .. }
            if matches!(right.as_ref(), Expr::BinaryOp { op: BinaryOperator::Or, .. }) =>
        {
            right
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } if looser(expr) => expr,
        _ => return,
    };
    let Expr::BinaryOp { left, op, right } = std::mem::replace(side.as_mut(), super::null()) else { return };
    *side = left;
    let mut inner = std::mem::replace(expr, super::null());
    mend(&mut inner);
    *expr = Expr::BinaryOp { left: Box::new(inner), op, right };
}

/// AND or OR without parentheses.
fn looser(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::{Expr, SetExpr, Statement};
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::rewrite;

    /// The shape of a condition: parentheses round every AND, OR and NOT.
    fn shape(condition: &str) -> String {
        fn of(expr: &Expr) -> String {
            match expr {
                Expr::BinaryOp { left, op, right } => format!("({} {op} {})", of(left), of(right)),
                Expr::UnaryOp { op, expr } => format!("({op} {})", of(expr)),
                Expr::Nested(expr) => of(expr),
                Expr::IsNotDistinctFrom(left, right) => format!("({} ≡ {})", of(left), of(right)),
                Expr::IsDistinctFrom(left, right) => format!("({} ≢ {})", of(left), of(right)),
                other => other.to_string(),
            }
        }
        let sql = format!("SELECT 1 WHERE {condition}");
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap();
        let Statement::Query(query) = rewrite(&statements[0]) else { panic!("no query") };
        let SetExpr::Select(select) = *query.body else { panic!("no select") };
        of(&select.selection.unwrap())
    }

    #[test]
    fn is_distinct_from_binds_tighter_than_and_or_and_not() {
        for (condition, expected) in [
            ("a IS NOT DISTINCT FROM b AND c", "((a ≡ b) AND c)"),
            ("a IS DISTINCT FROM b OR c AND d", "((a ≢ b) OR (c AND d))"),
            ("a IS DISTINCT FROM b AND c OR d", "(((a ≢ b) AND c) OR d)"),
            ("p AND a IS NOT DISTINCT FROM b OR q", "((p AND (a ≡ b)) OR q)"),
            ("NOT a IS NOT DISTINCT FROM b OR c", "((NOT (a ≡ b)) OR c)"),
            ("a IS NOT DISTINCT FROM b AND c IS DISTINCT FROM d AND e", "((a ≡ b) AND ((c ≢ d) AND e))"),
            ("a IS NOT DISTINCT FROM (b AND c)", "(a ≡ (b AND c))"),
            ("p AND (a OR b)", "(p AND (a OR b))"),
            ("NOT (a AND b)", "(NOT (a AND b))"),
            ("a IS NOT DISTINCT FROM b + 1 AND c", "((a ≡ (b + 1)) AND c)"),
        ] {
            assert_eq!(shape(condition), expected, "{condition}");
        }
    }
}
