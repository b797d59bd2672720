//! Types: Arrow's as PostgreSQL's, and PostgreSQL's names for them.

use std::collections::HashMap;
use std::sync::OnceLock;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int32Type};

use super::tables::statics;

/// How `pg_attribute` describes a column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PgType {
    /// The number of its row in `pg_type`.
    pub(super) oid: i32,
    /// Its size in bytes, -1 where that varies.
    pub(super) length: i16,
    /// Precision and scale of a numeric as PostgreSQL packs them, else -1.
    pub(super) modifier: i32,
    /// Whether it is a list.
    pub(super) array: bool,
}

/// Number, length, number of its array type, and name in SQL.
const NAMES: &[(i32, i16, i32, &str)] = &[
    (16, 1, 1000, "boolean"),
    (17, -1, 1001, "bytea"),
    (18, 1, 1002, "\"char\""),
    (19, 64, 1003, "name"),
    (20, 8, 1016, "bigint"),
    (21, 2, 1005, "smallint"),
    (22, -1, 1006, "int2vector"),
    (23, 4, 1007, "integer"),
    (25, -1, 1009, "text"),
    (26, 4, 1028, "oid"),
    (114, -1, 199, "json"),
    (700, 4, 1021, "real"),
    (701, 8, 1022, "double precision"),
    (1042, -1, 1014, "character"),
    (1043, -1, 1015, "character varying"),
    (1082, 4, 1182, "date"),
    (1083, 8, 1183, "time without time zone"),
    (1114, 8, 1115, "timestamp without time zone"),
    (1184, 8, 1185, "timestamp with time zone"),
    (1186, 16, 1187, "interval"),
    (1266, 12, 1270, "time with time zone"),
    (1560, -1, 1561, "bit"),
    (1562, -1, 1563, "bit varying"),
    (1700, -1, 1231, "numeric"),
    (2950, 16, 2951, "uuid"),
    (3802, -1, 3807, "jsonb"),
];

/// What a column of this type is called in PostgreSQL.
pub(super) fn of(data_type: &DataType) -> PgType {
    let mut modifier = -1;
    let oid = match data_type {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 21,
        DataType::UInt16 | DataType::Int32 => 23,
        DataType::UInt32 | DataType::Int64 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            modifier = ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4;
            1700
        }
        DataType::UInt64 => 1700,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 17,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        DataType::Dictionary(_, value) => return of(value),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::FixedSizeList(item, _) => {
            let item = of(item.data_type());
            let array = NAMES.iter().find(|n| n.0 == item.oid).map_or(1009, |n| n.2);
            return PgType { oid: array, length: -1, modifier: item.modifier, array: true };
        }
        _ => 25,
    };
    let length = NAMES.iter().find(|n| n.0 == oid).map_or(-1, |n| n.1);
    PgType { oid, length, modifier, array: false }
}

/// `format_type(oid, modifier)`.
pub(super) fn format(oid: i32, modifier: i32) -> String {
    if let Some((.., array, name)) = NAMES.iter().find(|n| n.2 == oid) {
        let _ = array;
        return format!("{}[]", with_modifier(oid, name, modifier));
    }
    if let Some((.., name)) = NAMES.iter().find(|n| n.0 == oid) {
        return with_modifier(oid, name, modifier);
    }
    match all().names.get(&oid) {
        Some(name) => match name.strip_prefix('_') {
            Some(item) => format!("{item}[]"),
            None => name.clone(),
        },
        None if oid == 0 => "-".to_owned(),
        None => "???".to_owned(),
    }
}

fn with_modifier(oid: i32, name: &str, modifier: i32) -> String {
    if modifier < 4 {
        return name.to_owned();
    }
    let packed = modifier - 4;
    match oid {
        1700 | 1231 => format!("{name}({},{})", packed >> 16, packed & 0x7ff),
        1042 | 1043 | 1014 | 1015 => format!("{name}({packed})"),
        _ => name.to_owned(),
    }
}

/// The name of a type's row in `pg_type`.
pub(super) fn row_name(oid: i32) -> &'static str {
    all().names.get(&oid).map_or("text", String::as_str)
}

/// What `'name'::regtype` means, `None` for no type.
pub(super) fn regtype(text: &str) -> Option<i32> {
    let bare = text.trim().to_lowercase();
    let bare = bare.strip_prefix("pg_catalog.").unwrap_or(&bare);
    let (bare, array) = match bare.strip_suffix("[]") {
        Some(item) => (item, true),
        None => (bare, false),
    };
    let sql = match bare {
        "int" => "integer",
        "decimal" => "numeric",
        "float" => "double precision",
        "varchar" => "character varying",
        "timestamp" => "timestamp without time zone",
        "timestamptz" => "timestamp with time zone",
        "time" => "time without time zone",
        other => other,
    };
    match NAMES.iter().find(|n| n.3 == sql) {
        Some(known) => Some(if array { known.2 } else { known.0 }),
        None if array => all().numbers.get(&format!("_{bare}")).copied(),
        None => all().numbers.get(bare).copied(),
    }
}

#[derive(Default)]
struct All {
    names: HashMap<i32, String>,
    numbers: HashMap<String, i32>,
}

/// The rows of `pg_type`, by number and by name.
fn all() -> &'static All {
    static ALL: OnceLock<All> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = All::default();
        let Ok(statics) = statics() else { return all };
        for batch in statics.pg_type.data() {
            let (Some(oids), Some(names)) = (batch.column_by_name("oid"), batch.column_by_name("typname"))
            else {
                continue;
            };
            let (Some(oids), Some(names)) =
                (oids.as_primitive_opt::<Int32Type>(), names.as_string_opt::<i32>())
            else {
                continue;
            };
            for row in 0..oids.len() {
                all.names.insert(oids.value(row), names.value(row).to_owned());
                all.numbers.insert(names.value(row).to_owned(), oids.value(row));
            }
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_postgresqls() {
        let money = of(&DataType::Decimal128(18, 2));
        assert_eq!(format(money.oid, money.modifier), "numeric(18,2)");
        assert_eq!(format(1009, -1), "text[]");
        assert_eq!(format(of(&DataType::Date32).oid, -1), "date");
        assert_eq!(format(2205, -1), "regclass");
        assert_eq!(regtype("int[]"), Some(1007));
        assert_eq!(regtype("regclass"), Some(2205));
        assert_eq!(regtype("nonsense"), None);
    }
}
