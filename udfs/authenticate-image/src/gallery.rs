//! Reference photos of each article: a folder a SKU, looked at once for each model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use crate::colour::{self, Signature};
use crate::images::Images;
use crate::model::Model;
use crate::nearest::Gallery as Nearest;
use crate::phash;
use crate::region::Region;

/// Photos of one article that are looked at. What a hundred photos don't show, the next ones don't either.
const MOST: usize = 100;

/// The reference photos of a project.
#[derive(Debug)]
pub(crate) struct Gallery {
    folder: Option<PathBuf>,
    known: Mutex<HashMap<(String, String), Known>>,
}

/// References as they were when their folder was in this state.
#[derive(Debug, Clone)]
struct Known {
    stamp: Vec<(PathBuf, u64, Option<SystemTime>)>,
    references: Option<Arc<References>>,
}

/// Reference photos that a table gives, by their articles.
pub(crate) type KnownPhotos = HashMap<String, Vec<KnownPhoto>>;

/// A reference photo that was looked at before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnownPhoto {
    pub(crate) embedding: Vec<f32>,
    pub(crate) phash: Option<u64>,
    /// The model whose embedding it is; any where it is not said.
    pub(crate) model_version: Option<String>,
}

/// What the reference photos of one article look like.
#[derive(Debug)]
pub(crate) struct References {
    /// Their embeddings; none where the model makes none.
    pub(crate) embeddings: Option<Nearest>,
    /// Their perceptual hashes, each turned and mirrored in all eight ways.
    pub(crate) hashes: Vec<u64>,
    /// The colours of their shoes.
    pub(crate) colours: Vec<Signature>,
}

impl Gallery {
    /// The references in `folder`; none without one.
    #[must_use]
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, known: Mutex::default() }
    }

    /// The references of an article as `model` sees them; `None` when there are none.
    ///
    /// # Errors
    /// When the model fails on one.
    pub(crate) fn of(
        &self,
        sku: &str,
        images: &Images,
        model: &Model,
    ) -> Result<Option<Arc<References>>, String> {
        // A SKU is a name of one folder and nothing else: it comes from whoever wrote the statement.
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
        let folder = self.folder.as_ref().filter(|_| !sku.starts_with('.') && sku.chars().all(plain));
        let Some(folder) = folder.map(|folder| folder.join(sku)) else { return Ok(None) };
        let stamp = stamp(&folder);
        let key = (model.version().to_owned(), sku.to_owned());
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && known.stamp == stamp
        {
            return Ok(known.references.clone());
        }
        let files = stamp.iter().map(|(path, ..)| path.as_path());
        let references = look(files, images, model)?.map(Arc::new);
        let known = Known { stamp, references: references.clone() };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known);
        Ok(references)
    }
}

/// The files of an article, in order.
fn stamp(folder: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((entry.path(), metadata.len(), metadata.modified().ok()))
        })
        .collect();
    files.sort();
    files.truncate(MOST);
    files
}

impl References {
    /// Those of an article among photos that a table gives: as far as `version` of the model made their embeddings, and
    /// they have one length. None where there are none.
    pub(crate) fn known(photos: &[KnownPhoto], version: &str) -> Option<Self> {
        let made = |photo: &&KnownPhoto| photo.model_version.as_ref().is_none_or(|made| made == version);
        let photos: Vec<&KnownPhoto> = photos.iter().filter(made).collect();
        let mut embeddings = Nearest::new(photos.first()?.embedding.len());
        for photo in &photos {
            // An embedding without a direction is near nothing.
            let _ = embeddings.add(&photo.embedding);
        }
        let hashes = photos.iter().filter_map(|photo| photo.phash).collect();
        Some(Self { embeddings: Some(embeddings), hashes, colours: Vec::new() })
    }
}

fn look<'a>(
    files: impl Iterator<Item = &'a Path>,
    images: &Images,
    model: &Model,
) -> Result<Option<References>, String> {
    let (mut embeddings, mut hashes, mut colours) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        // A file that is no photo is left alone: folders hold notes, too.
        let Ok(bytes) = std::fs::read(file).map(Bytes::from) else { continue };
        let Ok(photo) = images.decode(&bytes) else { continue };
        if model.embeds() {
            embeddings.push(model.embed(&photo.pixels, false)?);
        }
        hashes.extend(phash::variants(&photo.pixels));
        let region = Region::find(&photo.pixels);
        colours.push(colour::signature(&photo.pixels, Some(region.bounds)));
    }
    if colours.is_empty() {
        return Ok(None);
    }
    let mut nearest = None;
    if let Some(first) = embeddings.first() {
        let mut gallery = Nearest::new(first.len());
        for embedding in &embeddings {
            gallery.add(embedding).map_err(|error| error.to_string())?;
        }
        nearest = Some(gallery);
    }
    Ok(Some(References { embeddings: nearest, hashes, colours }))
}
