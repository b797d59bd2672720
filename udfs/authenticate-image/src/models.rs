//! The models of a project: one folder each, loaded when it is first asked for.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use thiserror::Error;

use crate::backend::{Backend, BackendError, Network, Tensor};
use crate::checks::Weights;
use crate::identity::PhotoModel;
use crate::model::{Familiarity, Kind, Model};
use crate::onnx_file;
use crate::remote::RemoteClassifier;
use crate::spec::{Familiar, Input, Layout, ModelSpec};

/// The file that describes a model.
pub(crate) const SPEC: &str = "model.toml";
/// The file that holds its network.
pub(crate) const NETWORK: &str = "model.onnx";
/// The file that holds the weights of the checks beside it.
pub(crate) const CHECKS: &str = "checks.toml";

/// Why a model can't be used.
#[derive(Debug, Clone, Error)]
pub(crate) enum ModelError {
    /// There is none of this name.
    #[error("unknown model '{name}'; valid: {valid}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        valid: String,
    },
    /// One of its files is wrong.
    #[error("model '{name}': {file}: {reason}")]
    File {
        /// Its name.
        name: String,
        /// The file within its folder.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The backend doesn't run it.
    #[error("model '{name}': {source}")]
    Backend {
        /// Its name.
        name: String,
        /// What it says.
        source: BackendError,
    },
}

/// The models of one project.
#[derive(Debug)]
pub(crate) struct Models {
    dir: PathBuf,
    library: Option<PathBuf>,
    loaded: Mutex<BTreeMap<String, (Stamp, Arc<Model>)>>,
}

/// What tells a folder's state from a later one: size and time of its files.
type Stamp = Vec<Option<(u64, SystemTime)>>;

/// A network larger than this is no model for photos.
const LARGEST: u64 = 1 << 30;

impl Models {
    /// The models in `dir`, run by ONNX Runtime's `library` or, without one, by the backend in Rust.
    #[must_use]
    pub(crate) fn new(dir: PathBuf, library: Option<PathBuf>) -> Self {
        Self { dir, library, loaded: Mutex::default() }
    }

