//! PostgreSQL's functions that clients call and DataFusion lacks.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field};
use datafusion::common::not_impl_err;
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_pg_catalog::pg_catalog::{array_bounds_udf, quote_ident_udf};

use super::rewrite::catalog::{EXPANDED, TO_TEXT};
use super::{oids, tables, types};
use crate::variables::VERSION;
use crate::{CATALOG, DEFAULT_SCHEMA};

/// Computes one value from the values of the arguments.
pub(super) type Body = Arc<dyn Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync>;

/// A function of any number of arguments of any types, computed row by row: for catalogs, not for data.
pub(super) struct Function {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl Function {
    pub(super) fn udf(name: &'static str, returns: DataType, body: Body) -> Arc<ScalarUDF> {
        let signature =
            Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, signature, returns, body }))
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if arguments.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_))) {
            let scalar = |a: &ColumnarValue| match a {
                ColumnarValue::Scalar(value) => value.clone(),
                ColumnarValue::Array(_) => ScalarValue::Null,
            };
            let values: Vec<_> = arguments.args.iter().map(scalar).collect();
            return Ok(ColumnarValue::Scalar((self.body)(&values)?));
        }
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let cells = (0..arguments.number_rows).map(|row| {
            let values = arrays.iter().map(|a| ScalarValue::try_from_array(a, row));
            (self.body)(&values.collect::<Result<Vec<_>>>()?)
        });
        let cells = cells.collect::<Result<Vec<_>>>()?;
        if cells.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(&self.returns)));
        }
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(cells)?))
    }
}

/// Adds PostgreSQL's functions to the state that all sessions start from.
///
/// # Errors
/// When PostgreSQL's own rows cannot be read.
pub(crate) fn register(mut state: SessionState) -> Result<SessionState> {
    for function in functions() {
        state.register_udf(function)?;
    }
    for function in [
        quote_ident_udf::create_quote_ident_udf(),
        quote_ident_udf::create_parse_ident_udf(),
        array_bounds_udf::create_array_upper_udf(),
        array_bounds_udf::create_array_lower_udf(),
    ] {
        state.register_udf(Arc::new(function))?;
    }
    state.register_udtf("pg_get_keywords", Arc::clone(&tables::statics()?.pg_get_keywords) as _);
    let context = SessionContext::new_with_state(state);
    CoerceIntArgsToBigInt::widen(&context);
    Ok(context.state())
}

/// Functions that answer the same whatever they are asked, as fits a warehouse without indexes, rules, triggers or grants.
const NO_TEXT: &[&str] = &[
    "col_description",
    "obj_description",
    "shobj_description",
    "pg_describe_object",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arg_default",
    "pg_get_function_sqlbody",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_relation_filepath",
    "inet_client_addr",
    "inet_server_addr",
];

const TRUE: &[&str] = &[
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_language_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_table_privilege",
    "has_tablespace_privilege",
    "has_type_privilege",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_function_is_visible",
    "pg_has_role",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_type_is_visible",
    "pg_advisory_unlock",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
];

const FALSE: &[&str] = &[
    "pg_is_in_recovery",
    "pg_is_other_temp_schema",
    "pg_relation_is_publishable",
    "row_security_active",
    "pg_relation_is_updatable",
];

const ZERO: &[&str] = &[
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_stat_get_numscans",
    "pg_table_size",
    "pg_total_relation_size",
    "pg_my_temp_schema",
];

/// Functions that return PostgreSQL's `void`, which is written as empty text.
const VOID: &[&str] = &["pg_advisory_lock", "pg_advisory_unlock_all", "pg_notify"];

fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut out = Vec::new();
    let mut constant = |names: &[&'static str], value: &ScalarValue| {
        for name in names {
            let value = value.clone();
            out.push(Function::udf(name, value.data_type(), Arc::new(move |_| Ok(value.clone()))));
        }
    };
    constant(NO_TEXT, &ScalarValue::Utf8(None));
    constant(TRUE, &ScalarValue::from(true));
    constant(FALSE, &ScalarValue::from(false));
    constant(ZERO, &ScalarValue::from(0_i64));
    constant(VOID, &ScalarValue::from(""));
    constant(&["version"], &ScalarValue::from(VERSION));
    constant(&["current_database", "current_catalog"], &ScalarValue::from(CATALOG));
    constant(&["current_schema"], &ScalarValue::from(DEFAULT_SCHEMA));
    constant(&["getdatabaseencoding", "pg_client_encoding"], &ScalarValue::from("UTF8"));
    constant(&["pg_tablespace_location"], &ScalarValue::from(""));
    constant(&["pg_char_to_encoding"], &ScalarValue::from(6));

    let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    out.push(Function::udf("current_schemas", texts, Arc::new(|a| Ok(current_schemas(a)))));
    let text = |name, body: fn(&[ScalarValue]) -> Option<String>| {
        Function::udf(name, DataType::Utf8, Arc::new(move |a| Ok(ScalarValue::Utf8(body(a)))))
    };
    out.push(text("format_type", |a| {
        let modifier = a.get(1).and_then(integer).unwrap_or(-1);
        Some(types::format(narrow(integer(a.first()?)?), narrow(modifier)))
    }));
    out.push(text("pg_encoding_to_char", |a| {
        Some(if integer(a.first()?)? == 6 { "UTF8" } else { "" }.to_owned())
    }));
    out.push(text("pg_size_pretty", |a| Some(size_pretty(integer(a.first()?)?))));
    out.push(text("quote_literal", |a| Some(format!("'{}'", string(a.first()?)?.replace('\'', "''")))));
    out.push(text("format", format_text));
    out.push(Function::udf(
        "pg_table_is_visible",
        DataType::Boolean,
        Arc::new(|a| Ok(ScalarValue::Boolean(a.first().and_then(integer).map(oids::is_visible)))),
    ));
    let number = |name, body: fn(&[ScalarValue]) -> Option<i32>| {
        Function::udf(name, DataType::Int32, Arc::new(move |a| Ok(ScalarValue::Int32(body(a)))))
    };
    out.push(number("pg_partition_ancestors", |a| integer(a.first()?).map(narrow)));
    out.push(number("to_regtype", |a| types::regtype(&string(a.first()?)?)));
    // What a cast to regclass of anything but a literal becomes.
    out.push(number("pg_regclass", |a| {
        let text = string(a.first()?)?;
        Some(text.parse().unwrap_or_else(|_| oids::regclass(&text)))
    }));
    out.push(number("pg_encoding_max_length", |_| Some(4)));
    out.push(text("json_build_object", |a| Some(json_object(a))));
    out.push(text("jsonb_build_object", |a| Some(json_object(a))));
    out.push(text(TO_TEXT, array_to_text));
    let item = DataType::Struct(
        vec![Field::new("x", DataType::Int32, true), Field::new("n", DataType::Int32, true)].into(),
    );
    let expanded = DataType::List(Arc::new(Field::new_list_field(item.clone(), true)));
    let none = ScalarValue::new_null_list(item, true, 1);
    out.push(Function::udf(
        EXPANDED,
        expanded,
        Arc::new(move |a| match a {
            [array] if array.is_null() => Ok(none.clone()),
            _ => not_impl_err!("_pg_expandarray of an array that is not NULL"),
        }),
    ));
    out
}

/// `{"a" : 1, "b" : "x"}`, spaced as PostgreSQL does.
fn json_object(arguments: &[ScalarValue]) -> String {
    let pairs = arguments.chunks(2).map(|pair| {
        let key = pair.first().and_then(string).unwrap_or_default();
        let value = match pair.get(1) {
            None | Some(ScalarValue::Null) => serde_json::Value::Null,
            Some(ScalarValue::Boolean(truth)) => serde_json::json!(truth),
            Some(value) if value.data_type().is_integer() => serde_json::json!(integer(value)),
            Some(ScalarValue::Float64(number)) => serde_json::json!(number),
            Some(value) => serde_json::json!(string(value)),
        };
        format!("{} : {value}", serde_json::Value::String(key))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// The items of an array between separators; text as it is.
fn array_to_text(arguments: &[ScalarValue]) -> Option<String> {
    let (first, separator) = (arguments.first()?, arguments.get(1).and_then(string)?);
    let ScalarValue::List(list) = first else { return string(first) };
    if list.is_null(0) {
        return None;
    }
    let items = list.value(0);
    let items = (0..items.len()).filter_map(|i| string(&ScalarValue::try_from_array(&items, i).ok()?));
    Some(items.collect::<Vec<_>>().join(&separator))
}

fn current_schemas(arguments: &[ScalarValue]) -> ScalarValue {
    let implicit = matches!(arguments.first(), Some(ScalarValue::Boolean(Some(true))));
    let names = if implicit { vec!["pg_catalog", DEFAULT_SCHEMA] } else { vec![DEFAULT_SCHEMA] };
    let names: Vec<ScalarValue> = names.into_iter().map(ScalarValue::from).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8))
}

/// An integer of any width, or text of one.
pub(super) fn integer(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

pub(super) fn narrow(number: i64) -> i32 {
    i32::try_from(number).unwrap_or_default()
}

/// The text of a value, `None` for NULL.
pub(super) fn string(value: &ScalarValue) -> Option<String> {
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(text)) => text,
        _ => None,
    }
}

/// PostgreSQL's steps: each unit from ten of it on.
fn size_pretty(bytes: i64) -> String {
    let mut size = bytes;
    for unit in ["bytes", "kB", "MB", "GB", "TB"] {
        if size.abs() < 10 * 1024 {
            return format!("{size} {unit}");
        }
        size = (size + 512) / 1024;
    }
    format!("{size} PB")
}

/// `format('%I.%I: %s', …)`.
fn format_text(arguments: &[ScalarValue]) -> Option<String> {
    let pattern = string(arguments.first()?)?;
    let mut rest = arguments.iter().skip(1);
    let mut out = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') | None => out.push('%'),
            Some('I') => out.push_str(&quote_ident(&string(rest.next()?)?)),
            Some('L') => match string(rest.next()?) {
                Some(text) => out.push_str(&format!("'{}'", text.replace('\'', "''"))),
                None => out.push_str("NULL"),
            },
            Some(_) => out.push_str(&string(rest.next()?).unwrap_or_default()),
        }
    }
    Some(out)
}

fn quote_ident(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_formats_are_written_as_postgresql_does() {
        assert_eq!(size_pretty(8192), "8192 bytes");
        assert_eq!(size_pretty(1 << 20), "1024 kB");
        let arguments = ["%I.%I=%L%%", "public", "Fact Sales", "it's"].map(ScalarValue::from);
        assert_eq!(format_text(&arguments).unwrap(), "public.\"Fact Sales\"='it''s'%");
    }
}
