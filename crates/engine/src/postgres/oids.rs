//! Numbers that PostgreSQL clients know things by.
//!
//! Ours are made from names, so that every session, every version and every server of a warehouse gives a table the same
//! number without keeping a list. Two names get the same number with a chance of 1 in 2³⁰ per pair.

use crate::DEFAULT_SCHEMA;

/// The schema `pg_catalog`, which PostgreSQL's own rows refer to.
pub(super) const PG_CATALOG: i32 = 11;

/// The role that owns everything: the session's user.
pub(super) const OWNER: i32 = 10;

/// Numbers below this are PostgreSQL's own.
const FIRST_OURS: i32 = 16_384;

/// Relations of `pg_catalog` whose numbers clients write into their SQL or find in other rows.
const RELATIONS: &[(&str, i32)] = &[
    ("pg_am", 2601),
    ("pg_attrdef", 2604),
    ("pg_attribute", 1249),
    ("pg_authid", 1260),
    ("pg_class", 1259),
    ("pg_collation", 3456),
    ("pg_constraint", 2606),
    ("pg_database", 1262),
    ("pg_depend", 2608),
    ("pg_description", 2609),
    ("pg_enum", 3501),
    ("pg_extension", 3079),
    ("pg_foreign_data_wrapper", 2328),
    ("pg_foreign_server", 1417),
    ("pg_index", 2610),
    ("pg_inherits", 2611),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_operator", 2617),
    ("pg_proc", 1255),
    ("pg_rewrite", 2618),
    ("pg_sequence", 2224),
    ("pg_tablespace", 1213),
    ("pg_trigger", 2620),
    ("pg_type", 1247),
];

/// The number of a schema.
pub(super) fn namespace(name: &str) -> i32 {
    match name {
        "pg_catalog" => PG_CATALOG,
        "public" => 2200,
        "information_schema" => 13_000,
        _ => ours(name, false),
    }
}

/// The number of a table or view. It is even where the bare name finds it, so that `pg_table_is_visible` needs no list.
pub(super) fn relation(schema: &str, name: &str) -> i32 {
    if schema == "pg_catalog"
        && let Some((_, oid)) = RELATIONS.iter().find(|(known, _)| *known == name)
    {
        return *oid;
    }
    ours(&format!("{schema}.{name}"), schema == DEFAULT_SCHEMA || schema == "pg_catalog")
}

/// The number of the one database.
pub(super) fn database(name: &str) -> i32 {
    ours(name, false)
}

/// Whether a relation is found by its bare name.
pub(super) fn is_visible(oid: i64) -> bool {
    oid < i64::from(FIRST_OURS) || oid % 2 == 0
}

/// What `'name'::regclass` means: a bare name is looked for in `public`, and in `pg_catalog` if it starts like that.
pub(super) fn regclass(text: &str) -> i32 {
    let parts: Vec<String> = text.split('.').map(unquoted).collect();
    match parts.as_slice() {
        [.., schema, name] => relation(schema, name),
        [name] if name.starts_with("pg_") => relation("pg_catalog", name),
        [name] => relation(DEFAULT_SCHEMA, name),
        [] => 0,
    }
}

/// An identifier as it is meant: folded unless quoted.
pub(super) fn unquoted(part: &str) -> String {
    let part = part.trim();
    match part.strip_prefix('"').and_then(|p| p.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => part.to_lowercase(),
    }
}

/// FNV-1a over the name, folded into PostgreSQL's range of user objects.
fn ours(name: &str, even: bool) -> i32 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let folded = (hash ^ (hash >> 32)) % ((1 << 30) - u64::from(FIRST_OURS.unsigned_abs()));
    let oid = i32::try_from(folded).unwrap_or_default() + FIRST_OURS;
    (oid & !1) | i32::from(!even)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_steady_numbers() {
        let sales = relation("public", "fact_sales");
        assert_eq!(sales, regclass("fact_sales"));
        assert_eq!(sales, regclass("public.\"fact_sales\""));
        assert!(sales >= FIRST_OURS && is_visible(sales.into()));
        assert!(!is_visible(relation("staging", "fact_sales").into()));
        assert_eq!(regclass("pg_catalog.pg_class"), 1259);
    }
}