    /// The folder that holds them.
    #[must_use]
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names of the models that there are, in order.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().filter_map(Result::ok);
        let models = entries.filter(|entry| entry.path().join(SPEC).is_file());
        let mut names: Vec<String> =
            models.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The model called `name`; loaded anew when its files have changed.
    ///
    /// # Errors
    /// When there is none, one of its files is wrong, or the backend refuses it.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Model>, ModelError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let folder = self.dir.join(name);
        if name.is_empty() || !name.chars().all(plain) || !folder.join(SPEC).is_file() {
            let names = self.names();
            let valid = if names.is_empty() {
                format!("none; {} holds no models", self.dir.display())
            } else {
                names.join(", ")
            };
            return Err(ModelError::Unknown { name: name.to_owned(), valid });
        }
        let stamp = stamp(&folder);
        if let Some((found, model)) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(name)
            && *found == stamp
        {
            return Ok(Arc::clone(model));
        }
        // Loaded outside of the lock: a statement with another model need not wait. Two may load the same one once.
        let model = Arc::new(self.load(name, &folder)?);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.insert(name.to_owned(), (stamp, Arc::clone(&model)));
        Ok(model)
    }

    /// The model that makes embeddings for `name`: its backbone, or itself.
    ///
    /// # Errors
    /// As [`Models::get`], and when the model has no embedding.
    pub(crate) fn embedding(&self, name: &str) -> Result<Arc<Model>, ModelError> {
        let model = self.get(name)?;
        if model.embeds() {
            return Ok(model);
        }
        let reason = "it makes no embedding: name a model of kind embedding or head".to_owned();
        Err(ModelError::File { name: name.to_owned(), file: SPEC, reason })
    }

    fn load(&self, name: &str, folder: &Path) -> Result<Model, ModelError> {
        let file =
            |file: &'static str, reason: String| ModelError::File { name: name.to_owned(), file, reason };
        let text = std::fs::read_to_string(folder.join(SPEC)).map_err(|e| file(SPEC, e.to_string()))?;
        let spec = ModelSpec::read(&text).map_err(|reason| file(SPEC, reason))?;
        let weights = match std::fs::read_to_string(folder.join(CHECKS)) {
            Ok(text) => Weights::read(&text).map_err(|reason| file(CHECKS, reason))?,
            Err(_) => Weights::default(),
        };
        let version =
            PhotoModel::read(&self.dir, name).map_err(|(which, reason)| file(which, reason))?.sha256;
        let network = |input: Option<&Input>| -> Result<Network, ModelError> {
            let bytes = read(&folder.join(NETWORK)).map_err(|reason| file(NETWORK, reason))?;
            let shape = onnx_file::describe(&bytes).map_err(|error| file(NETWORK, error.to_string()))?;
            if let Some(input) = input {
                fits(&shape, input).map_err(|reason| file(NETWORK, reason))?;
            }
            let bytes = onnx_file::with_batch(&bytes, 1).map_err(|error| file(NETWORK, error.to_string()))?;
            let backend = |source| ModelError::Backend { name: name.to_owned(), source };
            let runs = Backend::open(self.library.as_deref()).map_err(backend)?;
            Network::load(&runs, bytes).map_err(backend)
        };
        let output = |network: &Network, wanted: Option<&str>, default: usize| -> Result<usize, ModelError> {
            let names = network.outputs();
            match wanted {
                None => Ok(default),
                Some(wanted) => names.iter().position(|found| found == wanted).ok_or_else(|| {
                    file(SPEC, format!("there is no output '{wanted}'; valid: {}", names.join(", ")))
                }),
            }
        };
        let familiar = |network: &Network, wanted: Option<&Familiar>| {
            let place = |familiar: &Familiar| {
                let output = output(network, Some(&familiar.output), 0)?;
                Ok(Familiarity { output, most: familiar.most })
            };
            wanted.map(place).transpose()
        };
        let kind = match spec {
            ModelSpec::Embedding(spec) => {
                let network = network(Some(&spec.input))?;
                let last = network.outputs().len().saturating_sub(1);
                let output = output(&network, spec.output.as_deref(), last)?;
                Kind::Embedding { network, input: spec.input, output }
            }
            ModelSpec::Head(spec) => {
                let backbone =
                    self.embedding(&spec.backbone).map_err(|error| file(SPEC, error.to_string()))?;
                let network = network(None)?;
                let place = output(&network, Some(&spec.output), 0)?;
                let familiar = familiar(&network, spec.familiar.as_ref())?;
                Kind::Head { backbone, network, output: place, mirror: spec.mirror, familiar }
            }
            ModelSpec::Classifier(spec) => {
                let network = network(Some(&spec.input))?;
                let place = output(&network, spec.output.as_deref(), 0)?;
                let embedding = spec.embedding.as_deref().map(|name| output(&network, Some(name), 0));
                let familiar = familiar(&network, spec.familiar.as_ref())?;
                Kind::Classifier { embedding: embedding.transpose()?, network, output: place, familiar, spec }
            }
            ModelSpec::Detector(spec) => {
                let network = network(Some(&spec.input))?;
                let output = output(&network, spec.output.as_deref(), 0)?;
                Kind::Detector { network, output, spec }
            }
            ModelSpec::Remote(spec) => {
                Kind::Remote(RemoteClassifier::new(spec).map_err(|error| file(SPEC, error.to_string()))?)
            }
        };
        let model = Model::new(name.to_owned(), version, kind, weights);
        model.try_out().map_err(|reason| file(NETWORK, reason))?;
        Ok(model)
    }
}

fn stamp(folder: &Path) -> Stamp {
    let of = |metadata: Metadata| Some((metadata.len(), metadata.modified().ok()?));
    let files = [SPEC, NETWORK, CHECKS].into_iter();
    files.map(|file| std::fs::metadata(folder.join(file)).ok().and_then(of)).collect()
}

/// A file of a network, unless it is too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > LARGEST {
        return Err(format!("{size} bytes; at most {LARGEST} are read"));
    }
    std::fs::read(path).map_err(|e| e.to_string())
}

/// Whether a network takes what the specification says.
fn fits(shape: &onnx_file::ModelShape, input: &Input) -> Result<(), String> {
    let Some(first) = shape.inputs.first() else { return Err("it has no input".to_owned()) };
    let wanted = match input.layout {
        Layout::Nchw => [3, input.height, input.width],
        Layout::Nhwc => [input.height, input.width, 3],
    };
    let dimensions = &first.shape;
    let fit = dimensions.len() == 4
        && dimensions.iter().skip(1).zip(wanted).all(|(found, wanted)| {
            found.is_none_or(|found| usize::try_from(found).is_ok_and(|found| found == wanted))
        });
    if fit {
        return Ok(());
    }
    let said = dimensions.iter().map(|one| one.map_or("n".to_owned(), |one| one.to_string()));
    let said = said.collect::<Vec<_>>().join("×");
    let wanted = wanted.map(|one| one.to_string()).join("×");
    Err(format!("its input '{}' is {said}; {SPEC} says n×{wanted}", first.name))
}

