use std::sync::Arc;

use arrow::array::types::*;
use arrow::array::*;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, i256};

use super::*;

/// One column's cells as a client gets them.
fn cells(field: &Field, array: ArrayRef, format: i16, zone: &str) -> Vec<Option<Vec<u8>>> {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let rows = array.len();
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    let encoder = RowEncoder::new(&schema, &[format], zone);
    let mut encoder = encoder.batch(&batch);
    (0..rows)
        .map(|row| {
            let mut out = BytesMut::new();
            encoder.row(row, &mut out).unwrap();
            assert_eq!(out[0], b'D');
            assert_eq!(u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize, out.len() - 1);
            assert_eq!(out[5..7], [0, 1]);
            match i32::from_be_bytes(out[7..11].try_into().unwrap()) {
                -1 => None,
                length => {
                    assert_eq!(usize::try_from(length).unwrap(), out.len() - 11);
                    Some(out[11..].to_vec())
                }
            }
        })
        .collect()
}

fn texts(array: impl Array + 'static) -> Vec<String> {
    let field = Field::new("c", array.data_type().clone(), true);
    cells(&field, Arc::new(array), 0, "UTC")
        .into_iter()
        .map(|cell| cell.map_or("<null>".to_owned(), |bytes| String::from_utf8(bytes).unwrap()))
        .collect()
}

fn binaries(array: impl Array + 'static) -> Vec<Option<Vec<u8>>> {
    let field = Field::new("c", array.data_type().clone(), true);
    cells(&field, Arc::new(array), 1, "UTC")
}

fn be<const N: usize>(bytes: [u8; N]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

#[test]
fn booleans() {
    let array = || BooleanArray::from(vec![Some(true), Some(false), None]);
    assert_eq!(texts(array()), ["t", "f", "<null>"]);
    assert_eq!(binaries(array()), [be([1]), be([0]), None]);
}

#[test]
fn integers_of_every_width() {
    assert_eq!(texts(Int8Array::from(vec![Some(i8::MIN), None, Some(5)])), ["-128", "<null>", "5"]);
    // Not a byte: the wire has no 1-byte integer.
    assert_eq!(binaries(Int8Array::from(vec![5, -1])), [be([0, 5]), be([0xff, 0xff])]);
    assert_eq!(binaries(UInt8Array::from(vec![255])), [be([0, 255])]);
    assert_eq!(binaries(Int16Array::from(vec![i16::MIN])), [be([0x80, 0])]);
    assert_eq!(binaries(UInt16Array::from(vec![u16::MAX])), [be([0, 0, 0xff, 0xff])]);
    assert_eq!(binaries(Int32Array::from(vec![i32::MIN])), [be(i32::MIN.to_be_bytes())]);
    assert_eq!(binaries(UInt32Array::from(vec![u32::MAX])), [be(i64::from(u32::MAX).to_be_bytes())]);
    assert_eq!(binaries(Int64Array::from(vec![i64::MIN])), [be(i64::MIN.to_be_bytes())]);
    assert_eq!(
        texts(Int64Array::from(vec![i64::MIN, i64::MAX])),
        ["-9223372036854775808", "9223372036854775807"]
    );
    assert_eq!(texts(UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
    assert_eq!(
        binaries(UInt64Array::from(vec![10_000]))[0].as_deref().unwrap()[..8],
        [0, 1, 0, 1, 0, 0, 0, 0]
    );
}

#[test]
fn floats() {
    assert_eq!(
        texts(Float64Array::from(vec![1.5, f64::NAN, f64::NEG_INFINITY])),
        ["1.5", "NaN", "-Infinity"]
    );
    assert_eq!(texts(Float32Array::from(vec![0.1])), ["0.1"]);
    assert_eq!(binaries(Float64Array::from(vec![f64::INFINITY])), [be(f64::INFINITY.to_be_bytes())]);
    assert_eq!(binaries(Float32Array::from(vec![-0.0])), [be((-0.0_f32).to_be_bytes())]);
}

#[test]
fn decimals_beyond_28_digits() {
    let wide = Decimal128Array::from(vec![Some(99_999_999_999_999_999_999_999_999_999_999_999_999), None])
        .with_precision_and_scale(38, 4)
        .unwrap();
    assert_eq!(texts(wide), ["9999999999999999999999999999999999.9999", "<null>"]);
    let money = || Decimal128Array::from(vec![123_456, -5]).with_precision_and_scale(18, 2).unwrap();
    assert_eq!(texts(money()), ["1234.56", "-0.05"]);
    assert_eq!(binaries(money())[0], be([0, 2, 0, 0, 0, 0, 0, 2, 0x04, 0xd2, 0x15, 0xe0]));
    let huge = Decimal256Array::from(vec![i256::MAX]).with_precision_and_scale(76, 0).unwrap();
    assert_eq!(texts(huge)[0].len(), 77);
    assert_eq!(texts(Decimal32Array::from(vec![1]).with_precision_and_scale(9, 3).unwrap()), ["0.001"]);
    assert_eq!(texts(Decimal64Array::from(vec![-1]).with_precision_and_scale(18, 1).unwrap()), ["-0.1"]);
}

#[test]
fn text_and_bytes() {
    assert_eq!(texts(StringArray::from(vec![Some("சென்னை"), Some(""), None])), ["சென்னை", "", "<null>"]);
    assert_eq!(texts(LargeStringArray::from(vec!["a"])), ["a"]);
    assert_eq!(
        texts(StringViewArray::from(vec!["a longer text than fits inline"])),
        ["a longer text than fits inline"]
    );
    assert_eq!(binaries(StringViewArray::from(vec!["a"])), [be(*b"a")]);
    assert_eq!(texts(BinaryArray::from_vec(vec![b"\xde\xad", b""])), ["\\xdead", "\\x"]);
    assert_eq!(binaries(BinaryViewArray::from_iter_values([b"\xde"])), [be([0xde])]);
    assert_eq!(texts(LargeBinaryArray::from_vec(vec![b"\0"])), ["\\x00"]);
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2]].into_iter()).unwrap();
    assert_eq!(texts(fixed), ["\\x0102"]);
    assert_eq!(texts(NullArray::new(1)), ["<null>"]);
}

