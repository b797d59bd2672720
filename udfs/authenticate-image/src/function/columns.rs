//! Which columns of a relation are the photo, its name and its listing.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::error::Result;
use smartsneaks_table_function::{ArgumentError, Binding, RelationCall};

use super::{ID_COL, IMAGE_COL, LAT_COL, LON_COL, MARKET_PRICE_COL, PRICE_COL, SKU_COL, is_values};
use crate::judge::Listing;

/// Places of the columns in the rows that come: photo first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    /// Whether the relation is values, among which may be globs.
    pub(super) values: bool,
    /// The type of `image_id`.
    pub(super) id_type: DataType,
    id: Option<usize>,
    sku: Option<usize>,
    numbers: [Option<usize>; 4],
}

const NUMBERS: [(&str, &str); 4] = [
    (PRICE_COL.name, "price"),
    (MARKET_PRICE_COL.name, "market_price"),
    (LAT_COL.name, "lat"),
    (LON_COL.name, "lon"),
];

impl Columns {
    /// Chooses the columns that are read; the binding's output is `image_id` and then `output`.
    pub(super) fn bind(call: &RelationCall, output: Vec<Field>) -> Result<(Self, Binding), ArgumentError> {
        let image = image(call)?;
        let mut input = vec![image];
        let mut add = |position: Option<usize>| {
            position.map(|position| {
                input.push(position);
                input.len() - 1
            })
        };
        let id = named(call, ID_COL.name, &["image_id", "listing_id", "id"])?.filter(|id| *id != image);
        let id_type = id.map_or(DataType::Utf8, |id| call.field(id).data_type().clone());
        let sku = typed(call, SKU_COL.name, "sku", "text", DataType::is_string)?;
        let mut numbers = [None; 4];
        for (place, (argument, name)) in numbers.iter_mut().zip(NUMBERS) {
            *place = add(typed(call, argument, name, "a number", DataType::is_numeric)?);
        }
        let columns =
            Self { values: is_values(call), id_type: id_type.clone(), id: add(id), sku: add(sku), numbers };
        let mut fields = vec![Field::new("image_id", id_type, true)];
        fields.extend(output);
        Ok((columns, Binding { input, output: fields }))
    }

    /// The ids, where a column gives them.
    pub(super) fn ids<'a>(&self, rows: &'a RecordBatch) -> Option<&'a ArrayRef> {
        self.id.map(|id| rows.column(id))
    }

    /// What is known of the listing in each row.
    pub(super) fn listings(&self, rows: &RecordBatch) -> Result<Vec<Listing>> {
        let text = |place: Option<usize>| -> Result<Option<ArrayRef>> {
            place.map(|place| Ok(cast(rows.column(place), &DataType::Utf8)?)).transpose()
        };
        let number = |place: Option<usize>| -> Result<Option<ArrayRef>> {
            place.map(|place| Ok(cast(rows.column(place), &DataType::Float64)?)).transpose()
        };
        let sku = text(self.sku)?;
        let [price, market, lat, lon] = self.numbers;
        let [price, market, lat, lon] = [number(price)?, number(market)?, number(lat)?, number(lon)?];
        let value = |column: &Option<ArrayRef>, row: usize| {
            let column = column.as_ref()?.as_primitive::<Float64Type>();
            (!column.is_null(row)).then(|| column.value(row)).filter(|value| value.is_finite())
        };
        let listing = |row: usize| Listing {
            sku: sku.as_ref().and_then(|sku| {
                let sku = sku.as_string::<i32>();
                (!sku.is_null(row)).then(|| sku.value(row).to_owned())
            }),
            price: value(&price, row),
            market_price: value(&market, row),
            place: value(&lat, row).zip(value(&lon, row)),
        };
        Ok((0..rows.num_rows()).map(listing).collect())
    }
}

fn holds_photos(found: &DataType) -> bool {
    found.is_string() || found.is_binary()
}

/// The column of the photos.
fn image(call: &RelationCall) -> Result<usize, ArgumentError> {
    let error = |message: String| call.arguments.error(IMAGE_COL.name, message);
    if let Some(position) = named(call, IMAGE_COL.name, &["image", "photo", "path", "url"])? {
        let field = call.field(position);
        if !holds_photos(field.data_type()) {
            let message = format!("column {} must be text or bytea, not {}", field.name(), field.data_type());
            return Err(error(message));
        }
        return Ok(position);
    }
    let of = |holds: fn(&DataType) -> bool| {
        let fields = call.schema.fields().iter().enumerate();
        fields.filter(move |(_, field)| holds(field.data_type())).map(|(at, _)| at).collect::<Vec<_>>()
    };
    match (of(DataType::is_binary).as_slice(), of(DataType::is_string).as_slice()) {
        ([one], _) | ([], [one]) => Ok(*one),
        _ => Err(error(format!("cannot tell which column of {} holds the photos", call.label))
            .with_hint("name it: image_col => 'photo'")),
    }
}

/// The column that an argument names, else the first that is called by one of the usual names.
fn named(call: &RelationCall, argument: &str, usual: &[&str]) -> Result<Option<usize>, ArgumentError> {
    if let Some(name) = call.arguments.text(argument) {
        return call.column(argument, name).map(Some);
    }
    let find = |name: &&str| call.schema.fields().iter().position(|field| field.name() == name);
    Ok(usual.iter().find_map(find))
}

/// As [`named`]; a column of another type is refused where an argument names it, and left alone where it is only called so.
fn typed(
    call: &RelationCall,
    argument: &str,
    usual: &str,
    wanted: &str,
    fits: fn(&DataType) -> bool,
) -> Result<Option<usize>, ArgumentError> {
    let Some(position) = named(call, argument, &[usual])? else { return Ok(None) };
    let field = call.field(position);
    if fits(field.data_type()) {
        return Ok(Some(position));
    }
    if call.arguments.text(argument).is_none() {
        return Ok(None);
    }
    let message = format!("column {} must be {wanted}, not {}", field.name(), field.data_type());
    Err(call.arguments.error(argument, message))
}