/// A tensor of one row, as numbers.
pub(crate) fn row(tensors: &[Tensor], place: usize) -> Result<&[f32], String> {
    let tensor = tensors.get(place).ok_or("the model gave fewer outputs than it said")?;
    if tensor.values.iter().any(|value| !value.is_finite()) {
        return Err("the model gave a number that is not finite".to_owned());
    }
    Ok(&tensor.values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Opinion;
    use crate::photo::Pixels;
    use crate::small::of_means;

    const INPUT: &str = "[input]\nwidth = 20\nheight = 10\n";
    /// Red is authentic, blue is not.
    const RED: [[f32; 3]; 2] = [[-4.0, 0.0, 4.0], [4.0, 0.0, -4.0]];

    fn plain(colour: [u8; 3]) -> Pixels {
        Pixels { width: 80, height: 40, rgb: colour.repeat(80 * 40) }
    }

    fn look(model: &Model, colour: [u8; 3]) -> Opinion {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        model.look(&plain(colour), (&bytes::Bytes::new(), "image/png"), runtime.handle()).unwrap()
    }

    fn put(dir: &Path, name: &str, spec: &str, network: &[u8]) {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        std::fs::write(dir.join(name).join(SPEC), spec).unwrap();
        std::fs::write(dir.join(name).join(NETWORK), network).unwrap();
    }

    fn models() -> (tempfile::TempDir, Models) {
        let dir = tempfile::tempdir().unwrap();
        let models = Models::new(dir.path().to_owned(), None);
        (dir, models)
    }

    #[test]
    fn a_classifier_needs_no_code() {
        let (dir, models) = models();
        let spec = format!("kind = \"classifier\"\nauthentic = 1\n{INPUT}");
        put(dir.path(), "red", &spec, &of_means(10, 20, &RED, &[0.0, 0.0], &[1, 2]));
        let model = models.get("red").unwrap();
        assert!((look(&model, [255, 0, 0]).logit.unwrap() - 8.0).abs() < 1e-4);
        assert!((look(&model, [0, 0, 255]).logit.unwrap() + 8.0).abs() < 1e-4);
        assert_eq!((model.version().len(), model.judges(), model.embeds()), (64, true, false));
        // The other way round: the folder changed.
        put(
            dir.path(),
            "red",
            &spec.replace("authentic = 1", "authentic = 0"),
            &of_means(10, 20, &RED, &[0.0, 0.0], &[1, 2]),
        );
        assert!(look(&models.get("red").unwrap(), [255, 0, 0]).logit.unwrap() < 0.0);
    }

    #[test]
    fn a_detector_finds_regions_in_pixels_of_the_photo() {
        let (dir, models) = models();
        let spec = format!(
            "kind = \"detector\"\nclasses = [{{ name = \"logo\", means = \"authentic\" }}, \
             {{ name = \"glue\", means = \"replica\" }}]\n{INPUT}"
        );
        // One box in the middle: a logo as far as it is red, glue as far as it is blue.
        let weights = [[0.0; 3], [0.0; 3], [0.0; 3], [0.0; 3], [0.9, 0.0, 0.0], [0.0, 0.0, 0.9]];
        let network = of_means(10, 20, &weights, &[10.0, 5.0, 8.0, 4.0, 0.0, 0.0], &[1, 6, 1]);
        put(dir.path(), "regions", &spec, &network);
        let model = models.get("regions").unwrap();
        let found = look(&model, [255, 0, 0]);
        assert_eq!((found.regions.len(), found.regions[0].name.as_str()), (1, "logo"));
        assert_eq!(found.regions[0].bounds, [24, 12, 32, 16]);
        assert!(found.logit.unwrap() > 2.0);
        assert!(look(&model, [0, 0, 255]).logit.unwrap() < -2.0);
        assert_eq!(look(&model, [0, 255, 0]).logit, None);
    }

    #[test]
    fn a_head_stands_on_an_embedding() {
        let (dir, models) = models();
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let network = of_means(10, 20, &identity, &[0.0; 3], &[1, 3]);
        put(dir.path(), "means", &format!("kind = \"embedding\"\n{INPUT}"), &network);
        let spec = "kind = \"head\"\nbackbone = \"means\"\nmirror = true\n";
        put(dir.path(), "head", spec, &onnx_file::linear(&[2.0, 0.0, -2.0], 0.5, None, &[]));
        let model = models.get("head").unwrap();
        let found = look(&model, [255, 0, 0]);
        assert!((found.logit.unwrap() - 2.5).abs() < 1e-5);
        assert_eq!(found.embedding.unwrap(), [1.0, 0.0, 0.0]);
        assert!(!models.get("means").unwrap().judges());
        assert!(models.embedding("head").is_ok());
        put(dir.path(), "head", "kind = \"head\"\nbackbone = \"head\"\n", b"");
        let error = models.get("head").unwrap_err().to_string();
        assert!(error.contains("backbone 'head' must make embeddings, and is a head itself"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_model_is_said() {
        let (dir, models) = models();
        let good = of_means(10, 20, &RED, &[0.0, 0.0], &[1, 2]);
        let spec = format!("kind = \"classifier\"\nauthentic = 1\n{INPUT}");
        for (name, spec, network, wrong) in [
            ("empty", spec.as_str(), &b""[..], "model.onnx: not an ONNX model: the file is empty"),
            ("text", spec.as_str(), b"hello, I am a text", "model.onnx: not an ONNX model"),
            ("cut", spec.as_str(), &good[..good.len() / 2], "model 'cut': "),
            (
                "size",
                &spec.replace("20", "30"),
                &good,
                "its input 'photo' is n×3×10×20; model.toml says n×3×10×30",
            ),
            (
                "class",
                &spec.replace("authentic = 1", "authentic = 2"),
                &good,
                "the scores are 2 numbers, which model.toml does not say",
            ),
            (
                "output",
                &spec.replace("authentic", "output = \"none\"\nauthentic"),
                &good,
                "there is no output 'none'; valid: scores",
            ),
            (
                "strange",
                &format!("{spec}[familiar]\noutput = \"none\"\nmost = 1\n"),
                &good,
                "model.toml: there is no output 'none'; valid: scores",
            ),
            (
                "stranger",
                &format!("{spec}[familiar]\noutput = \"scores\"\nmost = 1\n"),
                &good,
                "strangeness is one number, not 2",
            ),
            ("spec", "kind = \"oracle\"", &good, "model.toml: unknown variant `oracle`"),
        ] {
            put(dir.path(), name, spec, network);
            let error = models.get(name).unwrap_err().to_string();
            assert!(error.contains(wrong), "{name}: {error}");
        }
        for name in ["", "..", "../models", "a/b", "none"] {
            let error = models.get(name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("unknown model '{name}'; valid: class, cut, ")), "{error}");
        }
    }

    /// Where ONNX Runtime's library is configured, the shipped model gives what it gives on the backend in Rust, which
    /// another process has to say: a process has one backend.
    #[test]
    fn the_shipped_model_gives_the_same_on_both_backends() {
        let library = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
        let dir = PathBuf::from("../../models");
        let model = Models::new(dir, library).get("authenticity").unwrap();
        let photo = |seed: u32| {
            let value = |at: u32| ((at / 3 * seed) ^ (at / 700)).to_le_bytes()[0];
            Pixels { width: 224, height: 224, rgb: (0..224 * 224 * 3).map(value).collect() }
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for (seed, (expected, strange)) in [(1, EXPECTED[0]), (2, EXPECTED[1]), (5, EXPECTED[2])] {
            let look = model.look(&photo(seed), (&bytes::Bytes::new(), ""), runtime.handle()).unwrap();
            let found = look.logit.unwrap();
            assert!((found - expected).abs() < 2e-3, "{seed}: {found}, expected {expected}");
            assert_eq!(look.embedding.unwrap().len(), 1_280);
            // Noise shows no shoe.
            let found = look.strangeness.unwrap();
            assert!((found - strange / 0.0065).abs() < 2e-2, "{seed}: {found}");
        }
    }

    /// Log odds and strangeness, by onnxruntime 1.32.0 from PyPI.
    const EXPECTED: [(f64, f64); 3] = [(2.19443, 0.073252), (-0.05181, 0.060336), (0.22364, 0.080254)];
}