#[test]
fn uuids() {
    let metadata = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
    let field = Field::new("id", DataType::FixedSizeBinary(16), true).with_metadata(metadata);
    let array = || Arc::new(FixedSizeBinaryArray::try_from_iter([[0xab_u8; 16]].into_iter()).unwrap());
    let text = cells(&field, array(), 0, "UTC").remove(0).unwrap();
    assert_eq!(text, b"abababab-abab-abab-abab-abababababab");
    assert_eq!(cells(&field, array(), 1, "UTC"), [be([0xab; 16])]);
}

#[test]
fn dates_and_times() {
    assert_eq!(texts(Date32Array::from(vec![Some(20_543), None])), ["2026-03-31", "<null>"]);
    assert_eq!(binaries(Date32Array::from(vec![10_958])), [be([0, 0, 0, 1])]);
    assert_eq!(texts(Date64Array::from(vec![-1])), ["1969-12-31"]);
    assert_eq!(texts(Time32SecondArray::from(vec![3_661])), ["01:01:01"]);
    assert_eq!(texts(Time32MillisecondArray::from(vec![1])), ["00:00:00.001"]);
    assert_eq!(texts(Time64MicrosecondArray::from(vec![86_399_999_999])), ["23:59:59.999999"]);
    assert_eq!(texts(Time64NanosecondArray::from(vec![1_999])), ["00:00:00.000001"]);
    assert_eq!(binaries(Time64NanosecondArray::from(vec![2_000])), [be(2_i64.to_be_bytes())]);
}

