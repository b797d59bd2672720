//! What a project says about photos: the sections `[images]` and `[onnx]` of smartsneaks.toml.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of the functions over photos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// What relative places start from: the project's folder.
    pub base: PathBuf,
    /// Folders and URL prefixes that photos may be read from; none: only bytes are taken.
    pub allow: Vec<String>,
    /// Whether a URL may lead to an address of the own network.
    pub allow_private_addresses: bool,
    /// The folder of the models.
    pub models: PathBuf,
    /// The folder of reference photos, with a folder for each SKU.
    pub gallery: Option<PathBuf>,
    /// Bytes of a file.
    pub max_bytes: u64,
    /// Pixels of a photo.
    pub max_pixels: u64,
    /// Time in which a photo must be there.
    pub timeout: Duration,
    /// ONNX Runtime's shared library; `None` runs models on the backend in Rust.
    pub library: Option<PathBuf>,
}

impl ImageConfig {
    /// The same with relative paths taken from `base`.
    #[must_use]
    pub fn under(self, base: &Path) -> Self {
        Self {
            models: base.join(self.models),
            gallery: self.gallery.map(|folder| base.join(folder)),
            library: self.library.map(|file| base.join(file)),
            base: base.to_owned(),
            ..self
        }
    }
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            base: PathBuf::from("."),
            allow: Vec::new(),
            allow_private_addresses: false,
            models: PathBuf::from("models"),
            gallery: None,
            max_bytes: 20 << 20,
            max_pixels: 50_000_000,
            timeout: Duration::from_secs(10),
            library: None,
        }
    }
}
