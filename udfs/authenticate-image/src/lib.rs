//! Photos of shoes: whether they look authentic, and why.
//!
//! | step | where |
//! |---|---|
//! | a path, URL or bytes become bytes | [`images`], [`places`] (what is allowed), [`fetch`] with [`files`], [`web`] and [`objects`] |
//! | bytes become pixels | [`photo`] |
//! | pixels become an opinion | [`models`], [`identity`], [`model`], [`backend`], [`preprocess`], [`detector`], [`remote`] |
//! | a photo has findings | [`evidence`] with [`quality`], [`region`], [`exif_facts`], [`jpeg`], [`double_compression`], [`ela`], [`phash`], [`colour`], [`gallery`] |
//! | findings add up to a verdict | [`checks`], [`judge`], [`sentence`] |
//! | SQL asks for it | [`function`] |
//! | a model is made | [`train`] |

mod address;
mod backend;
mod blobs;
mod breaker;
mod checks;
mod colour;
mod config;
mod detector;
mod double_compression;
mod ela;
mod error;
mod evidence;
mod exif_facts;
mod fetch;
mod fetch_error;
mod files;
mod form;
mod format;
mod function;
mod gallery;
mod header;
mod identity;
mod images;
mod inside;
mod jpeg;
mod jpeg_tables;
mod judge;
mod lab;
mod markers;
mod model;
mod models;
mod moment;
mod named_colour;
mod nearest;
mod objects;
mod onnx_file;
mod phash;
mod photo;
mod pixels;
mod place_error;
mod places;
mod preprocess;
mod quality;
mod region;
mod remote;
mod remote_spec;
mod reuse;
mod sentence;
#[cfg(test)]
mod small;
mod spec;
#[cfg(test)]
mod testing;
mod texts;
mod train;
mod web;
mod web_place;

pub use config::ImageConfig;
pub use function::{functions, scalar_functions};
pub use identity::PhotoModel;
pub use images::Images;
pub use train::{Labelled, Report, TrainError, train_head};
