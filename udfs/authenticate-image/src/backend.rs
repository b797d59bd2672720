//! Runs ONNX models: on the pure-Rust backend that is built in, or on ONNX Runtime's library where one is configured.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use thiserror::Error;

/// What can't be run, and why.
#[derive(Debug, Clone, Error)]
pub(crate) enum BackendError {
    /// The configured library can't be used.
    #[error("cannot use ONNX Runtime at {path}: {reason}")]
    Library {
        /// Where it should be.
        path: String,
        /// What the loader says.
        reason: String,
    },
    /// A process has one backend.
    #[error("ONNX models already run on {used}; restart to run them on {wanted}")]
    Taken {
        /// What runs them.
        used: String,
        /// What was asked for.
        wanted: String,
    },
    /// The backend doesn't take the model or its input.
    #[error("{backend} refuses the model: {reason}")]
    Model {
        /// Its name.
        backend: &'static str,
        /// What it says.
        reason: String,
    },
}

/// What runs the models of this process.
pub(crate) struct Backend {
    environment: Environment,
    library: Option<PathBuf>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({})", self.name())
    }
}

/// The first backend that was opened: the API behind `ort` is one for the process.
static OPENED: OnceLock<Result<Arc<Backend>, BackendError>> = OnceLock::new();

impl Backend {
    /// ONNX Runtime's shared library, or without one the backend in Rust (tract).
    ///
    /// # Errors
    /// When the library can't be loaded, or the process runs models on something else already.
    pub(crate) fn open(library: Option<&Path>) -> Result<Arc<Self>, BackendError> {
        let backend = OPENED.get_or_init(|| Self::start(library).map(Arc::new)).clone()?;
        if backend.library.as_deref() != library {
            let wanted = library.map_or("tract".to_owned(), |path| path.display().to_string());
            let used = backend.library.as_ref().map_or("tract".to_owned(), |path| path.display().to_string());
            return Err(BackendError::Taken { used, wanted });
        }
        Ok(backend)
    }

    fn start(library: Option<&Path>) -> Result<Self, BackendError> {
        let failed = |reason: String| BackendError::Library {
            path: library.map_or("tract".to_owned(), |path| path.display().to_string()),
            reason,
        };
        let builder = match library {
            Some(path) => ort::init_from(path).map_err(|error| failed(error.to_string()))?,
            None => {
                ort::set_api(ort_tract::api());
                ort::init()
            }
        };
        let environment = builder.build().map_err(|error| failed(error.to_string()))?;
        Ok(Self { environment, library: library.map(Path::to_owned) })
    }

    /// `tract` or `onnxruntime`.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        if self.library.is_some() { "onnxruntime" } else { "tract" }
    }

    fn session(&self, model: &[u8]) -> Result<Session, BackendError> {
        let refused = |reason: String| BackendError::Model { backend: self.name(), reason };
        let builder = Session::builder(&self.environment).map_err(|error| refused(error.to_string()))?;
        let builder = builder
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(|error| refused(error.to_string()))?;
        // Photos are spread over threads, each with a session of its own: two threads on one photo wait for each other at
        // every layer. tract has no such setting.
        let builder = match self.library {
            Some(_) => builder.with_intra_threads(1).map_err(|error| refused(error.to_string()))?,
            None => builder,
        };
        let mut builder = builder;
        builder.commit_from_memory(model).map_err(|error| refused(error.to_string()))
    }
}

/// A model that is ready to run, on as many threads at once as call it.
pub(crate) struct Network {
    backend: Arc<Backend>,
    model: Arc<[u8]>,
    input: String,
    outputs: Vec<String>,
    idle: Mutex<Vec<Session>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({} → {})", self.input, self.outputs.join(", "))
    }
}

/// One output of a network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    /// Its dimensions.
    pub(crate) shape: Vec<usize>,
    /// Its values, the last dimension fastest.
    pub(crate) values: Vec<f32>,
}

impl Network {
    /// Loads a model whose input and outputs have fixed sizes.
    ///
    /// # Errors
    /// When the backend refuses it, or it has not one input.
    pub(crate) fn load(backend: &Arc<Backend>, model: Vec<u8>) -> Result<Self, BackendError> {
        let session = backend.session(&model)?;
        let [input] = session.inputs() else {
            let reason = format!("it has {} inputs, one is expected", session.inputs().len());
            return Err(BackendError::Model { backend: backend.name(), reason });
        };
        let input = input.name().to_owned();
        let outputs = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        let idle = Mutex::new(vec![session]);
        Ok(Self { backend: Arc::clone(backend), model: model.into(), input, outputs, idle })
    }

    /// The names of its outputs.
    #[must_use]
    pub(crate) fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Runs it on one input; the outputs in the order of [`Network::outputs`].
    ///
    /// # Errors
    /// When the backend refuses the shape, or an output holds no 32-bit floats.
    pub(crate) fn run(&self, shape: &[usize], values: &[f32]) -> Result<Vec<Tensor>, BackendError> {
        let refused = |reason: String| BackendError::Model { backend: self.backend.name(), reason };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = match idle {
            Some(session) => session,
            None => self.backend.session(&self.model)?,
        };
        let input = TensorRef::from_array_view((shape.to_vec(), values));
        let input = input.map_err(|error| refused(error.to_string()))?;
        let outputs = session.run(ort::inputs![input]).map_err(|error| refused(error.to_string()))?;
        let mut tensors = Vec::with_capacity(self.outputs.len());
        for place in 0..outputs.len() {
            let (shape, values) =
                outputs[place].try_extract_tensor::<f32>().map_err(|error| refused(error.to_string()))?;
            let shape = shape.iter().map(|side| usize::try_from(*side).unwrap_or(0)).collect();
            tensors.push(Tensor { shape, values: values.to_vec() });
        }
        drop(outputs);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        Ok(tensors)
    }
}
