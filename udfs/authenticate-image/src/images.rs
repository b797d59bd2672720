//! What all functions over photos share: where photos may be read from, the models, and the reference photos.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::config::ImageConfig;
use crate::fetch::{FetchLimits, Fetcher};
use crate::gallery::Gallery;
use crate::identity::PhotoModel;
use crate::models::Models;
use crate::photo::{Limits, Photo};
use crate::places::{Location, Places};

/// The photos and models of one project.
#[derive(Debug)]
pub struct Images {
    config: ImageConfig,
    fetcher: OnceLock<Result<Arc<Fetcher>, String>>,
    models: Models,
    gallery: Gallery,
}

/// Where one photo comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// A path or URL; where values are given also a glob.
    Text(String),
    /// The file itself.
    Bytes(Bytes),
    /// NULL.
    Missing,
    /// What was asked for, and why it is not read.
    Refused(String, Refused),
}

/// Why a photo can't be judged: a word for programs and one sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Such as `not_found`.
    pub(crate) status: &'static str,
    /// What was expected and found.
    pub(crate) detail: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Images {
    /// Photos and models as `config` says; nothing is read before it is asked for.
    #[must_use]
    pub fn new(config: ImageConfig) -> Self {
        let models = Models::new(config.models.clone(), config.library.clone());
        let gallery = Gallery::new(config.gallery.clone());
        Self { config, fetcher: OnceLock::new(), models, gallery }
    }

    /// The models.
    #[must_use]
    pub(crate) fn models(&self) -> &Models {
        &self.models
    }

    /// The models that there are, in the order of their names; for one whose files are wrong, what is.
    #[must_use]
    pub fn photo_models(&self) -> Vec<Result<PhotoModel, String>> {
        let read = |name: String| {
            PhotoModel::read(self.models.dir(), &name)
                .map_err(|(file, reason)| format!("model '{name}': {file}: {reason}"))
        };
        self.models.names().into_iter().map(read).collect()
    }

    /// The reference photos.
    #[must_use]
    pub(crate) fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// The bytes of a photo. Waits for files and servers: not for threads that drive streams.
    ///
    /// # Errors
    /// When it is not there, not allowed, too large or too slow.
    pub(crate) fn read(&self, source: &Source, handle: &Handle) -> Result<Bytes, Refused> {
        match source {
            Source::Missing => Err(Refused { status: "null_image", detail: "the image is NULL".to_owned() }),
            Source::Bytes(bytes) => Ok(bytes.clone()),
            Source::Refused(_, why) => Err(why.clone()),
            Source::Text(text) => {
                let fetcher = self.fetcher()?;
                let refused = |detail: String, status| Refused { status, detail };
                let location =
                    fetcher.places().resolve(text).map_err(|e| refused(e.to_string(), e.status()))?;
                let fetched = fetcher.fetch_blocking(handle, &location);
                fetched.map_err(|error| refused(error.to_string(), error.status()))
            }
        }
    }

    /// Reads a photo's file.
    ///
    /// # Errors
    /// When it is no photo, or larger than the settings allow.
    pub(crate) fn decode(&self, bytes: &Bytes) -> Result<Photo, Refused> {
        let limits = Limits {
            max_bytes: self.config.max_bytes,
            max_pixels: self.config.max_pixels,
            ..Limits::default()
        };
        Photo::decode(bytes, &limits)
            .map_err(|error| Refused { status: error.status(), detail: error.to_string() })
    }

    /// The photos that a source stands for: each file that a glob matches, or itself.
    pub(crate) fn expand(&self, source: Source, handle: &Handle) -> Box<dyn Iterator<Item = Source> + Send> {
        let asked = match &source {
            Source::Text(text) if Places::is_glob(text) => text.clone(),
            _ => return Box::new(std::iter::once(source)),
        };
        let Ok(fetcher) = self.fetcher().cloned() else { return Box::new(std::iter::once(source)) };
        let location = match fetcher.places().resolve(&asked) {
            Ok(location) => location,
            Err(_) => return Box::new(std::iter::once(source)),
        };
        let mut found = fetcher.list_blocking(handle, &location);
        let mut next = move || match found.next()? {
            Ok(location) => Some(Source::Text(fetcher.name(&location))),
            Err(error) => {
                let why = Refused { status: error.status(), detail: error.to_string() };
                Some(Source::Refused(asked.clone(), why))
            }
        };
        match location {
            // A bucket is waited for, which a thread that drives streams has to announce.
            Location::ObjectGlob { .. } => {
                Box::new(std::iter::from_fn(move || tokio::task::block_in_place(&mut next)))
            }
            _ => Box::new(std::iter::from_fn(next)),
        }
    }

    fn fetcher(&self) -> Result<&Arc<Fetcher>, Refused> {
        let made = self.fetcher.get_or_init(|| {
            let places =
                Places::new(&self.config.allow, &self.config.base).map_err(|error| error.to_string())?;
            let limits = FetchLimits {
                max_bytes: self.config.max_bytes,
                timeout: self.config.timeout,
                allow_private: self.config.allow_private_addresses,
                ..FetchLimits::default()
            };
            Fetcher::new(places, limits).map(Arc::new).map_err(|error| error.to_string())
        });
        made.as_ref().map_err(|error| Refused { status: "forbidden", detail: error.clone() })
    }
}