#[test]
fn timestamps_of_every_unit() {
    assert_eq!(texts(TimestampSecondArray::from(vec![0])), ["1970-01-01 00:00:00"]);
    assert_eq!(texts(TimestampMillisecondArray::from(vec![1])), ["1970-01-01 00:00:00.001"]);
    assert_eq!(texts(TimestampMicrosecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999999"]);
    assert_eq!(
        texts(TimestampNanosecondArray::from(vec![Some(1_999), None])),
        ["1970-01-01 00:00:00.000001", "<null>"]
    );
    let millennium = 946_684_800_000_001;
    assert_eq!(binaries(TimestampMicrosecondArray::from(vec![millennium])), [be(1_i64.to_be_bytes())]);
    let zoned = TimestampMicrosecondArray::from(vec![0]).with_timezone("+00:00");
    let field = Field::new("t", zoned.data_type().clone(), true);
    let shown = |zone| {
        let cell = cells(&field, Arc::new(zoned.clone()), 0, zone).remove(0).unwrap();
        String::from_utf8(cell).unwrap()
    };
    assert_eq!(shown("Asia/Kolkata"), "1970-01-01 05:30:00+05:30");
    assert_eq!(shown("UTC"), "1970-01-01 00:00:00+00");
    assert_eq!(shown("no such zone"), "1970-01-01 00:00:00+00");
}

#[test]
fn times_beyond_the_wire_are_errors_in_binary() {
    let array: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    let schema = Arc::new(Schema::new(vec![Field::new("t", array.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    let encoder = RowEncoder::new(&schema, &[1], "UTC");
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(encoder.batch(&batch).row(0, &mut out).unwrap_err().sqlstate(), "22008");
    assert_eq!(out, b"before"[..]);
}

#[test]
fn intervals() {
    let months = IntervalYearMonthArray::from(vec![Some(14), None]);
    assert_eq!(texts(months), ["1 year 2 mons", "<null>"]);
    let days = IntervalDayTimeArray::from(vec![IntervalDayTime::new(2, 1_500)]);
    assert_eq!(texts(days), ["2 days 00:00:01.5"]);
    let value = IntervalMonthDayNano::new(1, -2, 3_000);
    let all = || IntervalMonthDayNanoArray::from(vec![Some(value), None]);
    assert_eq!(texts(all()), ["1 mon -2 days +00:00:00.000003", "<null>"]);
    let bytes = [3_i64.to_be_bytes().as_slice(), &(-2_i32).to_be_bytes(), &1_i32.to_be_bytes()].concat();
    assert_eq!(binaries(all()), [Some(bytes), None]);
    assert_eq!(texts(DurationSecondArray::from(vec![90_061])), ["1 day 01:01:01"]);
    assert_eq!(texts(DurationNanosecondArray::from(vec![-1_000])), ["-00:00:00.000001"]);
    assert_eq!(texts(DurationMillisecondArray::from(vec![0])), ["00:00:00"]);
}

#[test]
fn lists_are_arrays() {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a"), None, Some(""), Some("null"), Some("b c"), Some("x\"y\\,{}")]);
    list.append_value([None::<&str>; 0]);
    list.append_null();
    assert_eq!(texts(list.finish()), [r#"{a,NULL,"","null","b c","x\"y\\,{}"}"#, "{}", "<null>"]);

    let ints =
        || ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(7), None]), Some(vec![])]);
    assert_eq!(texts(ints()), ["{7,NULL}", "{}"]);
    let words: [i32; 8] = [1, 1, 23, 2, 1, 4, 7, -1];
    let bytes = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let empty = [0_i32, 0, 23].iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!(binaries(ints()), [Some(bytes), Some(empty)]);

    let large = LargeListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(0.5)])]);
    assert_eq!(texts(large), ["{0.5}"]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)])], 2);
    assert_eq!(texts(fixed), ["{1,2}"]);
    // A slice keeps its offsets.
    assert_eq!(texts(ints().slice(1, 1)), ["{}"]);
}

#[test]
fn nested_values_are_json() {
    let inner =
        Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
    let array = || {
        StructArray::new(
            inner.clone(),
            vec![
                Arc::new(Int32Array::from(vec![Some(1), None])),
                Arc::new(StringArray::from(vec![Some("say \"hi\"\n"), Some("x")])),
            ],
            Some(NullBuffer::from(vec![true, false])),
        )
    };
    assert_eq!(texts(array()), [r#"{"a":1,"b":"say \"hi\"\n"}"#, "<null>"]);
    assert_eq!(binaries(array())[0].as_deref(), Some(br#"{"a":1,"b":"say \"hi\"\n"}"#.as_slice()));

    let mut map = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(f64::NAN);
    map.append(true).unwrap();
    assert_eq!(texts(map.finish()), [r#"{"k":"NaN"}"#]);

    let mut nested = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    nested.values().append_value([Some(1), None]);
    nested.values().append_null();
    nested.append(true);
    assert_eq!(texts(nested.finish()), ["[[1,null],null]"]);
}

#[test]
fn dictionaries_and_runs_show_their_values() {
    let dictionary: DictionaryArray<Int8Type> = [Some("a"), None, Some("a")].into_iter().collect();
    assert_eq!(texts(dictionary), ["a", "<null>", "a"]);
    let keys = Int8Array::from(vec![None::<i8>]);
    let empty = DictionaryArray::new(keys, Arc::new(StringArray::from(Vec::<&str>::new())));
    assert_eq!(texts(empty), ["<null>"]);
    let runs =
        RunArray::try_new(&Int32Array::from(vec![2, 3]), &StringArray::from(vec![Some("x"), None])).unwrap();
    assert_eq!(texts(runs), ["x", "x", "<null>"]);
}

#[test]
fn formats_for_none_one_or_each_column() {
    assert_eq!(formats(&[], 2).unwrap(), [0, 0]);
    assert_eq!(formats(&[1], 2).unwrap(), [1, 1]);
    assert_eq!(formats(&[0, 1], 2).unwrap(), [0, 1]);
    assert_eq!(formats(&[0, 1], 3).unwrap_err().sqlstate(), "08P01");
    assert_eq!(formats(&[2], 1).unwrap_err().sqlstate(), "08P01");
}
