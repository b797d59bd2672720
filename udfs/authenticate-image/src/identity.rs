//! What tells one state of a model from another: the digest of its files.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::models::{CHECKS, NETWORK, SPEC, read};
use crate::spec::ModelSpec;

/// A model that looks at photos, as the registry of models lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoModel {
    /// The folder's name, as `model => 'name'` says it.
    pub name: String,
    /// SHA-256 of its files and of those of the model that it stands on, in hexadecimal digits: `model_version` of its
    /// verdicts.
    pub sha256: String,
    /// Size of its network.
    pub bytes: u64,
    /// The text of its `model.toml`.
    pub spec: String,
    /// The table `metrics` of its `model.toml`, as JSON.
    pub metrics: String,
}

impl PhotoModel {
    /// Reads the model `name` in the folder of all models.
    ///
    /// # Errors
    /// The file that can't be read, and why.
    pub(crate) fn read(dir: &Path, name: &str) -> Result<Self, (&'static str, String)> {
        let folder = dir.join(name);
        let spec = std::fs::read_to_string(folder.join(SPEC)).map_err(|error| (SPEC, error.to_string()))?;
        let parsed = ModelSpec::read(&spec).map_err(|reason| (SPEC, reason))?;
        let mut digest = Sha256::new();
        digest.update(&spec);
        // Weights of checks move verdicts as a network does.
        digest.update(std::fs::read(folder.join(CHECKS)).unwrap_or_default());
        let mut bytes = 0;
        if !matches!(parsed, ModelSpec::Remote(_)) {
            let network = read(&folder.join(NETWORK)).map_err(|reason| (NETWORK, reason))?;
            bytes = network.len() as u64;
            digest.update(&network);
        }
        if let ModelSpec::Head(head) = &parsed {
            // Looked at before it is read: heads that stand on each other would be read for ever.
            let below = std::fs::read_to_string(dir.join(&head.backbone).join(SPEC));
            if below.is_ok_and(|text| matches!(ModelSpec::read(&text), Ok(ModelSpec::Head(_)))) {
                let reason =
                    format!("backbone '{}' must make embeddings, and is a head itself", head.backbone);
                return Err((SPEC, reason));
            }
            let below = Self::read(dir, &head.backbone);
            digest.update(
                below.map_err(|(file, reason)| (SPEC, format!("backbone: {file}: {reason}")))?.sha256,
            );
        }
        let table: toml::Table = spec.parse().map_err(|error: toml::de::Error| (SPEC, error.to_string()))?;
        let metrics = table.get("metrics").and_then(|metrics| serde_json::to_string(metrics).ok());
        let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let metrics = metrics.unwrap_or_else(|| "{}".to_owned());
        Ok(Self { name: name.to_owned(), sha256, bytes, spec, metrics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ImageConfig;
    use crate::images::Images;
    use crate::small::of_means;

    #[test]
    fn every_file_counts_and_metrics_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, file: &str, bytes: &[u8]| {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join(file), bytes).unwrap();
        };
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        put("means", NETWORK, &of_means(8, 8, &identity, &[0.0; 3], &[1, 3]));
        put("means", SPEC, b"kind = \"embedding\"\n[input]\nwidth = 8\nheight = 8\n[metrics]\nauc = 0.5\n");
        put("broken", SPEC, b"kind = \"nothing\"");
        let images = Images::new(ImageConfig { models: dir.path().to_owned(), ..ImageConfig::default() });
        let found = images.photo_models();
        assert_eq!(found.len(), 2);
        assert!(found[0].as_ref().unwrap_err().contains("broken"), "{found:?}");
        let first = found[1].clone().unwrap();
        assert_eq!((first.name.as_str(), first.metrics.as_str()), ("means", "{\"auc\":0.5}"));
        assert_eq!(first.bytes, std::fs::metadata(dir.path().join("means").join(NETWORK)).unwrap().len());
        assert_eq!(images.models().get("means").unwrap().version(), first.sha256);
        put("means", CHECKS, b"slope = 2.0\n");
        let second = images.photo_models()[1].clone().unwrap();
        assert_ne!(second.sha256, first.sha256);
        assert_eq!(images.models().get("means").unwrap().version(), second.sha256);
    }
}
