//! Which PostgreSQL type stands for which Arrow type, in both directions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use pgwire::messages::data::FieldDescription;
use postgres_types::{Kind, Type};

/// Columns of this Arrow extension type (16 bytes each) are shown as `uuid`.
const UUID_EXTENSION: &str = "arrow.uuid";
/// Text columns of this Arrow extension type are shown as `json`.
const JSON_EXTENSION: &str = "arrow.json";

/// The PostgreSQL type that clients see for a column. Nested types become `json`, except lists of scalars.
pub(crate) fn of_field(field: &Field) -> Type {
    match (field.extension_type_name(), field.data_type()) {
        (Some(UUID_EXTENSION), DataType::FixedSizeBinary(16)) => Type::UUID,
        (Some(JSON_EXTENSION), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => Type::JSON,
        (_, data_type) => of(data_type),
    }
}

/// The PostgreSQL type for an Arrow type. Unsigned integers take the next wider signed type, so that all values fit.
pub(crate) fn of(data_type: &DataType) -> Type {
    match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Type::INT2,
        DataType::UInt16 | DataType::Int32 => Type::INT4,
        DataType::UInt32 | DataType::Int64 => Type::INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Float16 | DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Type::BYTEA
        }
        DataType::Date32 | DataType::Date64 => Type::DATE,
        DataType::Time32(_) | DataType::Time64(_) => Type::TIME,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => Type::INTERVAL,
        DataType::Dictionary(_, values) => of(values),
        DataType::RunEndEncoded(_, values) => of_field(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => array_of(&of_field(item)).unwrap_or(Type::JSON),
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => Type::JSON,
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::TEXT,
    }
}

/// The RowDescription entry of a column.
pub(crate) fn describe(field: &Field, format: i16) -> FieldDescription {
    let pg = of_field(field);
    let modifier = if pg == Type::NUMERIC { numeric_modifier(field.data_type()) } else { -1 };
    FieldDescription::new(field.name().replace('\0', "\u{fffd}"), 0, 0, pg.oid(), size(&pg), modifier, format)
}

/// The Arrow type of a parameter whose type the client declared; `Ok(None)` leaves it to the planner.
///
/// # Errors
/// The oid, when no parameter can have that type.
pub(crate) fn to_arrow(oid: u32) -> Result<Option<DataType>, u32> {
    if oid == 0 {
        return Ok(None);
    }
    let pg = Type::from_oid(oid).ok_or(oid)?;
    scalar_to_arrow(&pg).ok_or(oid)
}

/// The element type of an array type.
pub(crate) fn element(pg: &Type) -> Option<&Type> {
    match pg.kind() {
        Kind::Array(element) => Some(element),
        _ => None,
    }
}

/// The array type over an element type.
pub(crate) fn array_of(element: &Type) -> Option<Type> {
    Some(match *element {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::TEXT => Type::TEXT_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIME => Type::TIME_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::INTERVAL => Type::INTERVAL_ARRAY,
        Type::UUID => Type::UUID_ARRAY,
        _ => return None,
    })
}

/// Outer: whether a parameter can have the type at all; inner: whether the type says enough for a plan.
fn scalar_to_arrow(pg: &Type) -> Option<Option<DataType>> {
    Some(Some(match *pg {
        Type::UNKNOWN => return Some(None),
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        // A parameter's scale is known only with its value: the planner takes the type from the context.
        Type::NUMERIC => return Some(None),
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::UUID
        | Type::JSON
        | Type::JSONB => DataType::Utf8,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => {
            let element = match element(pg)? {
                element if *element == Type::NUMERIC => DataType::Float64,
                element => scalar_to_arrow(element)??,
            };
            DataType::List(Arc::new(Field::new_list_field(element, true)))
        }
    }))
}

/// Width in bytes as `pg_type.typlen` has it; -1 for variable width.
fn size(pg: &Type) -> i16 {
    match *pg {
        Type::BOOL => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL | Type::UUID => 16,
        _ => -1,
    }
}

/// `((precision << 16) | scale) + 4`, as `numeric(p, s)` has it; -1 for a plain `numeric`.
fn numeric_modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s)
            if *s >= 0 =>
        {
            ((i32::from(*p) << 16) | i32::from(*s)) + 4
        }
        DataType::Dictionary(_, values) => numeric_modifier(values),
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_carries_precision_and_scale() {
        let field = Field::new("revenue", DataType::Decimal128(18, 2), false);
        let described = describe(&field, 1);
        assert_eq!(described.type_id, 1700);
        assert_eq!(described.type_modifier, ((18 << 16) | 2) + 4);
        assert_eq!(described.format_code, 1);
    }

    #[test]
    fn lists_are_arrays_and_deeper_nesting_is_json() {
        let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        assert_eq!(of(&list(DataType::Utf8View)), Type::TEXT_ARRAY);
        assert_eq!(of(&list(DataType::UInt16)), Type::INT4_ARRAY);
        assert_eq!(of(&list(list(DataType::Int32))), Type::JSON);
        assert_eq!(of(&DataType::Struct(vec![Field::new("a", DataType::Int32, true)].into())), Type::JSON);
    }

    #[test]
    fn declared_parameter_types() {
        assert_eq!(to_arrow(0), Ok(None));
        assert_eq!(to_arrow(Type::UNKNOWN.oid()), Ok(None));
        assert_eq!(to_arrow(Type::INT4.oid()), Ok(Some(DataType::Int32)));
        assert_eq!(
            to_arrow(Type::TEXT_ARRAY.oid()),
            Ok(Some(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))))
        );
        assert_eq!(to_arrow(Type::POINT.oid()), Err(Type::POINT.oid()));
        assert_eq!(to_arrow(4_000_000_000), Err(4_000_000_000));
    }

    #[test]
    fn uuid_by_extension_name() {
        let metadata = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
        let field = Field::new("id", DataType::FixedSizeBinary(16), true).with_metadata(metadata);
        assert_eq!(of_field(&field), Type::UUID);
        assert_eq!(of(&DataType::FixedSizeBinary(16)), Type::BYTEA);
    }
}
