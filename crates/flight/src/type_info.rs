//! GetXdbcTypeInfo: the SQL types, as ODBC and JDBC describe them.

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType as Xdbc, XdbcDatetimeSubcode as Subcode,
};
use tonic::Status;

static TYPE_INFO: LazyLock<Result<XdbcTypeInfoData, FlightError>> = LazyLock::new(describe);

/// The rows of the data type asked for; all when none is named.
pub(crate) fn type_info(query: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
    data()?.record_batch(query.data_type).map_err(Status::from)
}

/// The schema of `type_info`.
pub(crate) fn schema() -> Result<SchemaRef, Status> {
    Ok(data()?.schema())
}

fn data() -> Result<&'static XdbcTypeInfoData, Status> {
    TYPE_INFO.as_ref().map_err(|error| Status::internal(error.to_string()))
}

fn describe() -> Result<XdbcTypeInfoData, FlightError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    let mut rows = vec![
        XdbcTypeInfo { searchable: Searchable::Basic, ..plain("boolean", Xdbc::XdbcBit, 1) },
        integer("smallint", Xdbc::XdbcSmallint, 5),
        integer("integer", Xdbc::XdbcInteger, 10),
        integer("bigint", Xdbc::XdbcBigint, 19),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".into(), "scale".into()]),
            minimum_scale: Some(0),
            maximum_scale: Some(38),
            num_prec_radix: Some(10),
            unsigned_attribute: Some(false),
            searchable: Searchable::Basic,
            ..plain("numeric", Xdbc::XdbcNumeric, 38)
        },
        float("real", Xdbc::XdbcReal, 24),
        float("double precision", Xdbc::XdbcDouble, 53),
        XdbcTypeInfo { create_params: Some(vec!["length".into()]), ..text("varchar", Xdbc::XdbcVarchar) },
        text("text", Xdbc::XdbcLongvarchar),
        XdbcTypeInfo {
            literal_prefix: Some("X'".into()),
            literal_suffix: Some("'".into()),
            searchable: Searchable::Basic,
            ..plain("bytea", Xdbc::XdbcVarbinary, i32::MAX)
        },
        moment("date", Xdbc::XdbcDate, 10, None),
        moment("time", Xdbc::XdbcTime, 15, Some(Subcode::XdbcSubcodeTime)),
        moment("timestamp", Xdbc::XdbcTimestamp, 26, Some(Subcode::XdbcSubcodeTimestamp)),
        moment(
            "timestamp with time zone",
            Xdbc::XdbcTimestamp,
            32,
            Some(Subcode::XdbcSubcodeTimestampWithTimezone),
        ),
        moment("interval", Xdbc::XdbcInterval, 49, Some(Subcode::XdbcSubcodeIntervalDayToSecond)),
    ];
    // The specification orders them by data type, then by how close they are to it.
    rows.sort_by_key(|row| row.data_type as i32);
    rows.into_iter().for_each(|row| types.append(row));
    types.build()
}

fn plain(name: &str, data_type: Xdbc, column_size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.into(),
        data_type,
        sql_data_type: data_type,
        column_size: Some(column_size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.into()),
        ..XdbcTypeInfo::default()
    }
}

fn integer(name: &str, data_type: Xdbc, digits: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        fixed_prec_scale: true,
        auto_increment: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        num_prec_radix: Some(10),
        searchable: Searchable::Basic,
        ..plain(name, data_type, digits)
    }
}

fn float(name: &str, data_type: Xdbc, bits: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(2),
        searchable: Searchable::Basic,
        ..plain(name, data_type, bits)
    }
}

fn text(name: &str, data_type: Xdbc) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some("'".into()),
        literal_suffix: Some("'".into()),
        case_sensitive: true,
        ..plain(name, data_type, i32::MAX)
    }
}

fn moment(name: &str, data_type: Xdbc, characters: i32, subcode: Option<Subcode>) -> XdbcTypeInfo {
    let sql_data_type = match data_type {
        Xdbc::XdbcInterval => Xdbc::XdbcInterval,
        _ => Xdbc::XdbcDatetime,
    };
    XdbcTypeInfo {
        literal_prefix: Some(format!("{} '", name.to_uppercase())),
        literal_suffix: Some("'".into()),
        sql_data_type,
        datetime_subcode: subcode,
        maximum_scale: (!matches!(data_type, Xdbc::XdbcDate)).then_some(9),
        searchable: Searchable::Basic,
        ..plain(name, data_type, characters)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn all_types_in_order_or_the_one_asked_for() {
        let all = type_info(CommandGetXdbcTypeInfo { data_type: None }).unwrap();
        let codes = all.column(1).as_primitive::<Int32Type>().values().to_vec();
        assert_eq!(codes.len(), 15);
        assert!(codes.is_sorted());
        let date = type_info(CommandGetXdbcTypeInfo { data_type: Some(91) }).unwrap();
        assert_eq!(date.column(0).as_string::<i32>().value(0), "date");
        assert_eq!(type_info(CommandGetXdbcTypeInfo { data_type: Some(12345) }).unwrap().num_rows(), 0);
    }
}
