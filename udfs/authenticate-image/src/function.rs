//! What SQL can call: two table functions over photos, and four scalar functions.

mod authenticate;
mod columns;
mod findings;
mod references;
mod scalar;
mod stream;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use smartsneaks_table_function::{
    Argument, ArgumentError, Arguments, Binding, Function, Kind, RelationCall, RelationFunction, RelationWork,
};

use crate::images::Images;
use crate::judge::Request;

pub use scalar::scalar_functions;

/// The table functions over photos that `images` says where to find.
#[must_use]
pub fn functions(images: &Arc<Images>) -> Vec<Function> {
    let authenticate: Arc<dyn RelationFunction> =
        Arc::new(authenticate::AuthenticateImage { images: Arc::clone(images) });
    let findings: Arc<dyn RelationFunction> =
        Arc::new(findings::AuthenticationFindings { images: Arc::clone(images) });
    vec![Function::Relation(authenticate), Function::Relation(findings)]
}

const IMAGE: Argument = Argument {
    name: "image",
    kind: Kind::Items,
    default: None,
    doc: "the photos: a path, a glob ('listings/*.jpg') or a URL under the places that images.allow names, a bytea, an \
          array of them, TABLE name, or a sub-query with a column of paths, URLs or bytes",
};

const SKU: Argument = Argument {
    name: "sku",
    kind: Kind::Text,
    default: None,
    doc: "the article that the photos are said to show, compared with its reference photos; default: the column sku_col",
};

const MODEL: Argument = Argument {
    name: "model",
    kind: Kind::Text,
    default: Some("authenticity"),
    doc: "folder of the model under images.models",
};

const THRESHOLD: Argument = Argument {
    name: "threshold",
    kind: Kind::Float,
    default: Some("0.9"),
    doc: "probability from which a verdict is given, above 0.5 and below 1: AUTHENTIC from it on, REPLICA from 1 minus it \
          down, INCONCLUSIVE between",
};

const EXPLAIN: Argument = Argument {
    name: "explain",
    kind: Kind::Boolean,
    default: Some("true"),
    doc: "whether the checks beside the model are made that are only shown (weight 0); without them it is faster, and \
          the verdict is the same",
};

const IMAGE_COL: Argument = Argument {
    name: "image_col",
    kind: Kind::Text,
    default: None,
    doc: "column of the paths, URLs or bytes; default: the column called image, photo, path or url, else the only column \
          of bytes, else the only one of text",
};

const ID_COL: Argument = Argument {
    name: "id_col",
    kind: Kind::Text,
    default: None,
    doc: "column that becomes image_id; default: the column called image_id, listing_id or id, else the path or URL itself",
};

const SKU_COL: Argument = Argument {
    name: "sku_col",
    kind: Kind::Text,
    default: None,
    doc: "column of the article that each photo is said to show; default: the column called sku",
};

const PRICE_COL: Argument = Argument {
    name: "price_col",
    kind: Kind::Text,
    default: None,
    doc: "column of the price that the listing asks; default: the column called price",
};

const MARKET_PRICE_COL: Argument = Argument {
    name: "market_price_col",
    kind: Kind::Text,
    default: None,
    doc: "column of what the article usually sells for, such as the median of fact_sales; default: the column called \
          market_price",
};

const REFERENCES: Argument = Argument {
    name: "references",
    kind: Kind::Relation,
    default: None,
    doc: "reference photos that were looked at before, instead of the folder images.gallery: a row each with sku and \
          embedding (of the same model), perhaps phash and model_version, as image_embedding and image_phash give them",
};

const LAT_COL: Argument = Argument {
    name: "lat_col",
    kind: Kind::Text,
    default: None,
    doc: "column of the latitude of the shop, compared with where the photo says it was taken; default: the column \
          called lat",
};

const LON_COL: Argument = Argument {
    name: "lon_col",
    kind: Kind::Text,
    default: None,
    doc: "column of the longitude of the shop; default: the column called lon",
};

/// The arguments of both table functions.
const ARGUMENTS: &[Argument] = &[
    IMAGE,
    SKU,
    MODEL,
    THRESHOLD,
    EXPLAIN,
    REFERENCES,
    IMAGE_COL,
    ID_COL,
    SKU_COL,
    PRICE_COL,
    MARKET_PRICE_COL,
    LAT_COL,
    LON_COL,
];

/// The work of a call whose columns after `image_id` are `output`, made by `rows`.
fn photos(
    images: &Arc<Images>,
    call: &RelationCall,
    (binding, output): (&Binding, Vec<Field>),
    rows: stream::Rows,
) -> Result<RelationWork, ArgumentError> {
    let (columns, _) = columns::Columns::bind(call, output)?;
    let references = call.other.as_ref().map(|other| references::ReferenceColumns::bind(call, other));
    let references = references.transpose()?.map(|(columns, _)| columns);
    Ok(RelationWork::Stream(Arc::new(stream::Photos {
        request: request(&call.arguments, images)?,
        images: Arc::clone(images),
        columns,
        references,
        schema: Arc::new(Schema::new(binding.output.clone())),
        rows,
    })))
}

/// Checks the arguments that don't choose columns.
fn request(arguments: &Arguments, images: &Images) -> Result<Request, ArgumentError> {
    let threshold = arguments.float(THRESHOLD.name).unwrap_or(0.9);
    if !(threshold > 0.5 && threshold < 1.0) {
        let message = format!("threshold must be above 0.5 and below 1, not {threshold}");
        return Err(arguments.error(THRESHOLD.name, message));
    }
    let name = arguments.text(MODEL.name).unwrap_or("authenticity");
    let names = images.models().names();
    if !names.iter().any(|known| known == name) {
        if names.is_empty() {
            let dir = images.models().dir().display();
            let message = format!("unknown model '{name}': {dir} holds no models");
            return Err(arguments
                .error(MODEL.name, message)
                .with_hint("images.models in smartsneaks.toml names the folder of the models"));
        }
        let names = names.iter().map(String::as_str).collect::<Vec<_>>();
        return Err(arguments.not_among(MODEL.name, name, &names));
    }
    Ok(Request {
        model: name.to_owned(),
        sku: arguments.text(SKU.name).map(str::to_owned),
        threshold,
        explain: arguments.boolean(EXPLAIN.name).unwrap_or(true),
    })
}

/// The name of the relation's only column where values stand for it.
fn is_values(call: &RelationCall) -> bool {
    call.schema.fields().len() == 1 && call.schema.field(0).name() == IMAGE.name
}
