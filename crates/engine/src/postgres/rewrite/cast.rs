//! Casts to types that only PostgreSQL has.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType, Expr, Ident, Value};

use super::{call, list_literal, literal, null, texts};
use crate::postgres::{oids, types};

/// Rewrites a cast's type, and resolves `'name'::regclass` and its like.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return };
    if type_name(data_type).is_some_and(|t| t == "regproc")
        && let Some(text) = literal(inner)
    {
        // The general tables name functions where PostgreSQL has numbers.
        let name = text.rsplit('.').next().unwrap_or(text).to_owned();
        *expr = Expr::Value(Value::SingleQuotedString(name).with_empty_span());
        return;
    }
    if let Some(name) = type_name(data_type)
        && let Some(text) = literal(inner)
        && let Some(oid) = resolve(&name, text)
    {
        *expr = match oid {
            Some(oid) => Expr::Value(Value::Number(oid.to_string(), false).with_empty_span()),
            None => null(),
        };
        return;
    }
    if type_name(data_type).is_some_and(|t| t == "regclass") {
        let inner = std::mem::replace(inner.as_mut(), null());
        *expr = call(Ident::new("pg_regclass"), vec![inner]);
        return;
    }
    if matches!(data_type, DataType::Array(_))
        && let Some(items) = list_literal(inner)
    {
        **inner = texts(items);
    }
    if let Some(known) = plain(data_type) {
        *data_type = known;
    }
}

/// The number that `text` names as this type; `None` for a type that does not name things, or a name that needs the catalog.
fn resolve(type_name: &str, text: &str) -> Option<Option<i32>> {
    if !type_name.starts_with("reg") && type_name != "oid" {
        return None;
    }
    if let Ok(number) = text.parse::<i32>() {
        return Some(Some(number));
    }
    match type_name {
        "regclass" => Some(Some(oids::regclass(text))),
        "regnamespace" => Some(Some(oids::namespace(&oids::unquoted(text)))),
        "regrole" => Some(Some(oids::OWNER)),
        "regtype" => Some(types::regtype(text)),
        _ => None,
    }
}

/// The last part of the type's name, folded.
fn type_name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Regclass => Some("regclass".to_owned()),
        DataType::Custom(name, modifiers) if modifiers.is_empty() => {
            let schema = match name.0.as_slice() {
                [_] => None,
                [schema, _] => schema.as_ident(),
                _ => return None,
            };
            if schema.is_some_and(|s| !s.value.eq_ignore_ascii_case("pg_catalog")) {
                return None;
            }
            name.0.last()?.as_ident().map(|ident| ident.value.to_lowercase())
        }
        _ => None,
    }
}

/// The type that DataFusion calls it, `None` to leave it.
fn plain(data_type: &DataType) -> Option<DataType> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) = data_type {
        return plain(item).map(|i| DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(i), *size)));
    }
    Some(match type_name(data_type)?.as_str() {
        "bool" | "boolean" => DataType::Boolean,
        "int2" => DataType::SmallInt(None),
        "int4" | "int" | "integer" => DataType::Int(None),
        "int8" | "bigint" | "xid8" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "text" | "name" | "varchar" | "bpchar" | "char" | "inet" | "cidr" | "json" | "jsonb" | "uuid"
        | "pg_lsn" | "pg_node_tree" | "aclitem" | "citext" | "unknown" => DataType::Text,
        "oid" | "xid" | "cid" | "regclass" | "regtype" | "regproc" | "regprocedure" | "regnamespace"
        | "regrole" | "regoper" | "regoperator" | "regcollation" | "regconfig" | "regdictionary" => {
            DataType::Int(None)
        }
        "date" => DataType::Date,
        "bytea" => DataType::Bytea,
        "timestamp" => DataType::Timestamp(None, datafusion::sql::sqlparser::ast::TimezoneInfo::None),
        "timestamptz" => DataType::Timestamp(None, datafusion::sql::sqlparser::ast::TimezoneInfo::Tz),
        "numeric" => DataType::Numeric(datafusion::sql::sqlparser::ast::ExactNumberInfo::None),
        "int2vector" => list(DataType::SmallInt(None)),
        "oidvector" => list(DataType::Int(None)),
        _ => return None,
    })
}

fn list(item: DataType) -> DataType {
    DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), None))
}
