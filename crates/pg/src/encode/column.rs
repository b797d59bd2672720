//! A column, downcast once, that gives its values by row number.

use std::fmt;

use arrow::array::*;
use arrow::buffer::NullBuffer;
use arrow::datatypes::*;
use arrow::util::display::array_value_to_string;

use super::temporal::{MICROS_PER_DAY, Span};
use super::value::Value;

/// Row number → index into the values of a dictionary or a run-end encoded array.
type Lookup<'a> = Box<dyn Fn(usize) -> usize + Send + Sync + 'a>;
/// Row number → first and one-past-last element of a list.
type Range<'a> = Box<dyn Fn(usize) -> (usize, usize) + Send + Sync + 'a>;

/// One column of a batch, or the elements of a nested one.
pub(super) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    data: Data<'a>,
}

enum Data<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float16(&'a Float16Array),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal32(&'a [i32], i8),
    Decimal64(&'a [i64], i8),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a [i256], i8),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    FixedBinary { array: &'a FixedSizeBinaryArray, uuid: bool },
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp { values: &'a [i64], unit: TimeUnit, zoned: bool },
    YearMonth(&'a [i32]),
    DayTime(&'a [IntervalDayTime]),
    MonthDayNano(&'a [IntervalMonthDayNano]),
    Duration(&'a [i64], TimeUnit),
    Lookup { index: Lookup<'a>, values: Box<Column<'a>> },
    List { range: Range<'a>, items: Box<Column<'a>> },
    Map { offsets: &'a [i32], keys: Box<Column<'a>>, values: Box<Column<'a>> },
    Struct(Vec<(&'a str, Column<'a>)>),
    Other(&'a dyn Array),
}

impl<'a> Column<'a> {
    /// Downcasts `array`; `field` tells whether 16 bytes are a uuid.
    pub(super) fn new(array: &'a dyn Array, field: &'a Field) -> Self {
        let uuid = field.extension_type_name() == Some("arrow.uuid");
        Self { nulls: array.nulls(), data: data(array, uuid) }
    }

    fn of(array: &'a dyn Array) -> Self {
        Self { nulls: array.nulls(), data: data(array, false) }
    }

    /// The value at `row`, which is below the column's length.
    pub(super) fn value(&self, row: usize) -> Value<'_> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Value::Null;
        }
        match &self.data {
            Data::Null => Value::Null,
            Data::Boolean(a) => Value::Bool(a.value(row)),
            Data::Int8(a) => Value::Int(i64::from(a[row])),
            Data::Int16(a) => Value::Int(i64::from(a[row])),
            Data::Int32(a) => Value::Int(i64::from(a[row])),
            Data::Int64(a) => Value::Int(a[row]),
            Data::UInt8(a) => Value::Int(i64::from(a[row])),
            Data::UInt16(a) => Value::Int(i64::from(a[row])),
            Data::UInt32(a) => Value::Int(i64::from(a[row])),
            Data::UInt64(a) => Value::Decimal(a[row].to_string(), 0),
            Data::Float16(a) => Value::Float4(a.value(row).to_f32()),
            Data::Float32(a) => Value::Float4(a[row]),
            Data::Float64(a) => Value::Float8(a[row]),
            Data::Decimal32(a, scale) => Value::Decimal(a[row].to_string(), *scale),
            Data::Decimal64(a, scale) => Value::Decimal(a[row].to_string(), *scale),
            Data::Decimal128(a, scale) => Value::Decimal(a[row].to_string(), *scale),
            Data::Decimal256(a, scale) => Value::Decimal(a[row].to_string(), *scale),
            Data::Utf8(a) => Value::Text(a.value(row)),
            Data::LargeUtf8(a) => Value::Text(a.value(row)),
            Data::Utf8View(a) => Value::Text(a.value(row)),
            Data::Binary(a) => Value::Bytes(a.value(row)),
            Data::LargeBinary(a) => Value::Bytes(a.value(row)),
            Data::BinaryView(a) => Value::Bytes(a.value(row)),
            Data::FixedBinary { array, uuid: true } => Value::Uuid(array.value(row)),
            Data::FixedBinary { array, uuid: false } => Value::Bytes(array.value(row)),
            Data::Date32(a) => Value::Date(i64::from(a[row])),
            Data::Date64(a) => Value::Date(a[row].div_euclid(MICROS_PER_DAY / 1_000)),
            Data::Time32(a, unit) => Value::Time(micros(i64::from(a[row]), *unit).unwrap_or(0)),
            Data::Time64(a, unit) => Value::Time(micros(a[row], *unit).unwrap_or(0)),
            Data::Timestamp { values, unit, zoned } => match (micros(values[row], *unit), zoned) {
                (Some(micros), false) => Value::Timestamp(micros),
                (Some(micros), true) => Value::TimestampTz(micros),
                (None, _) => Value::BeyondTime,
            },
            Data::YearMonth(a) => Value::Span(Span { months: a[row], days: 0, micros: 0 }),
            Data::DayTime(a) => {
                let micros = i64::from(a[row].milliseconds) * 1_000;
                Value::Span(Span { months: 0, days: a[row].days, micros })
            }
            Data::MonthDayNano(a) => {
                let IntervalMonthDayNano { months, days, nanoseconds } = a[row];
                Value::Span(Span { months, days, micros: nanoseconds / 1_000 })
            }
            Data::Duration(a, unit) => match micros(a[row], *unit) {
                Some(micros) => Value::Span(Span::of_micros(micros)),
                None => Value::BeyondTime,
            },
            Data::Lookup { index, values } => values.value(index(row)),
            Data::List { range, items } => {
                let (start, end) = range(row);
                Value::List { items, start, end }
            }
            Data::Map { offsets, keys, values } => {
                Value::Map { keys, values, start: index(offsets[row]), end: index(offsets[row + 1]) }
            }
            Data::Struct(fields) => Value::Struct { fields, row },
            Data::Other(array) => Value::Shown(array_value_to_string(*array, row).unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column").finish_non_exhaustive()
    }
}

fn data<'a>(array: &'a dyn Array, uuid: bool) -> Data<'a> {
    macro_rules! values {
        ($kind:ty) => {
            array.as_primitive::<$kind>().values()
        };
    }
    match array.data_type() {
        DataType::Null => Data::Null,
        DataType::Boolean => Data::Boolean(array.as_boolean()),
        DataType::Int8 => Data::Int8(values!(Int8Type)),
        DataType::Int16 => Data::Int16(values!(Int16Type)),
        DataType::Int32 => Data::Int32(values!(Int32Type)),
        DataType::Int64 => Data::Int64(values!(Int64Type)),
        DataType::UInt8 => Data::UInt8(values!(UInt8Type)),
        DataType::UInt16 => Data::UInt16(values!(UInt16Type)),
        DataType::UInt32 => Data::UInt32(values!(UInt32Type)),
        DataType::UInt64 => Data::UInt64(values!(UInt64Type)),
        DataType::Float16 => Data::Float16(array.as_primitive()),
        DataType::Float32 => Data::Float32(values!(Float32Type)),
        DataType::Float64 => Data::Float64(values!(Float64Type)),
        DataType::Decimal32(_, scale) => Data::Decimal32(values!(Decimal32Type), *scale),
        DataType::Decimal64(_, scale) => Data::Decimal64(values!(Decimal64Type), *scale),
        DataType::Decimal128(_, scale) => Data::Decimal128(values!(Decimal128Type), *scale),
        DataType::Decimal256(_, scale) => Data::Decimal256(values!(Decimal256Type), *scale),
        DataType::Utf8 => Data::Utf8(array.as_string()),
        DataType::LargeUtf8 => Data::LargeUtf8(array.as_string()),
        DataType::Utf8View => Data::Utf8View(array.as_string_view()),
        DataType::Binary => Data::Binary(array.as_binary()),
        DataType::LargeBinary => Data::LargeBinary(array.as_binary()),
        DataType::BinaryView => Data::BinaryView(array.as_binary_view()),
        DataType::FixedSizeBinary(width) => {
            Data::FixedBinary { array: array.as_fixed_size_binary(), uuid: uuid && *width == 16 }
        }
        DataType::Date32 => Data::Date32(values!(Date32Type)),
        DataType::Date64 => Data::Date64(values!(Date64Type)),
        DataType::Time32(TimeUnit::Second) => Data::Time32(values!(Time32SecondType), TimeUnit::Second),
        DataType::Time32(unit) => Data::Time32(values!(Time32MillisecondType), *unit),
        DataType::Time64(TimeUnit::Nanosecond) => {
            Data::Time64(values!(Time64NanosecondType), TimeUnit::Nanosecond)
        }
        DataType::Time64(unit) => Data::Time64(values!(Time64MicrosecondType), *unit),
        DataType::Timestamp(unit, zone) => {
            let values: &[i64] = match unit {
                TimeUnit::Second => values!(TimestampSecondType),
                TimeUnit::Millisecond => values!(TimestampMillisecondType),
                TimeUnit::Microsecond => values!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => values!(TimestampNanosecondType),
            };
            Data::Timestamp { values, unit: *unit, zoned: zone.is_some() }
        }
        DataType::Duration(unit) => {
            let values: &[i64] = match unit {
                TimeUnit::Second => values!(DurationSecondType),
                TimeUnit::Millisecond => values!(DurationMillisecondType),
                TimeUnit::Microsecond => values!(DurationMicrosecondType),
                TimeUnit::Nanosecond => values!(DurationNanosecondType),
            };
            Data::Duration(values, *unit)
        }
        DataType::Interval(IntervalUnit::YearMonth) => Data::YearMonth(values!(IntervalYearMonthType)),
        DataType::Interval(IntervalUnit::DayTime) => Data::DayTime(values!(IntervalDayTimeType)),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            Data::MonthDayNano(values!(IntervalMonthDayNanoType))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return Data::Null;
            }
            let keys = dictionary.normalized_keys();
            let values = Box::new(Column::of(dictionary.values().as_ref()));
            Data::Lookup { index: Box::new(move |row| keys[row]), values }
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array),
            DataType::Int32 => runs::<Int32Type>(array),
            _ => runs::<Int64Type>(array),
        },
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let range = move |row: usize| (index(offsets[row]), index(offsets[row + 1]));
            Data::List { range: Box::new(range), items: Box::new(Column::of(list.values().as_ref())) }
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            let range = move |row: usize| (index(offsets[row]), index(offsets[row + 1]));
            Data::List { range: Box::new(range), items: Box::new(Column::of(list.values().as_ref())) }
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            let range = move |row: usize| {
                let start = index(list.value_offset(row));
                (start, start + index(list.value_size(row)))
            };
            Data::List { range: Box::new(range), items: Box::new(Column::of(list.values().as_ref())) }
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            let range = move |row: usize| {
                let start = index(list.value_offset(row));
                (start, start + index(list.value_size(row)))
            };
            Data::List { range: Box::new(range), items: Box::new(Column::of(list.values().as_ref())) }
        }
        DataType::FixedSizeList(_, width) => {
            let width = index(*width);
            let items = Box::new(Column::of(array.as_fixed_size_list().values().as_ref()));
            Data::List { range: Box::new(move |row| (row * width, (row + 1) * width)), items }
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let columns = columns.iter().zip(fields);
            Data::Struct(columns.map(|(a, f)| (f.name().as_str(), Column::new(a.as_ref(), f))).collect())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let keys = Box::new(Column::of(map.keys().as_ref()));
            let values = Box::new(Column::of(map.values().as_ref()));
            Data::Map { offsets: map.value_offsets(), keys, values }
        }
        DataType::Union(..) => Data::Other(array),
    }
}

fn runs<R: RunEndIndexType>(array: &dyn Array) -> Data<'_> {
    match array.as_any().downcast_ref::<RunArray<R>>() {
        Some(runs) => Data::Lookup {
            index: Box::new(move |row| runs.get_physical_index(row)),
            values: Box::new(Column::of(runs.values().as_ref())),
        },
        None => Data::Other(array),
    }
}

/// Arrow's offsets are never negative.
fn index<T: TryInto<usize>>(offset: T) -> usize {
    offset.try_into().unwrap_or(0)
}

/// PostgreSQL counts microseconds; finer digits are cut off. `None` beyond 64 bits.
fn micros(value: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1_000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => Some(value.div_euclid(1_000)),
    }
}
